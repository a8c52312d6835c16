"""Asks an engine what is at paths of a container, one by one: quick for a few, where layers would all be read."""

from collections.abc import Callable, Iterable, Mapping

from bottle.diff.reading import layer_of_tar, thing_of, with_digest
from bottle.diff.thing import Kind, Thing
from bottle.errors import EngineError, EngineUnreachable, NotFound, TreeUnfit
from bottle.ports import Engine
from bottle.tar.chunks import reading
from bottle.tar.layerpaths import below, clean
from bottle.tar.reader import TarStream

_ROOT = Thing(kind=Kind.FOLDER)


class Asked:
    """What is in one container, as far as somebody wanted to know. Paths are from the root, without a first slash.

    What not every engine can be asked for, or does not answer, is in `unanswered`. After `most` questions of what there
    is, TreeUnfit.
    """

    def __init__(
        self, engine: Engine, container: str, *, whole: Callable[[str], bool], most: int | None = None
    ) -> None:
        """`whole` says of a path whether all is wanted that is in the folder there, if it is one."""
        self._engine = engine
        self._container = container
        self._whole = whole
        self._left = most
        self._known: dict[str, Thing | None] = {"": _ROOT}
        self._listed: set[str] = set()  # folders of which all is known
        self.unanswered: set[str] = set()

    def at(self, paths: Iterable[str]) -> Mapping[str, Thing]:
        """What there is at `paths`, and below those that are wanted whole. Raises TreeUnfit, or EngineUnreachable."""
        for path in sorted(paths, key=lambda path: path.split("/")):
            self._look(path)
        return {path: thing for path, thing in self._known.items() if thing is not None and path}

    def digests(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """The digests of the content of files."""
        found = {path: self._first(path, content=True) for path in paths}
        return {path: thing.digest for path, thing in found.items() if thing is not None and thing.digest is not None}

    def _look(self, path: str) -> None:
        """See what is there; no symlink on the way is followed, as the engine would."""
        folder = ""
        for name in path.split("/") if path else ():
            here = below(folder, name)
            if here not in self._known:
                above = self._known[folder]
                there = above is not None and above.kind is Kind.FOLDER and folder not in self._listed
                self._known[here] = self._counted(here) if there else None
            folder = here

    def _counted(self, path: str) -> Thing | None:
        if self._left is not None:
            if not self._left:
                raise TreeUnfit("there are too many paths to ask the engine for each")
            self._left -= 1
        return self._first(path, content=False)

    def _first(self, path: str, *, content: bool) -> Thing | None:
        try:
            path.encode()
            with reading(self._engine.read_archive(self._container, f"/{path}")) as chunks:
                tar = TarStream(chunks)
                member = next(tar.members(), None)
                if member is None:
                    return None
                thing = with_digest(thing_of(member), tar.data()) if content else thing_of(member)
                if thing.kind is Kind.FOLDER and self._whole(path):
                    self._take_whole(path, clean(member.name), tar)
        except NotFound:
            return None
        except EngineUnreachable:
            raise
        except (EngineError, UnicodeEncodeError):
            self.unanswered.add(path)
            return None
        return thing

    def _take_whole(self, path: str, top: str, tar: TarStream) -> None:
        found = {path + name.removeprefix(top): thing for name, thing in layer_of_tar(tar).things.items()}
        self._known |= found
        self._listed |= {path, *(each for each, thing in found.items() if thing.kind is Kind.FOLDER)}
