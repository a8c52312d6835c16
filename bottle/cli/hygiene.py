"""What the commands share that let an image leave this machine."""

from pathlib import Path

import click

from bottle.agent.manifest import find_manifest, read_manifest
from bottle.errors import BottleError
from bottle.operations import Context
from bottle.store.state import BottleState

allow_secrets_option = click.option(
    "--allow-secrets", is_flag=True, help="Let credentials go along that are found in the image."
)


def carried(context: Context, state: BottleState) -> tuple[str, ...]:
    """What the manifest says now that the bottle's agent may carry; it may have been edited since the launch."""
    try:
        path = find_manifest(Path.cwd(), context.home.path)
    except BottleError:
        return ()  # there is none
    try:
        manifest = read_manifest(path)
    except BottleError as exc:
        context.progress.note(f"what {path} says of `carry` does not count, as it cannot be read: {exc.what}")
        return ()
    agent = manifest.agents.get(state.identity.agent)
    return agent.carry if agent is not None else ()  # what was in it at the launch counts in any case
