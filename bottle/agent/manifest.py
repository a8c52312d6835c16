"""`bottle.toml`: finding it, and turning it into agents; a mistake is named by file, key and what was expected."""

import math
import posixpath
import re
import tomllib
from collections.abc import Callable, Mapping, Set
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
from bottle.portbinding import PortBinding
from bottle.suggest import alike, did_you_mean

FILE_NAME = "bottle.toml"

_MEMORY = re.compile(r"(?P<amount>[0-9]+(?:\.[0-9]+)?)(?P<unit>[bkmgt]?)", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

_Read = Callable[[object], Any]  # makes of a value what it means; raises _Expected


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
    try:
        if not isinstance(agents, dict):
            raise _Expected("a table of agents, such as [agents.claude]", "agents", agents)
        return Manifest(path=path, agents={name: _agent(name, entry, path) for name, entry in agents.items()})
    except _Expected as exc:
        raise _wrong(path, f"`{exc.where}`: expected {exc.what}, found {_shown(exc.found)}") from None


def _agent(name: str, entry: object, path: Path) -> Agent:
    where = f"agents.{name}"
    if not is_agent_name(name):
        raise _wrong(
            path,
            f"{name!r} cannot name an agent: expected lower-case letters and digits, single . _ or - between, "
            "and neither committed- nor rebuilt- in front",
        )
    if not isinstance(entry, dict):
        raise _Expected("a table", where, entry)
    _only(_READERS.keys(), entry, path, where)
    values = {key: _at(f"{where}.{key}", _READERS[key], value) for key, value in entry.items()}
    if ("dockerfile" in values) == ("image" in values):
        raise _wrong(path, f"{where} must have either `dockerfile` or `image`, and not both")
    if "dockerfile" in values:
        values["dockerfile"] = _existing(path.parent.absolute() / values["dockerfile"], path, where)
    agent = Agent(name=name, **values)
    if (taken := admission.clash(agent)) is not None:
        raise _wrong(path, "{}.volumes: {} is already taken by {}".format(where, *taken))
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


class _Expected(Exception):
    """Something else was expected than was `found` at `where`; both are added by `_at` on the way out."""

    def __init__(self, what: str, where: str = "", found: object = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.found = found


def _at(where: str, read: _Read, value: object) -> Any:
    """Read what is at `where`: an error shows it as it is written there, or what of it was wrong."""
    try:
        return read(value)
    except _Expected as exc:
        raise _Expected(exc.what, where + exc.where, exc.found if exc.where else value) from None


def _one(rule: Rule, meant: Callable[[Any], object] = lambda value: value) -> _Read:
    """Takes what keeps to a rule, as it is `meant`."""

    def read(value: object) -> object:
        found = meant(value)
        if not rule.holds(found):
            raise _Expected(rule.expected)
        return found

    return read


def _list(read: _Read, expected: str = "a list of texts", *, least: int = 0) -> _Read:
    """Takes a list of what `read` takes."""

    def read_list(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) < least:
            raise _Expected(expected)
        return tuple(_at(f"[{index}]", read, item) for index, item in enumerate(value))

    return read_list


def _table(names: Rule, values: Rule, expected: str) -> _Read:
    """Takes a table whose names and values keep to rules."""

    def read_table(value: object) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict):
            raise _Expected(expected)
        for name, item in value.items():
            _at(f".{name}", _one(names), name)
            _at(f".{name}", _one(values), item)
        return tuple(value.items())

    return read_table


def _volume(value: object) -> Mount:
    source, _, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    target, _, mode = rest.partition(":")
    target, is_folder = _plain(target), admission.FOLDER.holds(source)
    sound = admission.TARGET.holds(target) and (is_folder or admission.VOLUME.holds(source))
    if not sound or mode not in {"", "ro", "rw"} or rest.endswith(":"):
        raise _Expected("NAME:/path or /host/path:/path, with :ro behind if wanted")
    if is_folder:
        return Mount(kind=MountKind.BIND, source=posixpath.normpath(source), target=target, read_only=mode == "ro")
    return Mount(kind=MountKind.VOLUME, source=source, target=target, read_only=mode == "ro")


def _keep(value: object) -> Retention:
    if not isinstance(value, dict) or not value or not value.keys() <= {"commits", "days"}:
        raise _Expected("a table such as { commits = 10, days = 30 }, with either or both")
    return Retention(**{key: _at(f".{key}", _one(admission.KEPT), item) for key, item in value.items()})


def _port(value: object) -> PortBinding:
    try:
        return PortBinding.parse(value if isinstance(value, str) else "")
    except ValueError as exc:
        raise _Expected(str(exc).removeprefix("expected ")) from None


def _ports(value: Any) -> tuple[PortBinding, ...]:
    bindings: tuple[PortBinding, ...] = _list(_port, 'a list of ports, such as ["3000:3000"]')(value)
    for index, binding in enumerate(bindings):
        if any(map(binding.clashes, bindings[:index])):
            raise _Expected("each port of the host once", f"[{index}]", value[index])
    return bindings


def _plain(path: object) -> str:
    """A path without detours; empty for one that climbs, and for what is none."""
    if not isinstance(path, str) or not path or ".." in path.split("/"):
        return ""
    return posixpath.normpath(path)


def _bytes(value: object) -> object:
    """So much memory, in bytes or with a unit, as a whole number of bytes."""
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    amount = float(match["amount"]) * _UNITS[match["unit"].lower()] if match else value
    return int(amount) if isinstance(amount, float) and math.isfinite(amount) else amount


def _devices(value: object) -> object:
    """GPUs as `docker run --gpus` takes them."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return f"device={','.join(value)}"
    return _spelt(value)


def _spelt(value: object) -> object:
    """A whole number as a text; one of too many digits, and all else, as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else value


def _capability(value: object) -> object:
    return value.upper().removeprefix("CAP_") if isinstance(value, str) else value


_WORDS = _list(_one(admission.TEXT), 'a list of texts, such as ["claude", "--continue"]', least=1)
_INSIDE = _one(admission.INSIDE, _plain)
_VARIABLES = _table(admission.VARIABLE, admission.STRING, 'a table of texts, such as { EDITOR = "vi" }')
_HOSTS = 'a table of names and addresses, such as { "db.local" = "10.0.0.5" }'
_READERS: dict[str, _Read] = {
    "dockerfile": _one(admission.TEXT),
    "image": _one(admission.IMAGE),
    "command": _WORDS,
    "resume_command": _WORDS,
    "remote_control": _WORDS,
    "workdir": _INSIDE,
    "user": _one(admission.USER, _spelt),
    "transcript": _list(_INSIDE),
    "env": _VARIABLES,
    "secrets": _list(_one(admission.SECRET)),
    "volumes": _list(_volume, 'a list of volumes, such as ["cache:/root/.cache"]'),
    "network": _one(admission.NETWORK),
    "memory": _one(admission.MEMORY, _bytes),
    "cpus": lambda value: float(_one(admission.CPUS)(value)),
    "pids": _one(admission.PIDS),
    "shm_size": _one(admission.SHM_SIZE, _bytes),
    "gpus": _one(admission.GPUS, _devices),
    "ports": _ports,
    "hosts": _table(admission.HOST_NAME, admission.ADDRESS, _HOSTS),
    "cap_add": _list(_one(admission.LINUX_CAPABILITY, _capability)),
    "keep": _keep,
    "carry": _list(_INSIDE),
    "build_args": _VARIABLES,
}


def _only(known: Set[str], table: Mapping[str, object], path: Path, where: str) -> None:
    for key in table:
        if key not in known:
            place = f"{where}.{key}" if where else key
            raise _wrong(path, f"unknown key `{place}`; expected one of: {', '.join(sorted(known))}")


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits
        shown = f"something that is no {type(value).__name__} one would write"
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _wrong(path: Path, what: str) -> ManifestError:
    return ManifestError(f"{path}: {what}", next_step=f"edit {path}")
