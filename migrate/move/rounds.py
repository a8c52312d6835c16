"""When a move has brought enough while the agent works, and how long the agent would stand still then: pure."""

from collections.abc import Sequence

from bottle.errors import PreflightRefused
from bottle.naming import Identity
from bottle.words import counted, seconds
from migrate.move.model import Round

_SMALL = 256 << 10  # bytes in a round: what is less takes no time to speak of
_SHRINKS = 0.8  # of the time of the round before: one that takes longer leaves as much to do as it has done
_MOST = 10
_REST = 1.0  # seconds for what each move ends with: the hand-over, and the start there
_TELLING = 4 << 20  # bytes in a round: what is less says nothing of how fast it goes
_SPEED = 20e6  # bytes a second, where no round says more


def is_last(rounds: Sequence[Round], most: int | None) -> bool:
    """Whether no further round is worth it before the agent is stopped; there may be up to `most`."""
    if len(rounds) >= (most or _MOST) or rounds[-1].staged < _SMALL:
        return True
    return len(rounds) > 1 and rounds[-1].seconds > _SHRINKS * rounds[-2].seconds


def downtime(rounds: Sequence[Round], whole: int) -> float:
    """For about how many seconds no agent will run: another round like the last one, and the rest.

    `whole` are the bytes that travel when the agent stands still, whatever has changed of them.
    """
    speed = max((each.staged / each.seconds for each in rounds if each.staged > _TELLING), default=_SPEED)
    return rounds[-1].seconds + whole / speed + _REST


def require_short(rounds: Sequence[Round], whole: int | None, most: float, *, identity: Identity, host: str) -> None:
    """Refuse to stop the agent where it would probably stand still for more than `most` seconds.

    `whole` as in `downtime`, None where it is not known.
    """
    expected = downtime(rounds, whole) if whole is not None else None
    if expected is not None and expected <= most:
        return
    often = counted(len(rounds), "round")
    raise PreflightRefused(
        f"{identity} may stand still for no more than {seconds(most)}, and that would be about {seconds(expected)}, "
        f"after {often} of which the last took {seconds(rounds[-1].seconds)}"
        if expected is not None
        else f"{identity} may stand still for no more than {seconds(most)}, and for how long it would is not known: "
        "how large its volumes are cannot be seen from here",
        left=f"its agent was not stopped and goes on here; what was brought to {host} is used by the next run",
        next_step="the same command again when it has less to do; or with a longer --max-downtime, or without",
    )
