"""What a container finds in /run/bottle: its command, secrets while it runs, and answers."""

from pathlib import Path

from bottle import runtime
from bottle.agent.admission import RESERVED
from bottle.errors import BottleError
from bottle.model import Agent, ContainerFacts, Metadata
from bottle.naming import LABEL_IDENTITY, Identity
from bottle.operations.context import Context
from bottle.requests.request import answer_to


def hand_in(context: Context, metadata: Metadata, command: tuple[str, ...] | None) -> Path:
    """Put what a launch needs where its container sees it: `command`, and secrets from the environment as it is now.

    `command` is the argument vector that it runs this time, None for the one that its container was made to run.
    The answers to its requests are there again, too: the folder is in memory, and another one after a move.
    """
    names = metadata.agent.secrets if context.engine.mounts_memory else ()  # they would be on disk
    values = {name: context.environ[name] for name in names if name in context.environ}
    try:
        requests = context.home.bottle(metadata.identity).requests()
    except BottleError as exc:
        context.progress.note(f"{metadata.identity} does not see the answers to its requests: {exc.what}")
        requests = ()
    answers = {request.number: answer_to(request) for request in requests}
    return runtime.prepare(context.handed, metadata.identity, values, answers, command=command)


def hide_secrets(context: Context, container: ContainerFacts) -> None:
    """Leave a stopped container the folder it mounts, with nothing in it worth having.

    The folder is in memory, so after a reboot it is missing; and without it the engine neither starts the container nor
    reads a file of it. Where that cannot be done, a note tells of it: what follows is no worse for it.
    """
    if container.status.alive or all(mount.target != RESERVED for mount in container.mounts):
        return
    try:
        runtime.hide(context.handed, Identity.parse(container.labels[LABEL_IDENTITY]))
    except BottleError as exc:
        context.progress.note(f"{exc.what}; what its agent had of secrets may be there still: {exc.next_step}")


def missing_secrets(context: Context, agent: Agent) -> tuple[str, ...]:
    """The secrets that the environment does not have."""
    return tuple(name for name in agent.secrets if name not in context.environ)
