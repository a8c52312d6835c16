"""What the arguments of the scripts on the far host are: how each is spelt, and read again where it may be anything.

Of each type, `parse(str(value)) == value`, and `parse` raises ValueError or BottleError for what is none.
"""

import re
from enum import StrEnum
from typing import ClassVar, Self

PIECE_LIMIT = 8 << 20  # bytes


class Word(str):
    """An argument that is the text itself, all of which its pattern matches."""

    pattern: ClassVar[re.Pattern[str]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an argument. Raises ValueError."""
        _require(cls.pattern, text)
        return cls(text)


class Digest(Word):
    """A sha256, in hex."""

    pattern = re.compile(r"[0-9a-f]{64}")


class ImageId(Word):
    """An image, by the digest that the engine knows it by."""

    pattern = re.compile(r"sha256:[0-9a-f]{64}")


class Nonce(Word):
    """What one move is called, and no other."""

    pattern = re.compile(r"[0-9a-f]{32}")


class CommitTag(Word):
    """The tag of a bottle's commit."""

    pattern = re.compile(r"bottle-committed-[a-z0-9_.-]+:[0-9]{1,9}")


class VolumeName(Word):
    """What Docker calls a volume of a bottle."""

    pattern = re.compile(r"bottle-[A-Za-z0-9_.-]+")


class MountPoint(Word):
    """Where a volume is mounted: an absolute path that stands between two colons of `docker create -v`."""

    pattern = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[^/:,\x00-\x1f\x7f]+)+")


class Workspace(Word):
    """Where a workspace is put, or "" for none. Any text: which folders may be is a question of policy."""

    pattern = re.compile(r"(?s:.*)")


class StagedFolder(Word):
    """A folder in the staging area that a tar was unpacked into."""

    pattern = re.compile(r"(?:state|workspace)-[0-9a-f]{32}")


class StagedWorkspace(StagedFolder):
    """One that holds a workspace."""

    pattern = re.compile(r"workspace-[0-9a-f]{32}")


class Verifier(Word):
    """The container that proves that an image makes one."""

    pattern = re.compile(r"bottle-verify-[0-9a-f]{12}")


class Filler(Word):
    """The container that a volume is filled through."""

    pattern = re.compile(r"bottle-fill-[0-9a-f]{12}")


class Number(int):
    """An argument that is a whole number, spelt as its pattern says."""

    pattern: ClassVar[re.Pattern[str]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an argument. Raises ValueError."""
        _require(cls.pattern, text)
        return cls(text)


class Count(Number):
    """How many of something there are."""

    pattern = re.compile(r"[0-9]{1,12}")


class PieceNumber(Number):
    """Which piece of a blob: spelt so that the names of pieces sort."""

    pattern = re.compile(r"[0-9]{8}")

    def __str__(self) -> str:
        return f"{int(self):08d}"


class PieceSize(Number):
    """The size of a piece in bytes, up to PIECE_LIMIT."""

    pattern = re.compile(r"[0-9]{1,8}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an argument. Raises ValueError."""
        size = super().parse(text)
        if size > PIECE_LIMIT:
            raise ValueError(text)
        return size


class FolderKind(StrEnum):
    """What a tar of files is of."""

    STATE = "state"
    WORKSPACE = "workspace"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a kind. Raises ValueError."""
        return cls(text)

    def folder(self, nonce: str) -> StagedFolder:
        """Where one of the move called `nonce` is unpacked."""
        return StagedFolder(f"{self}-{nonce}")


def _require(pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(text)
