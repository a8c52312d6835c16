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


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal()
    opened.open(tmp_path, "test")
    return opened


def test_what_was_asked_for_is_told_but_no_word_of_a_command_that_runs_inside(cli: Cli) -> None:
    bottle = cli.start()
    cli("stop", str(bottle.identity))
    assert cli("exec", str(bottle.identity), "--", "curl", "-H", "Authorization: s3cret").exit_code == 3
    assert f"exec identity={bottle.identity}" in story(cli)
    cli("start", "-d", "demo", "--", "sh", "--token", "s3cret")
    assert "agent=demo" in story(cli)
    cli("start", "-d", "demo", "run", "s3cret")
    assert "s3cret" not in story(cli)


def test_a_record_is_one_line_and_a_traceback_stands_behind_a_mark(journal: Journal) -> None:
    assert journal.path is not None
    log = logging.getLogger("bottle.test")
    log.info("begin: %s", "x\n2026-01-01 00:00:00,000 bottle INFO done: all of it\x1b[2J")
    try:
        raise ValueError("one\n2026-01-01 00:00:00,000 bottle INFO forged")
    except ValueError:
        log.info("failed", exc_info=True)
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
    assert journal.path is not None
    logging.getLogger("bottle.test").info("more")
    assert journal.path is None
    logging.getLogger("bottle.test").info("and more")
    assert capsys.readouterr() == ("", "")
