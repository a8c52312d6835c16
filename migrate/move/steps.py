"""`migrate`: observe, plan, quiesce, stage, verify, hand off. The source owns the bottle until the very last step."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from bottle.errors import (
    Conflict,
    ConnectionLost,
    MovedAway,
    PreflightRefused,
    RemoteError,
    StateDamaged,
    VerificationFailed,
)
from bottle.files import tree
from bottle.model import CommitRecord, Metadata, MigrationPhase, MigrationRecord, MoveAccount
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.commit import commit_locked
from bottle.operations.pause import paused
from bottle.operations.settle import settle
from bottle.operations.stop import keep_stopped, stop_locked
from bottle.plan.decisions import commit_in_force, finishing, is_frozen_in
from bottle.store.state import BottleState
from migrate.contents.live_folder import LiveFolder, Update, keep_up
from migrate.contents.packing import Packed, outgoing, pack, packed_before, require_same_needs, tag_there
from migrate.contents.travels import require_consent
from migrate.host.commands import plain
from migrate.host.destination import Destination
from migrate.host.layers import ImagesThere, LayersThere, ask_layers
from migrate.host.link_speed import choose_level, measure
from migrate.host.ownership import had_arrived
from migrate.host.probe import probe
from migrate.host.upload import Payload, Throttle, Uploader
from migrate.image.load_archive import Layer, compose
from migrate.image.reading import read_layers
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec, HostFacts, Presence
from migrate.move.facts import MoveRequest, Observed, observe
from migrate.move.handoff import let_go, settle_handoff
from migrate.move.plan import MovePlan, plan_move, require_room
from migrate.move.rehearsal import LEFT, look_ahead, rehearse, require_possible
from migrate.ports import Remote
from migrate.secrets.patterns import Finder
from migrate.secrets.policy import Allowed, finder_for, look_through, own_layers, require_clean, send_along

_AGAIN = "the same command again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A bottle that lives elsewhere now, or a copy that does. `staged` is how many bytes that took.

    `along` are the credentials that went along because that was allowed, a line each. `dropped` is what Docker's commit
    did not keep of the bottle, and what the tar of the workspace does not.
    `carried` is what lay outside the workspace and went along, and how; `left_behind` is what it lacks there.
    `resumed` is what the other host said when it was asked to start the bottle, None when it was not asked. `edited` is
    what somebody did in the workspace here in the moment of the hand-over: it is newer here than there.
    """

    identity: Identity
    arrived_as: Identity
    host: str
    commit: int
    workspace: str | None
    staged: int
    skipped: tuple[str, ...]
    stays: tuple[str, ...]
    missing_there: tuple[str, ...]
    resumed: str | None = None
    along: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()


def plan(context: Context, state: BottleState, remote: Remote, request: MoveRequest) -> MovePlan:
    """What a move would do; nothing is changed. Raises what `plan_move` raises, or Conflict for one that was cut."""
    there, earlier = _name_there(state, remote, request), state.migration.read()
    if earlier is not None and earlier.phase is MigrationPhase.HANDING_OFF:
        raise _cut_at_the_end(state.identity, earlier)
    seen = observe(context, state, remote, request, there)
    if earlier is not None and earlier.arrives_as == there != state.identity and _is_owned(seen):
        copied = _copied(state.identity, earlier)
        if request.pulled_by is not None or not _went_on_since(context, state, earlier.commit):
            raise Conflict(
                f"{copied}, since an earlier run",
                left="nothing was changed on either side",
                next_step="the same command without --plan, which says so and clears up; after that, it copies again",
            )
        context.progress.note(f"{copied}; work has gone on since, so another copy would be made")
        seen = observe(context, state, remote, request, Identity.fresh(state.identity.agent))
    decided = _decided(context, state, seen)
    rehearse(context, seen.facts.metadata, seen.facts.survey.carriable)
    finder = finder_for(state.metadata(), context.environ, context.progress)
    return replace(decided, along=_look_ahead(context, state, request, seen, finder))


def _decided(context: Context, state: BottleState, seen: Observed) -> MovePlan:
    """The plan, once it is known that the bottle can be committed and packed: afterwards it may be stopped."""
    decided = plan_move(seen.facts, seen.workspace)
    workspace = seen.facts.metadata.cwd if decided.workspace is not None else None
    require_possible(context, state, workspace, commits=decided.commits, owner_reads=not seen.facts.host.root)
    return decided


