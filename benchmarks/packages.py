"""Popular packages, installed by their own package managers: each into a tree of its own, as it would be in an image.

Debian's are unpacked by dpkg in a container, into a root of their own; PyPI's by pip; npm's with all that they need.
None of their scripts is run on this machine.
"""

import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.hosts.image import BASE_IMAGE, ensure_base_image

NAMES: Mapping[str, Sequence[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
SITE = "usr/local/lib/python3/site-packages"
_APP = "app"
# Below /roots a root of its own for each package, in which dpkg keeps its database as it would in an image's.
_UNPACK = """
    cd /tmp && apt-get -qq update >&2
    for name in "$@"; do
        root=/roots/$name
        mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
        touch "$root/var/lib/dpkg/status"
        apt-get -qq download "$name" >&2
        dpkg --root="$root" --force-all --force-script-chrootless --unpack ./*.deb >&2
        rm ./*.deb
    done
    tar -C /roots -cf - .
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A package and the root that it was installed into."""

    manager: str
    name: str
    root: Path


def install(folder: Path) -> Iterator[Installed]:
    """All of them, each below `folder`."""
    yield from debian(NAMES["debian"], folder / "debian")
    for name in NAMES["pypi"]:
        yield pypi(name, folder / "pypi")
    for name in NAMES["npm"]:
        yield npm(name, folder / "npm")


def debian(names: Sequence[str], folder: Path) -> tuple[Installed, ...]:
    """Packages of Debian, without what they depend on."""
    ensure_base_image(docker.from_env())
    command = ("docker", "run", "--rm", BASE_IMAGE, "sh", "-ec", _UNPACK, "sh", *names)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile():  # links of a root lead where they lead in it
                    archive.extract(member, folder, filter="data")
    assert process.returncode == 0
    return tuple(Installed(manager="debian", name=name, root=folder / name) for name in names)


def pypi(name: str, folder: Path) -> Installed:
    """A package of PyPI, without what it depends on."""
    root = _root(folder, name)
    _run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(root / SITE), name)
    return Installed(manager="pypi", name=name, root=root)


def npm(name: str, folder: Path) -> Installed:
    """A package of npm and all that it depends on."""
    root = _root(folder, name)
    (root / _APP).mkdir()
    (root / _APP / "package.json").write_text("{}")
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional")
    _run("npm", "install", "--prefix", str(root / _APP), *options, name)
    return Installed(manager="npm", name=name, root=root)


def _root(folder: Path, name: str) -> Path:
    root = folder / name.replace("/", "+")
    root.mkdir(parents=True)
    return root


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
