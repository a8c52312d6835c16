"""`migrate` on real hosts, through the real commands: what arrives, what is refused, what is left when it breaks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests.hosts import DockerHost
from tests.hosts.host import ADD_LOGIN
from tests.hosts.keys import known_hosts_line, make_key_pair
from tests.integration import migration
from tests.integration.migration import Desk, far_can_resume
from tests.integration.proxy import Proxy, proxy
from tests.support.git import repository, view, worktree
from tests.support.trees import make_deep
from tests.support.trees import snapshot as snapshot_of

MEGA = 1 << 20
ASK = "/run/bottle/request-capability"


@pytest.fixture(scope="session")
def agents(engine: docker.DockerClient, base_image: str) -> Iterator[str]:
    """The image of the agents that are moved."""
    migration.build_image(engine, base_image)
    yield migration.IMAGE
    engine.images.remove(migration.IMAGE, force=True)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hosts install bottle from."""
    return migration.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def equipped(wheel: Path, base_image: str) -> Callable[[DockerHost], DockerHost]:
    """Give a host bottle and the base image, once."""
    done: set[str] = set()

    def equip(host: DockerHost) -> DockerHost:
        if host.name not in done:
            host.install_bottle(wheel)
            host.load_image(base_image)
            done.add(host.name)
        return host

    return equip


@pytest.fixture
def host(destination: DockerHost, equipped: Callable[[DockerHost], DockerHost]) -> DockerHost:
    """Each kind of host, ready to resume what arrives."""
    return equipped(destination)


@pytest.fixture
def there(classic_host: DockerHost, equipped: Callable[[DockerHost], DockerHost]) -> DockerHost:
    """One host, where its image store makes no difference."""
    return equipped(classic_host)


@pytest.fixture
def desk(tmp_path: Path, engine: docker.DockerClient, agents: str) -> Iterator[Desk]:
    """A fresh desk; whatever its bottles leave anywhere is removed."""
    with migration.desk_in(tmp_path / "desk", engine) as desk:
        yield desk


@contextmanager
def forgotten(host: DockerHost, *identities: str) -> Iterator[None]:
    """What arrives on a shared host is removed from it."""
    try:
        yield
    finally:
        for identity in identities:
            migration.forget(host, identity)


@contextmanager
def stand_in(host: DockerHost, path: str, script: str) -> Iterator[None]:
    """A program of a host that somebody has replaced."""
    host.exec(["sh", "-c", 'cat >"$1" && chmod 755 "$1"', "put", path], stdin=script.encode())
    try:
        yield
    finally:
        host.exec(["rm", "-f", path])


def leftovers(host: DockerHost) -> list[str]:
    """What a move must not leave on a host: staging, helpers' containers, volumes without a name."""
    left = host.exec(["sh", "-c", "ls -A /root/.bottle/incoming 2>/dev/null"], check=False).text.split()
    left += host.docker("ps", "-aq", "--filter", "name=bottle-verify-", "--filter", "name=bottle-fill-").text.split()
    left += [name for name in host.docker("volume", "ls", "-q").text.split() if not name.startswith("bottle-")]
    return left


def snapshot(desk: Desk, identity: str) -> str:
    """All of a state folder but its lock's note, as text."""
    files = sorted(each for each in (desk.states / identity).rglob("*") if each.is_file() and each.name != "lock")
    return "".join(f"{each}\n{each.read_bytes()!r}\n" for each in files)


# --- what stays, and is only here -------------------------------------------------------------------------------------


