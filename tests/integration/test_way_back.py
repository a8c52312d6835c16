"""A bottle that goes to another host and comes back, on real hosts: its workspace takes the place that it left."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import DockerHost
from tests.integration.migration import Desk, forgotten, owners

# What does not travel again; it cannot be compressed, and has no byte by which the listing there is split.
LARGE = bytes(random.Random(1).choices(range(1, 256), k=4_000_000))


@pytest.fixture
def away(desk: Desk, there: DockerHost, agents: str) -> Iterator[str]:
    """A bottle of the desk that moved away; its workspace is at the same path there."""
    there.load_image(agents)
    desk.knows(there)
    identity = desk.start("plain")
    (desk.workspace / "src").mkdir()
    (desk.workspace / "src" / "main.py").write_text("at the desk\n")
    (desk.workspace / "two words").write_text("at the desk\n")
    (desk.workspace / "old").write_text("at the desk\n")
    (desk.workspace / "large").write_bytes(LARGE)
    with forgotten(there, identity):
        desk.ok("migrate", identity, desk.target(there), "--resume")
        try:
            yield identity
        finally:
            there.exec(["rm", "-rf", str(desk.workspace)])


def files(folder: Path) -> dict[str, str]:
    """The files below a folder, by their relative paths."""
    found = {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    return without_large(found)


def without_large(found: dict[str, bytes]) -> dict[str, str]:
    """What is to be there whatever is done, and then the rest."""
    assert found.pop("large") == LARGE
    return {path: content.decode() for path, content in found.items()}


def files_there(host: DockerHost, folder: Path) -> dict[str, str]:
    each = 'for file; do printf "%s\\0" "${file#./}"; cat "$file"; printf "\\0"; done'
    script = f"cd \"$1\" && find . -type f -exec sh -c '{each}' each {{}} +"
    parts = host.exec(["sh", "-c", script, "list", str(folder)]).stdout.split(b"\0")
    return without_large({path.decode(): content for path, content in zip(parts[:-1:2], parts[1::2], strict=True)})


def work_there(host: DockerHost, identity: str) -> None:
    """The agent changes, adds and removes files of its workspace there."""
    script = "echo there >>src/main.py; echo there >new; rm old; mkdir -p made/inner; echo there >made/inner/file"
    host.docker("exec", "-w", "/workspace", f"bottle-{identity}", "sh", "-c", script)


WORKED = {
    "src/main.py": "at the desk\nthere\n",
    "two words": "at the desk\n",
    "new": "there\n",
    "made/inner/file": "there\n",
}


def beside(desk: Desk) -> list[str]:
    """What stands beside the workspace, of a move's or of a user's."""
    return [each.name for each in desk.workspace.parent.iterdir() if each.name.startswith((".bottle-", "work"))]


def test_it_comes_and_goes_and_each_time_takes_the_place_that_it_left(desk: Desk, there: DockerHost, away: str) -> None:
    before = beside(desk)
    words = (away, desk.target(there))
    work_there(there, away)
    plan = desk.ok("migrate", *words, "--from", "--plan")["plan"]
    assert (plan["workspace"], plan["replaces"]) == (str(desk.workspace), True)
    assert "in place of the one that it left" in desk.bottle("migrate", *words, "--from", "--plan").stdout.decode()
    back = desk.ok("migrate", *words, "--from", "--yes")
    assert back["workspace"] == str(desk.workspace)
    assert back["staged_bytes"] < 1_000_000
    assert owners(desk, away, there) == (True, False)
    assert files(desk.workspace) == WORKED
    assert beside(desk) == before

    # And again, by way of the scripts on that host: what it left there is as it was, too.
    desk.ok("resume", away, "-d")
    assert desk.run_in(away, "sh", "-c", "cd /workspace && echo desk >>new && rm 'two words'") is not None
    plan = desk.ok("migrate", *words, "--plan")["plan"]
    assert (plan["workspace"], plan["replaces"]) == (str(desk.workspace), True)
    assert desk.ok("migrate", *words)["staged_bytes"] < 1_000_000
    assert owners(desk, away, there) == (False, True)
    expected = {**WORKED, "new": "there\ndesk\n"}
    del expected["two words"]
    assert files_there(there, desk.workspace) == expected
    names = there.exec(["ls", "-A", str(desk.workspace.parent)]).stdout.decode().split("\n")
    assert not [name for name in names if name.startswith(".bottle-") or ".before-" in name]

    assert desk.ok("migrate", *words, "--from", "--yes")["staged_bytes"] < 1_000_000
    assert files(desk.workspace) == expected
    assert owners(desk, away, there) == (True, False)


def test_where_somebody_has_worked_it_is_refused_by_name_and_nothing_is_touched(
    desk: Desk, there: DockerHost, away: str
) -> None:
    words = (away, desk.target(there))
    work_there(there, away)
    (desk.workspace / "src" / "mine.py").write_text("the user's\n")
    (desk.workspace / "two words").write_text("the user's\n")
    before = files(desk.workspace)
    for option in ([], ["--plan"]):
        said = desk.refused(4, "migrate", *words, "--from", "--yes", *option)
        assert "not as the bottle left it here: src/mine.py" in said
        assert "not as the bottle left it here: two words" in said
        assert f"{away} left {desk.workspace} on " in said
        assert "it is not as it was then: 2 of its files and folders differ" in said
        assert "move that folder aside here, then the same command again; or with --workspace DIR" in said
    assert there.docker("inspect", "--format", "{{.State.Running}}", f"bottle-{away}").text == "true"
    assert files(desk.workspace) == before
    assert owners(desk, away, there) == (False, True)

    desk.workspace.rename(desk.workspace.with_name("mine"))
    assert desk.ok("migrate", *words, "--from", "--yes")["workspace"] == str(desk.workspace)
    assert files(desk.workspace) == WORKED
    assert files(desk.workspace.with_name("mine")) == before


def test_there_too(desk: Desk, there: DockerHost, away: str) -> None:
    words = (away, desk.target(there))
    desk.ok("migrate", *words, "--from", "--yes")
    there.exec(["sh", "-c", 'echo theirs >"$1/a file of theirs"', "write", str(desk.workspace)])
    said = desk.refused(4, "migrate", *words)
    assert f"{away} left {desk.workspace} on " in said
    assert "it is not as it was then: a file of theirs" in said
    there.exec(["rm", str(desk.workspace / "a file of theirs")])
    assert "it is not as it was then: ." in desk.refused(4, "migrate", *words)  # which nobody can set back
    assert owners(desk, away, there) == (True, False)
    assert files_there(there, desk.workspace)["old"] == "at the desk\n"


@pytest.mark.parametrize("again", ["migrate", "resume"])
def test_cut_while_it_is_handed_over_one_of_both_is_there(desk: Desk, there: DockerHost, away: str, again: str) -> None:
    words = (away, desk.target(there))
    desk.ok("migrate", *words, "--from", "--yes")
    (desk.workspace / "new").write_text("at the desk\n")
    code, _ = desk.strike("after:migration.json:3", "migrate", *words)
    assert code == -signal.SIGKILL
    if again == "resume":  # which asks who owns it
        desk.ok("resume", away, "-d")
        assert owners(desk, away, there) == (True, False)
        assert "new" not in files_there(there, desk.workspace)
        assert desk.ok("migrate", *words, "--plan")["plan"]["replaces"]
    desk.ok("migrate", *words)
    assert owners(desk, away, there) == (False, True)
    assert files_there(there, desk.workspace)["new"] == "at the desk\n"


def test_a_container_that_runs_with_what_it_left_is_in_the_way(
    desk: Desk, there: DockerHost, away: str, agents: str
) -> None:
    words, name = (away, desk.target(there)), f"uses-{away}"
    desk.ok("migrate", *words, "--from", "--yes")
    mount = f"{desk.workspace}/src:/work"
    there.docker("run", "-d", "--name", name, "-v", mount, "--entrypoint", "sleep", agents, "infinity")
    try:
        said = desk.refused(4, "migrate", *words)
        assert f"{name} works in {desk.workspace} on " in said
        assert "or stop what uses it there" in said
        assert owners(desk, away, there) == (True, False)
    finally:
        there.docker("rm", "-f", name)
    desk.ok("migrate", *words)
    assert owners(desk, away, there) == (False, True)


def test_a_folder_of_which_nothing_was_noted_stays(desk: Desk, there: DockerHost, away: str) -> None:
    """As one that an earlier version left."""
    (desk.states / away / "workspace-left").unlink()
    said = desk.refused(4, "migrate", away, desk.target(there), "--from", "--yes")
    assert "exists and is no empty folder; it is never overwritten" in said
    assert files(desk.workspace)["old"] == "at the desk\n"
    assert json.loads((desk.states / away / "moved-to.json").read_text())["host"]