def move(
    context: Context,
    state: BottleState,
    remote: Remote,
    request: MoveRequest,
    registered: Callable[[Identity], None] = lambda _: None,
) -> Moved:
    """Move a bottle to another host, or copy it there.

    `registered` is told what it is called there as soon as it is there: what follows is clearing up, and its resume.
    Raises Locked, MovedAway, NotFound, NameTaken, Conflict, PreflightRefused, RemoteError and its kinds, or
    VerificationFailed. On any of them this host still owns the bottle, and the same call goes on where this one
    stopped.
    """
    with state.locked(f"bottle migrate to {remote.name}"):
        return _Move(context, state, remote, request, registered).run()


def _look_ahead(
    context: Context, state: BottleState, request: MoveRequest, seen: Observed, finder: Finder
) -> tuple[str, ...]:
    """Refuse, while the agent works, credentials that would be refused when it is stopped; those that may go along."""
    metadata = seen.facts.metadata
    finds = look_ahead(context, metadata, seen.facts.container, seen.image, finder, present=seen.facts.present)
    return require_clean(
        finds, _allowed(metadata, request), subject=str(state.identity), left=LEFT, next_step=send_along(metadata)
    )


def _allowed(metadata: Metadata, request: MoveRequest) -> Allowed:
    return Allowed(everything=request.allow_secrets, carry=(*metadata.agent.carry, *request.carry))


def _name_there(state: BottleState, remote: Remote, request: MoveRequest) -> Identity:
    """A copy gets a fresh identity, the same one when it is tried again; what moves keeps its own."""
    if not request.keep:
        return state.identity
    earlier = state.migration.read()
    if (
        earlier is not None
        and earlier.arrives_as is not None
        and earlier.arrives_as != state.identity
        and _same_goal(earlier, remote, request)
    ):
        return earlier.arrives_as
    return Identity.fresh(state.identity.agent)


def _same_goal(earlier: MigrationRecord, remote: Remote, request: MoveRequest) -> bool:
    """Whether an earlier run was to the very host of this one; hosts that pull may share a name, but not an id."""
    return earlier.pulled_by == request.pulled_by and (request.pulled_by is not None or earlier.host == remote.name)


def _cut_at_the_end(identity: Identity, earlier: MigrationRecord) -> Conflict:
    return Conflict(
        f"a move of {identity} to {earlier.host} was cut while it was handed over",
        left="nothing was changed",
        next_step=f"finish it first: {finishing(identity, earlier)}",
    )


def _copied(identity: Identity, earlier: MigrationRecord) -> str:
    return f"the copy of commit {earlier.commit} of {identity} is on {earlier.host}, as {earlier.arrives_as}"


def _is_owned(seen: Observed) -> bool:
    return seen.facts.host.presence is Presence.OWNED


def _went_on_since(context: Context, state: BottleState, number: int | None) -> bool:
    """Whether there is work that commit `number` cannot hold; of one that runs only what it committed is known."""
    commit = commit_in_force(state.commits(), state.committed_image())
    if commit is None or commit.number != number:
        return True
    container = context.container(state.identity)
    return container is not None and not container.status.alive and not is_frozen_in(container, (commit,))


