"""`bottle.toml`: finding it, and turning it into agents; a mistake is named by file, key and what was expected."""

import math
import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bottle.agent import admission
from bottle.agent.admission import Rule
from bottle.agent.template import SUMMARIES
from bottle.errors import ManifestError, NotFound
from bottle.files.regular import read_regular
from bottle.model import Agent, Mount, MountKind, Retention
from bottle.naming import is_agent_name
from bottle.portbinding import EXPECTED, PortBinding
from bottle.suggest import alike, did_you_mean

FILE_NAME = "bottle.toml"

_MEMORY = re.compile(r"(?P<amount>[0-9]+(?:\.[0-9]+)?)(?P<unit>[bkmgt]?)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that was read: its file and its agents by name."""

    path: Path
    agents: Mapping[str, Agent]

    def agent(self, name: str) -> Agent:
        """The agent called `name`. Raises NotFound, listing those there are."""
        try:
            return self.agents[name]
        except KeyError:
            known = ", ".join(sorted(self.agents)) or "none"
            near = alike(name, self.agents)
            step = f"bottle init {name}" if name in SUMMARIES else f"add [agents.{name}] to {self.path}"
            raise NotFound(
                f"{self.path} has no agent {name!r}; it has: {known}{did_you_mean(name, self.agents)}",
                next_step=f"bottle start {near[0]}" if near else step,
            ) from None


def find_manifest(start: Path, home: Path, agent: str = "") -> Path:
    """The manifest in `start` or the nearest folder above it, else the one in `home`.

    Raises ManifestError, which says how one is made that has `agent`.
    """
    start = start.absolute()
    for folder in (start, *start.parents, home):
        path = folder / FILE_NAME
        if path.is_file():
            return path
    raise ManifestError(
        f"no {FILE_NAME} in {start}, in a folder above it, or in {home}",
        next_step=f"bottle init {agent}" if agent in SUMMARIES else "bottle init",
    )


def read_manifest(path: Path) -> Manifest:
    """Read the manifest at `path`. Raises ManifestError."""
    try:
        return parse_manifest(read_regular(path, follow=True).decode(), path)
    except (OSError, UnicodeDecodeError) as exc:
        raise ManifestError(f"cannot read {path}: {exc}", next_step=f"ls -l {path}") from exc


def parse_manifest(source: str, path: Path) -> Manifest:
    """Turn a manifest's text into agents; files it names are sought beside `path`. Raises ManifestError."""
    try:
        document = tomllib.loads(source)
    except (ValueError, RecursionError) as exc:  # ValueError: also a number of too many digits
        raise ManifestError(f"{path} is no valid TOML: {exc}", next_step=f"edit {path}") from exc
    _only({"agents"}, document, path, "")
    agents = document.get("agents", {})
    if not isinstance(agents, dict):
        raise _mistake(path, "agents", "a table of agents, such as [agents.claude]", agents)
    return Manifest(path=path, agents={name: _agent(name, entry, path) for name, entry in agents.items()})


def _agent(name: str, entry: object, path: Path) -> Agent:
    where = f"agents.{name}"
    if not is_agent_name(name):
        raise ManifestError(
            f"{path}: {name!r} cannot name an agent: expected lower-case letters and digits, single . _ or - between, "
            "and neither committed- nor rebuilt- in front",
            next_step=f"edit {path}",
        )
    if not isinstance(entry, dict):
        raise _mistake(path, where, "a table", entry)
    _only(_READERS.keys(), entry, path, where)
    values = {}
    for key, value in entry.items():
        try:
            values[key] = _READERS[key](value)
        except _Expected as exc:
            raise _mistake(
                path, f"{where}.{key}{exc.where}", exc.what, value if exc.value is None else exc.value
            ) from None
    if ("dockerfile" in values) == ("image" in values):
        raise ManifestError(
            f"{path}: {where} must have either `dockerfile` or `image`, and not both", next_step=f"edit {path}"
        )
    if "dockerfile" in values:
        values["dockerfile"] = _existing(path.parent.absolute() / values["dockerfile"], path, where)
    agent = Agent(name=name, **values)
    _check_targets(agent, path, where)
    return agent


def _existing(dockerfile: Path, path: Path, where: str) -> Path:
    try:
        resolved = dockerfile.resolve()
        if resolved.is_file():
            return resolved
    except (OSError, RuntimeError):  # a name too long, a loop of links
        pass
    raise ManifestError(
        f"{path}: {where}.dockerfile: there is no file {dockerfile}", next_step=f"create it, or edit {path}"
    )


def _check_targets(agent: Agent, path: Path, where: str) -> None:
    if (taken := admission.clash(agent)) is not None:
        raise ManifestError(
            "{}: {}.volumes: {} is already taken by {}".format(path, where, *taken), next_step=f"edit {path}"
        )


class _Expected(Exception):
    def __init__(self, what: str, *, where: str = "", value: object = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.value = value


def _one(rule: Rule) -> Callable[[object], Any]:
    """Takes what keeps to a rule, and raises _Expected for all else."""

    def read(value: object) -> Any:
        if not rule.holds(value):
            raise _Expected(rule.expected)
        return value

    return read


def _several(rule: Rule) -> Callable[[object], tuple[str, ...]]:
    return lambda value: _each(value, _one(rule))


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise _Expected('a list of texts, such as ["claude", "--continue"]')
    return _each(value, _one(admission.TEXT))


def _each(value: object, read: Callable[[object], str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _Expected("a list of texts")
    result = []
    for index, item in enumerate(value):
        try:
            result.append(read(item))
        except _Expected as exc:
            raise _Expected(exc.what, where=f"[{index}]", value=item) from None
    return tuple(result)


def _absolute(value: object) -> str:
    climbs = isinstance(value, str) and ".." in value.split("/")
    path = posixpath.normpath(value) if isinstance(value, str) and value and not climbs else ""
    inside: str = _one(admission.INSIDE)(path)
    return inside


def _variables(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise _Expected('a table of texts, such as { EDITOR = "vi" }')
    for key, item in value.items():
        for rule, each in ((admission.VARIABLE, key), (admission.STRING, item)):
            if not rule.holds(each):
                raise _Expected(rule.expected, where=f".{key}", value=each)
    return tuple(value.items())


def _volumes(value: object) -> tuple[Mount, ...]:
    if not isinstance(value, list):
        raise _Expected('a list of volumes, such as ["cache:/root/.cache"]')
    mounts = []
    for index, item in enumerate(value):
        mount = _volume(item)
        if mount is None:
            raise _Expected("NAME:/path or /host/path:/path, with :ro behind if wanted", where=f"[{index}]", value=item)
        mounts.append(mount)
    return tuple(mounts)


def _volume(item: object) -> Mount | None:
    if not isinstance(item, str):
        return None
    source, _, rest = item.partition(":")
    target, _, mode = rest.partition(":")
    if mode not in {"", "ro", "rw"} or rest.endswith(":"):
        return None
    try:
        target = _one(admission.TARGET)(_absolute(target))
    except _Expected:
        return None
    read_only = mode == "ro"
    if admission.FOLDER.holds(source):
        return Mount(kind=MountKind.BIND, source=posixpath.normpath(source), target=target, read_only=read_only)
    if admission.VOLUME.holds(source):
        return Mount(kind=MountKind.VOLUME, source=source, target=target, read_only=read_only)
    return None


def _amount(rule: Rule) -> Callable[[object], int]:
    """Takes so much memory, in bytes or with a unit, as keeps to a rule."""

    def read(value: object) -> int:
        match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
        amount = float(match["amount"]) * _UNITS[match["unit"].lower()] if match else value
        whole: int = _one(rule)(int(amount) if isinstance(amount, float) and math.isfinite(amount) else amount)
        return whole

    return read


def _cpus(value: object) -> float:
    return float(_one(admission.CPUS)(value))


def _keep(value: object) -> Retention:
    if not isinstance(value, dict) or not value or not value.keys() <= {"commits", "days"}:
        raise _Expected("a table such as { commits = 10, days = 30 }, with either or both")
    for key, item in value.items():
        if not admission.KEPT.holds(item):
            raise _Expected(admission.KEPT.expected, where=f".{key}", value=item)
    return Retention(**value)


def _ports(value: object) -> tuple[PortBinding, ...]:
    if not isinstance(value, list):
        raise _Expected('a list of ports, such as ["3000:3000"]')
    bindings: list[PortBinding] = []
    for index, item in enumerate(value):
        try:
            binding = PortBinding.parse(_one(admission.TEXT)(item))
        except _Expected:
            raise _Expected(EXPECTED, where=f"[{index}]", value=item) from None
        except ValueError as exc:
            raise _Expected(str(exc).removeprefix("expected "), where=f"[{index}]", value=item) from None
        if any(map(binding.clashes, bindings)):
            raise _Expected("each port of the host once", where=f"[{index}]", value=item)
        bindings.append(binding)
    return tuple(bindings)


def _hosts(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise _Expected('a table of names and addresses, such as { "db.local" = "10.0.0.5" }')
    for name, address in value.items():
        for rule, each in ((admission.HOST_NAME, name), (admission.ADDRESS, address)):
            if not rule.holds(each):
                raise _Expected(rule.expected, where=f".{name}", value=each)
    return tuple(value.items())


def _gpus(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = f"device={','.join(value)}"
    gpus: str = _one(admission.GPUS)(_spelt(value))
    return gpus


def _user(value: object) -> str:
    user: str = _one(admission.USER)(_spelt(value))
    return user


def _spelt(value: object) -> object:
    """A whole number as a text; one of too many digits, and all else, as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else value


def _capability(value: object) -> str:
    name: str = _one(admission.LINUX_CAPABILITY)(
        value.upper().removeprefix("CAP_") if isinstance(value, str) else value
    )
    return name


_READERS: dict[str, Callable[[Any], Any]] = {
    "dockerfile": _one(admission.TEXT),
    "image": _one(admission.IMAGE),
    "command": _words,
    "resume_command": _words,
    "remote_control": _words,
    "workdir": _absolute,
    "user": _user,
    "transcript": lambda value: _each(value, _absolute),
    "env": _variables,
    "secrets": _several(admission.SECRET),
    "volumes": _volumes,
    "network": _one(admission.NETWORK),
    "memory": _amount(admission.MEMORY),
    "cpus": _cpus,
    "pids": _one(admission.PIDS),
    "shm_size": _amount(admission.SHM_SIZE),
    "gpus": _gpus,
    "ports": _ports,
    "hosts": _hosts,
    "cap_add": lambda value: _each(value, _capability),
    "keep": _keep,
    "carry": lambda value: _each(value, _absolute),
    "build_args": _variables,
}


def _only(known: Any, table: Mapping[str, object], path: Path, where: str) -> None:
    for key in table:
        if key not in known:
            place = f"{where}.{key}" if where else key
            raise ManifestError(
                f"{path}: unknown key `{place}`; expected one of: {', '.join(sorted(known))}", next_step=f"edit {path}"
            )


def _mistake(path: Path, key: str, expected: str, value: object) -> ManifestError:
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits
        shown = f"something that is no {type(value).__name__} one would write"
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ManifestError(f"{path}: `{key}`: expected {expected}, found {shown}", next_step=f"edit {path}")
