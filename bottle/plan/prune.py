"""What `prune` may take away: decided from facts alone. Whatever is not known to be garbage stays.

An engine may serve others, and other bottle homes too: what bears the name of a bottle that is not known here may be
somebody's only copy of their work, so of such things only those are offered that nothing on the engine uses, and they
go only with consent.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from bottle.errors import InvalidIdentity
from bottle.model import ContainerSummary, Status
from bottle.naming import HELPER_IMAGE, LABEL_IDENTITY, LABEL_NONCE, LABEL_SCHEMA, Identity
from bottle.plan.garbage import Area, BottleFacts, FolderFacts, Garbage, GarbageFacts, GarbageKind, Kept, PrunePlan
from bottle.plan.sizes import added

_HELPER = re.compile(r"bottle-(?:check|read|verify|fill|help)-[0-9a-f]{12}")
_BROUGHT = "came with a move that did not end here; the bottle is not known here"


def plan_prune(facts: GarbageFacts) -> PrunePlan:
    """Decide. Containers first, as they hold on to images and volumes; bottles that moved away last."""
    found = [
        verdict
        for each in (_containers, _tags, _images, _parts, _empty, _built, _volumes, _folders, _moved)
        for verdict in each(facts)
    ]
    return PrunePlan(
        garbage=tuple(each for each in found if isinstance(each, Garbage)),
        kept=tuple(each for each in found if isinstance(each, Kept)),
    )


def is_helper(container: ContainerSummary) -> bool:
    """Whether it was made to look into an image or a volume, and never ran."""
    ours = _HELPER.fullmatch(container.name) is not None and LABEL_SCHEMA in container.labels
    return ours and container.status is Status.CREATED


Findings = Iterator[Garbage | Kept]


def _containers(facts: GarbageFacts) -> Findings:
    """Those that were made to look into an image or a volume, and were left by a run that died."""
    for container in facts.containers:
        if not is_helper(container):
            continue
        if _is_young(facts, container.created_at):
            yield Kept(name=container.name, why="another run may be reading through it now")
            continue
        yield Garbage(
            kind=GarbageKind.CONTAINER, ref=container.id, name=container.name, why="never ran, left by a run that died"
        )


def _images(facts: GarbageFacts) -> Findings:
    """Commits that were cut short or given up: no tag but that of a commit in flight, and in no history.

    That tag says whose work it is. The labels do not: what somebody makes with `docker commit` inherits them all, so an
    image that has no tag may be the only copy of work, and goes with consent.
    """
    unreadable = sorted(str(each.identity) for each in facts.bottles.values() if each.damaged)
    named = {chain for bottle in facts.bottles.values() for chain in bottle.chains}
    for image in facts.images:
        identity = _identity(image.labels)
        if LABEL_SCHEMA not in image.labels or identity is None or not all(map(identity.is_in_flight, image.tags)):
            continue
        nonce = image.labels.get(LABEL_NONCE)
        bottle = facts.bottles.get(identity)
        name = f"{image.tags[0] if image.tags else image.id[:19]} (of {identity})"
        if image.diff_ids in named:
            yield Kept(name=name, why="a history names what is in it")
        elif unreadable:
            yield Kept(name=name, why=f"the history of {', '.join(unreadable)} cannot be read")
        elif bottle is not None and (bottle.busy or bottle.moving or (nonce and nonce == bottle.nonce)):
            yield Kept(name=name, why="a commit in flight, or one that the next command adopts")
        elif image.created_at is None or _is_young(facts, image.created_at):
            yield Kept(name=name, why="another run may be making it now")
        else:
            yield Garbage(
                kind=GarbageKind.IMAGE,
                ref=image.tags[0] if image.tags else image.id,
                name=name,
                why="a commit that was cut short, in no history" if image.tags else "without a name, in no history",
                size=added(image.diff_ids, facts.sizes),
                consent=bottle is None or not image.tags,
                nobodys=identity if bottle is None else None,
            )


def _parts(facts: GarbageFacts) -> Findings:
    """First layers of commits that were cut short, or did not arrive; the next command of a bottle clears its own."""
    arriving = _arriving(facts) - _unfinished(facts, Area.INCOMING)
    for image in reversed(facts.parts):  # each stands on the one before it
        identity = next(filter(None, map(_of_tag, image.tags)), None)
        bottle = facts.bottles.get(identity) if identity is not None else None
        name = image.tags[0] if image.tags else image.id[:19]
        if bottle is not None and (bottle.busy or bottle.nonce is not None):
            yield Kept(name=name, why="first layers of a commit in flight, or of one that the next command clears away")
        elif identity is not None and identity in arriving:
            yield Kept(name=name, why="first layers of a commit that a move is bringing")
        elif image.created_at is None or _is_young(facts, image.created_at):
            yield Kept(name=name, why="another run may be making a commit of it now")
        else:
            yield Garbage(
                kind=GarbageKind.IMAGE,
                ref=image.tags[0] if image.tags else image.id,
                name=name,
                why="first layers of a commit that was cut short",
                size=added(image.diff_ids, facts.sizes),
                consent=bottle is None,
                nobodys=identity if bottle is None else None,
            )


def _tags(facts: GarbageFacts) -> Findings:
    """Commits of bottles that are not known here: of a fork that was cut short, or of a move that was given up.

    Others stay, as somebody's bottle that has no container looks no different; they are named where nothing else tells.
    """
    drafts, abandoned = _unfinished(facts, Area.DRAFT), _unfinished(facts, Area.INCOMING)
    strange = set()
    for image in facts.images:
        for tag in image.tags if LABEL_SCHEMA in image.labels else ():
            identity = _of_tag(tag)
            if identity is None or identity in facts.bottles:
                continue
            if identity in drafts:
                yield _nobodys(GarbageKind.IMAGE, tag, identity, "tag of a fork that was cut short", consent=False)
            elif identity in abandoned:
                size = added(image.diff_ids, facts.sizes) if len(image.tags) == 1 else 0
                yield _nobodys(GarbageKind.IMAGE, tag, identity, _BROUGHT, size=size)
            elif not identity.is_in_flight(tag):
                strange.add(identity)
    strange -= _arriving(facts) | {_identity(each.labels) for each in facts.containers}
    for identity in sorted(strange):
        repository = identity.committed_repository
        why = f"{identity} is not known here; it may be of another user or BOTTLE_HOME: docker image ls {repository}"
        yield Kept(name=repository, why=why)


def _empty(facts: GarbageFacts) -> Findings:
    """What helpers are made of, where there is no bottle that may need one. It holds nothing."""
    for image in facts.images:
        in_use = bool(facts.bottles) or any(each.image == image.id for each in facts.containers)
        if HELPER_IMAGE in image.tags and LABEL_SCHEMA in image.labels and not in_use:
            why = "the empty image of helpers, which the next one makes anew"
            yield Garbage(kind=GarbageKind.IMAGE, ref=HELPER_IMAGE, name=HELPER_IMAGE, why=why, size=0)


def _built(facts: GarbageFacts) -> Findings:
    """Trial builds of requests that came to nothing, and images built for bottles that are not known here."""
    in_use = {container.image for container in facts.containers}
    for image in facts.images:
        for tag in image.tags:
            identity = _of_tag(tag, "bottle-rebuilt-")
            if identity is None or LABEL_SCHEMA not in image.labels:
                continue
            bottle = facts.bottles.get(identity)
            if bottle is not None and (tag != identity.trial or bottle.damaged or bottle.busy or bottle.trial_of_use):
                continue
            if image.created_at is None or _is_young(facts, image.created_at):
                yield Kept(name=tag, why="it was built not long ago")
            elif bottle is None and image.id in in_use:
                yield Kept(name=tag, why=f"{identity} is not known here, and a container uses it")
            else:
                yield Garbage(
                    kind=GarbageKind.IMAGE,
                    ref=tag,
                    name=tag,
                    why="built to try a request that was not approved" if bottle else f"{identity} is not known here",
                    size=added(image.diff_ids, facts.sizes) if len(image.tags) == 1 else 0,
                    consent=bottle is None,
                    nobodys=identity if bottle is None else None,
                )


def _volumes(facts: GarbageFacts) -> Findings:
    """Those of bottles that are gone. Of a bottle never known here, only what no container and no image speaks for."""
    drafts, abandoned = _unfinished(facts, Area.DRAFT), _unfinished(facts, Area.INCOMING)
    arriving = _arriving(facts)
    spoken_for = {_identity(each.labels) for each in facts.containers}
    spoken_for |= {_identity(each.labels) for each in facts.images}
    spoken_for |= {identity for image in facts.images for identity in map(_of_tag, image.tags)}
    for volume in facts.volumes:
        if (copy := facts.superseded.get(volume.name)) is not None:
            why = f"{copy} was brought up to date since, or that was cut"
            yield Garbage(kind=GarbageKind.VOLUME, ref=volume.name, name=volume.name, why=why, superseded=copy)
            continue
        identity = _identity(volume.labels)
        if identity is None or identity in facts.bottles or not volume.name.startswith(identity.volume("")):
            continue
        if identity in drafts:
            why = "copied for a fork that was cut short"
            yield _nobodys(GarbageKind.VOLUME, volume.name, identity, why, consent=False)
        elif identity in abandoned:
            yield _nobodys(GarbageKind.VOLUME, volume.name, identity, _BROUGHT)
        elif identity in arriving:
            yield Kept(name=volume.name, why=f"{identity} may be arriving, or being made now")
        elif identity in spoken_for:
            yield Kept(name=volume.name, why=f"{identity} is not known here, and has an image or a container")
        elif volume.created_at is None or _is_young(facts, volume.created_at):
            yield Kept(name=volume.name, why=f"{identity} is not known here, and may be in the making elsewhere")
        else:
            why = f"{identity} is not known here, and has neither image nor container"
            yield _nobodys(GarbageKind.VOLUME, volume.name, identity, why)


def _folders(facts: GarbageFacts) -> Findings:
    brought = _in_engine(facts) & _unfinished(facts, Area.INCOMING)
    for folder in facts.folders:
        bottle = facts.bottles.get(folder.identity) if folder.identity is not None else None
        why_kept = _in_use(facts, folder, bottle)
        name = str(folder.path)
        if why_kept:
            yield Kept(name=name, why=why_kept)
            continue
        why = {
            Area.INCOMING: "staging of a move that did not end here",
            Area.OUTGOING: "packed for a move that is not in flight",
            Area.DRAFT: "a bottle that was never finished",
            Area.DELETED: "rest of a bottle that was deleted",
            Area.WORKSPACES: "half of a workspace, of an import or a move that did not end here",
            Area.LOOSE: "was being written when its run died",
        }[folder.area]
        why += "".join(f"; with {path}, which it left there" for path in folder.outside)
        why += f"; the state of {folder.identity} that it had replaced is put back" if folder.replaced else ""
        why += (
            f"; the workspace that made room at {folder.gave_way} is put back, or beside it" if folder.gave_way else ""
        )
        if folder.placed is not None:  # whole, and in the user's own place: somebody may have begun to work in it
            why += f"; WITH THE WORKSPACE that it put at {folder.placed}"
        # What it brought into the engine is known by it alone.
        consent = folder.placed is not None or (folder.area is Area.INCOMING and folder.identity in brought)
        yield Garbage(kind=GarbageKind.FOLDER, ref=name, name=name, why=why, size=folder.size, consent=consent)


def _in_use(facts: GarbageFacts, folder: FolderFacts, bottle: BottleFacts | None) -> str:
    """Why a folder may be in use; empty when it is not."""
    if folder.busy or (bottle is not None and bottle.busy):
        return f"another run is working on {folder.identity}"
    if folder.area in {Area.WORKSPACES, Area.LOOSE}:
        return "another run may be writing it" if _is_young(facts, folder.touched_at) else ""
    if bottle is not None and bottle.damaged and folder.area is not Area.DELETED:
        return f"the state of {folder.identity} cannot be read"
    if folder.area is Area.OUTGOING:
        return "a move is in flight: it goes on from here" if bottle is not None and bottle.moving else ""
    arrived = bottle is not None and bottle.moved_to is None and not bottle.moving and not bottle.copied
    if folder.area is Area.INCOMING and not arrived and _is_young(facts, folder.touched_at):
        return "another host may be sending it: it changed not long ago"
    return ""


def _moved(facts: GarbageFacts) -> Findings:
    """Bottles that live elsewhere: image and state stayed here until somebody says that they may go."""
    arriving = {
        each.identity for each in facts.folders if each.area is Area.INCOMING and _is_young(facts, each.touched_at)
    }
    for identity, bottle in sorted(facts.bottles.items()):
        if bottle.moved_to is None:
            continue
        name = f"{identity} (moved to {bottle.moved_to})"
        if identity in arriving:
            yield Kept(name=name, why="another host may be sending it back")
            continue
        if bottle.damaged or bottle.moving or bottle.busy or bottle.alive:
            yield Kept(name=name, why="it runs here, or a run is working on it, or its state cannot be read")
            continue
        yield Garbage(
            kind=GarbageKind.BOTTLE,
            ref=str(identity),
            name=name,
            why=f"lives on {bottle.moved_to} now"
            + (f"; ONLY HERE: {', '.join(bottle.only_here)}" if bottle.only_here else ""),
            size=bottle.size,
            consent=True,
            only_here=bottle.only_here,
        )


def _unfinished(facts: GarbageFacts, area: Area) -> frozenset[Identity]:
    """Bottles of which nothing is known but a draft, or the staging of a move, that nobody is at work on."""
    return frozenset(
        each.identity
        for each in facts.folders
        if each.identity is not None
        and each.area is area
        and each.identity not in facts.bottles
        and not each.replaced
        and not _in_use(facts, each, None)
    )


def _in_engine(facts: GarbageFacts) -> frozenset[Identity]:
    """Whose commits and volumes the engine has."""
    found = {_of_tag(tag) for image in facts.images if LABEL_SCHEMA in image.labels for tag in image.tags}
    found |= {_identity(volume.labels) for volume in facts.volumes}
    return frozenset(each for each in found if each is not None)


def _arriving(facts: GarbageFacts) -> frozenset[Identity | None]:
    """Bottles that may be arriving, or being made now."""
    return frozenset(each.identity for each in facts.folders if each.area in {Area.DRAFT, Area.INCOMING})


def _nobodys(
    kind: GarbageKind, name: str, identity: Identity, why: str, *, size: int | None = None, consent: bool = True
) -> Garbage:
    """What is called after a bottle that is not known here."""
    return Garbage(kind=kind, ref=name, name=name, why=why, size=size, consent=consent, nobodys=identity)


def _is_young(facts: GarbageFacts, moment: datetime) -> bool:
    return facts.now - moment < facts.patience


def _identity(labels: Mapping[str, str]) -> Identity | None:
    try:
        return Identity.parse(labels.get(LABEL_IDENTITY, ""))
    except InvalidIdentity:
        return None


def _of_tag(tag: str, prefix: str = "bottle-committed-") -> Identity | None:
    """Whose commit, or build, a tag names."""
    repository = tag.rpartition(":")[0]
    if not repository.startswith(prefix):
        return None
    return _identity({LABEL_IDENTITY: repository.removeprefix(prefix)})
