"""The layers of an image on their way: what leaves when, and what the engine there is given of them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from bottle.errors import PreflightRefused, StateDamaged, VerificationFailed
from bottle.operations.resume import resume
from bottle.plan.resume import ResumeRequest
from bottle.ports import Progress, Silent
from migrate.host.destination import Destination
from migrate.image.reading import ImageReading, base_first
from migrate.model import Blob, Codec, RemoteCommand, Reply
from migrate.move import image, loading
from migrate.move.background import in_background
from migrate.secrets.scan import Find
from migrate.secrets.search import Search
from migrate.tar.compression import decompress, sniff
from tests.support.moving import KEEPING, Classic, MoveRig, committed, keep_loads
from tests.support.world import BASE

KEY = b"key = gh" + b"p_" + b"aZ3bY4cX5dW6eV7fU2gT" + b"aZ3bY4cX5dW6eV7f"
PATIENCE = 60.0


def layers_of(rig: MoveRig) -> tuple[str, ...]:
    return rig.bottle.commits()[-1].diff_ids


def staged(rig: MoveRig) -> bytes:
    """All that is staged there, unpacked."""
    blobs = rig.far / ".bottle/incoming" / str(rig.bottle.identity) / "blobs"
    contents = []
    for blob in blobs.iterdir() if blobs.is_dir() else ():
        packed = b"".join(piece.read_bytes() for piece in sorted(blob.glob("[0-9]*")))
        contents.append(b"".join(decompress([packed], sniff(packed[:4]))))
    return b"".join(contents)


class Ran:
    """The scripts that ran there, in order, and a way to wait for one."""

    def __init__(self, rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.news = threading.Condition()
        run = rig.remote.run

        def noted(command: RemoteCommand, *args: Any, **kwargs: Any) -> Reply:
            reply = run(command, *args, **kwargs)
            with self.news:
                self.names.append(command.name)
                self.news.notify_all()
            return reply

        monkeypatch.setattr(rig.remote, "run", noted)

    def wait_for(self, name: str) -> None:
        with self.news:
            assert self.news.wait_for(lambda: name in self.names, PATIENCE), f"no {name} in {self.names}"


def read_slowly(monkeypatch: pytest.MonkeyPatch, ran: Ran, name: str) -> None:
    """Have the top layer read only when the script `name` has run there."""
    layers = ImageReading.layers

    def waiting(reading: ImageReading, progress: Progress) -> Iterator[Blob]:
        for layer in layers(reading, progress):
            if layer.diff_id == reading.image.diff_ids[-1]:
                ran.wait_for(name)
            yield layer

    monkeypatch.setattr(ImageReading, "layers", waiting)


def load_early(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine there be given a layer, however small it is, before the top one is read."""
    monkeypatch.setattr(loading, "_WORTHWHILE", 1)
    read_slowly(monkeypatch, Ran(rig, monkeypatch), "load")


@pytest.mark.parametrize("has_base", [True, False], ids=["base there", "nothing there"])
def test_the_engine_there_loads_while_other_layers_are_still_read(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch, has_base: bool
) -> None:
    committed(rig, ("/one", b"1"), ("/two", b"2"), ("/three", b"3"))
    base = rig.world.engine.image(BASE)
    assert base is not None
    if has_base:
        rig.hold(base)
    keep_loads(rig)
    load_early(rig, monkeypatch)
    rig.move(history=False)
    found = Classic.of(rig, *([base.diff_ids] if has_base else ()))
    layers = layers_of(rig)
    assert layers in found.chains
    assert found.tags[-1] == rig.bottle.identity.committed(rig.bottle.commits()[-1].number)
    assert all(map(rig.bottle.identity.is_in_flight, found.tags[:-1]))
    assert len(found.tags) > 1
    assert found.read == list(layers[len(base.diff_ids) if has_base else 0 :])  # each of them once


