"""The end of a move: load and prove the image there, put everything into place, and only then let go here.

Who owns the bottle is never in doubt. Until the far state folder has its name, this host does. From then on the far one
does: its folder bears the move's nonce. In between, `migration.json` here says "handing off", and whoever wants to
resume here asks the far host first, which takes back what has not arrived: it cannot arrive afterwards.
"""

import json
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bottle.errors import RemoteError, VerificationFailed
from bottle.facts import image_facts
from bottle.model import CommitRecord, ImageFacts, MigrationPhase, MigrationRecord, Mount, Tombstone
from bottle.naming import Identity
from bottle.operations import Context
from bottle.operations.holdings import what_travels
from bottle.ports import Progress
from bottle.state import BottleState
from bottle.text import printable
from migrate.index import Delta
from migrate.late import edited_here
from migrate.livefolder import Update
from migrate.model import HostFacts, Reply
from migrate.parcels import Parcel
from migrate.ports import Remote
from migrate.preflight import require_done
from migrate.scripts import plain, with_docker
from migrate.transfer import Cargo, Shipment

_HOUR = 3600.0
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")
_OURS = "this host still owns the bottle; what is staged there is used by the next run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The far side of one move: who, where, with what."""

    remote: Remote
    host: HostFacts
    identity: Identity
    shipment: Shipment
    progress: Progress

    def load(self, order: Sequence[Cargo]) -> None:
        """Feed the staged and checked archive to the engine there."""
        lines = "".join(f"{cargo.digest}\n" for cargo in order).encode()
        with self.progress.phase(f"loading the image on {self.remote.name}"):
            self._done("loading the image", "load", stdin=lines)

    def verify_image(self, commit: CommitRecord, tag: str) -> None:
        """Prove that the image called `tag` there is the one that was committed, and that it makes a container.

        Raises VerificationFailed.
        """
        name = f"bottle-verify-{secrets.token_hex(6)}"
        with self.progress.phase(f"verifying the image on {self.remote.name}"):
            reply = self._done("looking at the image", "inspect", tag, name)
        try:
            diff_ids, config_digest = _described(json.loads(reply.out)[0])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise RemoteError(
                f"{self.remote.name} describes the image in a way that makes no sense", left=_OURS
            ) from exc
        if diff_ids != commit.diff_ids or config_digest != commit.config_digest:
            what = "layers" if diff_ids != commit.diff_ids else "config"
            raise VerificationFailed(
                f"the image on {self.remote.name} is not the one that was committed: its {what} differ",
                left=_OURS,
                next_step=f"look at Docker there: bottle doctor {self.remote.name}",
            )

    def unpack(self, parcel: Parcel, kind: str, nonce: str) -> None:
        """Unpack a staged parcel into a folder of this very move in the staging area, and check it file by file."""
        digest = parcel.blob.digest.removeprefix("sha256:")
        codec = parcel.blob.codec.value or "none"
        with self.progress.phase(f"unpacking the {kind} on {self.remote.name}"):
            self._plain(f"unpacking the {kind}", "extract", digest, codec, kind, nonce)
            counts = (str(parcel.files), str(parcel.links), str(parcel.folders))
            self._plain(f"checking the {kind}", "verify", f"{kind}-{nonce}", *counts, stdin=parcel.sums)

    def update(self, update: Update, kind: str, nonce: str) -> None:
        """Bring what was unpacked up to date by a staged parcel, and check it: what is new by its content."""
        parcel, folder = update.parcel, f"{kind}-{nonce}"
        digest, codec = parcel.blob.digest.removeprefix("sha256:"), parcel.blob.codec.value or "none"
        with self.progress.phase(f"bringing the {kind} on {self.remote.name} up to date"):
            doing = f"bringing the {kind} up to date"
            self._plain(doing, "update", digest, codec, folder, stdin=update_lines(update.delta))
            self._plain(f"checking the {kind}", "verify", folder, *map(str, update.counts), stdin=parcel.sums)

    def fill(self, volume: Mount, parcel: Parcel, tag: str) -> None:
        """Make a volume there and fill it from its parcel."""
        digest = parcel.blob.digest.removeprefix("sha256:")
        with self.progress.phase(f"filling volume {volume.source} on {self.remote.name}"):
            self._done(
                f"filling volume {volume.source}",
                "volume",
                str(self.identity),
                digest,
                parcel.blob.codec.value or "none",
                volume.source,
                posixpath.normpath(volume.target),
                tag,
                f"bottle-fill-{secrets.token_hex(6)}",
                str(parcel.entries),
                str(parcel.breaks),
                parcel.content,
                bare=True,
            )

    def register(self, nonce: str, workspace: str | None) -> None:
        """Put everything into place; when this returns, the far host owns the bottle."""
        reply = self._run(plain("register", str(self.identity), nonce, workspace or ""))
        require_done(self.remote, reply, "putting the bottle into place")

    def resume(self) -> str:
        """Have the far bottle start what has arrived; what it says of it. Raises RemoteError."""
        with self.progress.phase(f"resuming on {self.remote.name}"):
            reply = self._run(plain("resume", str(self.identity)))
        if reply.status != 0:
            raise RemoteError(
                f"{self.identity} arrived on {self.remote.name}; `bottle resume` failed there: {reply.err.strip()}",
                left=f"{self.remote.name} owns the bottle",
                next_step=f"there: bottle resume {self.identity}",
            )
        return printable(reply.out.decode("utf-8", "replace").strip().partition("\n")[0], 300)

    def tag(self, image: str, tag: str) -> None:
        """Give an image that is there already its tag."""
        self._done("tagging the image", "tag", image, tag, bare=True)

    def unload(self, tag: str) -> None:
        """Take away the tag of an image that failed its proof: the containerd store keeps it after a failed load."""
        self._run(with_docker("unload", self.host, tag))

    def clear(self) -> None:
        """Take the staging away."""
        require_done(self.remote, self._run(plain("clear", str(self.identity))), "clearing the staging")

    def _plain(self, doing: str, script: str, *args: str, stdin: bytes = b"") -> Reply:
        return _checked(self.remote, self._run(plain(script, str(self.identity), *args), stdin), doing)

    def _done(self, doing: str, script: str, *args: str, stdin: bytes = b"", bare: bool = False) -> Reply:
        first = () if bare or script == "inspect" else (str(self.identity),)
        return _checked(self.remote, self._run(with_docker(script, self.host, *first, *args), stdin), doing)

    def _run(self, command: object, stdin: bytes = b"") -> Reply:
        return self.shipment.retried(lambda: self.remote.run(command, (stdin,), silence=_HOUR))  # type: ignore[arg-type]


