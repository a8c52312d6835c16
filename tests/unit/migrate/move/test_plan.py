"""What a move would do, and what makes one impossible, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bottle.cli.movewords import missing as lacking, staying
from bottle.errors import BackendUnsupported, Conflict, NameTaken, PreflightRefused
from bottle.files.tree import Extent
from bottle.model import Agent, CommitRecord, ContainerFacts, ContainerMark, Metadata, Mount, MountKind, Status, Store
from bottle.naming import Identity
from bottle.plan.copies import named_commits
from bottle.plan.history import standing_below
from bottle.portbinding import PortBinding
from bottle.tar.items import MOST_NAMES
from bottle.tar.rules import MOST_ENTRIES
from migrate.contents.outside import Survey
from migrate.model import Codec, HostFacts, Presence, WorkspacePlace
from migrate.move.model import MoveFacts, MovePlan
from migrate.move.plan import plan_move, workspace_path
from migrate.move.refusals import require_room

IDENTITY = Identity.parse("demo-abc12")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIGA = 1 << 30
MEGA = 1 << 20
LAYERS = ("sha256:a", "sha256:b")

HOST = HostFacts(
    bottle_home="/root/.bottle",
    writable=True,
    tools=frozenset({"tar", "find", "awk", "sha256sum", "gzip"}),
    bottle="bottle 1",
    presence=Presence.ABSENT,
    free_home=10 * GIGA,
    disk_home="/",
    staged=0,
    workspace=WorkspacePlace.FREE,
    free_workspace=10 * GIGA,
    disk_workspace="/",
    docker="/usr/bin/docker",
    sudo=False,
    refused=None,
    engine_version="26.1.5",
    architecture="amd64",
    store=Store.CLASSIC,
    docker_root="/var/lib/docker",
    free_docker=10 * GIGA,
    disk_docker="/var",
    engine_id="theirs",
)
AGENT = Agent(
    name="demo",
    dockerfile=Path("/src/agents/Dockerfile"),
    secrets=("KEY",),
    network="lab",
    ports=(PortBinding.parse("3000:80"),),
    gpus="all",
    volumes=(
        Mount(kind=MountKind.VOLUME, source="cache", target="/cache"),
        Mount(kind=MountKind.BIND, source="/host", target="/mnt"),
    ),
)
METADATA = Metadata(identity=IDENTITY, agent=AGENT, cwd=Path("/work/it"), started_at=NOW)
CONTAINER = ContainerFacts(
    id="c1", name=IDENTITY.container, image="i", status=Status.RUNNING, created_at=NOW, started_at=NOW,
    finished_at=None, exit_code=None, labels={},
)  # fmt: skip
COMMIT = CommitRecord(
    number=1, tag=IDENTITY.committed(1), config_digest="", diff_ids=LAYERS, created_at=NOW,
    mark=ContainerMark(container_id="c1", started_at=NOW, running=False),
)  # fmt: skip
FACTS = MoveFacts(
    survey=Survey(),
    metadata=METADATA,
    arrives_as=IDENTITY,
    container=CONTAINER,
    commits=(),
    committed_tag=None,
    committed_layers=LAYERS,
    architecture="amd64",
    layers=LAYERS,
    image_size=800 * MEGA,
    written=100 * MEGA,
    workspace_here=True,
    workspace=Extent(50 * MEGA, "a/b", 2, 4),
    volumes={},
    state=Extent(1 * MEGA),
    home=Path("/home/me/.bottle"),
    free_here=10 * GIGA,
    packed_here=0,
    host=HOST,
    host_name="far",
    present=frozenset(),
    engine_id="ours",
    keep=False,
    pulled=False,
    resume_there=False,
    live=False,
)


def planned(lands: str | None = "/work/it", host: dict[str, Any] | None = None, **facts: Any) -> MovePlan:
    return plan_move(replace(FACTS, host=replace(HOST, **(host or {})), **facts), lands)


def test_a_running_bottle_is_stopped_committed_and_sent_whole() -> None:
    plan = planned()
    assert (plan.running, plan.stops, plan.commits, plan.present, plan.layers) == (True, True, True, 0, 2)
    assert (plan.layer_codec, plan.file_codec) == (Codec.ZSTD, Codec.GZIP)
    sizes = [part.size for part in plan.parts]
    assert sizes == [900 * MEGA, 50 * MEGA, None, 1 * MEGA]
    assert "volume bottle-demo-abc12-cache" in [part.name for part in plan.parts]


def test_what_stays_and_what_is_missing_is_named() -> None:
    plan = planned(
        host={"bottle": None, "sudo": True},
        commits=(replace(COMMIT, volumes=("/other",)),),
        committed_tag=COMMIT.tag,
        imaged=frozenset({1}),
    )
    stays, missing = "\n".join(staying(plan.stays)), "\n".join(lacking(plan.missing_there))
    for word in (
        "secret KEY",
        "/host, mounted at /mnt",
        "other commits",
        "the volume for /other",
        "/src/agents",
        "network lab",
        "port 127.0.0.1:3000: it must be free there",
        "GPUs (all): they must exist there",
    ):
        assert word in stays
    assert "mounted at /workspace" not in stays
    for word in ("pipx install agent-bottle", "KEY", "sudo BOTTLE_HOME=/root/.bottle bottle resume demo-abc12"):
        assert word in missing


SECOND = replace(COMMIT, number=2, tag=IDENTITY.committed(2), diff_ids=(*LAYERS, "sha256:c"))
OTHER = replace(COMMIT, number=3, tag=IDENTITY.committed(3), diff_ids=("sha256:a", "sha256:else"))
NEWEST = replace(COMMIT, number=4, tag=IDENTITY.committed(4), diff_ids=(*SECOND.diff_ids, "sha256:d"))
HISTORY = (COMMIT, SECOND, OTHER, NEWEST)


@pytest.mark.parametrize(
    ("changes", "travels", "stays"),
    [
        ({}, (1, 2), (3,)),
        ({"imaged": frozenset({2, 4})}, (2,), ()),
        ({"history": False}, (), (1, 2, 3)),
        # One more commit is made, and stands on what the container's last one held.
        ({"container": CONTAINER, "ground": NEWEST.diff_ids}, (1, 2, 4), (3,)),
        ({"container": CONTAINER, "ground": LAYERS}, (1,), (2, 3, 4)),
    ],
)
def test_older_commits_go_along_that_the_newest_one_stands_on(
    changes: dict[str, Any], travels: tuple[int, ...], stays: tuple[int, ...]
) -> None:
    facts: dict[str, Any] = {
        "container": None, "commits": HISTORY, "committed_tag": NEWEST.tag, "committed_layers": NEWEST.diff_ids,
        "imaged": frozenset({1, 2, 3, 4}),
    }  # fmt: skip
    plan = planned(**facts | changes)
    assert (plan.history, plan.history_stays) == (travels, stays)
    told = [line for line in staying(plan.stays) if "other commits" in line]
    named = f"the images of other commits: {named_commits(stays)}; their entries" if stays else ""
    assert [line.startswith(named) for line in told] == ([True] if stays else [])


def test_an_image_without_layers_is_nobodys_beginning() -> None:
    assert standing_below([replace(COMMIT, diff_ids=())], LAYERS) == ()


def test_what_the_tar_there_does_not_keep_is_named() -> None:
    busybox = {"tools": HOST.tools | {"busybox-tar"}}
    said = "fractions of a second in the times of files: the tar of far is busybox's"
    assert said in staying(planned(host=busybox).stays)
    for each in (planned(), planned(host=busybox, pulled=True), planned(None, host=busybox)):
        assert "fractions" not in "".join(staying(each.stays))


def test_what_is_there_need_not_travel() -> None:
    plan = planned(present=frozenset(LAYERS))
    assert (plan.present, plan.parts[0].size) == (2, 100 * MEGA)


@pytest.mark.parametrize(
    ("container", "commits", "stops", "commits_it"),
    [
        (CONTAINER, (COMMIT,), True, True),
        (replace(CONTAINER, status=Status.EXITED), (COMMIT,), False, False),
        (replace(CONTAINER, status=Status.EXITED, id="c2"), (COMMIT,), False, True),
        (replace(CONTAINER, status=Status.EXITED), (), False, True),
        (replace(CONTAINER, status=Status.PAUSED), (COMMIT,), True, True),
        (None, (COMMIT,), False, False),
    ],
)
def test_a_commit_is_made_when_none_holds_all_the_work(
    container: ContainerFacts | None, commits: tuple[CommitRecord, ...], stops: bool, commits_it: bool
) -> None:
    plan = planned(container=container, commits=commits, committed_tag=COMMIT.tag if commits else None)
    assert (plan.stops, plan.commits) == (stops, commits_it)
    copied = planned(container=container, commits=commits, keep=True, arrives_as=Identity.parse("demo-def34"))
    assert not copied.stops


@pytest.mark.parametrize("layers", [None, ("sha256:a", "sha256:else")], ids=["lost", "another"])
def test_a_commit_whose_image_is_not_here_is_made_again(layers: tuple[str, ...] | None) -> None:
    stopped = replace(CONTAINER, status=Status.EXITED)
    assert planned(container=stopped, commits=(COMMIT,), committed_tag=COMMIT.tag, committed_layers=layers).commits


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"docker": ""}, "has no docker"),
        ({"podman": True}, "is Podman: bottles move from there"),
        ({"refused": "permission denied"}, "may not use Docker .* permission denied"),
        ({"architecture": "arm64"}, "is arm64, and this bottle's image is amd64"),
        ({"tools": frozenset({"find", "awk", "sha256sum"})}, "lacks tar"),
        ({"tools": frozenset({"tar", "find", "awk"})}, "lacks sha256sum"),
        ({"writable": False}, "cannot be written"),
        ({"workspace": WorkspacePlace.DENIED}, "cannot be made"),
        ({"free_docker": 1800 * MEGA}, "free at /var/lib/docker"),
        ({"free_home": 1000 * MEGA}, "free at /root/.bottle"),
        ({"disk_workspace": "/data", "free_workspace": 49 * MEGA}, "free at /data"),
        ({"disk_home": "/", "disk_docker": "/", "free_home": 2500 * MEGA, "free_docker": 2500 * MEGA}, "GB free"),
    ],
)
def test_what_makes_a_move_impossible(host: dict[str, Any], said: str) -> None:
    with pytest.raises(PreflightRefused, match=said):
        planned(host=host)


def test_two_homes_on_one_engine_are_no_two_hosts() -> None:
    said = f"is the very one that {IDENTITY} is on already"
    for presence in Presence:
        with pytest.raises(PreflightRefused, match=said) as refusal:
            planned(host={"engine_id": "ours", "presence": presence})
    assert (refusal.value.exit_code, refusal.value.left) == (8, "nothing was changed on either side")
    assert f"bottle fork {IDENTITY}" in refusal.value.next_step
    with pytest.raises(PreflightRefused, match=said):
        planned(host={"engine_id": "ours"}, keep=True)
    planned(host={"engine_id": ""}, engine_id="")  # engines that do not say who they are


def test_what_an_earlier_run_staged_is_not_asked_for_again() -> None:
    with pytest.raises(PreflightRefused):
        planned(host={"free_home": 600 * MEGA})
    planned(host={"free_home": 600 * MEGA, "staged": 600 * MEGA})
    host = replace(HOST, free_home=600 * MEGA)
    with pytest.raises(PreflightRefused):
        require_room(host, "far", 900 * MEGA, left=lambda: "it is stopped")
    require_room(replace(host, staged=300 * MEGA), "far", 900 * MEGA, left=str)


def test_volumes_take_room_there_as_far_as_they_are_known() -> None:
    volumes = {"bottle-demo-abc12-cache": Extent(3 * GIGA)}
    plan, without = planned(volumes=volumes), planned()
    assert [part.size for part in plan.parts][2] == 3 * GIGA
    assert plan.needed_docker == without.needed_docker + 3 * GIGA
    assert plan.needed_home == without.needed_home + 3 * GIGA
    # What comes in a pull is not given to Docker: a volume is composed anew, one after the other.
    more = {**volumes, "other": Extent(1 * GIGA)}
    assert planned(volumes=more, pulled=True).needed_home == without.needed_home + 7 * GIGA
    with pytest.raises(PreflightRefused, match="free at /var/lib/docker"):
        planned(volumes={"bottle-demo-abc12-cache": Extent(9 * GIGA)}, host={"free_home": 100 * GIGA})


def test_this_host_has_room_for_what_is_packed_before_anything_stops() -> None:
    planned(free_here=500 * MEGA)
    planned(free_here=200 * MEGA, packed_here=300 * MEGA)
    with pytest.raises(PreflightRefused, match=r"this host has 209.7 MB free at /home/me/\.bottle") as refusal:
        planned(free_here=200 * MEGA, packed_here=100 * MEGA)
    assert refusal.value.left == "nothing was changed on either side"
    assert "df -h /home/me/.bottle" in refusal.value.next_step
    with pytest.raises(PreflightRefused, match="this host has"):
        planned(free_here=1 * GIGA, volumes={"bottle-demo-abc12-cache": Extent(1 * GIGA)})
    with pytest.raises(PreflightRefused, match="this host has"):
        planned(free_here=1 * GIGA, workspace=Extent(1 * GIGA))


@pytest.mark.parametrize(
    ("what", "part"),
    [
        ("the workspace /work/it", {"workspace": Extent(entries=MOST_ENTRIES)}),
        ("the state", {"state": Extent(entries=MOST_ENTRIES)}),
        ("volume cache", {"volumes": {"cache": Extent(entries=MOST_ENTRIES)}}),
    ],
)
def test_what_a_pull_could_never_unpack_is_refused_before_anything_stops(what: str, part: dict[str, Any]) -> None:
    planned(**part)
    with pytest.raises(PreflightRefused, match=f"{what} has {MOST_ENTRIES} files and folders") as refusal:
        planned(**part, pulled=True)
    assert "without --from" in refusal.value.next_step


def test_names_that_fill_the_memory_are_refused_before_anything_stops() -> None:
    with pytest.raises(PreflightRefused, match="bytes of names"):
        planned(workspace=Extent(entries=9, names=MOST_NAMES + 1))
    volume = {"cache": Extent(entries=9, names=MOST_NAMES + 1)}
    planned(volumes=volume)  # the tar of which is the engine's
    with pytest.raises(PreflightRefused, match="bytes of names"):
        planned(volumes=volume, pulled=True)


def test_a_copy_is_called_what_it_will_be_called_there() -> None:
    other = Identity.parse("demo-00000")
    (line,) = (line for line in lacking(planned(host={"sudo": True}, arrives_as=other).missing_there) if "sudo" in line)
    assert line.endswith(f"bottle resume {other}")
    with pytest.raises(NameTaken, match=str(other)):
        planned(host={"presence": Presence.OWNED}, arrives_as=other)


def test_an_identity_that_is_there_is_not_overwritten_and_one_that_left_may_come_back() -> None:
    with pytest.raises(NameTaken):
        planned(host={"presence": Presence.OWNED})
    assert planned(host={"presence": Presence.MOVED}).workspace == "/work/it"


def test_a_workspace_is_never_put_over_another() -> None:
    with pytest.raises(Conflict, match="never overwritten"):
        planned(host={"workspace": WorkspacePlace.FULL})
    assert planned(host={"workspace": WorkspacePlace.OURS}).workspace == "/work/it"
    with pytest.raises(PreflightRefused, match="is not here"):
        planned(workspace_here=False)
    assert planned(None, host={"workspace": WorkspacePlace.FULL}, workspace_here=False).workspace is None


def test_what_the_bottle_left_there_gives_way_if_nobody_has_touched_it_nor_runs_with_it() -> None:
    left = {"workspace": WorkspacePlace.LEFT, "left": "/work/it"}
    assert planned(host=left).replaces
    assert not planned(host={"workspace": WorkspacePlace.FREE}).replaces
    with pytest.raises(Conflict, match="other works in /work/it on far, which would be replaced") as caught:
        planned(host={**left, "used": ("other",)})
    assert caught.value.next_step.endswith("or stop what uses it there")
    touched = {**left, "workspace": WorkspacePlace.FULL, "differs": ("a", "b"), "differing": 5}
    with pytest.raises(Conflict, match=r"it is not as it was then: a, b, and 3 more$") as caught:
        planned(host=touched)
    assert caught.value.next_step.startswith("move that folder aside there")
    with pytest.raises(Conflict, match="then: 5 of its files and folders differ"):  # of a pull
        planned(host={**touched, "differs": ()})


def test_where_the_workspace_lands() -> None:
    left = replace(HOST, left="/home/me/it", workspace=WorkspacePlace.DENIED)
    assert workspace_path(METADATA, left, None, IDENTITY) == "/home/me/it"
    assert workspace_path(METADATA, left, Path("/else"), IDENTITY) == "/else"
    copy = Identity.parse("demo-zzzzz")
    assert workspace_path(METADATA, left, None, copy) == "/root/.bottle/workspaces/demo-zzzzz"
    denied = replace(HOST, workspace=WorkspacePlace.DENIED)
    assert workspace_path(METADATA, HOST, None, IDENTITY) == "/work/it"
    assert workspace_path(METADATA, denied, None, IDENTITY) == "/root/.bottle/workspaces/demo-abc12"
    assert workspace_path(METADATA, denied, Path("/else"), IDENTITY) == "/else"
    assert workspace_path(replace(METADATA, copy_cwd=True), HOST, Path("/else"), IDENTITY) is None
    assert workspace_path(replace(METADATA, cwd=None), HOST, None, IDENTITY) is None


def test_another_backend_is_refused_by_name() -> None:
    with pytest.raises(BackendUnsupported, match="podman"):
        planned(metadata=replace(METADATA, backend="podman"))


def test_starting_it_there_needs_a_bottle_there() -> None:
    with pytest.raises(PreflightRefused, match="no bottle to resume with"):
        planned(host={"bottle": None}, resume_there=True)
    with pytest.raises(PreflightRefused, match="by sudo only"):
        planned(host={"sudo": True}, resume_there=True)
    planned(resume_there=True)


def test_a_bottle_does_not_come_back_to_a_container_that_went_on_without_it() -> None:
    with pytest.raises(Conflict, match="has run since") as caught:
        planned(host={"presence": Presence.MOVED, "ran_since": ("mine",)})
    assert caught.value.left == "nothing was changed on either side"
    assert "docker commit mine" in caught.value.next_step
    assert planned(host={"presence": Presence.MOVED}).stops


# --- a copy that is brought up to date --------------------------------------------------------------------------------


def copied(*names: str, **host: Any) -> dict[str, Any]:
    """The facts of a copy that is there, of a bottle with these volumes."""
    mounts = tuple(Mount(kind=MountKind.VOLUME, source=name, target=f"/{number}") for number, name in enumerate(names))
    metadata = replace(METADATA, agent=replace(METADATA.agent, volumes=mounts))
    host = {"presence": Presence.OWNED, "copied": True, **host}
    return {"metadata": metadata, "refreshes": True, "host": host}


@pytest.mark.parametrize(
    ("here", "there", "names"),
    [
        (("cache",), ("cache",), {"cache": "cache.2"}),
        (("cache",), ("cache.2",), {"cache": "cache"}),
        (("cache",), ("cache", "cache.2"), {"cache": "cache.3"}),
        (("cache", "cache.2"), ("cache", "cache.2"), {"cache": "cache.3", "cache.2": "cache.2.2"}),
        (("cache", "cache.2"), ("cache",), {"cache": "cache.2", "cache.2": "cache.2.2"}),
        (("cache", "cache"), ("cache",), {"cache": "cache.2"}),
    ],
)
def test_its_volumes_get_names_that_are_not_taken_there(
    here: tuple[str, ...], there: tuple[str, ...], names: dict[str, str]
) -> None:
    plan = planned(**copied(*here, volumes=frozenset(IDENTITY.volume(name) for name in there)))
    assert plan.renamed == names


def test_others_keep_the_names_of_their_volumes() -> None:
    facts = copied("cache") | {"host": {"volumes": frozenset({IDENTITY.volume("cache")})}}
    assert planned(**facts).renamed == {}


def test_one_whose_volume_a_container_has_is_not_replaced() -> None:
    used = ((IDENTITY.volume("cache"), "looking"),)
    with pytest.raises(Conflict, match=f"is in use: container looking has its volume {IDENTITY.volume('cache')}"):
        planned(**copied("cache", volumes_used=used))
