"""The scripts that run on the far host: constant text, shipped as files so that a shell can check them."""

from functools import cache
from importlib.resources import files

from migrate.model import EngineAccess, RemoteCommand


@cache
def _text(name: str) -> str:
    return files("migrate.host").joinpath("scripts", f"{name}.sh").read_text(encoding="utf-8")


def plain(name: str, *args: str) -> RemoteCommand:
    """A script that does without the engine."""
    return RemoteCommand(script=_text("common") + _text(name), name=name, args=args)


def with_docker(name: str, host: EngineAccess, *args: str) -> RemoteCommand:
    """A script that uses the engine there, by the path and the rights that preflight found."""
    script = _text("common") + _text("docker") + _text(name)
    return RemoteCommand(script=script, name=name, args=("yes" if host.sudo else "no", host.docker, *args))


def named(name: str, *args: str, docker: bool) -> RemoteCommand:
    """The script called `name`; with `docker`, `args` begin with how the engine is reached."""
    parts = ("common", "docker", name) if docker else ("common", name)
    return RemoteCommand(script="".join(map(_text, parts)), name=name, args=args)
