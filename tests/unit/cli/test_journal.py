"""The story of a run, in its log file: what it holds, what it does not, and what a disk that takes none does."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from bottle.cli.journal import Journal, OneLine
from tests.unit.cli.conftest import Cli


def story(cli: Cli) -> str:
    """All that was told so far."""
    return "".join(path.read_text() for path in (cli.world.home.path / "logs").iterdir())


def logs(cli: Cli) -> list[str]:
    """The commands that there are files of, oldest first."""
    folder = cli.world.home.path / "logs"
    return [path.name.split("-")[2] for path in sorted(folder.iterdir())] if folder.is_dir() else []


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal()
    opened.open(tmp_path, "test")
    return opened


def test_what_was_asked_for_is_told_but_no_word_of_a_command_that_runs_inside(cli: Cli) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    assert f"stop names=('{bottle.identity}',)" in story(cli)
    cli.world.engine.down = True
    assert cli("exec", str(bottle.identity), "--", "curl", "-H", "Authorization: s3cret").exit_code == 5
    assert f"exec identity={bottle.identity}" in story(cli)
    cli.world.engine.down = False
    cli("start", "-d", "demo", "--", "sh", "--token", "s3cret")
    assert "agent=demo" in story(cli)
    cli("start", "-d", "demo", "run", "s3cret")
    assert "s3cret" not in story(cli)


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("lst",), 2),
        (("list", "--no-such-option"), 2),
        (("commit", "claude-nosuc"), 3),
        (("rm", "NO IDENTITY"), 2),
        (("start", "no-such-agent"), 3),
        (("list", "--filter", "nonsense"), 2),
        (("list",), 0),
        (("--help",), 0),
    ],
)
def test_nothing_is_told_where_nothing_happened(cli: Cli, words: tuple[str, ...], exit_code: int) -> None:
    result = cli(*words)
    assert result.exit_code == exit_code, result.output
    assert "log:" not in result.stderr
    assert logs(cli) == []


def test_what_changes_something_is_told_of_and_so_is_a_question_that_finds_no_answer(cli: Cli) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    cli.world.engine.down = True
    assert "\n  log:   " in cli("list").stderr
    cli.world.engine.down = False
    cli("rm", str(bottle.identity), "--yes")
    assert sorted(logs(cli)) == ["list", "rm", "start", "stop"]
    assert "begin: " in story(cli)


def test_what_is_typed_often_pushes_out_no_other_story(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    kept = [f"20260101-000000-{name}-7.log" for name in ("migrate", "send-over-stdio", "often-enough")]
    for name in (*kept, *(f"20260101-0000{number:02}-often-7.log" for number in range(60))):
        (folder / name).touch()
    opened = Journal()
    opened.open(tmp_path, "often")
    logging.getLogger("bottle.test").info("begin")
    names = {path.name for path in folder.iterdir()}
    assert names >= set(kept)
    assert len(names - set(kept)) == 20
    assert opened.path is not None
    assert opened.path.name in names
    opened.close()


def test_what_came_before_something_happened_is_told_too(journal: Journal) -> None:
    log = logging.getLogger("bottle.test")
    log.debug("asked for")
    assert journal.path is None
    log.info("begin")
    log.debug("more")
    assert journal.path is not None
    assert [line.split()[-1] for line in journal.path.read_text().splitlines()] == ["for", "begin", "more"]


def test_a_record_is_one_line_and_a_traceback_stands_behind_a_mark(journal: Journal) -> None:
    log = logging.getLogger("bottle.test")
    log.info("begin: %s", "x\n2026-01-01 00:00:00,000 bottle INFO done: all of it\x1b[2J")
    try:
        raise ValueError("one\n2026-01-01 00:00:00,000 bottle INFO forged")
    except ValueError:
        log.info("failed", exc_info=True)
    assert journal.path is not None
    first, second, *trace = journal.path.read_text().splitlines()
    assert first.endswith("INFO begin: x 2026-01-01 00:00:00,000 bottle INFO done: all of it")
    assert second.endswith("INFO failed")
    assert all(line.startswith("  | ") for line in trace)
    assert any("forged" in line for line in trace)


def test_what_is_shown_with_verbose_is_one_line_too(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(levelname)s %(name)s: %(message)s"))
    handler.emit(logging.LogRecord("paramiko", logging.INFO, "", 0, "Banner: %s", ("x\n  next:  evil\x1b[2J",), None))
    assert capsys.readouterr().err == "INFO paramiko: Banner: x next: evil\n"


def test_a_disk_that_takes_no_log_stops_no_work_and_is_not_named(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "open", lambda *_: full)
    journal.open(tmp_path, "full")
    logging.getLogger("bottle.test").info("more")
    assert journal.path is None
    logging.getLogger("bottle.test").info("and more")
    assert capsys.readouterr() == ("", "")
