"""What the tests of `migrate` share: a desk to type at, an agent with work worth moving, and ways to compare trees."""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from tests.hosts import DockerHost
from tests.hosts.keys import path_with_config

ROOT = Path(__file__).resolve().parents[2]
STRIKE = ROOT / "tests" / "integration" / "strike.py"
BOTTLE = ("-c", "from bottle.cli.main import main; main(prog_name='bottle')")
IMAGE = f"bottle-migration-test:{secrets.token_hex(4)}"  # of this test run
DOCKERFILE = """\
FROM {base}
RUN useradd --create-home --uid 1234 worker \
 && mkdir -p /opt/cache && echo from-the-image >/opt/cache/seed && echo gone >/etc/deleted-later
COPY agent /usr/local/bin/agent
"""
# Keeps a journal, and goes on where it left off.
AGENT = """\
#!/bin/sh
trap 'exit 0' TERM
mkdir -p /root/.agent
last=$(tail -n 1 /root/.agent/journal 2>/dev/null | cut -d' ' -f2)
echo "$1" >>/root/.agent/began
step=${last:-0}
while :; do
	step=$((step + 1))
	echo "step $step" >>/root/.agent/journal
	sleep 0.2 &
	wait $!
done
"""
MANIFEST = """\
[agents.mover]
image = "{image}"
command = ["/usr/local/bin/agent", "first"]
resume_command = ["/usr/local/bin/agent", "again"]
transcript = ["/root/.agent"]
secrets = ["MIGRATION_TEST_SECRET"]
volumes = ["cache:/opt/cache"]
network = "none"

[agents.plain]
image = "{image}"
command = ["/usr/local/bin/agent", "first"]
resume_command = ["/usr/local/bin/agent", "again"]
transcript = ["/root/.agent"]
network = "none"
"""
CAPABILITY = "SCHILY.xattr.security.capability"
# struct vfs_cap_data, version 2: cap_net_bind_service=ep (linux/capability.h).
NET_BIND = "\x01\x00\x00\x02\x00\x04\x00\x00" + 12 * "\x00"
WEIRD = (
    "with space",
    "new\nline",
    "back\\slash",
    "ünï-çødé-☃",
    "-leading-dash",
    "quote'\"$(x)`;",
    "tab\there",
    "cr\r",
    "*",
)
RAW = b"not-utf8-\xff\xfe"


# --- trees ------------------------------------------------------------------------------------------------------------


def tree(data: bytes) -> dict[str, tuple[object, ...]]:
    """A tar as a mapping from names to all that a move must keep; hard links by what they are linked with."""
    found: dict[str, tuple[object, ...]] = {}
    groups: dict[str, set[str]] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        top = None
        for member in archive:
            top = member.name if top is None else top
            name = os.path.relpath(member.name, top)
            content = b""
            if member.isreg():
                content = archive.extractfile(member).read()  # type: ignore[union-attr]
            if member.islnk():
                first = os.path.relpath(member.linkname, top)
                groups.setdefault(first, {first}).add(name)
                content = str(found[first][-1]).encode()
            digest = hashlib.sha256(content).hexdigest() if not member.islnk() else content.decode()
            kind = "file" if member.isreg() or member.islnk() else member.type.decode()
            found[name] = (
                kind, oct(member.mode & 0o7777), member.uid, member.gid, int(member.mtime),
                member.linkname if member.issym() else "", member.pax_headers.get(CAPABILITY, ""), digest,
            )  # fmt: skip
    for group in groups.values():
        for name in group:
            found[name] = (*found[name][:-1], tuple(sorted(group)), found[name][-1])
    return found


def folder_tree(path: Path) -> dict[str, tuple[object, ...]]:
    """The tree of a folder of this machine."""
    return tree(subprocess.run(("tar", "-C", path, "-cf", "-", "."), check=True, capture_output=True).stdout)


def far_folder_tree(host: DockerHost, path: str) -> dict[str, tuple[object, ...]]:
    """The tree of a folder of a host."""
    return tree(host.exec(["tar", "-C", path, "-cf", "-", "."]).stdout)


def container_tree(container: Container, path: str) -> dict[str, tuple[object, ...]]:
    """The tree of a folder in a container."""
    return tree(b"".join(container.get_archive(path)[0]))


def far_container_tree(host: DockerHost, identity: str, path: str) -> dict[str, tuple[object, ...]]:
    """The tree of a folder in a bottle's container on a host."""
    return tree(host.docker("cp", f"bottle-{identity}:{path}", "-").stdout)


