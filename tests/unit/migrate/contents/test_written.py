"""What a running container has written: which paths an engine is asked for, and what comes of it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bottle.model import Change, ChangeKind
from bottle.testing import FakeEngine
from migrate.contents.written import roots, written_layer
from tests.support.world import World

KINDS = {"A": ChangeKind.ADDED, "C": ChangeKind.MODIFIED, "D": ChangeKind.DELETED}


@pytest.mark.parametrize(
    ("diff", "targets", "asked"),
    [
        ("", "", ""),
        ("C /root|A /root/a|C /etc|C /etc/passwd", "", "/etc/passwd? /root/a"),
        ("A /opt|A /opt/x|A /opt/x/y", "", "/opt"),
        ("C /tmp", "", "/tmp?"),
        ("C /tmp|D /tmp/x", "", ""),
        ("A /work|A /a", "/work", "/a"),
        ("A /srv|A /srv/work|A /srv/file|A /srv/sub|A /srv/sub/file", "/srv/work", "/srv/file /srv/sub"),
        ("C /run|C /run/bottle|A /run/bottle/x", "/run/bottle", ""),
    ],
)
def test_which_paths_an_engine_is_asked_for(diff: str, targets: str, asked: str) -> None:
    """A mark behind those of which only the path itself is known to be written."""
    changes = [Change(KINDS[line[0]], line[2:]) for line in diff.split("|") if line]
    found = roots(changes, targets.split())
    assert " ".join(path + ("" if whole else "?") for path, whole in found) == asked


def layer(world: World, engine: FakeEngine, ref: str) -> dict[str, bytes]:
    container = engine.container(ref)
    assert container is not None
    with tarfile.open(fileobj=io.BytesIO(b"".join(written_layer(engine, container)))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize("folder", [False, True], ids=["through the engine", "from its folder"])
def test_a_layer_holds_what_was_written_and_what_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    world = World(tmp_path / "here")
    bottle = world.start()
    ref = bottle.identity.container
    world.work(bottle, "/opt/new/file", b"new")
    world.work(bottle, "/etc/hostname", b"changed")
    world.engine.erase(ref, "/etc/passwd")
    if folder:
        upper = tmp_path / "upper"
        for path, content in (("opt/new/file", b"new"), ("etc/hostname", b"changed")):
            (upper / path).parent.mkdir(parents=True)
            (upper / path).write_bytes(content)
        (upper / "link").symlink_to("/etc/shadow")
        monkeypatch.setattr(world.engine, "writable_layer", lambda _: upper)
    found = layer(world, world.engine, ref)
    assert found.pop("etc/.wh.passwd") == b""
    assert found == {"opt/new/file": b"new", "etc/hostname": b"changed"}
