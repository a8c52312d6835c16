"""Which versions of a bottle `diff` compares."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bottle.errors import BottleError, NotFound, UsageError
from bottle.model import CommitRecord
from bottle.naming import Identity
from bottle.plan.versions import IMAGE, NOW, Version, VersionFacts, versions_meant

WHO = Identity.parse("demo-abcde")


def commit(number: int, parent: int | None) -> CommitRecord:
    return CommitRecord(
        number=number,
        tag=WHO.committed(number),
        config_digest="",
        diff_ids=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        parent=parent,
    )


COMMITS = (commit(1, None), commit(2, 1), commit(3, 2), commit(4, 2))


def facts(
    commits: tuple[CommitRecord, ...] = COMMITS, *, container: bool = True, last: int | None = 4, gone: int = 0
) -> VersionFacts:
    return VersionFacts(
        identity=WHO,
        commits=commits,
        committed_tag=commits[-1].tag if commits else None,
        container=container,
        last=last,
        present=frozenset(each.number for each in commits) - {gone},
    )


@pytest.mark.parametrize(
    ("known", "words", "meant"),
    [
        (facts(), (), ("4", "now")),
        (facts(last=3), (), ("3", "now")),
        (facts((), last=None), (), ("image", "now")),
        (facts(), ("image",), ("image", "now")),
        (facts(), ("2",), ("2", "now")),
        (facts(), ("2", "3"), ("2", "3")),
        (facts(), ("3", "2"), ("3", "2")),
        (facts(), ("now", "image"), ("now", "image")),
        (facts(container=False), (), ("2", "4")),
        (facts(container=False, gone=2), (), ("3", "4")),
        (facts(COMMITS[:1], container=False), (), ("image", "1")),
        (facts(container=False), ("1",), ("1", "4")),
        (facts(container=False), ("image",), ("image", "4")),
    ],
)
def test_what_is_compared(known: VersionFacts, words: tuple[str, ...], meant: tuple[str, str]) -> None:
    before, after = versions_meant(known, words)
    assert (str(before), str(after)) == meant
    assert Version.parse(str(before)) == before


@pytest.mark.parametrize(
    ("known", "words", "error", "says"),
    [
        (facts(), ("5",), NotFound, "has no commit 5; it has: 1, 2, 3, 4"),
        (facts(gone=3), ("3",), NotFound, "the image of commit 3"),
        (facts(), ("latest",), UsageError, "'latest' is no version"),
        (facts(), ("-1",), UsageError, "no version"),
        (facts(), ("1", "2", "3"), UsageError, "at most two"),
        (facts(container=False), ("1", "now"), NotFound, "has no container"),
        (facts((), container=False, last=None), (), NotFound, "neither a container nor a commit"),
    ],
)
def test_what_cannot_be_compared_is_named(
    known: VersionFacts, words: tuple[str, ...], error: type[BottleError], says: str
) -> None:
    with pytest.raises(error, match=says):
        versions_meant(known, words)


def test_versions_are_told_in_words() -> None:
    assert [each.described for each in (Version(3), IMAGE, NOW)] == ["commit 3", "the image that it began with", "now"]
