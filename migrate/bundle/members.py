"""The members of a bundle, and where the bytes of each are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bottle.files import tree
from bottle.tar.items import ItemReader, ItemType, item_header, write_tar
from bottle.tar.links import Walk
from migrate.bundle.format import BundleMember, MemberKind, VolumePlace, member_name
from migrate.contents.live_folder import LiveFolder
from migrate.image.spool import DirectorySpool
from migrate.model import Blob, Codec
from migrate.tar.compression import digest_of, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What goes into a bundle, packed; layers are base first, `volumes` by their places, which the agent names."""

    config: bytes
    layers: Sequence[Blob]
    volumes: Mapping[VolumePlace, Blob]
    workspace: Blob | None
    state: Blob

    def blobs(self) -> Iterator[tuple[MemberKind, int, Blob, VolumePlace | None]]:
        """All but the config, in their order, each counted within its kind."""
        for index, blob in enumerate({blob.diff_id: blob for blob in self.layers}.values()):
            yield MemberKind.LAYER, index, blob, None
        for index, (place, blob) in enumerate(self.volumes.items()):
            yield MemberKind.VOLUME, index, blob, place
        if self.workspace is not None:
            yield MemberKind.WORKSPACE, 0, self.workspace, None
        yield MemberKind.STATE, 0, self.state, None


def members_of(packing: Packing) -> tuple[tuple[BundleMember, ...], dict[str, Path | bytes]]:
    """The members in their order, and where the bytes of each are."""
    size, digest = len(packing.config), digest_of(packing.config)
    config = BundleMember(
        name=member_name(MemberKind.CONFIG, 0, Codec.NONE),
        kind=MemberKind.CONFIG,
        codec=Codec.NONE,
        size=size,
        digest=digest,
        plain_size=size,
        plain_digest=digest,
    )
    members = [config]
    sources: dict[str, Path | bytes] = {config.name: packing.config}
    for kind, index, blob, place in packing.blobs():
        member = BundleMember(
            name=member_name(kind, index, blob.codec),
            kind=kind,
            codec=blob.codec,
            size=blob.size,
            digest=blob.digest,
            plain_size=blob.diff_size,
            plain_digest=blob.diff_id,
            place=place,
        )
        members.append(member)
        sources[member.name] = blob.path
    return tuple(members), sources


def links_out(folder: Path) -> dict[str, str]:
    """The links of a folder that point out of it, by path, with their targets. A bundle holds none: import refuses."""
    links = {node.path: node.target() for node in tree.walk(folder, lost=tree.ignore_it) if node.is_symlink}
    walk = Walk(links)
    return {path: target for path, target in sorted(links.items()) if walk.points_out(path)}


def one_tar(live: LiveFolder, spool: DirectorySpool, links: Mapping[str, str]) -> Blob:
    """The tar of a folder as it was in the end, without `links`."""
    if not live.updates and not links:
        return live.tarball.blob
    newest = {path: number for number, tarball in enumerate(live.tarballs) for path in tarball.members}
    with spool.writer() as writer:
        for piece in write_tar(_newest(live, newest, links)):
            writer.write(piece)
        return writer.keep()


def _newest(
    live: LiveFolder, newest: Mapping[str, int], links: Mapping[str, str]
) -> Iterator[tuple[bytes, Iterator[bytes], int]]:
    """Of each path the entry that was packed last, if it is still there."""
    for number, tarball in enumerate(live.tarballs):
        tar = ItemReader(plain(tarball.blob))
        for item in tar.items():
            left_out = item.type is ItemType.SYMLINK and item.path in links
            if newest.get(item.path) == number and item.path in live.members and not left_out:
                yield item_header(item, item.path, item.link), tar.data(), item.size
