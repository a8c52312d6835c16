"""How often the search for credentials cries wolf, and whether it finds them: `python -m benchmarks.credentials`.

Installs 150 popular packages and looks for credentials in each: nothing in them is one. Then plants sixty in those very
trees, one at a time: in the test keys and programs of packages, beside them, in byte code, and where logins are kept.
Needs Docker, pip, npm and their registries; ends with 1 if one thing was reported that should not be, or not found.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benchmarks.packages import Installed, install
from benchmarks.plants import VALUE, Plant, plants
from migrate.secrets.patterns import Finder
from migrate.secrets.scan import Find, Scan, ScannedEntry

_FINDER = Finder({"SECRET": VALUE})
_HOMES = ("/root", "/home/agent", "")  # the last is the folder of a package
_SUFFIXES = (".py", ".js", ".pem", ".go", ".pm", ".h", ".md", ".json", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """An installed package, and what is in it. `alike` is what looks like a credential and is none."""

    package: Installed
    files: tuple[str, ...]
    alike: tuple[str, ...]
    refused: tuple[Find, ...]

    def __str__(self) -> str:
        alike = len(self.alike) or ""
        row = f"{self.package.manager:8}{self.package.name:30}{len(self.files):8}{alike:8}{len(self.refused):8}"
        return "\n".join((row, *(f"    {find}" for find in self.refused)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A plant in a tree: which file has it and how, and what was reported of that tree."""

    plant: Plant
    package: Installed
    path: str
    how: str
    finds: tuple[Find, ...]

    @property
    def found(self) -> bool:
        """Whether it was reported, and nothing else was."""
        return [find.path for find in self.finds] == [self.path]

    def __str__(self) -> str:
        verdict = "found" if self.found else "MISSED"
        return f"{verdict:8}{self.plant.name:54}{self.how:30}{self.package.name}:{self.path}"


def entries(root: Path, instead: Mapping[str, bytes] | None = None) -> Iterator[ScannedEntry]:
    """The files below `root` by their paths from there, some with other content, and further ones."""
    left = dict(instead or {})
    for folder, _, names in os.walk(root):
        for name in names:
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink():
                path = f"/{file.relative_to(root)}"
                data = left.pop(path, None)
                data = file.read_bytes() if data is None else data
                yield ScannedEntry(path=path, size=len(data), data=(data,))
    for path, data in left.items():
        yield ScannedEntry(path=path, size=len(data), data=(data,))


def look(package: Installed) -> Tree:
    """What the search makes of a package."""
    files: list[str] = []
    alike: list[str] = []

    def passing() -> Iterator[ScannedEntry]:
        for entry in entries(package.root):
            files.append(entry.path)
            if entry.data is not None and _FINDER.find(entry.data):
                alike.append(entry.path)
            yield entry

    scan = Scan(_FINDER)
    scan.layer(passing())
    return Tree(package=package, files=tuple(files), alike=tuple(alike), refused=scan.finds())


def plant_all(trees: Sequence[Tree]) -> Iterator[Planted]:
    """Each plant in one of the trees, in those first that hold what looks like one; the ways take turns."""
    of_all = sorted(trees, key=lambda tree: -len(tree.alike))
    others = [tree for tree in of_all[15:] if 50 < len(tree.files) < 5000]
    soil = cycle((*of_all[:15], *others[:16]))  # as many as no way of planting divides
    ways, homes = cycle((_edited, _program, _beside, _byte_code)), cycle(_HOMES)
    for plant in plants():
        tree = next(soil)
        if plant.path:
            how, path = "by its name", f"{next(homes) or _folder(tree)}/{plant.path}"
            text = plant.text
        else:
            how, path, text = next(ways)(tree, plant)
        scan = Scan(_FINDER)
        scan.layer(entries(tree.package.root, {path: text}))
        yield Planted(plant=plant, package=tree.package, path=path, how=how, finds=scan.finds())


def _edited(tree: Tree, plant: Plant) -> tuple[str, str, bytes]:
    """Where a package has a key of its own, behind it; else in a program."""
    if not tree.alike:
        return _program(tree, plant)
    path = next((path for path in tree.alike if not path.endswith(".pyc")), tree.alike[0])
    return "behind a package's own key", path, _read(tree, path) + b"\n" + plant.text


def _program(tree: Tree, plant: Plant) -> tuple[str, str, bytes]:
    path = next((path for path in tree.files if path.endswith(_SUFFIXES) and path not in tree.alike), tree.files[0])
    return "in a package's file", path, plant.text + _read(tree, path)


def _beside(tree: Tree, plant: Plant) -> tuple[str, str, bytes]:
    return "beside a package's files", f"{_folder(tree)}/planted.pem", plant.text


def _byte_code(tree: Tree, plant: Plant) -> tuple[str, str, bytes]:
    """In what claims to be compiled from a package's program; where there is none, in place of a file."""
    path = next((path for path in (*tree.alike, *tree.files) if path.endswith(".pyc")), None)
    if path is None:
        path = (tree.alike or tree.files)[-1]
        return "in place of a package's file", path, plant.text
    return "in byte code", path, _read(tree, path) + plant.text


def _folder(tree: Tree) -> str:
    return (tree.alike or tree.files)[0].rpartition("/")[0]


def _read(tree: Tree, path: str) -> bytes:
    return (tree.package.root / path.removeprefix("/")).read_bytes()


def main() -> None:
    """Measure, and print a line for each package and each plant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bottle-bench-") as name:
        sys.stdout.write(f"{'':8}{'package':30}{'files':>8}{'alike':>8}{'refused':>8}\n")
        trees = []
        for package in install(Path(name)):
            trees.append(look(package))
            sys.stdout.write(f"{trees[-1]}\n")
            sys.stdout.flush()
        planted = tuple(plant_all(trees))
    sys.stdout.write("".join(f"{each}\n" for each in planted))
    refused, found = [tree for tree in trees if tree.refused], [each for each in planted if each.found]
    sys.stdout.write(
        f"{len(trees)} packages, {sum(bool(tree.alike) for tree in trees)} with what looks like a credential:"
        f" {len(refused)} refused; {len(found)} of {len(planted)} planted credentials found;"
        f" {time.monotonic() - began:.0f} s\n"
    )
    sys.exit(1 if refused or len(found) < len(planted) else 0)


if __name__ == "__main__":
    main()
