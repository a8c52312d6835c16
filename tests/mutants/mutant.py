"""What a mutant is, and how one is tried in a copy of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the unit tests need of the tree.
_COPIED = ("bottle", "migrate", "tests", "docs", "scripts", "benchmarks", "examples", "pyproject.toml", "README.md")
_PATIENCE = 600.0


class Verdict(Enum):
    """What became of one. One that makes the tests hang was noticed."""

    KILLED = "killed"
    LIVES = "LIVES"
    STALE = "stale"
    BROKEN = "tests fail without it"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault: in `file`, `old` stands exactly once and becomes `new`. `tests` are those that should notice."""

    title: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def is_stale(self, root: Path) -> bool:
        """Whether the code is no longer what the fault was written for."""
        path = root / self.file
        return not path.is_file() or path.read_text().count(self.old) != 1

    def put_into(self, root: Path) -> None:
        """Change the copy of the tree at `root`."""
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))

    def take_out_of(self, root: Path) -> None:
        """Have the true file again in the copy at `root`."""
        shutil.copyfile(ROOT / self.file, root / self.file)


def copy_tree(root: Path) -> None:
    """The tree as it is in the working folder, committed or not."""
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, root / name)


def passes(root: Path, tests: tuple[str, ...]) -> bool:
    """Whether these tests pass in the copy at `root`."""
    # Without bytecode: a file that is changed and changed back within a second would be taken from its cache.
    argv = (sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests)
    try:
        done = subprocess.run(
            argv, cwd=root, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def try_out(mutant: Mutant, root: Path) -> Verdict:
    """Try one in the copy at `root`, and leave that as it was."""
    if mutant.is_stale(root):
        return Verdict.STALE
    mutant.put_into(root)
    try:
        noticed = not passes(root, mutant.tests)
    finally:
        mutant.take_out_of(root)
    return Verdict.KILLED if noticed else Verdict.LIVES
