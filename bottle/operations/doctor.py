"""`doctor`: what is missing here for all of bottle to work. Facts are looked at one by one, and none hides another."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from bottle.agent.manifest import FILE_NAME, Manifest, find_manifest, read_manifest
from bottle.errors import (
    BottleError,
    ContextUnusable,
    EngineError,
    EngineUnreachable,
    ManifestError,
    MovedAway,
    NameTaken,
    PreflightRefused,
    StateDamaged,
    TreeUnfit,
    TwoContainers,
)
from bottle.model import DEFAULT_CONTEXT, NO_RESTART, ContainerSummary, Endpoint, EngineInfo, Product, Tombstone
from bottle.naming import LABEL_IDENTITY
from bottle.operations.bydelta import way_of_commits
from bottle.operations.context import Context
from bottle.operations.finding import find_containers
from bottle.operations.listing import unfinished
from bottle.operations.preflight import obstacles
from bottle.plan.ownership import the_one
from bottle.plan.runtimes import ANOTHER_DEFAULT, doubt, keeps_writes, runtime_of, saving
from bottle.words import size, ssh_to

LITTLE = 2 * 1024**3  # bytes: less than a commit of an agent's installed tools needs, as a rule
_OLDEST = (20, 10)  # what the contract suite is run against


class Verdict(Enum):
    """How a check ended."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `exit_code` is the cause's, and counts where the verdict is bad."""

    name: str
    verdict: Verdict
    detail: str
    next_step: str = ""
    exit_code: int = 0


def exit_code(checks: Iterable[Check]) -> int:
    """0 if nothing is bad, else the code of the most severe cause: the engine, then SSH, then whatever is refused."""
    codes = {check.exit_code for check in checks if check.verdict is Verdict.BAD}
    severity = (EngineError.exit_code, 6, 8, 1, 2)
    return next((code for code in severity if code in codes), max(codes, default=0))


def good(name: str, detail: str) -> Check:
    """A check that found what it should."""
    return Check(name=name, verdict=Verdict.GOOD, detail=detail)


def warning(name: str, detail: str, next_step: str) -> Check:
    """A check that found what may be in somebody's way."""
    return Check(name=name, verdict=Verdict.WARNING, detail=detail, next_step=next_step)


def bad(name: str, detail: str, next_step: str, code: int = BottleError.exit_code) -> Check:
    """A check that found what has to be mended; `code` is the exit code of that."""
    return Check(name=name, verdict=Verdict.BAD, detail=detail, next_step=next_step, exit_code=code)


def failed(name: str, error: BottleError) -> Check:
    """A check that an error ended."""
    return bad(name, error.what, error.next_step, error.exit_code)


def disk(name: str, free: int, where: str, code: int) -> Check:
    """Whether there is room, `free` being in bytes."""
    detail = f"{size(free)} free at {where}"
    if free >= LITTLE:
        return good(name, detail)
    little, step = f"{detail}, which is little", f"df -h {where}; bottle prune --dry-run"
    return bad(name, little, step, code) if free < LITTLE // 8 else warning(name, little, step)


def examine(context: Context, folder: Path) -> tuple[Check, ...]:
    """Look at the engine, the home, the manifest that `folder` uses and every bottle. Raises nothing of its own."""
    return (*_engine(context), *_home(context), *_manifest(context, folder), *_bottles(context))


def too_old(version: str) -> bool:
    """Whether an engine's version is below those that bottle is tested with. One that cannot be read is not."""
    numbers = version.split(".")[:2]
    return len(numbers) == 2 and all(each.isdigit() for each in numbers) and tuple(map(int, numbers)) < _OLDEST


def endpoint(context: Context) -> Endpoint | None:
    """Where an engine is looked for, None where that cannot be told, which `examine` says."""
    try:
        return context.engine.endpoint
    except ContextUnusable:
        return None


def _engine(context: Context) -> Iterator[Check]:
    try:
        where = context.engine.endpoint
        if where.trouble:
            said = f"{where.trouble}; docker takes its default context then, and so does bottle"
            yield warning("docker context", said, "mend that file")
        info = context.engine.info()
    except BottleError as exc:
        unreachable = isinstance(exc, EngineUnreachable) and not isinstance(exc, ContextUnusable)
        yield bad("docker", exc.what, _reach(exc.what, where) if unreachable else exc.next_step, exc.exit_code)
        return
    yield good("docker", f"{describe(info)}, at {where}")
    yield from _shortcomings(info)
    yield from _runtime(info)
    if info.product is Product.DOCKER and too_old(info.version):
        said = f"{info.version} is older than what bottle is tested with"
        yield warning("docker version", said, "upgrade Docker to 20.10 or later")
    yield _engine_disk(context, info)
    yield _commits(context)


