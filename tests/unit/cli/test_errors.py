"""Every cause of failure: its exit code, a message to act on, and nothing changed."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import click
import pytest

from bottle import errors
from bottle.errors import BottleError, EngineError
from bottle.model import Tombstone
from bottle.store.state import BottleState
from tests.unit.cli.conftest import Cli


def refused(cli: Cli, *words: str, exit_code: int, says: str, code: str) -> None:
    """Run a command in both forms: same code, same cause, nothing changed on the disk or in the engine."""
    before, containers, images = cli.disk(), cli.world.engine.containers({}), cli.world.engine.images({})
    result = cli(*words)
    assert result.exit_code == exit_code, result.output
    assert result.stderr.splitlines()[-1].startswith("  log:") or "bottle: " in result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    document = cli.json(*words, exit_code=exit_code)
    assert document["exit_code"] == exit_code
    assert document["error"]["code"] == code
    assert says in document["error"]["what"]
    assert cli.disk() == before
    assert (cli.world.engine.containers({}), cli.world.engine.images({})) == (containers, images)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output takes nothing any more."""
    echo = click.echo

    def refuse(message: object = None, *, err: bool = False, **rest: object) -> None:
        if not err:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        echo(message, err=err, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(click, "echo", refuse)


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_was_done_is_told_though_its_answer_could_not_be_printed(
    cli: Cli, request: pytest.FixtureRequest, form: str
) -> None:
    bottle = cli.start()
    request.getfixturevalue("full")
    result = cli("commit", "--format", form, str(bottle.identity))
    assert [commit.number for commit in bottle.commits()] == [1]
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert "bottle: `bottle commit` was done; only its answer could not be printed: No space left on device" in lines
    assert any(line.startswith(f"  | commit 1 of {bottle.identity}") for line in lines)
    assert any(line.startswith("  state: it need not be done again") for line in lines)


def test_an_error_is_told_though_no_document_can_be_printed(cli: Cli, full: None) -> None:
    result = cli("inspect", "--format", "json", "demo-zzzzz")
    assert result.exit_code == 3
    assert result.stderr.startswith("bottle: there is no bottle")


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_wrong_before_a_command_begins(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("BOTTLE_HOME", "here")
    result = cli("list", "--format", form)
    assert result.exit_code == 2
    assert "bottle: here is a relative path" in result.stderr
    assert (json.loads(result.stdout)["exit_code"] == 2) if form == "json" else not result.stdout


@pytest.mark.parametrize(
    "words", [("ls", "--filter", "foo=1"), ("ls", "--format", "{{.Foo}}"), ("start", "--rm", "-d", "x")]
)
def test_a_word_that_is_wrong_leads_to_the_help(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert re.search(r"^  next:  bottle (ls|start) --help$", result.stderr, re.MULTILINE)


NAMED = ["commit", "resume", "stop", "rm", "attach", "logs", "inspect", "history", "diff", "fork"]


@pytest.mark.parametrize("command", NAMED)
@pytest.mark.parametrize("identity", ["../../etc", "; rm -rf /", "$(reboot)", "/", "", "demo-abcde\n", "\x1b[2Jx"])
def test_a_hostile_identity_is_refused(cli: Cli, command: str, identity: str) -> None:
    shown = "is no identity" if command != "fork" else ""
    refused(cli, command, identity, exit_code=2, says=shown, code="InvalidIdentity")


@pytest.mark.parametrize("command", NAMED)
def test_an_identity_that_does_not_exist_is_not_found(cli: Cli, command: str) -> None:
    cli.start()
    refused(cli, command, "demo-zzzzz0", exit_code=3, says="demo-zzzzz0", code="NotFound")


def test_an_option_in_place_of_an_identity_is_a_mistake(cli: Cli) -> None:
    assert cli("commit", "--all").exit_code == 2


@pytest.mark.parametrize("command", ["commit", "resume", "stop"])
def test_without_docker_it_is_5(cli: Cli, command: str) -> None:
    bottle = cli.start()
    cli.world.engine.down = True
    before = cli.disk()
    result = cli(command, str(bottle.identity))
    assert result.exit_code == 5
    assert "no Docker Engine answers" in result.stderr
    assert cli.disk() == before
    for words in (("start", "-d", "demo"), ("list",)):
        assert cli(*words).exit_code == 5
    assert cli.disk() == before


@pytest.mark.parametrize("command", ["commit", "resume"])
def test_another_backend_is_4_and_named(cli: Cli, command: str) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    bottle.write_metadata(replace(bottle.metadata(), backend="smolmachines"))
    refused(cli, command, str(bottle.identity), exit_code=4, says="'smolmachines'", code="BackendUnsupported")


@pytest.mark.parametrize("command", ["commit", "resume", "stop"])
def test_a_bottle_that_moved_is_4_and_its_host_named(cli: Cli, command: str) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=cli.world.engine.clock()))
    refused(cli, command, str(bottle.identity), exit_code=4, says="far.example", code="MovedAway")


def test_the_output_of_a_bottle_that_moved_is_where_the_bottle_is(cli: Cli) -> None:
    bottle = cli.start()
    identity = str(bottle.identity)
    cli.world.engine.say(bottle.identity.container, b"said here\n")
    cli("stop", identity)
    bottle.tombstone.write(Tombstone(host="far.example", moved_at=cli.world.engine.clock()))
    assert cli("logs", identity).stdout == "said here\n"
    cli.world.lose_container(bottle)
    refused(cli, "logs", identity, exit_code=4, says="moved to far.example", code="MovedAway")
    following = cli.json("logs", identity, exit_code=4)["error"]["next"]
    assert following.startswith(f"there: bottle logs {identity} ")
    assert f"bottle migrate {identity} far.example --from" in following


def test_the_output_of_a_bottle_without_a_container_went_with_it(cli: Cli) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    cli.world.lose_container(bottle)
    refused(cli, "logs", str(bottle.identity), exit_code=3, says="its output went with it", code="NotFound")


@pytest.mark.parametrize("command", ["commit", "resume", "stop", "rm"])
def test_a_bottle_in_work_is_4_and_its_worker_named(cli: Cli, command: str) -> None:
    bottle = cli.start()
    with bottle.locked("bottle migrate"):
        refused(cli, command, str(bottle.identity), exit_code=4, says="bottle migrate", code="Locked")


def halve(bottle: BottleState) -> None:
    path = bottle.path / "metadata.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def outgrow(bottle: BottleState) -> None:
    path = bottle.path / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "schema": 2, "more": "things"}))


