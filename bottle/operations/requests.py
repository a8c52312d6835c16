"""Capability requests on their way out of a bottle, and the answers on their way in."""

import io
import secrets
import tarfile
from dataclasses import replace

from bottle import runtime
from bottle.errors import BottleError
from bottle.launch import REQUESTS_MOUNT, bare_spec, requests_volume
from bottle.model import SCHEMA, CapabilityRequest, ContainerFacts, Mount, MountKind
from bottle.naming import LABEL_IDENTITY, LABEL_SCHEMA, Identity
from bottle.operations.context import Context
from bottle.operations.secrets import hide_secrets
from bottle.requests.folder import Folder, read_folder
from bottle.requests.request import MAX_KEPT, MAX_OPEN, answer_to, take_in
from bottle.store.state import BottleState
from bottle.tar.chunks import reading

_MODE = 0o1777  # whatever user the agent is may write here


def collect(context: Context, state: BottleState, *, most_open: int = MAX_OPEN) -> tuple[CapabilityRequest, ...]:
    """Take in what the bottle asks for that is new or has changed; all its requests, by number.

    No more are taken in while `most_open` are undecided.
    The caller holds the bottle's lock. A bottle without a container has nothing new. Raises StateDamaged or
    EngineError; what was taken in before that stays.
    """
    known = {request.number: request for request in state.requests()}
    folder = _read(context, context.container(state.identity))
    intake = take_in(known.values(), folder.asked, context.now(), most_open=most_open)
    for request in intake.changed:
        state.write_request(request)
        known[request.number] = request
    for request in known.values():
        publish(context, state.identity, request)
    for note in (*folder.notes, *intake.notes):
        context.progress.note(f"{state.identity}: {note}")
    return tuple(known[number] for number in sorted(known))


def collect_notes(context: Context, state: BottleState) -> tuple[str, ...]:
    """`collect` at a stop or a commit, which must not fail with it; what to say when it did.

    All requests are taken in: a move or an export may follow, and what the volume alone holds does not travel.
    """
    try:
        collect(context, state, most_open=MAX_KEPT)
    except BottleError as exc:
        return (f"what the bottle asks for could not be taken in: {exc.what}",)
    return ()


def publish(context: Context, identity: Identity, request: CapabilityRequest) -> None:
    """Let the bottle see what became of its request, if it can see anything now."""
    runtime.write_answer(context.handed, identity, request.number, answer_to(request))


def admit_requests(context: Context, identity: Identity, image: str) -> None:
    """See to it that the bottle's user, whoever that is, may write into the volume of its requests.

    A new volume is root's, and so is its top after a root agent's chmod. Nothing can be unpacked over what is itself
    the mount, so this is done through a container that never runs and has the volume below a folder.
    """
    engine, place = context.engine, f"bottle-fill-{secrets.token_hex(6)}"
    volume = Mount(kind=MountKind.VOLUME, source=requests_volume(identity), target=f"/{place}")
    labels = ((LABEL_SCHEMA, str(SCHEMA)), (LABEL_IDENTITY, str(identity)))
    container = engine.create(replace(bare_spec(identity.draft, image, (volume,)), labels=labels))
    engine.write_archive(container, "/", _folder(place))
    engine.remove_container(container)


def _read(context: Context, container: ContainerFacts | None) -> Folder:
    if container is None or all(mount.target != REQUESTS_MOUNT for mount in container.mounts):
        return Folder(asked=())  # also a container that an older version made
    if not runtime.is_prepared(context.handed, Identity.parse(container.labels[LABEL_IDENTITY])):
        hide_secrets(context, container)  # after a reboot the engine could not mount what is to be read
    with reading(context.engine.read_archive(container.id, REQUESTS_MOUNT)) as chunks:
        return read_folder(chunks)


def _folder(name: str) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, _MODE
        archive.addfile(member)
    buffer.seek(0)
    return buffer
