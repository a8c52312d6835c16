"""What the fake engine has beyond the contract: faults on command, remembered calls, and its stores' differences."""

import io
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bottle.errors import BottleError, EngineError, EngineUnreachable
from bottle.model import CommitSpec, ImageDefaults, ImageFacts, LaunchSpec, Status, Store
from bottle.testing import Clock, FakeEngine, RecordingProgress
from bottle.testing.image import hexadecimal

SPEC = LaunchSpec(
    name="bottle-x",
    image="base:1",
    entrypoint=("agent",),
    env=(),
    labels=(("bottle.identity", "x"),),
    mounts=(),
    workdir="/workspace",
    user="",
    hostname="x",
    network="none",
    memory=None,
    cpus=None,
    pids=512,
    cap_add=(),
    tty=False,
    interactive=True,
)
COMMIT = CommitSpec(tag="c:1", labels=(("bottle.nonce", "n"),), defaults=ImageDefaults(), message="")


def engine_with_container(store: Store = Store.CLASSIC) -> FakeEngine:
    engine = FakeEngine(store=store)
    engine.add_image("base:1", {"/etc/os-release": b"ID=fake\n"})
    engine.create(SPEC)
    engine.start("bottle-x")
    return engine


def commit(engine: FakeEngine) -> ImageFacts:
    engine.write("bottle-x", "/work/journal", b"day one")
    return engine.commit("bottle-x", COMMIT)


