"""Workspace, state and volumes of a bottle that is pulled, unpacked here, or composed anew, from tars of anybody's."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from bottle.errors import NeedsConsent, VerificationFailed
from bottle.files import tree
from bottle.tar.chunks import CHUNK
from bottle.tar.items import ItemReader, item_header, write_tar
from bottle.tar.rules import Rules, admitted
from bottle.text import printable
from migrate.admission.arrived_state import (
    ArrivedState,
    Unpacked,
    alone,
    links_to_here,
    read_state,
    remove_unpacked,
    staged,
    unpack_folder,
    within,
)
from migrate.admission.arrived_update import Instructions, bring_up_to_date, without
from migrate.admission.grant import grant
from migrate.admission.tar_rules import volume_rules
from migrate.contents.live_folder import few_paths
from migrate.contents.outside import few
from migrate.host.arguments import Digest, FolderKind
from migrate.host.commands import Extract, Seed, Update, Verify, Volume
from migrate.host.script import ScriptStatus
from migrate.model import Codec, Reply
from migrate.pull.receiver import Breach
from migrate.pull.site import SHOWN, Site
from migrate.tar.compression import decompress

_COMPOSED = Digest(".composed")  # no name of a blob


class StagedFolders:
    """What is unpacked from the staging area. `agreed` is what the user lets the bottle have here."""

    def __init__(self, site: Site, agreed: frozenset[str]) -> None:
        self._site = site
        self._agreed = agreed
        self._files: dict[str, frozenset[str]] = {}  # of each folder, by its name
        self._approved: dict[str, ArrivedState] = {}  # by nonce

    def holds(self, folder: str) -> bool:
        """Whether it was unpacked here."""
        return folder in self._files

    def approved(self, nonce: str) -> ArrivedState | None:
        """The state that came for the move called `nonce`, if it was looked at."""
        return self._approved.get(nonce)

    def perform(self, script: Extract | Seed | Update | Volume, stdin: IO[bytes], silence: float) -> Reply:
        """What a script does that fills a folder or a volume. Raises Breach, VerificationFailed or NeedsConsent."""
        match script:
            case Extract():
                return self._extract(script)
            case Seed():
                return self._seed(script, stdin, silence)
            case Update():
                return self._update(script, stdin)
            case Volume():
                return self._fill(script, silence)

    def _extract(self, script: Extract) -> Reply:
        """What extract.sh does, but for a tar that may be anything."""
        staging, kind = self._site.staging, script.kind
        folder = staging / kind.folder(script.nonce)
        self._approved.pop(script.nonce, None)
        try:
            with alone(staging):
                remove_unpacked(staging, kind)
                came = unpack_folder(
                    self._tar(script.blob, script.codec),
                    folder,
                    owners=kind is FolderKind.WORKSPACE and os.geteuid() == 0,
                    links=kind is FolderKind.WORKSPACE,
                    room=self._site.room(),
                )
                self._files[folder.name] = came.files
                if kind is FolderKind.WORKSPACE:
                    self._require_inside(folder)
                self._tell_unset(came)
        except OSError as exc:
            return _not_unpacked(f"unpack {kind}", exc)
        if kind is FolderKind.STATE:
            self._approved[script.nonce] = self._approve(folder)
        return Reply(status=ScriptStatus.DONE)

    def _seed(self, script: Seed, stdin: IO[bytes], silence: float) -> Reply:
        """Run seed.sh. What it begins with is this host's own, as it was when it travelled to where it comes from."""
        if script.workspace != self._site.terms.left:
            raise Breach(
                f"the far host would begin with {script.workspace[:SHOWN]!r}, which the bottle never left here"
            )
        folder = self._site.staging / FolderKind.WORKSPACE.folder(script.nonce)
        self._files.pop(folder.name, None)
        reply = self._site.run(script, iter(partial(stdin.read, CHUNK), b""), silence=silence)
        if reply.status == ScriptStatus.DONE:
            self._files[folder.name] = frozenset(node.path for node in tree.walk(folder) if node.is_file)
            self._require_inside(folder)
        return reply

    def _update(self, script: Update, stdin: IO[bytes]) -> Reply:
        """What update.sh does, but for a tar and a list that may be anything."""
        name, staging, owners = script.folder, self._site.staging, os.geteuid() == 0
        if not self.holds(name):
            raise Breach("the far host brings up to date what it has not sent")
        instructions = Instructions.parse(stdin)
        fresh = staging / name.replace("workspace-", "update-")
        try:
            with alone(staging):
                remove_unpacked(staging, "update")
                tar = self._tar(script.blob, script.codec)
                came = unpack_folder(tar, fresh, owners=owners, links=True, room=self._site.room())
                bring_up_to_date(staging / name, fresh, instructions, named=came.folders, owners=owners)
                self._tell_unset(came)
                remove_unpacked(staging, "update")
                self._require_inside(staging / name)
        except OSError as exc:
            return _not_unpacked(f"bring {name} up to date", exc)
        self._files[name] = without(self._files[name], instructions.removed) | came.files
        return Reply(status=ScriptStatus.DONE)

    def _fill(self, script: Volume, silence: float) -> Reply:
        """Run volume.sh on a tar of our own making, of what may be in the one that came."""
        site, folder = self._site, self._site.blobs / _COMPOSED
        plain = within(self._tar(script.blob, script.codec), min(site.room(), site.docker_room()))
        try:
            with alone(site.staging):
                tree.discard(folder)
                folder.mkdir(mode=0o700)
                with (folder / "0").open("xb") as file:
                    for piece in write_tar(_entries(ItemReader(plain), volume_rules(script.volume, script.target))):
                        file.write(piece)
            return site.run(replace(script, blob=_COMPOSED, codec=Codec.NONE), silence=silence)
        except OSError as exc:
            return _not_unpacked(f"unpack volume {script.volume}", exc)
        finally:
            tree.discard(folder)

    def require_sent(self, script: Verify, stdin: IO[bytes]) -> None:
        """Only files that were unpacked here are hashed: no link is followed, nothing outside is asked about."""
        sent = self._files.get(script.folder, frozenset())
        for line in stdin:
            if os.fsdecode(line[len("0" * 64 + "  ./") :].rstrip(b"\n")) not in sent:
                raise Breach("the far host asks for a file that it has not sent to be checked")
        stdin.seek(0)

    def _tar(self, blob: str, codec: Codec) -> Iterator[bytes]:
        return decompress(staged(self._site.blobs, blob), codec)

    def _require_inside(self, workspace: Path) -> None:
        """Let no link of a workspace lead to what is on this host, unless that was agreed to. Raises NeedsConsent."""
        if self._site.terms.consent:
            return
        if links := links_to_here(workspace, self._site.policy.workspaces):
            shown = "; ".join(printable(each, SHOWN) for each in few(links))
            raise NeedsConsent(
                f"the workspace of {self._site.identity} has links that would lead to what is here: {shown}",
                left="nothing was put into place",
                next_step="if they may: the same command with --yes",
            )

    def _tell_unset(self, came: Unpacked) -> None:
        if came.unset:
            self._site.progress.note(f"WARNING: set-id bits were taken away: {few_paths(came.unset)}")

    def _approve(self, folder: Path) -> ArrivedState:
        """Look at the state that came: it may ask for no more than the user has agreed to."""
        arrived = read_state(folder, self._site.identity)
        more = set(grant(arrived.metadata, folder, rebuild=arrived.rebuild).demands) - self._agreed
        if more:
            raise VerificationFailed(
                f"nobody agreed to what the bottle would be given here: {printable('; '.join(sorted(more)), SHOWN)}",
                left="nothing was put into place",
                next_step="the same command again, which asks",
            )
        return arrived


def _not_unpacked(what: str, exc: OSError) -> Reply:
    return Reply(status=ScriptStatus.UNPACKING_FAILED, err=f"cannot {what}: {exc.strerror}")


def _entries(tar: ItemReader, rules: Rules) -> Iterator[tuple[bytes, Iterator[bytes], int]]:
    for item in admitted(tar, rules):
        yield item_header(item, item.path, item.link), tar.data(), item.size
