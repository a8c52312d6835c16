"""Before an image leaves this machine: which credentials are in it. They are reported by path, never by value.

Looked through are the layers that a bottle wrote itself, not those of its agent's image, and the image's config. What
is compressed or encoded inside a file is not unpacked.
"""

import fnmatch
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from bottle.errors import PreflightRefused, VerificationFailed
from bottle.model import CommitRecord, Metadata
from bottle.ports import Progress
from bottle.text import printable
from migrate.credentials import SHORTEST, Finder, NamedFile, by_name
from migrate.model import Blob
from migrate.stream import decompress
from migrate.tarstream import Member, TarStream

CONFIG = "the image's config"
_MOST = 10_000  # finds that are kept; no glob admits what comes after them
_MORE = "further ones"
_SHOWN = 20
_PIECE = 1 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """A credential in an image. `path` is absolute, or says where in the config. `gone`: a later layer hides it."""

    path: str
    what: str
    gone: bool = False

    def __str__(self) -> str:
        hidden = " (deleted or replaced since, but an earlier layer of the image still has it)" if self.gone else ""
        return f"{printable(self.path, 300)}: {self.what}{hidden}"


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


def own_layers(metadata: Metadata, commit: CommitRecord) -> tuple[str, ...]:
    """The layers of a commit that the bottle wrote itself, lowest first; all where its base is not below."""
    base = metadata.base
    return commit.diff_ids[len(base) :] if commit.diff_ids[: len(base)] == base else commit.diff_ids


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


def look_through(layers: Sequence[Blob], config: bytes, finder: Finder, progress: Progress) -> tuple[Find, ...]:
    """What is in `layers`, lowest first, and in the config, by path. One pass; memory is a few pieces."""
    search = _Search(finder)
    with progress.phase("looking for credentials", sum(layer.diff_size for layer in layers)):
        for layer in layers:
            try:
                search.layer(_plain(layer, progress.advance))
            except VerificationFailed as exc:  # an archive in a form of its own: its bytes are all there all the same
                progress.note(f"layer {layer.diff_id} is looked through without names of files: {exc.what}")
                search.nameless(f"layer {layer.diff_id}", _plain(layer, lambda _: None))
    search.config(config)
    return tuple(sorted(search.finds.values(), key=lambda find: find.path))


def require_clean(
    finds: Iterable[Find], allowed: Allowed, *, subject: str, left: str, next_step: str
) -> tuple[str, ...]:
    """What goes along because that is allowed, a line each. Raises PreflightRefused where something is not."""
    finds = tuple(finds)
    refused = [str(find) for find in finds if not allowed.admits(find)]
    if refused:
        more = [f"and {len(refused) - _SHOWN} more"] if len(refused) > _SHOWN else []
        raise PreflightRefused(
            "\n  ".join((f"credentials would leave this machine in the image of {subject}:", *refused[:_SHOWN], *more)),
            left=left,
            next_step=next_step,
        )
    return tuple(map(str, finds))


def send_along(metadata: Metadata) -> str:
    """What to do about finds."""
    return (
        f'where they belong to the bottle: carry = ["/PATH"] in [agents.{metadata.agent.name}] of bottle.toml; '
        "or revoke them; then the same command, with --allow-secrets for what is only deleted since"
    )


def _plain(layer: Blob, advance: Callable[[int], None]) -> Iterator[bytes]:
    with layer.path.open("rb") as file:
        for piece in decompress(iter(lambda: file.read(_PIECE), b""), layer.codec):
            advance(len(piece))
            yield piece


class _Search:
    """What was found so far, by path; later layers know what they hide."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self.finds: dict[str, Find] = {}

    def layer(self, tar: Iterable[bytes]) -> None:
        """The next layer. Raises VerificationFailed when it cannot be read entry by entry."""
        below = dict(self.finds)
        here: dict[str, Find] = {}
        stream = TarStream(tar, layer=True)
        for member in stream.members():
            path = "/" + member.name.removeprefix("./").strip("/")
            for hidden in _hidden_by(path, below):
                below[hidden] = replace(below[hidden], gone=True)
            what = self._file(path, member, stream) if member.is_file or member.link else ()
            if what:
                _add(here, Find(path=path, what=", ".join(what)))
        self.finds = below
        for find in here.values():
            _add(self.finds, find)

    def nameless(self, where: str, data: Iterable[bytes]) -> None:
        """Bytes of which no more is known than where they are."""
        if what := self._finder.find(data):
            _add(self.finds, Find(path=where, what=", ".join(what)))

    def config(self, config: bytes) -> None:
        """The image's config: its environment, its history, and all else that is text in it."""
        for where, text in _texts(json.loads(config), ""):
            self.nameless(f"{CONFIG}{where}", (text.encode("utf-8", "surrogateescape"),))

    def _file(self, path: str, member: Member, stream: TarStream) -> tuple[str, ...]:
        named = by_name(path)
        if not member.is_file:  # a second name of a file, whose content came by under its first
            return (named.what,) if named is not None and member.type == b"1" else ()
        if named is None:
            return self._finder.find(stream.data())
        return self._named(named, member, stream)

    def _named(self, named: NamedFile, member: Member, stream: TarStream) -> tuple[str, ...]:
        head, data = b"", stream.data()
        for piece in data:
            head += piece
            if len(head) >= _PIECE:
                break
        found = self._finder.find(chain((head,), data))
        return (named.what, *found) if named.is_one(head, member.size) else found


def _add(finds: dict[str, Find], find: Find) -> None:
    if find.path in finds or len(finds) < _MOST:
        finds[find.path] = find
    else:
        finds[_MORE] = Find(path=_MORE, what=f"there are more than {_MOST}")


def _hidden_by(path: str, finds: Mapping[str, Find]) -> tuple[str, ...]:
    """Which of `finds` an entry of a higher layer hides (OCI image-spec, layer.md, "Whiteouts")."""
    if not finds:
        return ()
    folder, _, name = path.rpartition("/")
    if name == _OPAQUE:
        return tuple(each for each in finds if each.startswith(f"{folder}/"))
    if name.startswith(_WHITEOUT):
        gone = f"{folder}/{name.removeprefix(_WHITEOUT)}"
        return tuple(each for each in finds if each == gone or each.startswith(f"{gone}/"))
    return (path,) if path in finds else ()


def _texts(value: object, where: str) -> Iterator[tuple[str, str]]:
    """All texts of a JSON document, keys too, and where they are."""
    match value:
        case str():
            name, equals, _ = value.partition("=")
            known = where.endswith(".Env") and equals
            yield (f", {where.rpartition('.')[2]} {name}" if known else f", {where.lstrip('.')}"), value
        case list():
            for index, each in enumerate(value):
                yield from _texts(each, where if where.endswith(".Env") else f"{where}[{index}]")
        case dict():
            for key, each in value.items():
                yield f", a key of {where.lstrip('.') or 'it'}", str(key)
                yield from _texts(each, f"{where}.{key}")
        case _:
            return
