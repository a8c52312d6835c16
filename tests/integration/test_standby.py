"""`standby` and `takeover` on real hosts: what holds where the source dies, comes back, or the line is cut."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import DockerHost
from tests.integration import trees
from tests.integration.migration import Desk, far_can_resume, forgotten, leftovers, owners


@pytest.fixture
def stood(desk: Desk, there: DockerHost, agents: str) -> Iterator[tuple[str, tuple[str, ...], Path]]:
    """A bottle of the desk, the command that keeps its standby there, and where that has its workspace."""
    there.load_image(agents)
    desk.knows(there)
    identity = desk.start("plain")
    (desk.workspace / "src").mkdir()
    (desk.workspace / "src" / "main.py").write_text("at the desk\n")
    place = Path(f"/srv/{identity}")
    words = ("standby", identity, desk.target(there))
    with forgotten(there, identity):
        try:
            first = desk.ok(*words, "--workspace", str(place))
            assert first["takeover"] == f"bottle takeover {identity}"
            yield identity, words, place
        finally:
            there.exec(["rm", "-rf", str(place)])


def work(desk: Desk, identity: str, what: str) -> None:
    script = f"echo {what} >>/workspace/src/main.py; echo {what} >/inside"
    assert desk.run_in(identity, "sh", "-c", script) is not None


def far(host: DockerHost, *words: str) -> Any:
    return json.loads(host.exec(["bottle", *words, "--format", "json"]).stdout)


def state_there(host: DockerHost, identity: str) -> str:
    """What `list` says there, of this bottle: others may be there, too."""
    (view,) = [each for each in far(host, "list")["bottles"] if each["identity"] == identity]
    return str(view["state"])


def inside(host: DockerHost, identity: str) -> str:
    return host.docker("exec", f"bottle-{identity}", "cat", "/inside", "/workspace/src/main.py").text


def test_it_owns_nothing_and_is_brought_up_to_date(
    desk: Desk, there: DockerHost, stood: tuple[str, tuple[str, ...], Path]
) -> None:
    identity, words, place = stood
    for each in ("one", "two"):
        work(desk, identity, each)
        again = desk.ok(*words)
        assert again["staged_bytes"] < 1_000_000
        assert trees.far_folder_tree(there, str(place)) == trees.folder_tree(desk.workspace)
        assert owners(desk, identity, there) == (True, False)
    assert state_there(there, identity) == "standby"
    for command in (["resume", "-d", identity], ["resume", "-d", "--force", identity], ["commit", identity]):
        refused = there.exec(["bottle", *command], check=False)
        assert refused.returncode == 4
        assert f"bottle takeover {identity}".encode() in refused.stderr
    there.exec(["bottle", "prune", "--yes"])
    assert state_there(there, identity) == "standby"
    (here,) = desk.ok("list")["bottles"]
    assert f"standby on {desk.target(there)}: as of " in here["detail"]
    assert not leftovers(there)
    assert desk.container(identity).status == "running"
    desk.ok(*words, "--end")
    desk.ok("stop", identity)
    assert desk.ok("resume", "-d", identity)["row"]


def test_it_takes_over_and_the_former_owner_is_fenced_and_keeps_what_is_newer(
    desk: Desk, there: DockerHost, stood: tuple[str, tuple[str, ...], Path]
) -> None:
    identity, words, _ = stood
    work(desk, identity, "one")
    desk.ok(*words)
    work(desk, identity, "lost")
    desk.container(identity).kill()  # as a host that dies ends it
    taken = far(there, "takeover", identity)
    assert taken["generation"] == 2
    there.exec(["bottle", "resume", "-d", identity])
    assert inside(there, identity) == "one\nat the desk\none"

    assert "has taken" in desk.refused(4, *words)
    said = desk.refused(4, "resume", "-d", identity)
    assert f"{desk.target(there)} has taken {identity} over: it owns the bottle" in said
    assert owners(desk, identity, there) == (False, True)
    (fork,) = [each["identity"] for each in desk.ok("list")["bottles"] if each["identity"] != identity]
    assert f"what is newer here is {fork}, a bottle of its own" in said
    desk.known.append(fork)
    desk.ok("resume", "-d", fork)
    assert desk.run_in(fork, "cat", "/inside", "/workspace/src/main.py") == b"lost\nat the desk\none\nlost\n"


def test_where_nothing_is_newer_nothing_is_kept(
    desk: Desk, there: DockerHost, stood: tuple[str, tuple[str, ...], Path]
) -> None:
    identity, words, _ = stood
    desk.ok("stop", identity)
    desk.ok(*words)
    far(there, "takeover", identity)
    said = desk.refused(4, "resume", "-d", identity)
    assert "nothing is newer here" in said
    assert [each["identity"] for each in desk.ok("list")["bottles"]] == [identity]
    assert owners(desk, identity, there) == (False, True)
    # And back: what is there moves here, as any bottle does.
    back = desk.ok("migrate", identity, desk.target(there), "--from", "--yes")
    assert owners(desk, identity, there) == (True, False)
    assert back["identity"] == identity


def test_a_host_that_cannot_be_asked_is_passed_by_knowingly_only(
    desk: Desk, there: DockerHost, stood: tuple[str, tuple[str, ...], Path]
) -> None:
    identity, _, _ = stood
    desk.ok("stop", identity)
    config = desk.folder / ".ssh" / "config"
    before = config.read_text()
    config.write_text("")
    said = desk.refused(6, "resume", "-d", identity)
    assert f"whether {desk.target(there)} has taken {identity} over is not known" in said
    assert f"bottle resume {identity} --force" in said
    far(there, "takeover", identity)
    desk.ok("resume", "-d", "--force", identity)  # both, and somebody knows
    config.write_text(before)
    assert far_can_resume(there, identity)
    desk.ok("stop", identity)
    assert "has taken" in desk.refused(4, "resume", "-d", identity)


def test_in_a_loop_one_that_fails_is_told_and_the_next_one_tries_again(
    desk: Desk, there: DockerHost, stood: tuple[str, tuple[str, ...], Path]
) -> None:
    identity, words, place = stood
    config = desk.folder / ".ssh" / "config"
    before = config.read_text()
    with desk.running(*words, "--every", "1s") as process:
        config.write_text("")
        failed = _awaited(desk, lambda detail: "its last round failed" in detail)
        work(desk, identity, "one")
        config.write_text(before)
        _awaited(desk, lambda detail: "its last round failed" not in detail)
        process.terminate()
        said = process.stderr.read() if process.stderr else ""
    assert "its last round failed" in failed
    assert "its last round failed" not in _detail(desk)
    assert "the next round tries again" in said
    assert there.exec(["cat", f"{place}/src/main.py"]).text == "at the desk\none"


def _awaited(desk: Desk, wanted: Callable[[str], bool]) -> str:
    """What `list` says as soon as it says what is `wanted`, or after a minute."""
    deadline = time.monotonic() + 60
    while not wanted(_detail(desk)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return _detail(desk)


def _detail(desk: Desk) -> str:
    """What `list` says of the one bottle here."""
    (view,) = desk.ok("list")["bottles"]
    return str(view["detail"])