def _work() -> bytes:
    """A tar of what an agent may leave behind: every kind of entry that a commit keeps."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def put(name: str, content: bytes | None = None, **facts: Any) -> None:
            member = tarfile.TarInfo(name)
            member.mode, member.mtime, member.type = 0o644, 1_700_000_000, tarfile.DIRTYPE
            if content is not None:
                member.type, member.size = tarfile.REGTYPE, len(content)
            for key, value in facts.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content or b""))

        put("work", mode=0o755)
        put("work/mine", b"root's\n")
        put("work/others", b"worker's\n", uid=1234, gid=4321, mode=0o640)
        put("work/setuid", b"#!/bin/sh\n", mode=0o4755)
        put("work/able", b"#!/bin/sh\n", mode=0o755, pax_headers={CAPABILITY: NET_BIND})
        put("work/empty folder", mode=0o1777, uid=1234)
        put("work/linked", type=tarfile.LNKTYPE, linkname="work/mine")
        put("work/symlink", type=tarfile.SYMTYPE, linkname="../etc/passwd")
        put("work/dangling", type=tarfile.SYMTYPE, linkname="/nowhere/at all")
        for name in WEIRD:
            put(f"work/{name}", name.encode())
    return buffer.getvalue()


def fill_workspace(folder: Path) -> None:
    """Work in a mounted folder: tracked or not does not matter to a move, so there is no git here."""
    (folder / ".git").mkdir()
    (folder / ".gitignore").write_text("ignored\n")
    (folder / "ignored").write_text("ignored, and still work\n")
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o751)
    (folder / "private").write_text("secret plans\n")
    (folder / "private").chmod(0o600)
    os.link(folder / "script", folder / "script again")
    (folder / "symlink").symlink_to("script")
    (folder / "absolute link").symlink_to("/etc/hostname")
    (folder / "empty folder").mkdir(mode=0o700)
    (folder / "deep" / "er" / ("long " * 20)).mkdir(parents=True)
    (folder / "deep" / "er" / ("long " * 20) / "file").write_text("deep\n")
    (folder / "large").write_bytes(os.urandom(300_000))
    (folder / "zero").touch()
    for name in WEIRD:
        (folder / name).write_text(name)
    Path(os.fsdecode(os.fsencode(folder) + b"/" + RAW)).write_text("raw")
    os.chown(folder / "private", 1234, 4321)
    os.chown(folder / "empty folder", 1234, 1234)


# --- a desk -----------------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """A user's machine: a home with an ssh_config, a manifest, a state folder, a workspace; and the engine under it."""

    folder: Path
    environ: dict[str, str]
    engine: docker.DockerClient
    known: list[str] = field(default_factory=list)

    @property
    def states(self) -> Path:
        return self.folder / "bottles" / "state"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def bottle(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Run the real command."""
        return subprocess.run(
            [sys.executable, *BOTTLE, *words], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=300, check=False, **options,
        )  # fmt: skip

    def ok(self, *words: str) -> dict[str, Any]:
        """Run the real command, which must succeed, and return its JSON answer."""
        done = self.bottle(*words, "--format", "json")
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stderr.decode()}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refused(self, code: int, *words: str) -> str:
        """Run the real command, which must fail with `code`; what it said."""
        done = self.bottle(*words)
        said = done.stderr.decode()
        assert done.returncode == code, f"{words}: exit {done.returncode}, not {code}\n{said}\n{done.stdout.decode()}"
        assert "Traceback" not in said
        return said

    def strike(self, moment: str, *words: str) -> tuple[int, list[str]]:
        """Run the real command and kill it at a moment (see strike.py); its exit code, and the moments it reached."""
        log = self.folder / "moments"
        log.write_text("")
        done = subprocess.run(
            [sys.executable, str(STRIKE), str(log), moment, *words], cwd=self.folder, env=self.environ,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        (self.folder / "said").write_bytes(done.stderr)
        return done.returncode, log.read_text().splitlines()

    def start(self, agent: str = "plain", *words: str) -> str:
        """A running bottle that has begun its journal."""
        self.workspace.mkdir(exist_ok=True)
        identity = str(self.ok("start", agent, "-d", "--cwd", str(self.workspace), *words)["identity"])
        self.known.append(identity)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.run_in(identity, "test", "-s", "/root/.agent/journal") is None:
            time.sleep(0.05)
        return identity

    def container(self, identity: str) -> Container:
        return self.engine.containers.get(f"bottle-{identity}")

    def run_in(self, identity: str, *command: str) -> bytes | None:
        """What a command in the bottle says; None where it fails."""
        code, output = self.container(identity).exec_run(list(command), user="0")
        return bytes(output) if code == 0 else None

    def work(self, identity: str) -> None:
        """Let the agent do all kinds of work, inside and in its volume."""
        container = self.container(identity)
        container.put_archive("/", _work())
        assert self.run_in(identity, "rm", "-r", "/etc/deleted-later", "/usr/share/doc") is not None
        if any(mount["Destination"] == "/opt/cache" for mount in container.attrs["Mounts"]):
            container.put_archive("/opt/cache", _work())
            assert self.run_in(identity, "rm", "/opt/cache/seed") is not None

    def nest(self, identity: str, path: str, depth: int) -> None:
        """`depth` folders in each other, and a file in the last one."""
        nest = "chdir $ARGV[0]; for (1..$ARGV[1]) { mkdir 'd'; chdir 'd' } open F, '>leaf'; print F 'deep'"
        assert self.run_in(identity, "perl", "-e", nest, path, str(depth)) is not None

    def grow(self, identity: str, size: int) -> None:
        """`size` bytes of work that cannot be compressed."""
        command = f"head -c {size} /dev/urandom >/root/large"
        assert self.run_in(identity, "sh", "-c", command) is not None

    def target(self, host: DockerHost, user: str = "root") -> str:
        return host.alias(user)

    def knows(self, host: DockerHost) -> None:
        """Have the host in ~/.ssh/config."""
        config = self.folder / ".ssh" / "config"
        with config.open("a") as file:
            file.write(host.ssh_config.read_text() + "\n")

    def knows_as(self, alias: str, host: DockerHost, port: int, user: str = "root") -> str:
        """Have the host under another name and port, such as those of a proxy; returns the name."""
        config = self.folder / ".ssh" / "config"
        known = self.folder / f"known-{alias}"
        key = host.known_hosts.read_text().split(" ", 1)[1]
        known.write_text(f"[127.0.0.1]:{port} {key}")
        with config.open("a") as file:
            file.write(
                f"\nHost {alias}\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {host.key_file}\n"
                f"  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {known}\n"
                "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
            )
        return alias

    def migration(self, identity: str) -> dict[str, Any] | None:
        """The note of a move in flight."""
        with suppress(FileNotFoundError):
            note: dict[str, Any] = json.loads((self.states / identity / "migration.json").read_text())
            return note
        return None

    def can_resume(self, identity: str) -> bool:
        """Whether this host would bring the bottle back; whoever asks changes nothing but what a move left open."""
        done = self.bottle("resume", "--dry-run", identity)
        assert done.returncode in {0, 4}, done.stderr.decode()
        return done.returncode == 0

    def clear(self) -> None:
        """Remove all that the bottles of this desk have in the engine."""
        for identity in {*self.known, *(each.name for each in self.states.iterdir() if self.states.is_dir())}:
            mine = {"label": f"bottle.identity={identity}"}
            for container in self.engine.containers.list(all=True, filters=mine, ignore_removed=True):
                with suppress(NotFound):
                    container.remove(force=True, v=True)
            # By name: the image of a copy bears the labels of what it was copied from.
            for image in self.engine.images.list(name=f"bottle-committed-{identity}"):
                for tag in image.tags:
                    with suppress(NotFound):
                        self.engine.images.remove(tag, force=True)
            for volume in self.engine.volumes.list(filters=mine):
                with suppress(DockerException):
                    volume.remove(force=True)


@contextmanager
def desk_in(folder: Path, engine: docker.DockerClient) -> Iterator[Desk]:
    """A fresh desk; what its bottles leave in the engine is removed."""
    folder.mkdir(exist_ok=True)
    (folder / "bottle.toml").write_text(MANIFEST.format(image=IMAGE))
    environ = {
        **os.environ, "HOME": str(folder), "BOTTLE_HOME": str(folder / "bottles"),
        "MIGRATION_TEST_SECRET": "hush-4711", "PYTHONPATH": str(ROOT),
        "PATH": path_with_config(folder / "bin", folder / ".ssh" / "config"),
    }  # fmt: skip
    desk = Desk(folder, environ, engine)
    (folder / "bottles" / "state").mkdir(parents=True)
    (folder / ".ssh").mkdir(mode=0o700)
    (folder / ".ssh" / "config").touch()
    try:
        yield desk
    finally:
        desk.clear()


# --- the other side ---------------------------------------------------------------------------------------------------


def far_can_resume(host: DockerHost, identity: str) -> bool:
    """Whether a host would bring the bottle back."""
    done = host.exec(["bottle", "resume", "--dry-run", identity], check=False)
    assert done.returncode in {0, 3, 4}, done.stderr.decode()
    return done.returncode == 0


def forget(host: DockerHost, identity: str) -> None:
    """Take all that a host has of a bottle away."""
    host.exec(["sh", "-c", FORGET, "forget", identity])


FORGET = """
docker ps -aq --filter "label=bottle.identity=$1" | xargs -r docker rm -f -v
docker volume ls -q --filter "label=bottle.identity=$1" | xargs -r docker volume rm
docker image ls --format '{{.Repository}}:{{.Tag}}' "bottle-committed-$1" | xargs -r docker image rm
rm -rf "/root/.bottle/state/$1" "/root/.bottle/incoming/$1"
exit 0
"""


def build_image(engine: docker.DockerClient, base: str) -> None:
    """The agent's image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as context:
        for name, text, mode in (("Dockerfile", DOCKERFILE.format(base=base), 0o644), ("agent", AGENT, 0o755)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), mode
            context.addfile(member, io.BytesIO(text.encode()))
    buffer.seek(0)
    engine.images.build(fileobj=buffer, custom_context=True, tag=IMAGE, rm=True, forcerm=True)


def build_wheel(folder: Path) -> Path:
    """A wheel of this source, made from a copy, so that nothing is left beside it."""
    source = folder / "source"
    names = ("bottle", "migrate", "pyproject.toml", "LICENSE", "README.md")
    for name in names:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, source / name)
    command = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source))
    made = subprocess.run(command, check=False, capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    (wheel,) = folder.glob("*.whl")
    return wheel
