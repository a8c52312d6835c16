"""What an export does, decided from facts alone."""

from dataclasses import dataclass
from pathlib import Path

from bottle.errors import NotFound, PreflightRefused
from bottle.model import CommitRecord, ContainerFacts, ImageFacts, Metadata, StayKind, Stays
from bottle.plan.history import commit_in_force, is_frozen_in
from migrate.contents.outside import Survey, weigh, what_stays

UNCHANGED = "nothing was changed; the bottle goes on as it was"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFacts:
    """All that decides an export. `image` is that of the commit in force, if it is here.

    `own` is bottle's home where it lies in the workspace.
    """

    metadata: Metadata
    container: ContainerFacts | None
    commits: tuple[CommitRecord, ...]
    committed_tag: str | None
    image: ImageFacts | None
    workspace_here: bool
    survey: Survey
    own: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What will happen: `commit` is the one that goes out, None where one is made first.

    `left_behind` is what the workspace needs of this host and will lack elsewhere.
    """

    commit: CommitRecord | None
    workspace: Path | None
    stays: tuple[Stays, ...]
    left_behind: tuple[str, ...]


def plan_export(facts: ExportFacts) -> ExportPlan:
    """Decide an export. Raises NotFound or PreflightRefused."""
    metadata, container = facts.metadata, facts.container
    commit = commit_in_force(facts.commits, facts.committed_tag)
    if commit is not None and (facts.image is None or facts.image.diff_ids != commit.diff_ids):
        commit = None
    if container is not None and (commit is None or container.status.alive or not is_frozen_in(container, (commit,))):
        commit = None
    elif commit is None:
        raise NotFound(
            f"{metadata.identity} has neither a container nor a committed image here, so there is nothing to export",
            left=UNCHANGED,
            next_step=f"bottle resume {metadata.identity}",
        )
    workspace = metadata.mounted
    if workspace is not None and not facts.workspace_here:
        raise PreflightRefused(
            f"the workspace {workspace} is not here, so it cannot go into the bundle",
            left=UNCHANGED,
            next_step=f"put it back, or: mkdir -p {workspace}",
        )
    images = (Stays(kind=StayKind.COMMITS),) if facts.commits else ()
    outside = weigh(facts.survey, workdir=metadata.agent.workdir, lands=None)
    return ExportPlan(
        commit=commit,
        workspace=workspace,
        stays=what_stays(metadata, facts.commits, facts.own, outside, images),
        left_behind=outside.left,
    )
