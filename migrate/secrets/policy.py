"""Before an image leaves this machine: which credentials are in it. They are reported by path, never by value.

Looked through are the layers that a bottle wrote itself, not those of its agent's image, and the image's config. What
is compressed or encoded inside a file is not unpacked. `scan` says what counts as one.
"""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from tarfile import LNKTYPE

from bottle.errors import PreflightRefused
from bottle.model import CommitRecord, ImageFacts, Metadata
from bottle.ports import Progress
from bottle.tar.reader import TarStream
from migrate.secrets.patterns import SHORTEST, Finder
from migrate.secrets.scan import Find, ScannedEntry

CONFIG = "the image's config"
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may leave all the same: everything, or what matches one of the globs `carry` or lies below it."""

    everything: bool = False
    carry: tuple[str, ...] = ()

    def admits(self, find: Find) -> bool:
        """Whether a find may go along. A `*` also stands for slashes."""
        return self.everything or any(
            fnmatch.fnmatchcase(find.path, glob) or fnmatch.fnmatchcase(find.path, f"{glob}/*") for glob in self.carry
        )


def own_layers(metadata: Metadata, image: CommitRecord | ImageFacts) -> tuple[str, ...]:
    """The layers of an image that the bottle wrote itself, lowest first; all where its base is not below."""
    base = metadata.base
    return image.diff_ids[len(base) :] if image.diff_ids[: len(base)] == base else image.diff_ids


def finder_for(metadata: Metadata, environ: Mapping[str, str], progress: Progress) -> Finder:
    """A finder that also knows the values which the agent's secrets have now. Says which are not looked for."""
    for name in metadata.agent.secrets:
        if name not in environ:
            progress.note(f"{name} is not in the environment: its value is not looked for in the image")
    values = {
        name: environ[name].encode("utf-8", "surrogateescape") for name in metadata.agent.secrets if name in environ
    }
    for name, value in values.items():
        if len(value) < SHORTEST:
            progress.note(f"the value of {name} is too short to be looked for in the image")
    return Finder({name: value for name, value in values.items() if len(value) >= SHORTEST})


def entries(tar: Iterable[bytes]) -> Iterator[ScannedEntry]:
    """What a layer's tar holds. Raises VerificationFailed when it cannot be read entry by entry."""
    stream = TarStream(tar)
    for member in stream.members():
        yield ScannedEntry(
            path="/" + member.name.removeprefix("./").strip("/"),
            size=member.size,
            data=stream.data() if member.is_file else None,
            again=member.type == LNKTYPE,
        )


def require_clean(
    finds: Iterable[Find], allowed: Allowed, *, subject: str, left: str, next_step: str
) -> tuple[str, ...]:
    """What goes along because that is allowed, a line each. Raises PreflightRefused where something is not."""
    finds = tuple(finds)
    refused = [str(find) for find in finds if not allowed.admits(find)]
    if refused:
        more = [f"and {len(refused) - _SHOWN} more"] if len(refused) > _SHOWN else []
        raise PreflightRefused(
            f"credentials would leave this machine in the image of {subject}",
            details=(*refused[:_SHOWN], *more),
            left=left,
            next_step=next_step,
        )
    return tuple(map(str, finds))


def send_along(metadata: Metadata) -> str:
    """What to do about finds."""
    return (
        f'carry = ["/PATH"] in [agents.{metadata.agent.name}] of bottle.toml, for each that belongs to the bottle; '
        "then the same command   (all of them, this once: with --allow-secrets)"
    )


def texts(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a JSON document, keys too, and where they are."""
    match value:
        case str():
            name, equals, _ = value.partition("=")
            known = where.endswith(".Env") and equals
            yield (f", {where.rpartition('.')[2]} {name}" if known else f", {where.lstrip('.')}"), value
        case list():
            for index, each in enumerate(value):
                yield from texts(each, where if where.endswith(".Env") else f"{where}[{index}]")
        case dict():
            for key, each in value.items():
                yield f", a key of {where.lstrip('.') or 'it'}", str(key)
                yield from texts(each, f"{where}.{key}")
        case _:
            return
