"""What a migration needs of the world: a far shell and somebody who reads layers."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from migrate.model import Blob, Codec, RemoteCommand, Reply


class Shell(Protocol):
    """A host's shell. Safe to use from several threads at once.

    Raises HostKeyRejected, LoginRefused, ConnectionLost, else RemoteError; a command that ends with a status other
    than 0 is a Reply, not an error.
    """

    @property
    def name(self) -> str:
        """The host, as messages call it."""
        ...

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """Run `command`, feeding it `stdin`. ConnectionLost after `silence` seconds without a sign of life."""
        ...


class Remote(Shell, Protocol):
    """A far host's shell, until it is closed."""

    def close(self) -> None:
        """Hang up."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LayerWriter(Protocol):
    """Takes one layer's tar, piece by piece, hashing and compressing as it goes."""

    def write(self, chunk: bytes) -> None:
        """The next bytes of the uncompressed tar."""
        ...

    @property
    def diff_id(self) -> str:
        """What the layer's diff id is, if the bytes so far are all of it."""
        ...

    def keep(self) -> Blob:
        """The layer is whole and wanted: give it its name. Nothing is kept before this."""
        ...


class Spool(Protocol):
    """Where layers wait on this side, under their diff ids, until the destination has acknowledged them."""

    @property
    def codec(self) -> Codec:
        """How layers are compressed here."""
        ...

    def blob(self, diff_id: str) -> Blob | None:
        """The layer, if it is already here and whole."""
        ...

    def writer(self) -> AbstractContextManager[LayerWriter]:
        """Take in one layer; what was not kept when the context closes is gone."""
        ...

    def config(self, image: str) -> bytes | None:
        """The config that was kept for the image with this id, if it is whole."""
        ...

    def keep_config(self, image: str, config: bytes) -> None:
        """Keep an image's config, so that a rerun with all layers here asks the engine for nothing."""
        ...
