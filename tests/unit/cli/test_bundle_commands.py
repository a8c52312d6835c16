"""`bottle export` and `bottle import` as they are typed: their answers, their warnings, their exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Cli

EXPORTED = {
    "schema", "identity", "file", "bytes", "commit", "committed", "members", "links_left_out", "skipped", "stays",
    "dropped", "carried", "left_behind", "credentials_along", "import",
}  # fmt: skip
IMPORTED = {
    "schema", "identity", "copied_from", "commit", "tag", "workspace", "volumes", "granted", "not_granted", "left_out",
    "set_id_removed", "resume",
}  # fmt: skip


def test_there_and_back_in_json(cli: Cli, tmp_path: Path) -> None:
    bottle = cli.start()
    cli.world.work(bottle, "/srv/work", b"x")
    file = tmp_path / "demo.bottle"
    done = cli.json("export", str(bottle.identity), str(file))
    assert done.keys() == EXPORTED
    assert done["bytes"] == file.stat().st_size
    assert [set(member) for member in done["members"]] == [{"name", "holds", "bytes", "plain_bytes"}] * 6
    assert done["stays"] == [
        "secret DEMO_TOKEN: taken from the environment there",
    ]
    assert done["dropped"][0].startswith("not checked: sockets")
    taken = cli.json("import", str(file), "--yes")
    assert taken.keys() == IMPORTED
    assert taken["copied_from"] == {"identity": str(bottle.identity), "commit": 1}
    assert taken["resume"] == f"bottle resume {taken['identity']}"
    assert cli.json("resume", "-d", taken["identity"])["plan"] == "FromCommit"


def test_people_are_told_what_stays_and_what_is_granted(cli: Cli, tmp_path: Path) -> None:
    (cli.world.cwd / "out").symlink_to("/etc/passwd")
    bottle = cli.start()
    file = tmp_path / "demo.bottle"
    said = cli("export", str(bottle.identity), str(file))
    assert said.exit_code == 0
    assert "WARNING: not in the bundle, as it points out of the workspace: out -> /etc/passwd" in said.stderr
    assert "bottle import demo.bottle" in said.stdout
    assert "  with its state: " in said.stdout
    assert "| " not in said.stdout  # the mark of what is somebody else's
    taken = cli("import", str(file), "--yes", "--workspace", str(tmp_path / "here"))
    assert "its agent has: secret DEMO_TOKEN" in taken.stdout
    assert f"its workspace is at {tmp_path / 'here'}" in taken.stdout


@pytest.mark.parametrize(("words", "code"), [(("export", "demo"), 4), (("import",), 7)])
def test_what_is_there_is_not_overwritten_and_what_is_none_is_refused(
    cli: Cli, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    cli.start()
    file = tmp_path / "demo.bottle"
    file.write_text("mine")
    assert cli.json(*words, str(file), exit_code=code)["exit_code"] == code
    assert file.read_text() == "mine"


def test_what_the_workspace_needs_of_this_host_is_left_behind_with_yes_only(cli: Cli, tmp_path: Path) -> None:
    identity = str(cli.start().identity)
    (cli.world.folder / "data").mkdir()
    (cli.world.cwd / "data").symlink_to("../data")
    file = str(tmp_path / "demo.bottle")
    said = cli("export", identity, file)
    assert said.exit_code == 4
    assert "what a link leads to: data -> ../data" in said.stderr
    assert "--yes" in said.stderr
    assert cli.json("export", identity, file, "--yes")["left_behind"] == ["what a link leads to: data -> ../data"]
