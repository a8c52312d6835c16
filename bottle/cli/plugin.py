"""bottle as a plugin of the docker client, which runs `docker-bottle` with all the words behind `docker`.

`python -m bottle.cli.dockerplugin WORDS…` is what `bottle install-plugin` has it run. Source:
https://github.com/docker/cli/tree/master/cli-plugins: manager, metadata and socket.
"""

import json
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from threading import Thread

from click.shell_completion import CompletionItem, ShellComplete

import bottle
from bottle.cli.clientoptions import Invocation, read_options
from bottle.cli.main import main, wants_json
from bottle.cli.output import JSON, TEXT, Verbatim, answer, report
from bottle.errors import UsageError

_PROGRAM = "docker bottle"
_METADATA = "docker-cli-plugin-metadata"
_COMPLETE = ("__complete", "__completeNoDesc")
_SOCKET = "DOCKER_CLI_PLUGIN_SOCKET"
# What cobra's completion does with the word: https://github.com/spf13/cobra/blob/main/completions.go.
_NO_FILES, _FILES, _FOLDERS = 4, 0, 16


def run(words: Sequence[str]) -> None:
    """Do what the docker client asks for."""
    match words:
        case [first, *_] if first == _METADATA:
            _print(json.dumps(_metadata()))
        case [first, _, *typed, incomplete] if first in _COMPLETE:
            items = ShellComplete(main, {}, _PROGRAM, "").get_completions(list(typed), incomplete)
            _print(*completions(items))
        case _:
            end_with_the_client()
            _run_command(words)


def _run_command(words: Sequence[str]) -> None:
    try:
        asked = read_options(words)
        own = _own_words(asked)
    except UsageError as exc:
        report(exc, JSON if wants_json(words) else TEXT)
        raise SystemExit(exc.exit_code) from exc
    os.environ.update(asked.environment)
    main(own, prog_name=_PROGRAM)


def _own_words(asked: Invocation) -> list[str]:
    """What `bottle` would be called with. Raises UsageError where this is not called by the docker client."""
    match asked.words:
        case ("help", "bottle", *own):
            return _for_help(own)
        case ("bottle", *own):
            return _for_help(own) if asked.wants_help else [*["--verbose"] * asked.debug, *own]
        case _:
            raise UsageError("this is a plugin of the docker client, which runs it", next_step="docker bottle --help")


def _for_help(words: Sequence[str]) -> list[str]:
    """`words` with --help, which behind `--` would be another program's."""
    return [*takewhile(lambda word: word != "--", words), "--help"]


def _metadata() -> dict[str, str]:
    """What the docker client wants to know of a plugin."""
    return {
        "SchemaVersion": "0.1.0",
        "Vendor": "The bottle authors",
        "Version": bottle.__version__,
        "ShortDescription": "Make the work inside an agent's container durable and movable",
    }


def completions(items: Sequence[CompletionItem]) -> list[str]:
    """Words for the docker client's own completion: a line of each, with its help, and last what else may complete."""
    kinds = {item.type for item in items}
    rest = _FOLDERS if "dir" in kinds else _FILES if "file" in kinds else _NO_FILES
    plain = [item for item in items if item.type == "plain"]
    return [*(f"{item.value}\t{item.help}" if item.help else str(item.value) for item in plain), f":{rest}"]


def _print(*lines: str) -> None:
    answer(TEXT, {}, [Verbatim(line) for line in lines])


def end_with_the_client() -> None:
    """End when the docker client is told to: off a terminal it keeps the signal to itself, and closes a socket.

    It takes itself to be off a terminal also where only its output goes elsewhere. There Ctrl-C comes here as well, and
    once is enough.
    """
    address = os.environ.pop(_SOCKET, "")
    if not address or hears_ctrl_c():
        return
    line = socket.socket(socket.AF_UNIX)
    with suppress(OSError):
        line.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        Thread(target=_await_end, args=(line,), daemon=True).start()


def hears_ctrl_c() -> bool:
    """Whether this is what a terminal has in its foreground."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _await_end(line: socket.socket) -> None:
    with suppress(OSError), line:
        while line.recv(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