def misspell(bottle: BottleState) -> None:
    path = bottle.path / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "cwd": ["not", "a", "text"]}))


@pytest.mark.parametrize("command", ["commit", "resume"])
@pytest.mark.parametrize(
    ("damage", "says", "code"),
    [
        (halve, "is damaged", "StateDamaged"),
        (misspell, "`cwd` must be a text", "StateDamaged"),
        (outgrow, "schema 2", "StateTooNew"),
    ],
)
def test_papers_that_cannot_be_read_are_1(cli: Cli, command: str, damage: object, says: str, code: str) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    damage(bottle)  # type: ignore[operator]
    refused(cli, command, str(bottle.identity), exit_code=1, says=says, code=code)
    (listed,) = cli.json("list", "-a")["bottles"]
    assert listed["state"] == "damaged"
    assert says in listed["detail"]


def test_a_fifo_among_the_papers_of_one_bottle_hides_no_other(cli: Cli) -> None:
    sound, odd = cli.start(), cli.start()
    for name in ("metadata.json", "lock", "migration.json"):
        (odd.path / name).unlink(missing_ok=True)
        os.mkfifo(odd.path / name)
    signal.alarm(30)  # which would end a list that waits
    listed = {each["identity"]: each["state"] for each in cli.json("list", "-a")["bottles"]}
    signal.alarm(0)
    assert listed == {str(sound.identity): "running", str(odd.identity): "damaged"}


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("[agents.demo]\nimage = 5", "`agents.demo.image`: expected a text"),
        ("[agents.demo]\nimage = 'x'\ncommand = 'sh'", "`agents.demo.command`: expected a list of texts"),
        ("[agents.demo]\nimage = 'x'\npids = 'many'", "`agents.demo.pids`: expected a whole number"),
        ("[agents.demo]\nimage = 'x'\nimagee = 'x'", "unknown key `agents.demo.imagee`"),
        ("[agents.demo]\ndockerfile = 'missing'", "there is no file"),
        ("agents = [1]", "`agents`: expected a table"),
        ("[agents.demo", "is no valid TOML"),
        ("", None),
    ],
)
def test_a_manifest_with_mistakes_is_2(cli: Cli, manifest: str, says: str | None) -> None:
    (cli.world.cwd / "bottle.toml").write_text(manifest)
    if says is None:
        refused(cli, "start", "-d", "demo", exit_code=3, says="has no agent 'demo'", code="NotFound")
    else:
        refused(cli, "start", "-d", "demo", exit_code=2, says=says, code="ManifestError")


