"""The image that test hosts run, rebuilt only when a file that makes it has changed."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import BuildError, ImageNotFound

BASE_IMAGE = "debian:trixie-slim"
HOST_REPOSITORY = "agent-bottle-testhost"

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent.parent / "scripts"
CONTEXT: dict[str, tuple[Path, int]] = {
    "Dockerfile": (HERE / "Dockerfile", 0o644),
    "entrypoint": (HERE / "entrypoint", 0o755),
    "hostctl": (HERE / "hostctl", 0o755),
    "sshd.conf": (HERE / "sshd.conf", 0o644),
    "kernel.sh": (SCRIPTS / "lib" / "kernel.sh", 0o644),
}
OTHER_REPOSITORY = "agent-bottle-otherhost"
OTHER_CONTEXT: dict[str, tuple[Path, int]] = {
    "Dockerfile": (HERE / "other.Dockerfile", 0o644),
    "containers.conf": (HERE / "containers.conf", 0o644),
    "otherctl": (HERE / "otherctl", 0o755),
}
SID_REPOSITORY = "agent-bottle-sidhost"
SID_CONTEXT: dict[str, tuple[Path, int]] = {"Dockerfile": (HERE / "sid.Dockerfile", 0o644)}
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def progress(message: str) -> None:
    """Say on stderr what takes a while."""
    sys.stderr.write(f"    {message}\n")


def ensure_base_image(client: docker.DockerClient) -> str:
    """Return the base image's name; pulled or made by ``scripts/engine base`` if it is missing."""
    try:
        client.images.get(BASE_IMAGE)
    except ImageNotFound:
        progress(f"getting {BASE_IMAGE}")
        subprocess.run([str(SCRIPTS / "engine"), "base"], check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    return BASE_IMAGE


def host_image_tag() -> str:
    """The tag that belongs to the files as they are now."""
    return _tag(HOST_REPOSITORY, CONTEXT)


def _tag(repository: str, context: dict[str, tuple[Path, int]], base: str = "") -> str:
    digest = hashlib.sha256(base.encode())
    for name, (path, mode) in sorted(context.items()):
        content = path.read_bytes()
        digest.update(f"{name} {mode} {len(content)}\n".encode())
        digest.update(content)
    return f"{repository}:{digest.hexdigest()[:12]}"


def ensure_host_image(client: docker.DockerClient) -> str:
    """Return the host image's name, built if these files have not been built yet."""
    tag = host_image_tag()
    with _alone():
        try:
            client.images.get(tag)
        except ImageNotFound:
            ensure_base_image(client)
            progress(f"building {tag}; this takes a while")
            _build(client, tag, CONTEXT)
    return tag


def ensure_other_image(client: docker.DockerClient) -> str:
    """Return the name of the image of hosts with Podman and a rootless Docker, built if it has not been yet."""
    return _ensure_on_host_image(client, OTHER_REPOSITORY, OTHER_CONTEXT)


def ensure_sid_image(client: docker.DockerClient) -> str:
    """Return the name of the image of hosts with the Docker of Debian sid, built if it has not been yet."""
    return _ensure_on_host_image(client, SID_REPOSITORY, SID_CONTEXT)


def _ensure_on_host_image(client: docker.DockerClient, repository: str, context: dict[str, tuple[Path, int]]) -> str:
    base = ensure_host_image(client)
    tag = _tag(repository, context, base)
    with _alone():
        try:
            client.images.get(tag)
        except ImageNotFound:
            progress(f"building {tag}; this takes a while")
            _build(client, tag, context, HOST_IMAGE=base)
    return tag


@contextmanager
def _alone() -> Iterator[None]:
    """Of several runs that want the image at once, the first one makes it."""
    with (HERE / "Dockerfile").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(client: docker.DockerClient, tag: str, context: dict[str, tuple[Path, int]], **args: str) -> None:
    try:
        client.images.build(
            fileobj=_packed(context),
            custom_context=True,
            tag=tag,
            rm=True,
            forcerm=True,
            buildargs={name: os.environ[name] for name in PROXIES if name in os.environ} | args,
        )
    except BuildError as error:
        log = "".join(str(line.get("stream", "")) for line in error.build_log if isinstance(line, dict))
        raise RuntimeError(f"the host image could not be built: {error}\n{log[-4000:]}") from error


def _packed(context: dict[str, tuple[Path, int]]) -> io.BytesIO:
    """The build context, with fixed times and owners so that the builder's cache works across clones."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (path, mode) in context.items():
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    buffer.seek(0)
    return buffer
