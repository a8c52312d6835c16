"""Read a bottle's folder of requests as a tar that nobody vouches for: nothing of it is ever a path on this host.

```
<number>.reason       why, UTF-8
<number>.Dockerfile   what the bottle is to be built from, UTF-8
<number>.ready        empty: the other two are whole
```
"""

import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field

from bottle.files.chunks import SealedReader
from bottle.requests.request import MAX_DOCKERFILE, MAX_REASON, Asked

MAX_STREAM = 64 * 1024 * 1024  # bytes read of the folder at one time
MAX_ENTRIES = 1000  # files, links and folders looked at in it at one time

_NAME = re.compile(r"([1-9][0-9]{0,8})\.(reason|Dockerfile|ready)")
_LIMITS = {"reason": MAX_REASON, "Dockerfile": MAX_DOCKERFILE, "ready": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The requests that are ready, by number, and what to tell the operator about the rest."""

    asked: tuple[Asked, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Parts:
    """What was found of one request: texts by kind, and what is wrong."""

    texts: dict[str, str] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)
    ready: bool = False


class _Enough(Exception):
    """All that may be read of the folder has been read."""


class _Budgeted(SealedReader):
    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__(chunks)
        self._left = MAX_STREAM

    def read(self, size: int = -1) -> bytes:
        """As ChunkReader does, until there was enough."""
        data = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _Enough
        return data


def read_folder(chunks: Iterable[bytes]) -> Folder:
    """The requests in the tar of a folder; of a tar that is too long or damaged, those that came before.

    A file that is too large is skipped, never held in memory; whatever has no request's name is passed over.
    """
    found: dict[int, _Parts] = {}
    notes: tuple[str, ...] = ()
    try:
        source = _Budgeted(chunks)
        with tarfile.open(mode="r|", fileobj=source) as archive:  # type: ignore[call-overload]
            for count, member in enumerate(archive):
                if count > MAX_ENTRIES:
                    raise _Enough
                _look_at(archive, member, found)
        source.finish(archive.offset)
    except _Enough:
        notes = (
            "the bottle's request folder holds too much, and was not read to its end "
            f"(limits: {MAX_ENTRIES} entries, {MAX_STREAM // 1024**2} MiB)",
        )
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as exc:
        notes = (f"the bottle's request folder could not be read to its end: {exc}",)
    whole = not notes
    asked = (_asked(number, parts, whole=whole) for number, parts in sorted(found.items()))
    return Folder(asked=tuple(each for each in asked if each is not None), notes=notes)


def _look_at(archive: tarfile.TarFile, member: tarfile.TarInfo, found: dict[int, _Parts]) -> None:
    _, _, name = member.name.partition("/")
    match = _NAME.fullmatch(name)
    if match is None:
        return
    kind = match[2]
    parts = found.setdefault(int(match[1]), _Parts())
    parts.ready = parts.ready or kind == "ready"
    if not member.isreg():
        parts.flaws.append(f"its {kind} is no regular file")
    elif kind == "ready":
        pass
    elif member.size > _LIMITS[kind]:
        parts.flaws.append(f"its {kind} has {member.size} bytes, and {_LIMITS[kind]} are allowed")
    else:
        content = archive.extractfile(member)
        assert content is not None  # a regular file always has one
        data = content.read()
        try:
            parts.texts[kind] = data.decode()
        except UnicodeDecodeError:
            parts.flaws.append(f"its {kind} is not UTF-8")


def _asked(number: int, parts: _Parts, *, whole: bool) -> Asked | None:
    """The request that the parts make; None while it is not ready, or was not read to its end."""
    if not parts.ready:
        return None
    missing = [kind for kind in ("reason", "Dockerfile") if kind not in parts.texts]
    if missing and not parts.flaws and not whole:
        return None
    flaws = parts.flaws or [f"its {kind} is missing" for kind in missing]
    if not flaws and not parts.texts["Dockerfile"].strip():
        flaws = ["its Dockerfile is empty"]
    if flaws:
        flaw = f"not a request that can be decided: {', '.join(flaws)}"
        return Asked(number=number, reason=parts.texts.get("reason", ""), dockerfile="", flaw=flaw)
    return Asked(number=number, reason=parts.texts["reason"], dockerfile=parts.texts["Dockerfile"])
