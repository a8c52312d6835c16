"""What does not travel with a bottle, and what it lacks where it goes, in words."""

from collections.abc import Iterable
from dataclasses import dataclass

from bottle.model import Missing, MissingKind, StayKind, Stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What the two hosts are called from where the user sits."""

    source: str
    destination: str


SENDING = Sides(source="here", destination="there")
FETCHING = Sides(source="there", destination="here")

_STAYS = {
    StayKind.SECRET: "secret {0.name}: taken from the environment {there}",
    StayKind.FOLDER: "host folder {0.name}, mounted at {0.place}",
    StayKind.COMMITS: "the images of other commits; their entries in the history travel",
    StayKind.COMMIT_VOLUME: "the volume for {0.name}, which only other commits have",
    StayKind.BUILD_FOLDER: "the folder of the agent's Dockerfile, {0.name}",
    StayKind.NETWORK: "network {0.name}: it must exist {there}",
    StayKind.PORT: "port {0.name}: it must be free {there}",
    StayKind.GPUS: "GPUs ({0.name}): they must exist {there}",
    StayKind.HOME: "bottle's own folder {0.name}, which lies in the workspace",
    StayKind.FRACTIONS: "fractions of a second in the times of files: the tar of {0.name} is busybox's",
    StayKind.LINE: "{0.name}",
}
_MISSING = {
    MissingKind.BOTTLE: "bottle itself: pipx install agent-bottle {there}, before `bottle resume`",
    MissingKind.RIGHTS: "the right to use Docker without sudo: {there}, "
    "sudo BOTTLE_HOME={0.name} bottle resume {0.identity}",
    MissingKind.SECRET: "secret {0.name}: set it {there} before `bottle resume`",
    MissingKind.LINE: "{0.name}",
}


def stays_line(item: Stays, sides: Sides = SENDING) -> str:
    """Something that does not travel."""
    if item.kind is StayKind.COMMITS and item.name:
        return f"the images of other commits: {item.name}; their entries in the history travel"
    return _STAYS[item.kind].format(item, there=sides.destination)


def missing_line(item: Missing, sides: Sides = SENDING) -> str:
    """Something that the destination lacks."""
    return _MISSING[item.kind].format(item, there=sides.destination)


def staying(items: Iterable[Stays], sides: Sides = SENDING) -> list[str]:
    """What does not travel, a line each."""
    return [stays_line(item, sides) for item in items]


def missing(items: Iterable[Missing], sides: Sides = SENDING) -> list[str]:
    """What the destination lacks, a line each; of one that fetches, bottle itself is there whatever was said."""
    return [missing_line(item, sides) for item in items if sides == SENDING or item.kind is not MissingKind.BOTTLE]