def _shortcomings(info: EngineInfo) -> Iterator[Check]:
    """What an engine cannot do, where that is known before it is tried."""
    if info.unlimited or not info.freezes:
        lacks = [f"no limit of {key}" for key in info.unlimited] + ["no pause"] * (not info.freezes)
        yield warning(
            "docker cgroups",
            f"{info.product.value} has no cgroups here: {', '.join(lacks)}",
            "give a rootless engine cgroup v2 and systemd; until then, bottle stop IDENTITY before a commit",
        )


def _runtime(info: EngineInfo) -> Iterator[Check]:
    """What containers are started in, where work would be trusted to something that a commit may not see into."""
    runtime = runtime_of(info, None)
    if not keeps_writes(runtime):
        said = f"containers run in {doubt(runtime)}: nothing is started or resumed"
        yield bad("docker runtime", said, ANOTHER_DEFAULT, PreflightRefused.exit_code)


def _commits(context: Context) -> Check:
    """What a commit costs here; one that holds everything is as good, and no warning."""
    try:
        return good("commits", f"cost what has changed{way_of_commits(context)}")
    except TreeUnfit as exc:
        return good("commits", f"cost what was written since the container was made, and pause it: {exc.what}")


def _engine_disk(context: Context, info: EngineInfo) -> Check:
    """What cannot be known is no warning: a user who is not root, or whose engine is elsewhere, could do nothing."""
    if not context.engine.is_local:
        return good("docker disk", f"not known: {info.root_dir} is on another machine (docker system df)")
    try:
        facts = os.statvfs(info.root_dir)
    except OSError:
        return good("docker disk", f"not known: {info.root_dir} cannot be looked at from here (docker system df)")
    return disk("docker disk", facts.f_bavail * facts.f_frsize, info.root_dir, EngineError.exit_code)


def describe(info: EngineInfo) -> str:
    """An engine in a line."""
    rootless = " (rootless)" if info.rootless else ""
    return (
        f"{info.product.value} {info.version}{rootless}, {info.store.value} image store, "
        f"{info.os}/{info.architecture}, in {info.root_dir}"
    )


def _reach(what: str, where: Endpoint) -> str:
    """What to try where no engine answers."""
    if where.address.startswith("ssh://"):
        return f"{ssh_to(urlsplit(where.address).netloc)} docker version"
    if "permission denied" in what:
        return "be root, or join the group that owns the socket (sudo usermod -aG docker $USER), then log in again"
    if where.origin == "DOCKER_HOST":
        return f"start Docker, or mend DOCKER_HOST, which is {where.address}"
    if where.context != DEFAULT_CONTEXT:
        return f"start Docker, or look where it is: docker context inspect {where.context}"
    if where.others:
        return f"start Docker, or use another context: docker context use {where.others[0]}"
    return "install and start Docker (https://docs.docker.com/engine/install/), or set DOCKER_HOST"


def _home(context: Context) -> Iterator[Check]:
    path = context.home.path
    standing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(standing, os.W_OK | os.X_OK) or not standing.is_dir():
        yield bad("home", f"{path} cannot be written", f"ls -ld {standing}; or set BOTTLE_HOME to a folder of yours")
        return
    if standing != path:
        yield good("home", f"{path} will be made by the first `bottle start`")
        return
    folders = [context.home.states]
    with suppress(StateDamaged):  # which is said of the bottles
        folders += [context.home.bottle(identity).path for identity in context.home.identities()]
    if open_to := list(filter(_is_open, folders)):
        said = f"others may enter {open_to[0]}: transcripts and work would be seen"
        yield bad("home", said, f"chmod 700 {' '.join(map(str, open_to[:5]))}")
    else:
        yield good("home", f"{path} is writable, and its bottles are closed to others")


def _is_open(folder: Path) -> bool:
    try:
        return bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)
    except OSError:
        return False


