"""`bottle mcp`, driven by the SDK's own client over real standard streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from bottle import runtime
from bottle.naming import Identity


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a bottle sees as /run/bottle."""
    return runtime.prepare(tmp_path / "runtime", Identity.parse("demo-abcde"), {})


def served(folder: Path) -> Client:
    root = str(Path(__file__).parents[3])
    environ = {"PYTHONPATH": root, "BOTTLE_HOME": str(folder.parent / "home")}
    return Client(
        StdioServerParameters(
            command=sys.executable, args=["-m", "bottle", "mcp", "--folder", str(folder)], env=environ
        ),
        read_timeout_seconds=60,
    )


async def call(client: Client, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Whether the tool refused, and what it said."""
    result = await client.call_tool(tool, arguments)
    return bool(result.is_error), "\n".join(part.text for part in result.content if part.type == "text")


def test_the_tools_are_offered_and_do_what_the_script_does(folder: Path) -> None:
    async def main() -> None:
        async with served(folder) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"capability-block", "capability-status"}
            assert set(tools["capability-block"].input_schema["required"]) == {"dockerfile", "reason"}
            assert await call(client, "capability-status") == (False, "nothing was asked yet")
            asked = await call(client, "capability-block", dockerfile="FROM a\nRUN jq", reason="jq, ü")
            assert asked == (False, "request 1: pending")
            assert (folder / "requests" / "1.Dockerfile").read_bytes() == b"FROM a\nRUN jq"
            assert (folder / "requests" / "1.reason").read_bytes() == "jq, ü".encode()
            assert (folder / "requests" / "1.ready").exists()
            (folder / "answers" / "1").write_text("denied\nuse python\n")
            assert await call(client, "capability-status", number=1) == (False, "request 1: denied\nuse python")

    anyio.run(main)


def test_refusals_reach_the_agent_in_words(folder: Path) -> None:
    async def main() -> None:
        async with served(folder) as client:
            refused, text = await call(client, "capability-block", dockerfile="#" * 300_000, reason="x")
            assert (refused, "too long" in text, "nothing was asked" in text) == (True, True, True)
            assert await call(client, "capability-status", number=9) == (
                True,
                "Error executing tool capability-status: there is no request 9",
            )

    anyio.run(main)
    assert list((folder / "requests").iterdir()) == []


def test_waiting_ends_with_the_answer_and_holds_up_nothing_else(folder: Path) -> None:
    async def main() -> None:
        said: list[tuple[bool, str]] = []

        async def wait(client: Client) -> None:
            said.append(await call(client, "capability-block", dockerfile="FROM a", reason="x", wait=True))

        async with served(folder) as client, anyio.create_task_group() as group:
            group.start_soon(wait, client)
            while not (folder / "requests" / "1.ready").exists():
                await anyio.sleep(0.02)
            assert await call(client, "capability-status") == (False, "request 1: pending")
            assert said == []
            (folder / "answers" / "1").write_text("approved\n")
        assert said == [(False, "request 1: approved")]

    anyio.run(main)


def test_it_says_what_is_missing(tmp_path: Path) -> None:
    words = ("mcp", "--folder", str(tmp_path))
    done = subprocess.run((sys.executable, "-m", "bottle", *words), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is no folder of a bottle" in done.stderr
    without = "import sys; sys.modules['mcp'] = None; from bottle.cli.main import main; main()"
    done = subprocess.run((sys.executable, "-c", without, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pipx install --global 'agent-bottle[mcp]'" in done.stderr


def test_a_signal_ends_it_though_its_input_goes_on(folder: Path) -> None:
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nimport bottle.requests.mcp_server\n"
        "bottle.requests.mcp_server.serve = lambda _: os.kill(os.getpid(), signal.SIGTERM)\n"
        "from bottle.cli.main import main\nmain(['mcp', '--folder', sys.argv[1]], prog_name='bottle')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "BOTTLE_HOME": str(folder.parent / "home")}
    done = subprocess.run((sys.executable, "-c", script, str(folder)), env=env, check=False, timeout=60)
    assert done.returncode == -signal.SIGTERM
