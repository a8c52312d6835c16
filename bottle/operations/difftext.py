"""`diff --path`: one file in two versions of a bottle."""

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bottle.diff.reading import thing_of, with_digest
from bottle.diff.stack import Difference, is_same
from bottle.diff.text import LARGEST, unified, why_no_text
from bottle.diff.thing import Kind, Thing
from bottle.errors import NotFound, UsageError
from bottle.launch import is_below
from bottle.naming import Identity
from bottle.operations.context import Context
from bottle.operations.diff import KnownBottle
from bottle.operations.images import bare_container
from bottle.plan.versions import NOW, Version
from bottle.store.state import BottleState
from bottle.tar.chunks import reading
from bottle.tar.reader import TarStream


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCompared:
    """One path in two versions. `is_same`: nothing of it differs; `is_folder`: it is one, in a version or in both.

    `lines` are those of a unified diff, None where there can be none, and then `why` says it.
    """

    identity: Identity
    before: Version
    after: Version
    difference: Difference
    is_same: bool
    lines: tuple[str, ...] | None
    why: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder in one of them, so that what is in it may differ."""
        return any(
            each is not None and each.kind is Kind.FOLDER for each in (self.difference.before, self.difference.after)
        )


def compare_file(context: Context, state: BottleState, words: tuple[str, ...], path: str) -> FileCompared:
    """Compare what is at `path` in the versions that `words` name. No more than a megabyte of a text is in memory.

    Raises UsageError, NotFound, StateDamaged, EngineError, or VerificationFailed.
    """
    path = _absolute(path)
    bottle = KnownBottle(context, state)
    before, after = bottle.meant(words)
    for mount in bottle.mounted:
        if is_below(path, mount):
            raise UsageError(f"{path} of {state.identity} is mounted, at {mount}, and so in no version of it")
    with ExitStack() as held:
        containers = [
            bottle.container
            if version == NOW
            else held.enter_context(bare_container(context, bottle.image(version, beside=beside)))
            for version, beside in ((before, after), (after, before))
        ]
        sides = [_read(context, each, path) for each in containers]
        if all(side.thing is None for side in sides):
            raise NotFound(
                f"{state.identity} has no {path}, neither in {before.described} nor in {after.described}",
                next_step=f"bottle diff {state.identity} {before} {after}",
            )
        if _are_large_alike(*sides):
            sides = [_Side(_hashed(context, each, path), None) for each in containers]
    lines, why = _text(sides, (f"{before}:{path}", f"{after}:{path}"))
    return FileCompared(
        identity=state.identity,
        before=before,
        after=after,
        difference=Difference(path=path, before=sides[0].thing, after=sides[1].thing),
        is_same=is_same(sides[0].thing, sides[1].thing),
        lines=lines,
        why=why,
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """What is at the path in one version, and its content, None where that is too large; a link's is where it leads."""

    thing: Thing | None
    content: bytes | None


def _absolute(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(f"{path!r} can be asked of no engine: it is no Unicode") from exc
    return "/" + posixpath.normpath(f"/{path}").lstrip("/")


def _read(context: Context, container: str, path: str) -> _Side:
    with _member(context, container, path) as (tar, thing):
        if thing is None or tar is None:
            return _Side(None, b"")
        if thing.kind is not Kind.FILE:
            return _Side(thing, thing.link.encode("utf-8", "surrogateescape"))
        if thing.size > LARGEST:
            return _Side(thing, None)
        content = tar.whole(LARGEST)
        return _Side(with_digest(thing, (content,)), content)


def _hashed(context: Context, container: str, path: str) -> Thing | None:
    with _member(context, container, path) as (tar, thing):
        return with_digest(thing, tar.data()) if tar is not None and thing is not None else None


@contextmanager
def _member(context: Context, container: str, path: str) -> Iterator[tuple[TarStream | None, Thing | None]]:
    """What a container has at a path, and the stream that its content comes from next; None where there is nothing."""
    with ExitStack() as held:
        try:
            tar = TarStream(held.enter_context(reading(context.engine.read_archive(container, path))))
            member = next(tar.members(), None)
        except NotFound:
            yield None, None
            return
        yield (tar, thing_of(member)) if member is not None else (None, None)


def _are_large_alike(before: _Side, after: _Side) -> bool:
    """Whether only the whole content tells if it is the same."""
    if before.content is not None or after.content is not None or before.thing is None or after.thing is None:
        return False
    return before.thing.size == after.thing.size


def _text(sides: list[_Side], names: tuple[str, str]) -> tuple[tuple[str, ...] | None, str]:
    """The lines that differ, or why there are none."""
    for side in sides:
        if side.thing is not None and side.thing.kind not in {Kind.FILE, Kind.LINK}:
            return None, f"it is a {side.thing.kind.value}"
        if why := why_no_text(side.content, side.thing.size if side.thing is not None else 0):
            return None, why
    before, after = (side.content or b"" for side in sides)
    shown = (name if side.thing is not None else "/dev/null" for side, name in zip(sides, names, strict=True))
    old, new = shown
    return unified(before, after, names=(old, new)), ""
