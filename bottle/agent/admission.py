"""What an agent may be, whoever describes it: one list of rules for `bottle.toml`, a bundle and a pull. Pure.

A manifest is the user's word. A bundle and a host that is pulled from are somebody else's: of those, what reaches
beyond the bottle needs the user's yes (`demands`), and what is for this host to say is never taken over (`without`).
"""

import ipaddress
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from bottle.model import MOST_COMMITS, Agent, CommitRecord, ImageDefaults, Metadata, Mount, MountKind
from bottle.text import printable

RESERVED = "/run/bottle"
LONGEST_DEMAND = 500  # characters; what is longer would be cut where it is shown
Agree = Callable[[tuple[str, ...]], bool]  # asked what somebody else's bottle would be given here

_LEAST_MEMORY = 6 * 1024**2  # Docker refuses less
_LEAST_SHM = 4096  # a page
_HOST_GATEWAY = "host-gateway"  # the address of the engine's host, in Docker's words
_MOST_MEMORY = 2**62
_MOST_CPUS = 65_536
_MOST_KEPT = 100_000  # commits or days
_MOST_PIDS = 2**22  # the kernel's PID_MAX_LIMIT
_OUR_PIDS = 512  # what an agent has that says nothing
_MOST_DEMANDS = 64  # more than a screen or two is agreed to unread
_MOST_ID = 2**31 - 1  # of a user or group, in a container
_MOST_FOREIGN = MOST_COMMITS // 2  # so that much can still be committed after it

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]{0,500}")
_USER = re.compile(r"(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?::(?P<group>[A-Za-z0-9_][A-Za-z0-9_.-]*))?")
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_GPUS = re.compile(r"all|[1-9][0-9]{0,3}|device=[A-Za-z0-9][A-Za-z0-9_.:/=-]*(?:,[A-Za-z0-9][A-Za-z0-9_.:/=-]*)*")

