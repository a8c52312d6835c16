"""When a move has brought enough while the agent works, and how long the agent would stand still then: pure."""

from collections.abc import Sequence

from bottle.errors import PreflightRefused
from bottle.naming import Identity
from bottle.words import seconds
from migrate.move.model import Round

_SMALL = 256 << 10  # bytes in a round: what is less takes no time to speak of
_SHRINKS = 0.8  # a round takes less than so much of the one before it, or no less work is left with each
_MOST = 10
_REST = 1.0  # seconds for what each move ends with: the hand-over, and the start there


def is_last(rounds: Sequence[Round], most: int | None) -> bool:
    """Whether no further round is worth it before the agent is stopped; there may be up to `most`."""
    if len(rounds) >= (most or _MOST) or rounds[-1].staged < _SMALL:
        return True
    return len(rounds) > 1 and rounds[-1].seconds > _SHRINKS * rounds[-2].seconds


def downtime(rounds: Sequence[Round]) -> float:
    """For about how many seconds no agent will run: another round like the last one, and the rest."""
    return rounds[-1].seconds + _REST


def require_short(rounds: Sequence[Round], most: float | None, identity: Identity, host: str) -> None:
    """Refuse to stop the agent where it would probably stand still for more than `most` seconds."""
    expected = downtime(rounds)
    if most is None or expected <= most:
        return
    raise PreflightRefused(
        f"{identity} would stand still for about {seconds(expected)}, and may for no more than {seconds(most)}: the "
        f"last of {len(rounds)} rounds took {seconds(rounds[-1].seconds)}",
        left=f"its agent was not stopped and goes on here; what was brought to {host} is used by the next run",
        next_step="the same command again when it has less to do; or with a longer --max-downtime, or without",
    )
