"""`bottle cp`: in and out, running and stopped; what is put into a stopped bottle is work that no command overlooks."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from bottle.cli.main import main
from bottle.store.state import BottleState
from bottle.testing.tree import FakeNode
from tests.unit.cli.conftest import Cli

LINK = tarfile.SYMTYPE


@pytest.fixture
def bottle(cli: Cli) -> BottleState:
    made = cli.start()
    engine = cli.world.engine
    engine.write(made.identity.container, "/etc/passwd", b"root:x:0:0::/:/bin/sh\nagent:x:1234:1235::/:/bin/sh\n")
    return made


def tar_of(*members: tuple[str, bytes | None, str]) -> bytes:
    """Files, folders (None) and links to where the last says."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data, target in members:
            member = tarfile.TarInfo(name)
            member.type = LINK if target else tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.size, member.linkname, member.mode = len(data or b""), target, 0o4755
            tar.addfile(member, io.BytesIO(data or b""))
    return buffer.getvalue()


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def put(cli: Cli, bottle: BottleState, path: str, data: bytes = b"", **node: object) -> None:
    cli.world.engine.write(bottle.identity.container, path, node=FakeNode(data=data, **node))  # type: ignore[arg-type]


# --- in --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_files_go_in_as_the_agents_user(cli: Cli, bottle: BottleState, runs: bool) -> None:
    bottle.write_metadata(replace(bottle.metadata(), agent=replace(bottle.metadata().agent, user="agent")))
    if not runs:
        cli("stop", str(bottle.identity))
    put(cli, bottle, "/root/.keep")
    folder = cli.world.folder / "stuff"
    folder.mkdir()
    (folder / "one").write_bytes(b"1")
    (folder / "link").symlink_to("/etc/shadow")
    assert cli.json("cp", str(folder), f"{bottle.identity}:/root")["place"] == "/root/stuff"
    assert cli("cp", f"{folder}/.", f"{bottle.identity}:/etc").exit_code == 0
    assert (
        cli("cp", str(folder / "one"), f"{bottle.identity}:/etc/two").stdout
        == f"copied to {bottle.identity}:/etc/two\n"
    )
    assert cli("cp", "-a", str(folder / "one"), f"{bottle.identity}:/etc/mine").exit_code == 0
    archive = b"".join(cli.world.engine.read_archive(bottle.identity.container, "/"))
    found = {name.removeprefix("./"): member for name, member in members(archive).items()}
    assert {"root/stuff/one", "root/stuff/link", "etc/one", "etc/link", "etc/two"} <= set(found)
    assert {(found[name].uid, found[name].gid) for name in ("root/stuff", "root/stuff/one", "etc/two")} == {
        (1234, 1235)
    }
    assert found["root/stuff/link"].linkname == "/etc/shadow"
    assert (found["etc/mine"].uid, found["etc/mine"].gid) == (os.getuid(), os.getgid())


def test_a_link_is_copied_as_one_unless_it_is_to_be_followed(cli: Cli, bottle: BottleState) -> None:
    target, link = cli.world.folder / "target", cli.world.folder / "link"
    target.write_bytes(b"content")
    link.symlink_to(target)
    assert cli("cp", str(link), f"{bottle.identity}:/etc").exit_code == 0
    assert cli.world.engine.read(bottle.identity.container, "/etc/link") == b""
    assert cli("cp", "-L", str(link), f"{bottle.identity}:/etc/followed").exit_code == 0
    assert cli.world.engine.read(bottle.identity.container, "/etc/followed") == b"content"


def test_a_link_in_the_bottle_is_followed_to_the_folder_that_it_leads_to(cli: Cli, bottle: BottleState) -> None:
    put(cli, bottle, "/short", type=LINK, target="etc")
    (cli.world.folder / "notes").write_bytes(b"n")
    assert cli.json("cp", str(cli.world.folder / "notes"), f"{bottle.identity}:/short")["place"] == "/etc/notes"
    put(cli, bottle, "/round", type=LINK, target="round")
    assert cli("cp", str(cli.world.folder / "notes"), f"{bottle.identity}:/round").exit_code == 5


