"""The bottle's agent: does what it is told, keeps mappings and files open meanwhile. Python's own library only.

`agent.py serve` waits for operations at a socket that has no name on the disk; `agent.py tell JSON`, run beside it,
hands it a list of them, each a list of a name and arguments, and prints what became of each: "" or an error's name.
"""

import errno
import json
import signal
import socket
import sys
import threading
import time
from typing import Any

import journal
import operations

_ADDRESS = "\0agent"
_PATIENCE = 120.0  # seconds, for all that it is told at once
_BREATH = 0.005  # seconds; what grows in a rush grows by a few MB a minute
_STEADY = threading.Event()
_RUSHES: list[threading.Thread] = []


def perform(name: str, *arguments: Any) -> str:
    """Do one; the name of the error that came of it."""
    if name == "rush":
        _STEADY.clear()
        _RUSHES.append(threading.Thread(target=_rush, args=arguments, daemon=True))
        _RUSHES[-1].start()
        return ""
    if name == "journal":
        journal.prepare()
        _STEADY.clear()
        _RUSHES.append(threading.Thread(target=journal.keep, args=(_STEADY,), daemon=True))
        _RUSHES[-1].start()
        return ""
    if name == "steady":
        _STEADY.set()
        while _RUSHES:
            _RUSHES.pop().join()
        return ""
    try:
        operations.OPERATIONS[name](*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    except (KeyError, ValueError):
        return "none"
    return ""


def _rush(steps: list[list[Any]]) -> None:
    """Do some again and again, until all is to be steady."""
    while not _STEADY.is_set():
        for name, *arguments in steps:
            if _STEADY.is_set():
                break
            perform(name, *arguments)
            time.sleep(_BREATH)


def serve() -> None:
    """Wait for operations, until the container ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(_ADDRESS)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as stream:
                steps = json.loads(stream.readline())
                outcomes = [perform(*step) for step in steps]
                stream.write(json.dumps(outcomes) + "\n")


def tell(steps: str) -> None:
    """Hand operations over, once there is somebody to take them."""
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(_ADDRESS)
            except ConnectionRefusedError:
                time.sleep(0.05)
                continue
            connection.settimeout(_PATIENCE)
            with connection.makefile("rw") as stream:
                stream.write(steps + "\n")
                stream.flush()
                sys.stdout.write(stream.readline())
            return
    sys.exit("no agent answers")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        tell(sys.argv[2])
