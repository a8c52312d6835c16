"""What is asked about the images of another host, and what becomes of the answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bottle.layers import KnownBlob
from bottle.model import Store
from migrate.host.commands import MOST_NAMED
from migrate.host.layers import ask_images, known_to_text, parse_known, worth_naming
from migrate.transport.testing import LocalRemote

# As docker does it: the newest first, an image as often as it has tags, and inspected in the order that is asked for.
DOCKER = """\
#!/bin/sh
case $2 in
ls) cut -d' ' -f1 "$0.images"; cut -d' ' -f1 "$0.images" ;;
inspect) shift 4; for each; do grep "^$each " "$0.images"; done ;;
esac
"""
BASE, OTHER, MINE = (f"sha256:{letter * 64}" for letter in "abc")


@dataclass(frozen=True)
class Host:
    docker: str
    sudo: bool = False
    store: Store = Store.CLASSIC
    docker_root: str = "/nowhere"


def host(programs: Path, *images: list[str] | None) -> Any:
    """A host with images of these layers; the last one is inspected fast."""
    docker = programs / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    lines = (f"sha256:{number} {json.dumps(layers, separators=(',', ':'))}\n" for number, layers in enumerate(images))
    (programs / "docker.images").write_text("".join(lines))
    return cast("Any", Host(str(docker)))


def test_every_image_is_told_once(remote: LocalRemote, programs: Path) -> None:
    found = ask_images(remote, host(programs, *[[BASE, OTHER]] * 3), [BASE]).chains
    assert found == {f"sha256:{number}": (BASE, OTHER) for number in range(3)}


def test_no_image_is_no_answer(remote: LocalRemote, programs: Path) -> None:
    assert ask_images(remote, host(programs), [BASE]).chains == {}
    assert ask_images(remote, host(programs, None, []), [BASE]).chains == {}


def test_images_that_share_no_layer_are_left_out(remote: LocalRemote, programs: Path) -> None:
    there = host(programs, [OTHER], [OTHER, MINE], [BASE], None, [BASE, OTHER], [OTHER, "sha256:" + "d" * 64])
    assert ask_images(remote, there, [BASE, MINE]).chains == {
        "sha256:1": (OTHER, MINE),
        "sha256:2": (BASE,),
        "sha256:4": (BASE, OTHER),
    }
    assert ask_images(remote, there, []).chains == {}


def test_of_more_images_than_fit_the_newest_are_told(remote: LocalRemote, programs: Path) -> None:
    layers = [f"sha256:{number:064}" for number in range(300)]
    there = host(programs, *[layers] * 300)
    (programs / "docker").write_text(DOCKER.replace('for each; do grep "^$each " "$0.images"; done', 'cat "$0.images"'))
    found = ask_images(remote, there, layers[-1:]).chains
    assert 100 < len(found) < 300
    assert list(found) == [f"sha256:{number}" for number in range(len(found))]
    assert set(found.values()) == {tuple(layers)}


def test_what_is_worth_naming_is_layers_each_once_and_not_without_end() -> None:
    assert worth_naming((BASE, OTHER), (BASE, MINE, "x\n", "")) == (BASE, OTHER, MINE)
    many = tuple(f"sha256:{number:064}" for number in range(MOST_NAMED))
    assert worth_naming((BASE,), many) == (BASE, *many[:-1])


def test_what_is_known_is_told_as_it_is_read() -> None:
    blobs = {layer: KnownBlob(digest=f"sha256:{layer[-1] * 63}0", size=7, media_type="x") for layer in (OTHER, BASE)}
    assert parse_known(known_to_text(blobs)) == blobs
    assert parse_known(known_to_text({})) == {}
