"""A world of its own for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.world import World


@pytest.fixture(autouse=True)
def _no_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: what a process's death does to files is the same without fsync (files/test_atomic.py)."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")
