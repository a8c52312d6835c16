"""`prune`: gather facts, and take away what the plan says; each thing is looked at once more just before it goes."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bottle.errors import Conflict, InvalidIdentity, NotFound, StateDamaged
from bottle.files import tree
from bottle.model import ContainerSummary
from bottle.naming import LABEL_PART, LABEL_SCHEMA, Identity
from bottle.operations.arriving import PATIENCE, nothing_arriving, touched_at, undisturbed
from bottle.operations.context import Context
from bottle.operations.finding import find_containers
from bottle.operations.fork import remove_draft
from bottle.operations.holdings import at_stake
from bottle.operations.outside import left_outside, put_back, remove_outside
from bottle.operations.remove import remove_locked
from bottle.operations.superseded import remove_superseded, superseded
from bottle.plan.garbage import Area, BottleFacts, FolderFacts, Garbage, GarbageFacts, GarbageKind, Kept, PrunePlan
from bottle.plan.prune import plan_prune
from bottle.plan.sizes import Chain, Weight, weights
from bottle.store.state import ARRIVED, COPY, DRAFT, BottleState, leftover_of
from bottle.store.temporary import BESIDE, PLACED, WRITING


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was taken away, and what was planned but stayed, with the reason."""

    removed: tuple[Garbage, ...]
    left: tuple[Kept, ...]

    @property
    def size(self) -> int:
        """Bytes that are known to be free now."""
        return sum(each.size or 0 for each in self.removed)


def observe_prune(context: Context, patience: timedelta = PATIENCE) -> GarbageFacts:
    """Gather all that decides; nothing is changed. Raises EngineError."""
    engine = context.engine
    ours = {LABEL_SCHEMA: None}
    containers = engine.container_summaries(ours)
    images = engine.images(ours)
    parts = engine.images({LABEL_PART: None})
    sizes: dict[Chain, int] = {image.diff_ids: image.size for image in (*images, *parts)}
    bottles: dict[Identity, BottleFacts] = {}
    bases: dict[Identity, Chain] = {}
    workspaces: set[Path] = set()
    for identity in context.home.identities():
        state = context.home.bottle(identity)
        try:
            bottles[identity] = _bottle(context, state, find_containers(engine, state, containers))
            metadata = state.metadata()
        except StateDamaged:
            bottles[identity] = BottleFacts(identity=identity, damaged=True)
            continue
        base = engine.image(metadata.image) if metadata.base not in sizes and metadata.image else None
        if base is not None:
            sizes[base.diff_ids] = base.size
        bases[identity] = metadata.base
        workspaces |= {metadata.cwd} if metadata.cwd is not None else set()
    # Of what stands on an image that is not here, nobody can tell how much of it others need too.
    chains = {str(identity): bottles[identity].chains for identity, base in bases.items() if base in sizes}
    return GarbageFacts(
        bottles=_sized(bottles, weights(chains, bases.values(), sizes)),
        folders=_folders(context, workspaces),
        containers=containers,
        images=images,
        volumes=engine.volume_facts(ours),
        sizes=sizes,
        now=context.now(),
        patience=patience,
        parts=parts,
        superseded=_superseded(context, bottles, patience),
    )


def prune(context: Context, plan: PrunePlan, *, consent: bool) -> Pruned:
    """Take away what `plan` lists: with `consent` all of it, without it what needs none. Raises EngineError.

    What has come into use since the plan was made stays, and is told of.
    """
    removed: list[Garbage] = []
    left: list[Kept] = []
    for each in plan.agreed(consent=consent):
        try:
            _take_away(context, each)
        except (Conflict, NotFound, StateDamaged) as exc:
            left.append(Kept(name=each.name, why=exc.what))
        else:
            removed.append(each)
    return Pruned(removed=tuple(removed), left=tuple(left))


def plan_for(context: Context, patience: timedelta = PATIENCE) -> PrunePlan:
    """The plan for what is there now."""
    return plan_prune(observe_prune(context, patience))


def _sized(bottles: Mapping[Identity, BottleFacts], weighed: Mapping[str, Weight]) -> dict[Identity, BottleFacts]:
    return {
        identity: replace(each, size=weighed[str(identity)].own if str(identity) in weighed else None)
        for identity, each in bottles.items()
    }


