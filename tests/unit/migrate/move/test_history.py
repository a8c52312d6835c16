"""The images of older commits: which go along, what the engine there is given of them, and what is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Set
from dataclasses import replace
from typing import Any

import pytest

from bottle.cli.moved import moved_document, moved_lines, plan_document, plan_lines
from bottle.cli.movewords import SENDING
from bottle.errors import BottleError, EngineError, RemoteError, VerificationFailed
from bottle.layers import ImageDocuments, LayerStream
from bottle.model import CommitRecord, Store
from bottle.moveoptions import MoveOptions
from bottle.operations import remove
from bottle.operations.prune import observe_prune
from bottle.operations.resume import resume
from bottle.plan.prune import plan_prune
from bottle.plan.resume import ResumeRequest
from bottle.ports import Progress
from bottle.store.home import StateHome
from bottle.testing import FakeEngine
from migrate.host.destination import Destination
from migrate.host.layers import LayersThere
from migrate.image.save_stream import SaveStreamSource
from migrate.move.execute import _decide
from migrate.move.facts import observe
from migrate.move.history import History
from migrate.move.image import Brought
from migrate.move.model import Moved
from migrate.move.transfer import Transfer
from migrate.secrets.scan import Find
from migrate.secrets.search import Search, Subject
from tests.support.moving import KEEPING, Classic, MoveRig, committed, keep_loads

WRITES = (("/one", b"1"), ("/two", b"2"), ("/three", b"3"))


@pytest.fixture
def rig(rig: MoveRig) -> MoveRig:
    """The bottle has three commits, and nothing besides."""
    committed(rig, *WRITES)
    keep_loads(rig)
    return rig


def there(moved: Moved) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return moved.account.history, moved.account.history_stays


def arrived(rig: MoveRig) -> tuple[int, ...]:
    tombstone = rig.bottle.tombstone.read()
    assert tombstone is not None
    assert tombstone.arrived is not None
    return tombstone.arrived.commits


def verified(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, str]]:
    """Of which images the engine there is asked whether it has them, and with which config."""
    asked: list[tuple[int, str, str]] = []

    def note(_: Destination, commit: CommitRecord, tag: str, *, config: bytes = b"") -> None:
        asked.append((commit.number, tag, hashlib.sha256(config).hexdigest() if config else ""))

    monkeypatch.setattr(Destination, "verify_image", note)
    return asked


@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_they_come_after_the_newest_one_and_bring_no_layer(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    engine, asked = rig.world.engine, verified(monkeypatch)
    images = [engine.image(each.tag) for each in rig.bottle.commits()]
    assert rig.plan(keep=keep).history == (1, 2)
    moved = rig.move(keep=keep)
    assert there(moved) == ((1, 2), ())
    found, called = Classic.of(rig), moved.arrived_as.committed
    assert found.tags == [called(3), called(1), called(2)]
    assert found.read == list(rig.bottle.commits()[-1].diff_ids)
    configs = {tag: hashlib.sha256(config).hexdigest() for tag, config in zip(found.tags, found.configs, strict=True)}
    assert [f"sha256:{configs[called(number)]}" for number in (1, 2, 3)] == [each.id for each in images if each]
    assert asked == [(3, called(3), ""), *((number, called(number), configs[called(number)]) for number in (1, 2))]
    commits = StateHome(rig.far / ".bottle").bottle(moved.arrived_as).commits()
    assert [each.tag for each in commits] == [called(number) for number in (1, 2, 3)]
    if not keep:
        assert arrived(rig) == (1, 2, 3)


def test_what_arrived_is_not_only_here(rig: MoveRig) -> None:
    rig.move()
    plan = plan_prune(observe_prune(rig.world.context))
    assert [each.only_here for each in plan.garbage if each.ref == str(rig.bottle.identity)] == [()]
    assert remove(rig.world.context, rig.bottle, consent=False).commits == (1, 2, 3)


def test_they_stay_where_nobody_wants_them(rig: MoveRig) -> None:
    plan = rig.plan(history=False)
    assert (plan.history, plan.history_stays) == ((), (1, 2))
    moved = rig.move(history=False)
    assert there(moved) == ((), (1, 2))
    assert Classic.of(rig).tags == [rig.bottle.identity.committed(3)]
    assert arrived(rig) == (3,)
    for document in (plan_document(plan, SENDING), moved_document(moved, SENDING, "far")):
        assert (document["history"], document["history_stays"]) == ([], [1, 2])
    lines = "\n".join((*plan_lines(plan, SENDING), *moved_lines(moved, SENDING, "far")))
    assert lines.count("the images of other commits: commits 1 and 2; their entries in the history travel") == 2
    assert "older commits" not in lines


def test_who_pulls_gets_the_image_of_one_commit(rig: MoveRig) -> None:
    plan = rig.plan(pulled_by="somebody")
    assert (plan.history, plan.history_stays) == ((), (1, 2))


def test_they_are_named(rig: MoveRig) -> None:
    plan, moved = rig.plan(), rig.move()
    assert "images of older commits: commits 1 and 2, no layer more" in "\n".join(plan_lines(plan, SENDING))
    assert "  with images of older commits: commits 1 and 2" in moved_lines(moved, SENDING, "far")
    for document in (plan_document(plan, SENDING), moved_document(moved, SENDING, "far")):
        assert (document["history"], document["history_stays"]) == ([1, 2], [])


def test_a_commit_whose_image_is_gone_or_another_neither_travels_nor_stays(rig: MoveRig) -> None:
    engine, (first, second, _) = rig.world.engine, rig.bottle.commits()
    engine.remove_image(first.tag)
    engine.remove_image(second.tag)
    other = engine.image(rig.bottle.commits()[-1].tag)
    assert other is not None
    engine.tag(other.id, second.tag)
    assert there(rig.move()) == ((), ())
    assert arrived(rig) == (3,)


@pytest.mark.parametrize("error", [VerificationFailed("it is damaged"), EngineError("it does not answer")])
def test_one_whose_config_cannot_be_read_stays_and_that_is_told(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch, error: BottleError
) -> None:
    read, first = SaveStreamSource.read, rig.bottle.commits()[0]

    def damaged(
        source: SaveStreamSource, ref: str, wanted: Set[str], progress: Progress
    ) -> Generator[LayerStream | ImageDocuments]:
        if ref == first.tag:
            raise error
        yield from read(source, ref, wanted, progress)

    monkeypatch.setattr(SaveStreamSource, "read", damaged)
    assert there(rig.move()) == ((2,), (1,))
    assert arrived(rig) == (2, 3)
    (note,) = [each for each in rig.world.progress.notes if "image of commit 1" in each]
    assert error.what in note


def find_in_config(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    conclude = Search.conclude

    def found(search: Search, passage: Any, subject: Subject) -> tuple[Find, ...]:
        if subject.image == image:
            return (Find(path="the image's config, Env KEY", what="a GitHub token"),)
        return conclude(search, passage, subject)

    monkeypatch.setattr(Search, "conclude", found)


@pytest.mark.parametrize("allowed", [False, True])
def test_a_credential_in_its_config_keeps_it_here_unless_it_may_leave(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    image = rig.world.engine.image(rig.bottle.commits()[1].tag)
    assert image is not None
    find_in_config(monkeypatch, image.id)
    moved = rig.move(allow_secrets=allowed)
    assert there(moved) == (((1, 2), ()) if allowed else ((1,), (2,)))
    along = "the image's config, Env KEY: a GitHub token"
    assert moved.account.along == ((along,) if allowed else ())
    notes = "\n".join(rig.world.progress.notes)
    assert ("credentials would leave this machine in it: " + along in notes) is not allowed


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def verify(_: Destination, commit: CommitRecord, tag: str, **__: object) -> None:
        if commit.number == number:
            raise VerificationFailed(f"{tag} is another one")

    monkeypatch.setattr(Destination, "verify_image", verify)


def test_one_that_does_not_prove_itself_ends_the_move_and_the_same_command_goes_on(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(Destination, "unload", lambda _, tag: forgotten.append(tag))
    with monkeypatch.context() as patch:
        refuse(patch, 2)
        with pytest.raises(VerificationFailed, match="is another one") as caught:
            rig.move()
    assert caught.value.next_step == "the same command again   (without them: with --no-history)"
    assert (rig.there, rig.bottle.tombstone.read()) == ((), None)
    assert forgotten == [rig.bottle.identity.committed(number) for number in (1, 2)]
    assert there(rig.move()) == ((1, 2), ())


def test_an_engine_that_refuses_them_ends_the_move(rig: MoveRig) -> None:
    second = 'load*) if [ -e ~/load-0.tar ]; then cat >/dev/null; echo "not those" >&2; exit 1; fi; '
    rig.program("docker", (rig.programs / "docker").read_text().replace("load*) ", second))
    assert KEEPING.removeprefix("load*) ") in (rig.programs / "docker").read_text()
    with pytest.raises(RemoteError, match=r"loading the images of older commits failed .*not those") as caught:
        rig.move()
    assert "--no-history" in caught.value.next_step
    assert (rig.there, rig.bottle.tombstone.read()) == ((), None)
    (rig.far / "load-0.tar").unlink()
    assert there(rig.move(history=False)) == ((), (1, 2))


@pytest.mark.parametrize("script", ["register", "load", "inspect"])
def test_what_arrived_is_known_after_a_kill(rig: MoveRig, script: str) -> None:
    if script == "inspect":
        rig.move(keep=True)
    else:
        rig.die_after(script)
    assert there(rig.move()) == ((1, 2), ())
    assert arrived(rig) == (1, 2, 3)


@pytest.mark.parametrize("store", list(Store))
def test_where_a_containerd_store_hides_what_it_holds_they_stay(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    asked = verified(monkeypatch)
    transfer = Transfer(
        context=rig.world.context,
        state=rig.bottle,
        remote=rig.remote,
        options=MoveOptions(workspace=rig.far / "w"),
        arrives_as=rig.bottle.identity,
    )
    seen = observe(transfer)
    host = replace(transfer.destination(seen.facts.host), host=replace(seen.facts.host, store=store))
    history = History(transfer, host, _decide(transfer, seen), seen.facts)
    history.gather()
    newest = rig.bottle.commits()[-1]
    history.bring(newest, Brought(layers=LayersThere(diff_ids=frozenset(newest.diff_ids))))
    hides = store is Store.CONTAINERD
    assert history.arrived(newest) == (() if hides else (1, 2))
    assert history.stays(newest) == ((1, 2) if hides else ())
    assert [number for number, *_ in asked] == ([] if hides else [1, 2])
    assert any("of commits 1 and 2 is not known" in note for note in rig.world.progress.notes) is hides


def test_an_image_that_came_to_be_another_meanwhile_stays(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    gather: Callable[[History], None] = History.gather
    first, _, newest = rig.bottle.commits()

    def meddled(history: History) -> None:
        engine: FakeEngine = rig.world.engine
        image = engine.image(newest.tag)
        assert image is not None
        engine.tag(image.id, first.tag)
        gather(history)

    monkeypatch.setattr(History, "gather", meddled)
    assert there(rig.move()) == ((2,), (1,))


def test_the_rounds_of_a_live_move_are_there_too(rig: MoveRig) -> None:
    rig.program("bottle", "#!/bin/sh\n[ $1 = --version ] && echo bottle 1.0 || echo it runs\n")
    resume(rig.world.context, rig.bottle, ResumeRequest())
    moved = rig.move(live=True, rounds=2)
    rounds = tuple(each.commit for each in moved.rounds)
    assert moved.account.history == (1, 2, 3, *rounds)
    assert arrived(rig) == (1, 2, 3, *rounds, moved.account.commit)


def test_the_rounds_of_a_live_move_without_history_count_for_nothing(rig: MoveRig) -> None:
    rig.program("bottle", "#!/bin/sh\n[ $1 = --version ] && echo bottle 1.0 || echo it runs\n")
    resume(rig.world.context, rig.bottle, ResumeRequest())
    moved = rig.move(live=True, rounds=2, history=False)
    assert (moved.account.history, arrived(rig)) == ((), (moved.account.commit,))
