"""A bottle and its commits: the state without which it cannot be brought back."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bottle.model.agent import Agent
from bottle.model.image import ImageDefaults
from bottle.naming import Identity

SCHEMA = 1
MOST_GENERATIONS = 1_000_000_000
MOST_COMMITS = 1_000_000  # of one bottle, and so the highest number of one
DOCKER_BACKEND = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Which bottle, at which of its commits, a copy descends from."""

    identity: Identity
    commit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """`metadata.json`: what a bottle is, without which it cannot be brought back.

    `image` is what the bottle's first container was made from, with its `defaults`; a commit restores these in its
    config, and a resume runs from them, never from what a committed image says of itself. `base` are that image's
    layers, shared with other bottles. `copied_from` is where a copy came from. `name` is a second name, which its user
    gave it: it is this one bottle's, and no copy has it. `generation` rises with each move, takeover and taking
    back: of two hosts that both have the bottle, the one with the higher one is its owner.
    """

    identity: Identity
    name: str | None = None
    agent: Agent
    backend: str = DOCKER_BACKEND
    cwd: Path | None = None
    copy_cwd: bool = False
    started_at: datetime
    image: str = ""
    defaults: ImageDefaults = field(default_factory=ImageDefaults)
    base: tuple[str, ...] = ()
    copied_from: Lineage | None = None
    generation: int = 1

    @property
    def user(self) -> str:
        """Who the agent runs as, in Docker's words: whom its entry names, else the image's own; empty for root."""
        return self.agent.user or self.defaults.user

    @property
    def mounted(self) -> Path | None:
        """The folder of the host that the agent works in; None where it works on a copy, or on nothing of the host."""
        return self.cwd if not self.copy_cwd else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerMark:
    """Which container a commit was made of, and which of its runs: enough to see later whether it worked on since.

    `running`: what is in it may have changed after the commit, as it ran, or as something was put into it.
    """

    container_id: str
    started_at: datetime | None
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """One entry of `commits.json`.

    `diff_ids` are the digests of the image's uncompressed layers, base first (OCI image-spec, config.md); they and
    `config_digest` are the same in every image store, which an image's id is not. `expired`: the agent's `keep` let its
    image go, and only this entry is left. `defaults`, `base` and `volumes`, targets, are those of the bottle's
    metadata at the time, and hold again when it goes back to the commit; None and empty in older histories.
    """

    number: int
    tag: str
    config_digest: str
    diff_ids: tuple[str, ...]
    message: str = ""
    created_at: datetime
    parent: int | None = None
    mark: ContainerMark | None = None
    dropped: tuple[str, ...] = ()
    expired: bool = False
    defaults: ImageDefaults | None = None
    base: tuple[str, ...] = ()
    volumes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitIntent:
    """`commit-intent.json`: a commit that was begun. What died in it is found again by the nonce, an image's label.

    `paused`, from earlier versions only: its container was paused for it, and is to go on.
    """

    nonce: str
    number: int
    message: str
    container_id: str
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeIntent:
    """`resume-intent.json`: a new container in the making, and what the bottle is from the moment that it has it.

    `container_id` is None until all that belongs in it is there; until then `unfilled` are volumes made for it, which
    may lack some of theirs. `committed_image` is the commit's tag that comes into force with it, if it is made of one.
    """

    metadata: Metadata
    committed_image: str | None = None
    container_id: str | None = None
    unfilled: tuple[str, ...] = ()
