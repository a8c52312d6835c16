"""`migrate --from` on real hosts: a bottle that lives there is fetched, whatever breaks on its way."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import DockerHost
from tests.integration import migration, trees
from tests.integration.migration import Desk, ended
from tests.integration.proxy import proxy

MEGA = 1 << 20
# Kills itself around the COUNTth run of a script here: WHEN is before or after.
STRIKE = """
import os, signal, sys
from migrate.pull.images import ImageKeeper
from migrate.pull.site import Here
when, name, words = sys.argv[1], sys.argv[2], sys.argv[3:]
def struck(perform, named):
    def run(self, what, *args, **options):
        if named(what) == name and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        reply = perform(self, what, *args, **options)
        if named(what) == name and reply.status == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return reply
    return run
Here.run = struck(Here.run, lambda command: command.name)
ImageKeeper.load = struck(ImageKeeper.load, lambda _: "load")
from bottle.cli.main import main
main(words, prog_name="bottle")
"""


@pytest.fixture(scope="module")
def owner(there: DockerHost, agents: str) -> DockerHost:
    """A host with bottle and the agents' image."""
    there.load_image(agents)
    return there


@pytest.fixture
def any_owner(host: DockerHost, agents: str) -> DockerHost:
    """Each kind of host in turn, with the agents' image."""
    host.load_image(agents)
    return host


def far(host: DockerHost, *words: str, folder: str = "/root") -> Any:
    """Run bottle there, which must succeed; its JSON answer."""
    line = 'cd "$1" && shift && exec bottle "$@"'
    return json.loads(host.exec(["sh", "-c", line, "far", folder, *words, "--format", "json"]).stdout)


def far_refused(host: DockerHost, code: int, *words: str) -> str:
    """Run bottle there, which must fail with `code`; what it said."""
    done = host.exec(["bottle", *words], check=False)
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


@contextmanager
def living_there(host: DockerHost, desk: Desk, agent: str = "plain") -> Iterator[str]:
    """A bottle that runs on `host` and has begun its journal, its workspace at the path of the desk's."""
    desk.knows(host)
    folder, workspace = f"/root/{desk.folder.parent.name}", str(desk.workspace)
    host.exec(["mkdir", "-p", folder, workspace])
    manifest = migration.MANIFEST.format(image=migration.IMAGE).encode()
    host.exec(["sh", "-c", 'cat >"$1/bottle.toml"', "put", folder], stdin=manifest)
    identity = far(host, "start", agent, "-d", "--cwd", workspace, folder=folder)["identity"]
    desk.known.append(identity)
    written = 'until docker exec "$1" test -s /root/.agent/journal; do sleep 0.1; done'
    host.exec(["sh", "-c", written, "wait", f"bottle-{identity}"])
    try:
        yield identity
    finally:
        migration.forget(host, identity)
        host.exec(["rm", "-rf", folder, workspace, f"/root/.bottle/outgoing/{identity}"])


def put_as_it_is(host: DockerHost, source: Path, target: str) -> None:
    """Copy a folder's content there, owners and all."""
    packed = subprocess.run(("tar", "-C", source, "-cf", "-", "."), check=True, capture_output=True).stdout
    host.exec(["tar", "-C", target, "-xpf", "-"], stdin=packed)


def journal_there(host: DockerHost, identity: str) -> list[str]:
    """What the agent has written there, as far as the snapshot that a move takes."""
    path = f"/root/.bottle/state/{identity}/transcript/files/root/.agent/journal"
    return host.get(path).decode().splitlines()


def grown(host: DockerHost, identity: str, size: int) -> None:
    """`size` bytes of work there that cannot be compressed."""
    host.docker("exec", f"bottle-{identity}", "sh", "-c", f"head -c {size} /dev/urandom >/root/large")


def staged(desk: Desk, identity: str) -> int:
    """Bytes of whole pieces that are staged here."""
    folder = desk.folder / "bottles" / "incoming" / identity / "blobs"
    return sum(each.stat().st_size for each in folder.glob("*/[0-9]*"))


