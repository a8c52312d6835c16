"""Which commits may go: the agent's `keep` decides by count and age, and some are never given up. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bottle.model import CommitRecord, Retention


def expired(
    commits: tuple[CommitRecord, ...],
    keep: Retention | None,
    *,
    now: datetime,
    in_force: str | None,
    needed: Iterable[int] = (),
) -> tuple[CommitRecord, ...]:
    """The commits that no rule keeps, oldest first; those that expired before are not among them.

    A commit stays when it is one of the newest `keep.commits`, or younger than `keep.days`. The newest always stays,
    the one in force (by its tag) does, and those whose numbers are `needed` by other bottles do. So does one that no
    later commit descends from, such as the last before an approved rebuild or before going back with `--at`: its work
    is in no other. Age counts up to the commit before the newest: one that is made while the clock is wrong lets
    nothing go that was young before it.
    """
    if keep is None or (keep.commits is None and keep.days is None):
        return ()
    standing = [commit for commit in commits if not commit.expired]
    newest = {commit.number for commit in standing[-max(1, keep.commits or 1) :]}
    until = min([now, *(commit.created_at for commit in standing[-2:-1])])
    young = timedelta(days=keep.days) if keep.days is not None else None
    kept = newest | set(needed) | ends({commit.number: commit.parent for commit in commits})
    return tuple(
        commit
        for commit in standing
        if commit.number not in kept and commit.tag != in_force and (young is None or until - commit.created_at > young)
    )


def ends(parents: Mapping[int, int | None]) -> set[int]:
    """The numbers of the commits from which no other one descends, by what each descends from."""
    return set(parents) - set(parents.values())
