"""The line to an engine: made on first use, to the endpoint that is meant, with time limits that fit the work."""

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
import requests.adapters
from docker.constants import MINIMUM_DOCKER_API_VERSION

from bottle.docker_engine.dialect import Dialect, dialect_of
from bottle.docker_engine.endpoint import VARIABLES, Resolved, config_folder, resolve
from bottle.docker_engine.failures import FOREIGN, refused, translated, unreachable
from bottle.docker_engine.security import tls_config
from bottle.docker_engine.ssh import ENGINE, SshAdapter, ssh_command
from bottle.errors import EngineUnreachable, NotFound
from bottle.model import Endpoint

QUERY_SECONDS = 60
# Commits, loads and builds of many gigabytes are silent while they work. A limit that never ends a healthy one.
PATIENT_SECONDS = 7 * 24 * 3600

CHUNK = 1 << 20

# ValueError: an address whose port is no number, or that ssh cannot be given.
_NO_CONNECTION: tuple[type[Exception], ...] = (*FOREIGN, ValueError)

_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
# https://github.com/distribution/reference, and bare ids; no component may be empty or dots.
_IMAGE_PART = r"[a-zA-Z0-9][a-zA-Z0-9_.-]*"
_IMAGE = re.compile(rf"{_IMAGE_PART}(?::\d+)?(?:/{_IMAGE_PART})*(?::{_IMAGE_PART})?(?:@{_IMAGE_PART}:[0-9a-f]+)?")


class _Client(docker.APIClient):
    """docker-py's client, but for a refusal whose body is not what an engine would write.

    A proxy between may write anything; docker-py raises KeyError or TypeError then.
    """

    dialect = Dialect()

    @classmethod
    def over(cls, adapter: requests.adapters.BaseAdapter, *, version: str, timeout: int) -> "_Client":
        """A client whose every request goes through `adapter`."""
        client = cls(base_url=ENGINE, version=version, timeout=timeout)
        client.mount(ENGINE, adapter)
        return client

    def _raise_for_status(self, response: requests.Response) -> None:
        self.dialect = dialect_of(response.headers)
        _checked(response)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As requests has it, but that the engine's own CA stands where REQUESTS_CA_BUNDLE names another."""
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)


class Connection:
    """Two docker-py clients of one engine: `quick` for questions, `patient` for work that takes hours.

    `environment` has the variables that the docker client heeds; None means this process's. Nothing is read or sent
    before the first use, so that an engine may be made where none is needed.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._clients: tuple[_Client, _Client] | None = None
        self._environment = os.environ if environment is None else environment

    @cached_property
    def _resolved(self) -> Resolved:
        return resolve(self._environment)

    @property
    def endpoint(self) -> Endpoint:
        """Where the engine is looked for. Raises ContextUnusable."""
        return self._resolved.endpoint

    @property
    def is_local(self) -> bool:
        """Whether the engine is reached through a socket of this machine."""
        return self.endpoint.is_local

    def socket_owner(self) -> int | None:
        """The user of this machine who has the engine's socket, None where it is elsewhere or cannot be looked at."""
        if not self.is_local:
            return None
        try:
            return Path(self.endpoint.address.removeprefix("unix://")).stat().st_uid
        except OSError:
            return None

    def client_environment(self) -> Mapping[str, str]:
        """What to lay over this process's environment for a docker client that is to talk to this very engine.

        A variable that is empty is none to that client. Contexts are named, so that `docker context use` in the
        meantime changes nothing.
        """
        said = {name: self._environment.get(name, "") for name in VARIABLES}
        return {**said, "DOCKER_CONTEXT": self.endpoint.context}

    @property
    def quick(self) -> _Client:
        """The client whose calls fail after QUERY_SECONDS of silence."""
        return self._connected()[0]

    @property
    def dialect(self) -> Dialect:
        """What the engine says otherwise than Docker."""
        return self.quick.dialect

    @property
    def patient(self) -> _Client:
        """The client for what may take long."""
        return self._connected()[1]

    def _connected(self) -> tuple[_Client, _Client]:
        with self._lock:
            if self._clients is None:
                try:
                    self._clients = self._connect()
                except _NO_CONNECTION as error:
                    raise unreachable(error, str(self.endpoint)) from error
                except (AttributeError, TypeError) as error:  # what docker-py makes of odd values in there
                    path = config_folder(self._environment) / "config.json"
                    raise EngineUnreachable(
                        f"the docker client's configuration cannot be read: {error}",
                        left="nothing was done",
                        next_step=f"mend {path}",
                    ) from error
            return self._clients

    def _connect(self) -> tuple[_Client, _Client]:
        address = self.endpoint.address
        if address.startswith("ssh://"):
            adapter = SshAdapter(ssh_command(address))
            version, dialect = _met_through(adapter)
            quick = _Client.over(adapter, version=version, timeout=QUERY_SECONDS)
            quick.dialect = dialect
            return quick, _Client.over(adapter, version=version, timeout=PATIENT_SECONDS)
        tls = self._resolved.tls
        settings: Any = {"base_url": address, "tls": tls_config(tls, self.endpoint) if tls is not None else False}
        quick = _Client(version="auto", timeout=QUERY_SECONDS, **settings)
        return quick, _Client(version=quick.api_version, timeout=PATIENT_SECONDS, **settings)

    def asked_to(self, doing: str) -> AbstractContextManager[None]:
        """`failures.translated` for this engine."""
        return translated(doing, str(self.endpoint))

    def get(self, endpoint: str, doing: str, **params: str | int) -> Any:
        """The JSON answer to a question that docker-py has no method for, however long it takes."""
        with self.asked_to(doing):
            return self._request("GET", endpoint, params=params, timeout=PATIENT_SECONDS).json()

    def stream(self, endpoint: str, doing: str, **params: str | bytes | int) -> Iterator[bytes]:
        """The body of an answer in pieces of up to CHUNK bytes; a refusal is raised here, not at the first piece.

        docker-py's own iterators leave the connection open when they are abandoned, and some end silently when the
        line breaks, which would pass a torn stream off as a whole one.
        """
        with self.asked_to(doing):
            # Of an archive's stream, gzip would only be undone again here.
            headers = {"Accept-Encoding": "identity"}
            waits = (QUERY_SECONDS, None)
            response = self._request("GET", endpoint, params=params, headers=headers, stream=True, timeout=waits)
        return self._pieces(response, doing)

    def _pieces(self, response: requests.Response, doing: str) -> Iterator[bytes]:
        with self.asked_to(doing), response:
            yield from response.iter_content(CHUNK)

    def listen(self, endpoint: str, doing: str, **params: str) -> requests.Response:
        """The answer to a request whose body comes bit by bit; only its beginning has to come in QUERY_SECONDS."""
        with self.asked_to(doing):
            return self._request("GET", endpoint, params=params, stream=True, timeout=QUERY_SECONDS)

    def post(self, endpoint: str, doing: str, body: Iterable[bytes], **params: str | int) -> None:
        """Send `body`, and read the answer, a stream of JSON, to its end. An error of `body` itself is raised as is."""
        with Body(body) as source, self.asked_to(doing), self._sent("POST", endpoint, params, source) as response:
            for event in events(response.iter_content(None), doing):
                raise_error_of(event, doing)

    def put(self, endpoint: str, doing: str, body: Iterable[bytes], **params: str | int) -> None:
        """Send `body`, a tar. An error of `body` itself is raised as is."""
        with Body(body) as source, self.asked_to(doing):
            self._sent("PUT", endpoint, params, source, stream=False)

    def upgrade(
        self, endpoint: str, doing: str, body: Mapping[str, Any] | None = None, **params: str | int
    ) -> requests.Response:
        """Turn the connection of a request, with `body` as its JSON, into a raw line in both directions."""
        headers, waits = {"Connection": "Upgrade", "Upgrade": "tcp"}, (QUERY_SECONDS, None)
        with self.asked_to(doing):
            return self._request(
                "POST", endpoint, params=params, headers=headers, json=body, stream=True, timeout=waits
            )

    def _sent(
        self, method: str, endpoint: str, params: Mapping[str, str | int], tar: "Body", *, stream: bool = True
    ) -> requests.Response:
        headers = {"Content-Type": "application/x-tar"}
        return self._request(
            method, endpoint, params=params, headers=headers, data=iter(tar), stream=stream, timeout=PATIENT_SECONDS
        )

    def _request(self, method: str, endpoint: str, **how: Any) -> requests.Response:
        url = f"{self.patient.base_url}/v{self.patient.api_version}{endpoint}"
        return _checked(self.patient.request(method, url, **how))


