"""What would end a move or an export once the agent is stopped or paused for it, looked for while it still works."""

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import EngineError, NotFound, PreflightRefused, VerificationFailed
from bottle.files import tree
from bottle.model import ContainerFacts, ImageFacts, Metadata
from bottle.operations import Context
from bottle.operations.commit import observe_commit
from bottle.store.state import BottleState
from migrate.contents.git import Git
from migrate.contents.live_folder import few_paths
from migrate.contents.outside import Worktree
from migrate.contents.packing import outgoing
from migrate.contents.repository import Repositories
from migrate.contents.written import written_layer
from migrate.image.reading import read_layers
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.secrets.policy import own_layers
from migrate.secrets.scan import Find
from migrate.secrets.search import Search, Subject

LEFT = "nothing was changed; the bottle goes on as it was"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The credentials that were found; what the container has written, where that was read, and in how many seconds."""

    finds: tuple[Find, ...]
    written: Blob | None
    seconds: float


def require_possible(
    context: Context, state: BottleState, workspace: Path | None, *, commits: bool, owner_reads: bool = False
) -> None:
    """Refuse what cannot be committed or read; with `owner_reads` also what its owner may not read, as it will there.

    Raises what a commit raises, or PreflightRefused; nothing is changed.
    """
    if commits:
        observe_commit(context, state, pause=False)
    if workspace is not None:
        _require_readable(workspace, owner_reads=owner_reads)


def look_ahead(
    context: Context,
    metadata: Metadata,
    container: ContainerFacts | None,
    image: ImageFacts,
    search: Search,
    *,
    present: frozenset[str] = frozenset(),
) -> Looked:
    """The credentials in a bottle so far: in its own layers of `image`, in the config, and in what its container wrote.

    The config will have the agent's own environment, too, once the container is committed.

    Layers that are `present` at the destination do not leave. What is found later, in the image that was committed, is
    what counts; this is so that nobody is stopped in vain.
    """
    own = [diff_id for diff_id in own_layers(metadata, image) if diff_id not in present]
    with _scratch(context, metadata) as folder:
        spool, began = DirectorySpool(folder, Codec.ZSTD, level=1), time.monotonic()
        written = _written(context, container, spool) if container is not None else None
        seconds = time.monotonic() - began
        subject = Subject(
            image=image.id,
            own=own,
            read=lambda wanted: read_layers(context, image.id, wanted, spool),
            above=(written,) if written is not None else (),
            env=metadata.agent.env,
        )
        return Looked(finds=search.through(subject), written=written, seconds=seconds)


def _written(context: Context, container: ContainerFacts, spool: DirectorySpool) -> Blob | None:
    try:
        with context.progress.phase(f"reading what {container.name} has written"), spool.writer() as writer:
            for piece in written_layer(context.engine, container):
                writer.write(piece)
                context.progress.advance(len(piece))
            return writer.keep()
    except (EngineError, NotFound, VerificationFailed, OSError) as exc:
        context.progress.note(f"what {container.name} wrote is looked through only when it is committed: {exc}")
        return None


def rehearse(context: Context, metadata: Metadata, worktrees: tuple[Worktree, ...]) -> None:
    """See that what is to be carried can be. Raises PreflightRefused."""
    if worktrees and metadata.cwd is not None:
        with context.progress.phase("looking at the git worktrees of the workspace"), _scratch(context, metadata) as at:
            Repositories(worktrees, metadata.cwd, at, Git.find()).rehearse()


@contextmanager
def _scratch(context: Context, metadata: Metadata) -> Iterator[Path]:
    """The path of a folder that nobody else uses: another run of any kind may be at work on this bottle."""
    folder = outgoing(context, metadata.identity) / f"look-{secrets.token_hex(6)}"
    try:
        yield folder
    finally:
        tree.discard(folder)
        with suppress(OSError):  # another run is packing there
            folder.parent.rmdir()


def _require_readable(folder: Path, *, owner_reads: bool) -> None:
    closed: list[str] = []
    shut: list[str] = []

    def told(path: str, error: OSError) -> None:
        if isinstance(error, PermissionError):
            closed.append(path)
        else:
            tree.ignore_gone(path, error)

    for node in tree.walk(folder, lost=told):
        needed = stat.S_IRUSR | stat.S_IXUSR if node.is_folder else stat.S_IRUSR
        if node.is_file and not os.access(node.name, os.R_OK, dir_fd=node.folder, effective_ids=True):
            closed.append(node.path)
        elif (node.is_file or node.is_folder) and node.facts.st_mode & needed != needed:
            shut.append(node.path)
    if closed:
        raise PreflightRefused(
            f"in the workspace {folder} there is what this user may not read: {few_paths(tuple(closed))}",
            left=LEFT,
            next_step=f"sudo chown -R $USER {folder}   (or run this as its owner)",
        )
    if owner_reads and shut:
        raise PreflightRefused(
            f"in the workspace {folder} there is what its own owner may not read, so nobody could check there that it "
            f"arrived: {few_paths(tuple(shut))}",
            left=LEFT,
            next_step=f"chmod -R u+rX {folder}   (or move it to a user there who is root)",
        )
