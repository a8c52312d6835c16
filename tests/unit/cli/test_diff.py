"""`bottle diff`: what is shown of what a bottle changed, in text and to programs, and that it changes nothing."""

from __future__ import annotations

import tarfile
from typing import Any

import pytest

from bottle.cli.main import main
from bottle.store.state import BottleState
from bottle.testing.tree import FakeNode
from tests.unit.cli.conftest import Cli
from tests.unit.cli.test_completion import offered

LINK = tarfile.SYMTYPE


@pytest.fixture
def bottle(cli: Cli) -> BottleState:
    return cli.start()


def put(cli: Cli, bottle: BottleState, path: str, data: bytes = b"", **node: Any) -> None:
    cli.world.engine.write(bottle.identity.container, path, node=FakeNode(data=data, **node))


def changes(document: dict[str, Any]) -> dict[str, str]:
    """What became of each path."""
    return {each["path"]: each["change"] for each in document["changes"]}


@pytest.fixture
def worked(cli: Cli, bottle: BottleState) -> BottleState:
    """A bottle with a commit, and work that none has."""
    put(cli, bottle, "/root/old/one", b"1\n")
    put(cli, bottle, "/root/file", b"a\nb\n")
    put(cli, bottle, "/root/kind", b"x")
    put(cli, bottle, "/root/moded", b"y")
    cli("commit", str(bottle.identity))
    container = bottle.identity.container
    cli.world.engine.erase(container, "/root/old")
    put(cli, bottle, "/root/file", b"a\nc\n")
    cli.world.engine.erase(container, "/root/kind")
    put(cli, bottle, "/root/kind", type=LINK, target="/etc/passwd")
    put(cli, bottle, "/root/moded", b"y", mode=0o4755, uid=7)
    put(cli, bottle, "/root/new/\udcff", b"n" * 1500)
    put(cli, bottle, "/etc/\udcfe")
    put(cli, bottle, "/etc/passwd", b"changed")
    return bottle


def test_since_the_last_commit(cli: Cli, worked: BottleState) -> None:
    before = cli.disk()
    document = cli.json("diff", str(worked.identity))
    assert (document["from"], document["to"]) == ("1", "now")
    assert changes(document) == {
        "/etc/passwd": "changed",
        "/root/file": "changed",
        "/root/kind": "changed",
        "/root/moded": "changed",
        "/root/new": "added",
        "/root/new/\udcff": "added",
        "/root/old": "removed",
        "/root/old/one": "removed",
    }
    assert document["unanswered"] == ["/etc/\udcfe"]  # of which no engine can be asked
    by_path = {each["path"]: each for each in document["changes"]}
    assert by_path["/root/moded"]["before"] == {
        "kind": "file", "size": 1, "uid": 0, "gid": 0, "mode": "0644", "link": None,
    }  # fmt: skip
    assert by_path["/root/moded"]["after"]["mode"] == "4755"
    assert (by_path["/root/moded"]["content"], by_path["/root/file"]["content"]) == (False, True)
    assert by_path["/root/kind"]["after"]["link"] == "/etc/passwd"
    assert document["summary"] == {"added": 2, "changed": 4, "removed": 2, "gained": 1511, "lost": 33}
    assert cli.disk() == before
    assert not [name for name in cli.world.engine.calls if name == "pause"]
    assert {each.name for each in cli.world.engine.containers({})} == {worked.identity.container}


def test_for_people(cli: Cli, worked: BottleState) -> None:
    result = cli("diff", str(worked.identity))
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["CHANGE", "WHAT", "SIZE", "WAS", "PATH", "NOTE"]
    shown = {
        line.split()[0] + " " + next(word for word in line.split() if word.startswith("/")): line
        for line in lines[1:-1]
    }
    assert shown["changed /root/moded"].endswith("mode 0644 to 4755, owner 0:0 to 7:0")
    assert "file to link" in shown["changed /root/kind"]
    assert shown["changed /root/kind"].endswith("leads to /etc/passwd")
    assert lines[-1] == (f"{worked.identity}, commit 1 to now: 2 added, 4 changed, 2 removed; 1.5 kB new, 33 B gone")
    assert "nobody could say what is at 1 path now: /etc/\N{REPLACEMENT CHARACTER}" in result.stderr
    header, *rows, total = cli("diff", str(worked.identity), "--stat").stdout.splitlines()
    assert header.split() == ["FOLDER", "ADDED", "CHANGED", "REMOVED", "NEW", "GONE"]
    assert [row.split()[:4] for row in rows] == [
        ["/etc", "0", "1", "0"],
        ["/root", "1", "3", "1"],
        ["/root/new", "1", "0", "0"],
        ["/root/old", "0", "0", "1"],
    ]
    assert total == lines[-1]
    assert "changes" not in cli.json("diff", str(worked.identity), "--stat")


def test_nothing_new_is_nothing(cli: Cli, bottle: BottleState) -> None:
    put(cli, bottle, "/root/file", b"a")
    cli("commit", str(bottle.identity))
    put(cli, bottle, "/root/file", b"a", mtime=77)
    said = cli("diff", str(bottle.identity)).stdout
    assert said == f"nothing differs in {bottle.identity} between commit 1 and now\n"
    assert changes(cli.json("diff", str(bottle.identity), "image")) == {"/root": "added", "/root/file": "added"}


