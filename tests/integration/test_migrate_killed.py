"""A `migrate` that is killed, at every moment, on real hosts: one of them owns the bottle, and a rerun goes on."""

from __future__ import annotations

import signal
import time

import pytest

from tests.hosts import DockerHost
from tests.integration import migration, trees
from tests.integration.migration import Desk, far_can_resume, forgotten, leftovers, owners, stand_in

MEGA = 1 << 20


# One move, killed again and again, each time later; every kill is one run.
CHAIN = (
    "before:migration.json:1",
    "after:migration.json:1",  # quiescing
    "after:commit-intent.json:1",
    "before:commits.json:1",  # the image is there, the history does not know it
    "after:migration.json:2",  # staging
    "before:staged:1",  # the layers have been read
    "before:piece:4",
    "during:piece:11",
    "after:piece:9",
    "before:check:1",
    "during:load:1",  # the far engine may finish it all the same, and the next run then finds the image there
    "after:inspect:1",
    "during:extract:1",
    "before:verify:1",
    "during:extract:2",
    "during:volume:1",
    "after:volume:1",
    "before:migration.json:3",
    "after:migration.json:3",  # handing off
)
# Where the far host owns the bottle already, or may do so.
END = ("during:register:1", "after:register:1", "before:moved-to.json:1", "after:moved-to.json:1", "before:clear:1")


