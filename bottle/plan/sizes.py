"""What images weigh: layers that only one bottle needs apart from shared ones. Pure: chains and sizes in, bytes out.

The engine tells the size of a whole image only. Its layers stand on each other, so what one image adds to the one it
stands on is the difference. A *chain* is an image's diff ids, base first.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Chain = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """Bytes of the images of one bottle: `own` would be freed with the bottle, `shared` others need too."""

    own: int
    shared: int


def steps(chain: Chain, sizes: Mapping[Chain, int]) -> dict[Chain, int]:
    """What a chain is made of: every known chain that it stands on, itself included, with the bytes that it adds."""
    found: dict[Chain, int] = {}
    below = 0
    for length in range(1, len(chain) + 1):
        part = chain[:length]
        if part in sizes:
            found[part] = max(0, sizes[part] - below)
            below = sizes[part]
    return found


def added(chain: Chain, sizes: Mapping[Chain, int]) -> int | None:
    """The bytes that an image adds to the nearest known one it stands on; None when it stands on none."""
    if chain not in sizes:
        return None
    found = steps(chain, sizes)
    return found[chain] if len(found) > 1 else None


def growth(chains: Sequence[Chain], sizes: Mapping[Chain, int]) -> list[int | None]:
    """What each of a bottle's commits adds, oldest first; 0 for one that is the same image as one before it.

    The engine commits a container that has written nothing since under one more name.
    """
    return [added(chain, sizes) if chain not in chains[:index] else 0 for index, chain in enumerate(chains)]


def held(chains: Sequence[Chain], others: Iterable[Chain], sizes: Mapping[Chain, int]) -> list[int | None]:
    """What each of a bottle's commits that are here holds by itself, and would be free without it alone.

    What another one of them has too, or one of the images `others`, is not held by itself. None where it is not known
    how large that is.
    """
    around = frozenset(others)
    users = Counter(part for chain in {*chains, *around} for part in _parts(chain))
    copies = Counter(chains)
    return [0 if copies[chain] > 1 or chain in around else _alone(chain, users, sizes) for chain in chains]


def _alone(chain: Chain, users: Mapping[Chain, int], sizes: Mapping[Chain, int]) -> int | None:
    shared = next((part for part in reversed(_parts(chain)) if users[part] > 1), ())
    below = sizes.get(shared) if shared else 0
    return max(0, sizes[chain] - below) if chain in sizes and below is not None else None


def _parts(chain: Chain) -> list[Chain]:
    return [chain[:length] for length in range(1, len(chain) + 1)]


def weights(
    bottles: Mapping[str, Iterable[Chain]], bases: Iterable[Chain], sizes: Mapping[Chain, int]
) -> dict[str, Weight]:
    """The weight of each bottle's images. `bases` are images that are no bottle's own, such as agents begin with.

    What stands on none of them, as that of a bottle which arrived without its agent's image, is a bottle's own from the
    ground up.
    """
    shared_by_nature = set(bases)
    parts: dict[str, dict[Chain, int]] = {}
    users: dict[Chain, int] = {}
    for name, chains in bottles.items():
        merged = {part: size for chain in chains if chain in sizes for part, size in steps(chain, sizes).items()}
        parts[name] = merged
        for chain in merged:
            users[chain] = users.get(chain, 0) + 1
    return {
        name: Weight(
            own=sum(size for chain, size in merged.items() if users[chain] == 1 and chain not in shared_by_nature),
            shared=sum(size for chain, size in merged.items() if users[chain] > 1 or chain in shared_by_nature),
        )
        for name, merged in parts.items()
    }
