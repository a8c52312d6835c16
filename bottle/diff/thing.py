"""What there is at a path, as far as two versions of it are compared, and a layer of such things."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a thing is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    FIFO = "fifo"
    DEVICE = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A file, folder, or whatever else. Times are not compared: who touches a file changes nothing of it.

    `size` are the bytes of a file, `mode` its permissions; `link` is where a symlink leads; `device` major and minor.
    `digest` is the SHA-256 of a file's content, None where it was not read.
    """

    kind: Kind
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    link: str = ""
    device: tuple[int, int] = (0, 0)
    digest: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What a layer says, by paths from the root without a slash at their beginning (OCI image-spec, layer.md).

    Of what lies below it, nothing shows in the folders `opaque`, and what is `gone` does not.
    """

    things: Mapping[str, Thing] = field(default_factory=dict)
    opaque: Set[str] = frozenset()
    gone: Set[str] = frozenset()

    @property
    def leaves(self) -> Set[str]:
        """Where there is something that is no folder: below it, nothing shows."""
        return {path for path, thing in self.things.items() if thing.kind is not Kind.FOLDER}
