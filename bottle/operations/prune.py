"""`prune`: gather facts, and take away what the plan says; each thing is looked at once more just before it goes."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from bottle import tree
from bottle.atomic import cannot_write
from bottle.errors import Conflict, InvalidIdentity, Locked, NotFound, StateDamaged
from bottle.garbage import Area, BottleFacts, FolderFacts, Garbage, GarbageFacts, Kept, Kind, PrunePlan, plan_prune
from bottle.model import ContainerSummary
from bottle.naming import LABEL_SCHEMA, Identity
from bottle.operations.arriving import PATIENCE, nothing_arriving, touched_at, undisturbed
from bottle.operations.context import Context
from bottle.operations.fork import discard_draft
from bottle.operations.remove import remove_locked
from bottle.sizes import Chain, weights
from bottle.state import DRAFT, BottleState, leftover_of


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
    containers = {each.name: each for each in engine.container_summaries(ours)}
    images = engine.images(ours)
    sizes: dict[Chain, int] = {image.diff_ids: image.size for image in images}
    bottles: dict[Identity, BottleFacts] = {}
    bases: set[Chain] = set()
    for identity in context.home.identities():
        state = context.home.bottle(identity)
        try:
            bottles[identity] = _bottle(state, containers)
            metadata = state.metadata()
        except StateDamaged:
            bottles[identity] = BottleFacts(identity=identity, damaged=True)
            continue
        base = engine.image(metadata.image) if metadata.base not in sizes and metadata.image else None
        if base is not None:
            sizes[base.diff_ids] = base.size
        bases.add(metadata.base)
    weighed = weights({str(each.identity): each.chains for each in bottles.values()}, bases, sizes)
    return GarbageFacts(
        bottles={
            identity: replace(each, size=weighed[str(identity)].own if str(identity) in weighed else None)
            for identity, each in bottles.items()
        },
        folders=_folders(context),
        containers=tuple(containers.values()),
        images=images,
        volumes=engine.volume_facts(ours),
        sizes=sizes,
        now=context.now(),
        patience=patience,
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
        except (Conflict, Locked, NotFound) as exc:
            left.append(Kept(name=each.name, why=exc.what))
        else:
            removed.append(each)
    return Pruned(removed=tuple(removed), left=tuple(left))


def plan_for(context: Context, patience: timedelta = PATIENCE) -> PrunePlan:
    """The plan for what is there now."""
    return plan_prune(observe_prune(context, patience))


def _bottle(state: BottleState, containers: dict[str, ContainerSummary]) -> BottleFacts:
    tombstone, intent = state.tombstone(), state.intent()
    container = containers.get(state.identity.container)
    return BottleFacts(
        identity=state.identity,
        moved_to=tombstone.host if tombstone else None,
        moving=state.migration() is not None,
        nonce=intent.nonce if intent else None,
        busy=state.locked_by is not None,
        alive=container is not None and container.status.alive,
        trial_of_use=state.rebuild_due or any(each.status.open for each in state.requests()),
        chains=frozenset(commit.diff_ids for commit in state.commits()),
    )


def _folders(context: Context) -> tuple[FolderFacts, ...]:
    home = context.home
    found = [(area, path) for area in (Area.INCOMING, Area.OUTGOING) for path in _subfolders(home.path / area.value)]
    found += [(Area.DRAFT if path.name.endswith(DRAFT) else Area.DELETED, path) for path in home.leftovers()]
    folders = []
    for area, path in found:
        identity = leftover_of(path.name) or _identity(path.name)
        if identity is None:
            continue  # not a name that we give
        folders.append(
            FolderFacts(
                path=path,
                area=area,
                identity=identity,
                size=tree.size_of(path),
                touched_at=touched_at(path),
                busy=BottleState(identity, path).locked_by is not None,
            )
        )
    return tuple(folders)


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _identity(name: str) -> Identity | None:
    try:
        return Identity.parse(name)
    except InvalidIdentity:
        return None


def _take_away(context: Context, garbage: Garbage) -> None:
    engine = context.engine
    match garbage.kind:
        case Kind.CONTAINER:
            container = engine.container(garbage.ref)
            if container is not None and container.ever_ran:
                raise Conflict("it was started meanwhile")
            engine.remove_container(garbage.ref)
        case Kind.IMAGE:
            engine.remove_image(garbage.ref)
        case Kind.VOLUME:
            engine.remove_volume(garbage.ref)
        case Kind.FOLDER:
            _remove_folder(context, Path(garbage.ref))
        case Kind.BOTTLE:
            _remove_moved(context, context.home.bottle(Identity.parse(garbage.ref)))


def _remove_folder(context: Context, path: Path) -> None:
    if path.parent.name == Area.INCOMING.value and path.exists():
        with undisturbed(path):
            _remove_leftover(context, path)
    else:
        _remove_leftover(context, path)


def _remove_leftover(context: Context, path: Path) -> None:
    identity = leftover_of(path.name)
    if identity is not None and path.name.endswith(DRAFT):
        draft = BottleState(identity, path)
        with draft.locked("bottle prune"):
            discard_draft(context, draft)
        return
    state = context.home.bottle(identity or Identity.parse(path.name))
    if identity is None and state.exists():
        with state.locked("bottle prune"):
            if path.parent.name == Area.OUTGOING.value and state.migration() is not None:
                raise Conflict("a move has begun meanwhile")
            _remove_tree(path)
    else:
        _remove_tree(path)


def _remove_tree(path: Path) -> None:
    try:
        tree.remove(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise cannot_write(path, exc) from exc


def _remove_moved(context: Context, state: BottleState) -> None:
    with state.locked("bottle prune"), nothing_arriving(context, state):
        container = context.container(state.identity)
        if state.tombstone() is None or state.migration() is not None:
            raise Conflict("it came back meanwhile")
        if container is not None and container.status.alive:
            raise Conflict("it runs")
        remove_locked(context, state)
