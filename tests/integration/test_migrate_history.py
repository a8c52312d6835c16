"""The images of older commits on real hosts: those that the newest one stands on arrive with it, and are the same."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from tests.hosts import DockerHost
from tests.integration.migration import Desk, forgotten, leftovers, owners

SAME = ("Created", "Author", "Architecture", "Os")
WORDS = ("one", "two", "three")


def committed(desk: Desk, words: Sequence[str] = WORDS[:2]) -> str:
    """A bottle with a commit for each of `words`, which `/said` held then; the agent works on after the last one."""
    identity = desk.start("plain")
    for word in words:
        say(desk, identity, word)
        desk.ok("commit", identity)
    say(desk, identity, "last")
    return identity


def say(desk: Desk, identity: str, word: str) -> None:
    assert desk.run_in(identity, "sh", "-c", f"echo {word} >/said") is not None


def far(host: DockerHost, *words: str) -> Any:
    """Run bottle there, which must succeed; its JSON answer."""
    return json.loads(host.exec(["bottle", *words, "--format", "json"]).stdout)


def said_at(host: DockerHost, identity: str, number: int) -> str:
    """What `/said` holds there once the bottle has gone back to a commit."""
    host.docker("stop", "-t", "0", f"bottle-{identity}", check=False)
    host.exec(["bottle", "resume", "-d", "--yes", "--at", str(number), identity])
    return host.docker("exec", f"bottle-{identity}", "cat", "/said").text.strip()


def described_there(host: DockerHost, tag: str) -> dict[str, Any]:
    (image,) = json.loads(host.docker("image", "inspect", tag).text)
    assert isinstance(image, dict)
    return image


def require_same(desk: Desk, host: DockerHost, tag: str) -> None:
    """The image there is the very one that is here: the classic store calls it by its config."""
    here, there = desk.engine.images.get(tag), described_there(host, tag)
    assert there["RootFS"]["Layers"] == here.attrs["RootFS"]["Layers"]
    assert there["Config"]["Labels"] == here.attrs["Config"]["Labels"]
    assert [there[key] for key in SAME] == [here.attrs[key] for key in SAME]
    if host.store == "classic":
        assert there["Id"] == here.id


def tags_there(host: DockerHost, identity: str) -> list[str]:
    return sorted(host.docker("image", "ls", "--format", "{{.Tag}}", f"bottle-committed-{identity}").text.split())


def arrived(desk: Desk, identity: str) -> list[int]:
    numbers: list[int] = json.loads((desk.states / identity / "moved-to.json").read_text())["arrived"]["commits"]
    return numbers


def test_what_was_committed_before_can_be_gone_back_to_there(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = committed(desk)
    with forgotten(host, identity):
        plan = desk.ok("migrate", identity, desk.target(host), "--plan")["plan"]
        assert (plan["history"], plan["history_stays"]) == ([1, 2], [])
        assert (
            "images of older commits: commits 1 and 2, no layer more"
            in desk.bottle("migrate", identity, desk.target(host), "--plan").stdout.decode()
        )
        moved = desk.ok("migrate", identity, desk.target(host))
        assert (moved["commit"], moved["history"], moved["history_stays"]) == (3, [1, 2], [])
        assert not any("other commits" in line for line in moved["stays"])
        assert arrived(desk, identity) == [1, 2, 3]
        assert not leftovers(host)
        for number in (1, 2):
            require_same(desk, host, f"bottle-committed-{identity}:{number}")
        assert [each["image"] for each in far(host, "history", identity)["commits"]] == ["present"] * 3
        assert "/said" in host.exec(["bottle", "diff", identity, "1", "2"]).text
        assert [said_at(host, identity, number) for number in (1, 2, 3)] == ["one", "two", "last"]

        again = desk.ok("migrate", identity, desk.target(host))
        assert (again["history"], again["history_stays"]) == ([1, 2], [])
        # All of it is there, so nothing here is the only copy.
        (pruned,) = [each for each in desk.ok("prune", "--dry-run")["plan"]["garbage"] if each["ref"] == identity]
        assert pruned["only_here"] == []
        assert desk.ok("rm", identity)["commits"] == [1, 2, 3]


def test_what_does_not_stand_below_the_newest_one_stays_and_is_named(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = committed(desk, WORDS[:1])
    desk.ok("stop", identity)
    desk.ok("resume", identity, "-d", "--rebuild", "--yes")
    say(desk, identity, "two")
    desk.ok("commit", identity)
    say(desk, identity, "last")
    with forgotten(there, identity):
        plan = desk.ok("migrate", identity, desk.target(there), "--plan")["plan"]
        moved = desk.ok("migrate", identity, desk.target(there))
        assert moved["commit"] == 3
        for told in (plan, moved):
            assert (told["history"], told["history_stays"]) == ([2], [1])
            assert "the images of other commits: commit 1; their entries in the history travel" in told["stays"]
        assert arrived(desk, identity) == [2, 3]
        assert tags_there(there, identity) == ["2", "3"]
        lacking = there.exec(["bottle", "resume", "-d", "--yes", "--at", "1", identity], check=False)
        assert b"image of commit 1" in lacking.stderr
        assert lacking.returncode == 3
        assert said_at(there, identity, 2) == "two"
        said = desk.refused(4, "rm", identity)
        assert "with commits 2 and 3, and this would delete what is only here: commit 1" in said
        assert f"docker save bottle-committed-{identity}:1 |" in said
        (pruned,) = [each for each in desk.ok("prune", "--dry-run")["plan"]["garbage"] if each["ref"] == identity]
        assert pruned["only_here"] == ["commit 1"]
        assert desk.ok("rm", identity, "--yes")["moved_to"] == desk.target(there)


def test_a_copy_has_them_under_its_own_name(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = committed(desk)
    copied = desk.ok("migrate", identity, desk.target(host), "--keep")
    copy = copied["arrived_as"]
    with forgotten(host, copy):
        assert (copied["history"], copied["history_stays"]) == ([1, 2], [])
        assert tags_there(host, copy) == ["1", "2", "3"]
        assert tags_there(host, identity) == []
        assert [each["tag"] for each in far(host, "history", copy)["commits"]] == [
            f"bottle-committed-{copy}:{number}" for number in (1, 2, 3)
        ]
        assert said_at(host, copy, 1) == "one"
        assert desk.run_in(identity, "cat", "/said") == b"last\n"


# While the older images are loaded there. The newest one is there after the first run, and only tagged by the next.
MOMENTS = ("before:load:2", "during:load:1", "after:load:1", "after:inspect:2", "after:inspect:3")


def test_killed_while_they_are_brought_the_same_command_finishes(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = committed(desk)
    words = ("migrate", identity, desk.target(there))
    with forgotten(there, identity):
        for moment in MOMENTS:
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
            assert owners(desk, identity, there) == (True, False), moment
        moved = desk.ok(*words)
        assert (moved["history"], arrived(desk, identity)) == ([1, 2], [1, 2, 3])
        assert owners(desk, identity, there) == (False, True)
        assert not leftovers(there)
        assert said_at(there, identity, 1) == "one"


@pytest.mark.parametrize("moment", ["before:moved-to.json:1", "during:register:1"])
def test_killed_while_it_hands_over_what_arrived_is_known(desk: Desk, there: DockerHost, moment: str) -> None:
    desk.knows(there)
    identity = committed(desk)
    with forgotten(there, identity):
        code, _ = desk.strike(moment, "migrate", identity, desk.target(there))
        assert code == -signal.SIGKILL
        desk.ok("migrate", identity, desk.target(there))
        assert arrived(desk, identity) == [1, 2, 3]


def test_they_go_on_from_store_to_store(
    desk: Desk, there: DockerHost, containerd_host: DockerHost, equipped: Any
) -> None:
    middle = equipped(containerd_host)
    desk.knows(middle)
    identity = committed(desk)
    ids = {number: desk.engine.images.get(f"bottle-committed-{identity}:{number}").id for number in (1, 2)}
    with forgotten(middle, identity), forgotten(there, identity):
        desk.ok("migrate", identity, desk.target(middle))
        host = there.container.attrs["NetworkSettings"]["IPAddress"]
        middle.put(there.key_file, "/root/key-of-the-other")
        middle.exec(["chmod", "600", "/root/key-of-the-other"])
        words = ("-i", "/root/key-of-the-other", "--accept-new-host-key")
        moved = far(middle, "migrate", identity, f"root@{host}", *words)
        assert (moved["history"], moved["history_stays"]) == ([1, 2], [])
        for number, image in ids.items():
            assert described_there(there, f"bottle-committed-{identity}:{number}")["Id"] == image
        assert said_at(there, identity, 2) == "two"


def test_they_are_there_before_the_agent_of_a_live_move_stops(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = committed(desk)
    with forgotten(host, identity):
        moved = desk.ok("migrate", identity, desk.target(host), "--live", "--rounds", "2")
        rounds = [each["commit"] for each in moved["rounds"]]
        assert moved["history"] == [1, 2, *rounds]
        assert arrived(desk, identity) == [1, 2, *rounds, moved["commit"]]
        assert moved["history_stays"] == []
        assert said_at(host, identity, 1) == "one"
