"""What bottle promises, whatever happens to it. Each is looked at apart; what is returned are the broken ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from docker.errors import NotFound

from bottle.errors import BottleError
from tests.campaigns.strace import Run
from tests.integration.migration import Desk

MARK = "/root/mark"


def _codes(kind: type[BottleError]) -> set[int]:
    return {kind.exit_code}.union(*(_codes(each) for each in kind.__subclasses__()))


@dataclass(frozen=True, slots=True)
class Work:
    """What a bottle has: the layers of its commits, by tag, and what was last written in it."""

    identity: str
    commits: Mapping[str, tuple[str, ...]]
    mark: str


def work_of(desk: Desk, identity: str, mark: str) -> Work:
    """All that must not be lost."""
    tags = [tag for image in desk.engine.images.list(f"bottle-committed-{identity}") for tag in image.tags]
    return Work(identity, {tag: layers(desk, tag) for tag in tags if tag.rpartition(":")[2].isdigit()}, mark)


def layers(desk: Desk, tag: str) -> tuple[str, ...]:
    with suppress(NotFound):
        return tuple(desk.engine.images.get(tag).attrs["RootFS"]["Layers"])
    return ()


def plainly_said(run: Run) -> list[str]:
    """A failure is told in bottle's own words, with one of its exit codes."""
    broken = [f"{word!r} was printed:\n{run.said}" for word in ("Traceback", "Logging error") if word in run.said]
    if not run.killed and run.code != 0:
        if run.code not in _codes(BottleError):
            broken.append(f"exit {run.code}: {run.said}")
        elif "next:" not in run.said:
            broken.append(f"exit {run.code} without a next step: {run.said}")
    return broken


def commits_stand(desk: Desk, work: Work) -> list[str]:
    """No committed work is lost."""
    return [f"{tag} is gone or another" for tag, kept in work.commits.items() if layers(desk, tag) != kept]


def one_container(desk: Desk, identity: str) -> list[str]:
    """A bottle is in one container at most."""
    mine = {"label": f"bottle.identity={identity}", "name": f"^/bottle-{identity}"}
    found = [each.name for each in desk.engine.containers.list(all=True, filters=mine, ignore_removed=True)]
    return [f"{len(found)} containers: {found}"] if len(found) > 1 else []


def comes_back(desk: Desk, work: Work) -> list[str]:
    """`resume` brings the bottle back with all that was written in it."""
    done = desk.bottle("resume", "-d", work.identity)
    if done.returncode != 0:
        return [f"resume: exit {done.returncode}: {done.stderr.decode()}"]
    status = desk.container(work.identity).status
    if status != "running":
        return [f"it is {status} after resume"]
    found = desk.run_in(work.identity, "cat", MARK)
    return [] if found == work.mark.encode() else [f"{MARK} holds {found!r}, not {work.mark!r}"]


def committed(desk: Desk, work: Work) -> list[str]:
    """The commit in force holds what was last written."""
    made = desk.engine.containers.create(f"bottle-committed-{work.identity}:latest", ["true"])
    try:
        data = b"".join(made.get_archive(MARK)[0])
    except NotFound:
        data = b""
    finally:
        made.remove(force=True)
    with suppress(tarfile.ReadError), tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = archive.extractfile(archive.getmembers()[0]).read()  # type: ignore[union-attr]
        return [] if found == work.mark.encode() else [f"the commit holds {found!r}, not {work.mark!r}"]
    return [f"the commit has no {MARK}"]


def nothing_half(desk: Desk, identity: str) -> list[str]:
    """After the next command no half of a file is left in a bottle's state."""
    folder = desk.states / identity
    names = [path.name for path in folder.rglob("*") if path.name.startswith(".") and path.name.endswith(".tmp")]
    names += [path.name for path in folder.glob("transcript.*")]
    names += [path.name for path in folder.glob("*-intent.json")]
    return [f"left in the state: {names}"] if names else []


def nothing_unseen(desk: Desk, agent: str) -> list[str]:
    """What belongs to no bottle, `prune` sees and clears."""
    if not strays(desk, agent):
        return []
    done = desk.bottle("prune", "--yes", "--older-than", "0")
    broken = [f"prune: exit {done.returncode}: {done.stderr.decode()}"] if done.returncode != 0 else []
    left = strays(desk, agent)
    return broken + ([f"not seen by prune: {left}"] if left else [])


def strays(desk: Desk, agent: str) -> list[str]:
    """What is in the engine and on disk of bottles of an agent that are not, and of runs that are over."""
    known = bottles(desk)
    api = desk.engine.api
    names = [name.lstrip("/") for each in api.containers(all=True) for name in each["Names"]]
    tags = [tag for each in api.images() for tag in each["RepoTags"] or ()]
    volumes = [each["Name"] for each in api.volumes()["Volumes"] or ()]
    # Whatever is called after a bottle is called `<kind>-<identity><rest>`.
    owned = [(name, _owner(name, agent)) for name in (*names, *tags, *volumes)]
    found = [name for name, owner in owned if owner is not None and owner not in known]
    found += [tag for tag in tags if _owner(tag, agent) and ":in-flight-" in tag]
    found += [
        f"dangling {each['Id']}" for each in api.images(filters={"dangling": True, "label": f"bottle.agent={agent}"})
    ]
    home = desk.states.parent
    for area in ("state", "workspaces", "incoming", "outgoing"):
        for path in _entries(home / area):
            half = path.name.startswith(".") and path.name != ".lock"
            if half or (area in {"incoming", "outgoing"} and path.name not in known):
                found.append(str(path.relative_to(home)))
    found += [str(path) for path in _entries(Path("/run/bottle")) if _owner(path.name, agent) not in {None, *known}]
    return found


def bottles(desk: Desk) -> set[str]:
    """The bottles that a desk has."""
    return {path.name for path in _entries(desk.states) if (path / "metadata.json").exists()}


def _owner(name: str, agent: str) -> str | None:
    start = name.find(f"{agent}-")
    return None if start < 0 else name[start : start + len(agent) + 6]


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()