def test_killed_at_each_step_exactly_one_host_can_resume_and_a_rerun_goes_on(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = desk.start("mover")
    desk.work(identity)
    desk.grow(identity, 10 * MEGA)
    trees.fill_workspace(desk.workspace)
    words = ("migrate", identity, desk.target(host), "--jobs", "1")
    sent = 0
    with forgotten(host, identity):
        for moment in CHAIN:
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
            sent += moments.count("piece")
            assert owners(desk, identity, host) == (True, False), moment
            if moment == "before:commits.json:1":
                # Not only in theory: it is resumed here and works on; the rerun moves that, too.
                desk.ok("resume", "-d", identity)
                assert desk.run_in(identity, "sh", "-c", "echo later >/work/later") is not None
        before = [trees.container_tree(desk.container(identity), path) for path in ("/work", "/opt/cache")]
        workspace = trees.folder_tree(desk.workspace)
        code, moments = desk.strike(END[0], *words)
        assert code in {0, -signal.SIGKILL}
        sent += moments.count("piece")
        assert sum(owners(desk, identity, host)) == 1
        desk.ok(*words)
        assert owners(desk, identity, host) == (False, True)
        # Each kill may cost the piece that was on its way; packing anew after a resume is no fault of the line.
        assert sent < 35 + len(CHAIN)
        assert not leftovers(host)
        host.exec(["bottle", "resume", "-d", identity])
        after = [trees.far_container_tree(host, identity, path) for path in ("/work", "/opt/cache")]
        assert after == before
        assert "later" in after[0]
        assert trees.far_folder_tree(host, str(desk.workspace)) == workspace


# While the first layers of a large commit are loaded there, and the others still travel.
EARLY = ("before:load:1", "during:load:1", "after:load:1", "before:inspect:1")


def test_killed_while_first_layers_are_loaded_a_rerun_goes_on_and_leaves_none_of_them(
    desk: Desk, host: DockerHost
) -> None:
    desk.knows(host)
    identity = desk.start()
    desk.grow(identity, 80 * MEGA)
    before = desk.run_in(identity, "sha256sum", "/root/large")
    desk.ok("stop", identity)
    words = ("migrate", identity, desk.target(host), "--jobs", "1")
    tags, sent = ("image", "ls", "--format", "{{.Tag}}", f"bottle-committed-{identity}"), 0
    with forgotten(host, identity):
        for moment in EARLY:
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
            assert owners(desk, identity, host) == (True, False), moment
            sent += moments.count("piece")
        assert [tag for tag in host.docker(*tags).text.split() if "-part-" in tag]
        desk.ok(*words)
        assert owners(desk, identity, host) == (False, True)
        assert sent < 150  # of 120 of the layers, and two for each load
        assert host.docker(*tags).text.split() == ["1"]
        assert not leftovers(host)
        host.exec(["bottle", "resume", "-d", identity])
        assert host.docker("exec", f"bottle-{identity}", "sha256sum", "/root/large").stdout == before


@pytest.mark.parametrize("moment", END)
def test_killed_while_it_hands_over(desk: Desk, there: DockerHost, moment: str) -> None:
    desk.knows(there)
    identity = desk.start()
    (desk.workspace / "file").write_text("content\n")
    with forgotten(there, identity):
        code, _ = desk.strike(moment, "migrate", identity, desk.target(there))
        assert code == -signal.SIGKILL
        here, far = owners(desk, identity, there)
        assert here != far
        assert far or moment == "during:register:1"
        desk.ok("migrate", identity, desk.target(there))
        assert owners(desk, identity, there) == (False, True)
        assert not leftovers(there)
        there.exec(["bottle", "resume", "-d", identity])
        assert there.docker("exec", f"bottle-{identity}", "cat", "/workspace/file").text == "content"


def test_the_source_asks_before_it_resumes_and_what_it_withdrew_cannot_arrive_later(
    desk: Desk, there: DockerHost
) -> None:
    desk.knows(there)
    identity = desk.start()
    with forgotten(there, identity), stand_in(there, "/usr/local/bin/sync", "#!/bin/sh\nsleep 1\nexec /usr/bin/sync\n"):
        code, _ = desk.strike("during:register:1", "migrate", identity, desk.target(there))
        assert code == -signal.SIGKILL
        # The far script is still at work, and will end with the bottle in place: the answer must be the one that holds.
        here, far = owners(desk, identity, there)
        time.sleep(3)
        assert owners(desk, identity, there) == (here, far)
        assert here != far


@pytest.mark.parametrize("moment", ["after:commits.json:1", "before:migration.json:3", "during:register:1"])
def test_a_copy_that_is_killed_lets_the_bottle_go_on_and_is_finished_once(
    desk: Desk, there: DockerHost, moment: str
) -> None:
    desk.knows(there)
    identity = desk.start()
    words = ("migrate", identity, desk.target(there), "--keep", "--workspace", f"/srv/{identity}")
    code, _ = desk.strike(moment, *words)
    assert code == -signal.SIGKILL
    assert desk.can_resume(identity)
    copy = str(desk.ok(*words)["arrived_as"])
    with forgotten(there, copy):
        assert desk.container(identity).status == "running"
        assert desk.can_resume(identity)
        assert copy != identity
        copies = there.exec(["sh", "-c", "ls -d /root/.bottle/state/plain-*"]).text.split()
        assert copies == [f"/root/.bottle/state/{copy}"]
        assert not leftovers(there)
        there.exec(["bottle", "resume", "-d", copy])
        began = there.docker("exec", f"bottle-{copy}", "cat", "/root/.agent/began").text
        assert began.splitlines() == ["first", "again"]
        there.exec(["rm", "-rf", f"/srv/{identity}"])


@pytest.mark.campaign
@pytest.mark.parametrize("keep", [False, True], ids=["move", "copy"])
def test_killed_before_and_after_every_moment(desk: Desk, host: DockerHost, keep: bool) -> None:
    desk.knows(host)
    flags = ("--keep",) if keep else ()

    def prepared() -> str:
        identity = desk.start("mover")
        (desk.workspace / "file").write_text("content\n")
        return identity

    identity = prepared()
    with forgotten(host, identity):
        code, moments = desk.strike("", "migrate", identity, desk.target(host), "--jobs", "1", *flags)
        assert code == 0, (desk.folder / "said").read_text()
    assert len(moments) > 20
    counts: dict[str, int] = {}
    for name in moments:
        counts[name] = counts.get(name, 0) + 1
        for when in ("before", "during", "after"):
            identity = prepared()
            moment = f"{when}:{name}:{counts[name]}"
            words = ("migrate", identity, desk.target(host), "--jobs", "1", *flags, "--workspace", f"/srv/{identity}")
            with forgotten(host, identity):
                code, _ = desk.strike(moment, *words)
                assert code in {0, -signal.SIGKILL}, f"{moment}: {(desk.folder / 'said').read_text()}"
                here, far = owners(desk, identity, host)
                assert (here, far) == (True, False) if keep else here != far, moment
                # A copy that was made and noted as such is done: the same command would make another one.
                copies = host.exec(["sh", "-c", "cd /root/.bottle/state && echo mover-*"]).text.split() if keep else []
                done = keep and desk.migration(identity) is None and copies not in ([], ["mover-*"])
                arrived = copies[0] if done else str(desk.ok(*words)["arrived_as"])
                assert far_can_resume(host, arrived), moment
                assert desk.can_resume(identity) == keep, moment
                assert host.get(f"/srv/{identity}/file") == b"content\n"
                host.exec(["rm", "-rf", f"/srv/{identity}"])
                migration.forget(host, arrived)
            desk.clear()
