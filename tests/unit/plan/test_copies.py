"""What of a bottle exists nowhere else: each thing that a deletion takes, at each place where a copy of it may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from bottle.model import (
    Arrived,
    CommitRecord,
    ContainerFacts,
    ContainerMark,
    ImageDefaults,
    ImageFacts,
    Mount,
    MountKind,
    Status,
)
from bottle.naming import Identity
from bottle.plan.copies import Holdings, counted, named_commits, only_copies

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, tzinfo=UTC)
ME, FORK = Identity.parse("demo-abcde"), Identity.parse("demo-fork1")
VOLUME = ME.volume("cache")


def commit(number: int, *layers: str, running: bool = True, expired: bool = False) -> CommitRecord:
    return CommitRecord(
        number=number,
        tag=ME.committed(number),
        config_digest="config",
        diff_ids=("base", *layers),
        created_at=NOON,
        mark=ContainerMark(container_id="c1", started_at=NOON, running=running),
        expired=expired,
    )


def image(*layers: str, tags: tuple[str, ...] = (), labels: dict[str, str] | None = None) -> ImageFacts:
    return ImageFacts(
        id=f"sha256:{'-'.join(layers)}",
        tags=tags,
        diff_ids=("base", *layers),
        config_digest="config",
        architecture="amd64",
        os="linux",
        size=1,
        created_at=NOON,
        labels=labels or {},
        defaults=ImageDefaults(),
    )


def container(started: datetime | None = NOON, *, anonymous: bool = False) -> ContainerFacts:
    mount = Mount(kind=MountKind.VOLUME, source="0" * 64, target="/data", anonymous=True)
    return ContainerFacts(
        id="c1",
        name=ME.container,
        image="sha256:base",
        status=Status.EXITED,
        created_at=NOON,
        started_at=started,
        finished_at=None,
        exit_code=0,
        labels={},
        mounts=(mount,) if anonymous else (),
    )


ONE, TWO = commit(1, "1"), commit(2, "2", running=False)
ON_ONE = commit(2, "1", "2", running=False)
THERE = Arrived(commits=(2,), volumes=(VOLUME,))
BOTH = Arrived(commits=(1, 2), volumes=(VOLUME,))
MOVED = Holdings(
    identity=ME,
    commits=(ONE, TWO),
    images=(image("1", tags=(ME.committed(1),)), image("2", tags=(ME.committed(2), ME.committed_latest))),
    container=container(),
    volumes=(VOLUME,),
    transcript=True,
    arrived=BOTH,
)


def with_one(*tags: str, **labels: str) -> Holdings:
    """Only commit 2 arrived, and the image of commit 1 is called so here."""
    first = image("1", tags=tags, labels={f"bottle.{key}": value for key, value in labels.items()})
    return replace(MOVED, arrived=THERE, images=(first, MOVED.images[1]))


def test_a_bottle_whose_every_work_arrived_has_nothing_that_is_only_here() -> None:
    assert not only_copies(MOVED)
    assert only_copies(MOVED).parts == ()


PLACES: dict[str, tuple[Holdings, tuple[int, ...]]] = {
    "there": (MOVED, ()),
    "here alone": (with_one(ME.committed(1)), (1,)),
    "in a fork here": (with_one(ME.committed(1), FORK.committed(1)), ()),
    "under a name of the user's": (with_one(ME.committed(1), "mine:1"), ()),
    "here, and its tag lost": (with_one(), (1,)),
    "under its own Dockerfile's tag": (with_one(ME.rebuilt), (1,)),
    "in layers of the one that arrived": (replace(with_one(ME.committed(1)), commits=(ONE, ON_ONE)), (1,)),
    "nowhere": (replace(MOVED, arrived=THERE, images=MOVED.images[1:]), ()),
    "given up by `keep`": (replace(with_one(ME.committed(1)), commits=(replace(ONE, expired=True), TWO)), ()),
    "the same as what arrived": (
        replace(with_one(ME.committed(1)), commits=(replace(TWO, number=1), TWO), images=MOVED.images[1:]),
        (),
    ),
    "of a bottle that lives here": (replace(MOVED, arrived=None), (1, 2)),
    "of one that lives here, in a fork": (
        replace(MOVED, arrived=None, images=(with_one(ME.committed(1), FORK.committed(1)).images[0], MOVED.images[1])),
        (2,),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_commit_is_only_here_unless_it_can_be_resumed_from_somewhere_else(place: str) -> None:
    held, numbers = PLACES[place]
    if place == "in layers of the one that arrived":
        held = replace(held, images=(held.images[0], image("1", "2", tags=(ME.committed(2),))))
    assert only_copies(held).commits == numbers


def test_what_goes_and_how_it_is_kept_is_said() -> None:
    only = only_copies(with_one(ME.committed(1)))
    assert only.parts == ("commit 1",)
    assert only.keeping(ME) == f"docker save {ME.committed(1)} | zstd > {ME}-commits.tar.zst"
    nameless = only_copies(with_one())
    assert nameless.keeping(ME).startswith("docker save sha256:1 |")


def test_an_image_of_its_name_that_no_history_knows_may_be_work() -> None:
    mine = image("x", tags=(ME.committed(9),))
    cut = image("y")
    for build in (image("z", tags=(ME.rebuilt,)), image("z", tags=(ME.trial,))):
        assert not only_copies(replace(MOVED, images=(*MOVED.images, build)))
    only = only_copies(replace(MOVED, images=(*MOVED.images, mine, cut)))
    assert only.images == (ME.committed(9), "sha256:y")
    assert only.parts == tuple(f"image {each}, which is in no history" for each in only.images)


@pytest.mark.parametrize(
    ("held", "only"),
    [
        (MOVED, None),
        (replace(MOVED, container=None), None),
        (replace(MOVED, container=container(None)), None),
        (replace(MOVED, container=container(LATER)), "a container that has run since its last commit"),
        (
            replace(MOVED, container=container(anonymous=True)),
            "a container that has run since its last commit, with /data in a volume without a name",
        ),
        (replace(MOVED, commits=(ONE,), images=MOVED.images[:1]), "a container that has run since its last commit"),
        (replace(MOVED, commits=(), images=(), arrived=None), "a container that has run"),
        (replace(MOVED, arrived=None), None),  # what it did is in commit 2, which is named
        (replace(MOVED, commits=(ONE, replace(TWO, expired=True)), arrived=None), "a container that has run since"),
    ],
)
def test_a_container_is_only_here_when_no_commit_that_is_safe_has_its_work(held: Holdings, only: str | None) -> None:
    found = [part for part in only_copies(held).parts if "container" in part]
    assert len(found) == (only is not None)
    assert all(part.startswith(only or "") for part in found)


@pytest.mark.parametrize(
    ("held", "volumes"),
    [
        (MOVED, ()),
        (replace(MOVED, arrived=replace(BOTH, volumes=())), (VOLUME,)),
        (replace(MOVED, container=None), ()),
        (replace(MOVED, container=container(LATER)), (VOLUME,)),  # it may have been written to since
        (replace(MOVED, arrived=None), (VOLUME,)),
        (replace(MOVED, arrived=None, container=None), (VOLUME,)),
        (replace(MOVED, arrived=None, container=container(None)), (VOLUME,)),  # one before it may have run
    ],
)
def test_a_volume_is_only_here_when_it_did_not_go_along_or_was_used_since(
    held: Holdings, volumes: tuple[str, ...]
) -> None:
    assert only_copies(held).volumes == volumes


def test_the_transcript_goes_along_with_every_move() -> None:
    assert not only_copies(MOVED).transcript
    assert only_copies(replace(MOVED, arrived=None)).transcript
    assert not only_copies(replace(MOVED, arrived=None, transcript=False)).transcript


def test_a_history_whose_images_are_on_another_engine_is_work_too() -> None:
    elsewhere = replace(MOVED, arrived=None, images=(), container=None, volumes=(), transcript=False)
    assert only_copies(elsewhere).parts == ("a history of 2 commits, without images here",)
    assert not only_copies(replace(elsewhere, arrived=THERE))  # the history went along


def test_nothing_is_called_safe_that_is_not_known_to_be_elsewhere() -> None:
    """Every combination: a commit is either named, or there, or has another name here, or has no image here."""
    for tags, arrived, expired in product(
        ((), (ME.committed(1),), (ME.committed(1), "mine:1"), None),
        (None, Arrived(commits=()), Arrived(commits=(1,)), Arrived(commits=(2,))),
        (False, True),
    ):
        held = replace(
            MOVED,
            commits=(replace(ONE, expired=expired), TWO),
            images=() if tags is None else (image("1", tags=tags),),
            arrived=arrived,
        )
        safe = tags is None or "mine:1" in tags or expired or (arrived is not None and 1 in arrived.commits)
        assert (1 in only_copies(held).commits) == (not safe)


def test_numbers_and_counts_read_well() -> None:
    assert [named_commits(range(1, last)) for last in (2, 3, 4)] == [
        "commit 1",
        "commits 1 and 2",
        "commits 1, 2 and 3",
    ]
    assert named_commits(range(1, 21)) == "commits 1, 2, 3, 4, 5, 6, 7 and 13 more"
    assert (counted(1, "image"), counted(0, "image"), counted(2, "image")) == ("1 image", "0 images", "2 images")
