"""What is inside containers: their changes, their layer on disk, files in and out, and their streams."""

import os
import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from bottle import facts
from bottle.docker_engine.base import Part, readable_folder
from bottle.docker_engine.connection import CHUNK, container_ref
from bottle.docker_engine.failures import TOO_LONG
from bottle.docker_engine.streams import DockerExecution, DockerSession, unframed
from bottle.errors import EngineError, PathTooLong
from bottle.files import tree
from bottle.model import Change, Store
from bottle.ports import Execution, Session

_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")  # how the kernel writes white space, commas and backslashes


class Contents(Part):
    """`ports.Contents` on a Docker Engine."""

    def changes(self, ref: str) -> tuple[Change, ...]:
        """How a container's filesystem differs from its image."""
        try:
            with self._asked_to(f"compare container {ref} with its image"):
                return facts.changes(self._patient.diff(container_ref(ref)))
        except EngineError as exc:
            if not exc.what.endswith(TOO_LONG):
                raise
            raise PathTooLong(
                f"container {ref} has folders in each other too deeply for Docker to look into them, or commit them",
                left="nothing was changed; the bottle goes on as it was",
                next_step="inside the bottle, remove or rename some of the folders that lie in each other; "
                "to find them: find / -xdev -mindepth 500 -maxdepth 500",
            ) from exc

    def writable_size(self, ref: str) -> int:
        """Apparent bytes that a container has written: holes of sparse files count.

        The containerd store counts disk blocks instead, so there the layer itself is added up where it can be read;
        where it cannot, holes do not count.
        """
        doing = f"add up what container {ref} has written"
        with self._asked_to(doing):
            store = facts.store_of(self._quick.info())
        layer = self.writable_layer(ref) if store is Store.CONTAINERD else None
        if layer is not None:
            return tree.size_of(layer)
        answer = self._connection.get(f"/containers/{container_ref(ref)}/json", doing, size=1)
        return int(answer.get("SizeRw") or 0)

    def writable_layer(self, ref: str) -> Path | None:
        """The folder that holds what a container has written, where this process may read it."""
        upper = self.layer_folder(ref)
        return upper if upper is not None and readable_folder(str(upper)) else None

    def layer_folder(self, ref: str) -> Path | None:
        """The same, whoever may read it; None where the engine does not tell, or is on another machine.

        The classic store names it. The containerd store does not, but the mount of a running container does.
        """
        inspected = self._inspected(ref)
        if not self._connection.is_local:
            return None
        driver = (inspected.get("GraphDriver") or {}).get("Data") or {}
        upper = driver.get("UpperDir") or _upper_folder(inspected)
        return Path(upper) if upper else None

    def read_archive(self, ref: str, path: str) -> Iterator[bytes]:
        """A tar of `path` in a container, its last component being the first member."""
        return self._connection.stream(
            f"/containers/{container_ref(ref)}/archive", f"read {path} in container {ref}", path=os.fsencode(path)
        )

    def write_archive(self, ref: str, path: str, tar: BinaryIO, *, replace: bool = True) -> None:
        """Unpack a tar into folder `path` of a container. An error of `tar` itself is raised as it is."""
        self._connection.put(
            f"/containers/{container_ref(ref)}/archive",
            f"write to {path} in container {ref}",
            iter(partial(tar.read, CHUNK), b""),
            path=path,
            noOverwriteDirNonDir=int(not replace),
        )

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """What a container wrote to its standard streams, both in one, all of it or from a moment on."""
        framed = not self._has_tty(ref)
        chunks = self._connection.stream(
            f"/containers/{container_ref(ref)}/logs",
            f"show the output of container {ref}",
            stdout=1,
            stderr=1,
            follow=int(follow),
            tail="all" if tail is None else tail,
            since=f"{since.timestamp():.6f}" if since is not None else 0,
            timestamps=int(timestamps),
        )
        return unframed(chunks) if framed else chunks

    def attach(self, ref: str) -> Session:
        """Join a container's standard streams; do it before `start` to miss nothing."""
        doing = f"attach to container {ref}"
        framed = not self._has_tty(ref)
        response = self._connection.upgrade(
            f"/containers/{container_ref(ref)}/attach", doing, stream=1, stdin=1, stdout=1, stderr=1
        )
        return DockerSession(response, framed=framed, translated=partial(self._asked_to, doing))

    def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Tell a container's terminal its size. Raises Conflict where the container does not run."""
        with self._asked_to(f"resize the terminal of container {ref}"):
            self._quick.resize(container_ref(ref), height=rows, width=columns)

    def execute(self, ref: str, command: tuple[str, ...], *, tty: bool) -> Execution:
        """Start one more command in a running container. Raises Conflict where the container does not run."""
        doing = f"run {command[0]} in container {ref}"
        with self._asked_to(doing):
            answer = self._quick.exec_create(container_ref(ref), list(command), stdin=True, tty=tty)
        response = self._connection.upgrade(f"/exec/{answer['Id']}/start", doing, {"Detach": False, "Tty": tty})
        return DockerExecution(
            response, framed=not tty, translated=partial(self._asked_to, doing), client=self._quick, id=answer["Id"]
        )

    def _has_tty(self, ref: str) -> bool:
        return bool((self._inspected(ref).get("Config") or {}).get("Tty"))

    def _inspected(self, ref: str) -> dict[str, Any]:
        with self._asked_to(f"look at container {ref}"):
            answer: dict[str, Any] = self._quick.inspect_container(container_ref(ref))
        return answer


def _upper_folder(inspected: dict[str, Any]) -> str | None:
    """The upper folder of a running container's overlay mount, from /proc/PID/mountinfo (see proc(5)).

    The id of the container must be in there too (in the source of /etc/hostname and the like): where the engine has
    process ids of its own, the number belongs to a stranger here.
    """
    pid = (inspected.get("State") or {}).get("Pid") or 0
    if not pid:
        return None
    try:
        mounts = Path(f"/proc/{pid}/mountinfo").read_bytes()
    except OSError:
        return None
    return upper_folder(mounts) if inspected["Id"].encode() in mounts else None


def upper_folder(mountinfo: bytes) -> str | None:
    """The `upperdir` of the overlay at `/`, or None where there is none or it is relative.

    In bytes, as the kernel writes it: names are in no encoding of their own, and only spaces, tabs and line feeds
    stand between fields.
    """
    for line in mountinfo.split(b"\n"):
        mount, _, filesystem = line.partition(b" - ")
        fields, source = mount.split(b" "), filesystem.split(b" ")
        if len(fields) < 5 or fields[4] != b"/" or len(source) < 3 or source[0] != b"overlay":
            continue
        for option in source[2].split(b","):
            if option.startswith(b"upperdir=/"):
                return os.fsdecode(_OCTAL.sub(_byte, option.removeprefix(b"upperdir=")))
    return None


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 8),))
