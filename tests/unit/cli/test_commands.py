"""The life of a bottle, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bottle.cli import bottles
from bottle.model import Arrived, Status, Tombstone
from bottle.naming import Identity
from tests.support.ports import free_port
from tests.unit.cli.conftest import Cli

SOURCE = Path(__file__).parents[3]


def test_a_bottle_from_start_to_rm_in_words(cli: Cli) -> None:
    started = cli("start", "-d", "demo")
    assert started.exit_code == 0
    identity = started.stdout.split()[0]
    assert f"bottle attach {identity}" in started.stdout
    assert identity in cli("list").stdout

    committed = cli("commit", identity, "-m", "first")
    assert committed.exit_code == 0
    assert f"commit 1 of {identity}" in committed.stdout
    assert "mounted, so not in the snapshot: /workspace" in committed.stdout
    assert f"bottle resume {identity}" in committed.stdout
    assert f"docker save bottle-committed-{identity}:1" in committed.stdout

    stopped = cli("stop", identity[:6])
    assert stopped.exit_code == 0
    assert f"bottle resume {identity}" in stopped.stdout

    resumed = cli("resume", "-d", identity)
    assert resumed.exit_code == 0
    assert "started again" in resumed.stderr

    assert cli("rm", identity).exit_code == 4
    assert cli("stop", identity).exit_code == 0
    refused = cli("rm", identity)
    assert refused.exit_code == 4
    assert f"bottle rm {identity} --yes" in refused.stderr
    removed = cli("rm", identity, "--yes")
    assert removed.exit_code == 0
    assert removed.stdout.splitlines() == [
        f"{identity} is gone, with 1 container, commit 1, 2 volumes, its state",
        f"  its workspace stays: {cli.world.cwd}",
    ]
    assert cli.world.cwd.is_dir()
    assert cli.world.engine.containers({}) == ()


@pytest.mark.parametrize("agrees", [True, False])
def test_rm_of_a_bottle_that_moved_asks_on_a_terminal_about_what_is_only_here(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    identity = cli.json("start", "-d", "demo")["identity"]
    bottle = cli.world.home.bottle(Identity.parse(identity))
    cli("commit", identity)
    cli("stop", identity)
    cli("commit", identity)
    volumes = (bottle.identity.volume("cache"),)
    there = Arrived(commits=(2,), volumes=volumes)
    bottle.tombstone.write(Tombstone(host="me@there", moved_at=cli.world.engine.clock(), arrived=there))
    asked: list[str] = []

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return agrees

    monkeypatch.setattr(bottles, "on_terminal", lambda: True)
    monkeypatch.setattr("click.confirm", confirm)
    result = cli("rm", identity)
    moved = f"{identity} moved to me@there with commit 2, and this would delete what is only here: commit 1"
    assert asked == [f"{moved}. Delete it?"]
    assert f"docker save {bottle.identity.committed(1)} | zstd" in result.stderr
    assert bottle.exists() == (not agrees)
    if agrees:
        assert result.stdout.splitlines()[:2] == [
            f"{identity} is gone from this host, with 1 container, commits 1 and 2, 2 volumes, its state",
            "  it lives on me@there",
        ]
    else:
        assert result.exit_code == 4


def test_a_bottle_from_start_to_rm_in_json(cli: Cli) -> None:
    identity = cli.json("start", "-d", "demo")["identity"]
    (listed,) = cli.json("ls")["bottles"]
    assert (listed["identity"], listed["agent"], listed["state"], listed["commit"]) == (
        identity,
        "demo",
        "running",
        None,
    )
    committed = cli.json("commit", identity, "-m", "ünicode")
    assert committed["commit"]["message"] == "ünicode"
    assert committed["resume"] == f"bottle resume {identity}"
    assert cli.json("stop", identity)["was_running"] is True
    assert cli.json("resume", "-d", identity)["plan"] == "StartAgain"
    cli("stop", identity)
    cli("commit", identity)
    decided = cli.json("resume", "--dry-run", identity)
    resumed = cli.json("resume", "-d", identity)
    assert decided["plan"] == resumed["plan"] == "FromCommit"
    assert decided["row"] == resumed["row"]
    assert resumed["warnings"] == []
    cli("stop", identity)
    removed = cli.json("rm", "-y", identity)
    assert removed["containers"] == [f"bottle-{identity}"]
    assert removed["volumes"] == [f"bottle-{identity}-_requests", f"bottle-{identity}-cache"]
    assert cli.json("ls", "-a")["bottles"] == []


def test_a_dry_run_says_what_would_be_done_and_does_nothing(cli: Cli) -> None:
    before = cli.disk()
    said = cli("start", "--dry-run", "demo")
    assert said.exit_code == 0
    for word in ("would use debian:trixie-slim", f"would mount {cli.world.cwd} at /workspace", "would run cat"):
        assert word in said.stdout
    plan = cli.json("start", "--dry-run", "--copy-cwd", "demo", "--", "sh", "-c", "x")["plan"]
    assert (plan["agent"]["command"], plan["copy_cwd"]) == (["sh", "-c", "x"], True)
    assert "hunter2" not in json.dumps(plan) + said.output
    assert cli.disk() == before
    assert cli.world.engine.containers({}) == ()


def said_of_demo(cli: Cli, *lines: str) -> None:
    """Add to what the manifest says of its agent."""
    manifest = cli.world.cwd / "bottle.toml"
    manifest.write_text("\n".join((manifest.read_text(), *lines)))


def test_a_dry_run_says_what_the_agent_would_have_of_the_host(cli: Cli) -> None:
    port = free_port()
    said_of_demo(cli, "user = 'root'", f"ports = ['{port}:80']", "memory = '9t'")
    said = cli("start", "--dry-run", "demo").stdout
    for line in (
        f"would lead port 127.0.0.1:{port} to its port 80",
        "would run as user root",
        "note: `memory` is more",
    ):
        assert line in said
    plan = cli.json("start", "--dry-run", "demo")["plan"]
    assert plan["agent"]["ports"] == [f"127.0.0.1:{port}:80"]
    assert len(plan["notes"]) == 1


def test_a_dry_run_says_what_the_build_would_be_told(cli: Cli) -> None:
    (cli.world.cwd / "Dockerfile").write_text("FROM x\n")
    manifest = cli.world.cwd / "bottle.toml"
    manifest.write_text('[agents.demo]\ndockerfile = "Dockerfile"\nbuild_args = { VERSION = "2" }\n')
    assert "would build it with VERSION=2\n" in cli("start", "--dry-run", "demo").stdout


@pytest.mark.parametrize(
    ("line", "exit_code", "told"),
    [
        ("cap_add = ['SYS_EVERYTHING']", 2, "`agents.demo.cap_add[0]`: expected the name of a Linux capability"),
        ("network = 'nonet'", 8, "the engine has no network nonet; it has: bridge, host, none"),
        ("cpus = 64", 8, "64 are more than the 4 of the engine's machine"),
    ],
)
def test_a_dry_run_finds_what_would_fail(cli: Cli, line: str, exit_code: int, told: str) -> None:
    said_of_demo(cli, line)
    for words in (("start", "--dry-run", "demo"), ("start", "-d", "demo")):
        said = cli(*words)
        assert said.exit_code == exit_code
        assert told in said.stderr
    assert cli.world.home.identities() == ()


def test_a_port_that_is_taken_is_told_by_every_way_to_start(cli: Cli) -> None:
    said_of_demo(cli, f"ports = ['{free_port()}:80']")
    first = cli.start().identity
    assert "leads to its port 80" in cli("inspect", str(first)).stdout
    cli("commit", str(first))
    second = cli.json("fork", str(first), "--share-cwd")["identity"]
    for words in (("start", "--dry-run", "demo"), ("resume", "--dry-run", second), ("resume", "-d", second)):
        said = cli(*words)
        assert said.exit_code == 4
        assert f"is taken by {first}" in said.stderr
    assert cli("resume", "--dry-run", str(first)).exit_code == 0


def test_remote_control_is_told_of_before_it_is_done(cli: Cli) -> None:
    assert "has no `remote_control`" in cli("start", "--dry-run", "--remote-control", "demo").stderr
    manifest = cli.world.cwd / "bottle.toml"
    manifest.write_text(manifest.read_text() + 'remote_control = ["--remote-control"]\n')
    assert "would run cat --remote-control\n" in cli("start", "--dry-run", "--remote-control", "demo").stdout
    assert "would run cat\n" in cli("start", "--dry-run", "demo").stdout
    assert cli.json("start", "--dry-run", "--remote-control", "demo")["plan"]["remote_control"] is True
    bottle = cli.start()
    refused = cli("resume", "--dry-run", "--remote-control", str(bottle.identity))
    assert refused.exit_code == 4
    assert f"bottle stop {bottle.identity}" in refused.stderr
    cli.world.lose_container(bottle)
    said = cli("resume", "--dry-run", "--remote-control", str(bottle.identity))
    assert said.stdout.endswith("; with --remote-control\n")
    assert cli.json("resume", "--dry-run", str(bottle.identity))["remote_control"] is False
    assert cli("resume", "-d", "--remote-control", str(bottle.identity)).exit_code == 0
    assert cli.world.command(bottle)[-1] == "--remote-control"


def test_a_dry_run_of_resume_changes_nothing(cli: Cli) -> None:
    bottle = cli.start()
    cli.world.lose_container(bottle)
    before = cli.disk()
    said = cli("resume", "--dry-run", str(bottle.identity))
    assert said.exit_code == 0
    assert "would resume" in said.stdout
    assert cli.disk() == before
    assert cli.world.status(bottle) is None


def test_a_build_warns_loudly(cli: Cli) -> None:
    bottle = cli.start()
    cli.world.lose_container(bottle)
    resumed = cli("resume", "-d", str(bottle.identity))
    assert resumed.exit_code == 0
    assert "WARNING: THE FILESYSTEM DID NOT SURVIVE" in resumed.stderr
    assert cli.world.status(bottle) is Status.RUNNING


def test_work_that_would_go_is_not_asked_about_where_nobody_can_answer(cli: Cli) -> None:
    bottle = cli.start()
    cli("commit", str(bottle.identity))
    cli.world.work(bottle, "/work", b"newer")
    cli("stop", str(bottle.identity))
    refused = cli("resume", "-d", "--at", "1", str(bottle.identity))
    assert refused.exit_code == 4
    assert f"bottle commit {bottle.identity}" in refused.stderr
    assert cli.world.content(bottle, "/work") == b"newer"
    assert cli("resume", "-d", "--at", "1", "--yes", str(bottle.identity)).exit_code == 0
    assert cli.world.content(bottle, "/work") is None


@pytest.mark.parametrize("command", ["commit", "stop", "resume"])
def test_off_a_terminal_the_bottle_has_to_be_named(cli: Cli, command: str) -> None:
    assert "there is none" in cli(command).stderr
    bottle = cli.start()
    named = cli(command)
    assert named.exit_code == 2
    assert str(bottle.identity) in named.stderr


def test_a_prefix_that_fits_two_is_refused_with_both(cli: Cli) -> None:
    one, other = cli.start(), cli.start()
    refused = cli("commit", "demo")
    assert refused.exit_code == 2
    assert str(one.identity) in refused.stderr
    assert str(other.identity) in refused.stderr


def test_an_option_that_is_mistyped_does_not_become_the_agents_command(cli: Cli) -> None:
    refused = cli("start", "-d", "demo", "--copy-cdw")
    assert refused.exit_code == 2
    assert "No such option" in refused.stderr
    assert cli.world.engine.containers({}) == ()


@pytest.mark.parametrize("words", [("start", "demo", "-d", "--rm"), ("resume", "x", "--at", "1", "--rebuild")])
def test_options_that_contradict_each_other_are_refused(cli: Cli, words: tuple[str, ...]) -> None:
    before = cli.disk()
    assert cli(*words).exit_code == 2
    assert cli.disk() == before


def test_what_is_said_beside_the_answer_goes_to_stderr(cli: Cli) -> None:
    bottle = cli.start()
    result = cli("commit", str(bottle.identity), "--format", "json")
    json.loads(result.stdout)
    assert "committing" in result.stderr
    quiet = cli("-q", "commit", str(bottle.identity), "--format", "json")
    json.loads(quiet.stdout)
    assert quiet.stderr == ""


def test_python_dash_m_is_the_same_program() -> None:
    """In a process of its own, whose signals it leaves as they are at a program's end."""
    words = (sys.executable, "-m", "bottle", "--version")
    done = subprocess.run(words, cwd=SOURCE, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("bottle, version ")
