"""The last look before a bottle that is pulled is here, and what is written anew of its state."""

from dataclasses import replace

from bottle.errors import BottleError, NameTaken, VerificationFailed
from bottle.files import tree
from bottle.model import CommitRecord, Metadata
from bottle.store.home import StateHome
from bottle.store.state import BottleState
from bottle.text import printable
from migrate.admission.arrived_state import WRITTEN_HERE, ArrivedState, is_kept, reopen_requests
from migrate.admission.grant import grant, history_here, rebuilt_from
from migrate.host.arguments import FolderKind
from migrate.host.commands import Register
from migrate.pull.folders import StagedFolders
from migrate.pull.receiver import Breach
from migrate.pull.site import SHOWN, Site


def prepare(site: Site, folders: StagedFolders, script: Register) -> None:
    """Let state, place and image fit together, and let the state say what it may here.

    Raises Breach, or VerificationFailed.
    """
    approved = folders.approved(script.nonce)
    if approved is None:
        raise Breach("the far host hands over a bottle whose state was not looked at")
    _require_place(folders, script, approved.metadata)
    _require_image(site, approved.commit)
    staged = BottleState(site.identity, site.staging / FolderKind.STATE.folder(script.nonce))
    _take_over(site, staged, approved)


def _require_place(folders: StagedFolders, script: Register, metadata: Metadata) -> None:
    came = folders.holds(FolderKind.WORKSPACE.folder(script.nonce))
    if str(metadata.mounted or "") != script.workspace or (script.workspace and not came):
        raise VerificationFailed(
            f"the bottle would use {str(metadata.mounted)[:200]!r} here, and its workspace is not what lands there",
            left="nothing was put into place",
        )


def _require_image(site: Site, commit: CommitRecord) -> None:
    image = site.engine.image(commit.tag)
    if image is None or (image.diff_ids, image.config_digest) != (commit.diff_ids, commit.config_digest):
        raise VerificationFailed(
            f"the image {commit.tag} here is not the one that the bottle's history names",
            left="nothing was put into place",
            next_step="the same command again",
        )


def _take_over(site: Site, state: BottleState, arrived: ArrivedState) -> None:
    """Write anew what the state says, without what is for this host to say, and leave out what means nothing."""
    for path in state.path.iterdir():
        if path.name not in WRITTEN_HERE and not is_kept(path.name):
            tree.remove(path)
    reopen_requests(state)
    granted = grant(arrived.metadata, site.state.path, rebuild=arrived.rebuild)
    state.write_metadata(_named_here(site, granted.metadata))
    state.write_commits(history_here(arrived.commits, site.identity, _before(site)))
    state.write_committed_image(arrived.commit.tag)
    for each in granted.refused:
        site.progress.note(f"not taken over: {printable(each, SHOWN)}")
    rebuilt = rebuilt_from(granted.metadata.agent, dockerfile=arrived.dockerfile, rebuild=arrived.rebuild)
    for each in rebuilt:
        site.progress.note(f"its agent has: {printable(each, SHOWN)}")


def _named_here(site: Site, metadata: Metadata) -> Metadata:
    """The metadata without a second name that means another bottle here."""
    if metadata.name is None:
        return metadata
    try:
        StateHome(site.terms.bottle_home).require_free(metadata.name, but=metadata.identity)
    except NameTaken as exc:
        site.progress.note(f"{metadata.identity} has no second name any more: {exc.what}")
        return replace(metadata, name=None)
    return metadata


def _before(site: Site) -> tuple[CommitRecord, ...]:
    """The history that this host wrote before the bottle moved away."""
    try:
        return site.state.commits()
    except BottleError as exc:
        site.progress.note(f"of which containers its commits were made is not known: {exc.what}")
        return ()
