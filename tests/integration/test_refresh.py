"""`migrate --keep` again, on real hosts: the copy is brought up to date, unless somebody has worked on it."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import DockerHost
from tests.integration import trees
from tests.integration.migration import Desk, forgotten, leftovers

# What does not travel again; it cannot be compressed, and has no byte by which the listing there is split.
LARGE = bytes(random.Random(2).choices(range(1, 256), k=4_000_000))


@pytest.fixture
def copied(desk: Desk, there: DockerHost, agents: str) -> Iterator[tuple[str, str, Path]]:
    """A bottle of the desk, its copy there, and where that has its workspace."""
    there.load_image(agents)
    desk.knows(there)
    identity = desk.start("plain")
    (desk.workspace / "src").mkdir()
    (desk.workspace / "src" / "main.py").write_text("at the desk\n")
    (desk.workspace / "old").write_text("at the desk\n")
    (desk.workspace / "large").write_bytes(LARGE)
    place = Path(f"/srv/{identity}")
    copy = desk.ok("migrate", identity, desk.target(there), "--keep", "--workspace", str(place))
    assert not copy["refreshed"]
    with forgotten(there, copy["arrived_as"]):
        try:
            yield identity, copy["arrived_as"], place
        finally:
            there.exec(["rm", "-rf", str(place)])


def work(desk: Desk, identity: str) -> None:
    """The agent goes on: inside, and in its workspace."""
    script = "echo more >>src/main.py; rm old; mkdir -p made/inner; echo new >made/inner/file; echo inside >/inside"
    assert desk.run_in(identity, "sh", "-c", f"cd /workspace && {script}") is not None


def far(host: DockerHost, *words: str) -> Any:
    return json.loads(host.exec(["bottle", *words, "--format", "json"]).stdout)


def known_there(host: DockerHost) -> list[str]:
    return sorted(each["identity"] for each in far(host, "list")["bottles"])


def test_the_copy_is_brought_up_to_date_and_only_what_changed_travels(
    desk: Desk, there: DockerHost, copied: tuple[str, str, Path]
) -> None:
    identity, copy, place = copied
    words = ("migrate", identity, desk.target(there), "--keep")
    for _ in range(2):
        work(desk, identity)
        plan = desk.ok(*words, "--plan")["plan"]
        assert (plan["refreshes"], plan["replaces"], plan["workspace"]) == (copy, True, str(place))
        assert f"bring {copy} up to date, its copy there" in desk.bottle(*words, "--plan").stdout.decode()
        again = desk.ok(*words)
        assert (again["arrived_as"], again["refreshed"], again["workspace"]) == (copy, True, str(place))
        assert again["staged_bytes"] < 1_000_000
        assert trees.far_folder_tree(there, str(place)) == trees.folder_tree(desk.workspace)
        assert known_there(there) == [copy]
        assert [each["number"] for each in far(there, "history", copy)["commits"]][-1] == again["commit"]
        (desk.workspace / "old").write_text("again\n")
    said = desk.bottle(*words).stdout.decode()
    assert f"{copy}, the copy of {identity} on {desk.target(there)}, is up to date" in said
    assert desk.container(identity).status == "running"
    assert not leftovers(there)
    assert there.exec(["sh", "-c", f"ls -A /srv | grep {identity}"]).text == identity
    there.exec(["bottle", "resume", "-d", copy])
    assert there.docker("exec", f"bottle-{copy}", "cat", "/inside", "/workspace/src/main.py").text.startswith(
        "inside\nat"
    )


def test_where_somebody_has_worked_it_is_refused_by_name_and_another_can_be_made(
    desk: Desk, there: DockerHost, copied: tuple[str, str, Path]
) -> None:
    identity, copy, place = copied
    words, host = ("migrate", identity, desk.target(there), "--keep"), desk.target(there)
    there.exec(["sh", "-c", f"echo theirs >{place}/theirs"])
    work(desk, identity)
    for option in ((), ("--plan",)):
        said = desk.refused(4, *words, *option)
        assert f"somebody has worked in {place} on {host}, where the copy {copy} works: theirs" in said
        assert "the same command with --new and --workspace DIR" in said
    there.exec(["rm", f"{place}/theirs"])
    assert "where the copy" in desk.refused(4, *words)  # the folder itself has changed, which nobody sets back

    other = f"{place}-other"
    another = desk.ok(*words, "--new", "--workspace", other)
    newer = another["arrived_as"]
    with forgotten(there, newer):
        assert (newer != copy, another["refreshed"]) == (True, False)
        assert desk.ok(*words)["arrived_as"] == newer  # the newest one is the one that is kept up to date
        there.exec(["bottle", "resume", "-d", newer])
        said = desk.refused(4, *words)
        assert f"{newer}, the copy of {identity} on {host}, has been worked on: it was started there" in said
        there.exec(["bottle", "stop", newer])
        assert "it was started there" in desk.refused(4, *words, "--plan")
        assert known_there(there) == sorted([copy, newer])
        assert there.exec(["cat", f"{place}/old"]).text == "at the desk"
        there.exec(["bottle", "rm", "--yes", newer])
        there.exec(["rm", "-rf", other])
        # What is gone from there is made again, under the name that it had.
        gone = desk.ok(*words, "--workspace", other)
        assert (gone["arrived_as"], gone["refreshed"]) == (newer, False)
        there.exec(["rm", "-rf", other])


def test_a_copy_that_has_moved_on_is_refused(desk: Desk, there: DockerHost, copied: tuple[str, str, Path]) -> None:
    identity, copy, _ = copied
    there.exec(["sh", "-c", f"echo '{{}}' >/root/.bottle/state/{copy}/moved-to.json"])
    said = desk.refused(4, "migrate", identity, desk.target(there), "--keep")
    assert f"{copy}, the copy of {identity} on {desk.target(there)}, has moved away from there" in said


def test_a_bottle_with_volumes_says_that_its_copy_stays_as_it_is(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("mover")
    place = f"/srv/{identity}"
    words = ("migrate", identity, desk.target(there), "--keep")
    copy = desk.ok(*words, "--workspace", place)["arrived_as"]
    with forgotten(there, copy):
        before = trees.far_folder_tree(there, f"/root/.bottle/state/{copy}")
        said = desk.refused(4, *words)
        assert "cannot be brought up to date, as the bottle has volumes: cache" in said
        assert trees.far_folder_tree(there, f"/root/.bottle/state/{copy}") == before
        there.exec(["rm", "-rf", place])


MOMENTS = (
    "after:migration.json:1",
    "during:seed:1",
    "after:piece:1",
    "during:extract:1",
    "during:register:1",
    "after:register:1",
    "before:copies.json:1",
    "before:clear:1",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_there_is_one_copy_of_one_moment_and_the_same_command_finishes(
    desk: Desk, there: DockerHost, copied: tuple[str, str, Path], moment: str
) -> None:
    identity, copy, place = copied
    before = desk.ok("history", identity)["commits"][-1]["number"]
    work(desk, identity)
    words = ("migrate", identity, desk.target(there), "--keep")
    code, moments = desk.strike(moment, *words)
    assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
    ended = '[ ! -d "$1" ] || flock "$1" true'  # what was at work there when it was killed here
    there.exec(["sh", "-c", ended, "wait", f"/root/.bottle/incoming/{copy}"])
    newer = there.exec(["cat", f"{place}/src/main.py"]).text != "at the desk"
    last = far(there, "history", copy)["commits"][-1]["number"]
    assert (last > before) == newer, "the copy is of two moments"
    done = desk.ok(*words)
    assert done["arrived_as"] == copy
    assert known_there(there) == [copy]
    assert trees.far_folder_tree(there, str(place)) == trees.folder_tree(desk.workspace)
    assert not leftovers(there)
    assert desk.container(identity).status == "running"
    there.exec(["bottle", "resume", "-d", copy])
    assert there.docker("exec", f"bottle-{copy}", "cat", "/inside").text == "inside"
