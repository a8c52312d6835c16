"""The one place where errors of docker-py, requests and urllib3 become bottle's own."""

import errno
import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests
import urllib3.exceptions
from docker.credentials.errors import StoreError

from bottle.docker_engine.dialect import dialect_of
from bottle.errors import BottleError, CannotPause, Conflict, EngineError, EngineUnreachable, NotFound, PortTaken
from bottle.text import printable, shortened

FOREIGN: tuple[type[Exception], ...] = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    StoreError,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.ProxySchemeUnsupported,  # the one of urllib3's that is no HTTPError
    http.client.HTTPException,
    OSError,
)

TOO_LONG = "file name too long"  # ENAMETOOLONG as Go says it, behind the whole path
_MESSAGE_LIMIT = 2000
_DOCTOR = "bottle doctor"
_UNKNOWN = "whether it was done is not known: Docker may still be at it"
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE}

# Causes on the way to the engine, before it can have heard of the request.
_NEVER_CONNECTED = (
    requests.exceptions.ConnectTimeout,
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    FileNotFoundError,
    ConnectionRefusedError,
    PermissionError,
)
_SILENT = (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)

# Answers with status 500, of Docker 20.10 and of Podman, that later engines of Docker give with 409 and 404.
_CONFLICTS_WITH_STATUS_500 = ("is not paused", "container state improper", "that name is already in use")
_MISSING_WITH_STATUS_500 = ("layer not known",)

# What a start says of a port that is taken, in the words of several engines:
# Bind for 127.0.0.1:80 failed: port is already allocated · listen tcp4 127.0.0.1:80: bind: address already in use ·
# failed to bind host port for 127.0.0.1:80:172.17.0.2:80/tcp: address already in use
_IN_USE = ("already allocated", "already in use")
_PORT = re.compile(
    r"(?:Bind for|listen (?:tcp|udp)[46]?|host port(?: for)?) (?P<place>(?:[0-9.]+|\[[0-9a-fA-F:]+\]|):(?P<port>\d+))"
)
# What an engine lacks, by its own words: the cause in ours, and what mends it.
_CAUSES: tuple[tuple[re.Pattern[str], type[EngineError], str, str], ...] = (
    (
        re.compile(r"could not select device driver .*gpu|no known GPU vendor"),
        EngineError,
        "it has no driver for the GPUs that it asks for",
        "install the NVIDIA Container Toolkit on the engine's machine, or start it without `gpus`",
    ),
    (
        re.compile(r"cannot toggle freezer: cgroups not configured|cannot pause the container without a cgroup"),
        CannotPause,
        "it is rootless, and has no cgroups to pause with",
        "give the engine cgroup v2 and systemd",
    ),
    (
        re.compile(r"container-init binary not found"),
        EngineError,
        "it has no init for containers",
        "install the package catatonit on the engine's machine",
    ),
)


@contextmanager
def translated(doing: str, address: str) -> Iterator[None]:
    """Raise bottle's own errors instead of foreign ones that come up while the context is open.

    `doing` continues "Docker could not …"; `address` is where the engine was looked for. A 404 becomes NotFound, a
    409 Conflict, any other answer of the engine EngineError with the engine's own words; nobody there, or no right to
    talk to it, EngineUnreachable. Where the line broke or went silent after the request had gone out, the error says
    that the outcome is unknown.
    """
    try:
        yield
    except BottleError:
        raise
    except FOREIGN as error:
        raise translate(error, doing, address) from error


def translate(error: Exception, doing: str, address: str) -> BottleError:
    """What `error` is in bottle's words; see `translated`."""
    if isinstance(error, docker.errors.APIError) and error.status_code is not None:
        product = dialect_of(error.response.headers if error.response is not None else {}).product.value
        return _refusal(error.status_code, str(error.explanation or error), doing, product)
    chain = tuple(_causes(error))
    if any(isinstance(cause, OSError) and cause.errno in _NO_DESCRIPTOR for cause in chain):
        return EngineError(
            f"too few file descriptors are left to ask Docker to {doing}: {_words(chain)}",
            left=_UNKNOWN,
            next_step="ulimit -n 1024, then the same again",
        )
    if any(isinstance(cause, _NEVER_CONNECTED) for cause in chain):
        return unreachable(error, address)
    if any(isinstance(cause, _SILENT) for cause in chain):
        return EngineError(
            f"Docker at {address} did not answer in time while asked to {doing}",
            left=_UNKNOWN,
            next_step=_DOCTOR,
        )
    if any(isinstance(cause, (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException)) for cause in chain):
        return EngineError(
            f"the connection to Docker at {address} broke while it was asked to {doing}: {_words(chain)}",
            left=_UNKNOWN,
            next_step=_DOCTOR,
        )
    return EngineError(f"Docker could not {doing}: {_words(chain)}", next_step=_DOCTOR)


def refused(message: str, doing: str) -> EngineError:
    """The error for an answer that begins well and ends with `message`."""
    return EngineError(f"Docker could not {doing}: {printable(message, _MESSAGE_LIMIT)}", next_step=_DOCTOR)


def _refusal(status: int, message: str, doing: str, product: str) -> BottleError:
    if message.rstrip().endswith(TOO_LONG):
        message = f"{shortened(message.rstrip().removesuffix(TOO_LONG))}: {TOO_LONG}"
    text = f"{product} could not {doing}: {printable(message, _MESSAGE_LIMIT)}"
    if any(word in message for word in _IN_USE) and (port := _PORT.search(message)) is not None:
        return PortTaken(
            f"{product} could not {doing}: port {port['place']} of the host is taken by another program",
            next_step=f"docker ps --filter publish={port['port']}; ss -lntup; then the same command again",
        )
    for pattern, error, cause, next_step in _CAUSES:
        if pattern.search(message):
            said = printable(message, _MESSAGE_LIMIT)
            return error(f"{product} could not {doing}: {cause}", details=(said,), next_step=next_step)
    if status == requests.codes.not_found or message.rstrip().endswith(_MISSING_WITH_STATUS_500):
        return NotFound(text)
    if status == requests.codes.conflict or message.rstrip().endswith(_CONFLICTS_WITH_STATUS_500):
        return Conflict(text)
    return EngineError(text, next_step=_DOCTOR)


def unreachable(error: BaseException, address: str) -> EngineUnreachable:
    """The error for an engine that nobody could talk to, with the case of missing rights told apart."""
    chain = tuple(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in chain):
        what = f"permission denied: this user may not talk to Docker at {address}"
    else:
        what = f"no Docker Engine answers at {address}: {_words(chain)}"
    return EngineUnreachable(what, left="nothing was done", next_step=_DOCTOR)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those inside it: its causes, and those that urllib3 and requests pack into arguments.

    `__context__` is left out: it may lead to what the caller was handling when it asked.
    """
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        pending += [each.__cause__, getattr(each, "reason", None), *each.args]


def _words(chain: tuple[BaseException, ...]) -> str:
    """The innermost error that an operating system gave, else the first one's own words."""
    for cause in chain:
        if isinstance(cause, OSError) and cause.strerror:
            return printable(cause.strerror)
    return printable(str(chain[0])) or type(chain[0]).__name__