def shown(image: ImageFacts | None) -> bytes:
    """How a host that pulls describes an image, of which it shows no more than `verify_image` looks at."""
    facts = {"diff_ids": image.diff_ids, "config_digest": image.config_digest} if image is not None else {}
    return json.dumps([facts]).encode()


def _described(document: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The layers and the config's digest in what an engine says of an image, or in what `shown` does of it."""
    if "Id" not in document:
        return tuple(document["diff_ids"]), str(document["config_digest"])
    image = image_facts(document)
    return image.diff_ids, image.config_digest


def update_lines(delta: Delta) -> bytes:
    """What `update.sh` reads: the folders to be opened, and what goes first."""
    opened = (b"+" + _as_printf_reads(path) for path in delta.closed)
    removed = (b"-" + _as_printf_reads(path) for path in delta.removed)
    return b"".join(line + b"\n" for line in (*opened, *removed))


def _as_printf_reads(path: str) -> bytes:
    """A path, in one line, that `printf %b` makes of it again (POSIX, printf, "Extended description")."""
    raw = path.encode("utf-8", "surrogateescape")
    return b"".join(bytes([each]) if each in _PLAIN else b"\\0%03o" % each for each in raw)


def _checked(remote: Remote, reply: Reply, doing: str) -> Reply:
    """Exit status 23 is a script's word for "not what was sent"; everything else is a failure of the host."""
    if reply.status == 23:
        raise VerificationFailed(
            f"{doing} on {remote.name}: {reply.err.strip()}", left=_OURS, next_step="the same command again"
        )
    return require_done(remote, reply, doing)


def let_go(
    context: Context, state: BottleState, host_name: str, commit: int | None, edited: tuple[str, ...] = ()
) -> None:
    """The far host owns the bottle, with this commit: say so here, durably. Until `rm` or `prune` all of it stays.

    `edited` is what is newer here than there.
    """
    record = state.migration()
    account = record.account if record is not None else None
    state.write_tombstone(
        Tombstone(
            host=host_name,
            moved_at=context.now(),
            arrived=what_travels(state, commit),
            account=replace(account, edited=edited) if account is not None else None,
            nonce=record.nonce if record is not None else None,
        )
    )
    state.clear_migration()


def had_arrived(remote: Remote, identity: Identity, nonce: str) -> bool:
    """Ask the far host whether the move called `nonce` has arrived there.

    If it has not, it never will: what was staged for it is withdrawn. Raises RemoteError when the answer is none.
    """
    reply = remote.run(plain("withdraw", str(identity), nonce), silence=_HOUR)
    match require_done(remote, reply, "asking whether the bottle had arrived").out.strip():
        case b"arrived":
            return True
        case b"withdrawn":
            return False
        case _:
            raise RemoteError(f"{remote.name} does not say who owns {identity}", left="nothing was changed")


def settle_handoff(context: Context, state: BottleState, record: MigrationRecord, remote: Remote) -> bool:
    """Ask the far host whether a move that was cut while handing over had arrived; true if so.

    Writes what it learns: the tombstone, with what was edited here meanwhile, or that this host is the owner as before.
    The caller holds the lock.
    """
    if record.phase is not MigrationPhase.HANDING_OFF:
        return False
    if had_arrived(remote, state.identity, record.nonce):
        let_go(context, state, record.host, record.commit, edited_here(context, state, record))
        return True
    state.clear_migration()
    return False
