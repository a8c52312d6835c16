"""known_hosts files, read as OpenSSH reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), and RevokedHostKeys.

The latter is a list of public keys, or a key revocation list as ssh-keygen makes it (ssh-keygen(1)).
"""

import base64
import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from paramiko import HostKeys

from migrate.transport.ssh.keys import public_blob

_MARKERS = frozenset({"@revoked", "@cert-authority"})
_PORT = 22
_KRL_MAGIC = b"SSHKRL\n\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHost:
    """One line that names the host. `key_type` is as in the file, `blob` the key in SSH wire format."""

    path: Path
    line: int
    marker: str
    key_type: str
    blob: bytes


class KeyVerdict(Enum):
    """What known_hosts says of the key that a host shows."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHosts:
    """What all files together say of one host. `name` is how the files spell it: `host`, `[host]:port` or an alias."""

    name: str
    user_files: tuple[Path, ...]
    files: tuple[Path, ...]
    entries: tuple[KnownHost, ...]
    portless: tuple[KnownHost, ...]

    @classmethod
    def read(
        cls, host: str, port: int, *, alias: str | None, user_files: tuple[Path, ...], more: tuple[Path, ...]
    ) -> Self:
        """Read `user_files` and `more`; what is missing or malformed names nobody."""
        host = host.lower()
        name = alias or (host if port == _PORT else f"[{host}]:{port}")
        files = (*user_files, *more)
        return cls(
            name=name,
            user_files=user_files,
            files=files,
            entries=tuple(_naming(name, files)),
            portless=() if name == host or alias else tuple(_naming(host, files)),
        )

    def judge(self, blob: bytes) -> KeyVerdict:
        """Any known key of the host that is not `blob` makes it changed, whatever its type: stricter than OpenSSH.

        A host on another port is also known by an entry without a port, as in OpenSSH, when the key is the same.
        """
        if any(e.marker == "@revoked" and e.blob == blob for e in (*self.entries, *self.portless)):
            return KeyVerdict.REVOKED
        plain = [e for e in self.entries if not e.marker]
        if any(e.blob == blob for e in plain):
            return KeyVerdict.KNOWN
        if plain:
            return KeyVerdict.CHANGED
        return KeyVerdict.KNOWN if any(e.blob == blob and not e.marker for e in self.portless) else KeyVerdict.UNKNOWN

    @property
    def key_types(self) -> tuple[str, ...]:
        """Types of the keys that would do, so that the host can be asked for one of these."""
        return tuple(dict.fromkeys(e.key_type for e in self.entries or self.portless if not e.marker))

    def add(self, key_type: str, blob: bytes, *, hashed: bool) -> Path:
        """Append the host to the user's first file, under its lock and in one write; returns that file."""
        path = self.user_files[0]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = HostKeys.hash_host(self.name) if hashed else self.name
        line = f"{name} {key_type} {base64.b64encode(blob).decode()}\n"
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            file.write(("\n" if torn else "").encode() + line.encode())
            os.fsync(descriptor)
        return path


def _naming(name: str, files: tuple[Path, ...]) -> Iterator[KnownHost]:
    for path in files:
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            entry = _parse(path, number, line, name)
            if entry is not None:
                yield entry


def _parse(path: Path, number: int, line: str, name: str) -> KnownHost | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#") or (marker and marker not in _MARKERS):
        return None
    if not _names(fields[0], name):
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except ValueError:
        return None
    return KnownHost(path=path, line=number, marker=marker, key_type=fields[1], blob=blob)


def _names(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        try:
            return HostKeys.hash_host(name, patterns) == patterns
        except (ValueError, AssertionError):  # no base64, or no salt
            return False
    found = False
    for pattern in patterns.lower().split(","):
        if _fits(pattern.removeprefix("!"), name.lower()):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _fits(pattern: str, name: str) -> bool:
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), name) is not None


def is_revoked(file: Path, key_type: str, blob: bytes) -> bool:
    """Whether the file names the key. As in OpenSSH, a file that cannot be read or understood names all keys."""
    try:
        content = file.read_bytes()
    except OSError:
        return True
    if content.startswith(_KRL_MAGIC):
        return not _passes(file, key_type, blob)
    return any(public_blob(line) == blob for line in content.decode(errors="replace").splitlines())


def _passes(krl: Path, key_type: str, blob: bytes) -> bool:
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as public:
        public.write(f"{key_type} {base64.b64encode(blob).decode()}\n")
        public.flush()
        try:
            done = subprocess.run(
                ("ssh-keygen", "-Q", "-f", str(krl), public.name),
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
            )
        except OSError:
            return False
    return done.returncode == 0
