"""Which links of a tree lead out of it."""

from __future__ import annotations

import pytest

from bottle.errors import VerificationFailed
from bottle.tar import links
from bottle.tar.links import Walk

TREE = {
    "here": "file",
    "a/deep": "b/c",
    "up": "a/..",
    "a/root": "..",
    "round": "about",
    "about": "round",
    "dir": "a/b",
    "hop": "dir/../root/file",
    "out": "..",
    "a/out": "../..",
    "absolute": "/etc/passwd",
    "far": "a/b/../../../x",
    "over root": "a/root/../x",
    "over absolute": "absolute/x",
    "over out": "out/world/a",
    "nothing": "missing/./x//y/",
}


@pytest.mark.parametrize("path", ["here", "a/deep", "up", "a/root", "round", "dir", "hop", "nothing"])
def test_it_stays_inside(path: str) -> None:
    assert not Walk(TREE).points_out(path)


@pytest.mark.parametrize("path", ["out", "a/out", "absolute", "far", "over root", "over absolute", "over out"])
def test_it_leads_out(path: str) -> None:
    assert Walk(TREE).points_out(path)


def test_the_ways_of_all_links_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One way over forty links of two thousand folders takes no time to speak of, and a million of them take hours."""
    chain = {f"link{number}": "a/../" * 800 + f"link{number + 1}" for number in range(40)}
    many = {f"to{number}": "link0" for number in range(100)}
    monkeypatch.setattr(links, "_MOST_STEPS", 1_000_000)
    walk = Walk(chain | many)
    assert not walk.points_out("to0")
    with pytest.raises(VerificationFailed, match="too many ways"):
        any(map(walk.points_out, many))


def test_a_step_in_a_deep_folder_counts_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_MOST_STEPS", 1000)
    deep = "/".join("d" * 250 for _ in range(200))
    with pytest.raises(VerificationFailed, match="too many ways"):
        Walk({f"{deep}/link": "a/../" * 20}).points_out(f"{deep}/link")
