"""Where the program begins and ends: a Ctrl-C is heard before anything is loaded, and wherever it comes.

Only what Python has loaded in any case is imported here. All else is loaded where a Ctrl-C is heard already.
"""

import signal
import sys

from bottle.cli.sigint import is_interruption

TYPE_CHECKING = False  # as typing has it, which would have to be loaded
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOMENT = 0.01  # seconds


def main() -> None:
    """Run `bottle`, and end the process."""
    hearing(_bottle, sys.argv[1:])


def _bottle() -> None:
    from bottle.cli.main import main as command  # noqa: PLC0415  (as said above)

    command(prog_name="bottle")


def hearing(program: "Callable[[], None]", words: "Sequence[str]") -> None:
    """Run `program`, and end the process. `words` are those of the command, for who interrupts it before it begins."""
    sys.unraisablehook = _hear_again
    is_heard = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # as it is not in a shell's background
    try:
        program()
    except (Exception, KeyboardInterrupt) as exc:
        if not is_interruption(exc):
            raise
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is said now is said whole
        from bottle.cli.main import leave  # noqa: PLC0415  (its loading may be what was interrupted)

        leave(words)
    finally:
        # From here on nothing is left to be said: one that waits for a thread's end is ended by the signal itself.
        signal.signal(signal.SIGINT, signal.SIG_DFL if is_heard else signal.SIG_IGN)


def _hear_again(lost: "sys.UnraisableHookArgs") -> None:
    """Have a Ctrl-C that came where nothing can be raised, such as in a destructor, come once more, a moment later."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    import threading  # noqa: PLC0415  (as said above)

    main_thread = threading.main_thread().ident
    assert main_thread is not None  # it runs
    threading.Timer(_MOMENT, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
