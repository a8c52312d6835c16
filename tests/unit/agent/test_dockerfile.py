"""What a Dockerfile declares, whatever its text is."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bottle.agent.dockerfile import declared_args


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("FROM x\n", set()),
        ("ARG BASE=x\nFROM $BASE\nARG A\narg B=1 C=2\n", {"BASE", "A", "B", "C"}),
        ("FROM x\nARG \\\n  A=1 \\\n  B\n", {"A", "B"}),
        ("FROM x\n# ARG A\nRUN echo ARG B\nENV ARG=1\n", set()),
        ("# escape=`\nFROM x\nARG `\n  A\n", {"A"}),
    ],
)
def test_what_is_declared_with_arg_is_known(text: str, names: set[str]) -> None:
    assert declared_args(text) == names


@given(st.text())
def test_any_text_declares_something_or_nothing(text: str) -> None:
    assert all(isinstance(name, str) for name in declared_args(text))