def test_between_commits_and_without_a_container(cli: Cli, worked: BottleState) -> None:
    name = str(worked.identity)
    cli("commit", name)
    there = cli.json("diff", name, "1", "2")
    back = cli.json("diff", name, "2", "1")
    swapped = {"added": "removed", "removed": "added", "changed": "changed"}
    assert changes(back) == {path: swapped[change] for path, change in changes(there).items()}
    assert there["summary"]["gained"] == back["summary"]["lost"]
    assert cli.json("diff", name)["changes"] == []
    cli.world.lose_container(worked)
    assert cli.json("diff", name)["changes"] == there["changes"]
    assert (cli.json("diff", name)["from"], cli.json("diff", name)["to"]) == ("1", "2")
    assert cli.json("diff", name, "1")["changes"] == there["changes"]
    assert "has no container" in cli("diff", name, "1", "now").stderr
    cli.world.lose_images(worked)
    assert cli.json("diff", name, "1", exit_code=3)["error"]["code"] == "NotFound"


def test_a_bottle_that_was_never_committed_is_compared_with_its_image(cli: Cli, bottle: BottleState) -> None:
    cli.world.engine.erase(bottle.identity.container, "/etc")
    document = cli.json("diff", str(bottle.identity))
    assert (document["from"], changes(document)) == ("image", {"/etc": "removed", "/etc/passwd": "removed"})


def test_what_is_mounted_is_left_out(cli: Cli, bottle: BottleState) -> None:
    put(cli, bottle, "/cache/x", b"1")
    assert cli.json("diff", str(bottle.identity))["changes"] == []
    result = cli("diff", str(bottle.identity), "--path", "/cache/x")
    assert (result.exit_code, "is mounted, at /cache" in result.stderr) == (2, True)


# --- one file --------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_file(cli: Cli, worked: BottleState) -> None:
    name = str(worked.identity)
    assert cli("diff", name, "--path", "root/file").stdout.splitlines() == [
        "/root/file was changed between commit 1 and now",
        "--- 1:/root/file",
        "+++ now:/root/file",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]
    document = cli.json("diff", name, "--path", "/root/file")
    assert (document["change"], document["lines"][-2:], document["why_no_lines"]) == ("changed", ["-b", "+c"], None)
    assert cli.json("diff", name, "--path", "/bin/sh")["change"] == "none"
    assert cli("diff", name, "--path", "/bin/sh").stdout == f"/bin/sh of {name} is the same in commit 1 and now\n"
    added = cli.json("diff", name, "image", "1", "--path", "/root/file")
    assert (added["change"], added["before"], added["lines"][0]) == ("added", None, "--- /dev/null")
    removed = cli.json("diff", name, "--path", "/root/old/one")
    assert (removed["change"], removed["lines"][-1]) == ("removed", "-1")


def test_what_has_no_lines_says_why(cli: Cli, worked: BottleState) -> None:
    name = str(worked.identity)
    put(cli, worked, "/root/file", b"a\0b")
    assert cli("diff", name, "--path", "/root/file").stdout.splitlines()[1:] == ["it is binary: 4 B, then 3 B"]
    large = b"x" * (1 << 20) + b"y"
    put(cli, worked, "/root/large", large)
    cli("commit", name)
    put(cli, worked, "/root/large", large, mtime=5)
    assert cli.json("diff", name, "--path", "/root/large")["change"] == "none"
    put(cli, worked, "/root/large", large[:-1] + b"z")
    found = cli.json("diff", name, "--path", "/root/large")
    assert (found["change"], found["lines"]) == ("changed", None)
    assert "too large" in found["why_no_lines"]


def test_the_path_of_a_folder_shows_what_is_in_it(cli: Cli, worked: BottleState) -> None:
    found = cli.json("diff", str(worked.identity), "--path", "/root/old")
    assert changes(found) == {"/root/old": "removed", "/root/old/one": "removed"}


def test_what_is_in_neither_is_not_found(cli: Cli, worked: BottleState) -> None:
    result = cli("diff", str(worked.identity), "--path", "/nowhere")
    assert (result.exit_code, "neither in commit 1 nor in now" in result.stderr) == (3, True)
    assert cli("diff", str(worked.identity), "--path", "/x", "--stat").exit_code == 2


def test_a_hostile_text_is_quoted(cli: Cli, worked: BottleState) -> None:
    put(cli, worked, "/root/file", b"\x1b[2Jevil\n")
    assert cli("diff", str(worked.identity), "--path", "/root/file").stdout.splitlines()[-1] == "+evil"


def test_versions_are_offered(cli: Cli, worked: BottleState) -> None:
    name = str(worked.identity)
    assert offered("diff", "") == [name]
    assert offered("diff", name, "") == ["1", "image", "now"]
    assert offered("diff", name, "1", "n") == ["now"]
    assert main.name == "main"
