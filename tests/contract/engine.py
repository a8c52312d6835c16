"""The contract of `bottle.ports.Engine`: one suite, run against the fake and against the real engine.

A subclass named Test… in a test module gives a fixture `rig`.
"""

from __future__ import annotations

import io
import itertools
import re
import secrets
import select
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bottle.errors import BottleError, BuildFailed, Conflict, EngineError, NameTaken, NotFound, PortTaken
from bottle.facts import config_digest
from bottle.helper import python
from bottle.model import (
    NO_RESTART,
    Change,
    ChangeKind,
    CommitSpec,
    ContainerEvent,
    ContainerFacts,
    EventKind,
    HelperSpec,
    ImageDefaults,
    ImageFacts,
    LaunchSpec,
    Mount,
    MountKind,
    Status,
    Store,
    VolumeFacts,
)
from bottle.portbinding import PortBinding
from bottle.ports import Engine, Session
from bottle.testing import RecordingProgress
from tests.support.ports import free_port

LABEL = "bottle.contract"
SLEEP = ("sleep", "600")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Rig:
    """An engine under test. `play` makes a fake container print and end; a real one does so by itself."""

    engine: Engine
    base: str
    folder: Path
    play: Callable[[str, bytes, int], None] = lambda ref, output, code: None
    run: str = field(default_factory=lambda: secrets.token_hex(5))

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: self.run}

    def name(self, text: str) -> str:
        return f"bottle-contract-{self.run}-{text}"

    def image(self, text: str) -> str:
        return f"bottle-contract-{self.run}:{text}"

    def build(
        self,
        dockerfile: str = "",
        *,
        tag: str = "built",
        files: Mapping[str, str] | None = None,
        args: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        progress: RecordingProgress | None = None,
    ) -> ImageFacts:
        context = self.folder / f"context-{secrets.token_hex(4)}"
        for path, content in {".keep": "", **(files or {})}.items():
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            (context / path).write_text(content)
        # Layers of its own: those that builds share go from under one when another test removes its image.
        whole = f"FROM {self.base}\nLABEL agent-bottle.build={context.name}\nRUN echo hello > /greeting\n{dockerfile}\n"
        self.engine.build(
            dockerfile=whole.encode(),
            context=context,
            tag=self.image(tag),
            labels=self.labels,
            args=args or {},
            secrets=secret or {},
            progress=progress or RecordingProgress(),
        )
        return self.look_at(self.image(tag))

    def look_at(self, ref: str) -> ImageFacts:
        image = self.engine.image(ref)
        assert image is not None
        return image

    def spec(self, text: str = "one", **fields: Any) -> LaunchSpec:
        standard: dict[str, Any] = {
            "name": self.name(text),
            "image": self.base,
            "entrypoint": SLEEP,
            "env": (("COLOUR", "blue"),),
            "labels": tuple(self.labels.items()),
            "mounts": (),
            "workdir": "/workspace",
            "user": "",
            "hostname": "contract",
            "network": "none",
            "memory": 256 * 1024 * 1024,
            "cpus": 1.0,
            "pids": 64,
            "cap_add": (),
            "tty": False,
            "interactive": True,
        }
        return LaunchSpec(**{**standard, **fields})

    def create(self, text: str = "one", **fields: Any) -> str:
        return self.engine.create(self.spec(text, **fields))

    def running(self, text: str = "one", **fields: Any) -> str:
        ref = self.create(text, **fields)
        self.engine.start(ref)
        return ref

    def commit_spec(self, tag: str, **fields: Any) -> CommitSpec:
        standard: dict[str, Any] = {
            "tag": self.image(tag),
            "labels": tuple(self.labels.items()),
            "defaults": ImageDefaults(),
            "message": "half done",
        }
        return CommitSpec(**{**standard, **fields})

    def write(self, ref: str, path: str, data: bytes, **fields: Any) -> None:
        self.engine.write_archive(ref, "/", io.BytesIO(tar_of((path.lstrip("/"), data), **fields)))

    def read(self, ref: str, path: str) -> bytes:
        members = read_tar(self.engine.read_archive(ref, path))
        return members[Path(path).name]

    def look(self, ref: str) -> ContainerFacts:
        container = self.engine.container(ref)
        assert container is not None
        return container

    def status(self, ref: str) -> Status:
        return self.look(ref).status

    def clean(self) -> None:
        """Remove whatever this run has made; children before their parents."""
        for container in self.engine.containers(self.labels):
            self.engine.remove_container(container.id)
        for _ in range(10):
            left = self.engine.images(self.labels)
            for ref in [ref for image in left for ref in (image.tags or (image.id,))]:
                with suppress(Conflict):
                    self.engine.remove_image(ref)
            if not left:
                break
        for volume in self.engine.volumes(self.labels):
            self.engine.remove_volume(volume)


