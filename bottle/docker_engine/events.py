"""The engine's events, as a stream that another thread can end."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

import requests

from bottle import facts
from bottle.docker_engine.connection import events, raise_error_of
from bottle.docker_engine.dialect import Dialect
from bottle.docker_engine.failures import refused
from bottle.errors import BottleError, EngineError
from bottle.facts import has_labels
from bottle.model import ContainerEvent


class DockerEvents:
    """`ports.Events` over the answer to an events request."""

    def __init__(
        self,
        response: requests.Response,
        doing: str,
        translated: Callable[[], AbstractContextManager[None]],
        dialect: Dialect,
        labels: Mapping[str, str | None],
    ) -> None:
        self._response = response
        self._dialect = dialect
        self._labels = labels
        self._doing = doing
        self._translated = translated
        self._closed = False
        self._socket = _socket_of(response)
        self._socket.settimeout(None)  # nothing may happen for days

    def __iter__(self) -> Iterator[ContainerEvent]:
        """The events as they come; ends when the stream is closed."""
        try:
            with self._response, self._translated():
                for event in events(self._response.iter_content(None), self._doing):
                    raise_error_of(event, self._doing)
                    read = self._read(event)
                    if has_labels(read.labels, self._labels):
                        yield read
        except BottleError:
            if not self._closed:
                raise
        if not self._closed:
            raise EngineError("Docker ended the stream of its events", next_step="bottle doctor")

    def _read(self, event: dict[str, Any]) -> ContainerEvent:
        try:
            return facts.container_event(self._dialect.event(event))
        except (KeyError, ValueError) as error:
            raise refused(f"it told of an event that is none: {str(event)[:200]}", self._doing) from error

    def close(self) -> None:
        """End it, also where another thread waits for the next event: closing alone would not wake that one."""
        self._closed = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _socket_of(response: requests.Response) -> socket.socket:
    """The socket below a response whose body has not been read."""
    raw: Any = response.raw
    # http.client takes it from its connection where the engine will close that after the answer.
    line: socket.socket = raw.connection.sock or raw._fp.fp.raw._sock
    return line
