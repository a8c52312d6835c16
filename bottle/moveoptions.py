"""What somebody may ask of a move: on the command line, in the dashboard's form, and of a host that is pulled from."""

from dataclasses import dataclass, replace
from pathlib import Path

JOBS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOptions:
    """`keep` copies instead of moving, or brings the copy that is there up to date, unless a `new` one is to be made;
    `resume` starts the bottle at its destination, where `workspace` lands.

    `live` brings it there in rounds while its agent works, of which there are `rounds` at the most where that is said;
    the last one, for which the agent stops, is not begun while it is likely to take more than `max_downtime` seconds.
    `history`: the images of older commits go along, as far as no layer is sent for them. `allow_secrets`: credentials
    may go along in the image, besides those in `carry`, which the manifest names, and those that the bottle's agent
    carries. `consent`: what the workspace needs of its host and cannot be carried may stay behind; in a pull also: the
    bottle may have what it would be given. `rate` is in bytes a second, for all `jobs` together. `keys` are files to
    log in with. `standby`: what is there afterwards owns nothing, under the identity that it has here. `asked`: the
    host that stands by has said that it has not taken the bottle over. `pulled_by` tells the host that pulls it from
    every other one of the same name, None when the move begins where the bottle is.
    """

    keep: bool = False
    new: bool = False
    history: bool = True
    resume: bool = False
    live: bool = False
    rounds: int | None = None
    max_downtime: float | None = None
    workspace: Path | None = None
    allow_secrets: bool = False
    consent: bool = False
    jobs: int = JOBS
    rate: int | None = None
    keys: tuple[Path, ...] = ()
    carry: tuple[str, ...] = ()
    standby: bool = False
    asked: bool = False
    pulled_by: str | None = None

    def to_argv(self) -> tuple[str, ...]:
        """The options of `bottle migrate` that say this, as far as they are not what it does anyway.

        What somebody typed can be no option: a value stands in one word with its own.
        """
        words = ["--yes"] if self.consent else []
        words += ["--keep"] if self.keep else []
        words += ["--new"] if self.new else []
        words += [] if self.history else ["--no-history"]
        words += ["--resume"] if self.resume else []
        words += ["--live"] if self.live else []
        words += [f"--rounds={self.rounds}"] if self.rounds is not None else []
        words += [f"--max-downtime={self.max_downtime:g}s"] if self.max_downtime is not None else []
        words += ["--allow-secrets"] if self.allow_secrets else []
        words += [f"--workspace={self.workspace}"] if self.workspace is not None else []
        words += [f"--jobs={self.jobs}"] if self.jobs != JOBS else []
        words += [f"--limit-rate={self.rate}"] if self.rate is not None else []
        for key in self.keys:
            words += ["-i", str(key)]
        return tuple(words)

    @property
    def unhurried(self) -> "MoveOptions":
        """Without what decides only how fast it goes."""
        return replace(self, jobs=JOBS, rate=None)
