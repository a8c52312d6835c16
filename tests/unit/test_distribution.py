"""What users install has all that the checkout has, and is built from one that nobody may write."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.distribution import build
from tests.support.users import AS_USER, users_folder

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bottle", "migrate")
# What somebody who works here has beside the sources, and nobody is to be sent.
LEFT = ("bottle/__pycache__/left.cpython-311.pyc", "build/lib/bottle/left.py", "dist/left.whl", ".venv/left.py")
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".tox", ".hypothesis", ".*_cache", "__pycache__")


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    """A copy of this checkout, with what work leaves in one, that its user may not write."""
    with users_folder() as folder:
        copy = folder / "checkout"
        shutil.copytree(ROOT, copy, ignore=_NOT_COPIED)
        for name in LEFT:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).touch()
        subprocess.run(("chmod", "-R", "a-w,a+rX", copy), check=True)
        yield copy


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Iterator[Path]:
    with users_folder() as folder:
        yield build("sdist", checkout, folder, user=AS_USER)


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Iterator[Path]:
    with users_folder() as folder:
        yield build("wheel", checkout, folder, user=AS_USER)


def in_wheel(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def in_checkout(*folders: str) -> set[str]:
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(ROOT)) for path in paths if "__pycache__" not in path.parts}


def test_the_checkout_of_these_tests_cannot_be_written(checkout: Path) -> None:
    tried = subprocess.run((*AS_USER, "touch", checkout / "bottle" / "new"), check=False, capture_output=True)
    assert tried.returncode != 0


def test_the_wheel_has_each_file_of_the_packages_and_no_other(wheel: Path) -> None:
    packed = {name: data for name, data in in_wheel(wheel).items() if ".dist-info/" not in name}
    assert packed == {name: (ROOT / name).read_bytes() for name in in_checkout(*PACKAGES)}


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    files = {name.partition(".dist-info/")[2]: data.decode() for name, data in in_wheel(wheel).items()}
    assert "bottle = bottle.cli.entry:main" in files["entry_points.txt"]
    assert "License-Expression: Apache-2.0" in files["METADATA"]
    assert "Requires-Python: >=3.11" in files["METADATA"]
    extras = re.findall(r"^Provides-Extra: (.*)$", files["METADATA"], flags=re.MULTILINE)
    assert set(extras) == {"dashboard", "mcp", "test", "lint", "dev"}
    assert "licenses/LICENSE" in files


def test_the_sdist_has_what_is_needed_to_build_and_to_test(sdist: Path) -> None:
    folders = (*PACKAGES, "tests", "benchmarks", "scripts", "docs", "examples", ".ci", ".github")
    beside = {"pyproject.toml", "tox.ini", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", "PKG-INFO"}
    assert in_sdist(sdist) == in_checkout(*folders) | beside


def test_a_wheel_of_the_sdist_is_the_same(sdist: Path, wheel: Path) -> None:
    with users_folder() as folder:
        subprocess.run(["tar", "--no-same-owner", "-xzf", sdist, "-C", folder], check=True)
        (source,) = (path for path in folder.iterdir() if path.is_dir())
        again = build("wheel", source, folder)
        assert in_wheel(again) == in_wheel(wheel)
