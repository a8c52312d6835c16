"""Stacks of layers: what they show, and that no more of their common ground is needed than what is looked for."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, strategies as st

from bottle.diff.stack import Difference, Touched, View, differences, shown, undecided
from bottle.diff.summary import by_folder, summed
from bottle.diff.thing import Kind, Layer, Thing

NAMES = ("a", "b", "c\n", "\udcff")
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
FOLDER = Thing(kind=Kind.FOLDER, mode=0o755)
THINGS = st.sampled_from(
    [
        FOLDER,
        Thing(kind=Kind.FOLDER, mode=0o700),
        Thing(kind=Kind.LINK, link="a"),
        *(Thing(kind=Kind.FILE, size=1, digest=bytes([number])) for number in range(2)),
    ]
)


def layer(things: dict[str, Thing], opaque: Iterable[str], gone: Iterable[str]) -> Layer:
    """One as somebody could write it: with all folders on the way, and nothing below what is none."""
    kept: dict[str, Thing] = {}
    for path in sorted(things, key=lambda path: path.split("/")):
        above = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
        if any(kept.get(each, FOLDER).kind is not Kind.FOLDER for each in above):
            continue
        kept |= {each: FOLDER for each in above if each not in kept}
        kept[path] = things[path]
    marks = {path for path in opaque if kept.get(path, None) in {None, FOLDER}}
    return Layer(things=kept, opaque=frozenset(marks & kept.keys()), gone=frozenset(set(gone) - kept.keys()))


LAYERS = st.builds(
    layer, st.dictionaries(PATHS, THINGS, max_size=6), st.lists(PATHS, max_size=2), st.lists(PATHS, max_size=2)
)
STACKS = st.lists(LAYERS, max_size=3)


def laid(layers: Iterable[Layer]) -> dict[str, Thing]:
    """The same, as slowly as one can."""
    view: dict[str, Thing] = {}
    for each in layers:
        for path in list(view):
            above = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
            covered = any(way in each.opaque or way in each.gone or way in each.leaves for way in above)
            if covered or path in each.gone:
                del view[path]
        view |= each.things
    return view


def everywhere(before: View, after: View) -> dict[str, tuple[Thing | None, Thing | None]]:
    """What differs, looked for everywhere."""
    paths = before.keys() | after.keys()
    return {f"/{path}": (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


@given(STACKS)
def test_a_stack_shows_what_its_layers_laid_over_each_other_do(layers: list[Layer]) -> None:
    assert shown(layers, {}) == laid(layers)


@given(STACKS, STACKS, STACKS)
def test_what_differs_is_found_where_it_may_and_nothing_else_of_the_ground_is_needed(
    ground: list[Layer], one: list[Layer], other: list[Layer]
) -> None:
    touched = Touched([*one, *other])
    needed = [
        Layer(
            things={path: thing for path, thing in each.things.items() if touched.is_wanted(path)},
            opaque=each.opaque,
            gone=each.gone,
        )
        for each in ground
    ]
    below = shown(needed, {})
    found = differences(shown(one, below), shown(other, below), touched)
    expected = everywhere(laid([*ground, *one]), laid([*ground, *other]))
    assert {each.path: (each.before, each.after) for each in found} == expected


def file(size: int, digest: bytes | None = None, **more: int) -> Thing:
    return Thing(kind=Kind.FILE, size=size, digest=digest, **more)


def test_a_content_that_was_not_read_is_asked_for_where_it_decides_and_else_is_another_one() -> None:
    same = file(3)
    before = {"a": file(3, b"x"), "b": file(3, b"x"), "c": file(3, b"x"), "same": same, "d": FOLDER}
    after = {"a": file(3), "b": file(4), "c": file(3, b"x"), "same": same, "d": file(3)}
    touched = Touched([Layer(things=after)])
    assert list(undecided(before, after, touched)) == ["a"]
    assert [each.path for each in differences(before, after, touched)] == ["/a", "/b", "/d"]


def test_who_changes_a_mode_changes_no_content() -> None:
    (found,) = differences(
        {"a": file(5, b"x", mode=1)}, {"a": file(5, b"x", mode=2)}, Touched([Layer(things={"a": FOLDER})])
    )
    assert (found.change, found.content, found.gained, found.lost) == ("changed", False, 0, 0)


def test_the_numbers_of_each_folder_add_up() -> None:
    found = [
        Difference(path="/etc/a", before=None, after=file(5)),
        Difference(path="/usr/share/doc/x/y", before=file(7), after=None),
        Difference(path="/usr/share/b", before=file(7, b"1"), after=file(2, b"2")),
        Difference(path="/top", before=FOLDER, after=None),
    ]
    assert summed(found) == summed(reversed(found))
    total = summed(found)
    assert (total.added, total.changed, total.removed, total.gained, total.lost) == (1, 1, 2, 7, 14)
    folders = by_folder(found)
    assert list(folders) == ["/", "/etc", "/usr/share"]
    assert sum(each.gained for each in folders.values()) == 7
