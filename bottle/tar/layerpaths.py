"""The paths of an image layer: cleaned, and what hides what is below (OCI image-spec, layer.md). Pure."""

from collections.abc import Callable

from bottle.errors import VerificationFailed

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
AUFS = ".wh..wh."  # bookkeeping of a store that is gone; engines skip it


def clean(name: str) -> str:
    """A member's path from the root, without slashes at its ends; the root's is empty. Raises VerificationFailed."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise VerificationFailed(f"a layer has an entry {name!r}, which leads out of it")
    return "/".join(parts)


def above(path: str) -> str:
    """The folder that something is in."""
    return path.rpartition("/")[0]


def below(folder: str, name: str) -> str:
    """What is called `name` in a folder."""
    return f"{folder}/{name}" if folder else name


def in_any(meant: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a folder is `meant`, or one above it is; what was found of those above is not sought again."""
    known: dict[str, bool] = {}

    def is_in(folder: str) -> bool:
        asked = []
        while folder not in known:
            asked.append(folder)
            if meant(folder) or not folder:
                known[folder] = meant(folder)
            else:
                folder = above(folder)
        known.update(dict.fromkeys(asked, known[folder]))
        return known[folder]

    return is_in
