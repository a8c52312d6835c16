"""Which attributes of a file are its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bottle.errors import TreeUnfit
from bottle.trees.attributes import attributes_of


def _has(monkeypatch: pytest.MonkeyPatch, *names: str) -> bytes:
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: list(names))
    monkeypatch.setattr(os, "getxattr", lambda _, name, **__: name.encode()[-1:])
    return b"path"


def test_overlays_own_and_a_hosts_labels_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    path = _has(monkeypatch, "trusted.overlay.origin", "security.selinux", "security.capability", "user.a")
    assert attributes_of(path) == {b"security.capability": b"y", b"user.a": b"a"}


def test_what_users_call_like_overlays_is(monkeypatch: pytest.MonkeyPatch) -> None:
    path = _has(monkeypatch, "user.overlay.redirect", "user.overlay.x")
    assert attributes_of(path) == {b"user.overlay.redirect": b"t", b"user.overlay.x": b"x"}


def test_content_that_overlay_keeps_elsewhere_is_none_for_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TreeUnfit, match="elsewhere"):
        attributes_of(_has(monkeypatch, "trusted.overlay.redirect"))


def test_a_filesystem_without_attributes_has_none(tmp_path: Path) -> None:
    assert attributes_of(os.fsencode(tmp_path)) == {}
