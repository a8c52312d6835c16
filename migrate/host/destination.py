"""What is done on the far host with what was staged there: load, prove, unpack, put into place."""

import json
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bottle.errors import RemoteError, VerificationFailed
from bottle.facts import image_facts
from bottle.model import CommitRecord, ImageFacts, Mount
from bottle.naming import Identity
from bottle.ports import Progress
from bottle.text import printable
from migrate.contents.archive import Tarball
from migrate.contents.index import Delta
from migrate.contents.live_folder import Update
from migrate.host.commands import plain, with_docker
from migrate.host.payload import Payload
from migrate.host.probe import require_done
from migrate.host.upload import Uploader
from migrate.model import HostFacts, RemoteCommand, Reply
from migrate.ports import Shell

_HOUR = 3600.0
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")
_OURS = "this host still owns the bottle; what is staged there is used by the next run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The far side of one move: who, where, with what. `shell` waits out breaks of the line."""

    shell: Shell
    host: HostFacts
    identity: Identity
    uploader: Uploader
    progress: Progress

    def load(self, order: Sequence[Payload]) -> None:
        """Feed the staged and checked archive to the engine there."""
        lines = "".join(f"{payload.digest}\n" for payload in order).encode()
        with self.progress.phase(f"loading the image on {self.shell.name}"):
            self._done("loading the image", "load", stdin=lines)

    def verify_image(self, commit: CommitRecord, tag: str) -> None:
        """Prove that the image called `tag` there is the one that was committed, and that it makes a container.

        Raises VerificationFailed.
        """
        name = f"bottle-verify-{secrets.token_hex(6)}"
        with self.progress.phase(f"verifying the image on {self.shell.name}"):
            reply = self._done("looking at the image", "inspect", tag, name)
        try:
            diff_ids, config_digest = _described(json.loads(reply.out)[0])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise RemoteError(
                f"{self.shell.name} describes the image in a way that makes no sense", left=_OURS
            ) from exc
        if diff_ids != commit.diff_ids or config_digest != commit.config_digest:
            what = "layers" if diff_ids != commit.diff_ids else "config"
            raise VerificationFailed(
                f"the image on {self.shell.name} is not the one that was committed: its {what} differ",
                left=_OURS,
                next_step=f"look at Docker there: bottle doctor {self.shell.name}",
            )

    def unpack(self, tarball: Tarball, kind: str, nonce: str) -> None:
        """Unpack a staged tarball into a folder of this very move in the staging area, and check it file by file."""
        digest = tarball.blob.digest.removeprefix("sha256:")
        codec = tarball.blob.codec.value or "none"
        with self.progress.phase(f"unpacking the {kind} on {self.shell.name}"):
            self._plain(f"unpacking the {kind}", "extract", digest, codec, kind, nonce)
            counts = (str(tarball.files), str(tarball.links), str(tarball.folders))
            self._plain(f"checking the {kind}", "verify", f"{kind}-{nonce}", *counts, stdin=tarball.sums)

    def update(self, update: Update, kind: str, nonce: str) -> None:
        """Bring what was unpacked up to date by a staged tarball, and check it: what is new by its content."""
        tarball, folder = update.tarball, f"{kind}-{nonce}"
        digest, codec = tarball.blob.digest.removeprefix("sha256:"), tarball.blob.codec.value or "none"
        with self.progress.phase(f"bringing the {kind} on {self.shell.name} up to date"):
            doing = f"bringing the {kind} up to date"
            self._plain(doing, "update", digest, codec, folder, stdin=update_lines(update.delta))
            self._plain(f"checking the {kind}", "verify", folder, *map(str, update.counts), stdin=tarball.sums)

    def fill(self, volume: Mount, tarball: Tarball, tag: str) -> None:
        """Make a volume there and fill it from its tarball."""
        digest = tarball.blob.digest.removeprefix("sha256:")
        with self.progress.phase(f"filling volume {volume.source} on {self.shell.name}"):
            self._done(
                f"filling volume {volume.source}",
                "volume",
                str(self.identity),
                digest,
                tarball.blob.codec.value or "none",
                volume.source,
                posixpath.normpath(volume.target),
                tag,
                f"bottle-fill-{secrets.token_hex(6)}",
                str(tarball.entries),
                str(tarball.breaks),
                tarball.content,
                bare=True,
            )

    def register(self, nonce: str, workspace: str | None) -> None:
        """Put everything into place; when this returns, the far host owns the bottle."""
        reply = self._run(plain("register", str(self.identity), nonce, workspace or ""))
        require_done(self.shell, reply, "putting the bottle into place")

    def resume(self) -> str:
        """Have the far bottle start what has arrived; what it says of it. Raises RemoteError."""
        with self.progress.phase(f"resuming on {self.shell.name}"):
            reply = self._run(plain("resume", str(self.identity)))
        if reply.status != 0:
            raise RemoteError(
                f"{self.identity} arrived on {self.shell.name}; `bottle resume` failed there: {reply.err.strip()}",
                left=f"{self.shell.name} owns the bottle",
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
        require_done(self.shell, self._run(plain("clear", str(self.identity))), "clearing the staging")

    def _plain(self, doing: str, script: str, *args: str, stdin: bytes = b"") -> Reply:
        return _checked(self.shell, self._run(plain(script, str(self.identity), *args), stdin), doing)

    def _done(self, doing: str, script: str, *args: str, stdin: bytes = b"", bare: bool = False) -> Reply:
        first = () if bare or script == "inspect" else (str(self.identity),)
        return _checked(self.shell, self._run(with_docker(script, self.host, *first, *args), stdin), doing)

    def _run(self, command: RemoteCommand, stdin: bytes = b"") -> Reply:
        return self.shell.run(command, (stdin,), silence=_HOUR)


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


def _checked(remote: Shell, reply: Reply, doing: str) -> Reply:
    """Exit status 23 is a script's word for "not what was sent"; everything else is a failure of the host."""
    if reply.status == 23:
        raise VerificationFailed(
            f"{doing} on {remote.name}: {reply.err.strip()}", left=_OURS, next_step="the same command again"
        )
    return require_done(remote, reply, doing)
