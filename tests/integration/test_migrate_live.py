"""A `migrate --live` on real hosts: the agent works while it travels, and goes on there where it stood still here."""

from __future__ import annotations

import io
import json
import secrets
import signal
import tarfile
from collections.abc import Iterator
from itertools import takewhile

import docker
import pytest

from tests.contract.engine import eventually
from tests.hosts import DockerHost
from tests.integration import migration, trees
from tests.integration.migration import Desk, ended, forgotten, heard, leftovers, owners, stand_in
from tests.integration.proxy import Proxy, proxy
from tests.integration.smallimage import build_small

MEGA = 1 << 20
JOURNAL = "/root/.agent/journal"
BEGAN = "/root/.agent/began"


@pytest.fixture
def link(there: DockerHost, desk: Desk) -> Iterator[Proxy]:
    """A line to the host that can be broken, known as `link`."""
    with proxy(there.address, there.port) as running:
        desk.knows_as("link", there, running.port)
        yield running


def steps(journal: bytes) -> list[int]:
    """The steps that an agent has noted, each of which follows on the one before it."""
    found = [int(line.split()[1]) for line in journal.decode().splitlines()]
    assert found == list(range(1, len(found) + 1))
    return found


def far_read(host: DockerHost, identity: str, path: str) -> bytes:
    return host.docker("exec", f"bottle-{identity}", "cat", path).stdout


def require_it_works(desk: Desk, identity: str) -> None:
    """The agent works here, as if nothing had been."""
    assert desk.container(identity).status == "running"
    before = len(steps(desk.run_in(identity, "cat", JOURNAL) or b""))
    assert eventually(lambda: len(steps(desk.run_in(identity, "cat", JOURNAL) or b"")) > before)


def require_moved(desk: Desk, identity: str, host: DockerHost, began: list[str]) -> None:
    """The bottle is there, and its agent went on where it stood still here."""
    assert owners(desk, identity, host) == (False, True)
    assert not leftovers(host)
    assert eventually(lambda: far_read(host, identity, BEGAN).decode().split() == began)
    before = len(steps(far_read(host, identity, JOURNAL)))
    assert eventually(lambda: len(steps(far_read(host, identity, JOURNAL))) > before)


def left_here(desk: Desk, identity: str, path: str) -> bytes:
    """A file as the agent left it here."""
    archive = io.BytesIO(b"".join(desk.container(identity).get_archive(path)[0]))
    with tarfile.open(fileobj=archive) as tar:
        content = tar.extractfile(tar.getmembers()[0])
        assert content is not None
        return content.read()


# In a volume, while it travels: something new, more of one, another name, and what goes away.
CHANGE = """\
cd /opt/cache && chmod 1750 . && echo top >top
cd /opt/cache/work
echo new >later && echo more >>mine
mkdir -p deeper/down && mv linked deeper/down/
rm -r 'empty folder' && rm dangling && mkdir dangling
"""


def test_it_travels_while_its_agent_works(desk: Desk, host: DockerHost) -> None:
    desk.knows(host)
    identity = desk.start("mover")
    desk.work(identity)
    desk.grow(identity, 8 * MEGA)
    trees.fill_workspace(desk.workspace)
    before = [trees.container_tree(desk.container(identity), path) for path in ("/work", "/opt/cache")]
    words = ("migrate", identity, desk.target(host), "--live", "--format", "json")
    with forgotten(host, identity), desk.running(*words) as move:
        assert move.stderr is not None
        lines = list(takewhile(lambda line: not line.startswith("round 1: "), move.stderr))
        (desk.workspace / "later").write_text("while it travelled\n")
        assert desk.run_in(identity, "sh", "-c", CHANGE) is not None
        before[1] = trees.container_tree(desk.container(identity), "/opt/cache")
        out, said = move.communicate()
        assert move.returncode == 0, said
        assert "is brought whole" not in "".join((*lines, said))
        moved = json.loads(out)
        assert moved["rounds"][0]["staged_bytes"] > 8 * MEGA
        assert 0 < moved["downtime_seconds"] < 30
        require_moved(desk, identity, host, ["first", "again"])
        here = steps(left_here(desk, identity, JOURNAL))
        assert steps(far_read(host, identity, JOURNAL))[: len(here)] == here
        assert [trees.far_container_tree(host, identity, path) for path in ("/work", "/opt/cache")] == before
        assert trees.far_folder_tree(host, str(desk.workspace)) == trees.folder_tree(desk.workspace)
        tags = host.docker("image", "ls", "--format", "{{.Tag}}", f"bottle-committed-{identity}").text.split()
        assert {str(each["commit"]) for each in moved["rounds"]} < set(tags)  # each round is a commit there, too


