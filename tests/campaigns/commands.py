"""Every command that changes something here: what it begins with, and what holds once it was said again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns import promises
from tests.campaigns.bench import Bench
from tests.campaigns.promises import Work, bottles

Check = Callable[[], list[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """A command that is about to be said. `again`: the exit codes with which it may end when it is said once more.

    `work` is that of the bottle whose work is at stake, None where there is none (any more). `holds` is what the
    command itself promises. `folders` are those that it works in beside the home.
    """

    words: tuple[str, ...]
    work: Work | None = None
    again: frozenset[int] = frozenset({0})
    holds: tuple[Check, ...] = ()
    folders: tuple[str, ...] = field(default=())


Prepare = Callable[[Bench, "str | None"], Case]


def start(bench: Bench, worn: str | None) -> Case:
    return Case(words=("start", bench.agent, "-d", "--cwd", str(bench.desk.workspace)))


def commit(bench: Bench, worn: str | None) -> Case:
    work = bench.marked(bench.running(worn))
    return Case(
        words=("commit", work.identity),
        work=work,
        holds=(lambda: promises.committed(bench.desk, work), lambda: _is(bench, work.identity, "running")),
    )


def stop(bench: Bench, worn: str | None) -> Case:
    work = bench.marked(bench.running(worn))
    return Case(
        words=("stop", work.identity, "--grace", "2"), work=work, holds=(lambda: _is(bench, work.identity, "exited"),)
    )


def resume(bench: Bench, worn: str | None) -> Case:
    """From a commit: a new container takes the place of the old one."""
    work = bench.committed(bench.running(worn))
    bench.desk.container(work.identity).remove(force=True)
    return Case(words=("resume", "-d", work.identity), work=work, holds=(lambda: _is(bench, work.identity, "running"),))


def fork(bench: Bench, worn: str | None) -> Case:
    work = bench.committed(bench.running(worn))
    return Case(
        words=("fork", work.identity, "--share-cwd"), work=work, holds=(lambda: _is(bench, work.identity, "running"),)
    )


def rm(bench: Bench, worn: str | None) -> Case:
    work = bench.committed(bench.running(None))
    bench.desk.ok("stop", work.identity, "--grace", "0")
    return Case(words=("rm", work.identity, "--yes"), again=frozenset({0, 3}), holds=(lambda: _gone(bench, work),))


def prune(bench: Bench, worn: str | None) -> Case:
    """Beside a bottle that has all its work in a commit: rests of others."""
    work = bench.committed(bench.running(worn))
    home, lost = bench.desk.states.parent, f"{bench.agent}-lost2"
    folders = (home / "state" / f".{lost}.draft", home / "state" / f".{lost}.deleted", home / "outgoing" / lost)
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "rest").write_text("rest\n")
    bench.desk.engine.volumes.create(
        f"bottle-{lost}-cache", labels={"bottle.identity": lost, "bottle.agent": bench.agent}
    )
    return Case(
        words=("prune", "--yes", "--older-than", "0"),
        work=work,
        holds=(lambda: [f"{each} is left" for each in promises.strays(bench.desk, bench.agent)],),
    )


def export(bench: Bench, worn: str | None) -> Case:
    work = bench.marked(bench.running(worn))
    file = _bundle(bench)
    return Case(
        words=("export", work.identity, str(file)),
        work=work,
        again=frozenset({0, 4}),
        holds=(lambda: _importable(bench, file), lambda: _is(bench, work.identity, "running")),
        folders=(str(file.parent),),
    )


def import_(bench: Bench, worn: str | None) -> Case:
    """One file for all points; the bottle that it was made of goes on."""
    identity = bench.running(worn)
    file = bench.desk.folder / "bundles" / "of-all"
    if worn is None:
        file = _bundle(bench, "of-all")
        bench.marked(identity)
        bench.desk.ok("export", identity, str(file))
    mark = bench.desk.run_in(identity, "cat", promises.MARK) or b""
    return Case(
        words=("import", str(file), "--yes"),
        work=promises.work_of(bench.desk, identity, mark.decode()),
        holds=(lambda: _all_come_back(bench, identity, mark.decode()),),
    )


def approve(bench: Bench, worn: str | None) -> Case:
    work = bench.marked(bench.running(None))
    digest = bench.asked(work.identity)
    return Case(
        words=("capability", "approve", work.identity, digest, "--build"),
        again=frozenset({0, 4}),
        holds=(
            lambda: promises.committed(bench.desk, work),
            lambda: _decided(bench, work.identity, digest, "approved"),
            lambda: _ends(bench, "resume", "-d", work.identity),
        ),
    )


def deny(bench: Bench, worn: str | None) -> Case:
    work = bench.marked(bench.running(worn))
    digest = bench.asked(work.identity)
    return Case(
        words=("capability", "deny", work.identity, digest, "--note", "no"),
        work=work,
        again=frozenset({0, 4}),
        holds=(lambda: _decided(bench, work.identity, digest, "denied"), lambda: _is(bench, work.identity, "running")),
    )


# --- what they promise ------------------------------------------------------------------------------------------------


def _is(bench: Bench, identity: str, status: str) -> list[str]:
    found = bench.desk.container(identity).status
    return [] if found == status else [f"it is {found}, not {status}"]


def _gone(bench: Bench, work: Work) -> list[str]:
    left = [tag for tag in work.commits if promises.layers(bench.desk, tag)]
    left += [work.identity] if work.identity in bottles(bench.desk) else []
    return [f"left of a bottle that was removed: {left}"] if left else []


def _bundle(bench: Bench, name: str | None = None) -> Path:
    folder = bench.desk.folder / "bundles"
    folder.mkdir(exist_ok=True)
    return folder / (name or f"{len(list(folder.iterdir()))}.bottle")


def _importable(bench: Bench, file: Path) -> list[str]:
    broken = [f"left beside it: {each.name}" for each in file.parent.iterdir() if each.name.startswith(".")]
    return broken + _ends(bench, "import", str(file), "--yes")


def _all_come_back(bench: Bench, origin: str, mark: str) -> list[str]:
    broken = []
    for identity in bottles(bench.desk) - {origin}:
        broken += promises.comes_back(bench.desk, promises.work_of(bench.desk, identity, mark))
    return broken


def _decided(bench: Bench, identity: str, digest: str, status: str) -> list[str]:
    listed = bench.desk.ok("capability", "list", identity)["requests"]
    found = [each["status"] for each in listed if each["digest"] == digest]
    return [] if found == [status] else [f"the request is {found}, not {status}"]


def _ends(bench: Bench, *words: str) -> list[str]:
    done = bench.desk.bottle(*words)
    return [] if done.returncode == 0 else [f"{words}: exit {done.returncode}: {done.stderr.decode()}"]
