"""Which engine is meant: decided as the docker client decides it, from its variables and its store of contexts.

DOCKER_HOST beats DOCKER_CONTEXT, that beats `currentContext` in config.json (`docker context use`), and that beats
Docker's own socket. Source: `resolveContextName` and `resolveDefaultDockerEndpoint` in
https://github.com/docker/cli/tree/master/cli/command, and cli/context/store for the files. docker-py reads the same
store, but takes a context that is not there for the default one, and looks for the store in the current folder where
there is no config.json.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bottle.errors import ContextUnusable
from bottle.files.regular import read_regular
from bottle.model import DEFAULT_CONTEXT, Endpoint
from bottle.text import printable

VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

_SOCKET = "/var/run/docker.sock"
# Go's url package takes less, and docker-py says what it does not take.
_TCP = re.compile(r"(?P<host>\[[^]]*\]|[^:/]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a line over TLS is made with: the engine's CA (None: whom this system trusts), and our own certificate."""

    verify: bool
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """An endpoint, and how it is secured: not at all where `tls` is None."""

    endpoint: Endpoint
    tls: TlsFiles | None = None


def resolve(environment: Mapping[str, str]) -> Resolved:
    """The engine that `environment` and the files of the docker client name. Raises ContextUnusable."""
    folder = config_folder(environment)
    if environment.get("DOCKER_HOST"):
        return _default(environment, folder, origin="DOCKER_HOST")
    if name := environment.get("DOCKER_CONTEXT"):
        origin, trouble = "DOCKER_CONTEXT", ""
    else:
        name, trouble = _current(folder / "config.json")
        origin = str(folder / "config.json") if name else ""
    if name and name != DEFAULT_CONTEXT:
        return _stored(folder / "contexts", name, origin)
    return _default(environment, folder, origin=origin, trouble=trouble, others=stored_contexts(folder))


def config_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the docker client's own files."""
    return Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")


def stored_contexts(folder: Path) -> tuple[str, ...]:
    """Names of the contexts in the store, sorted; what cannot be read is none."""
    names = []
    for file in (folder / "contexts" / "meta").glob("*/meta.json"):
        with suppress(OSError, ValueError):
            names.append(printable(str(_document(file).get("Name") or "")))
    return tuple(sorted(filter(None, names)))


def stored_address(environment: Mapping[str, str], name: str) -> str | None:
    """Where the context of that name leads; None where the store has none that can be read. Raises ContextUnusable."""
    try:
        return _stored(config_folder(environment) / "contexts", name, "the command line").endpoint.address
    except ContextUnusable as error:
        if isinstance(error.__cause__, OSError):
            return None
        raise


def _current(config: Path) -> tuple[str, str]:
    """The context that was put in use, and why the file cannot say: docker warns then, and takes the default one."""
    try:
        name = _document(config).get("currentContext") or ""
    except FileNotFoundError:
        return "", ""
    except (OSError, ValueError) as error:
        return "", f"{config} cannot be read: {_words(error)}"
    return (name, "") if isinstance(name, str) else ("", f"{config} cannot be read: currentContext is no text")


def _default(
    environment: Mapping[str, str], folder: Path, *, origin: str, trouble: str = "", others: tuple[str, ...] = ()
) -> Resolved:
    """The context that is in no store: what the variables say."""
    tls = _tls_of_environment(environment, folder)
    address = environment.get("DOCKER_HOST", "").strip()
    if not address and tls is not None:
        address = "tcp://localhost:2376"
    endpoint = Endpoint(address=spelt_out(address), origin=origin, trouble=trouble, others=others)
    return Resolved(endpoint=endpoint, tls=tls if _is_tcp(endpoint) else None)


def _tls_of_environment(environment: Mapping[str, str], folder: Path) -> TlsFiles | None:
    """What DOCKER_TLS_VERIFY (or DOCKER_TLS: without looking who answers) asks for; any text at all is a yes."""
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    files = Path(environment.get("DOCKER_CERT_PATH") or folder)
    cert, key = _if_there(files / "cert.pem"), _if_there(files / "key.pem")
    return TlsFiles(verify=verify, ca=files / "ca.pem" if verify else None, **_pair(cert, key))


def _if_there(path: Path) -> Path | None:
    try:
        return path if path.exists() else None
    except OSError:
        return path  # whoever uses it says why it cannot be looked at


def _pair(cert: Path | None, key: Path | None) -> dict[str, Path | None]:
    """A certificate is of no use without its key."""
    return {"cert": cert, "key": key} if cert and key else {}


def _stored(store: Path, name: str, origin: str) -> Resolved:
    """A context of the store: `meta/ID/meta.json` and `tls/ID/docker/*.pem`, the id being the SHA-256 of its name."""
    identifier = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    meta = store / "meta" / identifier / "meta.json"
    try:
        docker = _endpoint_of(_document(meta))
        endpoint = Endpoint(address=spelt_out(docker.get("Host") or ""), context=printable(name), origin=origin)
        tls = _tls_of_store(store / "tls" / identifier / "docker", verify=not docker.get("SkipTLSVerify"))
    except FileNotFoundError as error:
        raise unusable(name, origin, f"does not exist (there is no {meta})") from error
    except (OSError, ValueError) as error:
        raise unusable(name, origin, f"cannot be used: {_words(error)} ({meta})") from error
    return Resolved(endpoint=endpoint, tls=tls if _is_tcp(endpoint) else None)


def _endpoint_of(document: dict[str, Any]) -> dict[str, Any]:
    endpoints = document.get("Endpoints")
    docker = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(docker, dict) or not isinstance(docker.get("Host") or "", str):
        raise ValueError("it has no docker endpoint")
    return docker


def _tls_of_store(folder: Path, *, verify: bool) -> TlsFiles | None:
    """A folder without files is TLS with whom this system trusts; no folder is none, unless verifying is off."""
    try:
        there = {file.name: file for file in folder.iterdir()}
    except FileNotFoundError:
        return None if verify else TlsFiles(verify=False)
    own = _pair(there.get("cert.pem"), there.get("key.pem"))
    return TlsFiles(verify=verify, ca=there.get("ca.pem") if verify else None, **own)


def unusable(name: str, origin: str, why: str) -> ContextUnusable:
    """The error for a context that was named by `origin` and is of no use."""
    return ContextUnusable(
        f'the Docker context "{printable(name)}", from {origin}, {why}',
        left="nothing was done",
        next_step="docker context ls; then docker context use NAME, or DOCKER_CONTEXT=NAME",
    )


def spelt_out(address: str) -> str:
    """An address with what docker takes for granted: its own socket, the scheme tcp, localhost, the port 2375."""
    scheme, separator, rest = address.partition("://")
    if not address or (scheme == "unix" and not rest):
        return f"unix://{_SOCKET}"
    if separator and scheme != "tcp":
        return address
    match = _TCP.fullmatch(rest if separator else address)
    if match is None:
        return address
    return f"tcp://{match['host'] or 'localhost'}:{match['port'] or 2375}{match['path'] or ''}"


def _is_tcp(endpoint: Endpoint) -> bool:
    """Whether TLS has a meaning there: docker makes none through a socket or ssh."""
    return not endpoint.address.startswith(("unix://", "ssh://"))


def _document(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises OSError and ValueError."""
    data = read_regular(path, follow=True)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    return document


def _words(error: Exception) -> str:
    return printable((isinstance(error, OSError) and error.strerror) or str(error))
