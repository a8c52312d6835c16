"""How much differs, in numbers: of all, and folder by folder. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bottle.diff.stack import Difference

_DEPTH = 2  # folders from the root, under which what lies deeper is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many paths differ, and the bytes of content that only the later version has, or only the earlier one."""

    added: int
    changed: int
    removed: int
    gained: int
    lost: int


def summed(differences: Iterable[Difference]) -> Summary:
    """All of them."""
    found = list(differences)
    counts = Counter(each.change for each in found)
    return Summary(
        added=counts["added"],
        changed=counts["changed"],
        removed=counts["removed"],
        gained=sum(each.gained for each in found),
        lost=sum(each.lost for each in found),
    )


def by_folder(differences: Iterable[Difference]) -> dict[str, Summary]:
    """Those in each folder, in their order; what lies deep is counted under a folder near the root."""
    groups: dict[str, list[Difference]] = {}
    for each in differences:
        groups.setdefault(_folder(each.path), []).append(each)
    return {folder: summed(groups[folder]) for folder in sorted(groups, key=lambda folder: folder.split("/"))}


def _folder(path: str) -> str:
    return "/" + "/".join(path.strip("/").split("/")[:-1][:_DEPTH])
