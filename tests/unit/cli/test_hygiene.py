"""What may be carried is looked up in the manifest in force, and one that cannot be read is told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.cli.hygiene import carried
from tests.unit.cli.conftest import Cli

MANIFEST = '[agents.demo]\nimage = "debian"\ncommand = ["cat"]\ncarry = ["/root/notes"]\n'


def test_only_the_manifest_of_where_this_is_typed_counts(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = cli.start()
    (cli.world.cwd / "bottle.toml").write_text(MANIFEST)  # which the agent can write, as its workspace is mounted
    (tmp_path / "login").mkdir()
    monkeypatch.chdir(tmp_path / "login")
    assert carried(cli.world.context, bottle) == ()
    monkeypatch.chdir(cli.world.cwd)
    assert carried(cli.world.context, bottle) == ("/root/notes",)


def test_a_manifest_that_cannot_be_read_is_told_of(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bottle = cli.start()
    (cli.world.cwd / "bottle.toml").write_text(MANIFEST.replace("carry = [", "carry = "))
    monkeypatch.chdir(cli.world.cwd)
    cli.world.progress.notes.clear()
    assert carried(cli.world.context, bottle) == ()
    (told,) = cli.world.progress.notes
    assert "does not count" in told
