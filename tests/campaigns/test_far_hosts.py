"""A move to a host that dies, fills up or lies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaigns.bench import STRUCK, Bench, RecordProperty
from tests.campaigns.moves import Move, a_move
from tests.hosts import DockerHost
from tests.integration.migration import BOTTLE

pytestmark = pytest.mark.campaign
MEGA = 1 << 20
# Lines of its progress after which the far host is struck.
MOMENTS = ("sending to", "loading", "verifying")
LIARS = {
    "other layers": (
        '"image inspect bottle-committed-"*',
        """/usr/bin/docker "$@" | sed 's/"sha256:[0-9a-f]\\{8\\}/"sha256:00000000/'""",
    ),
    "loads nothing": ("*load*", "cat >/dev/null"),
    "makes no container": ("*create*", "exit 1"),
    "babbles": ("*load*", "yes"),
}
LIAR = """\
#!/bin/sh
case "$*" in
{when}) {lie} ;;
*) exec /usr/bin/docker "$@" ;;
esac
"""


@pytest.fixture
def doomed(make_host: Callable[..., DockerHost], wheel: Path, small: str) -> DockerHost:
    """A host of one's own, ready to resume what arrives; 512 MB for what is staged there."""
    host = make_host()
    host.install_bottle(wheel)
    host.load_image(small)
    host.exec(["sh", "-c", "mkdir -p /root/.bottle && mount -t tmpfs -o size=512m tmpfs /root/.bottle"])
    return host


@contextmanager
def running(bench: Bench, move: Move, moment: str) -> Iterator[subprocess.Popen[str]]:
    """The move as it runs, at that line of its progress."""
    argv = [sys.executable, *BOTTLE, *move.words, "--limit-rate", "2M"]
    with subprocess.Popen(
        argv, cwd=bench.desk.folder, env=bench.desk.environ, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith(moment):
                break
        yield run


def test_a_host_that_dies(bench: Bench, doomed: DockerHost, record_property: RecordProperty) -> None:
    bench.desk.knows(doomed)
    deaths: dict[str, Callable[[], object]] = {
        "docker": doomed.kill_docker,
        "the connections": doomed.kill_sshd_sessions,
    }
    broken = []
    for moment in MOMENTS:
        for what, die in deaths.items():
            with a_move(bench, doomed, bench.desk.target(doomed), size=4 * MEGA) as move:
                with running(bench, move, moment) as run:
                    die()
                    said = run.stderr.read() if run.stderr is not None else ""
                doomed.start_docker()
                found = [f"a traceback: {said}"] if "Traceback" in said else []
                found += [*move.standing(), *move.goes_through()]
                broken += [f"{what} at {moment!r}: {each}" for each in found]
    record_property(STRUCK, len(MOMENTS) * len(deaths))
    assert not broken, "\n".join(broken)


def test_a_host_that_fills_up(bench: Bench, doomed: DockerHost, record_property: RecordProperty) -> None:
    bench.desk.knows(doomed)
    broken = []
    for moment in MOMENTS:
        with a_move(bench, doomed, bench.desk.target(doomed), size=4 * MEGA) as move:
            with running(bench, move, moment) as run:
                doomed.exec(["sh", "-c", "head -c 600m /dev/zero >/root/.bottle/filler"], check=False)
                said = run.stderr.read() if run.stderr is not None else ""
            full = move.standing() if run.returncode else []  # one that is full can still say who owns it
            doomed.exec(["rm", "/root/.bottle/filler"])
            found = [f"a traceback: {said}"] if "Traceback" in said else []
            found += [*full, *move.goes_through()]
            broken += [f"full at {moment!r}: {each}" for each in found]
    record_property(STRUCK, len(MOMENTS))
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("lie", LIARS)
def test_a_host_that_lies(bench: Bench, there: DockerHost, lie: str, record_property: RecordProperty) -> None:
    record_property(STRUCK, 1)
    bench.desk.knows(there)
    with a_move(bench, there, bench.desk.target(there)) as move:
        put = ["sh", "-c", "cat >/usr/local/bin/docker; chmod 755 /usr/local/bin/docker"]
        when, what = LIARS[lie]
        there.exec(put, stdin=LIAR.format(when=when, lie=what).encode())
        try:
            done = bench.desk.bottle(*move.words)
        finally:
            there.exec(["rm", "-f", "/usr/local/bin/docker"])
        said = done.stderr.decode()
        assert done.returncode in {6, 7}, said
        assert "Traceback" not in said
        assert not move.standing()
        assert bench.desk.can_resume(move.identity)
        assert not move.goes_through()
