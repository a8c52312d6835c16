"""What is inside containers: their changes, files in and out, and their streams."""

import tarfile
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bottle.errors import Conflict, EngineError, NotFound
from bottle.model import Change, ChangeKind, Status
from bottle.testing.container import FakeContainer, FakeExecution, FakeSession
from bottle.testing.engine.base import Part
from bottle.testing.faults import recorded
from bottle.testing.tree import FOLDER, absolute, archive_of, exists, follow, is_of_another_kind, parents, put, unpack


class Contents(Part):
    """`ports.Contents` in memory."""

    @recorded
    def changes(self, ref: str) -> tuple[Change, ...]:
        """How a container's filesystem differs from its image, the folders around included."""
        container = self._container(ref)
        base, now = container.base, container.tree
        found = {path: ChangeKind.ADDED for path in now if path not in base}
        found |= {path: ChangeKind.MODIFIED for path in now if path in base and base[path] != now[path]}
        gone = [path for path in base if path not in now]
        found |= {path: ChangeKind.DELETED for path in gone if not any(each in gone for each in parents(path))}
        for path in list(found):
            for parent in parents(path):
                found.setdefault(parent, ChangeKind.MODIFIED)
        return tuple(Change(found[path], path) for path in sorted(found))

    @recorded
    def writable_size(self, ref: str) -> int:
        """Bytes in the files that a container has written."""
        container = self._container(ref)
        return sum(len(node.data) for path, node in container.tree.items() if container.base.get(path) != node)

    @recorded
    def writable_layer(self, ref: str) -> Path | None:
        """What a test put into `layers_on_disk` under the container's name."""
        return self.layers_on_disk.get(self._container(ref).name)

    @recorded
    def layer_folder(self, ref: str) -> Path | None:
        """The same."""
        return self.layers_on_disk.get(self._container(ref).name)

    @recorded
    def read_archive(self, ref: str, path: str) -> Iterator[bytes]:
        """A tar of `path` in a container."""
        container = self._container(ref)
        try:
            follow(container.tree, path, last=True)
            real = follow(container.tree, path, last=False)
        except OSError as error:
            raise EngineError(f"Docker could not read {path} in container {ref}: {error.strerror}") from error
        tree, inside = self._tree_at(container, real)
        if not exists(tree, inside):
            raise NotFound(f"Docker could not read {path} in container {ref}: there is none")
        seen = tree
        if inside == "/" and real != "/":  # the top of a volume is called like the folder it is mounted on
            seen = {real: FOLDER, **{real + each: node for each, node in tree.items()}}
            inside = real
        archive = archive_of(seen, inside + "/." if path.endswith("/.") else inside)
        return iter([archive[start : start + 65536] for start in range(0, len(archive), 65536)])

    @recorded
    def write_archive(self, ref: str, path: str, tar: BinaryIO, *, replace: bool = True) -> None:
        """Unpack a tar into folder `path` of a container."""
        container = self._container(ref)
        tree, inside = self._tree_at(container, path)
        if not exists(tree, inside) or (inside != "/" and not tree[inside].is_folder):
            raise NotFound(f"Docker could not write to {path} in container {ref}: there is no such folder")
        try:
            nodes = unpack(tar.read())
        except tarfile.TarError as error:
            raise EngineError(f"Docker could not write to {path} in container {ref}: {error}") from error
        for name, node in nodes.items():
            into, where = self._tree_at(container, absolute(path + name))
            if not replace and is_of_another_kind(into, where, node):
                raise EngineError(f"Docker could not write to {path} in container {ref}: {where} is of another kind")
            put(into, where, node)

    @recorded
    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """What a container has said, and with `follow` what it says until it ends."""
        container = self._container(ref)

        def shown() -> Iterator[bytes]:
            done = len(container.said)
            lines = [each.shown(timestamps=timestamps) for each in container.said if since is None or each.at >= since]
            yield from lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
            while follow:
                with self._changed:
                    self._changed.wait_for(partial(container.has_news, done))
                    news = container.said[done:]
                if not news:
                    return
                done += len(news)
                yield from (each.shown(timestamps=timestamps) for each in news)

        return shown()

    @recorded
    def attach(self, ref: str) -> FakeSession:
        """Join a container's standard streams."""
        container = self._container(ref)
        session = FakeSession(
            tty=container.spec.tty,
            heard=lambda data: self._hear(container, data),
            input_ended=lambda: self._end_input(container),
        )
        container.sessions.append(session)
        return session

    def _hear(self, container: FakeContainer, data: bytes) -> None:
        with self._changed:
            container.stdin += data
            self._play_cat(container, data)

    def _end_input(self, container: FakeContainer) -> None:
        with self._changed:
            if container.is_cat and container.status.alive:
                self._end(container, 0)

    @recorded
    def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Remember a terminal's size."""
        container = self._container(ref)
        if not container.status.alive:
            raise Conflict(f"Docker could not resize the terminal of container {ref}: it does not run")
        container.terminal = (rows, columns)

    @recorded
    def execute(self, ref: str, command: tuple[str, ...], *, tty: bool) -> FakeExecution:
        """Start one more command, which then speaks and ends through `say` and `exit`."""
        container = self._container(ref)
        if container.status is not Status.RUNNING:
            raise Conflict(f"Docker could not run {command[0]} in container {ref}: it does not run")
        execution = FakeExecution(command, tty=tty)
        container.executions.append(execution)
        return execution
