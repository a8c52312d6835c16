"""Who owns a bottle that two hosts have: the one with the higher generation."""

from bottle.model import MOST_GENERATIONS


def above(*generations: int) -> int:
    """The generation of who takes a bottle over from those that had these; the highest there is has none above it.

    That can only be of what somebody made up: of two with the same one, who asks gives way.
    """
    return min(max(generations) + 1, MOST_GENERATIONS)
