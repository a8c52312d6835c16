"""`doctor USER@HOST`: what is missing there for a bottle to move there. The facts are those of a move's preflight."""

from collections.abc import Iterator

from bottle import __version__
from bottle.errors import PreflightRefused
from bottle.model import EngineInfo
from bottle.naming import Identity
from bottle.operations.doctor import Check, Verdict, disk, good, too_old, warning
from migrate.host.probe import probe
from migrate.model import HostFacts
from migrate.ports import Remote

# No agent may be called so, and thus no bottle.
NOBODY = Identity("committed-nobody", "00000")
_REFUSED = PreflightRefused.exit_code
_HASHES = ("sha256sum", "shasum", "openssl")
# Docker says of the machine what `uname -m` does, and of images what Go does.


def examine_host(remote: Remote, here: EngineInfo | None) -> tuple[Check, ...]:
    """Ask a host about itself, and judge. `here` is the engine of this side, where there is one. Raises RemoteError."""
    return tuple(judge(probe(remote, NOBODY, ""), here, remote.name))


def judge(host: HostFacts, here: EngineInfo | None, name: str) -> Iterator[Check]:
    """What a host's facts mean for a move to it. Pure."""
    yield good("login", f"{name} lets us in, and its key is known")
    yield from _docker(host, here, name)
    if host.writable:
        yield good("home there", f"{host.bottle_home} is writable")
        yield disk("disk there", host.free_home, host.bottle_home, _REFUSED)
    else:
        yield _bad("home there", f"{host.bottle_home} cannot be written", f"there: ls -ld {host.bottle_home}")
    yield from _tools(host)
    if host.bottle is None:
        yield warning(
            "bottle there",
            "not installed: a bottle can arrive, and `bottle resume` there needs it",
            "there: pipx install agent-bottle",
        )
    else:
        yield good("bottle there", f"{host.bottle} (here: {__version__})")


def _docker(host: HostFacts, here: EngineInfo | None, name: str) -> Iterator[Check]:
    if not host.docker:
        yield _bad("docker there", "there is no docker command on its PATH", f"install Docker on {name}")
        return
    if host.podman:
        yield _bad(
            "docker there",
            f"{host.docker} leads to Podman: bottles move from there, and not to it",
            "take a bottle there as a file: bottle export, bottle import",
        )
        return
    if host.refused is not None:
        yield _bad(
            "docker there",
            f"{host.docker} reaches no engine, with sudo or without: {host.refused}",
            "there: start Docker; sudo usermod -aG docker $USER, or allow sudo without a password",
        )
        return
    rights = "through sudo" if host.sudo else "without sudo"
    what = f"{host.docker} {rights}: Docker {host.engine_version}, {host.store.value} image store, {host.architecture}"
    yield good("docker there", what)
    if too_old(host.engine_version):
        yield warning(
            "docker version there",
            f"{host.engine_version} is older than what bottle is tested with",
            "there: upgrade Docker to 20.10 or later",
        )
    if here is not None and here.architecture != host.architecture:
        yield _bad(
            "architecture",
            f"{host.architecture} there and {here.architecture} here: images do not run on both",
            "choose a host of the same architecture",
        )
    yield disk("docker disk there", host.free_docker, host.docker_root, _REFUSED)


def _tools(host: HostFacts) -> Iterator[Check]:
    missing = [tool for tool in ("tar", "find", "awk") if tool not in host.tools]
    if not host.tools & set(_HASHES):
        missing.append(f"one of {', '.join(_HASHES)}")
    if missing:
        yield _bad("tools there", f"missing: {', '.join(missing)}", "install them there")
    elif "zstd" not in host.tools:
        yield warning(
            "tools there",
            "no zstd: files beside the image travel less well compressed",
            "install zstd there",
        )
    else:
        yield good("tools there", ", ".join(sorted(host.tools)))


def _bad(name: str, detail: str, next_step: str) -> Check:
    return Check(name=name, verdict=Verdict.BAD, detail=detail, next_step=next_step, exit_code=_REFUSED)
