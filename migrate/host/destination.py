"""What is done on the far host with what was staged there: load, prove, unpack, put into place."""

import json
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bottle.errors import ConnectionLost, RemoteError, VerificationFailed
from bottle.facts import image_facts, parse_time
from bottle.model import CommitRecord, ImageFacts, Mount, Store
from bottle.naming import Identity
from bottle.ports import Progress
from bottle.text import printable
from migrate.contents.archive import Tarball
from migrate.contents.index import Delta
from migrate.contents.live_folder import FolderUpdate
from migrate.host import commands
from migrate.host.arguments import (
    CommitTag,
    Count,
    Digest,
    Filler,
    FolderKind,
    ImageId,
    MountPoint,
    Nonce,
    StagedFolder,
    StagedWorkspace,
    Verifier,
    VolumeName,
    Workspace,
)
from migrate.host.ownership import notes_of_what_was_left
from migrate.host.payload import Payload
from migrate.host.probe import require_done
from migrate.host.script import Script, ScriptStatus
from migrate.host.upload import Uploader
from migrate.model import Blob, HostFacts, Reply
from migrate.ports import Shell
from migrate.tar.compression import digest_of

_HOUR = 3600.0
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")
_OURS = "this host still owns the bottle; what is staged there is used by the next run"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedThere:
    """What the far bottle said of its start, and for how many seconds it has run, None where that is not known."""

    said: str
    running: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The far side of one move: who, where, with what. `shell` waits out breaks of the line."""

    shell: Shell
    host: HostFacts
    identity: Identity
    uploader: Uploader
    progress: Progress

    def load(self, order: Sequence[Payload], what: str = "the image") -> None:
        """Feed the staged and checked archive to the engine there; `what` is in it."""
        lines = "".join(f"{payload.digest}\n" for payload in order).encode()
        with self.progress.phase(f"loading {what} on {self.shell.name}"):
            self._done(f"loading {what}", commands.Load(identity=self.identity), lines)

    def verify_image(self, commit: CommitRecord, tag: str, *, config: bytes | None = None) -> None:
        """Prove that the image called `tag` there is the one that was committed, and that it makes a container.

        With `config`, that it has the very same one: the classic store calls an image by that. Raises
        VerificationFailed.
        """
        script = commands.Inspect(tag=CommitTag(tag), container=Verifier(f"bottle-verify-{secrets.token_hex(6)}"))
        with self.progress.phase(f"verifying the image on {self.shell.name}"):
            reply = self._done("looking at the image", script)
        try:
            document = json.loads(reply.out)[0]
            diff_ids, config_digest = _described(document)
            other = config is not None and self.host.store is Store.CLASSIC and document["Id"] != digest_of(config)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise RemoteError(
                f"{self.shell.name} describes the image in a way that makes no sense", left=_OURS
            ) from exc
        if diff_ids != commit.diff_ids or config_digest != commit.config_digest or other:
            what = "layers" if diff_ids != commit.diff_ids else "config"
            raise VerificationFailed(
                f"the image on {self.shell.name} is not the one that was committed: its {what} differ",
                left=_OURS,
                next_step=f"look at Docker there: bottle doctor {self.shell.name}",
            )

    def unpack(self, tarball: Tarball, kind: str, nonce: str) -> None:
        """Unpack a staged tarball into a folder of this very move in the staging area, and check it file by file."""
        extract = commands.Extract(
            identity=self.identity,
            blob=_digest(tarball.blob),
            codec=tarball.blob.codec,
            kind=FolderKind(kind),
            nonce=Nonce(nonce),
        )
        counts = (tarball.files, tarball.links, tarball.folders)
        with self.progress.phase(f"unpacking the {kind} on {self.shell.name}"):
            self._done(f"unpacking the {kind}", extract)
            self._verify(kind, FolderKind(kind).folder(nonce), counts, tarball.sums)

    def seed(self, nonce: str, workspace: str, wanted: bytes) -> bytes | None:
        """Have a workspace there begin as a copy of the one that the bottle left; the lines in which it differs.

        `wanted` is what it is to be (`migrate.contents.basis`). None where that cannot be: somebody has just worked
        there, all differs, or a tool is missing.
        """
        script = commands.Seed(identity=self.identity, nonce=Nonce(nonce), workspace=Workspace(workspace))
        with self.progress.phase(f"comparing the workspace with what it left on {self.shell.name}"):
            reply = self._run(script, wanted)
        if reply.status == ScriptStatus.DONE:
            return reply.out
        self.progress.note(f"the workspace travels whole: {printable(reply.err.strip(), 300)}")
        return None

    def update(self, update: FolderUpdate, kind: str, nonce: str) -> None:
        """Bring what was unpacked up to date by a staged tarball, and check it: what is new by its content."""
        tarball, folder = update.tarball, StagedWorkspace(FolderKind(kind).folder(nonce))
        script = commands.Update(
            identity=self.identity, blob=_digest(tarball.blob), codec=tarball.blob.codec, folder=folder
        )
        with self.progress.phase(f"bringing the {kind} on {self.shell.name} up to date"):
            self._done(f"bringing the {kind} up to date", script, update_lines(update.delta))
            self._verify(kind, folder, update.counts, tarball.sums + update.kept_sums)

    def fill(self, volume: Mount, tarball: Tarball, tag: str) -> None:
        """Make a volume there and fill it from its tarball."""
        script = commands.Volume(
            identity=self.identity,
            blob=_digest(tarball.blob),
            codec=tarball.blob.codec,
            volume=VolumeName(volume.source),
            target=MountPoint(posixpath.normpath(volume.target)),
            tag=CommitTag(tag),
            container=_filler(),
            entries=Count(tarball.entries),
            breaks=Count(tarball.breaks),
            content=Digest(tarball.content),
        )
        with self.progress.phase(f"filling volume {volume.source} on {self.shell.name}"):
            self._done(f"filling volume {volume.source}", script)

    def renew(self, volume: Mount, update: FolderUpdate, tag: str) -> None:
        """Bring a volume that was filled up to date by a staged tarball, and check it: what is new by its content."""
        tarball, (files, links, folders) = update.tarball, map(Count, update.counts)
        script = commands.Renew(
            identity=self.identity,
            blob=_digest(tarball.blob),
            codec=tarball.blob.codec,
            volume=VolumeName(volume.source),
            target=MountPoint(posixpath.normpath(volume.target)),
            tag=CommitTag(tag),
            container=_filler(),
            files=files,
            links=links,
            folders=folders,
        )
        lines = update_lines(replace(update.delta, closed=())) + tarball.sums
        with self.progress.phase(f"bringing volume {volume.source} on {self.shell.name} up to date"):
            self._done(f"bringing volume {volume.source} up to date", script, lines)

    def register(self, nonce: str, workspace: str | None) -> None:
        """Put everything into place; when this returns, the far host owns the bottle."""
        script = commands.Register(identity=self.identity, nonce=Nonce(nonce), workspace=Workspace(workspace or ""))
        reply = require_done(self.shell, self._run(script), "putting the bottle into place")
        for note in notes_of_what_was_left(reply.out, self.shell.name):
            self.progress.note(note)

    def retire(self) -> tuple[str, ...]:
        """Delete the volumes that a copy had before it was brought up to date; those that somebody has come to use."""
        script = commands.Retire(identity=self.identity, container=_filler())
        with self.progress.phase(f"deleting the volumes of before on {self.shell.name}"):
            reply = require_done(self.shell, self._run(script), "deleting the volumes of before")
        lines = reply.out.decode("utf-8", "replace").splitlines()
        return tuple(printable(line.removeprefix("volume="), 300) for line in lines if line.startswith("volume="))

    def resume(self) -> ResumedThere:
        """Have the far bottle start what has arrived. Raises RemoteError."""
        try:
            with self.progress.phase(f"resuming on {self.shell.name}"):
                reply = self._run(commands.Resume(identity=self.identity))
        except ConnectionLost as exc:
            exc.left = f"{self.shell.name} owns the bottle; whether it runs there is not known"
            exc.next_step = f"there: bottle resume {self.identity}"
            raise
        if reply.status != ScriptStatus.DONE:
            raise RemoteError(
                f"{self.identity} arrived on {self.shell.name}; `bottle resume` failed there: {reply.err.strip()}",
                left=f"{self.shell.name} owns the bottle",
                next_step=f"there: bottle resume {self.identity}",
            )
        lines = reply.out.decode("utf-8", "replace").splitlines()
        started, now = map(parse_time, lines[-2:]) if len(lines) > 2 else (None, None)
        running = (now - started).total_seconds() if started is not None and now is not None else None
        return ResumedThere(said=printable(lines[0].strip(), 300) if lines else "", running=running)

    def tag(self, image: str, tag: str) -> None:
        """Give an image that is there already its tag."""
        self._done("tagging the image", commands.Tag(image=ImageId(image), tag=CommitTag(tag)))

    def unload(self, tag: str) -> None:
        """Take away the tag of an image that failed its proof: the containerd store keeps it after a failed load."""
        self._run(commands.Unload(tag=CommitTag(tag)))

    def clear(self) -> None:
        """Take the staging away."""
        require_done(self.shell, self._run(commands.Clear(identity=self.identity)), "clearing the staging")

    def _verify(self, kind: str, folder: StagedFolder, counts: tuple[int, int, int], sums: bytes) -> None:
        files, links, folders = map(Count, counts)
        script = commands.Verify(identity=self.identity, folder=folder, files=files, links=links, folders=folders)
        self._done(f"checking the {kind}", script, sums)

    def _done(self, doing: str, script: Script, stdin: bytes = b"") -> Reply:
        return _checked(self.shell, self._run(script, stdin), doing)

    def _run(self, script: Script, stdin: bytes = b"") -> Reply:
        return self.shell.run(script.command(self.host), (stdin,), silence=_HOUR)


def _filler() -> Filler:
    """A new name of a container through which volumes are filled and looked into."""
    return Filler(f"bottle-fill-{secrets.token_hex(6)}")


def _digest(blob: Blob) -> Digest:
    """What it is staged as."""
    return Digest(blob.digest.removeprefix("sha256:"))


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
    """What is not as it was sent may be sent again; everything else is a failure of the host."""
    if reply.status == ScriptStatus.NOT_AS_SENT:
        raise VerificationFailed(
            f"{doing} on {remote.name}: {reply.err.strip()}", left=_OURS, next_step="the same command again"
        )
    return require_done(remote, reply, doing)