def test_without_a_manifest_it_is_2_and_says_how_to_get_one(cli: Cli) -> None:
    (cli.world.cwd / "bottle.toml").unlink()
    result = cli("start", "-d", "demo")
    assert result.exit_code == 2
    assert "bottle init" in result.stderr


def test_a_whiteout_is_8_and_named(cli: Cli) -> None:
    bottle = cli.start()
    cli.world.work(bottle, "/srv/.wh.foo", b"")
    refused(cli, "commit", str(bottle.identity), exit_code=8, says="/srv/.wh.foo", code="PreflightRefused")


def test_a_workspace_that_is_no_folder_is_2(cli: Cli) -> None:
    refused(cli, "start", "-d", "demo", "--cwd", "/no/such", exit_code=2, says="/no/such", code="UsageError")


def test_a_commit_that_does_not_exist_is_3(cli: Cli) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    words = ("resume", "--yes", "--at", "7", str(bottle.identity))
    refused(cli, *words, exit_code=3, says="has no commit 7", code="NotFound")


def test_what_docker_says_is_5(cli: Cli) -> None:
    cli.world.engine.fail_next("create", EngineError("Docker could not create: \x1b]0;evil\x07 out of luck"))
    result = cli("start", "-d", "demo")
    assert result.exit_code == 5
    assert "out of luck" in result.stderr
    assert "\x1b" not in result.output
    assert cli.world.home.identities() == ()


def test_a_folder_that_is_gone_is_no_traceback(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = cli("start", "-d", "demo")
    assert result.exit_code in {1, 2}
    assert "bottle: " in result.stderr


def test_a_state_home_that_cannot_be_written_is_no_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTLE_HOME", "/dev/null/home")
    for words in (("start", "-d", "demo"), ("list",), ("commit", "demo-abcde")):
        result = cli(*words)
        assert result.exit_code in {0, 1, 3}, words
    assert cli.world.engine.containers({}) == ()


@pytest.mark.parametrize("form", [("--format", "json"), ("--format=json",)])
@pytest.mark.parametrize("words", [("list", "--nonsense"), ("commit", "a", "b"), ("migrate",), ("capability", "show")])
def test_a_wrong_command_line_is_told_to_programs_too(cli: Cli, words: tuple[str, ...], form: tuple[str, ...]) -> None:
    result = cli(*words, *form)
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["code"] == "UsageError"
    assert error["what"] in result.stderr
    assert error["next"].endswith(f"{words[0]} --help") or words[0] == "capability"


def test_what_stands_behind_two_dashes_asks_for_no_form(cli: Cli) -> None:
    assert cli("list", "a", "--", "--format", "json").stdout == ""


def test_ctrl_c_is_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.world.engine, "commit", interrupt)
    assert cli("commit", str(bottle.identity)).exit_code == 130
    assert cli.world.status(bottle) is not None


def test_names_that_are_no_unicode_and_escapes_reach_neither_the_terminal_nor_a_traceback(cli: Cli) -> None:
    odd = cli.world.folder / os.fsdecode(b"\xff\x1b[2J")
    odd.mkdir()
    started = cli("start", "-d", "demo", "--cwd", str(odd))
    assert started.exit_code == 0, started.output
    bottle = cli.world.home.find(started.stdout.split()[0])
    assert bottle.metadata().cwd == odd
    cli.world.engine.write(bottle.identity.container, "/root/.demo/\udcff\x1b[2J", b"x")
    for form in ("text", "json"):
        committed = cli("commit", str(bottle.identity), "-m", "\udcff", "--format", form)
        assert committed.exit_code == 0, committed.output
        assert "\x1b" not in committed.output
        assert "\udcff" not in committed.stdout
    assert bottle.commits()[0].message == "\ufffd"


ERRORS = {name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BottleError)}


@pytest.mark.parametrize("name", ERRORS)
def test_the_tree_of_errors_in_the_docstring_is_true(name: str) -> None:
    (line,) = (line for line in (errors.__doc__ or "").splitlines() if f" {name} " in f" {line} ")
    assert f" {ERRORS[name].exit_code}" in line