@pytest.mark.parametrize(("have", "depth"), [("", 0), ("be", 0), ("a", 1), ("ae", 2), ("aeb", 4), ("aebc", 5)], ids=str)
def test_no_more_is_loaded_early_than_what_lies_on_what_is_there(have: str, depth: int) -> None:
    """An image may have a layer twice, an empty one as a rule."""
    assert loading._reach(tuple("aebec"), set(have)) == depth


def test_little_is_loaded_at_once(rig: MoveRig) -> None:
    committed(rig, ("/one", b"1"), ("/two", b"2"))
    keep_loads(rig)
    rig.move(history=False)
    assert Classic.of(rig).tags == [rig.bottle.identity.committed(rig.bottle.commits()[-1].number)]


def test_what_could_not_be_loaded_early_is_loaded_with_the_rest(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(rig, ("/one", b"1"), ("/two", b"2"), ("/three", b"3"))
    once = 'load*) if [ ! -e ~/failed ]; then cat >/dev/null; touch ~/failed; echo "not now" >&2; exit 1; fi; '
    keep_loads(rig, once + KEEPING.removeprefix("load*)"))
    load_early(rig, monkeypatch)
    rig.move(history=False)
    found = Classic.of(rig)
    assert found.chains == {layers_of(rig)[:depth] for depth in range(1, len(layers_of(rig)) + 1)}
    assert len(found.tags) == 1
    assert "not now | docker load failed; it is loaded with the rest" in "\n".join(rig.world.progress.notes)


def test_what_was_loaded_early_and_is_gone_again_is_loaded_with_the_rest(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(rig, ("/one", b"1"), ("/two", b"2"), ("/three", b"3"))
    gone = 'if ! grep -aq in-flight ~/came && mkdir ~/pruned; then rm ~/load-*; echo "no such layer" >&2; exit 1; fi'
    keep_loads(rig, f"load*) cat >~/came; {gone}; mv ~/came ~/load-$(ls ~ | grep -c load-).tar ;;")
    load_early(rig, monkeypatch)
    rig.move(history=False)
    found = Classic.of(rig)
    assert layers_of(rig) in found.chains
    assert len(found.tags) == 1
    assert "no such layer | docker load failed; layers that seemed" in "\n".join(rig.world.progress.notes)


def test_a_line_that_breaks_while_layers_are_loaded_ends_the_move_and_the_same_command_goes_on(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(rig, ("/one", b"1"), ("/two", b"2"), ("/three", b"3"))
    keep_loads(rig)
    with pytest.MonkeyPatch.context() as patch:
        load_early(rig, patch)
        rig.die_after("check")
    assert rig.bottle.tombstone.read() is None
    assert rig.move().arrived_as == rig.bottle.identity
    assert layers_of(rig) in Classic.of(rig).chains


def test_what_may_not_leave_holds_back_all_that_comes_after_it(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(rig, ("/one", b"first layer"), ("/root/key", KEY), ("/three", b"last layer"))
    looked = Search.conclude

    def late(*args: Any) -> tuple[Find, ...]:
        deadline = time.monotonic() + 1  # enough for what should not leave
        while KEY not in staged(rig) and time.monotonic() < deadline:
            time.sleep(0.01)
        return looked(*args)

    monkeypatch.setattr(Search, "conclude", late)
    with pytest.raises(PreflightRefused, match="/root/key: a GitHub token") as caught:
        rig.move()
    assert "nothing of them was sent" in caught.value.left
    there = staged(rig)
    assert KEY not in there
    assert b"last layer" not in there
    assert rig.move(carry=("/root/key",)).account.along == ("/root/key: a GitHub token",)


def test_what_a_later_layer_explains_leaves_with_it(rig: MoveRig) -> None:
    said = hashlib.md5(KEY, usedforsecurity=False).hexdigest().encode() + b"  usr/lib/demo\n"
    committed(rig, ("/usr/lib/demo", KEY), ("/var/lib/dpkg/info/demo.md5sums", said))
    keep_loads(rig)
    assert rig.move().account.along == ()
    assert layers_of(rig) in Classic.of(rig).chains


def test_what_only_a_layer_explains_that_was_known_before_leaves_all_the_same(rig: MoveRig) -> None:
    said = hashlib.md5(KEY, usedforsecurity=False).hexdigest().encode() + b"  usr/lib/demo\n"
    committed(rig, ("/var/lib/dpkg/info/demo.md5sums", said))
    rig.move(keep=True)
    resume(rig.world.context, rig.bottle, ResumeRequest())
    committed(rig, ("/usr/lib/demo", KEY), ("/last", b"layer"))
    keep_loads(rig)
    assert rig.move().account.along == ()
    assert layers_of(rig) in Classic.of(rig).chains


def test_a_disk_there_that_is_too_small_is_known_before_it_is_full(
    rig: MoveRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(rig, ("/one", b"1"))

    def full(*_: object, **__: object) -> None:
        raise PreflightRefused("there is no room")

    monkeypatch.setattr(image, "require_room", full)
    with pytest.raises(PreflightRefused, match="no room"):
        rig.move()
    assert staged(rig) == b""


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_layers_leave_base_first_as_soon_as_they_can(order: list[int], wanted: set[int]) -> None:
    def blob(number: int) -> Blob:
        return Blob(diff_id=str(number), diff_size=0, digest="", size=0, codec=Codec.NONE, path=Path("/nonexistent"))

    came: list[int] = []

    def coming() -> Iterator[Blob]:
        for number in order:
            if number in wanted:
                came.append(number)
                yield blob(number)

    left = []
    for each in base_first(coming(), [str(number) for number in sorted(wanted)]):
        left.append(int(each.diff_id))
        assert set(came) >= {number for number in wanted if number <= left[-1]}
    assert left == sorted(wanted)


class TestInBackground:
    """Work that is done while its results are taken."""

    def test_it_goes_on_while_nobody_takes_anything(self) -> None:
        made: list[int] = []

        def make(_: Progress) -> Iterator[int]:
            for number in range(3):
                made.append(number)
                yield number

        with in_background(make, Silent()) as items:
            deadline = time.monotonic() + PATIENCE
            while len(made) < 3 and time.monotonic() < deadline:
                time.sleep(0.001)
            assert list(items) == made == [0, 1, 2]

    def test_its_error_is_raised_behind_what_came_before_it(self) -> None:
        def make(_: Progress) -> Iterator[int]:
            yield 1
            raise StateDamaged("the disk is full")

        with in_background(make, Silent()) as items:
            assert next(items) == 1
            with pytest.raises(StateDamaged, match="the disk is full"):
                next(items)

    def test_it_ends_when_nobody_takes_anything_any_more(self) -> None:
        ended = threading.Event()

        def make(progress: Progress) -> Iterator[int]:
            try:
                while True:
                    progress.advance(1)
                    yield 1
            finally:
                ended.set()

        with in_background(make, Silent()) as items:
            next(items)
        assert ended.wait(PATIENCE)


def test_all_that_the_engine_is_given_is_one_whole_archive(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(rig, ("/one", b"1"), ("/two", b"2"))
    keep_loads(rig)
    monkeypatch.setattr(loading, "_WORTHWHILE", 1)
    rig.move()
    for archive in rig.far.glob("load-*.tar"):
        data = archive.read_bytes()
        assert data.endswith(bytes(1024))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            names = [each.name for each in tar]
        assert set(chain(names)) >= {"manifest.json", "index.json", "oci-layout"}


def test_an_image_that_fails_its_proof_is_forgotten_there(rig: MoveRig, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(rig, ("/one", b"1"))
    ran = Ran(rig, monkeypatch)

    def refused(*_: object) -> None:
        raise VerificationFailed("its layers differ")

    monkeypatch.setattr(Destination, "verify_image", refused)
    with pytest.raises(VerificationFailed, match="its layers differ"):
        rig.move()
    assert ran.names.index("unload") == ran.names.index("load") + 1
