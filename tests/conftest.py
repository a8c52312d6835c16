"""What holds for all tests."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bottle.files import tree

# How long an example takes says how busy the machine is, and nothing of the program. A change is judged by examples
# that are the same in each run; `scripts/test --full` looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("searching", deadline=None, max_examples=2000)
settings.load_profile("steady")

# A shell's background jobs are born with SIGINT ignored, those of nohup with SIGHUP, and they hand that on: none that a
# test sends would arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard_as_before() -> Iterator[None]:
    """What a test made of SIGINT would end the whole run at the next test that sends one."""
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Tests leave folders that lie thousands deep in each other, at which pytest's own cleaning up, being recursive, dies.
_TEMPORARY = "bottle-tests-"


def pytest_configure(config: pytest.Config) -> None:
    """A folder of this run's own for all that its tests write; what runs that died left is taken away."""
    if hasattr(config, "workerinput") or config.option.basetemp is not None:
        return
    above = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT") or tempfile.gettempdir())
    for left in above.glob(f"{_TEMPORARY}*"):
        if not Path("/proc", left.name.removeprefix(_TEMPORARY).partition("-")[0]).exists():
            tree.discard(left)
    config.option.basetemp = tempfile.mkdtemp(prefix=f"{_TEMPORARY}{os.getpid()}-", dir=above)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing of it stays."""
    mine = config.option.basetemp
    if not hasattr(config, "workerinput") and Path(mine or "").name.startswith(f"{_TEMPORARY}{os.getpid()}-"):
        tree.discard(Path(mine))
