"""What a script of the far host is: its arguments, how it is reached and fed, and how it may end."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum, IntEnum
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Self

from bottle.errors import InvalidIdentity
from migrate.model import EngineAccess, RemoteCommand


class ScriptStatus(IntEnum):
    """How a script ends. `scripts/common.sh` has all but the first under the same names."""

    DONE = 0
    LISTING_FAILED = 20  # of the engine's images
    STORAGE_FAILED = 21  # a file or a folder is not there, or cannot be written
    CAME_SHORT = 22
    NOT_AS_SENT = 23
    ENGINE_FAILED = 24
    NO_CONTAINER = 25  # can be made of the image
    UNPACKING_FAILED = 26
    IN_THE_WAY = 27  # a bottle, or what is in use
    WORKSPACE_IN_THE_WAY = 28
    NOT_INSTALLED = 44


class Effect(Enum):
    """What a script does to a bottle that lives where it is run."""

    LOOKS = "changes nothing"
    SETTLES = "asks how its move ended, or clears up after it: the bottle stays as it is"
    CHANGES = "may replace it, or what is its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a script reads: up to `most` bytes. Where it is text, each line of it is what `line` matches."""

    most: int = 0
    line: re.Pattern[str] | None = None


_ACCESS: Mapping[str, Callable[[EngineAccess], str]] = {
    "SUDO": lambda access: "yes" if access.sudo else "no",
    "DOCKER": lambda access: access.docker,
    "ROOT": lambda access: access.docker_root,
}


@cache
def _text(name: str) -> str:
    return files("migrate.host").joinpath("scripts", f"{name}.sh").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script with its arguments, which are the fields, in this order.

    `access` is what it is told of the engine, ahead of them; `exits` is how it may end, other than well. What `streams`
    may run beside others, while its input still comes. `places`: it looks at what stands in its place there, or changes
    it, by `scripts/places.sh`; what is sent with each piece is to be short.
    """

    access: ClassVar[tuple[str, ...]] = ()
    stdin: ClassVar[Input] = Input()
    exits: ClassVar[frozenset[ScriptStatus]] = frozenset()
    effect: ClassVar[Effect] = Effect.CHANGES
    streams: ClassVar[bool] = False
    places: ClassVar[bool] = False

    @classmethod
    def name(cls) -> str:
        """What it is called, as a file and on the wire."""
        return cls.__name__.lower()

    @classmethod
    def parse(cls, args: Sequence[str]) -> Self:
        """Read arguments that may be anything. What they say of the engine is not read at all.

        Raises ValueError, whose text is the argument that cannot be, if it is one.
        """
        own = args[len(cls.access) :]
        if len(args) != len(cls.access) + len(fields(cls)):
            raise ValueError
        return cls(**{each.name: _parsed(each.type, text) for each, text in zip(fields(cls), own, strict=True)})

    def values(self) -> tuple[object, ...]:
        """Its own arguments."""
        return tuple(getattr(self, each.name) for each in fields(self))

    def command(self, access: EngineAccess) -> RemoteCommand:
        """What is run on a host whose engine is reached by `access`."""
        return self._command(*(_ACCESS[each](access) for each in self.access))

    def _command(self, *access: str) -> RemoteCommand:
        shared = (*(("places",) if self.places else ()), *(("docker",) if self.access else ()))
        return RemoteCommand(
            script="".join(map(_text, ("common", *shared, self.name()))),
            name=self.name(),
            args=(*access, *map(str, self.values())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainScript(Script):
    """A script that does without the engine."""

    def command(self, access: EngineAccess | None = None) -> RemoteCommand:
        """What is run, on any host."""
        return self._command()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineScript(Script):
    """A script that uses the engine there, by the path and the rights that preflight found."""

    access: ClassVar[tuple[str, ...]] = ("SUDO", "DOCKER")


def _parsed(kind: Any, text: str) -> object:
    """The value that `text` is, and that would be spelt so again. Raises ValueError."""
    try:
        text.encode("utf-8", "surrogateescape")  # half characters, as JSON can spell them, are no bytes
        value = kind.parse(text)
    except (ValueError, InvalidIdentity) as exc:
        raise ValueError(text) from exc
    if str(value) != text:
        raise ValueError(text)
    return value
