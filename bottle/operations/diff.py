"""`diff`: what a bottle changed since its image, since a commit, or between two; nothing is changed, or held up."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from bottle.diff.stack import Difference, Touched, View, differences, shown, undecided
from bottle.diff.thing import Layer
from bottle.errors import NotFound, TreeUnfit, VerificationFailed
from bottle.launch import container_mounts, is_below
from bottle.naming import Identity
from bottle.operations.asking import Asked
from bottle.operations.context import Context
from bottle.operations.images import bare_container
from bottle.operations.layerreading import read_layers
from bottle.operations.work import Ground, Work, work_of
from bottle.plan.history import commit_in_force, parent_of
from bottle.plan.versions import IMAGE, NOW, Version, VersionFacts, gone, versions_meant
from bottle.store.state import BottleState
from bottle.text import encodable

_ASKED = 4  # questions to the engine, which are always asked before an image's layers are read
_WORTH = 20_000_000  # bytes of layers that take as long to be read as one more question
# What an engine makes for a container that has its `--init`, and mounts the program on.
_MOUNTED = frozenset({"/sbin/docker-init", "/usr/sbin/docker-init", "/usr/bin/docker-init"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What differs between two versions of a bottle's filesystem, but for what is mounted.

    `unanswered` are paths of which nobody could say what is there now; whether they differ is not known.
    """

    identity: Identity
    before: Version
    after: Version
    differences: tuple[Difference, ...]
    unanswered: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stack:
    """A version as layers: `own` are those above what both have in common, and `work` one more, if any."""

    ground: Ground
    work: Work | None = None


def compare(context: Context, state: BottleState, words: tuple[str, ...]) -> Compared:
    """Compare the versions that `words` name, as `plan.versions` has them.

    Raises UsageError, NotFound, StateDamaged, EngineError, or VerificationFailed.
    """
    bottle = KnownBottle(context, state)
    before, after = bottle.meant(words)
    stacks = bottle.stacks(before, after)
    found = _compared(context, *stacks) if before != after else ()
    works = [stack.work for stack in stacks if stack.work is not None]
    unanswered = tuple(dict.fromkeys(f"/{path}" for work in works for path in work.unanswered))
    hidden = tuple(map(encodable, (*bottle.mounted, *unanswered)))
    return Compared(
        identity=state.identity,
        before=before,
        after=after,
        differences=tuple(each for each in found if not any(is_below(encodable(each.path), path) for path in hidden)),
        unanswered=unanswered,
    )


class KnownBottle:
    """What is known of a bottle, and where the layers of its versions are."""

    def __init__(self, context: Context, state: BottleState) -> None:
        self._context = context
        self._state = state
        self._metadata = state.metadata()
        self._commits = state.commits()
        self._container = context.container(state.identity)

    @property
    def container(self) -> str:
        """The id of its container, which a version NOW has."""
        assert self._container is not None  # as `versions_meant` has it
        return self._container.id

    @property
    def mounted(self) -> tuple[str, ...]:
        """Where something is mounted, which is in no version."""
        container = self._container
        mounts = container.mounts if container is not None else container_mounts(self._metadata)
        return (*(mount.target for mount in mounts), *_MOUNTED)

    def meant(self, words: tuple[str, ...]) -> tuple[Version, Version]:
        """The versions that are to be compared. Raises UsageError or NotFound."""
        container, commits, tag = self._container, self._commits, self._state.committed_image()
        last = parent_of(commits, container) if container is not None else None
        if last is None and (in_force := commit_in_force(commits, tag)) is not None:
            last = in_force.number
        facts = VersionFacts(
            identity=self._state.identity,
            commits=commits,
            committed_tag=tag,
            container=container is not None,
            last=last,
            present=self._present(),
        )
        return versions_meant(facts, words)

    def stacks(self, before: Version, after: Version) -> tuple[_Stack, _Stack]:
        """Both as layers. Raises NotFound where they are not here, EngineError."""
        return self._stack(before, beside=after), self._stack(after, beside=before)

    def _stack(self, version: Version, *, beside: Version) -> _Stack:
        if version == NOW:
            assert self._container is not None  # as `versions_meant` has it
            number = beside.commit
            since = (number, self._of_commit(number)) if number is not None else None
            work = work_of(self._context, self._state, self._container, since)
            return _Stack(ground=work.ground, work=work)
        if version == IMAGE:
            return _Stack(ground=self._of_image(beside))
        assert version.commit is not None
        return _Stack(ground=self._of_commit(version.commit))

    def image(self, version: Version, *, beside: Version) -> str:
        """An image that is such a version, and no more. Raises NotFound."""
        ground = self._stack(version, beside=beside).ground
        if not ground.exact:
            raise NotFound(
                f"{version.described} of {self._state.identity} is only here as layers of a later one",
                next_step=f"bottle diff {self._state.identity} {version} {beside}; or with --path, another version",
            )
        return ground.ref

    def _present(self) -> frozenset[int]:
        """The commits whose layers are here, in their own image or in that of a later one; one question, not many."""
        tags = {tag for image in self._context.engine.image_summaries({}) for tag in image.tags}
        chains = {each.diff_ids for each in self._commits if each.tag in tags}
        parts = {chain[:length] for chain in chains for length in range(1, len(chain) + 1)}
        return frozenset(each.number for each in self._commits if each.diff_ids in parts)

    def _of_commit(self, number: int) -> Ground:
        commit = next(each for each in self._commits if each.number == number)
        ground = self._ground(commit.diff_ids)
        if ground is None:
            raise gone(self._state.identity, number)
        return ground

    def _of_image(self, beside: Version) -> Ground:
        """The image that the bottle began with, or began anew with before a commit."""
        commit = next((each for each in self._commits if each.number == beside.commit), None)
        base = (commit.base if commit is not None else ()) or self._metadata.base
        ground = self._ground(base) if base else None
        if ground is None:
            raise NotFound(
                f"the image that {self._state.identity} began with, {self._metadata.image}, is not here",
                next_step=f"bottle history {self._state.identity}; compare two commits",
            )
        return ground

    def _ground(self, diff_ids: tuple[str, ...]) -> Ground | None:
        """An image here that is these layers, or begins with them."""
        known = {each.tag: each.diff_ids for each in reversed(self._commits)}
        exact = [tag for tag, of in known.items() if of == diff_ids]
        others = [tag for tag, of in known.items() if of != diff_ids and of[: len(diff_ids)] == diff_ids]
        own = self._container.image if self._container is not None else ""
        for ref in filter(None, (*exact, self._metadata.image, own, *others)):
            image = self._context.engine.image(ref)
            if image is not None and image.diff_ids[: len(diff_ids)] == diff_ids:
                return Ground(ref=image.id, size=image.size, diff_ids=diff_ids, exact=image.diff_ids == diff_ids)
        return None


