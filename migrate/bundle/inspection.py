"""The first pass over a bundle: everything in it is looked at, and nothing is written anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bottle.errors import StateDamaged, StateTooNew, VerificationFailed
from bottle.model import CapabilityRequest, CommitRecord, Metadata, MountKind
from bottle.ports import Progress
from bottle.requests import request as capability_request
from bottle.store.kept import KEPT, CommitHistory
from bottle.store.state import (
    COMMITS,
    DOCKERFILE,
    HOST_ONLY,
    METADATA,
    REBUILD,
    REQUESTS,
    request_number,
)
from bottle.tar.items import Item, ItemReader, ItemType
from bottle.tar.rules import Rules, admitted
from migrate.admission.arrived_state import TAKEN_OVER, WRITTEN_HERE, is_kept
from migrate.admission.grant import odd
from migrate.admission.image_config import composed, strict
from migrate.admission.tar_rules import LAYER, STATE, WORKSPACE, volume_rules
from migrate.bundle import format as bundle
from migrate.bundle.file import BundleFile
from migrate.bundle.format import BundleManifest, BundleMember, MemberKind, VolumePlace

_DOCUMENTS = frozenset({METADATA, COMMITS})
_SHAPES = {(REBUILD, ItemType.FILE), (REQUESTS, ItemType.FOLDER)}
_MAX_DOCUMENT = 32 << 20
_MAX_REQUEST = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleContents:
    """What a sound bundle says of its bottle. `config` is composed here of what was read, as an engine shall see it.

    `left_out` are names of its state folder that mean nothing here.

    `dockerfile`: it has one of its own. `rebuild`: a resume builds it.
    """

    config: bytes
    metadata: Metadata
    commits: tuple[CommitRecord, ...]
    left_out: tuple[str, ...]
    dockerfile: bool
    rebuild: bool


def inspect_bundle(file: BundleFile, progress: Progress) -> BundleContents:
    """Look at every byte of a bundle. Raises VerificationFailed, StateTooNew or BackendUnsupported."""
    manifest, config = file.manifest, b""
    contents: BundleContents | None = None
    with progress.phase("checking the bundle", sum(member.size for member in manifest.members)):
        for member in manifest.members:
            try:
                match member.kind:
                    case MemberKind.CONFIG:
                        config = composed(b"".join(file.plain(member, progress)))
                        _require_config(config, manifest)
                    case MemberKind.STATE:
                        contents = _read_state(file, member, config, progress)
                    case _:
                        tar = ItemReader(file.plain(member, progress), layer=member.kind is MemberKind.LAYER)
                        for _ in admitted(tar, rules_of(member)):
                            pass
            except VerificationFailed as exc:
                raise exc if exc.left == bundle.LEFT else bundle.refusal(f"{member.name}: {exc.what}") from exc
    assert contents is not None  # the manifest's parser says that a state is there
    _require_consistent(contents.metadata, contents.commits, manifest)
    return contents


def rules_of(member: BundleMember) -> Rules:
    """What a member may hold."""
    match member.kind:
        case MemberKind.VOLUME if member.place is not None:
            return volume_rules(member.place.volume, member.place.target)
        case MemberKind.WORKSPACE:
            return WORKSPACE
        case MemberKind.STATE:
            return STATE
        case _:
            return LAYER


def _read_state(file: BundleFile, member: BundleMember, config: bytes, progress: Progress) -> BundleContents:
    documents: dict[str, bytes] = {}
    unknown: dict[str, None] = {}
    dockerfile = rebuild = False
    requests = 0
    tar = ItemReader(file.plain(member, progress))
    for item in admitted(tar, STATE):
        top = item.path.split("/", 1)[0]
        dockerfile = dockerfile or item.path == DOCKERFILE
        rebuild = rebuild or top == REBUILD
        if top in HOST_ONLY:
            raise bundle.refusal(f"its state holds {top}, which only the host that owns a bottle writes")
        if item.path in _DOCUMENTS and item.type is ItemType.FILE:
            documents[item.path] = tar.whole(_MAX_DOCUMENT)
        elif top == REQUESTS and item.path != REQUESTS:
            requests += _is_request(item, tar)
            if requests > capability_request.MAX_KEPT:
                raise bundle.refusal(f"its state holds more than {capability_request.MAX_KEPT} capability requests")
            if not is_kept(item.path) and not item.path.startswith(f"{REQUESTS}/."):
                unknown[item.path] = None
        elif top in {REBUILD, REQUESTS} and (item.path, item.type) not in _SHAPES:
            raise bundle.refusal(f"its state holds {top}, which is not what is called so")
        elif item.type is ItemType.HARDLINK and is_kept(item.path) and not is_kept(item.link):
            raise bundle.refusal(f"its state holds {item.path[:200]!r}, a hard link to what is not taken over")
        elif top not in TAKEN_OVER | WRITTEN_HERE and not top.startswith("."):
            unknown[top] = None
    metadata, commits = _parse(documents)
    return BundleContents(
        config=config,
        metadata=metadata,
        commits=commits,
        left_out=tuple(unknown),
        dockerfile=dockerfile,
        rebuild=rebuild,
    )


def _is_request(item: Item, tar: ItemReader) -> bool:
    """Whether an entry below `requests` is a capability request, and a sound one: else raises VerificationFailed."""
    number = request_number(item.path.removeprefix(f"{REQUESTS}/"))
    if number is None:
        return False
    if item.type is not ItemType.FILE:
        raise bundle.refusal(f"its state holds {item.path}, which is no file")
    try:
        request = KEPT.load(tar.whole(_MAX_REQUEST), Path(item.path), CapabilityRequest)
        capability_request.require_sound(request, number)
    except StateTooNew:
        raise
    except (StateDamaged, ValueError) as exc:
        raise bundle.refusal(f"its state holds {item.path}, which is no capability request: {exc}") from exc
    return True


def _parse(documents: Mapping[str, bytes]) -> tuple[Metadata, tuple[CommitRecord, ...]]:
    missing = _DOCUMENTS - documents.keys()
    if missing:
        raise bundle.refusal(f"its state lacks {', '.join(sorted(missing))}")
    try:
        metadata = KEPT.load(documents[METADATA], Path(METADATA), Metadata)
        history = KEPT.load(documents[COMMITS], Path(COMMITS), CommitHistory)
    except StateTooNew:
        raise
    except StateDamaged as exc:
        raise bundle.refusal(exc.what) from exc
    return metadata, history.commits


def _require_config(config: bytes, manifest: BundleManifest) -> None:
    """The image's config names the layers that come with it, and the machine that the manifest names."""
    document = strict(config)
    found = (document["architecture"], document["os"], tuple(document["rootfs"]["diff_ids"]))
    if found != (manifest.architecture, manifest.os, manifest.commit.diff_ids):
        raise bundle.refusal("the image's config is that of another image")


def _require_consistent(metadata: Metadata, commits: Sequence[CommitRecord], manifest: BundleManifest) -> None:
    """Refuse what no `bottle start` could have made, what is not this bundle's, or a history without its commit.

    Raises VerificationFailed, or BackendUnsupported.
    """
    if metadata.identity != manifest.identity:
        raise bundle.refusal(f"it says that it is {manifest.identity}, and its metadata that it is {metadata.identity}")
    if wrong := odd(metadata, commits, verb="import"):
        raise bundle.refusal(wrong)
    declared = {member.place for member in manifest.of(MemberKind.VOLUME)}
    mounted = {
        VolumePlace(volume=mount.source, target=mount.target)
        for mount in metadata.agent.volumes
        if mount.kind is MountKind.VOLUME
    }
    if declared != mounted:
        raise bundle.refusal("its volumes are not those that its metadata names")
    held = [commit for commit in commits if commit.number == manifest.commit.number]
    if len(held) != 1 or (held[0].diff_ids, held[0].config_digest) != (
        manifest.commit.diff_ids,
        manifest.commit.config_digest,
    ):
        raise bundle.refusal(f"its history does not have commit {manifest.commit.number} as its manifest says")
