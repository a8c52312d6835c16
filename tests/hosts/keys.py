"""The SSH material of one host: keys made per run, the known_hosts that is true for it, a ready ssh_config."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key pair in OpenSSH's formats."""

    private: bytes
    public: str


def make_key_pair() -> KeyPair:
    """Make a key pair; in Python, because the machine may lack ssh-keygen."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(private=private, public=public.decode("ascii"))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else could read at any moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def known_hosts_line(address: str, port: int, public: str) -> str:
    """The line of known_hosts for a host on a port other than 22, as sshd(8) describes it."""
    return f"[{address}]:{port} {public}\n"


def ssh_config_text(
    *, name: str, users: Sequence[str], address: str, port: int, key_file: Path, known_hosts: Path
) -> str:
    """One ``Host`` per user: ``NAME`` for the first of them, ``NAME-USER`` for each."""
    blocks = []
    for index, user in enumerate(users):
        aliases = f"{name} {name}-{user}" if index == 0 else f"{name}-{user}"
        blocks.append(
            f"Host {aliases}\n"
            f"    HostName {address}\n"
            f"    Port {port}\n"
            f"    User {user}\n"
            f'    IdentityFile "{key_file}"\n'
            f"    IdentitiesOnly yes\n"
            f"    IdentityAgent none\n"
            f'    UserKnownHostsFile "{known_hosts}"\n'
            f"    GlobalKnownHostsFile /dev/null\n"
            f"    StrictHostKeyChecking yes\n"
            f"    BatchMode yes\n"
        )
    return "\n".join(blocks)


def path_with_config(folder: Path, config: Path) -> str:
    """A PATH whose ``ssh`` reads ``config``; made in ``folder``. OpenSSH looks for a user's own in no $HOME."""
    folder.mkdir(parents=True, exist_ok=True)
    client = shutil.which("ssh") or "/usr/bin/ssh"
    wrapper = folder / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(client)} -F {shlex.quote(str(config))} "$@"\n')
    wrapper.chmod(0o755)
    return os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath)))