# --- what ends it -----------------------------------------------------------------------------------------------------

# One move, killed again and again, each time later, in rounds.
ROUNDS = (
    "after:migration.json:1",
    "before:commits.json:1",
    "after:migration.json:2",
    "during:piece:4",
    "during:load:1",
    "after:inspect:1",
    "after:verify:1",
)
# One move each, killed in its last round, or while it is handed over.
LAST = ("after:no commit-intent.json:2", "during:volume:1", "before:register:1", "during:register:1", "before:resume:1")


def test_killed_in_its_rounds_the_agent_works_on_and_the_same_command_finishes(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("mover")
    desk.grow(identity, 4 * MEGA)
    trees.fill_workspace(desk.workspace)
    words = ("migrate", identity, desk.target(there), "--live", "--rounds", "1", "--jobs", "1")
    with forgotten(there, identity):
        for moment in ROUNDS:
            code, moments = desk.strike(moment, *words)
            assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
            assert owners(desk, identity, there) == (True, False), moment
            desk.bottle("list")  # lets one go on that was paused for a commit
            require_it_works(desk, identity)
        desk.ok(*words)
        require_moved(desk, identity, there, ["first", "again"])


@pytest.mark.parametrize("moment", LAST)
def test_killed_in_its_last_round_the_same_command_starts_it_there(desk: Desk, there: DockerHost, moment: str) -> None:
    desk.knows(there)
    identity = desk.start("mover")
    words = ("migrate", identity, desk.target(there), "--live", "--rounds", "1")
    with forgotten(there, identity):
        code, moments = desk.strike(moment, *words)
        assert code == -signal.SIGKILL, f"{moment}: exit {code}\n{(desk.folder / 'said').read_text()}\n{moments}"
        desk.ok(*words)
        require_moved(desk, identity, there, ["first", "again"])


def test_interrupted_in_a_round_the_agent_has_noticed_nothing(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start()
    desk.grow(identity, 16 * MEGA)
    words = ("migrate", identity, desk.target(there), "--live")
    with forgotten(there, identity):
        with desk.running(*words, "--limit-rate", "2M") as move:
            heard(move, "sending to")
            move.send_signal(signal.SIGINT)
            code, said = ended(move)
        assert code == 130
        assert "its agent goes on here" in said
        assert "bottle resume" not in said
        require_it_works(desk, identity)
        desk.ok(*words)
        require_moved(desk, identity, there, ["first", "again"])


def test_what_would_stand_still_for_too_long_works_on(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start()
    with forgotten(there, identity):
        said = desk.refused(8, "migrate", identity, desk.target(there), "--live", "--max-downtime", "1ms")
        assert "and that would be about" in said
        require_it_works(desk, identity)
        assert owners(desk, identity, there) == (True, False)


# An engine that loads no second image, as where its disk is full by then.
ONE_LOAD = """\
#!/bin/sh
if [ "$1" = load ] && ! mkdir /tmp/loaded-once 2>/dev/null; then
	cat >/dev/null
	echo "no space left on device" >&2
	exit 1
fi
exec /usr/bin/docker "$@"
"""


def test_where_the_last_round_fails_the_agent_goes_on_here(desk: Desk, there: DockerHost) -> None:
    desk.knows(there)
    identity = desk.start("mover")
    desk.grow(identity, MEGA)
    words = ("migrate", identity, desk.target(there), "--live", "--rounds", "1")
    there.exec(["rm", "-rf", "/tmp/loaded-once"])
    with forgotten(there, identity):
        with stand_in(there, "/usr/local/bin/docker", ONE_LOAD):
            said = desk.refused(6, *words)
        assert "no space left on device" in said
        assert "its agent goes on here" in said
        require_it_works(desk, identity)
        assert owners(desk, identity, there) == (True, False)
        desk.ok(*words)
        require_moved(desk, identity, there, ["first", "again", "again"])


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_line_that_breaks_in_a_round_costs_little(desk: Desk, link: Proxy, there: DockerHost, part: float) -> None:
    identity = desk.start()
    desk.grow(identity, 16 * MEGA)
    link.expect(cut=int(part * 16 * MEGA))
    with forgotten(there, identity):
        done = desk.bottle("migrate", identity, "link", "--live", "--format", "json")
        assert done.returncode == 0, done.stderr.decode()
        assert "trying again" in done.stderr.decode()
        staged = int(json.loads(done.stdout)["staged_bytes"])
        assert link.sent - staged <= 0.12 * staged + MEGA
        require_moved(desk, identity, there, ["first", "again"])


# --- a database that commits all the time -----------------------------------------------------------------------------

DATABASE = """\
import sqlite3, time
both = [sqlite3.connect(path, isolation_level=None) for path in ("/srv/inside.db", "/data/volume.db")]
for each in both:
    each.execute("pragma journal_mode = wal")
    each.execute("create table if not exists t (n integer primary key, v blob)")
n = min(each.execute("select coalesce(max(n), 0) from t").fetchone()[0] for each in both)  # one may be a row ahead
while True:
    n += 1
    for each in both:
        each.execute("insert or replace into t values (?, randomblob(200))", (n,))
    print(n, flush=True)
    time.sleep(0.003)
"""
CHECK = """\
import json, sqlite3
said = {}
for path in ("/srv/inside.db", "/data/volume.db"):
    db = sqlite3.connect(path)
    rows = [n for (n,) in db.execute("select n from t order by n")]
    missing = sorted(set(range(1, rows[-1] + 1)).difference(rows))
    said[path] = [db.execute("pragma integrity_check").fetchone()[0], rows[-1], missing]
print(json.dumps(said))
"""


@pytest.fixture(scope="session")
def with_sqlite(engine: docker.DockerClient, host_image: str) -> Iterator[str]:
    """An image with a Python that has SQLite."""
    files = "/etc /usr/lib/python3.13 /usr/lib/*/libsqlite3.so.0*"
    tools = f"{migration.TOOLS} python3"
    name = build_small(engine, host_image, "bottle-sqlite-test", secrets.token_hex(4), tools, files)
    yield name
    engine.images.remove(name, force=True)


def acknowledged(desk: Desk, identity: str) -> int:
    """The last transaction that the agent here has told of."""
    said = desk.container(identity).logs(tail=1).split()
    return int(said[-1]) if said else 0


def test_what_a_database_acknowledged_is_there(desk: Desk, host: DockerHost, with_sqlite: str) -> None:
    desk.knows(host)
    with (desk.folder / "bottle.toml").open("a") as manifest:
        manifest.write(
            f'\n[agents.base]\nimage = "{with_sqlite}"\ncommand = ["python3", "-c", {json.dumps(DATABASE)}]\n'
            'volumes = ["data:/data"]\nnetwork = "none"\n'
        )
    identity = str(desk.ok("start", "base", "-d", "--copy-cwd")["identity"])
    desk.known.append(identity)
    assert eventually(lambda: acknowledged(desk, identity) > 200, 60)
    with forgotten(host, identity):
        moved = desk.ok("migrate", identity, desk.target(host), "--live")
        assert moved["rounds"]
        last_here = acknowledged(desk, identity)
        assert eventually(lambda: bool(host.docker("logs", f"bottle-{identity}").text))
        host.docker("stop", "-t", "5", f"bottle-{identity}")
        first = int(host.docker("logs", f"bottle-{identity}").text.split()[0])
        assert first - 1 in {last_here, last_here + 1}  # one may have been written and not been told any more
        host.docker("start", f"bottle-{identity}")
        said = json.loads(host.docker("exec", f"bottle-{identity}", "python3", "-c", CHECK).text)
        for path, (integrity, last, missing) in said.items():
            assert (integrity, missing) == ("ok", []), path
            assert last >= last_here, path