def owners(desk: Desk, identity: str, host: DockerHost) -> tuple[bool, bool]:
    """Who would bring the bottle back, this host or that; until it arrives, this one has nothing of it."""
    if (desk.states / identity).is_dir():
        return migration.owners(desk, identity, host)
    return False, migration.far_can_resume(host, identity)


def resumed_here(desk: Desk, host: DockerHost, identity: str) -> None:
    """The agent goes on here with all that it had, and there nobody can have it."""
    steps = journal_there(host, identity)
    desk.ok("resume", identity, "-d")
    deadline = time.monotonic() + 20
    lines: list[str] = []
    began = b""
    while time.monotonic() < deadline and (len(lines) <= len(steps) or not began):
        time.sleep(0.2)
        lines = (desk.run_in(identity, "cat", "/root/.agent/journal") or b"").decode().splitlines()
        began = desk.run_in(identity, "cat", "/root/.agent/began") or b""  # Docker may lose what a command says at once
    assert lines[: len(steps)] == steps
    assert lines == [f"step {number}" for number in range(1, len(lines) + 1)]
    assert began == b"first\nagain\n"
    assert socket.gethostname() in far_refused(host, 4, "resume", identity)


def test_all_that_belongs_to_a_bottle_is_pulled(desk: Desk, any_owner: DockerHost) -> None:
    owner = any_owner
    with living_there(owner, desk, "mover") as identity:
        source = desk.folder / "source"
        source.mkdir()
        trees.fill_workspace(source)
        put_as_it_is(owner, source, str(desk.workspace))
        workspace = trees.far_folder_tree(owner, str(desk.workspace))
        owner.exec(["sh", "-c", 'docker cp - "$1:/"', "cp", f"bottle-{identity}"], stdin=trees.work())
        owner.exec(["sh", "-c", 'docker cp - "$1:/opt/cache"', "cp", f"bottle-{identity}"], stdin=trees.work())
        before = [trees.far_container_tree(owner, identity, path) for path in ("/work", "/opt/cache")]

        plan = desk.ok("migrate", identity, desk.target(owner), "--from", "--plan")["plan"]
        assert (plan["stop"], plan["commit"], plan["workspace"]) == (True, True, str(desk.workspace))
        assert plan["layers"]["present_here"] > 0
        assert any("MIGRATION_TEST_SECRET" in item for item in plan["missing_here"])
        assert plan["asks"] == ["secret MIGRATION_TEST_SECRET, taken from your environment at each resume"]
        assert sorted(each.name for each in (desk.folder / "bottles").iterdir()) == ["logs", "state"]
        said = desk.refused(4, "-q", "migrate", identity, desk.target(owner), "--from")
        assert "would be given secret MIGRATION_TEST_SECRET" in said
        assert owner.docker("inspect", "-f", "{{.State.Status}}", f"bottle-{identity}").text == "running"

        moved = desk.ok("migrate", identity, desk.target(owner), "--from", "--yes")
        assert moved["workspace"] == str(desk.workspace)
        assert moved["host"] == socket.gethostname()
        assert not (desk.folder / "bottles" / "incoming").exists()
        assert trees.folder_tree(desk.workspace) == workspace
        resumed_here(desk, owner, identity)
        container = desk.container(identity)
        assert [trees.container_tree(container, path) for path in ("/work", "/opt/cache")] == before

        again = desk.ok("migrate", identity, desk.target(owner), "--from", "--yes")
        assert again["staged_bytes"] == moved["staged_bytes"]  # what the first run sent; this one sends nothing


def test_a_link_that_breaks_is_mended_in_the_same_run(desk: Desk, owner: DockerHost) -> None:
    size = 24 * MEGA
    with living_there(owner, desk) as identity, proxy("127.0.0.1", owner.port) as line:
        grown(owner, identity, size)
        alias = desk.knows_as("breaking", owner, line.port)
        line.expect()
        stop = threading.Event()

        def break_it() -> None:
            for share in (0.1, 0.5, 0.9):
                while line.received < share * size and not stop.is_set():
                    time.sleep(0.005)
                line.cut()

        breaker = threading.Thread(target=break_it)
        breaker.start()
        try:
            moved = desk.ok("migrate", identity, alias, "--from", "--limit-rate", "12M")
        finally:
            stop.set()
            breaker.join()
        assert moved["staged_bytes"] >= size
        assert line.received < 1.36 * moved["staged_bytes"] + MEGA  # three cuts, each at most 12 % sent again
        assert line.connections >= 4
        assert desk.bottle("resume", "--dry-run", identity).returncode == 0
        resumed_here(desk, owner, identity)


