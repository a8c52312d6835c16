"""One table of the names of what is not finished: all that the sources call so stands in it; who clears it knows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bottle.model import ContainerSummary, Status
from bottle.naming import Identity
from bottle.operations import plan_for, prune
from bottle.plan.garbage import GarbageFacts
from bottle.plan.prune import is_helper, plan_prune
from bottle.store.temporary import TEMPORARY, ClearedBy, arriving, importing
from tests.support.world import World

ROOT = Path(__file__).parents[3]
ME = Identity.parse("demo-abcde")
HEX = "0123456789abcdef"
NAMES = re.compile(r'"([^"\n]*(?:\.(?:tmp|part|new|old|draft|deleted|probe)\b|token_hex\()[^"\n]*)"')

# What a name in the sources is an example of, and where it comes to lie; "" where it only looks for others.
KNOWN = {
    "{self.container}.new": (ME.draft, "ENGINE, a container"),
    ".{path.name}.tmp": (".secrets.tmp", "RUNTIME folder"),
    ".draft": (f".{ME}.draft", "state"),
    ".deleted": (f".{ME}.deleted", "state"),
    "{TRANSCRIPT}.new": ("transcript.new", "state/ID"),
    "{folder.name}.new": ("transcript.new", "state/ID"),
    "{target.name}.old": ("transcript.old", "state/ID"),
    "{TRANSCRIPT}.old": ("transcript.old", "state/ID"),
    ".{path.name}.{secrets.token_hex(6)}.tmp": (f".metadata.json.{HEX[:12]}.tmp", "state/ID"),
    ".{secrets.token_hex(8)}.part": (f".{HEX}.part", "outgoing/ID"),
    ".{target.name[:200]}.{secrets.token_hex(6)}.part": (f".demo.bottle.{HEX[:12]}.part", "BESIDE a bundle"),
    "look-{secrets.token_hex(6)}": (f"look-{HEX[:12]}", "outgoing/ID"),
    "bottle-read-{secrets.token_hex(6)}": (f"bottle-read-{HEX[:12]}", "ENGINE, a container"),
    "bottle-verify-{secrets.token_hex(6)}": (f"bottle-verify-{HEX[:12]}", "ENGINE, a container"),
    "bottle-fill-{secrets.token_hex(6)}": (f"bottle-fill-{HEX[:12]}", "ENGINE, a container"),
    "bottle-help-{secrets.token_hex(6)}": (f"bottle-help-{HEX[:12]}", "ENGINE, a container"),
    "bottle-{purpose}-{secrets.token_hex(6)}": (f"bottle-verify-{HEX[:12]}", "ENGINE, a container"),
    "$1.probe": (f".bottle-incoming-{ME}.probe", "BESIDE a workspace"),
    "$near.part": (f".bottle-incoming-{ME}.part", "BESIDE a workspace"),
    "$arrived.new": (f"{ME}.new", "arrived"),
    # Paths inside a container that is no bottle's, which go with it.
    "/bottle-volume-{secrets.token_hex(6)}": ("", ""),
    "bottle-volume-{secrets.token_hex(6)}": ("", ""),
    # What is looked for, not made.
    ".*.tmp": ("", ""),
    ".new": ("", ""),
    ".part": ("", ""),
    ".tmp": ("", ""),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def in_the_sources() -> set[str]:
    """The names of what is not finished, as the sources spell them."""
    files = [path for folder in ("bottle", "migrate") for path in (ROOT / folder).rglob("*.*")]
    sources = [path for path in files if path.suffix in {".py", ".sh"} and path.name != "temporary.py"]
    return {name for path in sources if "testing" not in str(path) for name in NAMES.findall(path.read_text())}


def test_every_name_of_what_is_not_finished_stands_in_the_table() -> None:
    assert in_the_sources() == set(KNOWN)
    for name, where in KNOWN.values():
        assert not name or any(each.where == where and each.matches(name) for each in TEMPORARY), name
    for path in (importing(Path("/w/x"), ME), *arriving(Path("/w/x"), ME)):
        assert any(each.where == "BESIDE a workspace" and each.matches(path.name) for each in TEMPORARY)


def test_no_name_of_a_bottle_or_of_what_is_kept_is_one_of_them() -> None:
    kept = {"state": str(ME), "arrived": str(ME), ".": "host-id", "BESIDE a workspace": "project"}
    kept |= {"BESIDE a bundle": "demo.bottle", "ENGINE, a container": ME.container}
    kept |= {"state/ID": "transcript", "ENGINE, a tag": ME.committed(1)}
    for where, name in kept.items():
        assert not any(each.where == where and each.matches(name) for each in TEMPORARY), name


def test_the_state_format_names_each_of_them() -> None:
    document = (ROOT / "docs" / "STATE.md").read_text()
    for each in TEMPORARY:
        assert each.what in document, each


PRUNED = [each for each in TEMPORARY if each.cleared_by in {ClearedBy.PRUNE, ClearedBy.BOTH}]
ON_DISK = {
    ".": (".", f".host-id.{HEX[:12]}.tmp"),
    "arrived": ("arrived", f"{ME}.new"),
    "state": ("state", f".{ME}.draft"),
    "outgoing": ("outgoing", str(ME)),
    "incoming": ("incoming", str(ME)),
    "outgoing/ID": (f"outgoing/{ME}", f".{HEX}.part"),
    "BESIDE a workspace": ("workspaces", f".bottle-import-{ME}"),
}


@pytest.mark.parametrize("where", ON_DISK)
def test_what_prune_is_to_clear_it_clears(world: World, where: str) -> None:
    assert any(each.where == where for each in PRUNED)
    folder, name = ON_DISK[where]
    path = world.home.path / folder / name
    world.engine.clock.now = datetime(2100, 1, 1, tzinfo=UTC)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in {".tmp", ".part", ".new"}:
        path.write_text("x")
    else:
        path.mkdir()
    prune(world.context, plan_for(world.context, timedelta(0)), consent=False)
    assert not path.exists()


@pytest.mark.parametrize("name", [f"bottle-{kind}-{HEX[:12]}" for kind in ("check", "read", "verify", "fill")])
def test_a_look_inside_is_known_to_prune(name: str) -> None:
    container = ContainerSummary(
        id="c",
        name=name,
        image="i",
        status=Status.CREATED,
        exit_code=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        labels={"bottle.schema": "1"},
    )
    assert is_helper(container)
    facts = GarbageFacts(
        bottles={},
        folders=(),
        containers=(container,),
        images=(),
        volumes=(),
        sizes={},
        now=datetime(2026, 1, 9, tzinfo=UTC),
        patience=timedelta(days=1),
    )
    assert [each.ref for each in plan_prune(facts).garbage] == ["c"]


def test_what_the_next_command_is_to_clear_it_clears(world: World) -> None:
    bottle = world.start()
    for folder in ("requests", "trees"):
        (bottle.path / folder).mkdir(exist_ok=True)
    left = [
        bottle.path / f".metadata.json.{HEX[:12]}.tmp",
        bottle.path / "requests" / f".1.json.{HEX[:12]}.tmp",
        bottle.path / "trees" / ".3.tmp",
        bottle.path / "transcript.new",
    ]
    for path in left[:-1]:
        path.write_text("x")
    left[-1].mkdir()
    bottle.sweep()
    assert not any(path.exists() for path in left)
