"""Work that is not left to chance: for each fault that a commit of changes could have, one sequence that shows it."""

from __future__ import annotations

from tests.oracle import known
from tests.oracle.sequences import Operation, Phase, Turn, sequence

Seed = int | str  # of random work, or the name of a sequence here

_W = known.WORK
_BASE, _OTHER = known.BASES[:2]


def _phase(*operations: Operation, turn: Turn = Turn.COMMIT, rush: tuple[Operation, ...] = ()) -> Phase:
    return Phase(operations, turn, rush)


def _socket(path: str) -> Operation:
    return ("replace", path, "socket")


_HELD = tuple(("map_write", f"{_W}/{name}", seed) for seed, name in enumerate(("mapped", "mapped", "large")))

DIRECTED: dict[str, tuple[Phase, ...]] = {
    # A mapping that is held open, and written through between the commits and while one is made. Where nobody else has
    # the disk written down meanwhile, a page that a commit finds written is written again without a trace.
    "mapped": (
        _phase(("create", f"{_W}/mapped", 1, 5000), ("create", f"{_W}/large", 2, 1_000_000), *_HELD),
        _phase(*_HELD),
        _phase(("map_write", f"{_W}/mapped", 7)),
        *(_phase(*_HELD, turn=Turn.TWICE, rush=_HELD[first:]) for first in (0, 1, 2)),
        _phase(*_HELD, turn=Turn.RUSHED, rush=(*_HELD, ("map_write", f"{_W}/large", 9))),
        _phase(("map_write", f"{_W}/large", 3), turn=Turn.STOPPED),
    ),
    # As long and as old as before; and folders of which nothing but the ctime tells.
    "quiet": (
        _phase(("create", f"{_W}/a", 1, 100), ("mkdir", f"{_W}/d"), ("overwrite", f"{_BASE}/first", 2)),
        _phase(
            *(("overwrite", path, 3) for path in (f"{_W}/a", f"{_BASE}/first", f"{_OTHER}/one/second")),
            *(("set_xattr", path, "x", 4, 20) for path in (f"{_W}/d", f"{_BASE}/one")),
        ),
        _phase(("set_xattr", f"{_W}/d", "x", 5, 20), ("drop_xattr", f"{_BASE}/one", "x")),
        _phase(
            ("append", f"{_W}/a", 6, 10),
            turn=Turn.RUSHED,
            rush=(("overwrite", f"{_W}/a", 7), ("overwrite", f"{_BASE}/first", 8), ("save", f"{_W}/b", 9, 5000)),
        ),
    ),
    # Folders of the image and the bottle's own, with other things in them than before.
    "anew": (
        _phase(("mkdir", f"{_W}/d"), ("create", f"{_W}/d/a", 1, 100), ("remake", f"{_BASE}/one", "first")),
        _phase(("remake", f"{_W}/d", "b"), ("remake", f"{_BASE}/one", "second"), ("remake", f"{_OTHER}/other")),
        _phase(("step_out", f"{_OTHER}/one", "two"), ("exchange", f"{_W}/d", f"{_BASE}/one")),
        _phase(("remake", f"{_W}/d", "c"), ("replace", f"{_BASE}/empty", "create"), turn=Turn.RENEWED),
        _phase(("remake", f"{_BASE}/one", "first"), ("remake", f"{_W}/d")),
    ),
    # Of the image and the bottle's own; some of it comes back.
    "deleted": (
        _phase(
            ("create", f"{_W}/a", 1, 100),
            ("mkdir", f"{_W}/d"),
            ("create", f"{_W}/d/a", 2, 9),
            ("remove", f"{_BASE}/first"),
        ),
        _phase(*(("remove", path) for path in (f"{_W}/a", f"{_W}/d", f"{_BASE}/second", f"{_OTHER}/one"))),
        _phase(("revive", f"{_BASE}/first"), ("replace", f"{_OTHER}/second", "fifo"), ("mkdir", f"{_OTHER}/one")),
        _phase(("remove", f"{_BASE}/first"), ("revive", f"{_BASE}/second"), turn=Turn.BACK),
    ),
    # In the place of what the image has, and of the bottle's own; in a folder that shows nothing of the image; then
    # something else in their place, and nothing.
    "sockets": (
        _phase(
            ("create", f"{_W}/a", 1, 100),
            *(_socket(path) for path in (f"{_BASE}/first", f"{_BASE}/raw-\udcff\udcfe", f"{_BASE}/other")),
            *(_socket(path) for path in (f"{_OTHER}/first", f"{_OTHER}/second", f"{_OTHER}/{known.TWINS[0]}")),
            ("unix_socket", f"{_W}/s"),
            ("remake", f"{_BASE}/one", "first"),
            ("unix_socket", f"{_BASE}/one/second"),
        ),
        _phase(_socket(f"{_W}/a"), _socket(f"{_BASE}/one/first"), _socket(f"{_BASE}/third")),
        _phase(
            ("replace", f"{_BASE}/first", "mkdir"),
            ("replace", f"{_BASE}/other", "mkdir"),
            ("replace", f"{_OTHER}/first", "create"),
            *(("remove", path) for path in (f"{_OTHER}/second", f"{_W}/s", f"{_W}/a")),
            turn=Turn.RENEWED,
        ),
        _phase(_socket(f"{_OTHER}/first"), ("unix_socket", f"{_BASE}/other/deep"), turn=Turn.TWICE),
    ),
    # Several names of a file, in several folders; some of the names change.
    "linked": (
        _phase(
            *(("mkdir", f"{_W}/{name}") for name in ("d", "e")),
            ("create", f"{_W}/d/a", 1, 100),
            *(("link", f"{_W}/d/a", f"{_W}/{name}") for name in ("d/b", "e/c")),
            ("setcap", f"{_W}/d/a", 1024),
            ("link", f"{_BASE}/first", f"{_BASE}/one/linked"),
        ),
        _phase(("rename", f"{_W}/d", f"{_W}/f"), ("append", f"{_BASE}/{known.TWINS[0]}", 2, 10)),
        _phase(("link", f"{_W}/e/c", f"{_W}/e/d"), ("remove", f"{_W}/f/a"), ("overwrite", f"{_W}/f/b", 3)),
    ),
    # What a folder gives to all that is made in it, where some of it has it not; attributes of overlay's other kind.
    "attributes": (
        _phase(
            ("mkdir", f"{_W}/d"),
            ("create", f"{_W}/d/a", 1, 100),
            ("mkdir", f"{_W}/d/e"),
            ("acl", f"{_W}/d", "default", 1000),
            ("create", f"{_W}/d/b", 2, 100),
            *(("set_xattr", f"{_W}/d", f"overlay.{name}", 3, 1) for name in ("x", "opaque")),
            ("set_xattr", f"{_W}/d/a", "overlay.x", 4, 1),
        ),
        _phase(("drop_acl", f"{_W}/d/b", "access"), ("set_xattr", f"{_W}/d/a", "overlay.redirect", 5, 20)),
    ),
}  # fmt: skip


def phases_of(seed: Seed) -> tuple[Phase, ...]:
    """What is to be done. Raises KeyError for a name that is none."""
    return DIRECTED[seed] if isinstance(seed, str) else sequence(seed)
