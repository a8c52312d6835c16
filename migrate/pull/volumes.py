"""Volumes of a bottle that is pulled: filled from tars of our own making, in the place of those that came."""

from collections.abc import Iterator
from dataclasses import replace

from bottle.files import tree
from bottle.tar.items import ItemReader, item_header, write_tar
from bottle.tar.rules import Rules, admitted
from migrate.admission.arrived_state import alone, staged, within
from migrate.admission.tar_rules import volume_rules
from migrate.host.arguments import Digest
from migrate.host.commands import Volume
from migrate.host.script import ScriptStatus
from migrate.model import Codec, Reply
from migrate.pull.site import Site
from migrate.tar.compression import decompress

_COMPOSED = Digest(".composed")  # no name of a blob


def fill(site: Site, script: Volume, silence: float) -> Reply:
    """Run volume.sh on what may be in the tar that came, which may be anything."""
    folder = site.blobs / _COMPOSED
    plain = within(decompress(staged(site.blobs, script.blob), script.codec), min(site.room(), site.docker_room()))
    try:
        with alone(site.staging):
            tree.discard(folder)
            folder.mkdir(mode=0o700)
            with (folder / "0").open("xb") as file:
                for piece in write_tar(_entries(ItemReader(plain), volume_rules(script.volume, script.target))):
                    file.write(piece)
        return site.run(replace(script, blob=_COMPOSED, codec=Codec.NONE), silence=silence)
    except OSError as exc:
        return Reply(status=ScriptStatus.UNPACKING_FAILED, err=f"cannot unpack volume {script.volume}: {exc.strerror}")
    finally:
        tree.discard(folder)


def _entries(tar: ItemReader, rules: Rules) -> Iterator[tuple[bytes, Iterator[bytes], int]]:
    for item in admitted(tar, rules):
        yield item_header(item, item.path, item.link), tar.data(), item.size