def test_a_tar_goes_in_as_it_is(cli: Cli, bottle: BottleState) -> None:
    tar = tar_of(("a", b"1", ""), ("b/c", b"2", ""))
    assert cli("cp", "-", f"{bottle.identity}:/etc", input=tar).exit_code == 0
    assert cli.world.content(bottle, "/etc/b/c") == b"2"
    assert cli("cp", "-", f"{bottle.identity}:/etc/a", input=tar).exit_code == 2


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (("bottle.toml", "{}:/etc/passwd/"), 2, "is no folder"),
        ((".", "{}:/etc/passwd"), 2, "a folder cannot be copied onto it"),
        (("bottle.toml", "{}:/no/such/folder"), 3, "no such folder"),
        (("no-such-file", "{}:/etc"), 2, "there is no no-such-file"),
        (("/dev/null", "{}:/etc"), 2, "neither a file nor a folder"),
        (("bottle.toml", "{}:/etc/folder"), 0, ""),
        (("folder", "{}:/etc"), 5, "another kind"),
        (("bottle.toml", "other"), 2, "IDENTITY:PATH"),
        (("{}:/etc", "{}:/srv"), 2, "IDENTITY:PATH"),
        (("bottle.toml", "demo-nosuc:/etc"), 3, "no bottle"),
        (("bottle.toml", "{}:/\udcff"), 2, "no Unicode"),
    ],
)
def test_what_cannot_be_copied_in_is_said(
    cli: Cli, bottle: BottleState, words: tuple[str, ...], exit_code: int, says: str
) -> None:
    Path("folder").mkdir()
    put(cli, bottle, "/etc/folder/kept", b"k")
    if words[0] == "folder":
        put(cli, bottle, "/etc/folder", b"a file")
    result = cli("cp", *(word.format(bottle.identity) for word in words))
    assert result.exit_code == exit_code, result.output
    assert says in result.stderr
    if words[0] != "folder":
        assert cli.world.content(bottle, "/etc/folder/kept") == b"k"


# --- work that no commit has -----------------------------------------------------------------------------------------


@pytest.fixture
def committed(cli: Cli, bottle: BottleState) -> BottleState:
    """It is stopped, and its commit has all of it."""
    cli("stop", str(bottle.identity))
    assert cli("commit", str(bottle.identity)).exit_code == 0
    return bottle


def test_what_is_put_into_a_stopped_bottle_is_work_that_its_commit_lacks(cli: Cli, committed: BottleState) -> None:
    identity = str(committed.identity)
    assert cli("cp", "bottle.toml", f"{identity}:/etc/new").exit_code == 0
    refused = cli("resume", "-d", identity, "--at", "1")
    assert refused.exit_code == 4
    assert "holds work that no commit has" in refused.stderr
    assert cli("rm", identity).exit_code == 4
    assert "newer than the last commit" in cli.json("resume", "-d", identity)["row"]
    assert cli.world.content(committed, "/etc/new") is not None


def test_a_commit_after_it_has_it(cli: Cli, committed: BottleState) -> None:
    identity = str(committed.identity)
    cli("cp", "bottle.toml", f"{identity}:/etc/new")
    assert cli.json("commit", identity)["commit"]["number"] == 2
    assert cli("resume", "-d", identity).exit_code == 0
    assert [each.parent for each in committed.commits()] == [None, 1]
    assert cli.world.content(committed, "/etc/new") is not None


def test_a_copy_that_fails_halfway_is_taken_for_work(
    cli: Cli, committed: BottleState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.world.engine, "write_archive", dies)
    assert cli("cp", "bottle.toml", f"{committed.identity}:/etc/new").exit_code == 130
    assert committed.commits()[0].mark is not None
    assert committed.commits()[0].mark.running


def test_looking_is_no_work(cli: Cli, committed: BottleState) -> None:
    before = committed.commits()
    assert cli("cp", f"{committed.identity}:/etc/passwd", "here").exit_code == 0
    assert committed.commits() == before


def test_one_without_a_container_takes_nothing_and_gives_what_it_committed(cli: Cli, committed: BottleState) -> None:
    cli.world.engine.remove_container(committed.identity.container)
    into = cli("cp", "bottle.toml", f"{committed.identity}:/etc/new")
    assert into.exit_code == 3
    assert f"bottle resume -d {committed.identity}" in into.stderr
    out = cli("cp", f"{committed.identity}:/etc/passwd", "here")
    assert out.exit_code == 0, out.stderr
    assert "read from commit 1" in out.stderr
    assert Path("here").read_bytes().startswith(b"root:")
    cli.world.engine.remove_image(committed.identity.committed(1))
    cli.world.engine.remove_image(committed.identity.committed_latest)
    assert cli("cp", f"{committed.identity}:/etc/passwd", "here").exit_code == 3


# --- out -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(cli: Cli, bottle: BottleState) -> BottleState:
    put(cli, bottle, "/work/sub/one", b"1", mode=0o4640, mtime=1_700_000_000)
    put(cli, bottle, "/work/two", b"22", mode=0o755)
    put(cli, bottle, "/work/link", type=LINK, target="/etc/passwd")
    return bottle


