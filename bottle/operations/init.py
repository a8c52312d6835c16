"""`init`: a first manifest, with every key explained in it."""

import os
from importlib.resources import files
from pathlib import Path

from bottle.atomic import cannot_write, sync_folder
from bottle.errors import NameTaken
from bottle.manifest import FILE_NAME
from bottle.workspace import require_folder


def template() -> str:
    """The text of a first manifest: valid as it is, and with every line that is commented out."""
    return files("bottle").joinpath("template.toml").read_text(encoding="utf-8")


def init(folder: Path) -> Path:
    """Write it into `folder`; where it is then. Raises NameTaken, leaving the file that is there, or StateDamaged."""
    path = require_folder(folder) / FILE_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(template())
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError as exc:
        raise NameTaken(f"{path} exists already", left="it is unchanged", next_step=f"edit {path}") from exc
    except OSError as exc:
        raise cannot_write(path, exc) from exc
    return path
