"""What users install: the sdist and the wheel, as the backend builds them for any frontend, but without a network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal


def build(kind: Literal["sdist", "wheel"], source: Path, folder: Path, *, user: Sequence[str] = ()) -> Path:
    """The sdist or the wheel of `source`, put into `folder`; `user` is what stands before a command to be run so."""
    command = (*user, sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder))
    made = subprocess.run(command, cwd=source, check=False, capture_output=True)
    assert made.returncode == 0, made.stderr.decode()
    (built,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built
