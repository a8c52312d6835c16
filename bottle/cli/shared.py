"""What every command needs: the context it acts in, its options, and errors that become exit codes."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from bottle.cli.interruption import interrupted
from bottle.cli.journal import JOURNAL, Told
from bottle.cli.output import JSON, note, on_terminal, report
from bottle.cli.picker import NothingChosen, may_be, pick
from bottle.cli.progress import for_stderr
from bottle.cli.sigint import WORDS, is_interruption
from bottle.cli.terminal import ending_signals, held_off
from bottle.errors import BottleError, Interrupted, UsageError
from bottle.operations import Context, list_bottles
from bottle.ports import Progress, Silent
from bottle.store.state import BottleState

F = TypeVar("F", bound=Callable[..., Any])

_DASHES = "--"


class WithCommand(click.Command):
    """A command whose parameter `words` is what stands behind `--`, word by word: none too many passes for it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before `--` as any other command does."""
        end = args.index(_DASHES) if _DASHES in args else len(args)
        try:
            rest = super().parse_args(ctx, args[:end])
        except click.UsageError as exc:
            if not exc.message.startswith("Got unexpected extra argument"):
                raise
            raise click.UsageError(f"{exc.message}; what is to run instead of the agent goes behind --", ctx) from exc
        ctx.params["words"] = tuple(args[end + 1 :])
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line, with the command to run at its end."""
        return [*super().collect_usage_pieces(ctx), "[-- CMD…]"]


def command(function: F) -> F:
    """Turn the errors of a command into messages and exit codes, and the signals that end it into an interruption."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with ending_signals():
            return told(*args, **kwargs)

    def told(*args: Any, **kwargs: Any) -> Any:
        asked = click.get_current_context(silent=True)
        JOURNAL.asked(asked.command_path if asked is not None else function.__name__, kwargs)
        try:
            return function(*args, **kwargs)
        except (Exception, KeyboardInterrupt) as exc:
            error = told_as(exc, asked)
            if error is None:
                raise
            with held_off():
                JOURNAL.failed(exc)
                _tell(error, kwargs.get("form", "text"))
            raise SystemExit(error.exit_code) from exc

    return cast("F", run)


def answering(function: F) -> F:
    """A command that answers in the form that is asked for."""
    forms = click.Choice(["text", "json"])
    option = click.option("--format", "form", type=forms, default="text", help="How the answer is printed.")
    return option(command(function))


def told_as(exc: BaseException, asked: click.Context | None) -> BottleError | None:
    """What is told of what a command raised; None where that is no error of ours."""
    if is_interruption(exc) and not isinstance(exc, Interrupted):
        return interrupted(exc, command_name(asked), typed(asked))
    match exc:
        case UsageError() if not exc.next_step and asked is not None:
            exc.next_step = f"{asked.command_path} --help"
            return exc
        case BottleError():
            return exc
        case BrokenPipeError():
            return None  # nobody reads the answer: click ends quietly
        case OSError():
            return BottleError(f"the operating system refused: {exc}", next_step="ls -ld .; df -h .")
    return None


def _tell(error: BottleError, form: str) -> None:
    """Tell of an error; that nothing was chosen is none."""
    if isinstance(error, NothingChosen) and form != JSON:
        note(f"{error.what}; {error.left}")
    else:
        report(error, form, log=None if isinstance(error, Interrupted) else JOURNAL.path)


def command_name(context: click.Context | None) -> str:
    """The command that runs, by its own name and not by what it is called: `list`, `capability show`."""
    names = []
    while context is not None and context.parent is not None:
        names.append(context.command.name or "")
        context = context.parent
    return " ".join(reversed(names))


def typed(context: click.Context | None = None) -> tuple[str, ...]:
    """The words behind `bottle`, as they were typed."""
    context = context or click.get_current_context(silent=True)
    return tuple(context.find_root().meta.get(WORDS, ())) if context is not None else ()


def make_context(shown: Progress | None = None) -> Context:
    """What this user's commands act in; progress is shown by `shown`, or on stderr."""
    from bottle import composition  # noqa: PLC0415  (docker takes long to load, and a help or a completion needs none)

    if shown is None:
        current = click.get_current_context(silent=True)
        quiet = current is not None and current.find_root().params.get("quiet", False)  # `bottle -q commit`
        shown = Silent() if quiet else for_stderr()
    return composition.make_context(progress=Told(shown))


def choose(context: Context, identity: str | None, verb: str) -> BottleState:
    """The bottle that is meant. Without an identity: a picker on a terminal, else an error that lists them."""
    if identity is not None:
        return context.home.find(identity)
    known = list_bottles(context)
    views = [view for view in known if may_be(verb, view)]
    if views and on_terminal():
        return context.home.bottle(pick(views, verb))
    names = [str(view.identity) for view in views]
    others = [f"{view.identity} ({view.status})" for view in known]
    choice = f"one of: {', '.join(names)}" if names else "; ".join(["there is none that can be", *others])
    raise UsageError(f"which bottle is to be {verb}? {choice}", next_step="bottle list")
