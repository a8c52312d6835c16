"""What Docker's commit does not keep of a container, found before it is lost, so that it can be said.

A commit drops sockets, every extended attribute and ACL except file capabilities, and fractions of seconds of
modification times (https://github.com/moby/moby/issues/35699, https://github.com/moby/moby/issues/43882).
"""

import os
import stat
from pathlib import Path

_KEPT = "security.capability"
_OVERLAYS_OWN = ("trusted.overlay.", "user.overlay.")
_ACL = "system.posix_acl_"
_SHOWN = 5


def unseen() -> tuple[str, ...]:
    """What to say when the container's own layer cannot be read from here."""
    return (
        "not checked: sockets, extended attributes and ACLs, because the engine's files cannot be read from here "
        "(as root on the engine's host they are)",
    )


def dropped_by_commit(layer: Path) -> tuple[str, ...]:
    """What a commit will drop of the files in a container's own layer, a line for each kind; nothing is changed.

    `layer` is overlay's upper folder. A file that vanishes while it is looked at is not counted.
    """
    sockets: list[str] = []
    attributes: list[str] = []
    acls: list[str] = []
    fractions = 0
    for root, folders, names in os.walk(layer):
        for name in (*folders, *names):
            path = Path(root, name)
            inside = "/" + str(path.relative_to(layer))
            try:
                facts = path.lstat()
                keys = [] if stat.S_ISLNK(facts.st_mode) else os.listxattr(path, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0:
                continue  # overlay's mark of a deleted file
            if stat.S_ISSOCK(facts.st_mode):
                sockets.append(inside)
            if stat.S_ISREG(facts.st_mode) and facts.st_mtime_ns % 1_000_000_000:
                fractions += 1
            acls += [inside for key in keys if key.startswith(_ACL)][:1]
            own = [key for key in keys if key != _KEPT and not key.startswith((*_OVERLAYS_OWN, _ACL))]
            if own:
                attributes.append(f"{inside} ({', '.join(own)})")
    lines = [
        _line("socket", sockets),
        _line("file with extended attributes", attributes),
        _line("file with an ACL", acls),
    ]
    if fractions:
        lines.append(f"the fractions of a second of {fractions} modification time{'s' if fractions > 1 else ''}")
    return tuple(line for line in lines if line)


def _line(what: str, found: list[str]) -> str:
    if not found:
        return ""
    noun = what if len(found) == 1 else what.replace("file", "files", 1) if "file" in what else f"{what}s"
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} {noun}: {', '.join(sorted(found)[:_SHOWN])}{more}"
