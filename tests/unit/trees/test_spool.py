"""Spools: what does not fit on the disk is told when a layer is finished, not when it is let go."""

from __future__ import annotations

from pathlib import Path

import pytest

from bottle.trees import spool
from bottle.trees.reader import Member
from bottle.trees.spool import LayerSpool


def test_a_layer_that_is_finished_is_on_the_disk_with_all_that_is_known_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (path.open("r+b") for path in (tmp_path / "tar", Path("/dev/full")))
    (tmp_path / "tar").touch()
    monkeypatch.setattr(spool, "unnamed", lambda _: next(files))
    layer = LayerSpool(tmp_path)
    layer.add(Member(b"", b"name", 4, iter([b"four"])))
    with pytest.raises(OSError, match="No space left"):
        layer.finish()
