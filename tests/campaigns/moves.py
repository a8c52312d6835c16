"""A move whose promises are looked at: exactly one host owns the bottle, and the same command goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.campaigns import promises
from tests.campaigns.bench import Bench
from tests.campaigns.promises import MARK, Work
from tests.hosts import DockerHost
from tests.integration import migration
from tests.integration.migration import far_can_resume


@dataclass(frozen=True, slots=True)
class Move:
    """A bottle with committed and later work, and the command that moves it to a host."""

    bench: Bench
    host: DockerHost
    work: Work
    words: tuple[str, ...]

    @property
    def identity(self) -> str:
        return self.work.identity

    def standing(self) -> list[str]:
        """After whatever happened: one owner, and all commits with this one at least, if it is the owner."""
        here, far = self.bench.desk.can_resume(self.identity), far_can_resume(self.host, self.identity)
        broken = [f"owners: here {here}, there {far}"] if here == far else []
        return broken + promises.commits_stand(self.bench.desk, self.work)

    def arrived(self) -> list[str]:
        """After the command that went through: the other host has it, with all that was written in it."""
        here, far = self.bench.desk.can_resume(self.identity), far_can_resume(self.host, self.identity)
        broken = [] if (here, far) == (False, True) else [f"owners after all: here {here}, there {far}"]
        resumed = self.host.exec(["bottle", "resume", "-d", self.identity], check=False)
        if resumed.returncode != 0:
            return [*broken, f"resume there: exit {resumed.returncode}: {resumed.stderr.decode()}"]
        found = self.host.docker("exec", f"bottle-{self.identity}", "cat", MARK, "/cache/mark", check=False).text
        broken += [] if found == 2 * self.work.mark else [f"what arrived holds {found!r}, not {self.work.mark!r} twice"]
        file = self.host.exec(["cat", f"/srv/{self.identity}/file"], check=False).text
        broken += [] if file == self.work.mark else [f"the workspace there holds {file!r}, not {self.work.mark!r}"]
        left = self.host.exec(["sh", "-c", LEFT], check=False).text
        return broken + ([f"left there: {left}"] if left else [])

    def goes_through(self) -> list[str]:
        """The same command again succeeds, and what it says is so."""
        again = self.bench.desk.bottle(*self.words)
        if again.returncode != 0:
            return [f"said again: exit {again.returncode}: {again.stderr.decode()}"]
        return self.arrived()


LEFT = """
ls -A /root/.bottle/incoming 2>/dev/null
docker ps -aq --filter name=bottle-verify- --filter name=bottle-fill-
"""


@contextmanager
def a_move(bench: Bench, host: DockerHost, alias: str, *flags: str, size: int = 0) -> Iterator[Move]:
    """A bottle that is about to move; nothing is left of it anywhere afterwards."""
    identity = bench.running(None)
    work = bench.committed(identity)
    work = Work(work.identity, work.commits, bench.marked(identity).mark)
    put = f"printf {work.mark} >/cache/mark; head -c {size} /dev/urandom >/root/large"
    assert bench.desk.run_in(identity, "sh", "-c", put) is not None
    (bench.desk.workspace / "file").write_text(work.mark)
    try:
        yield Move(bench, host, work, ("migrate", identity, alias, "--workspace", f"/srv/{identity}", *flags))
    finally:
        migration.forget(host, identity)
        host.exec(["rm", "-rf", f"/srv/{identity}"])
        bench.clear()
