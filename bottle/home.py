"""Where files of who runs this are: the home, and bottle's own folder."""

import os
from pathlib import Path

from bottle.errors import UsageError


def user_home() -> Path:
    """`$HOME`, else what the user database says. Raises UsageError where neither says anything."""
    try:
        return Path.home()
    except RuntimeError as exc:
        raise UsageError(
            f"there is no home: HOME is not set, and the user database does not know user {os.getuid()}",
            next_step="export HOME=FOLDER, or BOTTLE_HOME=FOLDER, then the same again",
        ) from exc


def default_home() -> Path:
    """`$BOTTLE_HOME`, else `~/.bottle`. Raises UsageError where that is no place."""
    named = os.environ.get("BOTTLE_HOME")
    try:
        return (Path(named) if named else user_home() / ".bottle").absolute()
    except OSError as exc:
        raise UsageError(
            f"{named or '~/.bottle'} is a relative path, and the folder that it starts from is gone",
            next_step="cd, then the same again",
        ) from exc
