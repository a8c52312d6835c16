"""`migrate` on real hosts, through the real commands: what arrives, what stays here, and what it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.hosts import DockerHost
from tests.integration import migration, trees
from tests.integration.migration import Desk, ended, far_can_resume, forgotten, heard, leftovers
from tests.integration.proxy import proxy
from tests.support import library
from tests.support.git import repository, view, worktree
from tests.support.trees import make_deep, snapshot as snapshot_of

MEGA = 1 << 20
DEEP = 1_050  # more than recursion reaches; loading it costs containerd half a minute, so no more than that
ASK = "/run/bottle/request-capability"


# --- what stays, and is only here -------------------------------------------------------------------------------------


def test_rm_asks_before_it_deletes_commits_that_did_not_go_along(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("plain")
    desk.run_in(identity, "sh", "-c", "echo precious > /precious")
    desk.ok("commit", identity)
    desk.run_in(identity, "rm", "/precious")
    desk.ok("commit", identity)
    with forgotten(there, identity):
        moved = desk.ok("migrate", identity, desk.target(there), "--no-history")
        assert (moved["commit"], moved["history"], moved["history_stays"]) == (3, [], [1, 2])
        assert "the images of other commits: commits 1 and 2; their entries in the history travel" in moved["stays"]
        tombstone = json.loads((desk.states / identity / "moved-to.json").read_text())
        assert tombstone["arrived"]["commits"] == [3]
        first, second = (f"bottle-committed-{identity}:{number}" for number in (1, 2))
        said = desk.refused(4, "rm", identity)
        assert "with commit 3, and this would delete what is only here: commits 1 and 2" in said
        assert f"docker save {first} {second} |" in said
        assert desk.engine.images.get(first)
        (pruned,) = [each for each in desk.ok("prune", "--dry-run")["plan"]["garbage"] if each["ref"] == identity]
        assert pruned["only_here"] == ["commits 1 and 2"]

        # Carried by hand as it says, they can be gone back to there; nobody here knows of that, so it is still asked.
        for tag in (first, second):
            there.exec(["docker", "load"], stdin=b"".join(desk.engine.images.get(tag).save(named=tag)))
        history = there.exec(["bottle", "history", identity, "--format", "json"]).text
        assert [each["image"] for each in json.loads(history)["commits"]] == ["present"] * 3
        removed = desk.ok("rm", identity, "--yes")
        assert (removed["commits"], removed["moved_to"]) == ([1, 2, 3], desk.target(there))
        assert removed["workspace"] == str(desk.workspace)


# --- the main job -----------------------------------------------------------------------------------------------------


def test_all_that_belongs_to_a_bottle_arrives_and_the_agent_goes_on(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = desk.start("mover")
    desk.work(identity)
    trees.fill_workspace(desk.workspace)
    for path in ("/root/.agent", "/opt/cache"):
        desk.nest(identity, path, DEEP)
    make_deep(desk.workspace, DEEP, "d")
    assert desk.run_in(identity, "sh", "-c", f"echo FROM a | {ASK} --reason one") is not None
    container = desk.container(identity)
    parts = ("/work", "/root/.agent/d", "/opt/cache")
    before = [trees.container_tree(container, path) for path in parts]
    workspace = trees.folder_tree(desk.workspace)

    with forgotten(host, identity):
        untouched = desk.recorded(identity)
        plan = desk.ok("migrate", identity, desk.target(host), "--plan")["plan"]
        assert (plan["stop"], plan["commit"], plan["workspace"]) == (True, True, str(desk.workspace))
        assert plan["layers"]["present_there"] > 0
        assert any("cache" in part["name"] for part in plan["travels"])
        assert any("MIGRATION_TEST_SECRET" in item for item in plan["stays"])
        assert desk.recorded(identity) == untouched
        assert desk.container(identity).status == "running"
        assert not leftovers(host)

        moved = desk.ok("migrate", identity, desk.target(host))
        assert moved["workspace"] == str(desk.workspace)
        assert not leftovers(host)
        assert not (desk.folder / "bottles" / "outgoing" / identity).exists()
        said = desk.refused(4, "resume", identity)
        assert desk.target(host) in said
        journal = desk.states / identity / "transcript" / "files" / "root" / ".agent" / "journal"
        steps = journal.read_text().splitlines()

        host.exec(["bottle", "resume", "-d", identity])
        after = [trees.far_container_tree(host, identity, path) for path in parts]
        assert after == before
        assert before[0]["able"][6] == trees.NET_BIND  # the comparison sees file capabilities
        assert before[0]["linked"][7] == ("linked", "mine")  # and hard links
        assert trees.far_folder_tree(host, str(desk.workspace)) == workspace
        for path in ("/etc/deleted-later", "/usr/share/doc", "/opt/cache/seed"):
            assert host.docker("exec", f"bottle-{identity}", "test", "-e", path, check=False).returncode == 1
        there = host.get(f"/root/.bottle/state/{identity}/transcript/files/root/.agent/journal").decode().splitlines()
        assert there == steps
        time.sleep(0.5)
        went_on = host.docker("exec", f"bottle-{identity}", "cat", "/root/.agent/journal", "/root/.agent/began").text
        lines = went_on.splitlines()
        assert lines[: len(steps)] == steps
        assert lines[len(steps)] == f"step {len(steps) + 1}"
        assert lines[-2:] == ["first", "again"]
        assert host.docker("exec", f"bottle-{identity}", ASK, "--status", "1").text.strip() == "pending"
        ask_again = ("sh", "-c", f"echo FROM b | {ASK} --reason two")
        assert "request 2 is made" in host.docker("exec", "--user", "1234", f"bottle-{identity}", *ask_again).text
        assert oct(int(host.exec(["stat", "-c", "%a", f"/root/.bottle/state/{identity}"]).text, 8)) == "0o700"

        again = desk.ok("migrate", identity, desk.target(host))
        assert {key: again[key] for key in ("staged_bytes", "workspace", "dropped")} == {
            key: moved[key] for key in ("staged_bytes", "workspace", "dropped")
        }
        assert host.docker("inspect", "-f", "{{.State.Running}}", f"bottle-{identity}").text == "true"


def test_a_program_moves_a_bottle_as_docs_library_says(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("plain")
    with forgotten(there, identity):
        words = (sys.executable, "-c", library.program(identity, desk.target(there)))
        done = subprocess.run(words, cwd=desk.folder, env=desk.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        *steps, said = done.stdout.splitlines()
        assert said == f"{identity} is on {desk.target(there)}"
        assert steps[-1].endswith(" bytes more")
        assert there.exec(["test", "-d", f"/root/.bottle/state/{identity}"]).returncode == 0


def test_no_more_travels_than_the_plan_says(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = desk.start("mover")
    desk.grow(identity, 6 << 20)
    (desk.workspace / "large").write_bytes(os.urandom(4 << 20))
    with forgotten(host, identity):
        planned = desk.ok("migrate", identity, desk.target(host), "--plan")["plan"]["travels"]
        moved = desk.ok("migrate", identity, desk.target(host))
        assert 10 << 20 < moved["staged_bytes"] <= sum(part["at_most_on_the_wire"] for part in planned)


def test_a_plan_says_about_how_long_a_move_over_a_slow_line_takes(desk: Desk, there: DockerHost) -> None:
    """The line takes some 15 s of it, so that it makes little difference how busy this machine is."""
    identity = desk.start("plain")
    desk.grow(identity, 4 << 20)
    all_of_it = "find /root /tmp /var/tmp | sort; docker ps -aq; docker image ls -aq; docker volume ls -q"
    with proxy(there.address, there.port) as link, forgotten(there, identity):
        words = ("migrate", identity, desk.knows_as("link", there, link.port))
        before = there.exec(["sh", "-c", all_of_it]).text
        quick = desk.ok(*words, "--plan")["plan"]["estimate"]
        link.expect(rate=300_000)
        slow = desk.ok(*words, "--plan")["plan"]["estimate"]
        assert there.exec(["sh", "-c", all_of_it]).text == before
        assert slow["line_bytes_per_second"] < quick["line_bytes_per_second"]
        assert quick["seconds"] < slow["seconds"]
        assert slow["standstill_seconds"] <= slow["seconds"]
        began = time.monotonic()
        desk.ok(*words)
        assert slow["seconds"] / 4 <= time.monotonic() - began <= slow["seconds"] * 4


@contextmanager
def an_editor(folder: Path) -> Iterator[threading.Event]:
    """Somebody who works in a folder until told to stop: appends in place, saves by a rename, makes and deletes."""
    stopping = threading.Event()

    def edit() -> None:
        for number in count():
            with (folder / "journal").open("a") as journal:
                journal.write(f"edit {number}\n")
            (folder / ".saved.swp").write_text(f"edit {number}\n")
            (folder / ".saved.swp").replace(folder / "saved")
            (folder / f"new-{number}").mkdir(exist_ok=True)
            (folder / f"new-{number}" / "file").write_text(f"{number}\n")
            if number % 3 == 0:
                shutil.rmtree(folder / f"new-{number // 2}", ignore_errors=True)
            if stopping.wait(0.06):
                return

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        yield stopping
    finally:
        stopping.set()
        editor.join()


def test_what_is_edited_here_while_it_travels_arrives_or_the_move_stops_and_names_it(
    desk: Desk, there: DockerHost
) -> None:
    desk.knows(there)
    identity = desk.start()
    (desk.workspace / "large").write_bytes(os.urandom(20 << 20))
    with forgotten(there, identity):
        with an_editor(desk.workspace):
            said = desk.refused(4, "migrate", identity, desk.target(there))
        assert "somebody is working in" in said
        assert "journal" in said
        assert desk.can_resume(identity)
        words = ("migrate", identity, desk.target(there), "--format", "json")
        with an_editor(desk.workspace) as stopping, desk.running(*words) as move:
            heard(move, "sending what changed in the workspace meanwhile")
            stopping.set()
            code, said = ended(move)
            assert code == 0, said
            assert move.stdout is not None
            assert json.loads(move.stdout.read())["newer_here"] == []
        assert trees.far_folder_tree(there, str(desk.workspace)) == trees.folder_tree(desk.workspace)


def test_a_git_worktree_is_a_repository_of_its_own_there(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    main = repository(desk.folder / "main")
    seen = view(worktree(main, desk.workspace))
    before = snapshot_of(main)
    identity = desk.start()
    (desk.folder / "data").mkdir()
    (desk.workspace / "data").symlink_to("../data")
    said = desk.refused(4, "migrate", identity, desk.target(there))
    assert "data -> ../data" in said
    assert desk.container(identity).status == "running"
    plan = desk.ok("migrate", identity, desk.target(there), "--plan")["plan"]
    assert plan["left_behind"] == ["what a link leads to: data -> ../data"]
    assert any("as a repository of its own" in part["name"] for part in plan["travels"])
    (desk.workspace / "data").unlink()
    with forgotten(there, identity):
        moved = desk.ok("migrate", identity, desk.target(there))
        assert (len(moved["carried"]), moved["left_behind"]) == (1, [])
        tar = there.exec(["tar", "-C", str(desk.workspace), "-c", "."]).stdout
    (desk.folder / "back").mkdir()
    subprocess.run(["tar", "-C", str(desk.folder / "back"), "-x"], input=tar, check=True)
    assert snapshot_of(main) == before
    main.rename(desk.folder / "gone")
    assert view(desk.folder / "back") == seen


def test_a_user_who_needs_sudo_for_docker_receives_it_too(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("mover")
    (desk.workspace / "kept").write_text("kept\n")
    home = "/home/op/.bottle"
    try:
        moved = desk.ok("migrate", identity, desk.target(there, "op"), "--workspace", f"/home/op/work-{identity}")
        assert any(f"sudo BOTTLE_HOME={home} bottle resume {identity}" in item for item in moved["missing_there"])
        owner = there.exec(["stat", "-c", "%U %a", f"{home}/state/{identity}"]).text
        assert owner == "op 700"
        resume = f"sudo -n BOTTLE_HOME={home} bottle resume -d {identity}"
        resumed = there.ssh(resume, user="op")
        assert resumed.returncode == 0, resumed.stderr.decode()
        assert there.docker("exec", f"bottle-{identity}", "cat", "/workspace/kept").text == "kept"
        assert there.docker("exec", f"bottle-{identity}", "cat", "/opt/cache/seed").text == "from-the-image"
    finally:
        migration.forget(there, identity)
        there.exec(["rm", "-rf", f"{home}/state/{identity}", f"/home/op/work-{identity}"])


def test_a_bottle_that_was_copied_in_and_stopped_moves_without_a_new_commit(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    desk.workspace.mkdir()
    (desk.workspace / "copied").write_text("copied\n")
    identity = desk.start("plain", "--copy-cwd")
    desk.ok("stop", identity, "--grace", "0")
    desk.ok("commit", identity)
    with forgotten(there, identity):
        moved = desk.ok("migrate", identity, desk.target(there))
        assert (moved["commit"], moved["workspace"]) == (1, None)
        there.exec(["bottle", "resume", "-d", identity])
        assert there.docker("exec", f"bottle-{identity}", "cat", "/workspace/copied").text == "copied"

        moved_on = '{"schema": 1, "host": "a-third", "moved_at": "2026-01-01T00:00:00+00:00"}'
        place = f"/root/.bottle/state/{identity}/moved-to.json"
        there.exec(["sh", "-c", f"printf '%s\\n' '{moved_on}' >{place}"])
        assert "has moved on from there" in desk.refused(4, "migrate", identity, desk.target(there))


# --- credentials ------------------------------------------------------------------------------------------------------


def test_credentials_keep_a_bottle_here_until_they_are_let_go(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("mover")
    write = "umask 77; echo login >/root/.git-credentials; echo key: hush-4711 >/srv/notes; echo x >/root/.netrc"
    assert desk.run_in(identity, "sh", "-c", write) is not None
    with forgotten(there, identity):
        untouched = desk.recorded(identity)
        for option in ("--plan", "--keep", "--jobs=1"):
            said = desk.refused(8, "migrate", identity, desk.target(there), option)
            assert "/root/.git-credentials: Git logins" in said
            assert "/srv/notes: the value of MIGRATION_TEST_SECRET" in said
            assert "hush-4711" not in said
            assert "goes on as it was" in said
            assert desk.container(identity).status == "running"
        assert desk.recorded(identity) == untouched
        assert not leftovers(there)
        assert not far_can_resume(there, identity)

        desk.ok("stop", identity, "--grace", "0")
        desk.ok("commit", identity)
        said = desk.refused(8, "migrate", identity, desk.target(there))
        assert "is stopped and committed" in said
        assert f"bottle resume {identity}" in said
        assert desk.ok("resume", "-d", identity)["plan"] == "FromCommit"  # it stays, and goes on
        assert desk.run_in(identity, "rm", "/root/.netrc") is not None

        manifest = desk.folder / "bottle.toml"  # edited after the start: what it says now counts too
        carry = 'carry = ["/root/.git*", "/srv"]'
        manifest.write_text(manifest.read_text().replace("[agents.mover]\n", f"[agents.mover]\n{carry}\n"))
        said = desk.refused(8, "migrate", identity, desk.target(there))
        assert (
            "/root/.netrc: logins (deleted or replaced since, but an earlier layer of the image still has it)" in said
        )
        assert ".git-credentials" not in said
        moved = desk.ok("migrate", identity, desk.target(there), "--allow-secrets")
        assert [line.split(":")[0] for line in moved["credentials_along"]] == [
            "/root/.git-credentials", "/root/.netrc", "/srv/notes",
        ]  # fmt: skip
        assert far_can_resume(there, identity)


# --- memory -----------------------------------------------------------------------------------------------------------


def peak_memory(desk: Desk, *words: str) -> int:
    """Run the real command, which must succeed; the most memory it held, in bytes.

    Its parent is a small process: until it becomes another program, a child counts the memory of its parent as its own.
    """
    measure = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=sys.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measure, sys.executable, *migration.BOTTLE, *words], cwd=desk.folder, env=desk.environ,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.parametrize(
    "size", [pytest.param(100 * MEGA, id="100 MB"), pytest.param(2000 * MEGA, id="2 GB", marks=pytest.mark.campaign)]
)
def test_memory_stays_flat(desk: Desk, host: DockerHost, size: int) -> None:
    desk.knows(host)
    identity = desk.start()
    desk.grow(identity, size)
    with forgotten(host, identity):
        assert peak_memory(desk, "migrate", identity, desk.target(host)) < 150 * MEGA
        assert far_can_resume(host, identity)
