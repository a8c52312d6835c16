"""What somebody did here after a hand-over had begun whose end was not heard: it is newer here than there."""

from bottle.errors import PreflightRefused
from bottle.model import MigrationRecord
from bottle.operations import Context
from bottle.state import BottleState
from migrate.git import Git
from migrate.index import edited_since, look
from migrate.packing import own_folder
from migrate.repository import edited_in_repository
from migrate.survey import survey


def edited_here(context: Context, state: BottleState, record: MigrationRecord) -> tuple[str, ...]:
    """The files of the workspace, and those of repositories that went along with it, which may be newer here.

    Those of a repository elsewhere are absolute paths. Where it cannot be told, that is noted.
    """
    metadata, begun = state.metadata(), int(record.started_at.timestamp() * 10**9)
    if metadata.cwd is None or metadata.copy_cwd:
        return ()
    try:
        edited = edited_since(look(metadata.cwd, own_folder(context.home.path, metadata.cwd)), begun)
        worktrees = survey(metadata.cwd, Git.find(), still=False).carriable
        return (*edited, *(path for each in worktrees for path in edited_in_repository(each, begun)))
    except (OSError, PreflightRefused) as exc:
        why = exc.what if isinstance(exc, PreflightRefused) else exc
        context.progress.note(f"whether somebody worked in {metadata.cwd} meanwhile is not known: {why}")
        return ()
