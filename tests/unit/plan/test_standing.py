"""What a commit stands on: never deep, and never on what is not kept."""

from __future__ import annotations

from datetime import UTC, datetime

from bottle.model import CommitRecord
from bottle.plan.standing import kept_indexes, standing_on


def commits(count: int) -> list[CommitRecord]:
    """A container's commits, numbered from 100 on."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        CommitRecord(number=100 + each, tag="t", config_digest="", diff_ids=(), created_at=made)
        for each in range(count)
    ]


def test_a_first_commit_stands_on_none() -> None:
    assert standing_on(()) == ()
    assert kept_indexes(()) == frozenset()


def test_depth_is_bounded_and_what_is_stood_on_was_kept() -> None:
    every = commits(1100)
    depth, kept = {100: 1}, frozenset({100})
    for count in range(1, len(every)):
        on = standing_on(every[:count])[0]
        assert on in kept, "its index was thrown away"
        depth[100 + count] = depth[on] + 1
        kept = kept_indexes(every[: count + 1]) & (kept | {100 + count})
        assert len(kept) <= 4
    assert max(depth.values()) <= 1 + 3 * 15
    assert depth[100 + 16] == depth[100 + 256] == 2


def test_where_the_best_is_not_to_be_had_the_newest_comes_next() -> None:
    assert standing_on(commits(16)) == (100, *range(115, 100, -1))
    assert standing_on(commits(3)) == (102, 101, 100)