def _compared(context: Context, before: _Stack, after: _Stack) -> tuple[Difference, ...]:
    shared = _shared(before.ground.diff_ids, after.ground.diff_ids)
    stacks = before, after
    own = [_own_layers(context, stack, shared) for stack in stacks]
    touched = Touched(layer for layers in own for layer in layers)
    if not touched.paths:
        return ()
    with ExitStack() as held:
        asked = _asked_ground(context, held, stacks, shared, touched)
        if asked is None:
            ground = _ground_of_layers(context, before.ground, shared, touched)
        else:
            ground = asked.at(touched.paths)
        old, new = (shown(layers, ground) for layers in own)
        paths = undecided(old, new, touched)
        return differences(_decided(before, old, paths, asked), _decided(after, new, paths, asked), touched)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many layers two images begin with that are the same."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _own_layers(context: Context, stack: _Stack, shared: int) -> tuple[Layer, ...]:
    own = stack.ground.diff_ids[shared:]
    layers = read_layers(context, stack.ground.ref, own)
    return (*(layers[each] for each in own), *([stack.work.layer] if stack.work is not None else []))


def _asked_ground(
    context: Context, held: ExitStack, stacks: tuple[_Stack, _Stack], shared: int, touched: Touched
) -> Asked | None:
    """What both versions stand on, asked of the engine; None where that is no image, or too much is to be asked."""
    exact = (each.ground for each in stacks if each.ground.exact and len(each.ground.diff_ids) == shared)
    ground = next(exact, None)
    if ground is None:
        return None
    name = held.enter_context(bare_container(context, ground.ref))
    asked = Asked(context.engine, name, whole=touched.is_cut, most=_ASKED + ground.size // _WORTH)
    with suppress(TreeUnfit, VerificationFailed):
        asked.at(touched.paths)
        return asked if not asked.unanswered else None
    return None


def _ground_of_layers(context: Context, ground: Ground, shared: int, touched: Touched) -> View:
    below = ground.diff_ids[:shared]
    layers = read_layers(context, ground.ref, below, touched.is_wanted)
    return shown((layers[each] for each in below), {})


def _decided(stack: _Stack, view: View, paths: Sequence[str], asked: Asked | None) -> View:
    """The same, with the contents that decide."""
    unread = [path for path in paths if view[path].digest is None]
    written = stack.work.layer.things if stack.work is not None else {}
    digests: dict[str, bytes] = {}
    if stack.work is not None:
        digests |= stack.work.digests([path for path in unread if path in written])
    if asked is not None:
        digests |= asked.digests([path for path in unread if path not in written])
    return {**view, **{path: replace(view[path], digest=digest) for path, digest in digests.items()}}
