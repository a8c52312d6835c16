"""Whether the documents of a bundle say the same of its bottle as its manifest does. Pure."""

from collections.abc import Iterable

from bottle.model import CommitRecord, Metadata, MountKind
from migrate.admission.grant import odd
from migrate.bundle.format import BundleManifest, MemberKind, VolumePlace, refusal


def require_consistent(metadata: Metadata, commits: Iterable[CommitRecord], manifest: BundleManifest) -> None:
    """Refuse what no `bottle start` could have made, or what is not this bundle's.

    Raises VerificationFailed, or BackendUnsupported.
    """
    if metadata.identity != manifest.identity:
        raise refusal(f"it says that it is {manifest.identity}, and its metadata that it is {metadata.identity}")
    if wrong := odd(metadata, commits, verb="import"):
        raise refusal(wrong)
    declared = {member.place for member in manifest.of(MemberKind.VOLUME)}
    mounted = {
        VolumePlace(volume=mount.source, target=mount.target)
        for mount in metadata.agent.volumes
        if mount.kind is MountKind.VOLUME
    }
    if declared != mounted:
        raise refusal("its volumes are not those that its metadata names")


def require_held(commits: Iterable[CommitRecord], manifest: BundleManifest) -> None:
    """Refuse a history without the commit that the bundle holds, as its manifest says. Raises VerificationFailed."""
    held = [commit for commit in commits if commit.number == manifest.commit.number]
    if len(held) != 1 or (held[0].diff_ids, held[0].config_digest) != (
        manifest.commit.diff_ids,
        manifest.commit.config_digest,
    ):
        raise refusal(f"its history does not have commit {manifest.commit.number} as its manifest says")
