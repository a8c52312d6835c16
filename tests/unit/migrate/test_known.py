"""What is asked about the images of another host, and what becomes of the answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from migrate.known import ask_images
from migrate.testing import LocalRemote

# As docker does it: the newest first, an image as often as it has tags, and inspected in the order that is asked for.
DOCKER = """\
#!/bin/sh
case $2 in
ls) i=0; while [ $i -lt {count} ]; do echo "sha256:$i"; echo "sha256:$i"; i=$((i + 1)); done ;;
inspect) shift 4; for each; do echo "$each {layers}"; done ;;
esac
"""


@dataclass(frozen=True)
class Host:
    docker: str
    sudo: bool = False


def host(programs: Path, count: int, layers: list[str] | None) -> Any:
    docker = programs / "docker"
    docker.write_text(DOCKER.format(count=count, layers=json.dumps(layers, separators=(",", ":")).replace('"', '\\"')))
    docker.chmod(0o755)
    return cast("Any", Host(str(docker)))


def test_every_image_is_told_once(remote: LocalRemote, programs: Path) -> None:
    found = ask_images(remote, host(programs, 3, ["sha256:a", "sha256:b"])).chains
    assert found == {f"sha256:{number}": ("sha256:a", "sha256:b") for number in range(3)}


def test_no_image_is_no_answer(remote: LocalRemote, programs: Path) -> None:
    assert ask_images(remote, host(programs, 0, [])).chains == {}
    assert ask_images(remote, host(programs, 2, None)).chains == {}


def test_of_more_images_than_fit_the_newest_are_told(remote: LocalRemote, programs: Path) -> None:
    layers = [f"sha256:{number:064}" for number in range(30)]
    found = ask_images(remote, host(programs, 3000, layers)).chains
    assert 1000 < len(found) < 3000
    assert list(found) == [f"sha256:{number}" for number in range(len(found))]
    assert set(found.values()) == {tuple(layers)}
