"""A sequence is worked off in a real bottle, and each commit judged.

What a container of the commit shows must be what one shows of Docker's own commit, made of the same container while
nothing happens in it; and besides, with all that Docker drops, what the container shows itself. Where Docker's commit
is not what the container shows, either will do for the first.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from tests.integration import migration
from tests.integration.migration import Desk
from tests.oracle import ahead, image as images, journal, showing, trees
from tests.oracle.directed import Seed, phases_of
from tests.oracle.sequences import Operation, Phase, Turn, told
from tests.oracle.trees import Facts, Tree

BY_CHANGES = "by its changes"
PLACES = ("/etc", "/opt", "/root", "/srv", "/usr/local", "/usr/share", "/var", "/work")
_PYTHON = ("python3", "-B")
_SERVE = [*_PYTHON, f"{images.FOLDER}/agent.py", "serve"]
_TELL = [*_PYTHON, f"{images.FOLDER}/agent.py", "tell"]
_LIST = [*_PYTHON, f"{images.FOLDER}/listing.py", *PLACES]
# A folder that goes away while the engine compares (moby's archive.ChangesDirs), and runc on a busy machine.
_BUSY = ("could not compare container", "unable to freeze")
_JOURNAL = [*_PYTHON, f"{images.FOLDER}/journal.py"]
_MANIFEST = """\
[agents.{agent}]
image = "{image}"
command = {serve}
resume_command = {serve}
network = "none"
cap_add = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"]
"""


@dataclass
class Verdict:
    """What became of a sequence. `unlike_docker` and `unlike_live` are differences, each behind the commit it is in.

    `by_engine` says why some were not made of what changed.
    """

    seed: Seed
    unlike_docker: list[str] = field(default_factory=list)
    unlike_live: list[str] = field(default_factory=list)
    docker_unlike_live: list[str] = field(default_factory=list)
    failed_in_a_rush: list[str] = field(default_factory=list)
    commits: int = 0
    by_engine: list[str] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def report(self, lines: Sequence[str]) -> str:
        """Differences, with all that led to them, and what could not be done of it."""
        failed = (f"{name}: {times} times {error}" for (name, error), times in self.outcomes.items() if error)
        return "\n".join((f"seed {self.seed}", *lines, told(phases_of(self.seed)), *failed))


@dataclass
class Oracle:
    """A desk whose one agent does what it is told, in one bottle after the other."""

    desk: Desk
    agent: str
    image: str

    def torn(self, commits: int) -> list[str]:
        """Commit a bottle that writes a journal meanwhile; what is wrong with which commit."""
        with self.running() as identity:
            run = _Run(self.desk, identity, Verdict(0))
            run.tell((("journal",),))
            found = []
            for made in filter(None, (run.commit_in_a_rush() for _ in range(commits))):
                said = showing.listed(self.desk.engine, made, _JOURNAL, self.desk.folder)
                found += [f"{made}: {wrong}" for wrong in (journal.torn(json.loads(said)),) if wrong]
        return found if run.numbers else run.verdict.failed_in_a_rush

    def judge(self, seed: Seed, phases: Sequence[Phase] | None = None) -> Verdict:
        """Work off the sequence of a seed, and look at each commit."""
        verdict = Verdict(seed)
        with self.running() as identity:
            run = _Run(self.desk, identity, verdict)
            for phase in phases_of(seed) if phases is None else phases:
                run.phase(phase)
        return verdict

    def live(self, identity: str) -> Tree:
        """What a running bottle shows."""
        return _Run(self.desk, identity, Verdict(0)).live()

    def shown(self, image: str) -> Tree:
        """What a container of an image shows."""
        return _Run(self.desk, "", Verdict(0)).shown(image)

    def tell(self, identity: str, operations: Sequence[Operation]) -> None:
        """Have a running bottle do something."""
        _Run(self.desk, identity, Verdict(0)).tell(operations)

    @contextmanager
    def running(self) -> Iterator[str]:
        """A new bottle."""
        self.desk.workspace.mkdir(exist_ok=True)
        identity = str(self.desk.ok("start", self.agent, "-d", "--cwd", str(self.desk.workspace))["identity"])
        try:
            yield identity
        finally:
            self._remove(identity)

    def _remove(self, identity: str) -> None:
        with suppress(DockerException):
            self.desk.container(identity).remove(force=True)
        for image in self.desk.engine.images.list(name=f"bottle-committed-{identity}"):
            for tag in image.tags:
                with suppress(DockerException):
                    self.desk.engine.images.remove(tag)


@contextmanager
def oracle_in(
    folder: Path, engine: docker.DockerClient, image: str, made: Callable[[Desk], Desk] = lambda desk: desk
) -> Iterator[Oracle]:
    """A fresh desk for it, or what is made of one; what its bottles leave in the engine is removed."""
    agent = f"o{secrets.token_hex(4)}"
    with migration.desk_in(folder, engine) as desk:
        manifest = _MANIFEST.format(agent=agent, image=image, serve=json.dumps(_SERVE))
        (desk.folder / "bottle.toml").write_text(manifest)
        yield Oracle(made(desk), agent, image)


@dataclass
class _Run:
    """One bottle, and what is found out about its commits."""

    desk: Desk
    identity: str
    verdict: Verdict
    numbers: list[int] = field(default_factory=list)

    def phase(self, phase: Phase) -> None:
        self.tell(phase.operations)
        match phase.turn:
            case Turn.COMMIT:
                self.check(self.commit(), self.live())
            case Turn.TWICE:
                self.commit()
                if phase.rush:
                    self.tell(phase.rush)
                self.check(self.commit(), self.live())
            case Turn.STOPPED:
                live = self.live()
                self.desk.ok("stop", self.identity)
                self.check(self.commit(), live)
                self.desk.ok("resume", self.identity, "-d")
            case Turn.RESTARTED:
                self.desk.ok("stop", self.identity)
                self.desk.ok("resume", self.identity, "-d")
                self.tell(phase.operations[:3])
                self.check(self.commit(), self.live())
            case Turn.RENEWED | Turn.BACK:
                self.check(self.commit(), self.live())
                self.desk.container(self.identity).remove(force=True)
                earlier = ("--at", str(self.numbers[0])) if phase.turn is Turn.BACK else ()
                self.desk.ok("resume", self.identity, "-d", *earlier)
            case Turn.RUSHED:
                self.tell((("rush", phase.rush),))
                self.commit_in_a_rush()
                self.tell((("steady",),))
                self.check(self.commit(), self.live())

    def tell(self, operations: Sequence[Operation]) -> None:
        """Have them done."""
        said = self.desk.run_in(self.identity, *_TELL, json.dumps(operations))
        assert said is not None, f"{self.identity}: the agent does not answer"
        for (name, *_), outcome in zip(operations, json.loads(said), strict=True):
            self.verdict.outcomes[name, outcome] += 1

    def commit(self) -> str:
        """Make one; its image."""
        done = self._committed()
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr.decode()}"
        return self.made(json.loads(done.stdout))

    def _committed(self) -> subprocess.CompletedProcess[bytes]:
        """Of two commits, one is read ahead however little it is."""
        words = ("commit", self.identity, "--format", "json")
        return self.desk.program(Path(ahead.__file__), *words) if len(self.numbers) % 2 else self.desk.bottle(*words)

    def made(self, answer: dict[str, Any]) -> str:
        """Count a commit; its image."""
        self.numbers.append(int(answer["commit"]["number"]))
        self.verdict.commits += 1
        self.verdict.by_engine += [way for way in (answer["way"],) if not way.startswith(BY_CHANGES)]
        return str(answer["commit"]["tag"])

    def commit_in_a_rush(self) -> str | None:
        """Make one while work goes on; None where it failed for what the engine cannot do with such a container."""
        done = self._committed()
        said = done.stderr.decode()
        if done.returncode == 5 and any(each in said for each in _BUSY):
            self.verdict.failed_in_a_rush.append(said)
            return None
        assert done.returncode == 0, f"exit {done.returncode}: {said}"
        return self.made(json.loads(done.stdout))

    def live(self) -> Tree:
        """What the running container shows."""
        said = self.desk.run_in(self.identity, *_LIST)
        assert said is not None, f"{self.identity} cannot be listed"
        return trees.read(said.decode().splitlines())

    def check(self, made: str, live: Tree) -> None:
        """Compare a commit with Docker's, and with what the container shows or showed."""
        theirs = self.desk.container(self.identity).commit("bottle-oracle-docker", self.identity)
        try:
            with ThreadPoolExecutor() as pool:
                mine, dockers = pool.map(self.shown, (made, theirs.id))
        finally:
            self.desk.engine.images.remove(f"bottle-oracle-docker:{self.identity}")
        where = f"commit {self.numbers[-1]} (the {len(self.numbers)}. made)"
        right = trees.without_what_sockets_hide(dockers, live)
        for lines, found in (
            (trees.differences(dockers, mine, Facts.DOCKERS, or_else=live), self.verdict.unlike_docker),
            (trees.differences(live, mine, Facts.ALL), self.verdict.unlike_live),
            (trees.differences(live, right, Facts.DOCKERS), self.verdict.docker_unlike_live),
        ):
            found += [f"{where}: {line}" for line in lines]

    def shown(self, image: str) -> Tree:
        """What a container of an image shows."""
        return trees.read(showing.listed(self.desk.engine, image, _LIST, self.desk.folder).decode().splitlines())
