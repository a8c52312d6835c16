"""The volumes that a copy had before it was brought up to date, where their deletion was cut.

As migrate/host/scripts/retire.sh does it, with which the move that brings it up to date ends.
"""

import posixpath
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from bottle.errors import Conflict
from bottle.files import tree
from bottle.files.atomic import writing
from bottle.files.regular import read_regular
from bottle.launch import bare_spec, container_mounts
from bottle.model import Mount, MountKind
from bottle.naming import Identity
from bottle.operations.arriving import touched_at, undisturbed
from bottle.operations.context import Context
from bottle.plan.garbage import Area
from bottle.store.state import VOLUMES, VOLUMES_BEFORE, BottleState


def superseded(context: Context, state: BottleState, patience: timedelta) -> frozenset[str]:
    """The volumes of a bottle that its state names no more, or not yet while no move brings it up to date.

    Of what is staged for it, only what has not changed for as long as `patience`. Raises StateDamaged.
    """
    staging = _staging(context, state.identity)
    filled = _filled(staging)
    if filled and context.now() - touched_at(staging) < patience:
        return frozenset()
    own = {mount.source for mount in container_mounts(state.metadata())}  # going back to a commit may bring one back
    return (filled | _noted(state.path / VOLUMES_BEFORE).keys()) - _noted(state.path / VOLUMES).keys() - own


def remove_superseded(context: Context, identity: Identity, name: str) -> None:
    """Delete such a volume. Raises Conflict, or Locked, where it is none any more or somebody has written in it."""
    state, staging = context.home.bottle(identity), _staging(context, identity)
    with ExitStack() as held:
        if staging.is_dir():
            held.enter_context(undisturbed(staging))
        held.enter_context(state.locked("bottle prune"))
        if name not in superseded(context, state, timedelta(0)):
            raise Conflict("it is the bottle's own meanwhile")
        if name in _filled(staging):
            for staged in staging.glob("state-*"):  # so that what names it never arrives
                with writing(staged):
                    tree.remove(staged)
        else:
            content, _, target = _noted(state.path / VOLUMES_BEFORE)[name].partition(" ")
            if _held(context, state, name, target) != content:
                raise Conflict("somebody has written in it since it came")
        context.engine.remove_volume(name)


def _held(context: Context, state: BottleState, name: str, target: str) -> str | None:
    """A hash of all that the engine gives out of a volume; None where it has no image to look by."""
    image = state.committed_image()
    if image is None or context.engine.image(image) is None:
        return None
    container = f"bottle-read-{secrets.token_hex(6)}"
    place = f"/{container}/{posixpath.basename(posixpath.normpath(target))}"
    mount = Mount(kind=MountKind.VOLUME, source=name, target=place)
    context.engine.create(bare_spec(container, image, (mount,)))
    try:
        digest = sha256()
        for piece in context.engine.read_archive(container, place):
            digest.update(piece)
        return digest.hexdigest()
    finally:
        context.engine.remove_container(container)


def _noted(note: Path) -> Mapping[str, str]:
    """What register.sh wrote down of volumes, by their names: a hash, a space, and where each is mounted."""
    return {name: rest for name, _, rest in (line.partition(" ") for line in _lines(note))}


def _lines(note: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from read_regular(note).decode("utf-8", "replace").splitlines()


def _filled(staging: Path) -> frozenset[str]:
    """Those that a move has filled which has not come to its end."""
    with suppress(OSError):
        return frozenset(each.name for each in (staging / "filled").iterdir())
    return frozenset()


def _staging(context: Context, identity: Identity) -> Path:
    return context.home.path / Area.INCOMING.value / str(identity)
