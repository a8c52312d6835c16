"""Getting the image that a container is to be made from."""

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from bottle.agent.dockerfile import declared_args
from bottle.errors import BuildFailed, EngineError, NotFound
from bottle.files.regular import read_regular
from bottle.launch import bare_spec
from bottle.model import ImageFacts, Mount
from bottle.naming import LABEL_AGENT, LABEL_SCHEMA
from bottle.operations.context import Context
from bottle.plan.sources import Build, ImageSource, Pull
from bottle.tar.chunks import reading
from bottle.workspace import workspace_owner


def obtain(context: Context, source: ImageSource, agent: str, *, mounted: Path | None) -> ImageFacts:
    """Build or pull; the image that is there then. `mounted` as for `build_args`. Raises BuildFailed or EngineError."""
    match source:
        case Build():
            try:
                dockerfile = read_regular(source.dockerfile, follow=True)
            except OSError as exc:
                raise BuildFailed(
                    f"cannot read {source.dockerfile}: {exc.strerror}", next_step=f"ls -l {source.dockerfile}"
                ) from exc
            args = build_args(dockerfile, source.args, mounted, context.engine.info().owner)
            build_image(context, dockerfile, source, tag=source.tag, agent=agent, args=args)
        case Pull() if context.engine.image(source.image) is None:
            with context.progress.phase(f"pulling {source.image}"):
                try:
                    context.engine.pull(source.image, context.progress)
                except NotFound as exc:
                    raise EngineError(
                        f"there is no image {source.image}, here or in its registry", next_step="edit bottle.toml"
                    ) from exc
                except EngineError as exc:
                    exc.left = exc.left or "nothing was started"
                    exc.next_step = f"docker pull {source.image} says what is in the way; then the same command again"
                    raise
        case Pull():
            pass
    image = context.engine.image(source.tag)
    if image is None:
        raise EngineError(
            f"the engine reported success, but has no image {source.tag}", next_step="docker image ls; bottle doctor"
        )
    return image


def build_args(
    dockerfile: bytes, given: tuple[tuple[str, str], ...], mounted: Path | None, engine_owner: int | None
) -> dict[str, str]:
    """What a build is told: what is `given`, and as far as it declares them the ids of whoever owns the work.

    `mounted` is the folder of the host that the agent is to write, None where there is none; `engine_owner` is who
    runs a rootless engine.
    """
    uid, gid = workspace_owner(mounted, engine_owner)
    ours = {"BOTTLE_UID": str(uid), "BOTTLE_GID": str(gid)}
    wanted = declared_args(dockerfile.decode("utf-8", "replace"))  # of what is not declared, the engine complains
    return {name: value for name, value in ours.items() if name in wanted} | dict(given)


def build_image(
    context: Context, dockerfile: bytes, source: Build, *, tag: str, agent: str, args: Mapping[str, str]
) -> None:
    """Build `dockerfile` with the files and the secrets of `source`. Raises BuildFailed or EngineError."""
    files: AbstractContextManager[Path | str] = (
        nullcontext(source.context) if source.context else tempfile.TemporaryDirectory(prefix="bottle-no-context-")
    )
    with files as folder, context.progress.phase(f"building {tag}"):
        context.engine.build(
            dockerfile=dockerfile,
            context=Path(folder),
            tag=tag,
            labels={LABEL_SCHEMA: "1", LABEL_AGENT: agent},
            args=args,
            secrets={name: context.environ[name] for name in source.secrets if name in context.environ},
            progress=context.progress,
        )


@contextmanager
def bare_container(context: Context, image: str, *mounts: Mount) -> Iterator[str]:
    """A container that never runs, through which the engine shows an image's or a volume's content."""
    name = f"bottle-read-{secrets.token_hex(6)}"
    try:
        context.engine.create(bare_spec(name, image, mounts))
        yield name
    finally:
        context.engine.remove_container(name)


def paths_in(context: Context, image: str, paths: Iterable[bytes]) -> frozenset[bytes]:
    """Those of some paths from the root at which an image has something; one question to the engine for each."""
    with bare_container(context, image) as name:
        return frozenset(path for path in paths if has_path(context, name, os.fsdecode(b"/" + path)))


def has_path(context: Context, container: str, path: str) -> bool:
    """Whether there is something at a path of a container."""
    try:
        with reading(context.engine.read_archive(container, path)):
            return True
    except NotFound:
        return False