def tree(folder: Path) -> dict[str, str]:
    """What is in a folder: the contents of files, and where links lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_text()
    return found


WORK = {"link": "-> /etc/passwd", "sub/one": "1", "two": "22"}


def test_a_folder_comes_out_with_modes_times_and_links_but_no_set_id_bits(cli: Cli, full: BottleState) -> None:
    assert cli.json("cp", f"{full.identity}:/work", "new")["place"] == "new"
    assert tree(Path("new")) == WORK
    facts = Path("new/sub/one").stat()
    assert (facts.st_mode & 0o7777, facts.st_mtime, facts.st_uid) == (0o640, 1_700_000_000, os.getuid())
    assert cli("cp", f"{full.identity}:/work", "new").exit_code == 0
    assert tree(Path("new/work")) == WORK
    assert cli("cp", f"{full.identity}:/work/.", ".").exit_code == 0
    assert {name: text for name, text in tree(Path()).items() if name in WORK} == WORK


def test_what_is_there_gives_way_to_what_comes_out_and_the_rest_stays(cli: Cli, full: BottleState) -> None:
    Path("here/sub").mkdir(parents=True)
    Path("here/sub/one").write_text("old")
    Path("here/sub/mine").write_text("kept")
    Path("here/two").symlink_to("/etc/hostname")
    for _ in range(2):
        assert cli("cp", f"{full.identity}:/work/.", "here").exit_code == 0
    assert tree(Path("here")) == {**WORK, "sub/mine": "kept"}


def test_a_file_comes_out(cli: Cli, full: BottleState) -> None:
    assert cli("cp", f"{full.identity}:/work/two", "two").stdout == "copied to two\n"
    assert Path("two").read_bytes() == b"22"
    assert cli("cp", f"{full.identity}:/work/link", "link").exit_code == 0
    assert Path("link").is_symlink()
    assert cli("cp", "-L", f"{full.identity}:/work/link", "followed").exit_code == 0
    assert Path("followed").read_bytes().startswith(b"root:")


def test_all_of_it_comes_out(cli: Cli, full: BottleState) -> None:
    assert cli("cp", f"{full.identity}:/", "all").exit_code == 0
    assert {f"work/{name}" for name in WORK} <= set(tree(Path("all")))


def test_a_tar_comes_out(cli: Cli, full: BottleState) -> None:
    result = cli("cp", f"{full.identity}:/work", "-")
    assert {"work/sub/one", "work/two", "work/link"} <= set(members(result.stdout_bytes))
    assert members(result.stdout_bytes)["work/sub/one"].mode & 0o4000
    assert cli("cp", "--format", "json", f"{full.identity}:/work", "-").exit_code == 2


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [(("/no/such", "new"), 3), (("/work", "no/such"), 2), (("/work", "bottle.toml"), 2), (("/work/two/", "new"), 3)],
)
def test_what_cannot_be_copied_out_is_said_and_nothing_is_there(
    cli: Cli, full: BottleState, words: tuple[str, str], exit_code: int
) -> None:
    before = tree(Path())
    result = cli("cp", f"{full.identity}:{words[0]}", words[1])
    assert result.exit_code == exit_code, result.output
    assert tree(Path()) == before


EVIL: list[Callable[[Path], bytes]] = [
    lambda secret: tar_of(("work", None, ""), ("work/../../secret", b"evil", "")),
    lambda secret: tar_of(("work", None, ""), ("/tmp/secret", b"evil", "")),
    lambda secret: tar_of(("work", None, ""), ("work/x", b"", str(secret.parent)), ("work/x/secret", b"evil", "")),
    lambda secret: tar_of(("work", None, ""), ("work/there/secret", b"evil", "")),
    lambda secret: tar_of(("work", None, ""), ("work/whole", b"1" * 99, ""))[:600],
]


@pytest.mark.parametrize("evil", EVIL, ids=["above", "absolute", "own link", "link that is there", "torn"])
def test_no_name_and_no_link_leads_out_of_the_folder(
    cli: Cli, full: BottleState, monkeypatch: pytest.MonkeyPatch, evil: Callable[[Path], bytes]
) -> None:
    """A link that an earlier copy brought is in the way too, and is not followed."""
    secret = cli.world.folder / "outside" / "secret"
    secret.parent.mkdir()
    secret.write_text("kept")
    Path("here").mkdir()
    Path("here/there").symlink_to(secret.parent)
    monkeypatch.setattr(cli.world.engine, "read_archive", lambda *_: iter([evil(secret)]))
    result = cli("cp", f"{full.identity}:/work/.", "here")
    assert result.exit_code == 7, result.output
    assert secret.read_text() == "kept"
    assert json.loads(cli("cp", "--format", "json", f"{full.identity}:/work/.", "here").stdout)["exit_code"] == 7


def test_bottles_complete_with_a_colon_and_files_do_too(cli: Cli) -> None:
    identity = str(cli.start().identity)
    complete = ShellComplete(main, {}, "bottle", "_BOTTLE_COMPLETE")
    offered = [(item.value, item.type) for item in complete.get_completions(["cp"], "")]
    assert offered == [(f"{identity}:", "plain"), ("", "file")]
