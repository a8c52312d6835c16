"""The commands as a Tab and the list of them need them: the words that they take, without the modules that do the work.

A Tab has 150 ms, and the modules of a command take longer to load than that. `commands.json` has what completion looks
at, and the first sentence of each help; tests/unit/cli/test_tab.py holds it to the commands, and UPDATE_GOLDEN=1 writes
it anew.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import BashComplete, CompletionItem

from bottle.cli.group import WHOLE

Words = Mapping[str, Any]

FILE = Path(__file__).with_name("commands.json")


def described(command: click.Command) -> dict[str, Any]:
    """What of a command completion looks at, and of those below it."""
    words: dict[str, Any] = {
        "help": command.get_short_help_str(WHOLE),
        "hidden": command.hidden,
        "params": [_described(param) for param in command.params],
    }
    if isinstance(command, click.Group):
        words["commands"] = {name: described(below) for name, below in command.commands.items()}
    return words


def _described(param: click.Parameter) -> dict[str, Any]:
    """What is not said is as click has it."""
    completer = param._custom_shell_complete
    words = {
        "names": [param.name, *(param.opts if isinstance(param, click.Option) else ())],
        "nargs": param.nargs if param.nargs != 1 else None,
        "choices": list(param.type.choices) if isinstance(param.type, click.Choice) else None,
        "path": isinstance(param.type, click.Path),
        "complete": completer.__name__ if completer is not None else None,
    }
    if isinstance(param, click.Option):
        words |= {"flag": param.is_flag, "multiple": param.multiple, "hidden": param.hidden, "help": param.help}
    return {key: value for key, value in words.items() if value}


def summary(name: str) -> str:
    """The first sentence of a command's help."""
    return cast("str", _all()[name]["help"])


def command(name: str) -> click.Command | None:
    """A command that completes as the real one, and does nothing."""
    words = _all().get(name)
    return _made(name, words) if words is not None else None


@cache
def _all() -> Mapping[str, Words]:
    return cast("Mapping[str, Words]", json.loads(FILE.read_bytes()))


def _made(name: str, words: Words) -> click.Command:
    kind = {"name": name, "help": words["help"], "hidden": words["hidden"]}
    params = [_param(each) for each in words["params"]]
    if "commands" not in words:
        return click.Command(params=params, **kind)
    return click.Group(
        params=params, commands={below: _made(below, each) for below, each in words["commands"].items()}, **kind
    )


def _param(words: Words) -> click.Parameter:
    from bottle.cli import completion  # noqa: PLC0415  (the list of commands needs none of it)

    completer = getattr(completion, words["complete"]) if "complete" in words else None
    kind: dict[str, Any] = {"nargs": words.get("nargs", 1), "type": _type(words), "shell_complete": completer}
    name, *options = words["names"]
    if not options:
        return click.Argument([name], required=False, **kind)
    return click.Option(
        [*options, name],
        is_flag="flag" in words,
        multiple="multiple" in words,
        hidden="hidden" in words,
        help=words.get("help"),
        **(kind if "flag" not in words else {}),
    )


def _type(words: Words) -> "click.ParamType[Any]":
    if "choices" in words:
        return click.Choice(words["choices"])
    return click.Path() if "path" in words else click.STRING


class Bash(BashComplete):
    """As click's, but that bash takes an @ for a word of its own, and replaces it with what stands behind it."""

    _behind = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is being typed, and that one, each whole."""
        args, incomplete = super().get_completion_args()
        if incomplete == "@" and args:
            self._behind = args[-1]
            return args[:-1], f"{self._behind}@"
        if len(args) > 1 and args[-1] == "@":
            self._behind = args[-2]
            return args[:-2], f"{self._behind}@{incomplete}"
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """As the script of the shell reads it."""
        return f"{item.type},{item.value.removeprefix(self._behind)}"
