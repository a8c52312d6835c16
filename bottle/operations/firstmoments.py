"""The first moments of a container: what ends in them was not launched, whatever the engine said of its start."""

from dataclasses import dataclass

from bottle.errors import EndedAtOnce, EngineError, PreflightRefused, UsageError
from bottle.model import Agent
from bottle.naming import Identity
from bottle.operations.context import Context
from bottle.operations.images import has_path
from bottle.text import printable_lines
from bottle.workspace import resolve_user

_MOMENTS = 0.5  # seconds; a program that is not there, or whose arguments are wrong, takes a tenth of them
_LINES = 20
_BYTES = 16 << 10
_SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An agent that had no more to do: it ended well, and at once. `output` are its last lines."""

    exit_code: int
    output: tuple[str, ...]


def see_it_run(context: Context, identity: Identity, container: str) -> Ended | None:
    """None where a bottle that was just started goes on. Raises EndedAtOnce where it failed."""
    code = context.engine.ended_within(container, _MOMENTS)
    if code is None:
        return None
    output = _last_lines(context, container)
    if code == 0:
        return Ended(exit_code=code, output=output)
    raise EndedAtOnce(
        f"{identity} was started, and ended at once with exit code {code}",
        details=output,
        left=f"{identity} is stopped and kept, with all that it wrote",
        next_step=f"bottle logs {identity}; then bottle resume {identity}, or bottle rm {identity}",
    )


def lacks_shell(context: Context, agent: Agent, container: str, image: str) -> bool:
    """Whether a new container has nothing that could run the script which tells it what to run.

    Secrets reach an agent through it, too. Raises PreflightRefused where it has some, and `image` no shell.
    """
    if has_path(context, container, _SHELL) or not has_path(context, container, "/"):
        return False  # an engine that finds no `/` either lacks something that is mounted: the start will say what
    if agent.secrets:
        raise PreflightRefused(
            f"agent {agent.name!r} has secrets, which a script hands to it, and {image} has no {_SHELL} to run that",
            left="nothing was started",
            next_step=f"use an image with {_SHELL}, or take `secrets` out of [agents.{agent.name}] in bottle.toml",
        )
    return True


def require_user(context: Context, agent: Agent, container: str, image: str) -> None:
    """Raises PreflightRefused where the agent is to run as somebody whom `image` does not know by name."""
    if agent.user is None:
        return
    try:
        resolve_user(context.engine, container, agent.user)
    except UsageError as exc:
        if not has_path(context, container, "/"):
            return
        raise PreflightRefused(
            f"agent {agent.name!r} is to run as user {agent.user}, whom {image} does not have",
            left="nothing was started",
            next_step=f"RUN useradd -m {agent.user.partition(':')[0]} in its Dockerfile, "
            f"or another `user` in [agents.{agent.name}] of bottle.toml",
        ) from exc


def _last_lines(context: Context, container: str) -> tuple[str, ...]:
    """What it said at last; where that cannot be read, as with the logging driver `none`, why not."""
    said = b""
    try:
        for chunk in context.engine.logs(container, tail=_LINES):
            said = (said + chunk)[-_BYTES:]
    except EngineError as exc:
        return (f"what it said cannot be shown: {exc.what}",)
    lines = printable_lines(said, _BYTES)[-_LINES:]
    return tuple(line for line in lines if line.strip())
