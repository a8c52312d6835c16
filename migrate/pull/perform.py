"""Performs here what the owner of a bottle asks for while the bottle is pulled, as far as the policy allows it.

Scripts are run as they are run on a far host. What they would believe is looked at first: archives and state that come
from there are untrusted, and tars of files are unpacked by this program, not by tar.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from bottle.errors import BottleError, EngineError, NameTaken, NeedsConsent, RemoteError, VerificationFailed
from bottle.files import tree
from bottle.files.regular import read_regular
from bottle.home import user_home
from bottle.layers import KnownBlob
from bottle.model import CommitRecord, Metadata, Store
from bottle.naming import Identity
from bottle.plan.decisions import commit_in_force
from bottle.ports import Engine, Progress
from bottle.store.state import ARRIVED, TOMBSTONE, BottleState, StateHome
from bottle.tar.chunks import CHUNK
from bottle.tar.items import ItemReader, item_header, write_tar
from bottle.tar.paths import LONGEST_PATH
from bottle.tar.rules import Rules, admitted
from bottle.text import printable
from migrate.admission.arrived_state import (
    WRITTEN_HERE,
    ArrivedState,
    Unpacked,
    alone,
    is_kept,
    links_to_here,
    read_state,
    remove_unpacked,
    reopen_requests,
    staged,
    unpack_folder,
    within,
)
from migrate.admission.arrived_update import Instructions, bring_up_to_date, without
from migrate.admission.grant import grant, history_here, rebuilt_from
from migrate.admission.image_archive import read_image
from migrate.admission.tar_rules import volume_rules
from migrate.contents.live_folder import listed
from migrate.contents.outside import few
from migrate.host.layers import ask_images, ask_layers
from migrate.image.load_archive import compose, fed
from migrate.model import Codec, RemoteCommand, Reply
from migrate.pull.disclosure import Disclosure
from migrate.pull.policy import RULES, Policy, Rule, Terms
from migrate.pull.receiver import Breach, Request
from migrate.tar.compression import decompress
from migrate.transport.local import run_here

RESERVE = 64 << 20  # bytes that are left free on every disk
_MOST_PIECES = 200_000
_IN_MEMORY = 1 << 20
_SHOWN = 300  # characters of what comes from there
_NAME = "this host"
_LONGEST_LINE = 5 * LONGEST_PATH + 100  # of a path each byte of which is spelt with five, and a digest in front of it
_COMPOSED = ".composed"  # no name of a blob
_TELLS_OF_A_MOVE = frozenset({"register", "withdraw"})  # by its nonce
_PASSED = ("HOME", "PATH", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A bottle that was brought here, as it is here now: `commit` is the one in force."""

    identity: Identity
    commit: int
    workspace: str | None


class Here:
    """Runs scripts on this host, in the user's name: a `migrate.ports.Shell` without a network."""

    name = _NAME

    def __init__(self, bottle_home: Path, environ: Mapping[str, str]) -> None:
        self._bottle_home = bottle_home
        self._environ = {name: environ[name] for name in environ if name in _PASSED or name.startswith("DOCKER_")}
        self._environ["BOTTLE_HOME"] = str(bottle_home)
        self._environ.setdefault("HOME", str(user_home()))

    def run(self, command: RemoteCommand, stdin: Iterable[bytes] = (), *, silence: float = 60.0) -> Reply:
        """As `migrate.ports.Shell.run`."""
        return run_here(command, stdin, host=_NAME, environment=self._environ, folder=Path("/"), silence=silence)