class _Move:
    def __init__(
        self,
        context: Context,
        state: BottleState,
        remote: Remote,
        request: MoveRequest,
        registered: Callable[[Identity], None],
    ) -> None:
        self._context = context
        self._state = state
        self._remote = remote
        self._request = request
        self._registered = registered
        self._identity = state.identity
        self._there = _name_there(state, remote, request)
        self._nonce = secrets.token_hex(16)
        self._along: tuple[str, ...] = ()
        self._account: MoveAccount | None = None
        self._edited: tuple[str, ...] = ()

    def run(self) -> Moved:
        context, state = self._context, self._state
        if self._arrived_before():
            return self._done_before()
        settle(context, state)
        seen = observe(context, state, self._remote, self._request, self._there)
        decided = _decided(context, state, seen)
        if decided.running:
            _look_ahead(context, state, self._request, seen, self._finder)
        for line in decided.shared:
            context.progress.note(f"WARNING: {line}")
        if not self._request.consent:
            require_consent(decided.left_behind, self._identity, left=LEFT)
        rehearse(context, seen.facts.metadata, seen.facts.survey.carriable)
        self._drop_what_is_stale(decided, seen)
        self._note(MigrationPhase.QUIESCING, None)
        with self._quiet(decided) as commit:
            with self._writing_here():
                packed = pack(
                    context,
                    state,
                    self._spool("files", decided.file_codec),
                    commit=commit,
                    arrives_as=self._there,
                    workspace=decided.workspace,
                    left_behind=decided.left_behind,
                    consent=self._request.consent,
                )
            if self._request.keep:
                self._keep_up(packed, decided, lambda _: None)
        self._note(MigrationPhase.STAGING, commit.number)
        destination = self._destination(seen.facts.host)
        image = self._stage(destination, decided, seen.images, commit, packed)
        if not self._request.keep:
            self._keep_up(packed, decided, lambda update: self._send_update(destination, update))
        self._account = MoveAccount(
            commit=commit.number,
            workspace=decided.workspace,
            staged=_size([*image, *_beside(packed)]),
            skipped=packed.skipped,
            stays=decided.stays,
            missing_there=decided.missing_there,
            along=self._along,
            dropped=(*commit.dropped, *packed.lost),
            carried=tuple(each.line for each in packed.outside.carried),
            left_behind=packed.outside.left,
        )
        self._hand_over(destination, decided, commit, packed)
        return self._follow_up(self._account, destination)

    def _arrived_before(self) -> bool:
        """Whether an earlier run had brought the bottle to this very host, and only its end was cut off."""
        state, earlier = self._state, self._state.migration.read()
        if earlier is not None and earlier.phase is MigrationPhase.HANDING_OFF:
            if self._request.keep or not _same_goal(earlier, self._remote, self._request):
                raise _cut_at_the_end(self._identity, earlier)
            return settle_handoff(self._context, state, earlier, self._remote)
        if self._request.keep:
            return earlier is not None and earlier.arrives_as == self._there and self._copied_before(earlier)
        return self._moved_before()

    def _moved_before(self) -> bool:
        """Whether this host let the bottle go to that one, which still owns it."""
        tombstone = self._state.tombstone.read()
        if tombstone is None or tombstone.host != self._remote.name:
            return False
        presence = probe(self._remote, self._identity, "").presence
        if presence is Presence.MOVED:
            raise MovedAway(
                f"{self._identity} moved to {self._remote.name}, and has moved on from there",
                left="nothing was changed",
                next_step=f"there: bottle inspect {self._identity}",
            )
        # What bears its name there need not be it; and whoever is pulled from has to show that it brought it.
        nonce = tombstone.nonce
        return presence is Presence.OWNED and (nonce is None or had_arrived(self._remote, self._identity, nonce))

    def _copied_before(self, earlier: MigrationRecord) -> bool:
        """Whether the copy that an earlier run was making is there, and is still what was asked for."""
        if not had_arrived(self._remote, self._there, earlier.nonce):
            return False
        settle(self._context, self._state)
        copied = _copied(self._identity, earlier)
        if not _went_on_since(self._context, self._state, earlier.commit):
            self._context.progress.note(f"{copied}, since an earlier run; what was done after that commit is not in it")
            return True
        self._remote.run(plain("clear", str(self._there)))
        self._state.migration.clear()
        if self._request.pulled_by is not None:  # whoever pulls takes one bottle at a time
            raise Conflict(
                f"{copied}, and work has gone on since",
                left=f"{self._there} stays as it is; this host goes on with {self._identity}",
                next_step="the same command again makes another copy, of what is here now",
            )
        self._context.progress.note(f"{copied}; work has gone on since, so another copy is made")
        self._there = Identity.fresh(self._identity.agent)
        return False

    def _done_before(self) -> Moved:
        """What an earlier run did, by its own account; `_arrived_before` has asked the other host."""
        state = self._state
        told = state.migration.read() if self._request.keep else state.tombstone.read()
        account = told.account if told is not None else None
        if account is None:  # the run that brought it there was one of an earlier version
            commit = commit_in_force(state.commits(), state.committed_image())
            account = MoveAccount(commit=commit.number if commit else 0, dropped=commit.dropped if commit else ())
            self._context.progress.note(
                f"{self._there} is on {self._remote.name} since an earlier run, which did not write down what it sent"
            )
        return self._follow_up(account, self._destination(probe(self._remote, self._there, "")))

    def _follow_up(self, account: MoveAccount, destination: Destination) -> Moved:
        """What comes once it is there. A copy stays on record until the end: a run that is cut here is gone on with."""
        self._registered(self._there)
        self._clear(destination)
        moved = self._moved(account, destination)
        self._state.migration.clear()
        return moved

    def _moved(self, account: MoveAccount, destination: Destination) -> Moved:
        return Moved(
            identity=self._identity,
            arrived_as=self._there,
            host=self._remote.name,
            commit=account.commit,
            workspace=account.workspace,
            staged=account.staged,
            skipped=account.skipped,
            stays=account.stays,
            missing_there=account.missing_there,
            resumed=destination.resume() if self._request.resume_there else None,
            along=account.along,
            dropped=account.dropped,
            edited=self._edited or account.edited,
            carried=account.carried,
            left_behind=account.left_behind,
        )

    def _destination(self, host: HostFacts) -> Destination:
        return Destination(
            remote=self._remote,
            host=host,
            identity=self._there,
            uploader=self._uploader(),
            progress=self._context.progress,
        )

    def _note(self, phase: MigrationPhase, commit: int | None) -> None:
        self._state.migration.write(
            MigrationRecord(
                phase=phase,
                host=self._remote.name,
                nonce=self._nonce,
                commit=commit,
                started_at=self._context.now(),
                identity_files=self._request.identity_files,
                arrives_as=self._there,
                pulled_by=self._request.pulled_by,
                account=self._account,
            )
        )

    @contextmanager
    def _quiet(self, decided: MovePlan) -> Iterator[CommitRecord]:
        """Hold the bottle still and have all its work in the commit that travels.

        A move stops it. A copy pauses it, for as long as the context is open, and lets it go on.
        """
        context, state = self._context, self._state
        if decided.stops:
            for note in stop_locked(context, state, grace=10).notes:
                context.progress.note(note)
        elif not self._request.keep and (container := context.container(self._identity)) is not None:
            for note in keep_stopped(context, container):
                context.progress.note(note)
        with paused(context, state, context.container(self._identity) if self._request.keep else None, "a copy"):
            yield self._commit(decided)

    def _commit(self, decided: MovePlan) -> CommitRecord:
        context, state = self._context, self._state
        if decided.commits:
            verb = "copied" if self._request.keep else "moved"
            return commit_locked(context, state, message=f"{verb} to {self._remote.name}", pause=False).commit
        commit = commit_in_force(state.commits(), state.committed_image())
        if commit is None:
            raise StateDamaged(
                f"the history of {self._identity} does not know {state.committed_image()}",
                left="this host still owns the bottle",
                next_step=f"bottle resume {self._identity}; bottle commit {self._identity}",
            )
        return commit

    def _stage(
        self,
        destination: Destination,
        decided: MovePlan,
        images: ImagesThere,
        commit: CommitRecord,
        packed: Packed,
    ) -> list[Payload]:
        """Bring everything there, checked and loaded, but nothing into place; what of the image was staged."""
        image = self._bring_image(destination, decided, images, commit, _beside(packed))
        if packed.workspace is not None:
            destination.unpack(packed.workspace.tarball, "workspace", self._nonce)
            for update in packed.workspace.updates:
                destination.update(update, "workspace", self._nonce)
        destination.unpack(packed.state, "state", self._nonce)
        for volume, tarball in packed.volumes.items():
            destination.fill(volume, tarball, tag_there(commit, self._there))
        return image

    def _bring_image(
        self,
        destination: Destination,
        decided: MovePlan,
        images: ImagesThere,
        commit: CommitRecord,
        beside: Sequence[Payload],
    ) -> list[Payload]:
        """Stage what lies `beside` the image, and as much of the image as it takes to have it there; that much."""
        there = destination.uploader.retried(
            lambda: ask_layers(self._remote, destination.host, images, commit.diff_ids)
        )
        if self._has_it_all(destination, images, commit):
            destination.uploader.send(beside, f"sending to {self._remote.name}", alone=True)
            return []
        while True:
            order = self._send(destination, self._layers(destination, decided, there, commit), there, commit, beside)
            try:
                self._load(destination, order, commit)
            except (RemoteError, VerificationFailed) as exc:
                if isinstance(exc, ConnectionLost) or not there.diff_ids:
                    raise
                # A layer that was counted on is gone, or was never what it seemed: send them all.
                self._context.progress.note(f"{exc.what}; layers that seemed to be there already are sent too")
                there = LayersThere()
            else:
                return order

    def _has_it_all(self, destination: Destination, images: ImagesThere, commit: CommitRecord) -> bool:
        """Whether the very image is there, under whatever name; if so it has its tag now, and has proved itself."""
        image = self._context.engine.image(commit.tag)
        if image is None or images.chains.get(image.id) != commit.diff_ids:
            return False
        tag = tag_there(commit, self._there)
        try:
            destination.tag(image.id, tag)
            destination.verify_image(commit, tag)
        except ConnectionLost:
            raise
        except (RemoteError, VerificationFailed) as exc:
            self._context.progress.note(f"{exc.what}; the image that seemed to be there already is sent")
            return False
        return True

    def _send(
        self,
        destination: Destination,
        layers: DirectorySpool,
        there: LayersThere,
        commit: CommitRecord,
        beside: Sequence[Payload],
    ) -> list[Payload]:
        order = self._image_payload(destination, layers, there, commit)
        require_room(destination.host, self._remote.name, sum(payload.size for payload in (*order, *beside)))
        destination.uploader.send([*order, *beside], f"sending to {self._remote.name}", alone=True)
        return order

    def _load(self, destination: Destination, order: Sequence[Payload], commit: CommitRecord) -> None:
        tag = tag_there(commit, self._there)
        try:
            destination.load(order)
            destination.verify_image(commit, tag)
        except (RemoteError, VerificationFailed) as exc:
            if not isinstance(exc, ConnectionLost):
                destination.unload(tag)
            raise

    def _image_payload(
        self, destination: Destination, layers: DirectorySpool, there: LayersThere, commit: CommitRecord
    ) -> list[Payload]:
        """The archive that the engine there is to be fed, cut where layers begin and end."""
        wanted = frozenset(commit.diff_ids) - there.diff_ids
        with self._writing_here():
            config = read_layers(self._context, commit.tag, wanted, layers)
        self._along = self._look_through(commit, layers, config)
        archive = compose(
            config=config,
            diff_ids=commit.diff_ids,
            blobs={diff_id: blob for diff_id in wanted if (blob := layers.blob(diff_id)) is not None},
            tag=tag_there(commit, self._there),
            store=destination.host.store,
            known=there.blobs,
        )
        return [
            _payload(part.blob) if isinstance(part, Layer) else Payload.literal(part.data) for part in archive.parts
        ]

    @cached_property
    def _finder(self) -> Finder:
        return finder_for(self._state.metadata(), self._context.environ, self._context.progress)

    def _look_through(self, commit: CommitRecord, layers: DirectorySpool, config: bytes) -> tuple[str, ...]:
        """Before anything of the image is sent; what the destination has already does not leave, and is not here."""
        context, metadata, request = self._context, self._state.metadata(), self._request
        own = [blob for diff_id in own_layers(metadata, commit) if (blob := layers.blob(diff_id)) is not None]
        return require_clean(
            look_through(own, config, self._finder, context.progress),
            _allowed(metadata, request),
            subject=str(self._identity),
            left=f"nothing of them was sent; {self._left}",
            next_step=send_along(metadata)
            + ("" if request.keep else f"; or to stay on this host: bottle resume {self._identity}"),
        )

    def _keep_up(self, packed: Packed, decided: MovePlan, take: Callable[[Update], None]) -> None:
        """Go after what somebody does in the workspace while it travels, until it is all of one moment."""
        if packed.workspace is None:
            return
        left = f"{self._left}; what is staged there is used by the next run"
        with self._writing_here():
            keep_up(packed.workspace, take, left=left, next_step=self._following)
        metadata = self._state.metadata()
        require_same_needs(metadata, packed, workspace=decided.workspace, left=left, next_step=self._following)

    @property
    def _left(self) -> str:
        """What state the bottle is in once it was held still."""
        here = "goes on as it was" if self._request.keep else "is stopped and committed"
        return f"this host still owns the bottle, which {here}"

    @property
    def _following(self) -> str:
        """What to type once it was held still."""
        return _AGAIN if self._request.keep else f"{_AGAIN}; or to stay on this host: bottle resume {self._identity}"

    @contextmanager
    def _writing_here(self) -> Iterator[None]:
        """Have errors of what is read and kept on this host, a full disk as a rule, say what is left and the way on."""
        try:
            yield
        except (StateDamaged, PreflightRefused, VerificationFailed) as exc:
            first = "" if exc.next_step in {"", _AGAIN} else f"{exc.next_step}; then "
            exc.left, exc.next_step = self._left, first + self._following
            raise

    def _drop_what_is_stale(self, decided: MovePlan, seen: Observed) -> None:
        """Delete what earlier runs packed and this one will not send: the plan has counted it as room."""
        layers = self._spool("layers", decided.layer_codec)
        layers.keep_only(frozenset(seen.facts.layers if decided.commits else seen.facts.committed_layers or ()))
        for folder in packed_before(self._context, self._identity):
            if folder != layers.folder:
                tree.discard(folder)

    def _send_update(self, destination: Destination, update: Update) -> None:
        destination.uploader.send([_payload(update.tarball.blob)], "sending what changed in the workspace meanwhile")
        destination.update(update, "workspace", self._nonce)

    def _hand_over(self, destination: Destination, decided: MovePlan, commit: CommitRecord, packed: Packed) -> None:
        """The last step. What moves has, from here on, an owner that only the far host knows; a copy has two.

        What somebody did in the workspace in this very moment is kept to be told: it is here only.
        """
        live = packed.workspace if not self._request.keep else None
        if not self._request.keep:
            self._require_rested(commit)
        self._note(MigrationPhase.STAGING if self._request.keep else MigrationPhase.HANDING_OFF, commit.number)
        with self._context.progress.phase(f"handing over to {self._remote.name}"):
            try:
                destination.register(self._nonce, decided.workspace)
            except RemoteError as exc:
                if isinstance(exc, ConnectionLost) or not self._arrived_all_the_same():
                    raise
        self._edited = self._edited_at_last(live) if live is not None else ()
        if not self._request.keep:
            let_go(self._context, self._state, self._remote.name, commit.number, self._edited)

    def _edited_at_last(self, live: LiveFolder) -> tuple[str, ...]:
        """The bottle is there: whatever is found here now, it is to be said and no more."""
        try:
            return live.edited()
        except PreflightRefused as exc:
            self._context.progress.note(f"{exc.what}: whether somebody worked there during the hand-over is not known")
            return ()

    def _require_rested(self, commit: CommitRecord) -> None:
        """Refuse to hand over a bottle that was started while it travelled: what it did since is in no commit."""
        container = self._context.container(self._identity)
        if container is not None and not is_frozen_in(container, (commit,)):
            raise Conflict(
                f"{container.name} was started by something else while {self._identity} travelled",
                left="this host still owns the bottle, and its work is all here",
                next_step="the same command again: it stops the bottle and sends what is new",
            )

    def _arrived_all_the_same(self) -> bool:
        """The far side says that it failed: have it say who owns the bottle, so that nobody needs to ask later."""
        if self._request.keep:
            return False
        arrived = had_arrived(self._remote, self._there, self._nonce)
        if not arrived:
            self._state.migration.clear()
        return arrived

    def _uploader(self) -> Uploader:
        throttle = Throttle(self._request.rate)
        return Uploader(self._remote, self._there, self._context.progress, jobs=self._request.jobs, throttle=throttle)

    def _layers(
        self, destination: Destination, decided: MovePlan, there: LayersThere, commit: CommitRecord
    ) -> DirectorySpool:
        """The spool of layers, compressed as hard as the link allows; with nothing to send the link does not matter."""
        level = None
        if not there.diff_ids.issuperset(commit.diff_ids):
            rate = destination.uploader.retried(lambda: measure(self._remote))
            level = choose_level(decided.layer_codec, rate, self._request.rate)
        return self._spool("layers", decided.layer_codec, level)

    def _spool(self, kind: str, codec: Codec, level: int | None = None) -> DirectorySpool:
        folder = outgoing(self._context, self._identity)
        return DirectorySpool(folder / f"{kind}-{codec.value or 'tar'}", codec, level=level, threads=2)

    def _clear(self, destination: Destination) -> None:
        """The move is done; what cannot be cleared is garbage, and no reason to call it failed."""
        try:
            destination.clear()
        except RemoteError as exc:
            self._context.progress.note(f"staging on {self._remote.name} was not cleared: {exc.what}")
        tree.discard(outgoing(self._context, self._identity))


def _beside(packed: Packed) -> list[Payload]:
    """What lies beside the image, and what changed of it since."""
    return [_payload(tarball.blob) for tarball in packed.tarballs]


def _size(payload: Iterable[Payload]) -> int:
    """The bytes of all of it; what is the same is staged once."""
    return sum({each.digest: each.size for each in payload}.values())


def _payload(blob: Blob) -> Payload:
    return Payload(digest=blob.digest.removeprefix("sha256:"), size=blob.size, content=blob.path)