def tar_of(*files: tuple[str, bytes], **fields: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in fields.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read_tar(chunks: Iterable[bytes]) -> dict[str, bytes]:
    members = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        for member in tar:
            content = tar.extractfile(member)
            members[member.name] = content.read() if content else b""
    return members


def hear(session: Session, size: int, seconds: float = 20) -> bytes:
    """`size` bytes of output, or what came until the end or the time was over; waits as callers do, with select."""
    heard = b""
    while len(heard) < size and select.select([session], [], [], seconds)[0]:
        data = session.recv(4096)
        if not data:
            break
        heard += data
    return heard


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def apparent_time(moment: datetime | None) -> bool:
    return moment is not None and moment.tzinfo is not None and moment > LONG_AGO


ASKS: dict[str, Callable[[Engine], object]] = {
    "start": lambda e: e.start("no-such-bottle"),
    "stop": lambda e: e.stop("no-such-bottle"),
    "pause": lambda e: e.pause("no-such-bottle"),
    "unpause": lambda e: e.unpause("no-such-bottle"),
    "update": lambda e: e.update("no-such-bottle", restart=NO_RESTART),
    "rename": lambda e: e.rename("no-such-bottle", "other-name"),
    "wait": lambda e: e.wait("no-such-bottle"),
    "ended_within": lambda e: e.ended_within("no-such-bottle", 0.1),
    "usage": lambda e: e.usage("no-such-bottle"),
    "changes": lambda e: e.changes("no-such-bottle"),
    "writable_size": lambda e: e.writable_size("no-such-bottle"),
    "writable_layer": lambda e: e.writable_layer("no-such-bottle"),
    "layer_folder": lambda e: e.layer_folder("no-such-bottle"),
    "volume_folder": lambda e: e.volume_folder("no-such-volume"),
    "read_archive": lambda e: e.read_archive("no-such-bottle", "/etc"),
    "write_archive": lambda e: e.write_archive("no-such-bottle", "/", io.BytesIO(tar_of())),
    "logs": lambda e: e.logs("no-such-bottle"),
    "attach": lambda e: e.attach("no-such-bottle"),
    "resize": lambda e: e.resize("no-such-bottle", rows=10, columns=10),
    "execute": lambda e: e.execute("no-such-bottle", ("true",), tty=False),
    "commit": lambda e: e.commit(
        "no-such-bottle", CommitSpec(tag="x:1", labels=(), defaults=ImageDefaults(), message="")
    ),
    "tag": lambda e: e.tag("no-such-image:1", "x:1"),
    "save": lambda e: e.save("no-such-image:1"),
}


class BuilderContract:
    """What a build promises, whoever does it."""

    def test_build_makes_an_image(self, rig: Rig) -> None:
        image = rig.build(
            'COPY notes /srv/notes\nENTRYPOINT ["/bin/echo"]\nCMD ["hi", "there"]\nUSER 1000\nVOLUME /data',
            files={"notes/a.txt": "first"},
        )
        assert image.tags == (rig.image("built"),)
        assert image.labels[LABEL] == rig.run
        assert image.defaults == ImageDefaults(entrypoint=("/bin/echo",), command=("hi", "there"), user="1000")
        assert image.declared_volumes == ("/data",)
        assert apparent_time(image.created_at)
        assert image.diff_ids[: len(rig.look_at(rig.base).diff_ids)] == rig.look_at(rig.base).diff_ids
        container = rig.create(image=rig.image("built"))
        assert rig.read(container, "/srv/notes/a.txt") == b"first"
        assert rig.read(container, "/greeting") == b"hello\n"

    def test_build_honours_dockerignore_and_leaves_no_dockerfile(self, rig: Rig) -> None:
        rig.build(
            "COPY . /srv/",
            files={
                ".dockerignore": "# a comment\nsecret.txt\nbuild/\n",
                "secret.txt": "s",
                "build/o": "o",
                "kept": "k",
            },
        )
        names = set(read_tar(rig.engine.read_archive(rig.create(image=rig.image("built")), "/srv")))
        assert "srv/kept" in names
        assert not names & {"srv/secret.txt", "srv/build/o"}
        assert not [name for name in names if "ockerfile" in name]

    def test_build_tells_its_steps(self, rig: Rig) -> None:
        progress = RecordingProgress()
        rig.engine.build(
            dockerfile=f"FROM {rig.base}\nRUN true".encode(),
            context=rig.folder,
            tag=rig.image("built"),
            labels=rig.labels,
            args={},
            secrets={},
            progress=progress,
        )
        assert [note for note in progress.notes if note.startswith("Step 1/")]

    def test_build_shows_what_its_steps_print(self, rig: Rig) -> None:
        progress = RecordingProgress()
        rig.build(f"RUN echo 'what {rig.run} says'", progress=progress)
        assert f"what {rig.run} says" in progress.outputs

    def test_build_gives_the_values_that_are_declared(self, rig: Rig) -> None:
        step = "ARG COLOUR=red\nARG SIZE=small\nLABEL colour=$COLOUR size=$SIZE"
        step += "\nRUN echo $COLOUR ${SIZE} > /said\nUSER $COLOUR"
        image = rig.build(step, args={"COLOUR": "blue", "UNDECLARED": "x"})
        assert (image.labels["colour"], image.labels["size"]) == ("blue", "small")
        assert image.defaults.user == "blue"
        assert rig.read(rig.create(image=image.id), "/said") == b"blue small\n"

    @pytest.mark.parametrize("step", ["RUN exit 7", "COPY missing /x", "FROBNICATE now"])
    def test_a_step_that_fails_is_named_and_tags_nothing(self, rig: Rig, step: str) -> None:
        with pytest.raises(BuildFailed) as caught:
            rig.build(step)
        assert rig.engine.image(rig.image("built")) is None
        assert step.split(maxsplit=1)[0] in caught.value.what
        assert caught.value.next_step

    def test_a_context_that_is_missing_fails_the_build(self, rig: Rig) -> None:
        with pytest.raises(BuildFailed):
            rig.engine.build(
                dockerfile=b"FROM scratch",
                context=rig.folder / "nowhere",
                tag=rig.image("built"),
                labels={},
                args={},
                secrets={},
                progress=RecordingProgress(),
            )


class EngineContract(BuilderContract):
    """Every method of the port, with the errors it promises."""

    freezes = True  # whether the engine can pause a container
    tells_of_ends_in_order = True
    tells_of_runtimes = True  # whether an inspect says what a container runs in

    # What is there.

    def test_an_engine_says_where_it_is_looked_for(self, rig: Rig) -> None:
        assert rig.engine.endpoint.is_local == rig.engine.is_local
        assert str(rig.engine.endpoint).startswith(f"{rig.engine.endpoint.address} (context ")

    def test_info_says_what_answers(self, rig: Rig) -> None:
        info = rig.engine.info()
        assert info.version
        assert info.os == "linux"
        assert info.store in Store
        assert info.root_dir.startswith("/")
        assert info.architecture == rig.look_at(rig.base).architecture
        assert info.id
        assert info.id == rig.engine.info().id
        assert info.cpus > 0
        assert info.memory > 1 << 20
        assert info.default_runtime in {each.name for each in info.runtimes}
        assert all(each.program for each in info.runtimes)

    def test_a_container_runs_in_the_default_runtime(self, rig: Rig) -> None:
        expected = rig.engine.info().default_runtime if self.tells_of_runtimes else ""
        assert rig.look(rig.create()).runtime == expected

    def test_networks_are_listed(self, rig: Rig) -> None:
        networks = rig.engine.networks()
        assert networks
        assert list(networks) == sorted(networks, key=lambda network: network.name)
        assert len({each.id for each in networks}) == len(networks)

    @pytest.mark.parametrize("ref", ["no-such-thing", "../../etc", "; rm -rf /", "", "-x", "a b", "sha256:" + "0" * 64])
    def test_what_is_not_there_is_none(self, rig: Rig, ref: str) -> None:
        assert rig.engine.container(ref) is None
        assert rig.engine.image(ref) is None

    @pytest.mark.parametrize("method", ASKS)
    def test_what_is_not_there_is_not_found(self, rig: Rig, method: str) -> None:
        with pytest.raises(NotFound):
            ASKS[method](rig.engine)

    def test_gone_already_is_fine(self, rig: Rig) -> None:
        rig.engine.remove_container("no-such-bottle")
        rig.engine.remove_image("no-such-image:1")
        rig.engine.remove_volume("no-such-volume")

    def test_a_container_says_what_it_was_made_to_run(self, rig: Rig) -> None:
        argv = ("/bin/sh", "-c", "exec sleep 600", "it's", "")
        for ref in (rig.create(entrypoint=argv), rig.running("runs", entrypoint=argv)):
            container = rig.engine.container(ref)
            assert container is not None
            assert container.argv == argv

    def test_containers_are_found_by_labels(self, rig: Rig) -> None:
        one = rig.create("one")
        two = rig.create("two", labels=(*rig.labels.items(), ("bottle.colour", "red")))
        rig.engine.start(two)
        assert {each.id for each in rig.engine.containers(rig.labels)} == {one, two}
        assert [each.id for each in rig.engine.containers({**rig.labels, "bottle.colour": None})] == [two]
        assert rig.engine.containers({**rig.labels, "bottle.colour": "blue"}) == ()

    def test_summaries_of_containers_say_what_inspecting_says(self, rig: Rig) -> None:
        running = ("running", "paused") if self.freezes else ("running",)
        for text in ("created", *running, "exited"):
            rig.create(text, entrypoint=("sh", "-c", "exit 3") if text == "exited" else SLEEP)
        for text in (*running, "exited"):
            rig.engine.start(rig.name(text))
        if self.freezes:
            rig.engine.pause(rig.name("paused"))
        rig.play(rig.name("exited"), b"", 3)
        rig.engine.wait(rig.name("exited"))
        facts = {each.id: each for each in rig.engine.containers(rig.labels)}
        summaries = {each.id: each for each in rig.engine.container_summaries(rig.labels)}
        assert facts.keys() == summaries.keys()
        for id_, summary in summaries.items():
            full = facts[id_]
            assert summary.name == full.name
            assert summary.image == full.image
            assert summary.status is full.status
            assert summary.exit_code == full.exit_code
            assert summary.labels == full.labels
            assert summary.created_at == full.created_at.replace(microsecond=summary.created_at.microsecond)
        assert {each.status.value for each in summaries.values()} == {"created", *running, "exited"}
        assert rig.engine.container_summaries({**rig.labels, "bottle.colour": None}) == ()

    def test_summaries_of_images_say_what_inspecting_says(self, rig: Rig) -> None:
        built = rig.build()
        rig.engine.tag(built.id, rig.image("other"))
        ref = rig.create(image=rig.image("built"))
        committed = rig.engine.commit(ref, rig.commit_spec("committed"))
        summaries = {each.id: each for each in rig.engine.image_summaries(rig.labels)}
        assert {built.id, committed.id} <= summaries.keys()
        for id_ in (built.id, committed.id):
            full, summary = rig.look_at(id_), summaries[id_]
            assert sorted(summary.tags) == sorted(full.tags)
            packed_only = rig.engine.info().store is Store.CONTAINERD
            assert summary.size > full.size if packed_only else summary.size == full.size
            assert summary.labels == full.labels
            assert apparent_time(summary.created_at)
        assert rig.engine.image_summaries({**rig.labels, "bottle.colour": "red"}) == ()

    def test_a_port_of_the_host_is_one_running_containers(self, rig: Rig) -> None:
        ports = (PortBinding("127.0.0.1", free_port(), 80), PortBinding("127.0.0.1", free_port(), 53, "udp"))
        first = rig.create("first", network="bridge", ports=ports)
        other = rig.create("other", network="bridge", ports=ports[:1])
        rig.engine.start(first)
        held = {each.id: each.ports for each in rig.engine.container_summaries(rig.labels)}
        assert held == {first: tuple(sorted(ports)), other: ()}
        with pytest.raises(PortTaken, match=ports[0].place):
            rig.engine.start(other)
        assert not rig.status(other).alive
        rig.engine.stop(first, 0)
        rig.engine.start(other)
        held = {each.id: each.ports for each in rig.engine.container_summaries(rig.labels)}
        assert held == {first: (), other: ports[:1]}

    @pytest.mark.parametrize(
        ("fields", "command", "said"),
        [
            ({"user": "1234:5"}, "id -u; id -g", b"1234\n5\n"),
            ({"user": "daemon"}, "id -un", b"daemon\n"),
            ({"shm_size": 16 << 20}, "df -k --output=size /dev/shm | tail -n 1 | tr -d ' '", b"16384\n"),
            ({"hosts": (("db.local", "10.0.0.5"),)}, "getent hosts db.local | tr -s ' '", b"10.0.0.5 db.local\n"),
            ({"hosts": (("six", "fd00::5"),)}, "getent hosts six | tr -s ' '", b"fd00::5 six\n"),
        ],
    )
    def test_a_container_is_what_it_was_asked_to_be(
        self, rig: Rig, fields: dict[str, Any], command: str, said: bytes
    ) -> None:
        ref = rig.running("said", network="bridge", entrypoint=("sh", "-c", command), **fields)
        rig.play(ref, said, 0)
        rig.engine.wait(ref)
        assert b"".join(rig.engine.logs(ref)) == said

    # What happens, and what it takes.

    def test_events_tell_what_happens_until_they_are_closed(self, rig: Rig) -> None:
        rig.create("before")
        stream = rig.engine.events({**rig.labels, "bottle.colour": None})
        heard: list[ContainerEvent] = []
        listener = threading.Thread(target=lambda: heard.extend(stream), daemon=True)
        listener.start()
        try:
            rig.create("other", labels=(*rig.labels.items(), ("bottle.shape", "round")))
            ref = rig.create("red", labels=(*rig.labels.items(), ("bottle.colour", "red")))
            rig.engine.start(ref)
            list(rig.engine.read_archive(ref, "/etc/os-release"))
            if self.freezes:
                rig.engine.pause(ref)
                rig.engine.unpause(ref)
            rig.engine.commit(ref, rig.commit_spec("event"))
            rig.engine.stop(ref, 0)
            rig.engine.rename(ref, rig.name("blue"))
            rig.engine.remove_container(ref)
            assert eventually(lambda: bool(heard) and heard[-1].kind is EventKind.DESTROY)
        finally:
            stream.close()
        listener.join(10)
        assert not listener.is_alive()
        freezing = ["pause", "unpause"] if self.freezes else []
        ending = ["die"] if self.tells_of_ends_in_order else []
        told = [event.kind.value for event in heard if self.tells_of_ends_in_order or event.kind is not EventKind.DIE]
        # Docker tells of a pause a second time where its containerd's word of it comes after the unpause.
        told = [kind for place, kind in enumerate(told) if kind not in freezing or kind not in told[:place]]
        assert told == ["create", "start", *freezing, "commit", *ending, "rename", "destroy"]
        assert {event.container for event in heard} == {ref}
        assert heard[0].name == rig.name("red")
        assert heard[-1].name == rig.name("blue")
        assert all(event.labels["bottle.colour"] == "red" for event in heard)

    def test_events_that_were_closed_before_are_none(self, rig: Rig) -> None:
        stream = rig.engine.events(rig.labels)
        stream.close()
        assert list(stream) == []
        stream.close()

    def test_what_runs_is_measured(self, rig: Rig) -> None:
        ref = rig.create()
        assert rig.engine.usage(ref) is None
        rig.engine.start(ref)
        used = rig.engine.usage(ref)
        assert used is not None
        assert 0 <= used.cpu < 100
        assert 0 < used.memory <= 256 * 1024 * 1024
        rig.engine.stop(ref, 0)
        assert rig.engine.usage(ref) is None

    # Pull.

    def test_pull_of_what_no_registry_has_fails(self, rig: Rig) -> None:
        with pytest.raises((NotFound, EngineError)):
            rig.engine.pull("localhost:1/no-such-image:1", RecordingProgress())

    # Containers' lives.

    def test_create_makes_what_was_asked_for(self, rig: Rig) -> None:
        rig.engine.create_volume(rig.name("volume"), rig.labels)
        (rig.folder / "work").mkdir()
        mounts = (
            Mount(kind=MountKind.BIND, source=str(rig.folder / "work"), target="/a", read_only=True),
            Mount(kind=MountKind.TMPFS, source="", target="/b"),
            Mount(kind=MountKind.VOLUME, source=rig.name("volume"), target="/c"),
        )
        ref = rig.create(mounts=mounts)
        container = rig.engine.container(rig.name("one"))
        assert container is not None
        assert container.id == ref
        assert container.name == rig.name("one")
        assert container.image == rig.look_at(rig.base).id
        assert container.status is Status.CREATED
        assert container.labels[LABEL] == rig.run
        assert container.mounts == mounts
        assert apparent_time(container.created_at)
        assert (container.started_at, container.finished_at, container.exit_code) == (None, None, None)
        assert not container.ever_ran

    def test_a_name_is_taken_once(self, rig: Rig) -> None:
        rig.create("one")
        two = rig.create("two")
        with pytest.raises(NameTaken, match="one"):
            rig.create("one")
        with pytest.raises(NameTaken):
            rig.engine.rename(two, rig.name("one"))
        rig.engine.rename(two, rig.name("three"))
        assert rig.engine.container(rig.name("two")) is None
        assert rig.engine.container(rig.name("three")) is not None

    def test_create_needs_its_image(self, rig: Rig) -> None:
        with pytest.raises(NotFound):
            rig.create(image="no-such-image:1")

    def test_a_bind_must_exist_and_is_not_made(self, rig: Rig) -> None:
        source = rig.folder / "nowhere"
        with pytest.raises(EngineError, match="nowhere"):
            rig.create(mounts=(Mount(kind=MountKind.BIND, source=str(source), target="/a"),))
        assert rig.engine.container(rig.name("one")) is None
        assert not source.exists()

    def test_a_declared_volume_is_anonymous_and_goes_with_its_container(self, rig: Rig) -> None:
        rig.build("VOLUME /data")
        ref = rig.create(image=rig.image("built"))
        container = rig.engine.container(ref)
        assert container is not None
        (mount,) = container.mounts
        assert (mount.kind, mount.target, mount.anonymous) == (MountKind.VOLUME, "/data", True)
        assert mount.source in rig.engine.volumes({})
        rig.engine.remove_container(ref)
        assert mount.source not in rig.engine.volumes({})

    def test_start_stop_start(self, rig: Rig) -> None:
        ref = rig.running()
        rig.engine.start(ref)
        container = rig.engine.container(ref)
        assert container is not None
        assert container.status is Status.RUNNING
        assert apparent_time(container.started_at)
        assert container.pid > 0
        assert container.exit_code is None
        rig.engine.stop(ref, grace=1)
        rig.engine.stop(ref)
        stopped = rig.engine.container(ref)
        assert stopped is not None
        assert stopped.status is Status.EXITED
        assert apparent_time(stopped.finished_at)
        assert stopped.exit_code not in (None, 0)
        assert stopped.pid == 0
        rig.engine.start(ref)
        again = rig.engine.container(ref)
        assert again is not None
        assert again.status is Status.RUNNING
        assert again.started_at is not None
        assert container.started_at is not None
        assert again.started_at > container.started_at

    def test_pause_and_unpause(self, rig: Rig) -> None:
        ref = rig.create()
        with pytest.raises(Conflict):
            rig.engine.pause(ref)
        rig.engine.start(ref)
        with pytest.raises(Conflict):
            rig.engine.unpause(ref)
        rig.engine.pause(ref)
        assert rig.status(ref) is Status.PAUSED
        with pytest.raises(Conflict):
            rig.engine.pause(ref)
        rig.engine.unpause(ref)
        assert rig.status(ref) is Status.RUNNING

    def test_a_restart_policy_is_given_and_taken_away(self, rig: Rig) -> None:
        ref = rig.running()
        assert rig.look(ref).restart == NO_RESTART
        for policy in ("always", "unless-stopped", NO_RESTART):
            rig.engine.update(ref, restart=policy)
            assert (rig.look(ref).restart, rig.status(ref)) == (policy, Status.RUNNING)
        rig.engine.stop(ref, grace=1)
        rig.engine.update(ref, restart="always")
        assert (rig.look(ref).restart, rig.status(ref)) == ("always", Status.EXITED)
        rig.engine.update(ref, restart=NO_RESTART)
        assert rig.look(ref).restart == NO_RESTART

    def test_a_paused_container_can_be_stopped_and_removed(self, rig: Rig) -> None:
        one, two = rig.running("one"), rig.running("two")
        rig.engine.pause(one)
        rig.engine.pause(two)
        rig.engine.stop(one, grace=1)
        assert rig.status(one) is Status.EXITED
        rig.engine.remove_container(two)
        assert rig.engine.container(two) is None

    def test_wait_gives_the_exit_code_and_logs_the_output(self, rig: Rig) -> None:
        ref = rig.running(entrypoint=("/bin/sh", "-c", "echo one; echo two; exit 3"))
        rig.play(ref, b"one\ntwo\n", 3)
        assert rig.engine.wait(ref) == 3
        container = rig.engine.container(ref)
        assert container is not None
        assert container.exit_code == 3
        assert b"".join(rig.engine.logs(ref)) == b"one\ntwo\n"
        assert b"".join(rig.engine.logs(ref, follow=True)) == b"one\ntwo\n"
        assert b"".join(rig.engine.logs(ref, tail=1)) == b"two\n"
        assert b"".join(rig.engine.logs(ref, tail=0)) == b""

    def test_logs_say_when_a_line_was_written_and_begin_where_they_are_told_to(self, rig: Rig) -> None:
        ref = rig.running(entrypoint=("/bin/sh", "-c", "echo one; sleep 0.1; echo two"))
        rig.play(ref, b"one\ntwo\n", 0)
        rig.engine.wait(ref)
        lines = b"".join(rig.engine.logs(ref, timestamps=True)).decode().splitlines()
        assert [line.partition(" ")[2] for line in lines] == ["one", "two"]
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in lines), lines
        second = datetime.strptime(lines[1][:26] + "+0000", "%Y-%m-%dT%H:%M:%S.%f%z")
        assert b"".join(rig.engine.logs(ref, since=second)) == b"two\n"
        assert b"".join(rig.engine.logs(ref, since=second, tail=5, follow=True)) == b"two\n"
        assert b"".join(rig.engine.logs(ref, since=second + timedelta(seconds=1))) == b""

    def test_wait_for_one_that_never_ran_does_not_block(self, rig: Rig) -> None:
        assert rig.engine.wait(rig.create()) == 0

    def test_one_that_ends_at_once_is_told_from_one_that_goes_on(self, rig: Rig) -> None:
        assert rig.engine.ended_within(rig.running("goes-on"), 0.3) is None
        for name, code in (("well", 0), ("badly", 127)):
            ref = rig.running(name, entrypoint=("/bin/sh", "-c", f"exit {code}"))
            rig.play(ref, b"", code)
            assert rig.engine.ended_within(ref, 20) == code

    def test_wait_ends_when_another_stops_it(self, rig: Rig) -> None:
        ref = rig.running()
        stopper = threading.Timer(0.3, rig.engine.stop, (ref, 1))
        stopper.start()
        assert rig.engine.wait(ref) != 0
        stopper.join()

    # Commits.

    @pytest.mark.parametrize(
        ("entrypoint", "command"), list(itertools.product([(), ("/bin/echo", "-n")], [(), ("hi", "there")]))
    )
    def test_a_commit_gives_back_entrypoint_and_command(
        self, rig: Rig, entrypoint: tuple[str, ...], command: tuple[str, ...]
    ) -> None:
        defaults = ImageDefaults(entrypoint=entrypoint, command=command)
        image = rig.engine.commit(rig.create(), rig.commit_spec("1", defaults=defaults))
        assert image.defaults == defaults
        assert image == rig.look_at(rig.image("1"))

    def test_a_commit_gives_back_the_user(self, rig: Rig) -> None:
        named = ImageDefaults(user="agent")
        assert (
            rig.engine.commit(rig.create("one", user="agent"), rig.commit_spec("1", defaults=named)).defaults == named
        )
        other = rig.create("two", user="1000")
        cleared = rig.engine.commit(other, rig.commit_spec("2", defaults=ImageDefaults()))
        assert cleared.defaults.user in ("", "0")  # an engine that cannot clear it names root

    def test_a_commit_holds_the_work(self, rig: Rig) -> None:
        base = rig.build()
        ref = rig.running(image=rig.image("built"))
        rig.write(ref, "/work/journal", b"day one", mode=0o640, uid=1000, gid=1000)
        spec = rig.commit_spec("1", labels=(*rig.labels.items(), ("bottle.nonce", "n1")))
        image = rig.engine.commit(ref, spec)
        assert rig.status(ref) is Status.RUNNING
        assert image.tags == (rig.image("1"),)
        assert image.diff_ids[:-1] == base.diff_ids
        assert image.labels["bottle.nonce"] == "n1"
        assert [each.id for each in rig.engine.images({"bottle.nonce": "n1", **rig.labels})] == [image.id]
        resumed = rig.create("two", image=rig.image("1"))
        assert rig.read(resumed, "/work/journal") == b"day one"
        assert rig.read(resumed, "/greeting") == b"hello\n"

    def test_a_commit_of_a_commit(self, rig: Rig) -> None:
        one = rig.create("one")
        rig.write(one, "/work/a", b"a")
        first = rig.engine.commit(one, rig.commit_spec("1"))
        two = rig.create("two", image=rig.image("1"))
        rig.write(two, "/work/b", b"b")
        second = rig.engine.commit(two, rig.commit_spec("2"))
        assert second.diff_ids[:-1] == first.diff_ids
        three = rig.create("three", image=rig.image("2"))
        assert (rig.read(three, "/work/a"), rig.read(three, "/work/b")) == (b"a", b"b")

    def test_a_commit_leaves_volumes_out(self, rig: Rig) -> None:
        rig.engine.create_volume(rig.name("volume"), rig.labels)
        mount = Mount(kind=MountKind.VOLUME, source=rig.name("volume"), target="/data")
        ref = rig.create("one", mounts=(mount,))
        rig.write(ref, "/data/kept", b"v")
        assert rig.read(ref, "/data/kept") == b"v"
        rig.engine.commit(ref, rig.commit_spec("1"))
        bare = rig.create("two", image=rig.image("1"))
        with pytest.raises(NotFound):
            rig.engine.read_archive(bare, "/data/kept")
        other = rig.create("three", mounts=(mount,))
        assert rig.read(other, "/data/kept") == b"v"

    def test_a_commit_keeps_a_health_check_that_containers_do_not_run(self, rig: Rig) -> None:
        checked = rig.build("HEALTHCHECK CMD true", tag="checked")
        plain = rig.build("HEALTHCHECK CMD false", tag="other")
        assert checked.config_digest != plain.config_digest
        again = [
            rig.engine.commit(rig.create(name, image=rig.image(name), workdir="/"), rig.commit_spec(f"{name}-1"))
            for name in ("checked", "other")
        ]
        assert again[0].config_digest != again[1].config_digest

    @pytest.mark.parametrize(
        ("instructions", "fields"),
        [
            ("", {}),
            ("", {"user": "1000", "workdir": "/work", "env": (("A", "b=c"), ("E", ""))}),
            ("HEALTHCHECK CMD true\nSTOPSIGNAL SIGINT\nEXPOSE 80/tcp 53/udp\nLABEL a=b", {"workdir": "/"}),
            ('ENV A=1 B=2\nUSER 7\nSHELL ["/bin/sh", "-ec"]\nVOLUME /data', {"env": (("A", "3"),)}),
            ('WORKDIR /greetings\nENTRYPOINT ["/bin/echo"]\nCMD ["hi"]', {"workdir": ""}),
        ],
    )
    @pytest.mark.parametrize("defaults", [ImageDefaults(), ImageDefaults(entrypoint=("/bin/echo",), command=("x",))])
    def test_the_config_of_a_commit_is_known_before_it_is_made(
        self, rig: Rig, instructions: str, fields: Mapping[str, Any], defaults: ImageDefaults
    ) -> None:
        rig.build(instructions, tag="shaped")
        ref = rig.create(image=rig.image("shaped"), **fields)
        spec = rig.commit_spec("1", defaults=defaults)
        config = rig.engine.commit_config(ref, spec)
        image = rig.engine.commit(ref, spec)
        told = {"Config": config, "Architecture": image.architecture, "Os": image.os}
        assert config_digest(told) == image.config_digest

    def test_a_tag_moves_to_the_newest_commit(self, rig: Rig) -> None:
        ref = rig.create()
        first = rig.engine.commit(ref, rig.commit_spec("1"))
        rig.write(ref, "/work/more", b"more")
        second = rig.engine.commit(ref, rig.commit_spec("1", message="again"))
        assert rig.look_at(rig.image("1")).id == second.id
        untagged = rig.engine.image(first.id)
        assert untagged is None or untagged.tags == ()
        if untagged is not None:
            assert first.id in {each.id for each in rig.engine.images(rig.labels)}

    # Images and tags.

    def test_tags_come_and_go(self, rig: Rig) -> None:
        image = rig.engine.commit(rig.create(), rig.commit_spec("1"))
        rig.engine.tag(rig.image("1"), rig.image("latest"))
        assert set(rig.look_at(image.id).tags) == {rig.image("1"), rig.image("latest")}
        assert rig.look_at(rig.image("latest").removesuffix(":latest")).id == image.id
        rig.engine.remove_image(rig.image("latest"))
        assert rig.look_at(image.id).tags == (rig.image("1"),)
        rig.engine.remove_image(rig.image("1"))
        assert rig.engine.image(image.id) is None

    def test_an_image_in_use_is_not_removed(self, rig: Rig) -> None:
        rig.engine.commit(rig.create("one"), rig.commit_spec("1"))
        user = rig.running("two", image=rig.image("1"))
        with pytest.raises(Conflict):
            rig.engine.remove_image(rig.image("1"))
        assert rig.engine.container(user) is not None
        assert rig.look_at(rig.image("1")).tags == (rig.image("1"),)

    def test_an_image_that_another_is_made_of_goes_without_harm(self, rig: Rig) -> None:
        rig.engine.commit(rig.create("one"), rig.commit_spec("1"))
        second = rig.engine.commit(rig.create("two", image=rig.image("1")), rig.commit_spec("2"))
        rig.engine.remove_container(rig.name("two"))
        rig.engine.remove_image(rig.image("1"))
        assert rig.engine.image(rig.image("1")) is None
        assert rig.look_at(rig.image("2")) == second

    # What is inside.

    def test_changes_are_seen(self, rig: Rig) -> None:
        rig.build()
        ref = rig.create(image=rig.image("built"))
        rig.write(ref, "/greeting", b"changed")
        rig.write(ref, "/work/new", b"new")
        changes = rig.engine.changes(ref)
        assert Change(ChangeKind.MODIFIED, "/greeting") in changes
        assert Change(ChangeKind.ADDED, "/work") in changes
        assert Change(ChangeKind.ADDED, "/work/new") in changes

    def test_what_was_written_is_added_up(self, rig: Rig) -> None:
        ref = rig.create()
        before = rig.engine.writable_size(ref)
        rig.write(ref, "/work/big", b"x" * 100_000)
        assert 100_000 <= rig.engine.writable_size(ref) - before < 130_000

    def test_the_layer_on_disk_where_it_can_be_read(self, rig: Rig) -> None:
        ref = rig.running()
        rig.write(ref, "/work/new", b"new")
        layer = rig.engine.writable_layer(ref)
        assert layer is None or (layer / "work" / "new").read_bytes() == b"new"
        assert layer in {None, rig.engine.layer_folder(ref)}

    def test_a_helper_hears_and_says_and_goes_with_its_session(self, rig: Rig) -> None:
        command, env = python.command("this", ("bottle",))
        echo = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
        spec = HelperSpec(
            name=rig.name("help"), command=(command[0], "-c", echo), env=env, shown=python.shown(("bottle",))
        )
        try:
            session = rig.engine.run_helper(spec)
        except EngineError as exc:
            pytest.skip(f"no Python of this machine runs there: {exc.what}")
        session.send(b"hello\n")
        assert hear(session, 6) == b"HELLO\n"
        session.close()
        assert eventually(lambda: rig.engine.container(spec.name) is None)

    def test_the_folder_of_a_volume_where_it_can_be_read(self, rig: Rig) -> None:
        rig.engine.create_volume(rig.name("volume"), rig.labels)
        folder = rig.engine.volume_folder(rig.name("volume"))
        assert folder is None or list(folder.iterdir()) == []

    def test_archives_go_in_and_come_out(self, rig: Rig) -> None:
        ref = rig.create()
        rig.engine.write_archive(ref, "/srv", io.BytesIO(tar_of(("a/one", b"1"), ("a/two", b"2" * 200_000))))
        assert read_tar(rig.engine.read_archive(ref, "/srv/a")) == {"a": b"", "a/one": b"1", "a/two": b"2" * 200_000}
        first = next(iter(read_tar(rig.engine.read_archive(ref, "/srv/a/one"))))
        assert first == "one"

    def test_an_archive_may_be_told_to_put_nothing_in_the_place_of_another_kind(self, rig: Rig) -> None:
        ref = rig.create()
        rig.engine.write_archive(ref, "/srv", io.BytesIO(tar_of(("kept/one", b"1"), ("file", b"2"))))
        for other in (tar_of(("kept", b"no folder")), tar_of(("file/below", b"a folder"))):
            with pytest.raises(EngineError):
                rig.engine.write_archive(ref, "/srv", io.BytesIO(other), replace=False)
        rig.engine.write_archive(ref, "/srv", io.BytesIO(tar_of(("kept/two", b"3"), ("file", b"4"))), replace=False)
        assert read_tar(rig.engine.read_archive(ref, "/srv/kept")) == {"kept": b"", "kept/one": b"1", "kept/two": b"3"}
        assert read_tar(rig.engine.read_archive(ref, "/srv/file")) == {"file": b"4"}

    def test_the_archive_of_a_link_is_the_link(self, rig: Rig) -> None:
        ref = rig.create()
        rig.write(ref, "/srv/real/one", b"1")
        rig.write(ref, "/srv/link", b"", type=tarfile.SYMTYPE, linkname="/srv/real")
        archive = io.BytesIO(b"".join(rig.engine.read_archive(ref, "/srv/link")))
        with tarfile.open(fileobj=archive) as tar:
            assert [(member.name, member.linkname) for member in tar] == [("link", "/srv/real")]

    def test_an_archive_is_read_through_links_on_the_way(self, rig: Rig) -> None:
        ref = rig.create()
        rig.write(ref, "/srv/real/one", b"1")
        rig.write(ref, "/srv/link", b"", type=tarfile.SYMTYPE, linkname="../srv/real")
        assert rig.read(ref, "/srv/link/one") == b"1"

    @pytest.mark.parametrize("path", ["/srv/loop", "/srv/loop/x", "/srv/there", "/srv/file/x", "/srv/" + "x" * 300])
    def test_an_archive_that_leads_nowhere_is_refused_and_not_missing(self, rig: Rig, path: str) -> None:
        ref = rig.create()
        rig.write(ref, "/srv/file", b"x")
        for name, target in (("loop", "/srv/loop"), ("there", "/srv/back"), ("back", "/srv/there")):
            rig.write(ref, f"/srv/{name}", b"", type=tarfile.SYMTYPE, linkname=target)
        with pytest.raises(EngineError):
            rig.engine.read_archive(ref, path)

    def test_an_archive_tells_of_dangling_links_and_of_what_is_no_file(self, rig: Rig) -> None:
        ref = rig.create()
        rig.write(ref, "/srv/kinds/pipe", b"", type=tarfile.FIFOTYPE)
        rig.write(ref, "/srv/kinds/device", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        rig.write(ref, "/srv/kinds/link", b"", type=tarfile.SYMTYPE, linkname="/srv/nowhere")
        with tarfile.open(fileobj=io.BytesIO(b"".join(rig.engine.read_archive(ref, "/srv/kinds")))) as tar:
            assert {member.name: member.type for member in tar if not member.isdir()} == {
                "kinds/pipe": tarfile.FIFOTYPE,
                "kinds/device": tarfile.CHRTYPE,
                "kinds/link": tarfile.SYMTYPE,
            }
        with pytest.raises(NotFound):
            rig.engine.read_archive(ref, "/srv/kinds/link/x")

    def test_an_archive_keeps_owner_and_mode(self, rig: Rig) -> None:
        ref = rig.create()
        rig.write(ref, "/work/key", b"k", mode=0o600, uid=1234, gid=4321, mtime=1_600_000_000)
        archive = io.BytesIO(b"".join(rig.engine.read_archive(ref, "/work/key")))
        with tarfile.open(fileobj=archive) as tar:
            (member,) = tar.getmembers()
        assert (member.mode & 0o7777, member.uid, member.gid, int(member.mtime)) == (0o600, 1234, 4321, 1_600_000_000)

    def test_archives_need_their_places(self, rig: Rig) -> None:
        ref = rig.create()
        with pytest.raises(NotFound):
            rig.engine.read_archive(ref, "/no/such/file")
        with pytest.raises(NotFound):
            rig.engine.write_archive(ref, "/no/such/folder", io.BytesIO(tar_of(("a", b"a"))))
        with pytest.raises(EngineError):
            rig.engine.write_archive(ref, "/", io.BytesIO(b"this is no tar" * 100))

    def test_an_archive_may_be_left_half_read(self, rig: Rig) -> None:
        ref = rig.create()
        rig.write(ref, "/work/big", b"x" * 3_000_000)
        stream = rig.engine.read_archive(ref, "/work/big")
        assert next(stream)
        close = getattr(stream, "close", None)
        if close:
            close()
        assert rig.status(ref) is Status.CREATED

    # Save and load.

    def test_what_is_saved_can_be_loaded(self, rig: Rig) -> None:
        ref = rig.create()
        rig.write(ref, "/work/journal", b"day one")
        image = rig.engine.commit(ref, rig.commit_spec("1", defaults=ImageDefaults(command=("hi",))))
        archive = b"".join(rig.engine.save(rig.image("1")))
        rig.engine.remove_image(rig.image("1"))
        assert rig.engine.image(image.id) is None
        rig.engine.load(archive[start : start + 65536] for start in range(0, len(archive), 65536))
        loaded = rig.look_at(rig.image("1"))
        assert (loaded.diff_ids, loaded.config_digest) == (image.diff_ids, image.config_digest)
        assert (loaded.defaults, loaded.labels) == (image.defaults, image.labels)
        assert rig.read(rig.create("two", image=rig.image("1")), "/work/journal") == b"day one"

    @pytest.mark.parametrize("cut", [0.5, 0.9])
    def test_an_archive_cut_short_gives_no_image(self, rig: Rig, cut: float) -> None:
        ref = rig.create()
        rig.write(ref, "/work/journal", b"day one" * 100)
        image = rig.engine.commit(ref, rig.commit_spec("1"))
        archive = b"".join(rig.engine.save(rig.image("1")))
        rig.engine.remove_image(rig.image("1"))
        with suppress(EngineError):  # success is no proof: some engines ignore a tar's missing end
            rig.engine.load([archive[: int(len(archive.rstrip(b"\0")) * cut)]])
        assert rig.engine.image(image.id) is None

    def test_what_is_no_archive_is_refused(self, rig: Rig) -> None:
        with pytest.raises(EngineError):
            rig.engine.load([b"this is no archive" * 1000])

    @pytest.mark.parametrize("error", [OSError(5, "the disk broke"), BottleError("gave up"), KeyboardInterrupt()])
    def test_an_error_of_what_is_loaded_comes_through(self, rig: Rig, error: BaseException) -> None:
        def archive() -> Iterator[bytes]:
            yield tar_of(("x", b"x" * 10_000))
            raise error

        with pytest.raises(type(error)) as caught:
            rig.engine.load(archive())
        assert caught.value is error

    # Streams.

    def test_attach_carries_both_ways(self, rig: Rig) -> None:
        ref = rig.create(entrypoint=("/bin/cat",))
        session = rig.engine.attach(ref)
        try:
            rig.engine.start(ref)
            session.send(b"hello\n")
            assert hear(session, 6) == b"hello\n"
            session.send(b"x" * 10_000)
            assert hear(session, 10_000) == b"x" * 10_000
            session.close_stdin()
            assert hear(session, 1) == b""
        finally:
            session.close()
        assert rig.engine.wait(ref) == 0

    def test_attach_to_a_terminal_is_raw(self, rig: Rig) -> None:
        ref = rig.create(entrypoint=("/bin/sh", "-c", "echo ready; sleep 600"), tty=True)
        session = rig.engine.attach(ref)
        try:
            rig.engine.start(ref)
            rig.engine.resize(ref, rows=30, columns=100)
            rig.play(ref, b"ready\r\n", 0)
            assert hear(session, 7) == b"ready\r\n"
        finally:
            session.close()
        # The log may be written a moment after the terminal.
        assert eventually(lambda: b"".join(rig.engine.logs(ref)) == b"ready\r\n")

    def test_leaving_lets_the_container_go_on(self, rig: Rig) -> None:
        ref = rig.running()
        rig.engine.attach(ref).close()
        assert rig.status(ref) is Status.RUNNING

    def test_resize_needs_a_running_container(self, rig: Rig) -> None:
        with pytest.raises(Conflict):
            rig.engine.resize(rig.create(tty=True), rows=10, columns=10)

    def test_a_session_says_whether_the_other_end_is_a_terminal(self, rig: Rig) -> None:
        for name, tty in (("one", False), ("two", True)):
            session = rig.engine.attach(rig.create(name, tty=tty))
            assert session.tty is tty
            session.close()

    def test_a_command_is_run_beside_the_agent(self, rig: Rig) -> None:
        ref = rig.running()
        execution = rig.engine.execute(ref, ("/bin/sh", "-c", "cat; exit 3"), tty=False)
        try:
            assert not execution.tty
            execution.send(b"hello\n")
            execution.close_stdin()
            rig.play(ref, b"hello\n", 3)
            assert hear(execution, 7) == b"hello\n"
            assert execution.exit_code() == 3
        finally:
            execution.close()
        assert rig.status(ref) is Status.RUNNING

    def test_a_command_has_a_terminal_of_its_own(self, rig: Rig) -> None:
        ref = rig.running()
        execution = rig.engine.execute(ref, ("/bin/sh", "-c", "read x; stty size"), tty=True)
        try:
            assert execution.tty
            execution.resize(rows=30, columns=100)
        finally:
            execution.close()

    def test_a_command_needs_a_running_container(self, rig: Rig) -> None:
        with pytest.raises(Conflict):
            rig.engine.execute(rig.create(), ("true",), tty=False)

    # Volumes.

    def test_volumes(self, rig: Rig) -> None:
        name = rig.name("volume")
        rig.engine.create_volume(name, rig.labels)
        rig.engine.create_volume(name, rig.labels)
        assert rig.engine.volumes(rig.labels) == (name,)
        (facts,) = rig.engine.volume_facts(rig.labels)
        assert facts == VolumeFacts(name=name, labels=rig.labels, created_at=facts.created_at)
        assert apparent_time(facts.created_at)
        assert rig.engine.volumes({LABEL: None, "bottle.other": None}) == ()
        assert rig.engine.volume_facts({LABEL: None, "bottle.other": None}) == ()
        ref = rig.create(mounts=(Mount(kind=MountKind.VOLUME, source=name, target="/data"),))
        with pytest.raises(Conflict):
            rig.engine.remove_volume(name)
        rig.engine.remove_container(ref)
        assert rig.engine.volumes(rig.labels) == (name,)
        rig.engine.remove_volume(name)
        assert rig.engine.volumes(rig.labels) == ()