def rewritten(archive: bytes, keep: object) -> bytes:
    """An archive with only those members that `keep` says yes to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for member in old:
            if keep(member.name):  # type: ignore[operator]
                new.addfile(member, old.extractfile(member))
    return buffer.getvalue()


def test_a_call_fails_once_and_before_it_does_anything() -> None:
    engine = engine_with_container()
    engine.fail_next("pause", EngineError("no"))
    with pytest.raises(EngineError, match="no"):
        engine.pause("bottle-x")
    assert engine.container("bottle-x").status is Status.RUNNING  # type: ignore[union-attr]
    engine.pause("bottle-x")


def test_faults_come_in_turn() -> None:
    engine = engine_with_container()
    for text in ("first", "second"):
        engine.fail_next("info", EngineError(text))
    for text in ("first", "second"):
        with pytest.raises(EngineError, match=text):
            engine.info()
    engine.info()


def test_an_answer_can_be_lost_after_the_work() -> None:
    engine = engine_with_container()
    engine.fail_next("commit", EngineError("lost"), afterwards=True)
    with pytest.raises(EngineError, match="lost"):
        commit(engine)
    assert [image.tags for image in engine.images({"bottle.nonce": "n"})] == [("c:1",)]


@pytest.mark.parametrize("size", [0, 1, 65536, 70_000])
def test_a_stream_can_be_cut(size: int) -> None:
    engine = engine_with_container()
    engine.write("bottle-x", "/big", b"x" * 200_000)
    engine.fail_next("read_archive", EngineError("cut"), after_bytes=size)
    got = b""
    with pytest.raises(EngineError, match="cut"):  # noqa: PT012
        for chunk in engine.read_archive("bottle-x", "/big"):
            got += chunk
    assert len(got) == size


def test_a_fault_needs_a_method() -> None:
    with pytest.raises(AttributeError):
        FakeEngine().fail_next("comit", EngineError("typo"))


def test_an_engine_that_is_down_answers_nothing() -> None:
    engine = engine_with_container()
    engine.down = True
    with pytest.raises(EngineUnreachable):
        engine.info()


def test_calls_are_remembered() -> None:
    engine = engine_with_container()
    engine.stop("bottle-x", grace=3)
    assert engine.methods == ("create", "start", "stop")
    assert engine.calls[-1].arguments == ("bottle-x", 3)


def test_times_come_from_the_clock() -> None:
    moment = datetime(2030, 5, 5, tzinfo=UTC)
    engine = FakeEngine(clock=lambda: moment)
    assert engine.add_image("base:1").created_at == moment
    clock = Clock(moment)
    assert clock() < clock()


def test_the_agent_works_and_ends() -> None:
    engine = engine_with_container()
    engine.write("bottle-x", "/work/a", b"a")
    engine.erase("bottle-x", "/etc/os-release")
    engine.say("bottle-x", b"done\n")
    engine.exit("bottle-x", 5)
    assert engine.read("bottle-x", "/work/a") == b"a"
    assert {change.path: change.kind.name for change in engine.changes("bottle-x")} == {
        "/etc": "MODIFIED",
        "/etc/os-release": "DELETED",
        "/work": "ADDED",
        "/work/a": "ADDED",
        "/workspace": "ADDED",
    }
    assert engine.wait("bottle-x") == 5


def test_deletions_are_in_a_commit() -> None:
    engine = engine_with_container()
    engine.erase("bottle-x", "/etc/os-release")
    commit(engine)
    engine.remove_container("bottle-x")
    engine.create(LaunchSpec(**{**{name: getattr(SPEC, name) for name in SPEC.__slots__}, "image": "c:1"}))
    assert engine.read("bottle-x", "/work/journal") == b"day one"
    with pytest.raises(KeyError):
        engine.read("bottle-x", "/etc/os-release")


def test_an_image_has_another_id_in_another_store_but_the_same_layers_and_config() -> None:
    found = {store: commit(engine_with_container(store)) for store in Store}
    classic, containerd = found[Store.CLASSIC], found[Store.CONTAINERD]
    assert classic.id != containerd.id
    assert (classic.diff_ids, classic.config_digest) == (containerd.diff_ids, containerd.config_digest)


@pytest.mark.parametrize("store", Store, ids=lambda store: store.value)
def test_a_layer_left_out_is_taken_from_the_store_that_can(store: Store) -> None:
    engine = engine_with_container(store)
    image = commit(engine)
    base = hexadecimal(image.diff_ids[0])
    archive = rewritten(b"".join(engine.save("c:1")), lambda name: base not in name)
    engine.remove_image("c:1")
    engine.load([archive])
    assert engine.image("c:1") == image
    with pytest.raises(EngineError):
        FakeEngine(store=store).load([archive])


def test_the_containerd_store_takes_no_layer_left_out_of_the_old_form() -> None:
    engine = engine_with_container(Store.CONTAINERD)
    image = commit(engine)
    base = hexadecimal(image.diff_ids[0])
    whole = b"".join(engine.save("c:1"))
    archive = rewritten(whole, lambda name: base not in name and name not in ("index.json", "oci-layout"))
    with pytest.raises(EngineError):
        engine.load([archive])
    engine.load([rewritten(whole, lambda name: name not in ("index.json", "oci-layout"))])


def test_an_archive_names_its_tag() -> None:
    engine = engine_with_container()
    commit(engine)
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.save("c:1")))) as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert entry["RepoTags"] == ["c:1"]


def test_pull_takes_from_the_registry() -> None:
    engine = FakeEngine()
    engine.registry["far:1"] = engine.make_image({"/a": b"a"}, Cmd=["sh"])
    engine.pull("far:1", RecordingProgress())
    assert engine.image("far:1").defaults.command == ("sh",)  # type: ignore[union-attr]


def test_builds_do_what_tests_need(tmp_path: Path) -> None:
    engine = FakeEngine()
    progress = RecordingProgress()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("content")
    engine.registry["base:1"] = engine.make_image({})
    engine.build(
        dockerfile=b"# comment\nFROM base:1\nARG WHAT=b\nCOPY folder /there\nRUN echo ${WHAT}\n"
        b'ENV A=b \\\n  C=d\nCMD ["x"]\nHEALTHCHECK NONE\n',
        context=tmp_path,
        tag="built",
        labels={"l": "v"},
        args={"WHAT": "words"},
        secrets={},
        progress=progress,
    )
    image = engine.image("built:latest")
    assert image is not None
    assert (image.labels, image.defaults.command) == ({"l": "v"}, ("x",))
    assert progress.outputs == ["words"]
    engine.create(LaunchSpec(**{**{name: getattr(SPEC, name) for name in SPEC.__slots__}, "image": "built"}))
    assert engine.read("bottle-x", "/there/file") == b"content"


def test_progress_remembers() -> None:
    progress = RecordingProgress()
    with progress.phase("outer", 10), progress.phase("inner"):
        progress.advance(3)
        progress.advance(4)
    progress.note("done")
    assert progress.phases == [("outer", 10), ("inner", None)]
    assert (progress.done, progress.notes, progress.open) == ({"outer": 0, "inner": 7}, ["done"], [])


def test_errors_of_the_fake_are_the_real_ones() -> None:
    engine = FakeEngine()
    with pytest.raises(BottleError):
        engine.start("nobody")
