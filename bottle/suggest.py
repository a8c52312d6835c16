"""What somebody may have meant who mistyped a name. Pure."""

from collections.abc import Iterable

_MOST = 3


def alike(text: str, names: Iterable[str]) -> list[str]:
    """The names that are much like `text`, the most alike first."""
    from difflib import get_close_matches  # noqa: PLC0415  (nobody needs it who types what there is)

    return get_close_matches(text, list(names), n=_MOST)


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """`; did you mean claude-x7k2p?`, to stand behind what happened; empty where no name is much like `text`."""
    found = alike(text, names)
    return f"; did you mean {' or '.join(found)}?" if found else ""
