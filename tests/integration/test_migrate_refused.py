"""A `migrate` that cannot be, or is not believed, on real hosts: it says so, and the bottle goes on here."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.hosts import DockerHost
from tests.hosts.host import ADD_LOGIN
from tests.hosts.keys import known_hosts_line, make_key_pair
from tests.integration import migration
from tests.integration.migration import Desk, ended, far_can_resume, forgotten, heard, owners, stand_in
from tests.integration.proxy import proxy

MEGA = 1 << 20


@contextmanager
def unchanged(desk: Desk, identity: str, host: DockerHost) -> Iterator[None]:
    """The bottle runs on as it did, and the host has nothing of it."""
    before, listing = desk.recorded(identity), ["find", "/root/.bottle", "/srv", "-printf", "%p %s %T@\n"]
    host.exec(["mkdir", "-p", "/root/.bottle"])
    far = host.exec(listing).text
    images = sorted(host.docker("image", "ls", "-aq").text.split())
    yield
    assert desk.recorded(identity) == before
    assert desk.container(identity).status == "running"
    assert host.exec(listing).text == far
    assert sorted(host.docker("image", "ls", "-aq").text.split()) == images
    assert desk.can_resume(identity)


def test_a_wrong_host_key_ends_it_before_anything_is_sent(desk: Desk, there: DockerHost) -> None:
    identity = desk.start()
    with proxy(there.address, there.port) as link:
        alias = desk.knows_as("impostor", there, link.port)
        wrong = known_hosts_line("127.0.0.1", link.port, make_key_pair().public)
        (desk.folder / f"known-{alias}").write_text(wrong)
        with unchanged(desk, identity, there):
            said = desk.refused(6, "migrate", identity, alias)
        assert "key" in said
        assert 0 < link.sent < 5000  # a greeting and a key exchange, and no login
        (desk.folder / f"known-{alias}").write_text("")
        with unchanged(desk, identity, there):
            desk.refused(6, "migrate", identity, alias)


def test_what_makes_a_move_impossible_is_found_before_anything_is_changed(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start()
    target = desk.target(there)
    key = subprocess.run(["ssh-keygen", "-y", "-f", there.key_file], check=True, capture_output=True).stdout
    there.exec(["sh", "-c", ADD_LOGIN, "add-login", "guest", "/bin/sh", "no", "no"], stdin=key)
    desk.knows_as("as-guest", there, there.port, user="guest")
    folder = f"/srv/{identity}"
    far_state = f"/root/.bottle/state/{identity}"
    try:
        with unchanged(desk, identity, there):
            assert "may not use Docker" in desk.refused(8, "migrate", identity, "as-guest")
        there.exec(["mv", "/usr/bin/docker", "/usr/bin/docker.away"])
        try:
            said = desk.refused(8, "migrate", identity, target)
        finally:
            there.exec(["mv", "/usr/bin/docker.away", "/usr/bin/docker"])
        assert "no docker" in said
        assert desk.container(identity).status == "running"

        there.exec(["sh", "-c", 'mkdir -p "$1" && echo theirs >"$1/file"', "make", folder])
        with unchanged(desk, identity, there):
            assert "is no empty folder" in desk.refused(4, "migrate", identity, target, "--workspace", folder)
        there.exec(["ln", "-s", "/nowhere", f"{folder}-link"])
        with unchanged(desk, identity, there):
            desk.refused(4, "migrate", identity, target, "--workspace", f"{folder}-link")
        assert there.get(f"{folder}/file") == b"theirs\n"

        there.exec(["mkdir", "-p", far_state])
        with unchanged(desk, identity, there):
            assert "already" in desk.refused(4, "migrate", identity, target)
    finally:
        there.exec(["rm", "-rf", folder, f"{folder}-link", far_state])
        there.exec(["userdel", "-r", "-f", "guest"], check=False)


def test_a_disk_that_is_too_small_is_seen_before_anything_is_changed(
    desk: Desk, make_host: Callable[..., DockerHost]
) -> None:
    small = make_host(data_disk_mb=100)
    desk.knows(small)
    identity = desk.start()
    desk.grow(identity, 64 * MEGA)
    with unchanged(desk, identity, small):
        assert "MB free at /var/lib/docker" in desk.refused(8, "migrate", identity, desk.target(small))


def test_a_disk_that_fills_up_midway_is_told_of_and_a_rerun_goes_on(
    desk: Desk, make_host: Callable[..., DockerHost], equipped: Callable[[DockerHost], DockerHost]
) -> None:
    host = equipped(make_host())
    desk.knows(host)
    host.exec(["sh", "-c", "mkdir -p /root/.bottle && mount -t tmpfs -o size=512m tmpfs /root/.bottle"])
    identity = desk.start()
    desk.grow(identity, 8 * MEGA)
    with desk.running("migrate", identity, desk.target(host), "--limit-rate", "1M") as first:
        heard(first, "sending to")
        host.exec(["sh", "-c", "cat /dev/zero >/root/.bottle/filler 2>/dev/null; true"])
        code, said = ended(first)
    assert code == 6, said
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert desk.can_resume(identity)
    assert not migration.far_can_resume(host, identity)
    host.exec(["rm", "/root/.bottle/filler"])
    assert desk.ok("migrate", identity, desk.target(host))["host"] == desk.target(host)
    assert not desk.can_resume(identity)
    assert migration.far_can_resume(host, identity)


def test_a_second_move_of_one_bottle_is_refused_and_ctrl_c_ends_the_first_in_order(
    desk: Desk, there: DockerHost
) -> None:
    desk.knows(there)
    identity = desk.start()
    desk.grow(identity, 4 * MEGA)
    words = ("migrate", identity, desk.target(there), "--limit-rate", "50k")
    with forgotten(there, identity), desk.running(*words) as first:
        heard(first, "sending to")
        said = desk.refused(4, "migrate", identity, desk.target(there))
        assert f"bottle migrate to {desk.target(there)}" in said
        assert str(first.pid) in said
        began = time.monotonic()
        first.send_signal(signal.SIGINT)
        code, said = ended(first)
        assert (code, "Traceback" in said) == (130, False), said
        assert time.monotonic() - began < 10
        assert desk.can_resume(identity)
        assert not far_can_resume(there, identity)
        desk.ok("migrate", identity, desk.target(there))
        assert far_can_resume(there, identity)


# --- a far host that lies ---------------------------------------------------------------------------------------------

LIAR = """\
#!/bin/sh
case "$*" in
"image inspect bottle-committed-"*) /usr/bin/docker "$@" | sed 's/"sha256:[0-9a-f]\\{8\\}/"sha256:00000000/' ;;
*) exec /usr/bin/docker "$@" ;;
esac
"""
POSER = """\
#!/bin/sh
case "$*" in
*"load"*) cat >/dev/null ;;
"image inspect bottle-committed-"*) echo '[{"Id": "sha256:1"}]' ;;
*create*bottle-committed-*) echo 1234 ;;
*) exec /usr/bin/docker "$@" ;;
esac
"""


@pytest.mark.parametrize("script", [LIAR, POSER], ids=["other layers", "never loaded"])
def test_an_image_that_is_not_what_was_sent_is_not_believed(desk: Desk, there: DockerHost, script: str) -> None:
    desk.knows(there)
    identity = desk.start()
    with forgotten(there, identity):
        with stand_in(there, "/usr/local/bin/docker", script):
            assert there.ssh("command -v docker").stdout == b"/usr/local/bin/docker\n"
            said = desk.refused(7, "migrate", identity, desk.target(there))
        assert "not the one that was committed" in said
        assert owners(desk, identity, there) == (True, False)
        desk.ok("migrate", identity, desk.target(there))
        assert owners(desk, identity, there) == (False, True)
