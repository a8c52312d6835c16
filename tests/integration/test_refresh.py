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


def known_there(host: DockerHost, identity: str) -> list[str]:
    """The copies of a bottle that are there."""
    script = f'cd /root/.bottle/state && grep -lF \'"identity": "{identity}"\' */metadata.json'
    found = host.exec(["sh", "-c", script], check=False).text.split()
    return sorted(path.partition("/")[0] for path in found)


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
        assert known_there(there, identity) == [copy]
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
        assert known_there(there, identity) == sorted([copy, newer])
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
    assert known_there(there, identity) == [copy]
    assert trees.far_folder_tree(there, str(place)) == trees.folder_tree(desk.workspace)
    assert not leftovers(there)
    assert desk.container(identity).status == "running"
    there.exec(["bottle", "resume", "-d", copy])
    assert there.docker("exec", f"bottle-{copy}", "cat", "/inside").text == "inside"


# --- volumes ----------------------------------------------------------------------------------------------------------

CACHE = "/opt/cache"


@pytest.fixture
def stored(desk: Desk, there: DockerHost, agents: str) -> Iterator[tuple[str, str, Path]]:
    """A bottle of the desk that has a volume, its copy there, and where that has its workspace."""
    there.load_image(agents)
    desk.knows(there)
    identity = desk.start("mover")
    desk.work(identity)
    place = Path(f"/srv/{identity}")
    copy = desk.ok("migrate", identity, desk.target(there), "--keep", "--workspace", str(place))["arrived_as"]
    with forgotten(there, copy):
        try:
            yield identity, copy, place
        finally:
            there.exec(["rm", "-rf", str(place)])


def store(desk: Desk, identity: str, what: str) -> None:
    """The agent goes on: inside, and in its volume."""
    script = "echo $0 >new; echo $0 >>work/mine; rm -f work/setuid; echo $0 >/inside"
    assert desk.run_in(identity, "sh", "-c", f"cd {CACHE} && {script}", what) is not None


def volumes_of(host: DockerHost, copy: str) -> list[str]:
    named = host.docker("volume", "ls", "-q", "--filter", f"label=bottle.identity={copy}").text.split()
    return sorted(name.removeprefix(f"bottle-{copy}-") for name in named if not name.endswith("-_requests"))


def held(host: DockerHost, copy: str, volume: str) -> dict[str, tuple[object, ...]]:
    """What a volume of the copy holds."""
    image = host.exec(["cat", f"/root/.bottle/state/{copy}/committed-image"]).text
    host.docker("create", "--name", "held", "-v", f"bottle-{copy}-{volume}:{CACHE}:nocopy", image, "sh")
    try:
        return trees.tree(host.docker("cp", f"held:{CACHE}", "-").stdout)
    finally:
        host.docker("rm", "held")


def own_volume(host: DockerHost, copy: str) -> str:
    """What the copy calls the volume that it has now."""
    (volume,) = json.loads(host.exec(["cat", f"/root/.bottle/state/{copy}/metadata.json"]).stdout)["agent"]["volumes"]
    return str(volume["source"])


def cache(desk: Desk, identity: str) -> dict[str, tuple[object, ...]]:
    return trees.container_tree(desk.container(identity), CACHE)


def test_volumes_are_brought_up_to_date_and_those_of_before_go(
    desk: Desk, there: DockerHost, stored: tuple[str, str, Path]
) -> None:
    identity, copy, _ = stored
    words = ("migrate", identity, desk.target(there), "--keep")
    for what in ("once", "twice"):
        store(desk, identity, what)
        done = desk.bottle(*words)
        assert (done.returncode, b"is up to date" in done.stdout) == (0, True), done.stderr
        assert b"is kept" not in done.stderr
        assert volumes_of(there, copy) == [own_volume(there, copy)]
        assert held(there, copy, own_volume(there, copy)) == cache(desk, identity)
        assert not leftovers(there)
    there.exec(["bottle", "resume", "-d", copy])
    assert there.docker("exec", f"bottle-{copy}", "cat", "/opt/cache/new", "/inside").text.split() == ["twice", "twice"]
    assert volumes_of(there, copy) == [own_volume(there, copy)]
    there.exec(["bottle", "stop", copy])
    there.exec(["bottle", "rm", "--yes", copy])
    assert volumes_of(there, copy) == []


