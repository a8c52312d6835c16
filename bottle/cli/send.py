"""`bottle send-over-stdio`: what `bottle migrate --from` runs on the host that owns the bottle. Not for people."""

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import click

from bottle.cli.consent import carried
from bottle.cli.shared import make_context
from bottle.cli.terminal import ending_signals
from bottle.errors import BottleError, Interrupted
from bottle.moveoptions import MoveOptions
from bottle.operations import Context
from bottle.text import printable
from migrate import move, offer, plan
from migrate.pull.messages import error_to_json, report_to_json
from migrate.transport.stdio import RelayedProgress, StdioRemote


class _In:
    def read(self) -> bytes:
        return os.read(sys.stdin.fileno(), 1 << 16)


class _Out:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


@click.command(hidden=True)
@click.argument("identity")
@click.option("--host", required=True)
@click.option("--host-id", required=True)
@click.option("--plan", "planning", is_flag=True)
@click.option("--keep", is_flag=True)
@click.option("--allow-secrets", is_flag=True)
@click.option("--yes", is_flag=True)
@click.option("--workspace", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(1, 16), default=2)
@click.option("--limit-rate", "rate", type=click.IntRange(1))
def send_over_stdio(
    identity: str,
    *,
    host: str,
    host_id: str,
    planning: bool,
    keep: bool,
    allow_secrets: bool,
    yes: bool,
    workspace: Path | None,
    jobs: int,
    rate: int | None,
) -> None:
    """Move a bottle to whoever sits at the other end of the standard streams."""
    # Nothing but frames may come out, whatever else writes to standard output.
    frames = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = MoveOptions(
        workspace=workspace,
        keep=keep,
        jobs=jobs,
        rate=rate,
        pulled_by=host_id,
        allow_secrets=allow_secrets,
        consent=yes,
    )
    remote = StdioRemote(printable(host, 64), _In(), _Out(frames), on_loss=_stop)
    with ending_signals():
        raise SystemExit(_serve(remote, identity, options, planning=planning))


def _serve(remote: StdioRemote, identity: str, options: MoveOptions, *, planning: bool) -> int:
    try:
        remote.start()
        context = replace(make_context(), progress=RelayedProgress(remote))
        result, status = _run(context, remote, identity, options, planning=planning), 0
    except BottleError as exc:
        result, status = {"error": error_to_json(exc)}, exc.exit_code
    except OSError as exc:
        refused = BottleError(f"the system there refused: {exc}", next_step="bottle doctor")
        result, status = {"error": error_to_json(refused)}, refused.exit_code
    except KeyboardInterrupt:
        # The other side is gone, or somebody here ended it. What was begun is as after any other Ctrl-C.
        result, status = {"error": error_to_json(Interrupted("it was interrupted there"))}, Interrupted.exit_code
    try:
        remote.finish(result)
    except BottleError:
        return status or BottleError.exit_code
    return status


def _run(
    context: Context, remote: StdioRemote, identity: str, options: MoveOptions, *, planning: bool
) -> dict[str, object]:
    state = context.home.find(identity)
    options = replace(options, carry=carried(context, state))
    remote.greet(offer(state.metadata(), rebuild=state.rebuild_due))
    if planning:
        return {"plan": report_to_json(plan(context, state, remote, options))}
    return {"moved": report_to_json(move(context, state, remote, options))}


def _stop() -> None:
    """Wake the main thread, whatever it waits for: without the other side there is nothing left to do here."""
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGINT)