def _superseded(context: Context, bottles: Mapping[Identity, BottleFacts], patience: timedelta) -> dict[str, Identity]:
    """The volumes that copies had before they were brought up to date, of those that nobody works on."""
    settled = (each.identity for each in bottles.values() if each.moved_to is None and not (each.busy or each.damaged))
    return {
        name: identity for identity in settled for name in superseded(context, context.home.bottle(identity), patience)
    }


def _bottle(context: Context, state: BottleState, own: tuple[ContainerSummary, ...]) -> BottleFacts:
    tombstone, intent = state.tombstone.read(), state.intent.read()
    return BottleFacts(
        identity=state.identity,
        moved_to=tombstone.host if tombstone and not tombstone.standby else None,
        moving=state.migration.read() is not None,
        nonce=intent.nonce if intent else None,
        busy=state.locked_by is not None,
        alive=any(each.status.alive for each in own),
        trial_of_use=state.rebuild_due or any(each.status.open for each in state.requests()),
        chains=frozenset(commit.diff_ids for commit in state.commits()),
        only_here=_only_here(context, state) if tombstone is not None else (),
        copied=(state.path / COPY).exists(),
    )


def _only_here(context: Context, state: BottleState) -> tuple[str, ...]:
    try:
        return at_stake(context, state).parts
    except Conflict as exc:
        return (exc.what,)  # and it stays: whoever removes it finds the same


def _folders(context: Context, workspaces: Collection[Path]) -> tuple[FolderFacts, ...]:
    home = context.home
    found = [(area, path) for area in (Area.INCOMING, Area.OUTGOING) for path in _subfolders(home.path / area.value)]
    found += [(Area.DRAFT if path.name.endswith(DRAFT) else Area.DELETED, path) for path in home.leftovers()]
    folders = []
    for area, path in found:
        identity = leftover_of(path.name) or _identity(path.name)
        if identity is None:
            continue  # not a name that we give
        outside = left_outside(area, path, identity, workspaces)
        folders.append(
            FolderFacts(
                path=path,
                area=area,
                identity=identity,
                size=tree.size_of(path),
                touched_at=touched_at(path),
                busy=BottleState(identity, path).locked_by is not None,
                outside=outside.halves,
                placed=outside.placed,
                replaced=area is Area.INCOMING and home.has_replaced(identity),
                gave_way=outside.gave_way[1] if outside.gave_way is not None else None,
            )
        )
    noted = {half for each in folders for half in each.outside}
    loose = [(Area.WORKSPACES, path) for path in _halves(home.path) if path not in noted]
    loose += [(Area.LOOSE, path) for path in _being_written(home.path)]
    return (
        *folders,
        *(
            FolderFacts(path=path, area=area, identity=None, size=_size(path), touched_at=touched_at(path))
            for area, path in loose
        ),
    )


def _halves(home: Path) -> list[Path]:
    """Workspaces below the bottle home that have no place yet, and that no note tells of: older versions made none."""
    return [path for path in _entries(home / "workspaces") if any(each.matches(path.name) for each in BESIDE)]


def _being_written(home: Path) -> list[Path]:
    """Files that are no bottle's, under the names that they have while they are written."""
    found = [path for path in _entries(home) if WRITING.matches(path.name)]
    return found + [path for path in _entries(home / ARRIVED) if WRITING.matches(path.name) or path.suffix == ".new"]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    return tree.size_of(path) if path.is_dir() and not path.is_symlink() else path.lstat().st_size


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.is_symlink()]


def _identity(name: str) -> Identity | None:
    try:
        return Identity.parse(name)
    except InvalidIdentity:
        return None


def _take_away(context: Context, garbage: Garbage) -> None:
    engine = context.engine
    match garbage.kind:
        case GarbageKind.IMAGE | GarbageKind.VOLUME if garbage.nobodys is not None:
            with _nobodys(context, garbage.nobodys):
                _take_away(context, replace(garbage, nobodys=None))
        case GarbageKind.CONTAINER:
            container = engine.container(garbage.ref)
            if container is not None and container.ever_ran:
                raise Conflict("it was started meanwhile")
            engine.remove_container(garbage.ref)
        case GarbageKind.IMAGE:
            image = engine.image(garbage.ref)
            if image is not None and image.id == garbage.ref and image.tags:
                raise Conflict(f"it is called {image.tags[0]} now")
            engine.remove_image(garbage.ref)
        case GarbageKind.VOLUME if garbage.superseded is not None:
            remove_superseded(context, garbage.superseded, garbage.ref)
        case GarbageKind.VOLUME:
            engine.remove_volume(garbage.ref)
        case GarbageKind.FOLDER:
            _remove_folder(context, Path(garbage.ref), placed=garbage.consent)
        case GarbageKind.BOTTLE:
            _remove_moved(context, context.home.bottle(Identity.parse(garbage.ref)), agreed=garbage.only_here)


