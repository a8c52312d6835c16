"""What a program of an image says in the tree that containers of that image have."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import docker
from docker.errors import NotFound

# Layers are put together as the engine does it, and nothing of that outlives the program.
_MOUNTED = 'mount -t overlay -o "ro,lowerdir=$1" overlay "$2" && cd "$2" && shift 2 && exec chroot . "$@"'
_LONGEST = 4000  # the kernel takes a page of options


def listed(engine: docker.DockerClient, image: str, program: Sequence[str], folder: Path) -> bytes:
    """What the program prints. `folder` is one of the test's."""
    layers = _layers(engine, image)
    if layers is None:
        return _in_container(engine, image, program)
    place = folder / "shown"
    place.mkdir(exist_ok=True)
    argv = ("unshare", "--mount", "sh", "-ec", _MOUNTED, "sh", layers, place, *program)
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout


def _layers(engine: docker.DockerClient, image: str) -> str | None:
    """The folders of an image's layers for `mount`, where they are here to be mounted: 1 s a listing is saved so."""
    graph = engine.images.get(image).attrs.get("GraphDriver") or {}
    if os.geteuid() != 0 or graph.get("Name") != "overlay2":
        return None
    data = graph["Data"]
    folders = ":".join(filter(None, (data["UpperDir"], data.get("LowerDir"))))
    here = all(Path(each).is_dir() for each in folders.split(":"))
    return folders if here and len(folders) < _LONGEST else None


def _in_container(engine: docker.DockerClient, image: str, program: Sequence[str]) -> bytes:
    probe = engine.containers.create(image, [], entrypoint=list(program), user="0", network_mode="none")
    try:
        stream = probe.attach(stream=True, stdout=True, stderr=True)
        probe.start()
        said = b"".join(stream)
        assert probe.wait()["StatusCode"] == 0, said[-2000:]
    finally:
        with suppress(NotFound):
            probe.remove(force=True)
    return said
