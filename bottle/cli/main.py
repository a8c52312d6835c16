"""The `bottle` group: every command, in the order in which people meet them, and loaded only when it is meant."""

import io
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, NoReturn

import click
from click.shell_completion import add_completion_class

import bottle
from bottle.cli import tab
from bottle.cli.group import Group
from bottle.cli.journal import JOURNAL, OneLine
from bottle.cli.output import JSON, TEXT, answer, report, wants_colour
from bottle.cli.sigint import WORDS, is_interruption
from bottle.cli.tab import Bash
from bottle.errors import BottleError, UsageError
from bottle.home import default_home

_COMMANDS = {
    "init": "init:init",
    "start": "start:start",
    "list": "listing:list_command",
    "ls": "listing:list_command",
    "inspect": "look:inspect_command",
    "attach": "attach:attach",
    "exec": "attach:exec_command",
    "cp": "cp:cp",
    "logs": "attach:logs",
    "commit": "commit:commit",
    "history": "look:history_command",
    "diff": "diff:diff",
    "resume": "resume:resume",
    "fork": "fork:fork",
    "stop": "bottles:stop",
    "rm": "bottles:rm",
    "prune": "prune:prune",
    "capability": "capability:capability",
    "migrate": "migrate:migrate",
    "evacuate": "evacuate:evacuate",
    "standby": "standby:standby",
    "takeover": "takeover:takeover",
    "export": "bundle:export_command",
    "import": "bundle:import_command",
    "dashboard": "dashboard:dashboard",
    "doctor": "doctor:doctor",
    "version": "version:version",
    "completion": "shells:completion_command",
    "install-plugin": "installplugin:install_plugin_command",
    "mcp": "mcp:mcp",
    "send-over-stdio": "send:send_over_stdio",
}

# What `bottle --help` shows, in the order in which people meet it; what stands in none of them is for other programs.
_SECTIONS = {
    "Run agents": ("init", "start", "list", "attach", "exec", "cp", "logs", "stop"),
    "Keep their work": ("commit", "resume", "history", "diff", "fork", "inspect"),
    "Move it": ("migrate", "evacuate", "standby", "takeover", "export", "import"),
    "Decide what they ask for": ("capability", "dashboard", "mcp"),
    "Tidy up": ("rm", "prune", "doctor", "version", "completion", "install-plugin"),
}
_ALIASES = {"list": "list, ls"}
_DOCKERS = {
    "run": "start",
    "create": "start",
    "ps": "list",
    "kill": "stop",
    "images": "history",
    "save": "export",
    "load": "import",
    "push": "migrate",
    "pull": "migrate --from",
    "help": "--help",
}

add_completion_class(Bash)

EXIT_CODES = """\b
Exit codes: 0 done, 1 failed, 2 usage,
3 no such bottle, agent or commit, 4 conflict,
5 Docker not reachable or refused,
6 SSH or remote failure, 7 verification failed,
8 refused by preflight, 130 interrupted."""


class Commands(Group):
    """Imports a command's module when the command is called: most of them need no SSH, and `--help` no Docker."""

    elsewhere = _DOCKERS

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run, and end the process, as click does; but what click calls `Aborted!` is an interruption like others."""
        words = list(sys.argv[1:] if args is None else args)
        JOURNAL.begun = False
        try:
            code = super().main(words, *rest, **{**extra, "standalone_mode": False})
        except click.ClickException as exc:
            exc.show()
            code = exc.exit_code
        except (Exception, KeyboardInterrupt) as exc:
            if not is_interruption(exc):
                raise
            leave(words)
        sys.exit(code)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words: an error in them is told in the form that they ask for."""
        ctx.meta[WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what is wrong before it begins is told as any other error is, to a program by a document."""
        try:
            return super().invoke(ctx)
        except click.UsageError as exc:
            if not wants_json(ctx.meta[WORDS]):
                raise
            path = exc.ctx.command_path if exc.ctx is not None else ctx.command_path
            report(UsageError(exc.format_message(), next_step=f"{path} --help"), JSON)
            raise SystemExit(UsageError.exit_code) from exc
        except BottleError as exc:
            report(exc, JSON if wants_json(ctx.meta[WORDS]) else TEXT)
            raise SystemExit(exc.exit_code) from exc

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in their order."""
        return list(_COMMANDS)

    def sections(self, ctx: click.Context) -> Mapping[str, Mapping[str, str]]:
        """The commands, by what they are for."""
        return {title: {_ALIASES.get(name, name): name for name in names} for title, names in _SECTIONS.items()}

    def summary(self, ctx: click.Context, name: str) -> str:
        """The first sentence of a command's help, without its module."""
        return tab.summary(name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`, or None; for a Tab, one that only completes as it does."""
        if ctx.resilient_parsing:
            return tab.command(cmd_name)
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(import_module(f"bottle.cli.{module}"), name)
        assert isinstance(command, click.Command)  # the table above names nothing else
        return command


def leave(words: Sequence[str]) -> NoReturn:
    """End a run that was interrupted before a command began, or after it had said what it left, and say so."""
    from bottle.cli.interruption import again, cut  # noqa: PLC0415  (a Tab needs none of it)

    begun = JOURNAL.begun
    told = cut("what was done by then is done", "bottle list") if begun else cut("nothing was begun", again(words))
    report(told, JSON if wants_json(words) else TEXT)
    raise SystemExit(told.exit_code)


def wants_json(words: Sequence[str]) -> bool:
    """Whether the words of a command line ask for the answer of a program."""
    own = words[: words.index("--")] if "--" in words else words
    return "--format=json" in own or ("--format", "json") in pairwise(own)


def _tell_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        answer(TEXT, {}, [f"bottle, version {bottle.__version__}"])
        context.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version and exit.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress; answers, warnings and errors only.")
@click.option("-v", "--verbose", is_flag=True, help="The full story on stderr, as it is in the log file.")
@click.pass_context
def main(context: click.Context, quiet: bool, verbose: bool) -> None:  # `quiet`: see shared.make_context
    """Make the work inside an agent's Docker container durable and movable.

    \b
    Example:
      bottle start claude -d          launch an agent in this folder
      bottle commit claude-x7k2p      freeze it into an image
      bottle resume claude-x7k2p      bring it back from there
      bottle migrate claude-x7k2p me@newhost
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what an agent wrote fits no locale for certain
    context.color = wants_colour(os.environ)
    JOURNAL.open(default_home(), context.invoked_subcommand or "bottle")
    if verbose:
        shown = logging.StreamHandler()
        shown.setFormatter(OneLine("%(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(shown)