@contextmanager
def _nobodys(context: Context, identity: Identity) -> Iterator[None]:
    """See that a bottle is still unknown here, and keep it from arriving while the context is open. Raises Conflict."""
    staging, draft = context.home.path / Area.INCOMING.value / str(identity), context.home.draft(identity)
    with ExitStack() as held:
        if staging.is_dir():
            held.enter_context(undisturbed(staging))
        if draft.exists():
            held.enter_context(draft.locked("bottle prune"))
        if context.home.bottle(identity).exists():
            raise Conflict(f"{identity} has come here meanwhile")
        yield


def _remove_folder(context: Context, path: Path, *, placed: bool) -> None:
    """Take away a folder, and what its run left elsewhere; a workspace that has its place only if it was agreed to."""
    unfinished = leftover_of(path.name)
    if unfinished is not None and path.name.endswith(DRAFT):
        draft = BottleState(unfinished, path)
        with draft.locked("bottle prune"):
            _remove_outside(context, Area.DRAFT, path, unfinished, placed=placed)
            remove_draft(context, draft)
    elif unfinished is None and (identity := _identity(path.name)) is not None:
        _remove_of_move(context, Area(path.parent.name), path, identity, placed=placed)
    else:
        remove_outside(path)  # no bottle's, or the rest of one that was deleted


def _remove_of_move(context: Context, area: Area, path: Path, identity: Identity, *, placed: bool) -> None:
    """Take away the folder of a move that comes in, or goes out."""
    state = context.home.bottle(identity)
    with ExitStack() as held:
        if area is Area.INCOMING and path.exists():
            held.enter_context(undisturbed(path))
        if state.exists():
            held.enter_context(state.locked("bottle prune"))
            if area is Area.OUTGOING and state.migration.read() is not None:
                raise Conflict("a move has begun meanwhile")
        _remove_outside(context, area, path, identity, placed=placed)
        if area is Area.INCOMING:
            context.home.put_back(identity)
        remove_outside(path)


def _remove_outside(context: Context, area: Area, path: Path, identity: Identity, *, placed: bool) -> None:
    """Take away what a run left elsewhere, before the note of it goes."""
    in_use = _workspaces(context) if (path / PLACED).exists() else frozenset()
    outside = left_outside(area, path, identity, in_use)
    if outside.placed is not None and not placed:
        raise Conflict(f"a workspace has come to {outside.placed} meanwhile")
    for each in (*outside.halves, *([outside.placed] if outside.placed is not None else [])):
        remove_outside(each)
    if outside.gave_way is not None:
        put_back(*outside.gave_way, identity)


def _workspaces(context: Context) -> frozenset[Path]:
    """Those of all bottles that are known here. Raises Conflict where one cannot be read."""
    try:
        found = [context.home.bottle(identity).metadata().cwd for identity in context.home.identities()]
    except StateDamaged as exc:
        raise Conflict(exc.what) from exc
    return frozenset(each for each in found if each is not None)


def _remove_moved(context: Context, state: BottleState, *, agreed: tuple[str, ...]) -> None:
    """Delete a bottle that lives elsewhere, and of what exists nowhere else no more than was `agreed` to."""
    with state.locked("bottle prune"), nothing_arriving(context, state):
        container = context.container(state.identity)
        if state.tombstone.read() is None or state.migration.read() is not None:
            raise Conflict("it came back meanwhile")
        if container is not None and container.status.alive:
            raise Conflict("it runs")
        more = [each for each in at_stake(context, state).parts if each not in agreed]
        if more:
            raise Conflict(f"what is only here is more than it was: {', '.join(more)}")
        remove_locked(context, state)
