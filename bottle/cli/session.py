"""An attached session: the user at one end, the agent at the other, and what is done when one of them leaves.

What is said of one that nobody attends stands at the end.
"""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from bottle.cli.forms import document_of
from bottle.cli.interruption import found_out
from bottle.cli.output import JSON, answer, note, quoted
from bottle.cli.relay import Console, OutputClosed, Relayed
from bottle.errors import BottleError, EngineError, Interrupted, Locked, NotFound
from bottle.model import ContainerFacts
from bottle.naming import Identity
from bottle.operations import Context, Ended, abandon, end_session
from bottle.operations.launching import begin_container
from bottle.store.state import BottleState

_MOMENT = 2.0  # seconds from the end of an agent's output to its container's stop, when all is well
_INTERVAL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a session ended. `exit_code` is the agent's; None when the user detached and it goes on."""

    exit_code: int | None
    removed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def detached(self) -> bool:
        """Whether the agent goes on."""
        return self.exit_code is None


def attend(
    context: Context,
    state: BottleState,
    *,
    form: str,
    document: Mapping[str, object],
    remove: bool,
    begin: bool,
    fresh: bool = False,
) -> None:
    """Join a bottle's session until its agent ends or the user detaches, say how to come back, and exit as it did.

    `begin` starts the container, after joining it, so that nothing is missed. `fresh` says that the bottle was made
    for this session: if it cannot be started nothing of it is left. `remove` is `--rm`. In the form `json`, `document`
    is printed at the end, with what the session adds to it. Raises SystemExit with the agent's exit code unless that
    is 0, Interrupted, EngineError or NotFound.
    """
    detached = _begin(context, state, form, fresh=fresh) if begin else _rejoin(context, state, form)
    ending = Ending(exit_code=None) if detached else _end(context, state, remove=remove)
    _tell(state.identity, ending, form, document, remove=remove)
    if ending.exit_code:
        raise SystemExit(ending.exit_code)


def _begin(context: Context, state: BottleState, form: str, *, fresh: bool) -> bool:
    """Start the container and stay with it; whether the user detached."""
    engine, console = context.engine, Console.for_form(form)
    begun = False
    try:
        name = _container(context, state.identity).name
        with closing(engine.attach(name)) as session, Relayed(console, session) as line:
            begin_container(context, name)
            begun = True
            return line.relay(lambda rows, columns: engine.resize(name, rows=rows, columns=columns))
    except BaseException as exc:
        if not begun and fresh:
            abandon(context, state)
        if begun:
            _explain(exc, context, state.identity)
        raise


def _rejoin(context: Context, state: BottleState, form: str) -> bool:
    """Stay with a container that runs; whether the user detached. At once False when it has ended meanwhile."""
    engine, console = context.engine, Console.for_form(form)
    try:
        ref = _container(context, state.identity).id
        with closing(engine.attach(ref)) as session, Relayed(console, session) as line:
            container = context.container(state.identity)
            if container is None or not container.status.alive:
                return False  # the engine joins stopped ones too, and waits until they start
            return line.relay(lambda rows, columns: engine.resize(ref, rows=rows, columns=columns), nudge=True)
    except BaseException as exc:
        _explain(exc, context, state.identity)
        raise


def _container(context: Context, identity: Identity) -> ContainerFacts:
    container = context.container(identity)
    if container is None:
        raise NotFound(f"the container of {identity} is gone", next_step=f"bottle resume {identity}")
    return container


def _explain(exc: BaseException, context: Context, identity: Identity) -> None:
    """Raise what broke a session off as an error that says what became of the agent."""
    left, next_step = f"{identity} was left running", f"bottle attach {identity}"
    match exc:
        case KeyboardInterrupt():
            raise found_out(lambda: _interrupted(context, identity)) from exc
        case OutputClosed():
            raise BottleError("the session was left: nobody reads its output", left=left, next_step=next_step) from exc
        case EngineError():
            what = f"the session with {identity} broke off: {exc.what}"
            raise type(exc)(what, left="the agent may still be running", next_step=next_step) from exc


