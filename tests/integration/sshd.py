"""A real sshd on loopback, with keys and configuration of its own, for one test."""

import contextlib
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SERVER = "/usr/sbin/sshd"
PACKAGES = {SERVER: "openssh-server", "/usr/bin/tcsh": "tcsh", "/usr/bin/fish": "fish", "/usr/bin/zsh": "zsh"}


def ensure_packages() -> None:
    """Install what is missing; these tests do not skip."""
    missing = sorted(package for path, package in PACKAGES.items() if not Path(path).exists())
    if not missing:
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(("apt-get", "update"), check=True, capture_output=True, env=environment)
    subprocess.run(
        ("apt-get", "install", "-y", "--no-install-recommends", *missing),
        check=True,
        capture_output=True,
        env=environment,
    )


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A fresh key pair; returns the private file."""
    subprocess.run(("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)), check=True, capture_output=True)
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sshd:
    """A server in `folder` that lets `user_key` in, as whoever exists on this machine."""

    folder: Path
    host_key_types: tuple[str, ...] = ("ed25519",)
    settings: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_keys = [make_key(self.folder / f"host_{kind}", kind=kind) for kind in self.host_key_types]
        self.user_key = make_key(self.folder / "user_key")
        self.authorized = self.folder / "authorized_keys"
        self.authorized.write_text(self.user_key.with_suffix(".pub").read_text())
        self.log_file = self.folder / "log"
        self.log_file.touch()

    def start(self) -> "Sshd":
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config = self.folder / "sshd_config"
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        lines = [
            *self.settings,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {key}" for key in self.host_keys),
            f"AuthorizedKeysFile {self.authorized} .ssh/bottle_test_keys",
            f"PidFile {self.folder / 'pid'}",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "StrictModes no",
            "UsePAM no",
            "LogLevel DEBUG1",
            "MaxStartups 100",
            # The tests kill shells midway, and what a developer's own .bashrc was doing then may not survive that.
            f"Match User {getpass.getuser()}",
            f"SetEnv HOME={home}",
        ]
        config.write_text("\n".join(lines) + "\n")
        # -D and not -e: the log goes to a file that sshd opens, so that it also holds what its sessions say.
        command = (SERVER, "-D", "-E", str(self.log_file), "-f", str(config))
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self._await()
        return self

    def stop(self) -> None:
        """End the listener and every session."""
        self.kill_sessions()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def kill_sessions(self) -> None:
        """End the sessions that are open, as a reboot or a dropped link would; the listener goes on."""
        # sshd's own processes first, lest the command's end still be reported.
        for pid in self._descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def known_hosts(self, path: Path, *, kinds: tuple[str, ...] | None = None, name: str | None = None) -> Path:
        """Append this server's true keys to `path`."""
        with path.open("a") as file:
            for kind, key in zip(self.host_key_types, self.host_keys, strict=True):
                if kinds is None or kind in kinds:
                    public = key.with_suffix(".pub").read_text().split()
                    file.write(f"{name or f'[127.0.0.1]:{self.port}'} {public[0]} {public[1]}\n")
        return path

    def ssh_config(self, path: Path, known_hosts: Path, *, alias: str = "box", extra: tuple[str, ...] = ()) -> Path:
        """Append to `path` an alias that leads here."""
        lines = [
            f"Host {alias}",
            "  HostName 127.0.0.1",
            f"  Port {self.port}",
            f"  User {getpass.getuser()}",
            f"  IdentityFile {self.user_key}",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {known_hosts}",
            "  GlobalKnownHostsFile none",
            *(f"  {line}" for line in extra),
        ]
        with path.open("a") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def _await(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(f"sshd does not answer: {self.log()}")

    def _descendants(self) -> list[int]:
        found = [self.process.pid] if self.process else []
        for pid in found:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in children.read_text().split())
        return found[1:]


@contextlib.contextmanager
def running(folder: Path, **settings: object) -> Iterator[Sshd]:
    """An Sshd for the length of a `with`."""
    ensure_packages()
    assert shutil.which("ssh-keygen"), "openssh-client is missing"
    server = Sshd(folder, **settings).start()  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def user_with_shell(name: str, shell: str, server: Sshd) -> Iterator[Path]:
    """A user of this machine whom `server` lets in, with `shell` as login shell; yields its home, and removes both."""
    subprocess.run(("useradd", "-m", "-s", shell, name), check=True, capture_output=True)
    try:
        # Without a password that could match, but not locked: sshd lets no locked account in.
        subprocess.run(("usermod", "-p", "*", name), check=True, capture_output=True)
        home = Path(pwd.getpwnam(name).pw_dir)
        # sshd reads this as that user, who cannot see into the folder of the tests.
        keys = home / ".ssh" / "bottle_test_keys"
        keys.parent.mkdir()
        keys.write_text(server.authorized.read_text())
        yield home
    finally:
        server.kill_sessions()
        subprocess.run(("userdel", "-r", "-f", name), check=False, capture_output=True)
