"""What a migration talks about: targets, hosts, layers and blobs, as frozen values."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, Self

from bottle.errors import UsageError
from bottle.model import Store

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]")
_ADDRESS = re.compile(r"ssh://(.*?)/?")


@dataclass(frozen=True, slots=True)
class Target:
    """`[USER@]HOST[:PORT]`; what is left out comes from ssh_config. `Target.parse(str(t)) == t`.

    Docker's form of it, `ssh://[USER@]HOST[:PORT]`, is read too.

    An IPv6 address stands in brackets, and `host` keeps it without them.
    """

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a target; a host that begins with `-`, or anything else unusual, raises UsageError."""
        address = _ADDRESS.fullmatch(text)
        place = address[1].replace("%25", "%") if address else text  # a % as URIs have it: RFC 6874
        user, at, rest = place.rpartition("@")
        match = re.fullmatch(rf"(?P<host>{_HOST.pattern})(?::(?P<port>[0-9]{{1,5}}))?", rest)
        port = int(match["port"]) if match and match["port"] else None
        if match is None or (at and not _USER.fullmatch(user)) or (port is not None and not 0 < port < 65536):
            raise _no_target(text)
        return cls(match["host"].strip("[]"), user if at else None, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")


def _no_target(text: str) -> UsageError:
    """The error for a text that names no host; a password in it is not repeated."""
    shown, expected = text, "[USER@]HOST[:PORT], such as root@example.org:2222"
    if "://" in text:
        shown = re.sub(r"(?<=://)([^:@]*):.*@", r"\1:…@", text)
        expected = "ssh://[USER@]HOST[:PORT], without a password, a path or a query"
    return UsageError(f"{shown!r} is no host to move to: expected {expected}", next_step="bottle migrate --help")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCommand:
    """A POSIX sh script and its arguments. It is quoted once, by the adapter that runs it, and never before.

    `script` is constant text of this program, called `name` in migrate/host/scripts; whatever varies is in `args`, the
    script's `$1`, `$2`, …
    """

    script: str
    name: str = ""
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a remote command said. `out` holds only what stood inside the reply's frame; `err` is cleaned and cut."""

    status: int
    out: bytes = b""
    err: str = ""


class Codec(Enum):
    """How a layer is compressed on its way; the value is the ending of its OCI media type and of its file."""

    ZSTD = "zstd"
    GZIP = "gzip"
    NONE = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` gives. Raises ValueError."""
        found = next((each for each in cls if str(each) == text), None)
        if found is None:
            raise ValueError(text)
        return found

    def __str__(self) -> str:
        """As the scripts on the far host call it."""
        return self.value or "none"

    @property
    def media_type(self) -> str:
        """Media type of a layer in this form (OCI image-spec, layer.md)."""
        base = "application/vnd.oci.image.layer.v1.tar"
        return f"{base}+{self.value}" if self.value else base


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A layer as it travels: a local file, compressed. `digest` is that of the file, `diff_id` that of the tar in it.

    Digests are `sha256:<64 hex>`, sizes are in bytes.
    """

    diff_id: str
    diff_size: int
    digest: str
    size: int
    codec: Codec
    path: Path


class Presence(Enum):
    """What a host knows of an identity."""

    ABSENT = "absent"
    OWNED = "owned"
    MOVED = "moved"


class WorkspacePlace(Enum):
    """What is at the path where the workspace is to land.

    `OURS`: an earlier run of the same move put it there. `LEFT`: the bottle left it there when it moved away, and
    nobody has worked in it since.
    """

    FREE = "free"
    FULL = "full"
    DENIED = "denied"
    OURS = "ours"
    LEFT = "left"


class EngineAccess(Protocol):
    """How a host's engine is reached, and what it is: what `HostFacts` says of it."""

    @property
    def docker(self) -> str:
        """The path of its client."""

    @property
    def sudo(self) -> bool:
        """Whether the client must be run by `sudo -n`."""

    @property
    def store(self) -> Store:
        """How it keeps images."""

    @property
    def docker_root(self) -> str:
        """The folder of its data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What preflight found on the far host. Byte counts are of space free to its user.

    `docker` is the path of its client there, `sudo` whether it must be run by `sudo -n`; `refused` is what it said
    when neither way reached an engine. `disk_…` says on which filesystem a path is: two with one value share its space.
    `staged` is what an earlier run of this move has brought there. `engine_id` is what its engine calls itself.
    `ran_since` names containers that the bottle left there when it moved away, and that run or were run since. `root`:
    its user may read what nobody may. `podman`: its engine is Podman, under Docker's name or behind Docker's API.
    `left` is where the bottle left its workspace there when it moved away. Where that is what was asked about, and has
    been worked in since, `differing` says how many paths differ, and `differs` names some; `used` are containers that
    run with it. `copied`: what it has of the bottle is a copy on which nobody has worked there; where somebody has,
    `changed` names what of its state is not as it came. `volumes` are names that no newer volume of the copy may have,
    `volumes_used` those of its own that a container there has, and the name of that. `generation` is that of what it
    has there, 0 for nothing.
    """

    bottle_home: str
    writable: bool
    tools: frozenset[str]
    bottle: str | None
    presence: Presence
    free_home: int
    disk_home: str
    staged: int
    workspace: WorkspacePlace | None
    free_workspace: int
    disk_workspace: str
    docker: str
    sudo: bool
    refused: str | None
    engine_version: str
    architecture: str
    store: Store
    docker_root: str
    free_docker: int
    disk_docker: str
    engine_id: str = ""
    ran_since: tuple[str, ...] = ()
    root: bool = False
    podman: bool = False
    left: str | None = None
    differing: int = 0
    differs: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    copied: bool = False
    changed: tuple[str, ...] = ()
    generation: int = 0
    volumes: frozenset[str] = frozenset()
    volumes_used: tuple[tuple[str, str], ...] = ()

    @property
    def file_codec(self) -> Codec:
        """How tars that the far shell unpacks are compressed."""
        return Codec.ZSTD if "zstd" in self.tools else Codec.GZIP if "gzip" in self.tools else Codec.NONE
