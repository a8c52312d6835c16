"""`bottle mcp`: capability requests for an agent that speaks MCP. It runs inside the bottle, and needs no Docker."""

import signal
from pathlib import Path

import click

from bottle.agent.admission import RESERVED
from bottle.cli.shared import command
from bottle.errors import BottleError


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(RESERVED),
    show_default=True,
    help="Where the bottle's folder of requests and answers is mounted.",
)
@command
def mcp(folder: Path) -> None:
    """Serve an agent inside a bottle the tools `capability-block` and `capability-status`, by MCP over stdio.

    They do what /run/bottle/request-capability does. Needed in the agent's image: pipx install --global
    'agent-bottle[mcp]'

    \b
    Example:
      bottle mcp
    in the agent's own configuration:
      {"mcpServers": {"bottle": {"command": "bottle", "args": ["mcp"]}}}

    Exit codes that matter: 1 the SDK is missing, or there is no such folder.
    """
    try:
        from bottle.requests.mcp_server import serve  # noqa: PLC0415  (an extra, and slow to import)
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.split(".")[0] != "mcp":
            raise
        raise BottleError(
            "`bottle mcp` needs the MCP SDK, which is not installed",
            next_step="pipx install --global 'agent-bottle[mcp]'",
        ) from exc
    if not (folder / "requests").is_dir():
        raise BottleError(
            f"{folder} is no folder of a bottle: it has no requests/",
            next_step=f"run it inside a bottle; ls -la {folder}",
        )
    for each in (signal.SIGTERM, signal.SIGHUP):  # nothing has to be closed, and the SDK would wait for its input
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, signal.SIG_DFL)
    serve(folder)
