"""The plugin's file: whole or not there, of this bottle, and nobody else's is touched."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bottle.errors import NameTaken, StateDamaged
from bottle.operations.plugin import Plugin, PluginChange, install_plugin, remove_plugin
from tests.support.trees import snapshot
from tests.support.users import as_user, users_folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the docker client would have its files, had it any."""
    return tmp_path / "docker"


def test_it_is_a_program_that_docker_can_run_with_all_its_words(config: Path, tmp_path: Path) -> None:
    odd = tmp_path / "it's a $HOME; folder"
    odd.mkdir()
    python = odd / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    plugin = install_plugin(config, str(python))
    assert plugin == Plugin(path=config / "cli-plugins" / "docker-bottle", outcome=PluginChange.INSTALLED)
    assert stat.S_IMODE(plugin.path.stat().st_mode) & 0o700 == 0o700
    assert [each.name for each in plugin.path.parent.iterdir()] == ["docker-bottle"]
    said = subprocess.run((plugin.path, "bottle", "a b", "*"), capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["-P", "-m", "bottle.cli.dockerplugin", "bottle", "a b", "*"]


def test_the_folder_in_which_it_is_called_has_no_say_in_what_is_imported(config: Path, tmp_path: Path) -> None:
    (tmp_path / "bottle.py").write_text("raise SystemExit('another bottle')")
    plugin = install_plugin(config, sys.executable)
    said = subprocess.run(
        (plugin.path, "bottle", "--version"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("bottle, version")


def test_again_it_does_nothing_and_for_another_bottle_it_is_replaced(config: Path) -> None:
    path = install_plugin(config, "/one/python").path
    before = snapshot(config)
    assert install_plugin(config, "/one/python").outcome is PluginChange.UNCHANGED
    assert snapshot(config) == before
    assert install_plugin(config, "/other/python").outcome is PluginChange.REPLACED
    assert "/other/python" in path.read_text()


def test_it_is_taken_away(config: Path) -> None:
    path = install_plugin(config, "/one/python").path
    assert remove_plugin(config) == Plugin(path=path, outcome=PluginChange.REMOVED)
    assert not path.exists()
    assert remove_plugin(config).outcome is PluginChange.ABSENT


@pytest.mark.parametrize(
    "put",
    [
        lambda path: path.write_text("#!/bin/sh\necho another\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.symlink_to("/usr/bin/env"),
        lambda path: path.symlink_to("/nowhere"),
        lambda path: path.mkdir(),
        os.mkfifo,
    ],
    ids=["script", "empty", "link", "dangling", "folder", "fifo"],
)
def test_what_bottle_did_not_write_stays(config: Path, put: Callable[[Path], None]) -> None:
    path = config / "cli-plugins" / "docker-bottle"
    path.parent.mkdir(parents=True)
    put(path)
    before = snapshot(config)
    for act in (lambda: install_plugin(config, "/one/python"), lambda: remove_plugin(config)):
        with pytest.raises(NameTaken, match="docker-bottle is there"):
            act()
    assert snapshot(config) == before


def test_a_folder_that_cannot_be_written_is_said() -> None:
    with users_folder() as folder:
        config = folder / "docker"
        config.mkdir(mode=0o555)
        with as_user(), pytest.raises(StateDamaged, match="cannot write"):
            install_plugin(config, "/one/python")
        assert list(config.iterdir()) == []
        shutil.rmtree(config)