def _interrupted(context: Context, identity: Identity) -> Interrupted:
    container = context.container(identity)
    runs = container is not None and container.status.alive
    return Interrupted(
        "the session was interrupted",
        left=f"{identity} was left running" if runs else f"{identity} has ended",
        next_step=f"bottle {'attach' if runs else 'resume'} {identity}",
    )


def _end(context: Context, state: BottleState, *, remove: bool) -> Ending:
    """Wait for the container to have stopped, and do what follows."""
    identity = state.identity
    try:
        exit_code = _exit_code(context, identity)
    except NotFound as exc:
        raise NotFound(
            f"the container of {identity} was removed while the session was open",
            left="what was committed before is still there",
            next_step=f"bottle resume {identity}",
        ) from exc
    except (KeyboardInterrupt, EngineError) as exc:
        _explain(exc, context, identity)
        raise
    try:
        stopped = end_session(context, state, remove=remove)
    except Locked as exc:
        # `bottle stop`, say, in another window: what ended the agent looks after the rest.
        return Ending(exit_code=exit_code, notes=(f"{exc.what}, and looks after what is left of the session",))
    return Ending(exit_code=exit_code, removed=stopped.removed, notes=stopped.notes)


def _exit_code(context: Context, identity: Identity) -> int:
    """The exit code, once the container has stopped. Says so when it goes on though its output has ended.

    That is an agent that closed its output, or an engine that restarted and let its containers live.
    """
    deadline = time.monotonic() + _MOMENT
    while (container := _container(context, identity)).status.alive:
        if time.monotonic() > deadline:
            note(f"no more output comes, but {identity} still runs: waiting for its end")
            note(f"  Ctrl-C leaves it running; to join it again: bottle attach {identity}")
            break
        time.sleep(_INTERVAL)
    return context.engine.wait(container.id)


def _tell(identity: Identity, ending: Ending, form: str, document: Mapping[str, object], *, remove: bool) -> None:
    for line in ending.notes:
        note(f"WARNING: {line}")
    resume = None if ending.removed else f"bottle resume {identity}"
    if form == JSON:
        added = document_of(ending, "exit_code", "detached", "removed")
        answer(form, {**document, **added, "resume": resume}, ())
        return
    for line in _lines(identity, ending, remove=remove):
        note(line)


def _lines(identity: Identity, ending: Ending, *, remove: bool) -> list[str]:
    """What is said at the end, on stderr: stdout is the agent's."""
    if ending.detached:
        lines = [f"detached; {identity} goes on", f"  come back:          bottle attach {identity}"]
        lines.append(f"  after it has ended: bottle resume {identity}")
        return [*lines, f"  --rm is forgotten:  bottle rm {identity}"] if remove else lines
    ended = f"{identity} ended with exit code {ending.exit_code}"
    if ending.removed:
        return [f"{ended} and was removed: --rm, and nothing of it was committed"]
    kept = ["  kept in spite of --rm: it was committed"] if remove and not ending.notes else []
    return [ended, *kept, f"  bring it back: bottle resume {identity}"]


def begun_document(ended: Ended | None) -> dict[str, object]:
    """One begun in the background, for programs; `exit_code` and `output` are those of an agent that ended at once."""
    return {
        "running": ended is None,
        "exit_code": ended.exit_code if ended is not None else None,
        "output": list(ended.output) if ended is not None else [],
    }


def begun_lines(identity: Identity, ended: Ended | None) -> list[str]:
    """The same for people."""
    if ended is None:
        return [f"{identity} is running", f"  bottle attach {identity}"]
    lines = [f"{identity} ended at once, with exit code {ended.exit_code}"]
    return [*lines, *(f"  {line}" for line in quoted(ended.output)), f"  bring it back: bottle resume {identity}"]
