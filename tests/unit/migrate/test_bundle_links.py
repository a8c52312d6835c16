"""Which links of a tree lead out of it."""

from __future__ import annotations

import pytest

from migrate.scrutiny import points_out

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
    assert not points_out(TREE, path)


@pytest.mark.parametrize("path", ["out", "a/out", "absolute", "far", "over root", "over absolute", "over out"])
def test_it_leads_out(path: str) -> None:
    assert points_out(TREE, path)
