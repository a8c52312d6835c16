"""What a bottle that came from elsewhere, in a bundle or by a pull, is granted here.

Decided by the rules of `bottle.agent.admission` from its metadata alone, which nobody vouches for. Pure, but for a
question.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from bottle.agent.admission import LONGEST_DEMAND, Agree, demands, flaws, without
from bottle.errors import NeedsConsent
from bottle.model import Agent, CommitRecord, Metadata
from bottle.naming import Identity
from bottle.plan.guards import require_docker
from bottle.text import printable

_SHOWN = 300  # characters of one flaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The metadata as it will be here, what was taken away of it, and what the bottle gets if the user agrees."""

    metadata: Metadata
    refused: tuple[str, ...]
    demands: tuple[str, ...]

    def require(self, agree: Agree, left: str, name: str) -> None:
        """Have the user agree to what the bottle gets, which is told as `name`. Raises NeedsConsent."""
        if self.demands and not agree(self.demands):
            raise NeedsConsent(
                f"{name} would be given " + "; ".join(printable(each, LONGEST_DEMAND) for each in self.demands),
                left=left,
                next_step="if it may have that: the same command with --yes",
            )


def grant(metadata: Metadata, state: Path, *, rebuild: bool) -> Granted:
    """What a sound bottle is here, with its state in `state`. `rebuild`: as `demands` has it."""
    kept, refused = without(metadata, state)
    return Granted(metadata=kept, refused=refused, demands=demands(kept, rebuild=rebuild))


def odd(metadata: Metadata, commits: Iterable[CommitRecord] = (), *, verb: str) -> str:
    """What is wrong with a bottle that no manifest describes, in a line; empty when nothing is.

    Raises BackendUnsupported, which says that `verb` cannot be done.
    """
    require_docker(metadata, verb)
    found = flaws(metadata, commits)
    return "its metadata says what no manifest could: " + printable("; ".join(found), _SHOWN) if found else ""


def history_here(
    commits: Iterable[CommitRecord], identity: Identity, before: Iterable[CommitRecord] = ()
) -> tuple[CommitRecord, ...]:
    """A history as it is here. No entry names an image or a container that is not its own.

    Of which container a commit was made is known only of those in `before`, the history that this host wrote itself.
    """
    marks = {_content(commit): commit.mark for commit in before}
    return tuple(
        replace(commit, tag=identity.committed(commit.number), mark=marks.get(_content(commit))) for commit in commits
    )


def _content(commit: CommitRecord) -> tuple[int, tuple[str, ...], str]:
    return commit.number, commit.diff_ids, commit.config_digest


def rebuilt_from(agent: Agent, *, dockerfile: bool, rebuild: bool) -> tuple[str, ...]:
    """What the bottle would be made of anew, were it rebuilt; of its own Dockerfile `rebuild` says more."""
    image = [f"image {agent.image}, if it is ever rebuilt"] if agent.image is not None else []
    return (*image, *(["its own Dockerfile, if it is ever rebuilt"] if dockerfile and not rebuild else []))
