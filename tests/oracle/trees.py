"""Trees, as tests/oracle/listing.py lists them, compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

Tree = Mapping[str, Mapping[str, Any]]  # facts by path

_CAPABILITY = "security.capability"
_SHOWN = 12


class Facts(Enum):
    """Which facts count: those that Docker's commit keeps, or all."""

    DOCKERS = "what docker commit keeps"
    ALL = "all"


def read(lines: Iterable[str]) -> Tree:
    """What a listing printed."""
    facts = (json.loads(line) for line in lines)
    return {each["path"]: each for each in facts}


def without_what_sockets_hide(tree: Tree, live: Tree) -> Tree:
    """A tree as far as Docker's commit is right about it.

    It leaves a socket out, and says nothing in its place: what an image had under that name, and the socket's container
    has no more, is back in the commit (tried with 20.10).
    """
    sockets = tuple(path for path, facts in live.items() if facts["kind"] == "s")
    below = tuple(f"{each}/" for each in sockets)
    right = {path: facts for path, facts in tree.items() if path not in sockets and not path.startswith(below)}
    return {path: _linked_within(right, facts) for path, facts in right.items()}


def _linked_within(tree: Tree, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of a file, with no names of it that are not in a tree."""
    names = [name for name in facts.get("group", ()) if name in tree]
    others = {key: value for key, value in facts.items() if key != "group"}
    return {**others, "group": names} if len(names) > 1 else others


def differences(want: Tree, got: Tree, which: Facts, *, or_else: Tree | None = None) -> list[str]:
    """A line for each path that differs, few of them; none where the trees are equal. `or_else` is as good as `want`.

    Sockets are in no commit. Of /etc itself only what it is, its owner and its mode count: engines write into it
    whenever they make a container.
    """
    wanted, gotten = _counting(want, which), _counting(got, which)
    instead = _counting(or_else or want, which)
    lines = []
    for path in sorted(wanted.keys() | gotten.keys()):
        if gotten.get(path) == instead.get(path):
            continue
        if path not in gotten:
            lines.append(f"{path!r}: is not there: {wanted[path]}")
        elif path not in wanted:
            lines.append(f"{path!r}: should not be there: {gotten[path]}")
        elif wanted[path] != gotten[path]:
            keys = sorted(wanted[path].keys() | gotten[path].keys())
            pairs = ((key, wanted[path].get(key), gotten[path].get(key)) for key in keys)
            lines.append(f"{path!r}: " + "; ".join(f"{key} {a!r} became {b!r}" for key, a, b in pairs if a != b))
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return lines[:_SHOWN] + more


def _counting(tree: Tree, which: Facts) -> dict[str, dict[str, Any]]:
    found = {}
    for path, facts in tree.items():
        if facts["kind"] == "s":
            continue
        counting = dict(facts)
        if path == "/etc":
            counting = {key: facts[key] for key in ("path", "kind", "mode", "uid", "gid")}
        elif which is Facts.DOCKERS:
            del counting["ns"]
            counting["xattrs"] = {name: value for name, value in facts["xattrs"].items() if name == _CAPABILITY}
        found[path] = counting
    return found
