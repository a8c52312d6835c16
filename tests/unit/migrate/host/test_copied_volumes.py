"""The volumes of a copy: a newer one comes in others, and those of before go if nobody has written in them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bottle.files import tree
from migrate.host.arguments import CommitTag, Count, Digest, Filler, MountPoint, VolumeName
from migrate.host.commands import Clear, Retire, Volume
from migrate.host.probe import probe
from migrate.model import Codec, HostFacts, Reply
from tests.unit.migrate.conftest import IDENTITY
from tests.unit.migrate.host.conftest import Rig
from tests.unit.migrate.host.test_copies import stage

# An engine with a folder for each volume; a container of it is the name of the one that it has.
DOCKER = """#!/bin/sh
disk=DISK
for last; do :; done
of() { cat "$disk/containers/${1%%:*}"; }
case "$1 $2" in
"version "*) echo amd64 ;;
"volume ls") ls "$disk/volumes" ;;
"volume inspect") [ -d "$disk/volumes/$3" ] ;;
"volume create") mkdir "$disk/volumes/$last" ;;
"volume rm") ! grep -qx "$3" "$disk"/containers/* 2>/dev/null && rm -r "$disk/volumes/$3" ;;
"create --name") name=$3; while [ "$1" != -v ]; do shift; done; echo "${2%%:*}" >"$disk/containers/$name" ;;
"rm "*) rm -f "$disk/containers/$last" ;;
"cp -") cat >"$disk/volumes/$(of "$3")/sent" ;;
"cp "*) exec TAR --sort=name -cf - -C "$disk/volumes/$(of "$2")" . ;;
"ps -a")
	volume=${4#volume=}
	for each in $(cd "$disk/containers" && grep -lx "$volume" *); do echo "volume_used=$volume $each"; done ;;
esac
"""
PREFIX = f"bottle-{IDENTITY}-"
FILLER = Filler("bottle-fill-0123456789ab")


class Copied:
    """A host with an engine of its own, and the copy of a bottle that has a volume."""

    def __init__(self, rig: Rig, disk: Path) -> None:
        self.rig, self.disk = rig, disk
        for name in ("volumes", "containers"):
            (disk / name).mkdir(parents=True)
        docker = DOCKER.replace("DISK", str(disk)).replace("TAR", str(shutil.which("tar")))
        (rig.programs / "docker").write_text(docker)

    @property
    def volumes(self) -> list[str]:
        return sorted(each.name.removeprefix(PREFIX) for each in (self.disk / "volumes").iterdir())

    def seen(self) -> HostFacts:
        return probe(self.rig.remote, IDENTITY, str(self.rig.goal))

    def stage(self, nonce: str, name: str) -> None:
        """The state of a copy that has that volume, and the workspace."""
        stage(self.rig, nonce)
        state = self.rig.incoming / f"state-{nonce}"
        (state / "committed-image").write_text("tag\n")
        (state / "volumes").write_text(f"{PREFIX}{name}\n")

    def fill(self, name: str, work: str) -> Reply:
        """Have a volume filled with one file."""
        script = Volume(
            identity=IDENTITY,
            blob=Digest("0" * 64),
            codec=Codec.NONE,
            volume=VolumeName(PREFIX + name),
            target=MountPoint("/opt/cache"),
            tag=CommitTag("tag"),
            container=FILLER,
            entries=Count(2),
            breaks=Count(0),
            content=Digest(sha256(work.encode()).hexdigest()),
        )
        blob = self.rig.incoming / "blobs" / script.blob
        blob.mkdir(parents=True, exist_ok=True)
        (blob / "0").write_text(work)
        return self.rig.remote.run(script.command(self._access))

    def bring(self, nonce: str, name: str) -> None:
        self.stage(nonce, name)
        reply = self.fill(name, nonce)
        assert reply.status == 0, reply.err
        reply = self.rig.register(nonce)
        assert (reply.status, reply.out) == (0, b""), reply.err

    def retire(self) -> list[str]:
        reply = self.rig.remote.run(Retire(identity=IDENTITY, container=FILLER).command(self._access))
        assert reply.status == 0, reply.err
        return reply.out.decode().split()

    @property
    def _access(self) -> HostFacts:
        return replace(self.seen(), docker=str(self.rig.programs / "docker"), sudo=False)


pytestmark = pytest.mark.parametrize("tools", ["gnu"])


@pytest.fixture
def copied(rig: Rig, tmp_path: Path) -> Copied:
    return Copied(rig, tmp_path / "disk")


def test_those_of_before_go_when_the_newer_are_in_their_place(copied: Copied) -> None:
    for nonce, name, before in (("n1", "cache", None), ("n2", "cache.2", "cache"), ("n3", "cache", "cache.2")):
        copied.bring(nonce, name)
        assert copied.volumes == sorted(each for each in {name, before} if each is not None)
        assert copied.retire() == []
        copied.rig.run(Clear(identity=IDENTITY))
        assert copied.volumes == [name]
        assert (copied.disk / "volumes" / (PREFIX + name) / "sent").read_text() == nonce
        assert (copied.seen().copied, copied.seen().volumes) == (True, {PREFIX + name})
        assert copied.retire() == []
        assert copied.volumes == [name]


def test_one_in_which_somebody_wrote_stays_and_so_does_one_in_use(copied: Copied) -> None:
    copied.bring("n1", "cache")
    (copied.disk / "volumes" / (PREFIX + "cache") / "theirs").touch()
    copied.bring("n2", "cache.2")
    assert copied.retire() == [f"volume={PREFIX}cache"]
    (copied.disk / "containers" / "looking").write_text(f"{PREFIX}cache.2\n")
    assert copied.seen().volumes_used == ((f"{PREFIX}cache.2", "looking"),)
    copied.bring("n3", "cache.3")
    assert copied.retire() == [f"volume={PREFIX}cache.2", f"volume={PREFIX}cache"]
    assert copied.volumes == ["cache", "cache.2", "cache.3"]
    (copied.disk / "containers" / "looking").unlink()
    assert copied.retire() == [f"volume={PREFIX}cache"]
    assert copied.volumes == ["cache", "cache.3"]


def test_a_copy_keeps_its_own_whatever_is_asked(copied: Copied) -> None:
    copied.bring("n1", "cache")
    copied.stage("n2", "cache")
    reply = copied.fill("cache", "n2")
    assert (reply.status, "here already" in reply.err) == (27, True)
    assert (copied.disk / "volumes" / (PREFIX + "cache") / "sent").read_text() == "n1"


def test_what_a_run_that_was_cut_had_filled_is_filled_anew_or_goes(copied: Copied) -> None:
    copied.bring("n1", "cache")
    for _ in range(2):
        copied.stage("n2", "cache.2")
        assert copied.fill("cache.2", "cut").status == 0
        assert copied.seen().volumes == {f"{PREFIX}cache"}  # its name is free for the next run
        for kind in ("state", "workspace"):
            tree.discard(copied.rig.incoming / f"{kind}-n2")
    copied.bring("n3", "cache.3")
    assert copied.retire() == []
    assert copied.volumes == ["cache.3"]
