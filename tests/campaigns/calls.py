"""Which of a command's system calls to strike, chosen from a run that only counted them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KILL = "KILL"
# What is done to which call. A request to the engine goes out by `sendto`.
FAULTS = {
    "fsync": (KILL, "EIO", "ENOSPC"),
    "rename": (KILL, "EIO", "ENOSPC"),
    "openat": (KILL, "EIO", "ENOSPC"),
    "write": (KILL, "ENOSPC", "EIO"),
    "connect": (KILL, "EIO"),
    "sendto": (KILL,),
}
_LINE = re.compile(r"(?P<process>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_REQUEST = re.compile(r'"(GET|POST|PUT|DELETE|HEAD) ')


@dataclass(frozen=True, slots=True)
class Call:
    """The `number`th call of this name by the first thread of the program."""

    name: str
    number: int
    text: str

    def concerns(self, folders: Iterable[str]) -> bool:
        """Whether it is bottle's own work: below one of its folders, or asked of the engine; not Python's start."""
        match self.name:
            case "connect":
                return "AF_UNIX" not in self.text or "docker" in self.text
            case "sendto":
                return _REQUEST.search(self.text) is not None
            case _:
                return any(folder in self.text for folder in folders)


@dataclass(frozen=True, slots=True)
class Point:
    """A call that is struck, and by what: KILL before it is made, or the error that it ends with."""

    call: Call
    fault: str

    @property
    def injection(self) -> str:
        """As strace wants it said."""
        what = "signal=KILL" if self.fault == KILL else f"error={self.fault}"
        return f"inject={self.call.name}:{what}:when={self.call.number}"

    def __str__(self) -> str:
        return f"{self.fault} at {self.call.name} {self.call.number}: {self.call.text[:160]}"


def read(log: str) -> tuple[Call, ...]:
    """The calls of the first thread in a log of `strace -f`, in their order."""
    found: list[Call] = []
    numbers: Counter[str] = Counter()
    first = None
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:  # a signal, an end, or the second half of a call that was counted by its first
            continue
        first = first or match["process"]
        if match["process"] == first:
            numbers[match["name"]] += 1
            found.append(Call(match["name"], numbers[match["name"]], match["rest"]))
    return tuple(found)


def choose(calls: Sequence[Call], count: int) -> tuple[Point, ...]:
    """`count` points, each kind of call and of fault in turn, spread from the first such call to the last."""
    groups = [
        [Point(call, fault) for call in calls if call.name == name]
        for name, faults in FAULTS.items()
        for fault in faults
    ]
    groups = sorted((group for group in groups if group), key=len)
    chosen: list[Point] = []
    for index, group in enumerate(groups):
        chosen += spread(group, -(-(count - len(chosen)) // (len(groups) - index)))
    return tuple(chosen)


def spread(group: Sequence[Point], count: int) -> list[Point]:
    """At most `count` of a group, evenly, both ends among them."""
    if count <= 0:
        return []
    if len(group) <= count:
        return list(group)
    if count == 1:
        return [group[len(group) // 2]]
    return [group[index * (len(group) - 1) // (count - 1)] for index in range(count)]
