"""What a tar does not hold of the files that were read, on its way between a helper and who asked it."""

from collections.abc import Mapping
from typing import Any

from bottle.helper.frames import as_path, as_text
from bottle.trees.reader import Lost


def shortfall(lost: Lost) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "flagged": {str(inode): list(flags) for inode, flags in lost.flagged.items()},
        "sparse": sorted(lost.sparse),
        "omitted": [[as_text(folder), as_text(name)] for folder, name in lost.omitted],
    }


def take(lost: Lost, told: Mapping[str, Any]) -> None:
    """Have `lost` say what `shortfall` told."""
    lost.flagged.clear()
    lost.flagged.update({int(inode): tuple(flags) for inode, flags in told["flagged"].items()})
    lost.sparse.clear()
    lost.sparse.update(told["sparse"])
    lost.omitted.clear()
    lost.omitted.update((as_path(folder), as_path(name)) for folder, name in told["omitted"])