def _met_through(adapter: requests.adapters.BaseAdapter) -> tuple[str, Dialect]:
    """The newest version of its API that the engine behind `adapter` speaks, and its dialect."""
    client = _Client.over(adapter, version=MINIMUM_DOCKER_API_VERSION, timeout=QUERY_SECONDS)
    try:
        return str(client.version(api_version=False)["ApiVersion"]), client.dialect
    except (KeyError, TypeError) as error:
        raise docker.errors.DockerException("it does not say its version") from error


class Body:
    """A body to send, as an iterable; as a context it gives the body's own error precedence over the broken line.

    urllib3 takes an OSError of the iterable for one of the connection, and would hide that a file could not be read.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if chunk:  # an empty one would end a chunked body
                    yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
            raise

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._error is not None and error is not self._error:
            raise self._error from None


def events(chunks: Iterable[bytes | str], doing: str) -> Iterator[dict[str, Any]]:
    """The objects of a stream of JSON lines, as build, pull and load answer with.

    docker-py's own reader takes a short answer for one document and fails on two.
    """
    rest = b""
    for chunk in chunks:
        rest += chunk.encode() if isinstance(chunk, str) else chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield from _event(line, doing)
    yield from _event(rest, doing)


def _event(line: bytes, doing: str) -> Iterator[dict[str, Any]]:
    if not line.strip():
        return
    try:
        event = json.loads(line)
    except ValueError as error:
        raise refused(f"it answered with what is no JSON: {line[:200]!r}", doing) from error
    if isinstance(event, dict):
        yield event


def error_of(event: Mapping[str, Any]) -> str | None:
    """The error that an event of a stream reports."""
    detail = event.get("errorDetail")
    message = (detail.get("message") if isinstance(detail, dict) else None) or event.get("error")
    return None if message is None else str(message)


def raise_error_of(event: Mapping[str, Any], doing: str) -> None:
    """Raise EngineError for an event that reports an error."""
    message = error_of(event)
    if message is not None:
        raise refused(message, doing)


def container_ref(ref: str) -> str:
    """`ref`, fit to be part of a URL's path. Raises NotFound for what can name no container or volume."""
    if _CONTAINER.fullmatch(ref) is None:
        raise NotFound(f"{ref!r} can be no name of a container or volume")
    return ref


def image_ref(ref: str) -> str:
    """`ref`, fit to be part of a URL's path. Raises NotFound for what can name no image."""
    if _IMAGE.fullmatch(ref) is None:
        raise NotFound(f"{ref!r} can be no name of an image")
    return ref


def _checked(response: requests.Response) -> requests.Response:
    """The response, unless it is a refusal: that is raised as docker-py raises it, and closed."""
    if response.status_code < requests.codes.bad_request:
        return response
    with response:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = response.text.strip() or response.reason
    raise docker.errors.APIError("refused", response=response, explanation=message)
