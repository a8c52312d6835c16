"""A name that was mistyped leads to the one that was meant."""

from __future__ import annotations

import pytest

from bottle.suggest import did_you_mean


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("comit", "; did you mean commit?"),
        ("claude-x7k2q", "; did you mean claude-x7k9q or claude-x7k2p?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_what_is_near_is_named(text: str, said: str) -> None:
    assert did_you_mean(text, ["commit", "start", "claude-x7k2p", "claude-x7k9q"]) == said
