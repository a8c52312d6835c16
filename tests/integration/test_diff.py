"""What `bottle diff` says is what two exports of the engine differ in, from wherever it is read, on each store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest

from bottle.composition import make_context
from bottle.diff.thing import Thing
from bottle.operations import Compared, Context, commit, compare
from bottle.store.state import BottleState
from tests.hosts import DockerHost
from tests.integration.migration import IMAGE, Desk
from tests.integration.test_commit_costs import idle

root = pytest.mark.skipif(os.geteuid() != 0, reason="the engine's folders are root's")
MADE_BY_ENGINES = (
    ".dockerenv",
    "dev",
    "proc",
    "sys",
    "run/bottle",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    "etc/mtab",
)
KINDS = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo", tarfile.REGTYPE: "file"}

FIRST = """
set -e; cd /root
mkdir -p new/deep/er gone kind; echo one > new/one
perl -e 'link("new/one", "new/deep/hard")'; echo two > gone/two; echo x > kind/x
perl -e 'symlink("/etc/passwd", "link")'; echo same > same; echo moved > from; head -c 3000000 /dev/zero > large
chmod 700 /etc/skel; echo more >> /etc/issue; rm -f /etc/motd; rm -rf /usr/share/doc; touch /etc/shells
printf x > "$(printf 'line\\nfeed')"; printf y > "$(printf 'odd\\377')"
"""
SECOND = """
set -e; cd /root
echo three >> new/one; rm -r gone; mkdir gone; echo anew > gone/three; rm -r kind; echo file > kind; rm link; mkdir link
chmod 4755 same; mv from to; mv new renamed; touch large; echo back > /etc/motd
mkdir /usr/share/doc; echo doc > /usr/share/doc/x; rm -r /etc/skel
perl -e 'symlink("/nowhere", "/etc/skel")'; rm -rf /etc/default /opt/cache
printf z > "$(printf 'odd\\377')"
"""

SOCKETS = """
set -e; rm -r /etc/issue /etc/skel
perl -e 'for (@ARGV) { socket(S, 1, 1, 0) and bind(S, pack("S a*", 1, $_)) or die $! }' /etc/issue /etc/skel /etc/new
"""


class Seen(NamedTuple):
    """What an export has at a path."""

    kind: str
    size: int
    mode: int
    owner: tuple[int, int]
    link: str
    digest: str


Tree = dict[str, Seen]


def exported(engine: docker.DockerClient, ref: str, folder: Path) -> Tree:
    """All that a container shows."""
    path = folder / "export.tar"
    with path.open("wb") as file:
        for chunk in engine.api.export(ref):
            file.write(chunk)
    found: Tree = {}
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            name = member.name.strip("/").removeprefix("./")
            if member.islnk():
                found[name] = found[member.linkname.strip("/")]
                continue
            data = tar.extractfile(member).read() if member.isfile() else b""  # type: ignore[union-attr]
            mode = 0o777 if member.issym() else member.mode & 0o7777
            kind = KINDS.get(member.type, "device")
            digest = hashlib.sha256(data).hexdigest() if member.isfile() else ""
            link = member.linkname if member.issym() else ""
            found[name] = Seen(kind, len(data), mode, (member.uid, member.gid), link, digest)
    return found


def tree_of_image(engine: docker.DockerClient, image: str, folder: Path) -> Tree:
    """All that a container of an image shows."""
    container = engine.api.create_container(image, ["true"])["Id"]
    try:
        return exported(engine, container, folder)
    finally:
        engine.api.remove_container(container, force=True)


def expected(before: Tree, after: Tree, mounted: tuple[str, ...]) -> dict[str, str]:
    """What became of each path."""
    hidden = (*MADE_BY_ENGINES, *(each.strip("/") for each in mounted))
    found = {}
    for path in before.keys() | after.keys():
        if path.endswith("docker-init") or any(path == each or path.startswith(f"{each}/") for each in hidden):
            continue
        if before.get(path) != after.get(path):
            change = "added" if path not in before else "removed" if path not in after else "changed"
            found[f"/{path}"] = change
    return found


def told(compared: Compared) -> dict[str, str]:
    return {each.path: each.change for each in compared.differences}


def told_wrong(compared: Compared, before: Tree, after: Tree) -> list[tuple[Any, ...]]:
    """Where what is said of a path is not what is there."""
    found = []
    for each in compared.differences:
        said = _as_seen(each.before), _as_seen(each.after)
        there = _facts(before.get(each.path[1:])), _facts(after.get(each.path[1:]))
        if said != there:
            found.append((each.path, said, there))
    return found


def _facts(seen: Seen | None) -> tuple[Any, ...] | None:
    return seen[:5] if seen is not None else None


def _as_seen(thing: Thing | None) -> tuple[Any, ...] | None:
    if thing is None:
        return None
    return (thing.kind.value, thing.size, thing.mode, (thing.uid, thing.gid), thing.link)


WAYS = ("index", "folder", "helper", "engine")


def compared_by(way: str, context: Context, bottle: BottleState, *words: str) -> Compared:
    """The same comparison, with what is to be had: a commit's index, the container's folder, a helper, the engine."""
    kept = bottle.path / "trees"
    with pytest.MonkeyPatch.context() as patch:
        if way == "engine":
            patch.setattr("bottle.operations.work.written_by", lambda *_: (None, ""))
        if way == "helper":
            patch.setattr("bottle.operations.bydelta.can_read", lambda _: False)
        if way in {"folder", "engine"} and kept.exists():
            kept.rename(kept.with_name("trees.away"))
        try:
            return compare(context, bottle, words)
        finally:
            if context.helper is not None:
                context.helper.close()  # it would wait a minute for the next call
            away = kept.with_name("trees.away")
            if away.exists():
                shutil.rmtree(kept, ignore_errors=True)
                away.rename(kept)


@pytest.fixture
def context(desk: Desk) -> Iterator[Context]:
    return make_context(home=desk.folder / "bottles", environ=desk.environ)


@root
@pytest.mark.parametrize("by_engine", [False, True], ids=["by changes", "by the engine"])
def test_it_is_what_the_engine_shows_from_wherever_it_is_read(desk: Desk, context: Context, by_engine: bool) -> None:
    name, engine, folder = idle(desk), desk.engine, desk.folder
    bottle = context.home.find(name)
    committing = replace(context, appender=None) if by_engine else context
    mounted = tuple(each["Destination"] for each in desk.container(name).attrs["Mounts"])
    assert desk.run_in(name, "sh", "-c", FIRST) is not None
    first = commit(committing, bottle).commit
    trees = {
        "image": tree_of_image(engine, bottle.metadata().image, folder),
        "1": tree_of_image(engine, first.tag, folder),
    }
    for way in WAYS:
        assert told(compared_by(way, context, bottle)) == {}, way
    assert desk.run_in(name, "sh", "-c", SECOND) is not None
    trees["now"] = exported(engine, desk.container(name).id, folder)
    for before in ("image", "1"):
        for way in WAYS:
            found = compared_by(way, context, bottle, before)
            right = expected(trees[before], trees["now"], mounted)
            if way == "engine":  # which calls it otherwise
                assert found.unanswered == ("/root/odd\ufffd",)
                right.pop("/root/odd\udcff")
            assert told(found) == right, (before, way)
            assert told_wrong(found, trees[before], trees["now"]) == [], (before, way)
    second = commit(committing, bottle).commit
    trees["2"] = tree_of_image(engine, second.tag, folder)
    assert told(compare(context, bottle, ())) == {}
    for before, after in (("1", "2"), ("2", "1"), ("image", "2")):
        found = compare(context, bottle, (before, after))
        assert told(found) == expected(trees[before], trees[after], mounted), (before, after)
        assert told_wrong(found, trees[before], trees[after]) == []
    desk.container(name).remove(force=True)
    assert told(compare(context, bottle, ())) == expected(trees["1"], trees["2"], mounted)
    desk.ok("resume", name, "-d")
    assert told(compare(context, bottle, ())) == {}
    assert desk.run_in(name, "sh", "-c", "echo later > /root/later; rm -r /root/renamed") is not None
    changes = told(compare(context, bottle, ()))
    assert (changes["/root/later"], changes["/root/renamed/one"]) == ("added", "removed")


@root
def test_what_a_socket_is_in_the_place_of_is_removed(desk: Desk, context: Context) -> None:
    name, engine, folder = idle(desk), desk.engine, desk.folder
    bottle = context.home.find(name)
    mounted = tuple(each["Destination"] for each in desk.container(name).attrs["Mounts"])
    image = tree_of_image(engine, bottle.metadata().image, folder)
    assert desk.run_in(name, "sh", "-c", SOCKETS) is not None
    right = expected(image, exported(engine, desk.container(name).id, folder), mounted)
    assert (right["/etc/issue"], right["/etc/skel"]) == ("removed", "removed")
    for way in WAYS:
        assert told(compared_by(way, context, bottle, "image")) == right, way
    tag = commit(context, bottle).commit.tag
    assert expected(image, tree_of_image(engine, tag, folder), mounted) == right
    assert told(compare(context, bottle, ())) == {}
    assert told(compare(context, bottle, ("image", "1"))) == right


@root
def test_one_file_and_what_is_not_held_up(desk: Desk) -> None:
    name = idle(desk)
    desk.ok("commit", name)
    assert desk.run_in(name, "sh", "-c", "printf 'a\\nb\\n' > /root/text; echo more >> /etc/issue") is not None
    found = desk.ok("diff", name, "--path", "/root/text")
    assert found["lines"] == ["--- /dev/null", "+++ now:/root/text", "@@ -0,0 +1,2 @@", "+a", "+b"]
    assert desk.ok("diff", name, "image", "--path", "/etc/issue")["lines"][-1] == "+more"
    assert desk.ok("diff", name, "--path", "/etc/passwd")["change"] == "none"
    with desk.running("exec", name, "--", "sleep", "5"):
        before = desk.container(name).attrs["State"]
        assert desk.ok("diff", name, "--stat")["summary"]["added"] == 1
        assert desk.container(name).attrs["State"] == before
    ours = {"ancestor": IMAGE, "name": "bottle-read-"}
    assert desk.engine.containers.list(all=True, filters=ours, ignore_removed=True) == []


SCRIPT = """
set -e
mkdir -p /srv/diff && cd /srv/diff && export BOTTLE_HOME=/srv/diff/home
printf '[agents.a]\\nimage = "%s"\\ncommand = ["sleep", "infinity"]\\nnetwork = "none"\\n' "$1" > bottle.toml
id=$(bottle start a -d --format json | sed -n 's/.*"identity": "\\(.*\\)".*/\\1/p')
run() { docker exec -u 0 "bottle-$id" sh -c "$1" >&2; }
run 'mkdir /root/d /root/e; echo one > /root/d/one; echo two > /root/e/two; rm -r /usr/share/doc; echo x >> /etc/passwd'
bottle diff "$id" --format json
bottle commit "$id" >&2
run 'rm -r /root/d; mkdir /root/d; echo three > /root/d/three; chmod 600 /root/e/two'
bottle diff "$id" --format json
bottle stop "$id" >&2
bottle diff "$id" --format json
bottle commit "$id" >&2
bottle diff "$id" 1 2 --format json
bottle rm --yes "$id" >&2
"""


def test_on_every_store(host: DockerHost, small_base: str) -> None:
    said = host.exec(["bash", "-c", SCRIPT, "bash", small_base]).stdout.decode()
    answers, position = [], 0
    for _ in range(4):
        answer, position = json.JSONDecoder().raw_decode(said, said.index("{", position))
        answers.append({each["path"]: each["change"] for each in answer["changes"]})
    for made in ("/run", "/sbin"):  # by the engine, for what it mounts below them
        answers[0].pop(made, None)
    begun = {path: change for path, change in answers[0].items() if not path.startswith("/usr/share/doc/")}
    assert begun == {
        "/etc/passwd": "changed",
        "/root/d": "added",
        "/root/d/one": "added",
        "/root/e": "added",
        "/root/e/two": "added",
        "/usr/share/doc": "removed",
    }
    assert answers[1] == {"/root/d/one": "removed", "/root/d/three": "added", "/root/e/two": "changed"}
    assert answers[2] == answers[3] == answers[1]
