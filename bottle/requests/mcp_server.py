"""The MCP server that an agent's bottle runs for it: the tools of `asking`. The only import of the MCP SDK."""

from pathlib import Path
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from bottle import __version__
from bottle.errors import BottleError
from bottle.requests.asking import Answer, answers, ask, read_answer

_EVERY = 2.0  # seconds between two looks at an answer

_INSTRUCTIONS = """\
You work inside a bottle: a container without root's powers. When it lacks a program or a library, ask the operator
for a new Dockerfile with capability-block. When they approve, this container is committed and stopped, and you come
back in one that is built from it, with your transcript and the workspace; all other files stay in the commit."""


def serve(folder: Path) -> None:
    """Answer on the standard streams until they are closed."""
    make_server(folder).run("stdio")


def make_server(folder: Path) -> MCPServer[Any]:
    """The server of the bottle whose /run/bottle is `folder`."""
    server: MCPServer[Any] = MCPServer("bottle", version=__version__, instructions=_INSTRUCTIONS, log_level="WARNING")

    @server.tool(name="capability-block")
    async def capability_block(
        dockerfile: Annotated[str, Field(description="The whole new Dockerfile, from its FROM on")],
        reason: Annotated[str, Field(description="Why it is needed, in a sentence: the operator reads it")],
        wait: Annotated[bool, Field(description="Answer only when the operator has decided")] = False,
    ) -> str:
        """Say that you are blocked by a missing capability, and ask for the Dockerfile that has it."""
        try:
            number = ask(reason, dockerfile, folder)
            found = read_answer(number, folder)
            while wait and found.status == "pending":
                await anyio.sleep(_EVERY)
                found = read_answer(number, folder)
        except BottleError as exc:
            raise ToolError(_words(exc)) from exc
        return _line(found)

    @server.tool(name="capability-status")
    def capability_status(
        number: Annotated[int | None, Field(description="The number of a request; without it, all of them")] = None,
    ) -> str:
        """What became of your requests: pending, approved or denied, and the operator's note."""
        try:
            found = answers(folder) if number is None else (read_answer(number, folder),)
        except BottleError as exc:
            raise ToolError(_words(exc)) from exc
        return "\n".join(map(_line, found)) or "nothing was asked yet"

    return server


def _line(found: Answer) -> str:
    return f"request {found.number}: {found.status}" + (f"\n{found.note}" if found.note else "")


def _words(exc: BottleError) -> str:
    return f"{exc.what}; {exc.left}" if exc.left else exc.what
