"""The composition root: the real parts that operations act on, put together for the command line, and for a program.

See docs/LIBRARY.md.
"""

import os
from collections.abc import Callable, Generator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bottle.docker_engine import DockerEngine
from bottle.helper.container import Helper
from bottle.home import default_home
from bottle.layers import ImageDocuments, LayerAppender, LayerSource, LayerSquasher, LayerStream, NewLayer
from bottle.model import ImageFacts
from bottle.naming import Identity
from bottle.operations import Context
from bottle.ports import Engine, Progress, Silent
from bottle.runtime import default_runtime
from bottle.store.home import StateHome

# What runs in a helper container, and all that it imports but for the standard library.
_HELPER = "migrate.image.helper"
_HELPER_PACKAGES = ("bottle", "migrate", "zstandard")


def make_context(
    *,
    home: Path | None = None,
    engine: Engine | None = None,
    environ: Mapping[str, str] | None = None,
    runtime: Path | None = None,
    progress: Progress | None = None,
) -> Context:
    """What operations act in: the state, engine and environment of who runs this, and nobody who watches.

    Each of them can be another one. No engine is asked anything yet. Raises UsageError where there is no home.
    """
    state = StateHome(default_home() if home is None else home)
    engine = DockerEngine() if engine is None else engine
    progress = Silent() if progress is None else progress
    helper = Helper(engine, _HELPER, _HELPER_PACKAGES)
    layers = _Layers(engine, helper)
    return Context(
        home=state,
        engine=engine,
        layers=layers,
        environ=os.environ if environ is None else environ,
        runtime=default_runtime() if runtime is None else runtime,
        progress=progress,
        squasher=_Squasher(engine, layers, state.path, progress),
        appender=_Appender(engine, layers, state.path),
        helper=helper,
    )


@dataclass(frozen=True)
class _Layers:
    """The LayerSource of an engine, loaded when somebody reads a layer, as most commands do not.

    The engine's folders, which take a fraction of the time, by ourselves or through a helper container; the engine's
    archive where they are not here, or not to be read.
    """

    engine: Engine
    helper: Helper

    @cached_property
    def _source(self) -> LayerSource:
        from migrate.image.engine_folders import EngineFolders  # noqa: PLC0415  (as said above)
        from migrate.image.first_that_can import FirstThatCan  # noqa: PLC0415
        from migrate.image.save_stream import SaveStreamSource  # noqa: PLC0415
        from migrate.image.through_helper import HelperFolders  # noqa: PLC0415

        through_helper = HelperFolders(self.engine, self.helper)
        return FirstThatCan(EngineFolders(self.engine), through_helper, SaveStreamSource(self.engine))

    def image(self, ref: str) -> ImageFacts:
        return self._source.image(ref)

    def way(self) -> str:
        return self._source.way()

    def read(self, ref: str, wanted: Set[str], progress: Progress) -> Generator[LayerStream | ImageDocuments]:
        return self._source.read(ref, wanted, progress)


@dataclass(frozen=True)
class _Squasher:
    """The LayerSquasher of an engine, loaded when an image is too deep."""

    engine: Engine
    layers: LayerSource
    home: Path
    progress: Progress

    @cached_property
    def _squasher(self) -> LayerSquasher:
        from migrate.image.squash import Squasher  # noqa: PLC0415  (as said above)

        return Squasher(self.engine, self.layers, self.home, self.progress)

    def squash(self, identity: Identity, ref: str, *, base: tuple[str, ...], tag: str) -> ImageFacts:
        return self._squasher.squash(identity, ref, base=base, tag=tag)


@dataclass(frozen=True)
class _Appender:
    """The LayerAppender of an engine, loaded when a commit is made."""

    engine: Engine
    layers: LayerSource
    home: Path

    @cached_property
    def _appender(self) -> LayerAppender:
        from migrate.image.append import Appender  # noqa: PLC0415  (as said above)

        return Appender(self.engine, self.layers, self.home)

    def append(
        self,
        ref: str,
        below: tuple[str, ...],
        layers: Sequence[NewLayer],
        config: Mapping[str, Any],
        *,
        tag: str,
        comment: str = "",
        after: Callable[[], object] | None = None,
    ) -> ImageFacts:
        return self._appender.append(ref, below, layers, config, tag=tag, comment=comment, after=after)
