"""The scripts of a move on hosts with GNU's tools, and on hosts that have busybox alone."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from bottle import tree
from bottle.errors import VerificationFailed
from bottle.model import Mount, MountKind
from bottle.naming import Identity
from bottle.testing import RecordingProgress
from migrate.handoff import Arrival
from migrate.model import Codec
from migrate.parcels import Parcel, pack_folder, pack_stream
from migrate.preflight import probe
from migrate.scripts import plain
from migrate.spool import DirectorySpool
from migrate.testing import LocalRemote
from migrate.transfer import Cargo, Shipment
from tests.support.trees import make_deep

APPLETS = (
    "awk cat cp dirname find flock grep gzip head ls ln mkdir mv printf rm rmdir sha256sum sort sync tail tar tr uname"
    " wc"
)
NO_BUSYBOX = pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
DOCKER = """#!/bin/sh
case "$1 $2" in
'volume inspect') exit 1 ;;
'cp -') exec {tar} -xpf - -C {disk} ;;
'cp '*) exec {tar} --format=pax --sort=name -cf - -C {disk} cache ;;
esac
"""


@pytest.fixture(params=["gnu", pytest.param("busybox", marks=NO_BUSYBOX)])
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of programs that come before all others on the far host; docker is one, with one volume on one disk."""
    folder, disk = tmp_path / "programs", tmp_path / "disk"
    folder.mkdir()
    disk.mkdir()
    if request.param == "busybox":
        busybox = str(shutil.which("busybox"))
        has = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for name in set(APPLETS.split()).intersection(has):
            (folder / name).symlink_to(busybox)
    (folder / "docker").write_text(DOCKER.format(tar=shutil.which("tar"), disk=disk))
    (folder / "docker").chmod(0o755)
    return folder


@pytest.fixture
def arrival(tmp_path: Path, programs: Path) -> Arrival:
    (tmp_path / "far").mkdir()
    remote = LocalRemote(tmp_path / "far", path=f"{programs}:{os.environ['PATH']}")
    identity = Identity.parse("demo-abcde")
    progress = RecordingProgress()
    return Arrival(
        remote=remote,
        host=replace(probe(remote, identity, ""), docker=str(programs / "docker"), sudo=False),
        identity=identity,
        shipment=Shipment(remote, identity, progress, jobs=1, sleep=lambda _: None),
        progress=progress,
    )


@pytest.fixture
def spool(tmp_path: Path) -> DirectorySpool:
    return DirectorySpool(tmp_path / "spool", Codec.GZIP)


def ship(arrival: Arrival, parcel: Parcel) -> None:
    blob = parcel.blob
    cargo = Cargo(digest=blob.digest.removeprefix("sha256:"), size=blob.size, content=blob.path)
    arrival.shipment.send([cargo], "sending")


def volume_tar(folder: Path) -> bytes:
    """As the engine packs a volume that is mounted at `cache`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(folder, "cache")
    return buffer.getvalue()


CACHE = Mount(kind=MountKind.VOLUME, source="v", target="/home/agent/cache")


def a_volume(folder: Path) -> Path:
    folder.mkdir()
    for name in ("plain", "line\nfeed", "two\nline\nfeeds", "\n", "back\\slash", "ünï", "x" * 200):
        (folder / name).write_text(name)
    (folder / "sub\nfolder").mkdir()
    (folder / "sub\nfolder" / "leaf").write_text("leaf")
    (folder / "link").symlink_to("no\nwhere")
    return folder


def test_the_host_says_what_tar_it_has(arrival: Arrival, programs: Path) -> None:
    assert ("busybox-tar" in arrival.host.tools) == (programs / "tar").exists()


def test_a_volume_with_any_names_arrives(arrival: Arrival, spool: DirectorySpool, tmp_path: Path) -> None:
    parcel = pack_stream([volume_tar(a_volume(tmp_path / "cache"))], spool, "volume v")
    assert parcel.entries == 11
    ship(arrival, parcel)
    arrival.fill(CACHE, parcel, "image:1")
    arrived = {node.path for node in tree.walk(tmp_path / "disk" / "cache")}
    assert arrived == {node.path for node in tree.walk(tmp_path / "cache")}


@pytest.mark.parametrize("change", [{"entries": 12}, {"entries": 10}, {"breaks": 5}, {"content": "0" * 64}])
def test_a_volume_that_is_not_what_was_sent_is_refused(
    arrival: Arrival, spool: DirectorySpool, tmp_path: Path, programs: Path, change: dict[str, object]
) -> None:
    parcel = pack_stream([volume_tar(a_volume(tmp_path / "cache"))], spool, "volume v")
    ship(arrival, parcel)
    if "breaks" in change and not (programs / "tar").exists():
        return  # GNU's tar lists a line feed as two characters, so their number does not count there
    with pytest.raises(VerificationFailed):
        arrival.fill(CACHE, replace(parcel, **change), "image:1")  # type: ignore[arg-type]


def test_a_deep_workspace_with_any_names_arrives_and_its_staging_can_be_cleared(
    arrival: Arrival, spool: DirectorySpool, tmp_path: Path, programs: Path
) -> None:
    workspace = a_volume(tmp_path / "workspace")
    # Busybox's tar makes each folder's parents from the top again: its time grows with the cube of the depth.
    make_deep(workspace, 300 if (programs / "tar").exists() else 1_100, "d")
    parcel = pack_folder(workspace, spool)
    ship(arrival, parcel)
    for nonce in ("1" * 32, "2" * 32):  # the second takes away what the first had unpacked
        arrival.unpack(parcel, "workspace", nonce)
    incoming = tmp_path / "far" / ".bottle" / "incoming" / "demo-abcde"
    found = [node.path for node in tree.walk(incoming / f"workspace-{'2' * 32}")]
    assert found == [node.path for node in tree.walk(workspace)]
    (incoming / f"workspace-{'2' * 32}" / "plain").write_text("other")
    reply = arrival.remote.run(
        plain("verify", "demo-abcde", f"workspace-{'2' * 32}", *map(str, (parcel.files, parcel.links, parcel.folders))),
        (parcel.sums,),
    )
    assert reply.status == 23
    arrival.clear()
    assert not incoming.exists()
    tree.discard(workspace)
