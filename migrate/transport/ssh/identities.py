"""Which keys are offered, and in which order: that of OpenSSH (`pubkey_prepare` in its sshconnect2.c).

First the certificates of CertificateFile, then the agent's keys that a file names, then its others, then keys that only
a file has. Unlike there, what was named with `-i` goes ahead of all other keys, also where the agent does not hold it:
a host hangs up after some six.
"""

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

from paramiko import Message, PKey
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob

from migrate.transport.ssh.keys import describe, key_type, public_blob_of, read_public_blob

_CERTIFICATE = "-cert-v01@openssh.com"


class _Certified(PKey):
    """A key, held by an agent or read from a file, together with a certificate of it."""

    def __init__(self, key: PKey, certificate: bytes) -> None:
        self._key, self._certificate = key, certificate
        self.public_blob = PublicBlob(key_type(certificate), certificate)

    def asbytes(self) -> bytes:
        """What is offered, and is signed for: the certificate in wire format."""
        return self._certificate

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Message:
        """The key's signature."""
        return self._key.sign_ssh_data(data, algorithm)


class _HeldKey(AgentKey):
    """A key by the very bytes that the agent knows it by; so that an RSA certificate is none for the key in it."""

    def asbytes(self) -> bytes:
        """The key, or certificate, in wire format."""
        return self.blob


class AgentAt(AgentSSH):
    """The keys of the agent that listens at `path`; none where nothing does. Raises SSHException as paramiko's does."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(path))
        except OSError:
            line.close()
        else:
            cast("Any", self)._connect(line)

    def get_keys(self) -> tuple[AgentKey, ...]:
        """All that it holds, in its order."""
        return tuple(_HeldKey(self, key.blob, key.comment) for key in super().get_keys())

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            cast("Any", self)._close()


@dataclass(frozen=True, slots=True)
class Offer:
    """A key that is offered to a host, and what it is called in a message."""

    key: PKey
    what: str

    @classmethod
    def held(cls, key: PKey) -> Self:
        """One that the agent holds."""
        return cls(key, f"the agent's {describe(key.asbytes())}")

    @classmethod
    def read(cls, path: Path, key: PKey) -> Self:
        """One that was read from a file."""
        return cls(key, f"{path} ({describe(key.asbytes())})")

    def certified(self, certificate: bytes) -> Self:
        """The same with a certificate of it."""
        return replace(self, key=_Certified(self.key, certificate), what=f"{self.what} with its certificate")


def public_blobs(paths: Iterable[Path]) -> frozenset[bytes]:
    """The public keys of these files, and those certificates of them that lie beside them."""
    return frozenset(
        blob for path in paths for blob in (public_blob_of(path), _certificate(_beside(path))) if blob is not None
    )


def certificates(paths: Iterable[Path]) -> tuple[bytes, ...]:
    """The certificates in these files, as far as there are any."""
    return tuple(blob for blob in map(_certificate, paths) if blob is not None)


def beside(paths: Iterable[Path]) -> tuple[bytes, ...]:
    """The certificates that lie beside key files, which count where ssh_config names none."""
    return certificates(map(_beside, paths))


def in_order(keys: Sequence[Offer], first: Iterable[bytes], others: Sequence[bytes]) -> Iterator[Offer]:
    """Ahead of all those certificates among `first` that a key signs for; then each key, behind its among `others`."""
    yield from (each.certified(blob) for blob in first for each in keys if _certifies(blob, each.key))
    for each in keys:
        yield from (each.certified(blob) for blob in others if _certifies(blob, each.key))
        yield each


def _beside(path: Path) -> Path:
    return Path(f"{path}-cert.pub")


def _certificate(path: Path) -> bytes | None:
    blob = read_public_blob(path)
    return blob if blob is not None and key_type(blob).endswith(_CERTIFICATE) else None


def _certifies(certificate: bytes, key: PKey) -> bool:
    """Whether a certificate is of this key: its public part stands in there as it does in the key."""
    public = key.asbytes()
    return public[4 + int.from_bytes(public[:4]) :] in certificate
