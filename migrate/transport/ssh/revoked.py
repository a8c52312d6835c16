"""RevokedHostKeys: a list of public keys, or a key revocation list as ssh-keygen makes it (ssh-keygen(1))."""

import base64
import subprocess
import tempfile
from pathlib import Path

from migrate.transport.ssh.keys import public_blob

_KRL_MAGIC = b"SSHKRL\n\0"


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
