"""Getting the image that a container is to be made from."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bottle.errors import BuildFailed, EngineError, NotFound
from bottle.model import ImageFacts
from bottle.naming import LABEL_AGENT, LABEL_SCHEMA
from bottle.operations.context import Context
from bottle.plan import Build, ImageSource, Pull
from bottle.regular import read_regular


def obtain(context: Context, source: ImageSource, agent: str) -> ImageFacts:
    """Build or pull; the image that is there then. Raises BuildFailed or EngineError."""
    match source:
        case Build():
            try:
                dockerfile = read_regular(source.dockerfile, follow=True)
            except OSError as exc:
                raise BuildFailed(
                    f"cannot read {source.dockerfile}: {exc.strerror}", next_step=f"ls -l {source.dockerfile}"
                ) from exc
            build_image(context, dockerfile, folder=source.context, tag=source.tag, agent=agent)
        case Pull() if context.engine.image(source.image) is None:
            with context.progress.phase(f"pulling {source.image}"):
                try:
                    context.engine.pull(source.image, context.progress)
                except NotFound as exc:
                    raise EngineError(
                        f"there is no image {source.image}, here or in its registry", next_step="edit bottle.toml"
                    ) from exc
        case Pull():
            pass
    image = context.engine.image(source.tag)
    if image is None:
        raise EngineError(
            f"the engine reported success, but has no image {source.tag}", next_step="docker image ls; bottle doctor"
        )
    return image


def build_image(context: Context, dockerfile: bytes, *, folder: Path | None, tag: str, agent: str) -> None:
    """Build `dockerfile` with the files of `folder`, or with none. Raises BuildFailed or EngineError."""
    with _files_of(folder) as files, context.progress.phase(f"building {tag}"):
        context.engine.build(
            dockerfile=dockerfile,
            context=files,
            tag=tag,
            labels={LABEL_SCHEMA: "1", LABEL_AGENT: agent},
            args={},
            progress=context.progress,
        )


@contextmanager
def _files_of(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="bottle-no-context-") as empty:
        yield Path(empty)
