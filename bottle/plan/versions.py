"""Which two versions of a bottle's filesystem `diff` compares. Pure."""

from dataclasses import dataclass
from typing import Self

from bottle.errors import NotFound, UsageError
from bottle.model import CommitRecord
from bottle.naming import Identity
from bottle.plan.history import commit_in_force, find_commit

_IMAGE, _NOW = "image", "now"


@dataclass(frozen=True, slots=True)
class Version:
    """One of them: a commit by its number, or one of IMAGE and NOW. `Version.parse(str(v)) == v`."""

    commit: int | None = None
    word: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the number of a commit, `image` or `now`. Raises UsageError."""
        if text in {_IMAGE, _NOW}:
            return cls(word=text)
        if text.isascii() and text.isdigit() and len(text) < 10:
            return cls(commit=int(text))
        raise UsageError(f"{text!r} is no version: expected the number of a commit, `{_IMAGE}` or `{_NOW}`")

    def __str__(self) -> str:
        return self.word or str(self.commit)

    @property
    def described(self) -> str:
        """In words."""
        if self.commit is not None:
            return f"commit {self.commit}"
        return "the image that it began with" if self.word == _IMAGE else "now"


IMAGE, NOW = Version(word=_IMAGE), Version(word=_NOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """What decides which versions are meant. `last` is the number of the commit that the container descends from.

    `container`: there is one. `present` are the numbers of the commits whose layers are here.
    """

    identity: Identity
    commits: tuple[CommitRecord, ...]
    committed_tag: str | None
    container: bool
    last: int | None
    present: frozenset[int]


def versions_meant(facts: VersionFacts, words: tuple[str, ...]) -> tuple[Version, Version]:
    """The earlier one and the later one. Raises UsageError for what is no version, or NotFound.

    Without `words`: from the last commit to the work now, as `git diff` does, or where there is no container what the
    last commit changed. With one: from there to the work now, or to the last commit.
    """
    asked = tuple(map(Version.parse, words))
    if len(asked) > 2:
        raise UsageError("at most two versions can be compared")
    latest = _latest(facts)
    match asked:
        case (before, after):
            found = before, after
        case (before,):
            found = before, latest
        case _:
            found = _before(facts, latest), latest
    for each in found:
        _require(facts, each)
    return found


def _latest(facts: VersionFacts) -> Version:
    if facts.container:
        return NOW
    commit = commit_in_force(facts.commits, facts.committed_tag)
    if commit is None:
        raise NotFound(
            f"{facts.identity} has neither a container nor a commit, so there is nothing to compare",
            next_step=f"bottle resume {facts.identity}",
        )
    return Version(commit.number)


def _before(facts: VersionFacts, latest: Version) -> Version:
    """What the latest version was made of: the last commit, or of a commit the newest one before it that is here."""
    if latest == NOW:
        return Version(facts.last) if facts.last is not None else IMAGE
    earlier = [number for number in facts.present if number < (latest.commit or 0)]
    parent = next((each.parent for each in facts.commits if each.number == latest.commit), None)
    if parent in facts.present:
        return Version(parent)
    return Version(max(earlier)) if earlier else IMAGE


def _require(facts: VersionFacts, version: Version) -> None:
    identity = facts.identity
    if version == NOW and not facts.container:
        raise NotFound(
            f"{identity} has no container, so there is no work but what its commits hold",
            next_step=f"bottle history {identity}",
        )
    if version.commit is None:
        return
    find_commit(identity, facts.commits, version.commit)
    if version.commit not in facts.present:
        raise gone(identity, version.commit)


def gone(identity: Identity, number: int) -> NotFound:
    """A commit that cannot be compared with anything any more."""
    return NotFound(
        f"the image of commit {number} of {identity} is gone, or its tag names another one",
        next_step=f"bottle history {identity} shows what is here; bottle diff {identity} image",
    )