# Without CAP_: https://man7.org/linux/man-pages/man7/capabilities.7.html
_LINUX_CAPABILITIES = frozenset(
    """
    AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
    FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
    NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
    SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
    """.split()  # noqa: SIM905  (as a list, one a line, it would be read by nobody)
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be, in words and as a question to be asked of anything."""

    expected: str
    holds: Callable[[object], bool]


def _is_string(value: object, errors: str = "strict") -> bool:
    """Whether it is a text that every program reads alike: no half characters, no end in its middle."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True


def _is_path(value: object) -> bool:
    """Whether it can be a path of this host, whose names need not be Unicode."""
    return isinstance(value, str) and value.startswith("/") and _is_string(value, "surrogateescape")


def _is_plain_path(value: object) -> bool:
    """Whether it says at first sight where it leads, and no more of the mount that it is the source of."""
    return isinstance(value, str) and _is_path(value) and posixpath.normpath(value) == value and ":" not in value


def _matches(pattern: re.Pattern[str], *others: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None and value not in others


def _is_inside(value: object) -> bool:
    """Whether it is an absolute path in the container, written plainly, and not bottle's own."""
    return (
        isinstance(value, str)
        and _is_string(value)
        and value.startswith("/")
        and value not in {"/", "//"}
        and posixpath.normpath(value) == value.rstrip("/")
        and value != RESERVED
        and not value.startswith(RESERVED + "/")
    )


def _is_mountable(value: object) -> bool:
    """Whether it can stand between the colons of `docker create -v`."""
    return isinstance(value, str) and not any(character in ":,\x7f" or character < " " for character in value)


def _is_whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_cpus(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.01 <= value <= _MOST_CPUS


def _is_linux_capability(value: object) -> bool:
    """Whether it is one, by name; all of them at once are none."""
    return isinstance(value, str) and value in _LINUX_CAPABILITIES


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or "%" in value:
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return value == _HOST_GATEWAY
    return True


def _is_user(value: object) -> bool:
    """Whether it is a USER of a Dockerfile: `name`, `uid`, each with an optional `:group`."""
    match = _USER.fullmatch(value) if isinstance(value, str) else None
    return match is not None and not any(
        part.isdigit() and (len(part) > 10 or int(part) > _MOST_ID) for part in match.groups() if part is not None
    )


STRING = Rule("a text", _is_string)
TEXT = Rule("a text that is not empty", lambda value: value != "" and _is_string(value))
IMAGE = Rule("a text that names an image", _matches(_IMAGE))
INSIDE = Rule(f"an absolute path inside the container, outside {RESERVED}", _is_inside)
TARGET = Rule(f"{INSIDE.expected}, without : and ,", lambda value: _is_inside(value) and _is_mountable(value))
VARIABLE = Rule("a variable's name of letters, digits and _", _matches(_VARIABLE))
USER = Rule('a user\'s name or number, with a group behind if wanted, such as "agent" or "1000:1000"', _is_user)
SECRET = Rule("the name of a variable of the host's environment, not its value", _matches(_VARIABLE))
VOLUME = Rule("the name of a volume", _matches(_NAME))
FOLDER = Rule("an absolute path", _is_path)
SOURCE = Rule("an absolute path, written plainly and without :", _is_plain_path)
NETWORK = Rule('"bridge", "none" or a network\'s name', _matches(_NAME, "host", "container"))
HOST_NAME = Rule("the name of a host", _matches(_HOST_NAME))
ADDRESS = Rule(f'an address, such as "10.0.0.5", or "{_HOST_GATEWAY}"', _is_address)
LINUX_CAPABILITY = Rule('the name of a Linux capability, such as "CHOWN"', _is_linux_capability)
MEMORY = Rule('an amount of memory of at least 6m, such as "4g" or "512m"', _is_whole(_LEAST_MEMORY, _MOST_MEMORY))
SHM_SIZE = Rule('an amount of memory of at least 4k, such as "1g" or "256m"', _is_whole(_LEAST_SHM, _MOST_MEMORY))
GPUS = Rule('"all", how many, or a list of devices, such as ["0", "1"]', _matches(_GPUS))
CPUS = Rule("a number of CPUs, such as 2 or 0.5", _is_cpus)
PIDS = Rule(f"a whole number from 1 to {_MOST_PIDS}", _is_whole(1, _MOST_PIDS))
KEPT = Rule(f"a whole number from 1 to {_MOST_KEPT}", _is_whole(1, _MOST_KEPT))


def clash(agent: Agent, *, copied: bool = False) -> tuple[str, str] | None:
    """The target of a volume that is taken already, and by what. In a workspace that was `copied` one may lie."""
    taken = {} if copied else {agent.workdir: "workdir"}
    for volume in agent.volumes:
        if volume.target in taken:
            return volume.target, taken[volume.target]
        taken[volume.target] = f"volume {volume.source}"
    return None


def beyond_reckoning(agent: Agent) -> tuple[str, ...]:
    """The numbers of an agent that can be read and not reckoned with, a line each. Asked of every bottle in a list."""
    kept = (*_said(agent.keep.commits), *_said(agent.keep.days)) if agent.keep is not None else ()
    said = (("cpus", CPUS, _said(agent.cpus)), ("keep", KEPT, kept))
    return tuple(_expected(key, rule) for key, rule, values in said if not all(map(rule.holds, values)))


def flaws(metadata: Metadata, commits: Iterable[CommitRecord] = ()) -> tuple[str, ...]:
    """What of a bottle no `bottle.toml` and no commit could have made, or nobody could agree to, a line each."""
    found = [_expected(key, rule) for key, rule, values in _values(metadata.agent) if not all(map(rule.holds, values))]
    if (metadata.agent.image is None) == (metadata.agent.dockerfile is None):
        found.append("expected either `dockerfile` or `image`, and not both")
    if (taken := clash(metadata.agent, copied=metadata.copy_cwd)) is not None:
        found.append("`volumes`: {} is already taken by {}".format(*taken))
    if any(one.clashes(other) for one, other in combinations(metadata.agent.ports, 2)):
        found.append("`ports`: expected each port of the host once")
    if metadata.cwd is not None and not FOLDER.holds(str(metadata.cwd)):
        found.append(f"`cwd`: expected {FOLDER.expected}")
    defaults = [metadata.defaults, *(commit.defaults for commit in commits if commit.defaults is not None)]
    if not all(map(STRING.holds, _texts(defaults))):
        found.append(f"what its image ran: expected {STRING.expected}")
    return (*found, *_odd_demands(demands(metadata, rebuild=True)), *_odd_commits(commits))


def demands(metadata: Metadata, *, rebuild: bool) -> tuple[str, ...]:
    """What somebody else's bottle would be given here, a line each and none twice, which the user must agree to.

    `rebuild`: it has a Dockerfile of its own that was approved elsewhere, and a resume builds it.
    """
    agent = metadata.agent
    asked = [
        f"host folder {mount.source}, mounted at {mount.target}{' read-only' if mount.read_only else ''}"
        for mount in agent.volumes
        if mount.kind is MountKind.BIND
    ]
    if agent.network != "none":
        asked.append(f"network {agent.network}")
    asked += [f"port {port.place} of this host, which leads to its port {port.container}" for port in agent.ports]
    asked += [f"the name {name} for address {address}" for name, address in agent.hosts]
    asked += [f"GPUs of this host: {agent.gpus}"] if agent.gpus is not None else []
    asked += [f"Linux capability {name}" for name in agent.cap_add]
    asked += [f"secret {name}, taken from your environment at each resume" for name in agent.secrets]
    if agent.pids > _OUR_PIDS:
        asked.append(f"{agent.pids} processes at once, where {_OUR_PIDS} are the rule")
    if agent.keep is not None:
        kept = {"commits": agent.keep.commits, "days": agent.keep.days}
        shown = " or ".join(f"{number} {what}" for what, number in kept.items() if number is not None)
        asked.append(f"that its commits are deleted here which are not of the last {shown}")
    asked += [f"build argument {name}={value}, for a build of its Dockerfile" for name, value in agent.build_args]
    if rebuild:
        asked.append("its own Dockerfile, which the next resume builds")
    return tuple(dict.fromkeys(asked))


def without(metadata: Metadata, state: Path) -> tuple[Metadata, tuple[str, ...]]:
    """Somebody else's bottle without what is never taken over, and what that is. `state` is its state folder here."""
    agent = metadata.agent
    dropped = [f"`carry` {glob}: what may leave this host is for its own manifest to say" for glob in agent.carry]
    kept = replace(agent, carry=())
    if agent.dockerfile is not None:
        dropped.append(f"the Dockerfile {agent.dockerfile}: it and the folder it is in did not travel")
        # Where a Dockerfile that the user puts there would be found; a folder of somebody else's choosing must not be
        # what a build takes its files from.
        kept = replace(kept, dockerfile=state / "Dockerfile")
    if metadata.copy_cwd and metadata.cwd is not None:
        dropped.append(f"folder {metadata.cwd}, which was copied in at the start: only its copy in the image is here")
        metadata = replace(metadata, cwd=None)
    return replace(metadata, agent=kept), tuple(dropped)


def _values(agent: Agent) -> Iterator[tuple[str, Rule, Iterable[object]]]:
    """All that an agent's entry says, by key, with the rule that holds for it."""
    yield "image", IMAGE, _said(agent.image)
    yield "dockerfile", FOLDER, map(str, _said(agent.dockerfile))
    for key, words in (
        ("command", agent.command),
        ("resume_command", agent.resume_command),
        ("remote_control", agent.remote_control or None),
    ):
        yield key, TEXT, (words or ("",))[:1] if words is not None else ()
        yield key, STRING, words or ()
    yield "workdir", INSIDE, (agent.workdir,)
    yield "user", USER, _said(agent.user)
    yield "transcript", INSIDE, agent.transcript
    yield "env", VARIABLE, (key for key, _ in agent.env)
    yield "env", STRING, (value for _, value in agent.env)
    yield "secrets", SECRET, agent.secrets
    yield "volumes", TARGET, (mount.target for mount in agent.volumes)
    yield "volumes", VOLUME, _sources(agent.volumes, MountKind.VOLUME, MountKind.TMPFS)  # a tmpfs no manifest can say
    yield "volumes", SOURCE, _sources(agent.volumes, MountKind.BIND)
    yield "network", NETWORK, (agent.network,)
    yield "memory", MEMORY, _said(agent.memory)
    yield "cpus", CPUS, _said(agent.cpus)
    yield "pids", PIDS, (agent.pids,)
    yield "shm_size", SHM_SIZE, _said(agent.shm_size)
    yield "gpus", GPUS, _said(agent.gpus)
    yield "hosts", HOST_NAME, (name for name, _ in agent.hosts)
    yield "hosts", ADDRESS, (address for _, address in agent.hosts)
    yield "cap_add", LINUX_CAPABILITY, agent.cap_add
    if agent.keep is not None:
        yield "keep", KEPT, [*_said(agent.keep.commits), *_said(agent.keep.days)] or [None]
    yield "carry", INSIDE, agent.carry
    yield "build_args", VARIABLE, (key for key, _ in agent.build_args)
    yield "build_args", STRING, (value for _, value in agent.build_args)


def _expected(key: str, rule: Rule) -> str:
    return f"`{key}`: expected {rule.expected}"


def _said(value: object) -> tuple[object, ...]:
    return () if value is None else (value,)


def _sources(mounts: Iterable[Mount], *kinds: MountKind) -> Iterator[object]:
    return (mount.source for mount in mounts if mount.kind in kinds)


def _texts(defaults: Iterable[ImageDefaults]) -> Iterator[object]:
    for each in defaults:
        yield from (*each.entrypoint, *each.command, each.user)


def _odd_demands(asked: tuple[str, ...]) -> Iterator[str]:
    """Nobody agrees to what is not shown, or is so much that it is not read."""
    if len(asked) > _MOST_DEMANDS:
        yield f"it would be given {len(asked)} things: expected up to {_MOST_DEMANDS}"
    for each in asked:
        if printable(each, LONGEST_DEMAND) != each:
            yield f"it would be given what cannot be shown whole: {printable(each, 80)}"


def _odd_commits(commits: Iterable[CommitRecord]) -> Iterator[str]:
    last = 0
    for commit in commits:
        if commit.number <= last:
            yield f"commit {commit.number} after commit {last}: expected numbers that rise"
        last = commit.number
        if commit.number > _MOST_FOREIGN:
            yield f"commit {commit.number}: expected a number up to {_MOST_FOREIGN}"
        if not all(map(TARGET.holds, commit.volumes or ())):
            yield f"the volumes of commit {commit.number}: expected {TARGET.expected}"
