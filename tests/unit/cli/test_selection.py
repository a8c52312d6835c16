"""Filters, fields and templates: what they take, and that each mistake is named."""

from __future__ import annotations

import pytest

from bottle.cli.selection import Template, fields_of, filtered
from bottle.errors import UsageError

KNOWN = ("identity", "started_at", "commit", "runs_here", "bytes")
DOCUMENT = {"identity": "a-1\x1b[31m", "started_at": None, "commit": 3, "runs_here": True, "bytes": {"own": 1}}
TESTS = {"size": lambda item, value: len(item) == int(value), "first": lambda item, value: item[:1] == value}


def test_values_of_a_key_are_alternatives_and_keys_add_up() -> None:
    words = ["a", "bb", "ab", "c"]
    assert filtered(words, [], TESTS) == tuple(words)
    assert filtered(words, ["first=a", "first=b"], TESTS) == ("a", "bb", "ab")
    assert filtered(words, ["first=a", "first=b", "size=2"], TESTS) == ("bb", "ab")


@pytest.mark.parametrize("word", ["first", "colour=red", "=a", ""])
def test_a_word_that_is_no_filter_is_named_with_the_keys(word: str) -> None:
    with pytest.raises(UsageError, match="size, first"):
        filtered([], [word], TESTS)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{{.Identity}}", "a-1"),
        (r"{{.Identity}}\t{{ .Commit }}", "a-1\t3"),
        ("state: {{.StartedAt}}/{{.RunsHere}}/{{.Bytes}}", 'state: /true/{"own": 1}'),
        ("no field", "no field"),
    ],
)
def test_a_template_is_filled(text: str, line: str) -> None:
    assert Template.parse(text, KNOWN).line(DOCUMENT) == line


def test_a_table_has_a_header() -> None:
    template = Template.parse(r"table {{.Identity}}\tsince {{.StartedAt}}", KNOWN)
    assert template.is_table
    assert template.table([DOCUMENT]) == (["IDENTITY", "since STARTED AT"], [["a-1", "since "]])


@pytest.mark.parametrize("text", ["{{.identity}}", "{{.Nothing}}", "{{range .}}", "{{.Identity", "{{json .}}"])
def test_what_is_no_field_is_named_with_those_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"\{\{\.StartedAt\}\}"):
        Template.parse(text, KNOWN)


def test_fields() -> None:
    assert fields_of("commit, identity", KNOWN) == ("commit", "identity")
    with pytest.raises(UsageError, match=r"'size'.*identity,started_at"):
        fields_of("identity,size", KNOWN)
