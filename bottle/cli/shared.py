"""What every command needs: the context it acts in, its options, and errors that become exit codes."""

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from bottle.cli.journal import JOURNAL, Told
from bottle.cli.loudness import Loudness
from bottle.cli.output import confirmed, note, on_terminal, report
from bottle.cli.picker import pick
from bottle.cli.progress import for_stderr
from bottle.cli.terminal import ending_signals
from bottle.docker_engine import DockerEngine
from bottle.errors import BottleError, Interrupted, NeedsConsent, UsageError
from bottle.home import default_home
from bottle.operations import Context, list_bottles
from bottle.ports import Progress
from bottle.progress import Silent
from bottle.state import BottleState, StateHome
from migrate.fold import Folder

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_NEED_A_CONTAINER = {"committed", "stopped", "attached"}

format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How the answer is printed."
)


def command(function: F) -> F:
    """Turn the errors of a command into messages and exit codes, and the signals that end it into an interruption."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with ending_signals():
            return told(*args, **kwargs)

    def told(*args: Any, **kwargs: Any) -> Any:
        form = kwargs.get("form", "text")
        asked = click.get_current_context(silent=True)
        JOURNAL.asked(asked.command_path if asked is not None else function.__name__, kwargs)
        try:
            return function(*args, **kwargs)
        except BottleError as exc:
            JOURNAL.failed(exc)
            report(exc, form, log=JOURNAL.path)
            raise SystemExit(exc.exit_code) from exc
        except BrokenPipeError:
            raise  # nobody reads the answer: click ends quietly
        except OSError as exc:
            JOURNAL.failed(exc)
            report(
                BottleError(f"the operating system refused: {exc}", next_step="ls -ld .; df -h ."),
                form,
                log=JOURNAL.path,
            )
            raise SystemExit(BottleError.exit_code) from exc
        except (KeyboardInterrupt, click.Abort) as exc:  # the latter at a question
            report(Interrupted("interrupted", next_step="the same command again goes on"), form)
            raise SystemExit(Interrupted.exit_code) from exc

    return cast("F", run)


def consenting(act: Callable[[bool], T], *, yes: bool) -> T:
    """What `act` answers. It is told whether there is consent; on a terminal that is asked for. Raises NeedsConsent."""
    try:
        return act(yes)
    except NeedsConsent as exc:
        if not on_terminal():
            raise
        note(exc.what)
        if not confirmed("Go on?"):
            raise
        return act(True)


def make_context(shown: Progress | None = None) -> Context:
    """The real world: this user's state, the engine of the environment, progress shown by `shown` or on stderr."""
    if shown is None:
        current = click.get_current_context(silent=True)
        loudness = current.find_root().obj if current is not None else None
        quiet = isinstance(loudness, Loudness) and loudness.quiet
        shown = Silent() if quiet else for_stderr()
    home, engine, progress = StateHome(default_home()), DockerEngine(), Told(shown)
    return Context(
        home=home,
        engine=engine,
        environ=os.environ,
        progress=progress,
        folder=Folder(engine, home.path, progress),
    )


def choose(context: Context, identity: str | None, verb: str) -> BottleState:
    """The bottle that is meant. Without an identity: a picker on a terminal, else an error that lists them."""
    if identity is not None:
        return context.home.find(identity)
    known = list_bottles(context)
    views = [view for view in known if view.may_have_container or verb not in _NEED_A_CONTAINER]
    if views and on_terminal():
        return context.home.bottle(pick(views, verb))
    names = [str(view.identity) for view in views]
    choice = "one of: " + ", ".join(names) if names else "there is none"
    raise UsageError(f"which bottle is to be {verb}? {choice}", next_step="bottle list")