def test_a_volume_in_which_somebody_wrote_there_stays(
    desk: Desk, there: DockerHost, stored: tuple[str, str, Path]
) -> None:
    identity, copy, _ = stored
    words = ("migrate", identity, desk.target(there), "--keep")
    root = there.docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"bottle-{copy}-cache").text
    there.exec(["sh", "-c", f"echo theirs >{root}/theirs"])
    for what in ("once", "twice"):
        store(desk, identity, what)
        done = desk.bottle(*words)
        assert done.returncode == 0, done.stderr
        assert f"volume bottle-{copy}-cache on {desk.target(there)}, which {copy} had before, is kept" in (
            done.stderr.decode()
        )
        assert volumes_of(there, copy) == sorted(["cache", own_volume(there, copy)])
        assert held(there, copy, own_volume(there, copy)) == cache(desk, identity)
    assert there.exec(["cat", f"{root}/theirs"]).text == "theirs"


def test_a_container_that_has_a_volume_of_the_copy_is_named(
    desk: Desk, there: DockerHost, stored: tuple[str, str, Path]
) -> None:
    identity, copy, _ = stored
    words, image = ("migrate", identity, desk.target(there), "--keep"), f"bottle-committed-{copy}:1"
    there.docker("create", "--name", "looking", "-v", f"bottle-{copy}-cache:/seen", image, "sh")
    try:
        for option in ((), ("--plan",)):
            said = desk.refused(4, *words, *option)
            assert f"is in use: container looking has its volume bottle-{copy}-cache" in said
    finally:
        there.docker("rm", "looking")
    assert desk.ok(*words)["refreshed"]
    assert volumes_of(there, copy) == [own_volume(there, copy)]


VOLUME_MOMENTS = (
    "during:volume:1",
    "after:volume:1",
    "during:register:1",
    "after:register:1",
    "before:retire:1",
    "after:retire:1",
)


@pytest.mark.parametrize("moment", VOLUME_MOMENTS)
def test_killed_at_any_moment_a_copy_with_a_volume_is_of_one_moment_and_the_same_command_finishes(
    desk: Desk, there: DockerHost, stored: tuple[str, str, Path], moment: str
) -> None:
    identity, copy, _ = stored
    before, number = cache(desk, identity), desk.ok("history", identity)["commits"][-1]["number"]
    store(desk, identity, "later")
    after = cache(desk, identity)
    words = ("migrate", identity, desk.target(there), "--keep")
    code, moments = desk.strike(moment, *words)
    assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
    ended = '[ ! -d "$1" ] || flock "$1" true'  # what was at work there when it was killed here
    there.exec(["sh", "-c", ended, "wait", f"/root/.bottle/incoming/{copy}"])
    newer = far(there, "history", copy)["commits"][-1]["number"] > number
    assert held(there, copy, own_volume(there, copy)) == (after if newer else before), "the copy is of two moments"
    assert newer == (moment in {"during:register:1", "after:register:1", "before:retire:1", "after:retire:1"})
    done = desk.ok(*words)
    assert done["arrived_as"] == copy
    assert volumes_of(there, copy) == [own_volume(there, copy)]
    assert held(there, copy, own_volume(there, copy)) == after
    assert not leftovers(there)
    there.exec(["bottle", "resume", "-d", copy])
    assert there.docker("exec", f"bottle-{copy}", "cat", "/opt/cache/new", "/inside").text.split() == ["later", "later"]


@pytest.mark.parametrize(
    ("moment", "written"), [("after:volume:1", False), ("before:retire:1", False), ("before:retire:1", True)]
)
def test_prune_there_deletes_what_a_refresh_that_was_cut_has_left(
    desk: Desk, there: DockerHost, stored: tuple[str, str, Path], moment: str, *, written: bool
) -> None:
    identity, copy, _ = stored
    store(desk, identity, "later")
    assert desk.strike(moment, "migrate", identity, desk.target(there), "--keep")[0] == -signal.SIGKILL
    own = own_volume(there, copy)
    (other,) = {*volumes_of(there, copy)} - {own}
    if written:
        root = there.docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"bottle-{copy}-{other}").text
        there.exec(["sh", "-c", f"echo theirs >{root}/theirs"])
    assert f"bottle-{copy}-{other}" in there.exec(["bottle", "prune", "--older-than", "0", "--dry-run"]).text
    said = there.exec(["bottle", "prune", "--older-than", "0"]).text
    assert ("somebody has written in it since it came" in said) == written
    assert volumes_of(there, copy) == sorted([own, other] if written else [own])
    desk.ok("migrate", identity, desk.target(there), "--keep")
    assert held(there, copy, own_volume(there, copy)) == cache(desk, identity)