class Performer:
    """Answers a pull's requests. `agreed` is what the user lets the bottle have here (`bottle.agent.admission`)."""

    def __init__(self, terms: Terms, here: Here, engine: Engine, progress: Progress, agreed: frozenset[str]) -> None:
        self._policy = Policy(terms)
        self._terms = terms
        self._here = here
        self._engine = engine
        self._progress = progress
        self._agreed = agreed
        self._lock = threading.Lock()
        self._turns = _Turns()
        self._pieces = 0
        self._unpacked: dict[str, frozenset[str]] = {}
        self._approved: dict[str, ArrivedState] = {}
        self._brought = False
        self._given: set[str] = set()  # tags that no image here had
        self._disclosure = Disclosure(here, terms)

    @property
    def arrives_as(self) -> Identity:
        """What the bottle is called here. Raises Breach before that is known."""
        return self._policy.identity

    @property
    def pieces(self) -> int:
        """How many pieces were staged."""
        return self._pieces

    def __call__(self, request: Request, stdin: Iterator[bytes]) -> Reply:
        """As `migrate.pull.receiver.Perform`."""
        with self._lock:
            command = self._policy.check(request)
        rule = RULES[request.script]
        if rule.streams:
            with self._turns.shared():
                self._require_not_ours(command, rule)
                return self._stream(command, rule, stdin, request.silence)
        with _spooled(stdin, rule) as spool, self._turns.exclusive():
            self._require_not_ours(command, rule)
            reply = self._perform(command, spool, request.silence)
            if command.name in _TELLS_OF_A_MOVE:
                self._brought = self._brought or self._has_arrived(command.args[1])
            return reply

    def _require_not_ours(self, command: RemoteCommand, rule: Rule) -> None:
        """Let nothing be done to a bottle that lives here. Raises Breach."""
        again = command.name == "register" and self._has_arrived(command.args[1])  # its answer was lost
        if not (rule.looks or rule.settles or again) and self.is_here():
            raise Breach(
                f"{self._policy.identity} lives here, and the far host asks for {command.name!r}",
                left="what is here is as it was",
                next_step=f"bottle inspect {self._policy.identity}",
            )

    def _stream(self, command: RemoteCommand, rule: Rule, stdin: Iterator[bytes], silence: float) -> Reply:
        most = rule.most
        if command.name == "piece":
            most = int(command.args[4])
            with self._lock:
                self._pieces += 1
                if self._pieces > _MOST_PIECES:
                    raise Breach("the far host sends more pieces than any bottle has")
            if self._room() < most:
                return Reply(status=21, out=b"", err=f"the disk of {self._terms.bottle_home} is full")
        return self._here.run(command, _at_most(stdin, most), silence=silence)

    def _perform(self, command: RemoteCommand, stdin: IO[bytes], silence: float) -> Reply:
        match command.name:
            case "images" | "known" | "inspect":
                return self._tell(command, _lines(stdin), silence)
            case "extract":
                return self._extract(*command.args)
            case "update":
                return self._update(*command.args, stdin=stdin)
            case "load" | "tag" | "unload":
                return self._name(command, _lines(stdin), silence)
            case "volume":
                return self._fill(command, silence)
            case "verify":
                self._require_known(stdin, command.args[1])
            case "register" if not self._has_arrived(command.args[1]):
                self._require_sound(*command.args[1:])
        return self._here.run(command, _chunks(stdin), silence=silence)

    def _tell(self, command: RemoteCommand, lines: Sequence[str], silence: float) -> Reply:
        """What the scripts that look at images print, without what is nobody's business there."""
        reply = Reply(status=0, out=b"", err="")
        match command.name:
            case "images":
                self._disclosure.named(lines)
                return replace(reply, out=self._disclosure.images())
            case "known":
                return replace(reply, out=self._disclosure.known(lines))
            case _:
                reply = self._here.run(command, silence=silence)
                return replace(reply, out=self._disclosure.image(self._engine.image(command.args[2])))

    def _name(self, command: RemoteCommand, lines: Sequence[str], silence: float) -> Reply:
        """What gives an image a tag, or takes away one that was given."""
        match command.name:
            case "load":
                return self._load(lines)
            case "tag":
                self._require_taggable(*command.args[2:])
            case "unload" if command.args[2] not in self._given:
                return Reply(status=0, out=b"", err="")
        return self._here.run(command, silence=silence)

    @property
    def _state(self) -> BottleState:
        """The bottle's, as it is here, or will be."""
        return BottleState(self._policy.identity, self._terms.bottle_home / "state" / str(self._policy.identity))

    @property
    def _staging(self) -> Path:
        return self._terms.bottle_home / "incoming" / str(self._policy.identity)

    @property
    def _blobs(self) -> Path:
        return self._staging / "blobs"

    def _extract(self, _: str, blob: str, codec: str, kind: str, nonce: str) -> Reply:
        """What extract.sh does, but for a tar that may be anything."""
        folder = self._staging / f"{kind}-{nonce}"
        self._approved.pop(nonce, None)
        try:
            with alone(self._staging):
                remove_unpacked(self._staging, kind)
                came = unpack_folder(
                    decompress(staged(self._blobs, blob), _codec(codec)),
                    folder,
                    owners=kind == "workspace" and os.geteuid() == 0,
                    links=kind == "workspace",
                    room=self._room(),
                )
                self._unpacked[folder.name] = came.files
                self._require_inside(folder, kind)
                self._tell_unset(came)
        except OSError as exc:
            return Reply(status=26, out=b"", err=f"cannot unpack {kind}: {exc.strerror}")
        if kind == "state":
            self._approved[nonce] = self._approve(folder)
        return Reply(status=0, out=b"", err="")

    def _update(self, _: str, blob: str, codec: str, name: str, *, stdin: IO[bytes]) -> Reply:
        """What update.sh does, but for a tar and a list that may be anything."""
        if name not in self._unpacked:
            raise Breach("the far host brings up to date what it has not sent")
        instructions = Instructions.parse(stdin)
        owners = os.geteuid() == 0
        fresh = self._staging / name.replace("workspace-", "update-")
        try:
            with alone(self._staging):
                remove_unpacked(self._staging, "update")
                chunks = decompress(staged(self._blobs, blob), _codec(codec))
                came = unpack_folder(chunks, fresh, owners=owners, links=True, room=self._room())
                bring_up_to_date(self._staging / name, fresh, instructions, named=came.folders, owners=owners)
                self._tell_unset(came)
                remove_unpacked(self._staging, "update")
                self._require_inside(self._staging / name, "workspace")
        except OSError as exc:
            return Reply(status=26, out=b"", err=f"cannot bring {name} up to date: {exc.strerror}")
        self._unpacked[name] = without(self._unpacked[name], instructions.removed) | came.files
        return Reply(status=0, out=b"", err="")

    def _require_inside(self, folder: Path, kind: str) -> None:
        """Let no link of a workspace lead to what is on this host, unless that was agreed to. Raises NeedsConsent."""
        if kind != "workspace" or self._terms.consent:
            return
        if links := links_to_here(folder, self._policy.workspaces):
            shown = "; ".join(printable(each, _SHOWN) for each in few(links))
            raise NeedsConsent(
                f"the workspace of {self._policy.identity} has links that would lead to what is here: {shown}",
                left="nothing was put into place",
                next_step="if they may: the same command with --yes",
            )

    def _tell_unset(self, came: Unpacked) -> None:
        if came.unset:
            self._progress.note(f"WARNING: set-id bits were taken away: {listed(came.unset)}")

    def _approve(self, folder: Path) -> ArrivedState:
        """Look at the state that came: it may ask for no more than the user has agreed to."""
        arrived = read_state(folder, self._policy.identity)
        more = set(grant(arrived.metadata, folder, rebuild=arrived.rebuild).demands) - self._agreed
        if more:
            raise VerificationFailed(
                f"nobody agreed to what the bottle would be given here: {printable('; '.join(sorted(more)), _SHOWN)}",
                left="nothing was put into place",
                next_step="the same command again, which asks",
            )
        return arrived

    def _load(self, order: Sequence[str]) -> Reply:
        """What load.sh does, but for an archive that may be anything: the engine is fed another, of what is in it."""

        def archive() -> Iterator[bytes]:
            for blob in order:
                yield from staged(self._blobs, blob)

        with self._progress.phase("looking at the image that came"):
            image = read_image(archive(), self._policy.identity, self._docker_room())
        if not {blob.path.name for blob in image.blobs.values()} <= set(order):
            raise Breach("the far host does not send each layer by itself")
        self._disclosure.named(image.diff_ids)
        self._give(image.tag, image.diff_ids)
        try:
            known = self._known(image.diff_ids)
            made = compose(
                config=image.config,
                diff_ids=image.diff_ids,
                blobs=image.blobs,
                tag=image.tag,
                store=self._terms.store,
                known=known,
            )
            with alone(self._staging), self._progress.phase("loading the image", made.size):
                self._engine.load(fed(made, lambda blob: staged(self._blobs, blob.path.name), self._progress))
        except (EngineError, VerificationFailed) as exc:
            # Whoever sends may send more: a layer that was left out since it seemed to be here.
            return Reply(status=24, out=b"", err=exc.what)
        return Reply(status=0, out=b"", err="")

    def _require_taggable(self, image: str, tag: str) -> None:
        """Raises Breach, or as `_give`."""
        if not self._disclosure.is_told(image):
            raise Breach("the far host speaks of an image here that it was not told of")
        there = self._engine.image(image)
        self._give(tag, there.diff_ids if there is not None else ())

    def _give(self, tag: str, diff_ids: tuple[str, ...]) -> None:
        """Note that an image gets this tag. Raises VerificationFailed where it would be taken from another one.

        A bottle that moved away has left its commits here, and some of them are nowhere else.
        """
        there = self._engine.image(tag)
        if there is None:
            self._given.add(tag)
        elif tag not in self._given and there.diff_ids != diff_ids:
            raise VerificationFailed(
                f"another image is called {tag} here",
                left="it is as it was",
                next_step=f"look at it, and give it another name: docker image inspect {tag}",
            )

    def _known(self, diff_ids: tuple[str, ...]) -> Mapping[str, KnownBlob]:
        """As what the store here has layers: the classic one knows them by their diff ids, and need not be told."""
        if self._terms.store is Store.CLASSIC:
            return {}
        images = ask_images(self._here, self._terms, diff_ids)
        return ask_layers(self._here, self._terms, images, diff_ids).blobs

    def _fill(self, command: RemoteCommand, silence: float) -> Reply:
        """Run volume.sh on a tar of our own making, in the place of the one that came, which may be anything."""
        identity, blob, codec, volume, target, *rest = command.args[2:]
        folder = self._blobs / _COMPOSED
        plain = within(decompress(staged(self._blobs, blob), _codec(codec)), min(self._room(), self._docker_room()))
        try:
            with alone(self._staging):
                tree.discard(folder)
                folder.mkdir(mode=0o700)
                with (folder / "0").open("xb") as file:
                    for piece in write_tar(_entries(ItemReader(plain), volume_rules(volume, target))):
                        file.write(piece)
            args = (*command.args[:2], identity, folder.name, "none", volume, target, *rest)
            return self._here.run(replace(command, args=args), silence=silence)
        except OSError as exc:
            return Reply(status=26, out=b"", err=f"cannot unpack volume {volume}: {exc.strerror}")
        finally:
            tree.discard(folder)

    def _require_known(self, stdin: IO[bytes], folder: str) -> None:
        """Only files that were unpacked here are hashed: no link is followed, nothing outside is asked about."""
        known = self._unpacked.get(folder, frozenset())
        for line in stdin:
            if os.fsdecode(line[len("0" * 64 + "  ./") :].rstrip(b"\n")) not in known:
                raise Breach("the far host asks for a file that it has not sent to be checked")
        stdin.seek(0)

    def _require_sound(self, nonce: str, workspace: str) -> None:
        """The last look before the bottle is here: its state, its place and its image fit together."""
        approved = self._approved.get(nonce)
        if approved is None:
            raise Breach("the far host hands over a bottle whose state was not looked at")
        metadata, commit = approved.metadata, approved.commit
        mounted = metadata.cwd if metadata.cwd is not None and not metadata.copy_cwd else None
        if str(mounted or "") != workspace or (workspace and f"workspace-{nonce}" not in self._unpacked):
            raise VerificationFailed(
                f"the bottle would use {str(mounted)[:200]!r} here, and its workspace is not what lands there",
                left="nothing was put into place",
            )
        image = self._engine.image(commit.tag)
        if image is None or (image.diff_ids, image.config_digest) != (commit.diff_ids, commit.config_digest):
            raise VerificationFailed(
                f"the image {commit.tag} here is not the one that the bottle's history names",
                left="nothing was put into place",
                next_step="the same command again",
            )
        self._take_over(BottleState(self._policy.identity, self._staging / f"state-{nonce}"), approved)

    def _take_over(self, state: BottleState, arrived: ArrivedState) -> None:
        """Write anew what the state says, without what is for this host to say, and leave out what means nothing."""
        for path in state.path.iterdir():
            if path.name not in WRITTEN_HERE and not is_kept(path.name):
                tree.remove(path)
        reopen_requests(state)
        granted = grant(arrived.metadata, self._state.path, rebuild=arrived.rebuild)
        state.write_metadata(self._named_here(granted.metadata))
        state.write_commits(history_here(arrived.commits, self._policy.identity, self._before()))
        state.write_committed_image(arrived.commit.tag)
        for each in granted.refused:
            self._progress.note(f"not taken over: {printable(each, _SHOWN)}")
        rebuilt = rebuilt_from(granted.metadata.agent, dockerfile=arrived.dockerfile, rebuild=arrived.rebuild)
        for each in rebuilt:
            self._progress.note(f"its agent has: {printable(each, _SHOWN)}")

    def _named_here(self, metadata: Metadata) -> Metadata:
        """The metadata without a second name that means another bottle here."""
        if metadata.name is None:
            return metadata
        try:
            StateHome(self._terms.bottle_home).require_free(metadata.name, but=metadata.identity)
        except NameTaken as exc:
            self._progress.note(f"{metadata.identity} has no second name any more: {exc.what}")
            return replace(metadata, name=None)
        return metadata

    def _before(self) -> tuple[CommitRecord, ...]:
        """The history that this host wrote before the bottle moved away."""
        try:
            return self._state.commits()
        except BottleError as exc:
            self._progress.note(f"of which containers its commits were made is not known: {exc.what}")
            return ()

    def _room(self) -> int:
        return _free(self._terms.bottle_home)

    def _docker_room(self) -> int:
        root = Path(self._terms.docker_root)
        return _free(root if root.is_absolute() else self._terms.bottle_home)

    def _has_arrived(self, nonce: str) -> bool:
        """Whether the move called `nonce`, which only its two hosts know, once put the bottle into place here."""
        noted = (self._state.path / ARRIVED, self._terms.bottle_home / ARRIVED / str(self._policy.identity))
        for file in noted:
            with suppress(OSError):
                if nonce.encode() in read_regular(file).split(b"\n"):
                    return True
        return False

    def is_here(self) -> bool:
        """Whether this host owns the bottle now, whatever anybody says."""
        return self._state.path.is_dir() and not (self._state.path / TOMBSTONE).exists()

    def arrived(self) -> Arrived | None:
        """What is here of the bottle, if it lives here and the far host has shown that it brought it.

        It has if it registered the bottle, or knows the name of a move that once did. Raises StateDamaged.
        """
        if not self._brought or not self.is_here():
            return None
        metadata = self._state.metadata()
        commit = commit_in_force(self._state.commits(), self._state.committed_image())
        return Arrived(
            identity=self._policy.identity,
            commit=commit.number if commit is not None else 0,
            workspace=str(metadata.cwd) if metadata.cwd is not None and not metadata.copy_cwd else None,
        )


