"""`bottle send-over-stdio`: whoever pulls is told how it ended, whatever goes wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any, cast

import pytest

from bottle.cli import send
from bottle.errors import NotFound
from bottle.moveoptions import MoveOptions
from migrate.transport.stdio import StdioRemote


class Puller:
    """The other side, as far as it is told something."""

    told: Mapping[str, Any] | None = None

    def start(self) -> None:
        pass

    def finish(self, result: Mapping[str, Any]) -> None:
        self.told = result


@pytest.mark.parametrize(
    ("failure", "code", "says"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), 1, "Too many open files"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), 1, "No such file"),
        (NotFound("there is no such bottle"), 3, "no such bottle"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_the_puller_is_told(monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int, says: str) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr(send, "make_context", fail)
    puller = Puller()
    assert send._serve(cast("StdioRemote", puller), "demo-abcde", MoveOptions(), planning=False) == code
    assert puller.told is not None
    assert says in str(puller.told["error"])
