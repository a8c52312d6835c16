"""Which runtimes work is trusted to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bottle.errors import PreflightRefused
from bottle.facts import engine_info
from bottle.model import Runtime, Status
from bottle.plan.runtimes import keeps_writes, require_kept_writes, runtime_of
from tests.support.facts import IDENTITY, container

INFO = engine_info(
    {
        "DefaultRuntime": "runc",
        "Runtimes": {
            "runc": {"path": "runc"},
            "safe": {"path": "/usr/local/bin/runsc", "runtimeArgs": ["--overlay2=none"]},
            "fast": {"path": "/usr/bin/crun"},
            "shim": {"runtimeType": "io.containerd.kata.v2"},
            "told": {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": "/opt/runsc"}},
            "silent": None,
        },
    },
    {},
)
RUNS = container(Status.RUNNING)


@pytest.mark.parametrize(
    ("name", "program", "kept"),
    [
        ("", "runc", True),
        ("runc", "runc", True),
        ("fast", "/usr/bin/crun", True),
        ("io.containerd.runc.v2", "", True),
        ("sysbox-runc", "", True),
        ("nvidia", "", True),
        ("safe", "/usr/local/bin/runsc", False),
        ("shim", "io.containerd.kata.v2", False),
        ("told", "/opt/runsc", False),
        ("silent", "", False),
        ("runsc", "", False),
        ("/opt/bin/containerd-shim-runsc-v1", "", False),
        ("/opt/bin/containerd-shim-runc-v2", "", True),
        ("a\nb", "", False),
    ],
)
def test_a_runtime_is_judged_by_its_program_and_else_by_its_name(name: str, program: str, kept: bool) -> None:
    runtime = runtime_of(INFO, replace(RUNS, runtime=name))
    assert runtime == Runtime(name=name or "runc", program=program)
    assert keeps_writes(runtime) is kept


def test_a_container_that_is_still_to_be_made_gets_the_engines_default() -> None:
    assert runtime_of(replace(INFO, default_runtime="safe"), None).program == "/usr/local/bin/runsc"


def test_an_engine_that_tells_of_no_runtimes_has_its_own() -> None:
    assert keeps_writes(runtime_of(engine_info({}, {}), None))


@pytest.mark.parametrize(
    ("status", "saved"),
    [(Status.RUNNING, "docker exec bottle-demo-abcde tar"), (Status.EXITED, "docker export bottle")],
)
def test_what_is_refused_says_how_its_work_is_saved(status: Status, saved: str) -> None:
    safe = runtime_of(INFO, replace(RUNS, runtime="safe"))
    with pytest.raises(PreflightRefused, match=r"safe \(/usr/local/bin/runsc\)") as caught:
        require_kept_writes(IDENTITY, container(status), safe, "commit")
    assert saved in caught.value.next_step
    assert '"default-runtime": "runc"' in caught.value.next_step
    require_kept_writes(IDENTITY, container(status), runtime_of(INFO, RUNS), "commit")