class _Turns:
    """Pieces come beside each other; everything else waits for them, and is alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shared = 0
        self._taken = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken)
            self._shared += 1
        try:
            yield
        finally:
            with self._changed:
                self._shared -= 1
                self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._taken and not self._shared)
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()


@contextmanager
def _spooled(stdin: Iterator[bytes], rule: Rule) -> Iterator[IO[bytes]]:
    """All of a standard input, each line of which is what the rule says."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        for chunk in _at_most(stdin, rule.most):
            spool.write(chunk)
        spool.seek(0)
        for line in iter(lambda: spool.readline(_LONGEST_LINE), b""):
            text = os.fsdecode(line)
            if rule.lines is None or not rule.lines.fullmatch(text) or "/../" in text or text.endswith("/..\n"):
                raise Breach("the far host feeds a script what no honest one does")
        spool.seek(0)
        yield spool


def _at_most(stdin: Iterator[bytes], most: int) -> Iterator[bytes]:
    for chunk in stdin:
        most -= len(chunk)
        if most < 0:
            raise Breach("the far host feeds a script more than it takes")
        yield chunk


def _entries(tar: ItemReader, rules: Rules) -> Iterator[tuple[bytes, Iterator[bytes], int]]:
    for item in admitted(tar, rules):
        yield item_header(item, item.path, item.link), tar.data(), item.size


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _lines(file: IO[bytes]) -> list[str]:
    return [line.decode().strip() for line in file]


def _codec(name: str) -> Codec:
    return Codec("" if name == "none" else name)


def _free(path: Path) -> int:
    """Bytes that may still be written at `path`, whether it exists yet or not."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return max(shutil.disk_usage(path).free - RESERVE, 0)
    except OSError as exc:
        raise RemoteError(f"the disk of {path} cannot be looked at: {exc.strerror}") from exc
