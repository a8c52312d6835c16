"""``python -m tests.hosts up|down|image``: a host that stays, for the demo and for trying things by hand."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.hosts.host import DockerHost, remove_hosts
from tests.hosts.image import ensure_host_image


def main() -> int:
    """Answer on stdout with one JSON document; progress and errors go to stderr."""
    options = _parse()
    try:
        return int(options.run(options))
    except DockerException as error:
        sys.stderr.write(f'error: Docker: {error}\n  next: eval "$(scripts/engine env)"\n')
        return 5


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hosts", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up = commands.add_parser("up", help="start a host and leave it running")
    up.add_argument("--name", required=True, help="the container's name and the alias in its ssh_config")
    up.add_argument("--store", choices=("classic", "containerd"), default="classic")
    up.add_argument("--dir", type=Path, required=True, help="where its key, known_hosts and ssh_config go (made 0700)")
    up.add_argument("--load", action="append", default=[], metavar="IMAGE", help="copy this image into it")
    up.add_argument("--wheel", type=Path, help="install bottle from this wheel there")
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="remove a host and what it holds")
    which = down.add_mutually_exclusive_group(required=True)
    which.add_argument("--name")
    which.add_argument("--all", action="store_true", help="every test host, whoever started it")
    down.add_argument("--dir", type=Path, help="remove this folder of keys too")
    down.set_defaults(run=_down)
    image = commands.add_parser("image", help="build the hosts' image if it is missing, and print its name")
    image.set_defaults(run=_image)
    return parser.parse_args()


def _up(options: argparse.Namespace) -> int:
    host = DockerHost(options.store, name=options.name, directory=options.dir.absolute())
    host.start()
    try:
        for name in options.load:
            host.load_image(name)
        if options.wheel:
            host.install_bottle(options.wheel)
    except BaseException:
        host.stop()
        raise
    answer: dict[str, object] = {
        "name": host.name,
        "store": host.store,
        "container": host.container.id,
        "address": host.address,
        "port": host.port,
        "user": "root",
        "key": str(host.key_file),
        "known_hosts": str(host.known_hosts),
        "ssh_config": str(host.ssh_config),
    }
    _answer(answer)
    return 0


def _down(options: argparse.Namespace) -> int:
    client = docker.from_env()
    removed = remove_hosts(client, name=None if options.all else options.name)
    if options.dir:
        shutil.rmtree(options.dir, ignore_errors=True)
    _answer({"removed": removed})
    return 0


def _image(_: argparse.Namespace) -> int:
    _answer({"image": ensure_host_image(docker.from_env())})
    return 0


def _answer(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