def test_rm_asks_before_it_deletes_commits_that_did_not_go_along(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("plain")
    desk.run_in(identity, "sh", "-c", "echo precious > /precious")
    desk.ok("commit", identity)
    desk.run_in(identity, "rm", "/precious")
    desk.ok("commit", identity)
    with forgotten(there, identity):
        moved = desk.ok("migrate", identity, desk.target(there))
        assert moved["commit"] == 3
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
    migration.fill_workspace(desk.workspace)
    for path in ("/work", "/root/.agent", "/opt/cache"):
        desk.nest(identity, path, 1_200)
    make_deep(desk.workspace, 1_200, "d")
    assert desk.run_in(identity, "sh", "-c", f"echo FROM a | {ASK} --reason one") is not None
    container = desk.container(identity)
    before = [migration.container_tree(container, path) for path in ("/work", "/opt/cache")]
    workspace = migration.folder_tree(desk.workspace)

    with forgotten(host, identity):
        untouched = snapshot(desk, identity)
        plan = desk.ok("migrate", identity, desk.target(host), "--plan")["plan"]
        assert (plan["stop"], plan["commit"], plan["workspace"]) == (True, True, str(desk.workspace))
        assert plan["layers"]["present_there"] > 0
        assert any("cache" in part["name"] for part in plan["travels"])
        assert any("MIGRATION_TEST_SECRET" in item for item in plan["stays"])
        assert snapshot(desk, identity) == untouched
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
        after = [migration.far_container_tree(host, identity, path) for path in ("/work", "/opt/cache")]
        assert after == before
        assert before[0]["able"][6] == migration.NET_BIND  # the comparison sees file capabilities
        assert before[0]["linked"][7] == ("linked", "mine")  # and hard links
        assert migration.far_folder_tree(host, str(desk.workspace)) == workspace
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


@contextmanager
def an_editor(folder: Path, edits: int) -> Iterator[threading.Thread]:
    """Somebody who works in a folder: appends to a file in place, saves another by a rename, makes and deletes some."""
    stopping = threading.Event()

    def edit() -> None:
        for number in range(edits):
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
        yield editor
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
        with an_editor(desk.workspace, edits=100_000):
            said = desk.refused(4, "migrate", identity, desk.target(there))
        assert "somebody is working in" in said
        assert "journal" in said
        assert desk.can_resume(identity)
        with an_editor(desk.workspace, edits=60):
            moved = desk.ok("migrate", identity, desk.target(there))
        assert moved["newer_here"] == []
        assert migration.far_folder_tree(there, str(desk.workspace)) == migration.folder_tree(desk.workspace)


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
        untouched = snapshot(desk, identity)
        for option in ("--plan", "--keep", "--jobs=1"):
            said = desk.refused(8, "migrate", identity, desk.target(there), option)
            assert "/root/.git-credentials: Git logins" in said
            assert "/srv/notes: the value of MIGRATION_TEST_SECRET" in said
            assert "hush-4711" not in said
            assert "goes on as it was" in said
            assert desk.container(identity).status == "running"
        assert snapshot(desk, identity) == untouched
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


# --- refusals, with nothing changed -----------------------------------------------------------------------------------


@contextmanager
def unchanged(desk: Desk, identity: str, host: DockerHost) -> Iterator[None]:
    """The bottle runs on as it did, and the host has nothing of it."""
    before, listing = snapshot(desk, identity), ["find", "/root/.bottle", "/srv", "-printf", "%p %s %T@\n"]
    host.exec(["mkdir", "-p", "/root/.bottle"])
    far = host.exec(listing).text
    images = host.docker("image", "ls", "-aq").text
    yield
    assert snapshot(desk, identity) == before
    assert desk.container(identity).status == "running"
    assert host.exec(listing).text == far
    assert host.docker("image", "ls", "-aq").text == images
    assert desk.can_resume(identity)


def test_a_wrong_host_key_ends_it_before_anything_is_sent(desk: Desk, there: DockerHost) -> None:
    identity = desk.start()
    with proxy(there.address, there.port) as link:
        alias = desk.knows_as("impostor", there, link.port)
        wrong = known_hosts_line("127.0.0.1", link.port, make_key_pair().public)
        (desk.folder / f"known-{alias}").write_text(wrong)
        with unchanged(desk, identity, there):
            said = desk.refused(6, "migrate", identity, alias)
        assert "key" in said
        assert 0 < link.sent < 5000  # a greeting and a key exchange, and no login
        (desk.folder / f"known-{alias}").write_text("")
        with unchanged(desk, identity, there):
            desk.refused(6, "migrate", identity, alias)


def test_what_makes_a_move_impossible_is_found_before_anything_is_changed(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start()
    target = desk.target(there)
    key = subprocess.run(["ssh-keygen", "-y", "-f", there.key_file], check=True, capture_output=True).stdout
    there.exec(["sh", "-c", ADD_LOGIN, "add-login", "guest", "/bin/sh", "no", "no"], stdin=key)
    desk.knows_as("as-guest", there, there.port, user="guest")
    folder = f"/srv/{identity}"
    far_state = f"/root/.bottle/state/{identity}"
    try:
        with unchanged(desk, identity, there):
            assert "may not use Docker" in desk.refused(8, "migrate", identity, "as-guest")
        there.exec(["mv", "/usr/bin/docker", "/usr/bin/docker.away"])
        try:
            said = desk.refused(8, "migrate", identity, target)
        finally:
            there.exec(["mv", "/usr/bin/docker.away", "/usr/bin/docker"])
        assert "no docker" in said
        assert desk.container(identity).status == "running"

        there.exec(["sh", "-c", 'mkdir -p "$1" && echo theirs >"$1/file"', "make", folder])
        with unchanged(desk, identity, there):
            assert "not empty" in desk.refused(4, "migrate", identity, target, "--workspace", folder)
        there.exec(["ln", "-s", "/nowhere", f"{folder}-link"])
        with unchanged(desk, identity, there):
            desk.refused(4, "migrate", identity, target, "--workspace", f"{folder}-link")
        assert there.get(f"{folder}/file") == b"theirs\n"

        there.exec(["mkdir", "-p", far_state])
        with unchanged(desk, identity, there):
            assert "already" in desk.refused(4, "migrate", identity, target)
    finally:
        there.exec(["rm", "-rf", folder, f"{folder}-link", far_state])
        there.exec(["userdel", "-r", "-f", "guest"], check=False)


def test_a_disk_that_is_too_small_is_seen_before_anything_is_changed(
    desk: Desk, make_host: Callable[..., DockerHost]
) -> None:
    small = make_host(data_disk_mb=200)
    desk.knows(small)
    identity = desk.start()
    with unchanged(desk, identity, small):
        assert "MiB free at /var/lib/docker" in desk.refused(8, "migrate", identity, desk.target(small))


def test_a_disk_that_fills_up_midway_is_told_of_and_a_rerun_goes_on(
    desk: Desk, make_host: Callable[..., DockerHost], equipped: Callable[[DockerHost], DockerHost]
) -> None:
    host = equipped(make_host())
    desk.knows(host)
    host.exec(["sh", "-c", "mkdir -p /root/.bottle && mount -t tmpfs -o size=512m tmpfs /root/.bottle"])
    identity = desk.start()
    desk.grow(identity, 8 * MEGA)
    command = [sys.executable, *migration.BOTTLE, "migrate", identity, desk.target(host), "--limit-rate", "1M"]
    with subprocess.Popen(command, cwd=desk.folder, env=desk.environ, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        while not first.stderr.readline().startswith("sending to"):
            assert first.poll() is None
        host.exec(["sh", "-c", "cat /dev/zero >/root/.bottle/filler 2>/dev/null; true"])
        said = first.stderr.read()
        assert first.wait(timeout=60) == 6, said
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert desk.can_resume(identity)
    assert not migration.far_can_resume(host, identity)
    host.exec(["rm", "/root/.bottle/filler"])
    assert desk.ok("migrate", identity, desk.target(host))["host"] == desk.target(host)
    assert not desk.can_resume(identity)
    assert migration.far_can_resume(host, identity)


def test_a_second_move_of_one_bottle_is_refused_and_ctrl_c_ends_the_first_in_order(
    desk: Desk, there: DockerHost
) -> None:
    desk.knows(there)
    identity = desk.start()
    desk.grow(identity, 4 * MEGA)
    command = [sys.executable, *migration.BOTTLE, "migrate", identity, desk.target(there), "--limit-rate", "50k"]
    with (
        forgotten(there, identity),
        subprocess.Popen(command, cwd=desk.folder, env=desk.environ, stderr=subprocess.PIPE, text=True) as first,
    ):
        assert first.stderr is not None
        while not first.stderr.readline().startswith("sending to"):
            assert first.poll() is None
        said = desk.refused(4, "migrate", identity, desk.target(there))
        assert f"bottle migrate to {desk.target(there)}" in said
        assert str(first.pid) in said
        began = time.monotonic()
        first.send_signal(signal.SIGINT)
        rest = first.stderr.read()
        assert first.wait(timeout=20) == 130
        assert time.monotonic() - began < 10
        assert "Traceback" not in rest
        assert desk.can_resume(identity)
        assert not far_can_resume(there, identity)
        desk.ok("migrate", identity, desk.target(there))
        assert far_can_resume(there, identity)


# --- killed at every moment -------------------------------------------------------------------------------------------

# One move, killed again and again, each time later; every kill is one run.
CHAIN = (
    "before:migration.json:1",
    "after:migration.json:1",  # quiescing
    "after:commit-intent.json:1",
    "before:commits.json:1",  # the image is there, the history does not know it
    "after:migration.json:2",  # staging
    "before:staged:1",  # the layers have been read
    "before:piece:4",
    "during:piece:11",
    "after:piece:9",
    "before:check:1",
    "during:load:1",  # the far engine may finish it all the same, and the next run then finds the image there
    "after:inspect:1",
    "during:extract:1",
    "before:verify:1",
    "during:extract:2",
    "during:volume:1",
    "after:volume:1",
    "before:migration.json:3",
    "after:migration.json:3",  # handing off
)
# Where the far host owns the bottle already, or may do so.
END = ("during:register:1", "after:register:1", "before:moved-to.json:1", "after:moved-to.json:1", "before:clear:1")


def owners(desk: Desk, identity: str, host: DockerHost) -> tuple[bool, bool]:
    """Who would bring the bottle back: this host, that host."""
    return desk.can_resume(identity), far_can_resume(host, identity)


def test_killed_at_each_step_exactly_one_host_can_resume_and_a_rerun_goes_on(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = desk.start("mover")
    desk.work(identity)
    desk.grow(identity, 10 * MEGA)
    migration.fill_workspace(desk.workspace)
    words = ("migrate", identity, desk.target(host), "--jobs", "1")
    sent = 0
    with forgotten(host, identity):
        for moment in CHAIN:
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
            sent += moments.count("piece")
            assert owners(desk, identity, host) == (True, False), moment
            if moment == "before:commits.json:1":
                # Not only in theory: it is resumed here and works on; the rerun moves that, too.
                desk.ok("resume", "-d", identity)
                assert desk.run_in(identity, "sh", "-c", "echo later >/work/later") is not None
        before = [migration.container_tree(desk.container(identity), path) for path in ("/work", "/opt/cache")]
        workspace = migration.folder_tree(desk.workspace)
        code, moments = desk.strike(END[0], *words)
        assert code in {0, -signal.SIGKILL}
        sent += moments.count("piece")
        assert sum(owners(desk, identity, host)) == 1
        desk.ok(*words)
        assert owners(desk, identity, host) == (False, True)
        # Each kill may cost the piece that was on its way; packing anew after a resume is no fault of the line.
        assert sent < 35 + len(CHAIN)
        assert not leftovers(host)
        host.exec(["bottle", "resume", "-d", identity])
        after = [migration.far_container_tree(host, identity, path) for path in ("/work", "/opt/cache")]
        assert after == before
        assert "later" in after[0]
        assert migration.far_folder_tree(host, str(desk.workspace)) == workspace


@pytest.mark.parametrize("moment", END)
def test_killed_while_it_hands_over(desk: Desk, there: DockerHost, moment: str) -> None:
    desk.knows(there)
    identity = desk.start()
    (desk.workspace / "file").write_text("content\n")
    with forgotten(there, identity):
        code, _ = desk.strike(moment, "migrate", identity, desk.target(there))
        assert code == -signal.SIGKILL
        here, far = owners(desk, identity, there)
        assert here != far
        assert far or moment == "during:register:1"
        desk.ok("migrate", identity, desk.target(there))
        assert owners(desk, identity, there) == (False, True)
        assert not leftovers(there)
        there.exec(["bottle", "resume", "-d", identity])
        assert there.docker("exec", f"bottle-{identity}", "cat", "/workspace/file").text == "content"


def test_the_source_asks_before_it_resumes_and_what_it_withdrew_cannot_arrive_later(
    desk: Desk, there: DockerHost
) -> None:
    desk.knows(there)
    identity = desk.start()
    with forgotten(there, identity), stand_in(there, "/usr/local/bin/sync", "#!/bin/sh\nsleep 1\nexec /usr/bin/sync\n"):
        code, _ = desk.strike("during:register:1", "migrate", identity, desk.target(there))
        assert code == -signal.SIGKILL
        # The far script is still at work, and will end with the bottle in place: the answer must be the one that holds.
        here, far = owners(desk, identity, there)
        time.sleep(3)
        assert owners(desk, identity, there) == (here, far)
        assert here != far


@pytest.mark.parametrize("moment", ["after:commits.json:1", "before:migration.json:3", "during:register:1"])
def test_a_copy_that_is_killed_lets_the_bottle_go_on_and_is_finished_once(
    desk: Desk, there: DockerHost, moment: str
) -> None:
    desk.knows(there)
    identity = desk.start()
    words = ("migrate", identity, desk.target(there), "--keep", "--workspace", f"/srv/{identity}")
    code, _ = desk.strike(moment, *words)
    assert code == -signal.SIGKILL
    assert desk.can_resume(identity)
    copy = str(desk.ok(*words)["arrived_as"])
    with forgotten(there, copy):
        assert desk.container(identity).status == "running"
        assert desk.can_resume(identity)
        assert copy != identity
        copies = there.exec(["sh", "-c", "ls -d /root/.bottle/state/plain-*"]).text.split()
        assert copies == [f"/root/.bottle/state/{copy}"]
        assert not leftovers(there)
        there.exec(["bottle", "resume", "-d", copy])
        began = there.docker("exec", f"bottle-{copy}", "cat", "/root/.agent/began").text
        assert began.splitlines() == ["first", "again"]
        there.exec(["rm", "-rf", f"/srv/{identity}"])


@pytest.mark.campaign
@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_killed_before_and_after_every_moment(desk: Desk, host: DockerHost, keep: bool) -> None:
    desk.knows(host)
    flags = ("--keep",) if keep else ()

    def prepared() -> str:
        identity = desk.start("mover")
        (desk.workspace / "file").write_text("content\n")
        return identity

    identity = prepared()
    with forgotten(host, identity):
        code, moments = desk.strike("", "migrate", identity, desk.target(host), "--jobs", "1", *flags)
        assert code == 0, (desk.folder / "said").read_text()
    assert len(moments) > 20
    counts: dict[str, int] = {}
    for name in moments:
        counts[name] = counts.get(name, 0) + 1
        for when in ("before", "during", "after"):
            identity = prepared()
            moment = f"{when}:{name}:{counts[name]}"
            words = ("migrate", identity, desk.target(host), "--jobs", "1", *flags, "--workspace", f"/srv/{identity}")
            with forgotten(host, identity):
                code, _ = desk.strike(moment, *words)
                assert code in {0, -signal.SIGKILL}, f"{moment}: {(desk.folder / 'said').read_text()}"
                here, far = owners(desk, identity, host)
                assert (here, far) == (True, False) if keep else here != far, moment
                # A copy that was made and noted as such is done: the same command would make another one.
                copies = host.exec(["sh", "-c", "cd /root/.bottle/state && echo mover-*"]).text.split() if keep else []
                done = keep and desk.migration(identity) is None and copies not in ([], ["mover-*"])
                arrived = copies[0] if done else str(desk.ok(*words)["arrived_as"])
                assert far_can_resume(host, arrived), moment
                assert desk.can_resume(identity) == keep, moment
                assert host.get(f"/srv/{identity}/file") == b"content\n"
                host.exec(["rm", "-rf", f"/srv/{identity}"])
                migration.forget(host, arrived)
            desk.clear()


# --- cut, stalled, damaged --------------------------------------------------------------------------------------------


@pytest.fixture
def link(there: DockerHost, desk: Desk) -> Iterator[Proxy]:
    """A line to the host that can be broken, known as `link`."""
    with proxy(there.address, there.port) as running:
        desk.knows_as("link", there, running.port)
        yield running


def move_over(desk: Desk, link: Proxy, there: DockerHost, size: int, **faults: int | None) -> tuple[int, int, str]:
    """Move a bottle with `size` bytes of work; the bytes that were staged, those on the wire, and what was said."""
    identity = desk.start()
    desk.grow(identity, size)
    link.expect(**faults)
    with forgotten(there, identity):
        done = desk.bottle("migrate", identity, "link", "--format", "json")
        assert done.returncode == 0, done.stderr.decode()
        assert owners(desk, identity, there) == (False, True)
        return int(json.loads(done.stdout)["staged_bytes"]), link.sent, done.stderr.decode()


def test_a_line_that_breaks_costs_little(desk: Desk, link: Proxy, there: DockerHost) -> None:
    size = 16 * MEGA
    staged, clean, _ = move_over(desk, link, there, size)
    assert staged < clean < staged + MEGA
    for part in (0.1, 0.5, 0.9):
        _, sent, said = move_over(desk, link, there, size, cut=int(part * clean))
        assert "trying again" in said
        assert link.connections >= 2
        assert sent - clean <= 0.12 * staged, f"{sent - clean} of {staged} bytes were sent again"
    _, sent, said = move_over(desk, link, there, size, flip=clean // 2)
    assert "trying again" in said
    assert sent - clean <= 0.12 * staged


def test_sshd_sessions_that_are_killed_midway(desk: Desk, link: Proxy, there: DockerHost) -> None:
    identity = desk.start()
    desk.grow(identity, 4 * MEGA)
    link.expect()
    command = [sys.executable, *migration.BOTTLE, "migrate", identity, "link", "--limit-rate", "2M"]
    with (
        forgotten(there, identity),
        subprocess.Popen(command, cwd=desk.folder, env=desk.environ, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        while not process.stderr.readline().startswith("sending to"):
            assert process.poll() is None
        while link.sent < 2 * MEGA:
            time.sleep(0.01)
        assert there.kill_sshd_sessions() > 0
        said = process.stderr.read()
        assert process.wait(timeout=60) == 0, said
        assert "trying again" in said
        assert owners(desk, identity, there) == (False, True)


def test_what_one_run_brought_there_the_next_does_not_send(desk: Desk, link: Proxy, there: DockerHost) -> None:
    identity = desk.start()
    desk.grow(identity, 8 * MEGA)
    words = ("migrate", identity, "link", "--jobs", "1")
    sent = []
    with forgotten(there, identity):
        for moment in ("before:piece:17", "before:check:1"):
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL
            sent.append(moments.count("piece"))
        pieces = there.exec(["find", f"/root/.bottle/incoming/{identity}/blobs", "-type", "f"]).text.splitlines()
        assert sent[0] == 17  # the last of them was not begun
        assert sum(sent) - 1 == len(pieces) > 20
        link.expect()
        code, moments = desk.strike("", *words)
        assert code == 0
        assert "piece" not in moments
        assert link.sent < MEGA


@pytest.mark.campaign
def test_a_line_that_falls_silent(desk: Desk, link: Proxy, there: DockerHost) -> None:
    size = 16 * MEGA
    staged, clean, _ = move_over(desk, link, there, size)
    _, sent, said = move_over(desk, link, there, size, stall=clean // 2)
    assert "no sign of life" in said
    assert sent - clean <= 0.12 * staged


def test_a_damaged_piece_in_staging_is_found_and_sent_again(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start()
    desk.grow(identity, 4 * MEGA)
    words = ("migrate", identity, desk.target(there), "--jobs", "1")
    with forgotten(there, identity):
        code, moments = desk.strike("before:check:1", *words)
        assert code == -signal.SIGKILL
        assert moments.count("piece") > 10
        there.exec(["sh", "-c", DAMAGE, "damage", identity])
        code, moments = desk.strike("", *words)
        assert code == 0
        assert "damaged pieces were thrown away" in (desk.folder / "said").read_text()
        assert moments.count("piece") == 2  # the damaged one, and the one that was cut short
        assert far_can_resume(there, identity)


# One byte of one piece is another; one piece is a byte short.
DAMAGE = r"""
cd "/root/.bottle/incoming/$1/blobs"
set -- $(find . -name '0000000[1-9]-*' -size +200k | sort)
old=$(od -An -tu1 -j1000 -N1 "$1")
printf "\\$(printf %o $(((old + 1) % 256)))" | dd of="$1" bs=1 seek=1000 conv=notrunc status=none
truncate -s -1 "$2"
"""


# --- a far host that lies ---------------------------------------------------------------------------------------------

LIAR = """\
#!/bin/sh
case "$*" in
"image inspect bottle-committed-"*) /usr/bin/docker "$@" | sed 's/"sha256:[0-9a-f]\\{8\\}/"sha256:00000000/' ;;
*) exec /usr/bin/docker "$@" ;;
esac
"""
POSER = """\
#!/bin/sh
case "$*" in
*"load"*) cat >/dev/null ;;
"image inspect bottle-committed-"*) echo '[{"Id": "sha256:1"}]' ;;
*create*bottle-committed-*) echo 1234 ;;
*) exec /usr/bin/docker "$@" ;;
esac
"""


@pytest.mark.parametrize("script", [LIAR, POSER], ids=["other layers", "never loaded"])
def test_an_image_that_is_not_what_was_sent_is_not_believed(desk: Desk, there: DockerHost, script: str) -> None:
    desk.knows(there)
    identity = desk.start()
    with forgotten(there, identity):
        with stand_in(there, "/usr/local/bin/docker", script):
            assert there.ssh("command -v docker").stdout == b"/usr/local/bin/docker\n"
            said = desk.refused(7, "migrate", identity, desk.target(there))
        assert "not the one that was committed" in said
        assert owners(desk, identity, there) == (True, False)
        desk.ok("migrate", identity, desk.target(there))
        assert owners(desk, identity, there) == (False, True)


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