def _manifest(context: Context, folder: Path) -> Iterator[Check]:
    try:
        path = find_manifest(folder, context.home.path)
    except ManifestError as exc:
        yield warning("manifest", exc.what, exc.next_step)
        return
    try:
        manifest = read_manifest(path)
    except BottleError as exc:
        yield failed("manifest", exc)
        return
    names = ", ".join(sorted(manifest.agents)) or "none"
    if manifest.agents:
        yield good("manifest", f"{path} is valid; agents: {names}")
    else:
        yield warning("manifest", f"{path} is valid, and has no agent", f"add one to {FILE_NAME}: [agents.NAME]")
    yield from _secrets(context, manifest)
    yield from _launches(context, manifest)


def _secrets(context: Context, manifest: Manifest) -> Iterator[Check]:
    for name, agent in sorted(manifest.agents.items()):
        unset = [secret for secret in agent.secrets if secret not in context.environ]
        if unset:
            said = f"not in the environment: {', '.join(unset)}; the agent would run without"
            yield warning(f"secrets of {name}", said, f"export {unset[0]}=…")
        elif agent.secrets:
            yield good(f"secrets of {name}", f"set: {', '.join(agent.secrets)}")


def _launches(context: Context, manifest: Manifest) -> Iterator[Check]:
    """What keeps an agent from starting here; nothing where no engine answers, which has been said."""
    for name, agent in sorted(manifest.agents.items()):
        with suppress(EngineError):
            for line in obstacles(context, agent):
                yield warning(f"launch of {name}", line, f"bottle start {name} --dry-run   (says what to do)")


def _bottles(context: Context) -> Iterator[Check]:
    try:
        identities = context.home.identities()
    except StateDamaged as exc:
        yield failed("bottles", exc)
        return
    containers: tuple[ContainerSummary, ...] = ()
    info: EngineInfo | None = None
    with suppress(EngineError):  # which has been said
        containers = context.engine.container_summaries({LABEL_IDENTITY: None})
        info = context.engine.info()
    sound = 0
    for identity in identities:
        state = context.home.bottle(identity)
        try:
            state.metadata()
            state.commits()
            state.committed_image()
            tombstone = state.tombstone.read()
            trouble = unfinished(state) if tombstone is None else ""
            container = the_one(identity, find_containers(context.engine, state, containers))
            if container is None and tombstone is None:
                with suppress(EngineError):  # which has been said
                    context.standing(identity)  # NameTaken, where another has the name of the one that it will be given
        except (StateDamaged, TwoContainers, NameTaken) as exc:
            yield failed(str(identity), exc)
            continue
        if tombstone is not None and container is not None and (check := _left_behind(context, tombstone, container)):
            yield check
        elif trouble:
            what, _, next_step = trouble.partition(": ")
            yield warning(str(identity), what, next_step)
        elif container is not None and info is not None and (check := _unseen(context, info, container)):
            yield check
        elif (busy := state.locked_by) is not None:
            yield good(str(identity), f"locked by {busy}")
        else:
            sound += 1
    yield good("bottles", f"{sound} of {len(identities)} are sound, and at rest")


def _unseen(context: Context, info: EngineInfo, container: ContainerSummary) -> Check | None:
    """What keeps the work in a container from being committed."""
    identity, facts = container.labels[LABEL_IDENTITY], context.engine.container(container.id)
    if facts is None or keeps_writes(runtime := runtime_of(info, facts)):
        return None
    said = f"its container runs in {doubt(runtime)}"
    return bad(identity, said, saving(facts), PreflightRefused.exit_code)


def _left_behind(context: Context, tombstone: Tombstone, container: ContainerSummary) -> Check | None:
    """What is wrong with the container that a bottle left here: nothing, if it is stopped and stays so."""
    identity = container.labels[LABEL_IDENTITY]
    moved = f"it moved to {tombstone.host}, and"
    if container.status.alive:
        said = f"{moved} its container {container.name} runs here: two of it may be at work"
        return bad(identity, said, f"bottle stop {identity}", MovedAway.exit_code)
    facts = context.engine.container(container.id)
    if facts is not None and facts.restart != NO_RESTART:
        said = f"{moved} Docker may start its container {container.name} here again (restart={facts.restart})"
        return warning(identity, said, f"bottle stop {identity}")
    return None
