"""Every name that bottle gives to what is not finished, and who takes it away when the run that made it dies.

What such a run puts outside of bottle's own folders it notes inside them first, in a file called `outside`: the path as
it is, so that `prune` finds it wherever it lies. A note is believed only where what it names is called as here.
"""

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bottle.files.atomic import remove_file, write_atomic
from bottle.files.regular import read_regular
from bottle.naming import Identity

OUTSIDE = "outside"
LANDING = "landing"  # of register.sh: where a workspace is about to be put
PLACED = "placed"  # of register.sh: `INODE PATH` of a workspace that was put there

_HEX = "[0-9a-f]"


class ClearedBy(Enum):
    """Who takes away what a dead run left."""

    SETTLING = "the next command that works on the bottle"
    PRUNE = "prune"
    BOTH = "the same command again, or prune"
    SYSTEM = "the operating system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Temporary:
    """A kind of name. `where` is relative to `$BOTTLE_HOME` where it does not begin with a word in capitals."""

    name: str
    where: str
    what: str
    cleared_by: ClearedBy

    def matches(self, name: str) -> bool:
        """Whether a file or folder of this name is one."""
        return re.fullmatch(self.name, name, re.DOTALL) is not None


def _temporary(name: str, where: str, what: str, cleared_by: ClearedBy) -> Temporary:
    return Temporary(name=name, where=where, what=what, cleared_by=cleared_by)


WRITING = _temporary(rf"\..+\.{_HEX}{{12}}\.tmp", "state/ID", "a file that is being written", ClearedBy.SETTLING)
BUNDLE = _temporary(rf"\..+\.{_HEX}{{12}}\.part", "BESIDE a bundle", "a bundle that is being written", ClearedBy.BOTH)
BESIDE = (
    _temporary(r"\.bottle-import-.+", "BESIDE a workspace", "a workspace out of a bundle", ClearedBy.PRUNE),
    _temporary(r"\.bottle-incoming-.+", "BESIDE a workspace", "a workspace that arrives", ClearedBy.BOTH),
)
TEMPORARY = (
    WRITING,
    _temporary(WRITING.name, "state/ID/requests", "a request that is being written", ClearedBy.SETTLING),
    _temporary(r"\.[0-9]+\.tmp", "state/ID/trees", "an index that is being written", ClearedBy.SETTLING),
    _temporary(WRITING.name, ".", "the file host-id, being written", ClearedBy.PRUNE),
    _temporary(WRITING.name, "arrived", "the moves that arrived, being written", ClearedBy.PRUNE),
    _temporary(r".+\.new", "arrived", "the moves that arrived, being written by register.sh", ClearedBy.PRUNE),
    _temporary(r"transcript\.(new|old)", "state/ID", "a transcript that is being replaced", ClearedBy.SETTLING),
    _temporary(r"\..+\.draft", "state", "a bottle that is being put together", ClearedBy.PRUNE),
    _temporary(r"\..+\.deleted", "state", "a bottle that is being deleted", ClearedBy.PRUNE),
    _temporary(r".+", "outgoing", "what is packed to be sent, exported or squashed", ClearedBy.BOTH),
    _temporary(rf"\.{_HEX}{{16}}\.part|{WRITING.name}", "outgoing/ID", "a layer that is being written", ClearedBy.BOTH),
    _temporary(rf"look-{_HEX}{{12}}", "outgoing/ID", "what is looked at before a move", ClearedBy.BOTH),
    _temporary(r".+", "incoming", "what another host stages here", ClearedBy.BOTH),
    *BESIDE,
    _temporary(
        r"\.bottle-left-.+", "BESIDE a workspace", "a workspace that gives way to one that came", ClearedBy.BOTH
    ),
    BUNDLE,
    _temporary(r"\..+\.tmp", "RUNTIME folder", "a file for the agent, being written, in memory", ClearedBy.SETTLING),
    _temporary(r"bottle-dockerfile-.+", "TMPDIR", "a Dockerfile while it is built", ClearedBy.SYSTEM),
    _temporary(r"bottle-no-context-.+", "TMPDIR", "an empty folder to build from", ClearedBy.SYSTEM),
    _temporary(r"bottle-.+\.new", "ENGINE, a container", "a container that is being made", ClearedBy.SETTLING),
    _temporary(
        rf"bottle-(check|read|verify|fill)-{_HEX}{{12}}", "ENGINE, a container", "a look inside", ClearedBy.PRUNE
    ),
    _temporary(rf"bottle-help-{_HEX}{{12}}", "ENGINE, a container", "that runs, and ends", ClearedBy.PRUNE),
    _temporary(r"bottle-committed-.+:in-flight-.+", "ENGINE, a tag", "a commit that is being made", ClearedBy.BOTH),
    _temporary(r"bottle-rebuilt-.+:trial", "ENGINE, a tag", "a build of what was asked for", ClearedBy.BOTH),
)


def importing(workspace: Path, identity: Identity) -> Path:
    """Where a workspace out of a bundle is until it is whole: beside its place, so that what follows is a rename."""
    return workspace.with_name(f".bottle-import-{identity}")


def arriving(workspace: Path, identity: Identity) -> tuple[Path, ...]:
    """Where register.sh has a workspace until it is whole."""
    near = f".bottle-incoming-{identity}"
    return tuple(workspace.with_name(near + ending) for ending in ("", ".part", ".probe", ".old"))


def giving_way(workspace: Path, identity: Identity) -> Path:
    """Where register.sh has the workspace that a bottle left behind, while another takes its place."""
    return workspace.with_name(f".bottle-left-{identity}")


def replaced(home: Path, identity: Identity) -> Path:
    """Where register.sh puts the state folder of a bottle that had moved away, while another takes its place."""
    return home / "incoming" / str(identity) / "replaced"


def forget_placed(home: Path, identity: Identity) -> None:
    """The workspace that a move put into its place is the user's own from now on."""
    note = home / "incoming" / str(identity) / PLACED
    if note.exists():
        remove_file(note)


def note_outside(folder: Path, path: Path) -> None:
    """Note in one of bottle's folders that something is about to be made at `path`, elsewhere."""
    write_atomic(folder / OUTSIDE, os.fsencode(path))


def forget_outside(folder: Path) -> None:
    """What was noted is gone, or has got its name."""
    remove_file(folder / OUTSIDE)


def read_path(file: Path) -> Path | None:
    """A path that was noted, absolute; None where there is none."""
    try:
        path = Path(os.fsdecode(read_regular(file)))
    except (OSError, ValueError):
        return None
    return path if path.is_absolute() and "\0" not in str(path) else None
