"""The names of ssh_config: from each file that it includes, and no pattern among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.cli.hosts import named_hosts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh" / "conf.d").mkdir(parents=True)
    return tmp_path


def test_names_are_those_of_hosts(home: Path) -> None:
    (home / ".ssh" / "config").write_text(
        'Include conf.d/*.conf\nHost newhost "old host" *.example !bad  # mine\n  HostName 10.0.0.1\n'
        "hOsT=other\nMatch host x\nHost\n# Host commented\nHost 'unclosed\n"
    )
    (home / ".ssh" / "conf.d" / "a.conf").write_text("Host included\nInclude ~/.ssh/config\n")
    (home / "system").write_text("Host everybody\n")
    assert named_hosts(home, home / "system") == ("everybody", "included", "newhost", "old host", "other")


def test_files_that_cannot_be_read_have_no_names(home: Path) -> None:
    (home / ".ssh" / "config").mkdir()
    assert named_hosts(home, home / "none") == ()
