"""Names: identities of bottles, and what containers, images and volumes are called after them."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Self

from bottle.errors import InvalidIdentity

SUFFIX_LENGTH = 5
SUFFIX_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

# An agent's name becomes part of an image's name, so it follows the grammar of a repository component:
# https://github.com/distribution/reference/blob/main/reference.go
_AGENT_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_AGENT_NAME_LENGTH = 64
_BOTTLE_NAME_LENGTH = 64
# What would make an agent's built image look like a bottle's commit.
_RESERVED_PREFIXES = ("committed-", "rebuilt-")
_IDENTITY = re.compile(rf"(?P<agent>[a-z0-9][a-z0-9_.-]*)-(?P<suffix>[0-9a-z]{{{SUFFIX_LENGTH}}})")

LABEL_SCHEMA = "bottle.schema"
LABEL_IDENTITY = "bottle.identity"
LABEL_AGENT = "bottle.agent"
LABEL_COMMIT = "bottle.commit"
LABEL_NONCE = "bottle.nonce"
LABEL_PART = "bottle.first-layers"  # the nonce of a commit of which an image is the first layers, and no more

HELPER_IMAGE = "bottle_helper:latest"  # no agent's: their images' names begin with `bottle-`


def is_agent_name(text: str) -> bool:
    """Whether `text` can name an agent, and so be part of an image's name."""
    return (
        len(text) <= _AGENT_NAME_LENGTH
        and _AGENT_NAME.fullmatch(text) is not None
        and not text.startswith(_RESERVED_PREFIXES)
    )


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """`<agent>-<suffix>`: one launch of an agent. `Identity.parse(str(i)) == i`."""

    agent: str
    suffix: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identity; anything else, a path or an option among them, raises InvalidIdentity."""
        match = _IDENTITY.fullmatch(text)
        if match is None or not is_agent_name(match["agent"]):
            raise InvalidIdentity(
                f"{text!r} is no identity of a bottle: expected <agent>-<5 of 0-9a-z>, such as claude-x7k2p",
                next_step="bottle list",
            )
        return cls(match["agent"], match["suffix"])

    @classmethod
    def fresh(cls, agent: str) -> Self:
        """A new identity with a random suffix."""
        return cls(agent, "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(SUFFIX_LENGTH)))

    def __str__(self) -> str:
        return f"{self.agent}-{self.suffix}"

    @property
    def container(self) -> str:
        """Name of the bottle's container."""
        return f"bottle-{self}"

    @property
    def draft(self) -> str:
        """Name of the bottle's next container until all that belongs in it is there; no identity ends like this."""
        return f"{self.container}.new"

    @property
    def containers(self) -> tuple[str, str]:
        """All names that containers of this bottle have."""
        return self.container, self.draft

    @property
    def committed_repository(self) -> str:
        """Repository of the bottle's commits."""
        return f"bottle-committed-{self}"

    @property
    def committed_latest(self) -> str:
        """Tag that follows the newest commit, for people who carry it by hand."""
        return f"{self.committed_repository}:latest"

    def committed(self, number: int) -> str:
        """Tag of commit `number`."""
        return f"{self.committed_repository}:{number}"

    def committing(self, nonce: str) -> str:
        """Tag of a commit in flight: one that finishes after it was given up takes no other commit's tag."""
        return f"{self.committed_repository}:in-flight-{nonce}"

    def unfolded(self, nonce: str) -> str:
        """Tag of a commit in flight that gives way to its squashed form: without one it could be anybody's work."""
        return f"{self.committing(nonce)}-unfolded"

    def part(self, nonce: str, number: int) -> str:
        """Tag of an image that has the first layers of a commit in flight, and is of no use without it."""
        return f"{self.committing(nonce)}-part-{number}"

    def is_in_flight(self, tag: str) -> bool:
        """Whether only a commit in flight is called `tag`."""
        return tag.startswith(self.committing(""))

    @property
    def rebuilt(self) -> str:
        """Tag of the image built from the bottle's own Dockerfile."""
        return f"bottle-rebuilt-{self}:latest"

    @property
    def trial(self) -> str:
        """Tag of the image that a requested Dockerfile was built into before it was approved."""
        return f"bottle-rebuilt-{self}:trial"

    def has_tag(self, tag: str) -> bool:
        """Whether an image is called `tag` as one of this bottle's, by commit or by build."""
        return tag.startswith(f"{self.committed_repository}:") or tag in {self.rebuilt, self.trial}

    def volume(self, name: str) -> str:
        """Docker's name of this bottle's volume that the manifest calls `name`."""
        return f"bottle-{self}-{name}"


def declared_volume(target: str) -> str:
    """What a volume that an image declares at `target` is called, where no manifest names one."""
    return "image" + re.sub(r"[^A-Za-z0-9_.-]", "-", target)


def generations(name: str) -> Iterator[str]:
    """What a volume that the manifest calls `name` is called in a copy, which is brought up to date time and again."""
    yield name
    yield from (f"{name}.{number}" for number in count(2))


def is_declared(name: str, target: str) -> bool:
    """Whether a volume at `target` is called as one that an image declares there, in whatever copy."""
    return re.fullmatch(rf"{re.escape(declared_volume(target))}(?:\.[0-9]+)*", name) is not None


def built_image(agent: str) -> str:
    """Tag of the image built from an agent's Dockerfile."""
    return f"bottle-{agent}:latest"


def is_bottle_name(text: str) -> bool:
    """Whether `text` can be a bottle's second name, as people call it: it is typed where an identity may be."""
    return len(text) <= _BOTTLE_NAME_LENGTH and is_identity_prefix(text)


def is_identity_prefix(text: str) -> bool:
    """Whether `text` could begin an identity: nothing but the characters that identities are made of."""
    return re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", text) is not None