def test_a_run_that_is_killed_is_continued_by_the_next(desk: Desk, owner: DockerHost) -> None:
    size = 24 * MEGA
    with living_there(owner, desk) as identity, proxy("127.0.0.1", owner.port) as line:
        grown(owner, identity, size)
        alias = desk.knows_as("killed", owner, line.port)
        words = ("migrate", identity, alias, "--from")
        with desk.running(*words, "--limit-rate", "8M") as running:
            while staged(desk, identity) < size / 2:
                assert running.poll() is None
                time.sleep(0.02)
            running.send_signal(signal.SIGKILL)
        assert owners(desk, identity, owner) == (False, True)
        line.expect()
        moved = desk.ok(*words)
        assert line.received < 0.62 * moved["staged_bytes"] + MEGA
        resumed_here(desk, owner, identity)


@pytest.mark.parametrize(
    "moment",
    [
        *("before probe", "after images", "before piece", "after check", "before load", "after load", "after inspect"),
        *("after verify", "before register", "after register", "before clear", "after clear"),
    ],
)
def test_killed_at_any_moment_one_host_owns_it_and_the_next_run_ends_it(
    desk: Desk, owner: DockerHost, moment: str
) -> None:
    with living_there(owner, desk) as identity:
        words = ("migrate", identity, desk.target(owner), "--from")
        done = subprocess.run(
            [sys.executable, "-c", STRIKE, *moment.split(), *words], cwd=desk.folder, env=desk.environ,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        settled(owner, identity)
        here, there = owners(desk, identity, owner)
        assert not (here and there)
        if not here and not there:
            # Only we know whether it arrived, and nobody there can ask us.
            assert "--from" in far_refused(owner, 4, "resume", identity)
        else:
            assert here == (moment in {"after register", "before clear", "after clear"})
        desk.ok(*words)
        assert owners(desk, identity, owner) == (True, False)
        assert not (desk.folder / "bottles" / "incoming").exists()
        resumed_here(desk, owner, identity)


def settled(host: DockerHost, identity: str) -> None:
    """Wait until the mover there has noticed that nobody listens."""
    gone = 'while pgrep -f "send-over-stdio $1" >/dev/null; do sleep 0.1; done'
    host.exec(["timeout", "60", "sh", "-c", gone, "gone", identity])


def test_the_owner_that_dies_leaves_it_there(desk: Desk, owner: DockerHost) -> None:
    with living_there(owner, desk) as identity:
        grown(owner, identity, 16 * MEGA)
        words = ("migrate", identity, desk.target(owner), "--from", "--limit-rate", "4M")
        with desk.running(*words) as running:
            while staged(desk, identity) < 2 * MEGA:
                assert running.poll() is None
                time.sleep(0.02)
            owner.exec(["pkill", "-KILL", "-f", f"send-over-stdio {identity}"])
            code, said = ended(running)
        assert code == 6, said
        assert "Traceback" not in said
        assert owners(desk, identity, owner) == (False, True)
        desk.ok(*words[:4])
        resumed_here(desk, owner, identity)


def test_it_goes_away_and_comes_back(desk: Desk, owner: DockerHost) -> None:
    with living_there(owner, desk) as identity:
        words = (identity, desk.target(owner))
        desk.ok("migrate", *words, "--from", "--resume")
        assert desk.container(identity).status == "running"
        desk.ok("migrate", *words, "--resume", "--workspace", str(desk.workspace) + "-back")
        assert owners(desk, identity, owner) == (False, True)
        back = desk.ok("migrate", *words, "--from", "--workspace", str(desk.folder / "elsewhere"))
        assert back["workspace"] == str(desk.folder / "elsewhere")
        assert back["staged_bytes"] < 2 * MEGA
        assert owners(desk, identity, owner) == (True, False)
        owner.exec(["rm", "-rf", str(desk.workspace) + "-back"])


def test_what_came_back_runs_and_not_the_container_that_it_had_left(desk: Desk, owner: DockerHost) -> None:
    with living_there(owner, desk) as identity:
        words, back = (identity, desk.target(owner)), str(desk.workspace) + "-back"
        desk.ok("migrate", *words, "--from", "--resume")
        desk.ok("migrate", *words, "--resume", "--workspace", back)
        left = desk.container(identity)
        for image in desk.engine.images.list(name=f"bottle-committed-{identity}"):
            for tag in image.tags:
                desk.engine.images.remove(tag, force=True)
        desk.ok("migrate", *words, "--from", "--workspace", str(desk.folder / "elsewhere"))
        assert desk.bottle("commit", identity).returncode == 3  # it is none of the bottle's any more
        steps = journal_there(owner, identity)
        desk.ok("resume", identity, "-d")
        journal = (desk.run_in(identity, "cat", "/root/.agent/journal") or b"").decode().splitlines()
        assert journal[: len(steps)] == steps
        left.reload()
        assert left.name == f"bottle-{identity}.former-{left.id[:12]}"

        owner.exec(["rm", "-rf", back])
        desk.ok("migrate", *words, "--resume", "--workspace", back)
        desk.container(identity).start()
        for option in ([], ["--plan"]):
            said = desk.refused(4, "migrate", *words, "--from", "--workspace", str(desk.folder / "third"), *option)
            assert f"bottle-{identity}, which {identity} left on " in said
            assert "has run since" in said
        assert owner.docker("inspect", "--format", "{{.State.Running}}", f"bottle-{identity}").text == "true"
        owner.exec(["rm", "-rf", back])


def test_a_copy_leaves_it_running_there(desk: Desk, owner: DockerHost) -> None:
    with living_there(owner, desk) as identity:
        copied = desk.ok("migrate", identity[:-2], desk.target(owner), "--from", "--keep")
        desk.known.append(copied["arrived_as"])
        assert copied["arrived_as"] != identity == copied["identity"]
        assert owner.docker("inspect", "-f", "{{.State.Status}}", f"bottle-{identity}").text == "running"
        desk.ok("resume", copied["arrived_as"], "-d")
        assert desk.run_in(copied["arrived_as"], "cat", "/root/.agent/began") == b"first\nagain\n"


@contextmanager
def owner_says(host: DockerHost, identity: str, old: str, new: str) -> Iterator[None]:
    """A host whose metadata names another workspace than the bottle has."""
    path = f"/root/.bottle/state/{identity}/metadata.json"
    swap = ["sed", "-i"]
    host.exec([*swap, f's|"cwd": "{old}"|"cwd": "{new}"|', path])
    try:
        yield
    finally:
        host.exec([*swap, f's|"cwd": "{new}"|"cwd": "{old}"|', path])


def test_credentials_keep_it_there_until_they_are_let_go(desk: Desk, owner: DockerHost) -> None:
    with living_there(owner, desk) as identity:
        owner.docker("exec", f"bottle-{identity}", "sh", "-c", "echo login >/root/.git-credentials")
        said = desk.refused(8, "migrate", identity, desk.target(owner), "--from")
        assert "/root/.git-credentials: Git logins" in said
        assert owners(desk, identity, owner) == (False, True)
        pulled = desk.ok("migrate", identity, desk.target(owner), "--from", "--allow-secrets")
        assert pulled["credentials_along"] == ["/root/.git-credentials: Git logins"]
        assert owners(desk, identity, owner) == (True, False)


def test_what_is_refused_changes_nothing(desk: Desk, owner: DockerHost, agents: str) -> None:
    with living_there(owner, desk) as identity:
        target = desk.target(owner)
        desk.workspace.mkdir()
        (desk.workspace / "mine").write_text("mine")
        assert "never overwritten" in desk.refused(4, "migrate", identity, target, "--from")
        assert (desk.workspace / "mine").read_text() == "mine"
        (desk.workspace / "mine").unlink()
        assert "there is no bottle" in desk.refused(3, "migrate", "plain-zzzzz", target, "--from")
        desk.refused(2, "migrate", target, "--from")
        desk.refused(2, "migrate", "--from", "--", "-x", target)
        desk.refused(2, "migrate", identity, target, "--from", "--workspace", "relative")
        with owner_says(owner, identity, str(desk.workspace), str(desk.folder / ".ssh")):
            assert "nobody agreed" in desk.refused(6, "migrate", identity, target, "--from")
        hidden = str(desk.folder / ".ssh" / "work")
        desk.ok("migrate", identity, target, "--from", "--plan", "--workspace", hidden)
        assert owners(desk, identity, owner) == (False, True)
        mine = desk.start()
        assert owner.docker("inspect", "-f", "{{.State.Status}}", f"bottle-{identity}").text == "running"
        assert "there is no bottle" in desk.refused(3, "migrate", mine, target, "--from")
        desk.ok("stop", mine, "--grace", "0")


def test_two_at_once_do_not_meet(desk: Desk, owner: DockerHost) -> None:
    with living_there(owner, desk) as identity:
        grown(owner, identity, 8 * MEGA)
        words = ("migrate", identity, desk.target(owner), "--from")
        with desk.running(*words, "--limit-rate", "2M") as running:
            while staged(desk, identity) < MEGA:
                assert running.poll() is None
                time.sleep(0.02)
            assert "bottle migrate --from" in desk.refused(4, *words)
            assert running.wait(timeout=120) == 0
        resumed_here(desk, owner, identity)


@contextmanager
def instead_of_bottle(host: DockerHost, script: str) -> Iterator[None]:
    """A host whose bottle is not what it seems."""
    places = ("/usr/local/bin/bottle", "/opt/bottle/bin/bottle")
    for place in places:
        host.exec(["mv", place, f"{place}.kept"])
    try:
        if script:
            host.exec(["sh", "-c", 'cat >"$1" && chmod 755 "$1"', "put", places[0]], stdin=script.encode())
        yield
    finally:
        for place in places:
            host.exec(["mv", "-f", f"{place}.kept", place])


# An owner whose documents name another image to whoever reads JSON as Go does.
RETAGGING = """#!/opt/bottle/bin/python
from migrate.image import load_archive as archive
plain = archive._json
def evil(document):
    if isinstance(document, list):
        document[0]["repotags"] = ["VICTIM"]
    elif "manifests" in document:
        document["manifests"][0]["Annotations"] = {"io.containerd.image.name": "docker.io/library/VICTIM"}
    return plain(document)
archive._json = evil
from bottle.cli.main import main
main(prog_name="bottle")
"""


def test_an_owner_that_names_another_image_does_not_retag_it(desk: Desk, owner: DockerHost) -> None:
    victim = f"victim-{secrets.token_hex(4)}:latest"
    mine = desk.engine.images.get(migration.IMAGE)
    mine.tag(*victim.split(":"))
    try:
        with living_there(owner, desk) as identity:
            with instead_of_bottle(owner, RETAGGING.replace("VICTIM", victim)):
                desk.ok("migrate", identity, desk.target(owner), "--from")
            assert desk.engine.images.get(victim).id == mine.id
            assert desk.engine.images.get(f"bottle-committed-{identity}:1").id != mine.id
            resumed_here(desk, owner, identity)
    finally:
        desk.engine.images.remove(victim)


@pytest.mark.parametrize(
    ("code", "script", "said"),
    [
        (8, "", "bottle is not installed on"),
        (8, "#!/bin/sh\necho 'No such command' >&2\nexit 2\n", "cannot be pulled from"),
        (6, "#!/bin/sh\necho broken >&2\nexit 1\n", "broken"),
        (6, "#!/bin/sh\nyes\n", "endless output"),
        (6, "#!/bin/sh\nprintf 'bottle-wire 1\\n'; yes\n", "no message of bottle"),
        (6, "#!/bin/sh\nprintf 'bottle-wire 1\\n'\n", "said nothing"),
    ],
)
def test_a_host_that_is_no_owner(desk: Desk, owner: DockerHost, code: int, script: str, said: str) -> None:
    desk.knows(owner)
    with instead_of_bottle(owner, script):
        assert said in desk.refused(code, "migrate", "plain-abc12", desk.target(owner), "--from")
    assert not (desk.folder / "bottles" / "incoming").exists()
