"""What a `migrate` sends, on real hosts: what changed, and little again where a line or staging breaks."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.hosts import DockerHost
from tests.integration.migration import Desk, ended, far_can_resume, forgotten, heard, owners
from tests.integration.proxy import Proxy, proxy

MEGA = 1 << 20


@pytest.fixture
def link(there: DockerHost, desk: Desk) -> Iterator[Proxy]:
    """A line to the host that can be broken, known as `link`."""
    with proxy(there.address, there.port) as running:
        desk.knows_as("link", there, running.port)
        yield running


def move_over(desk: Desk, link: Proxy, there: DockerHost, size: int, **faults: int | None) -> tuple[int, int, str]:
    """Move a bottle with `size` bytes of work; the bytes that were staged, those on the wire, and what was said."""
    identity = desk.start()
    desk.grow(identity, size)
    link.expect(**faults)
    with forgotten(there, identity):
        done = desk.bottle("migrate", identity, "link", "--format", "json")
        assert done.returncode == 0, done.stderr.decode()
        assert owners(desk, identity, there) == (False, True)
        return int(json.loads(done.stdout)["staged_bytes"]), link.sent, done.stderr.decode()


def test_what_follows_a_small_change_is_small(desk: Desk, link: Proxy, there: DockerHost) -> None:
    identity = desk.start()
    desk.run_in(identity, "mkdir", "/root/work")
    write = 'for number in "$@"; do head -c 262144 /dev/urandom >"/root/work/$number" || exit; done'
    sent = []
    with ExitStack() as copies:
        for files in (range(128), range(1)):
            assert desk.run_in(identity, "sh", "-c", write, "write", *map(str, files)) is not None
            link.expect()
            copy = desk.ok("migrate", identity, "link", "--keep")
            copies.enter_context(forgotten(there, str(copy["identity"])))
            sent.append(link.sent)
    first, then = sent
    assert first > 32 * MEGA
    assert then <= 0.03 * first


@pytest.mark.parametrize("size", [16 * MEGA, 96 * MEGA], ids=["a layer", "layers"])
def test_a_line_that_breaks_costs_little(desk: Desk, link: Proxy, there: DockerHost, size: int) -> None:
    staged, clean, _ = move_over(desk, link, there, size)
    assert staged < clean < staged + MEGA
    for part in (0.1, 0.5, 0.9):
        _, sent, said = move_over(desk, link, there, size, cut=int(part * clean))
        assert "trying again" in said
        assert link.connections >= 2
        assert sent - clean <= 0.12 * staged, f"{sent - clean} of {staged} bytes were sent again"
    _, sent, said = move_over(desk, link, there, size, flip=clean // 2)
    assert "trying again" in said
    assert sent - clean <= 0.12 * staged


def test_sshd_sessions_that_are_killed_midway(desk: Desk, link: Proxy, there: DockerHost) -> None:
    identity = desk.start()
    desk.grow(identity, 4 * MEGA)
    link.expect()
    words = ("migrate", identity, "link", "--limit-rate", "2M")
    with forgotten(there, identity), desk.running(*words) as move:
        heard(move, "sending to")
        while link.sent < 2 * MEGA:
            assert move.poll() is None
            time.sleep(0.01)
        assert there.kill_sshd_sessions() > 0
        code, said = ended(move)
        assert code == 0, said
        assert "trying again" in said
        assert owners(desk, identity, there) == (False, True)


def test_what_one_run_brought_there_the_next_does_not_send(desk: Desk, link: Proxy, there: DockerHost) -> None:
    identity = desk.start()
    desk.grow(identity, 12 * MEGA)
    words = ("migrate", identity, "link", "--jobs", "1")
    sent = []
    with forgotten(there, identity):
        for moment in ("before:piece:17", "before:check:1"):
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL
            sent.append(moments.count("piece"))
        pieces = there.exec(["find", f"/root/.bottle/incoming/{identity}/blobs", "-type", "f"]).text.splitlines()
        assert sent[0] == 17  # the last of them was not begun
        assert sum(sent) - 1 == len(pieces) > 20
        link.expect()
        code, moments = desk.strike("", *words)
        assert code == 0
        assert "piece" not in moments
        assert link.sent < MEGA


@pytest.mark.campaign
def test_a_line_that_falls_silent(desk: Desk, link: Proxy, there: DockerHost) -> None:
    size = 16 * MEGA
    staged, clean, _ = move_over(desk, link, there, size)
    _, sent, said = move_over(desk, link, there, size, stall=clean // 2)
    assert "no sign of life" in said
    assert sent - clean <= 0.12 * staged


def test_a_damaged_piece_in_staging_is_found_and_sent_again(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start()
    desk.grow(identity, 8 * MEGA)
    words = ("migrate", identity, desk.target(there), "--jobs", "1")
    with forgotten(there, identity):
        code, moments = desk.strike("before:check:1", *words)
        assert code == -signal.SIGKILL
        assert moments.count("piece") > 10
        there.exec(["sh", "-c", DAMAGE, "damage", identity])
        code, moments = desk.strike("", *words)
        assert code == 0
        assert "damaged pieces were thrown away" in (desk.folder / "said").read_text()
        assert moments.count("piece") == 2  # the damaged one, and the one that was cut short
        assert far_can_resume(there, identity)


# One byte of one piece is another; one piece is a byte short.
DAMAGE = r"""
cd "/root/.bottle/incoming/$1/blobs"
set -- $(find . -name '0000000[1-9]-*' -size +200k | sort)
old=$(od -An -tu1 -j1000 -N1 "$1")
printf "\\$(printf %o $(((old + 1) % 256)))" | dd of="$1" bs=1 seek=1000 conv=notrunc status=none
truncate -s -1 "$2"
"""
