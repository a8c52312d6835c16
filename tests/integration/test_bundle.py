"""`export` and `import` on real engines, through the real commands: what comes back, here and on other hosts."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bottle.files import tree
from tests.hosts import DockerHost
from tests.integration import migration, trees
from tests.integration.migration import Desk
from tests.support.trees import make_deep

LINK = "absolute link"


@pytest.fixture
def worker(desk: Desk) -> str:
    """A running bottle with work of every kind: in its image, its volume and its workspace."""
    identity = desk.start("mover")
    desk.work(identity)
    trees.fill_workspace(desk.workspace)
    return identity


@pytest.fixture
def bundle(desk: Desk, worker: str) -> Path:
    """All of it in a file."""
    file = desk.folder / "worker.bottle"
    desk.ok("export", worker, str(file))
    return file


def workspace_of(desk: Desk) -> dict[str, tuple[object, ...]]:
    """What of the workspace is in a bundle: all but the link that points out."""
    found = trees.folder_tree(desk.workspace)
    del found[LINK]
    return found


def test_export_writes_a_private_file_and_the_bottle_goes_on(desk: Desk, worker: str) -> None:
    file = desk.folder / "worker.bottle"
    done = desk.bottle("export", worker, str(file), "--format", "json")
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    assert answer["bytes"] == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert answer["links_left_out"] == [f"{LINK} -> /etc/hostname"]
    assert b"absolute link" in done.stderr
    holds = [member["holds"] for member in answer["members"]]
    assert holds[0] == "image-config"
    assert holds[-3:] == ["volume cache", "workspace", "state"]
    assert desk.container(worker).status == "running"
    assert desk.migration(worker) is None
    said = desk.refused(4, "export", worker, str(file))
    assert "not overwritten" in said
    assert b"hush-4711" not in file.read_bytes()


@pytest.mark.campaign
def test_a_layer_is_looked_through_once_and_what_is_known_stays_here(desk: Desk) -> None:
    identity = desk.start()
    assert desk.run_in(identity, "sh", "-c", "echo x >/srv/notes") is not None
    desk.ok("stop", identity, "--grace", "0")  # so that one commit holds all its work
    desk.ok("export", identity, str(desk.folder / "first.bottle"))
    known = desk.states / identity / "scanned.json"
    document = json.loads(known.read_text())
    commits = json.loads((desk.states / identity / "commits.json").read_text())["commits"]
    own = commits[-1]["diff_ids"][-1]
    (scan,) = (each for each in document["scans"] if each["digest"] == own)
    assert scan["finds"] == []
    scan["finds"] = [{"path": "/root/.netrc", "what": "logins"}]  # which it has not: who reads the layer sees that
    known.write_text(json.dumps(document))
    said = desk.refused(8, "export", identity, str(desk.folder / "second.bottle"))
    assert "/root/.netrc: logins" in said

    known.write_text("{")
    second = desk.folder / "second.bottle"
    desk.ok("export", identity, str(second))
    assert own in known.read_text()
    desk.ok("rm", identity, "--yes")
    arrived = desk.ok("import", str(second), "--workspace", str(desk.folder / "landed"), "--yes")
    assert not (desk.states / str(arrived["identity"]) / "scanned.json").exists()


def test_what_is_nested_deeply_comes_back_and_what_docker_cannot_reach_is_refused(desk: Desk) -> None:
    identity = desk.start("mover")
    places = ("/work", "/root/.agent", "/opt/cache")
    desk.run_in(identity, "mkdir", "/work")
    for path in places:
        desk.nest(identity, path, 1_500)
    make_deep(desk.workspace, 3_000, "abcd")
    file = desk.folder / "deep.bottle"
    desk.ok("export", identity, str(file))
    goal = desk.folder / "there"
    copy = desk.ok("import", str(file), "--yes", "--workspace", str(goal))["identity"]
    desk.known.append(copy)
    assert [node.path for node in tree.walk(goal)] == [node.path for node in tree.walk(desk.workspace)]
    desk.ok("resume", copy, "-d")
    for path in places:
        deepest = desk.run_in(copy, "find", path, "-name", "leaf", "-path", f"*{'d/' * 1_500}leaf", "-printf", "%s")
        assert deepest == b"4"
    desk.nest(copy, "/opt/cache", 3_000)
    said = desk.refused(8, "export", copy, str(desk.folder / "deeper.bottle"))
    assert "volume" in said
    desk.nest(copy, "/work", 3_000)
    said = desk.refused(8, "commit", copy)
    assert "too deeply" in said or "a path of more than 3500 bytes" in said  # in Docker's words, or in ours
    assert desk.container(copy).status == "running"
    for path in ("/work", "/opt/cache"):
        assert desk.run_in(copy, "rm", "-r", f"{path}/d") is not None
    desk.ok("commit", copy)
    for folder in (goal, desk.workspace):
        tree.remove(folder)


def test_a_deleted_bottle_comes_back_whole(desk: Desk, worker: str, bundle: Path) -> None:
    container = desk.container(worker)
    before = [trees.container_tree(container, path) for path in ("/work", "/opt/cache")]
    workspace = workspace_of(desk)
    desk.ok("stop", worker)
    desk.ok("rm", worker, "--yes")
    assert not desk.engine.images.list(filters={"reference": f"bottle-committed-{worker}"})

    goal = desk.folder / "new place"
    said = desk.refused(4, "-q", "import", str(bundle), "--workspace", str(goal))
    assert "would be given secret MIGRATION_TEST_SECRET" in said
    assert "--yes" in said
    assert not goal.exists()
    imported = desk.ok("import", str(bundle), "--yes", "--workspace", str(goal))
    identity = imported["identity"]
    desk.known.append(identity)
    assert identity != worker
    assert imported["copied_from"] == {"identity": worker, "commit": 1}
    assert any("MIGRATION_TEST_SECRET" in power for power in imported["granted"])
    assert trees.folder_tree(goal) == workspace
    journal = desk.states / identity / "transcript" / "files" / "root" / ".agent" / "journal"
    steps = journal.read_text().splitlines()
    assert steps

    desk.ok("resume", identity, "-d")
    container = desk.container(identity)
    assert [trees.container_tree(container, path) for path in ("/work", "/opt/cache")] == before
    assert desk.run_in(identity, "test", "!", "-e", "/etc/deleted-later") is not None
    assert desk.run_in(identity, "cat", "/root/.agent/began") == b"first\nagain\n"
    then = (desk.run_in(identity, "cat", "/root/.agent/journal") or b"").decode().splitlines()
    assert then[: len(steps)] == steps
    desk.ok("stop", identity)
    desk.ok("rm", identity, "--yes")
    assert not desk.engine.images.list(filters={"reference": f"bottle-committed-{identity}"})
    assert not desk.engine.volumes.list(filters={"label": f"bottle.identity={identity}"})


def test_other_engines_take_it_in(
    desk: Desk,
    bundle: Path,
    worker: str,
    destination: DockerHost,
    with_bottle: Callable[[DockerHost], DockerHost],
) -> None:
    host = with_bottle(destination)
    container = desk.container(worker)
    before = trees.container_tree(container, "/work")
    host.put(bundle, "/root/worker.bottle")
    imported = json.loads(host.exec(["bottle", "import", "/root/worker.bottle", "--yes", "--format", "json"]).text)
    identity = imported["identity"]
    try:
        assert imported["workspace"] == f"/root/.bottle/workspaces/{identity}"
        assert trees.far_folder_tree(host, imported["workspace"]) == workspace_of(desk)
        host.exec(["bottle", "resume", identity, "-d"], env={"MIGRATION_TEST_SECRET": "hush-4711"})
        assert trees.far_container_tree(host, identity, "/work") == before
        cache = trees.far_container_tree(host, identity, "/opt/cache")
        assert cache == trees.container_tree(container, "/opt/cache")
        assert host.docker("exec", f"bottle-{identity}", "cat", "/root/.agent/began").text == "first\nagain"
        left = host.docker("ps", "-aq", "--filter", "name=bottle-fill-", "--filter", "name=bottle-verify-").text
        assert left == ""
        back = f"/root/{identity}.bottle"
        host.exec(["bottle", "export", identity, back])
        (desk.folder / "back.bottle").write_bytes(host.get(back))
    finally:
        migration.forget(host, identity)
        host.exec(["sh", "-c", "rm -rf /root/*.bottle /root/.bottle/workspaces"])
    again = desk.ok("import", str(desk.folder / "back.bottle"), "--yes")
    desk.known.append(again["identity"])
    assert again["copied_from"]["identity"] == identity
    desk.ok("resume", again["identity"], "-d")
    assert trees.container_tree(desk.container(again["identity"]), "/work") == before


def test_a_spoilt_file_makes_nothing(desk: Desk, bundle: Path) -> None:
    before = sorted(path.name for path in desk.states.iterdir())
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 4
    bundle.write_bytes(data)
    assert "refused" in desk.refused(7, "import", str(bundle))
    bundle.write_bytes(data[: len(data) // 3])
    assert "cut short" in desk.refused(7, "import", str(bundle))
    assert sorted(path.name for path in desk.states.iterdir()) == before
    desk.refused(3, "import", str(desk.folder / "nowhere"))
