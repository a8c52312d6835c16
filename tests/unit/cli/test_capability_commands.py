"""`bottle capability`: its forms, its exit codes, and that what an agent wrote does nothing to a terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import click
import pytest
from click.testing import CliRunner

from bottle.cli.capability import capability
from bottle.cli.main import main
from bottle.model import CapabilityRequest, RequestStatus, Status
from bottle.requests.request import digest_of
from bottle.store.state import BottleState
from tests.support.world import BASE
from tests.unit.cli.conftest import Cli

CONTEXT = click.Context(capability)
COMMANDS = {name: each for name in capability.list_commands(CONTEXT) if (each := capability.get_command(CONTEXT, name))}


def ask(cli: Cli, bottle: BottleState, text: str = f"FROM {BASE}\nRUN true\n", *, number: int = 1) -> str:
    """The digest of a request that was taken in."""
    digest = digest_of("need \x1b[31mjq", text)
    bottle.write_request(
        CapabilityRequest(
            number=number,
            digest=digest,
            reason="need \x1b[31mjq",
            dockerfile=text,
            received_at=cli.world.engine.clock(),
        )
    )
    return digest


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_exit_codes(cli: Cli, name: str) -> None:
    result = cli("capability", name, "--help")
    assert f"Usage: bottle capability {name}" in result.stdout
    assert f"bottle capability {name}" in result.stdout.partition("Example:")[2]
    assert "Exit codes that matter" in result.stdout
    options = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]
    assert all(option.help for option in options)
    assert "form" in {option.name for option in options}


def test_a_request_is_listed_shown_and_approved(cli: Cli) -> None:
    assert cli("capability", "list").stdout == "nothing was asked for\n"
    bottle = cli.start()
    digest, identity = ask(cli, bottle), str(bottle.identity)
    listed = cli("capability", "list", identity)
    assert digest[:12] in listed.stdout
    assert "need jq" in listed.stdout
    assert "1 request waits" in cli("list").stdout
    assert f"bottle capability list {identity}" in cli("inspect", identity).stdout
    shown = cli("capability", "show", identity)
    assert "+RUN true" in shown.stdout
    assert digest in shown.stdout
    assert f"bottle capability approve {identity} {digest[:12]} --build" in shown.stdout
    approved = cli("capability", "approve", identity, digest[:12], "--build", "--note", "fine")
    assert approved.exit_code == 0, approved.output
    assert approved.stdout.splitlines()[-1] == f"bottle resume {identity}"
    assert f"bottle resume {identity} --at 1" in approved.stdout
    assert "its own Dockerfile is in no commit yet" in cli("list", "-a").stdout
    assert "its own Dockerfile was approved since" in cli("history", identity).stdout
    assert "answer    fine" in cli("capability", "show", identity, digest).stdout
    assert "already" in cli("capability", "approve", identity, digest).stdout
    assert "its own Dockerfile, because that was approved" in cli("resume", identity, "-d").stderr


def test_the_forms(cli: Cli) -> None:
    bottle = cli.start()
    first, second = ask(cli, bottle), ask(cli, bottle, f"FROM {BASE}\nUSER root\n", number=2)
    identity = str(bottle.identity)
    document = json.loads(cli("capability", "list", "--format", "json").stdout)
    assert document["schema"] == 1
    assert [each["digest"] for each in document["requests"]] == [first, second]
    assert {each["identity"] for each in document["requests"]} == {identity}
    document = json.loads(cli("capability", "show", identity, second, "--format", "json").stdout)
    assert document["request"]["number"] == 2
    assert set(document) == {"schema", "identity", "request", "in_force", "diff", "warnings", "notes"}
    assert any("root" in each for each in document["warnings"])
    document = json.loads(cli("capability", "deny", identity, second, "--note", "no", "--format", "json").stdout)
    assert (document["request"]["status"], document["request"]["note"], document["already"]) == ("denied", "no", False)
    document = json.loads(cli("capability", "approve", identity, first, "--format", "json").stdout)
    assert document["resume"] == f"bottle resume {identity}"
    assert document["back"] == f"bottle resume {identity} --at 1"
    assert (document["commit"], document["committed"], document["tried"]) == (1, True, False)
    listed = json.loads(cli("list", "-a", "--format", "json").stdout)["bottles"][0]
    assert (listed["requests"], listed["rebuild_due"]) == (0, True)
    seen = json.loads(cli("inspect", identity, "--format", "json").stdout)
    assert [each["status"] for each in seen["requests"]] == ["approved", "denied"]
    assert seen["rebuild_due"] is True


def test_the_exit_codes(cli: Cli) -> None:
    bottle = cli.start()
    identity = str(bottle.identity)
    assert cli("capability", "show", identity).exit_code == 3
    assert cli("capability", "list", "nobody").exit_code == 3
    assert cli("capability", "approve", identity, "0" * 12).exit_code == 3
    assert cli("capability", "approve", identity, "123").exit_code == 2
    assert cli("capability", "approve", identity).exit_code == 2
    digest = ask(cli, bottle, f"FROM {BASE}\nRUN false\n")
    failed = cli("capability", "approve", identity, digest, "--build")
    assert failed.exit_code == 1
    assert "goes on as it was" in failed.stderr
    assert cli.world.status(bottle) is Status.RUNNING
    changed = replace(bottle.requests()[0], digest="1" * 64, superseded=(digest,))
    bottle.write_request(changed)
    assert cli("capability", "approve", identity, digest).exit_code == 4
    assert cli("capability", "deny", identity, "1" * 8).exit_code == 0
    assert cli("capability", "approve", identity, "1" * 8).exit_code == 4


def test_what_an_agent_wrote_does_nothing_to_a_terminal(cli: Cli) -> None:
    bottle = cli.start()
    ask(cli, bottle, f"FROM {BASE}\nRUN true \x1b]0;title && evil\n\u202e# x\n")
    words = ["capability", "show", str(bottle.identity)]
    shown = CliRunner().invoke(main, words, color=True, env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[32m| +RUN true <U+001B>]0;title && evil" in shown
    assert not {"\x1b]", "\u202e"} & {shown[at : at + length] for at in range(len(shown)) for length in (1, 2)}
    assert "characters that are not seen" in shown
    for words in (["list"], ["show", str(bottle.identity)]):
        assert "\x1b" not in cli("capability", *words).stdout


def test_an_approval_that_was_cut_short_is_told_of(cli: Cli) -> None:
    bottle = cli.start()
    digest = ask(cli, bottle)
    bottle.write_request(replace(bottle.requests()[0], status=RequestStatus.APPROVING))
    line = f"bottle capability approve {bottle.identity} {digest[:12]}"
    assert line in cli("list").stdout
    assert line in cli("inspect", str(bottle.identity)).stdout
