"""`bottle standby`."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import click

from bottle.cli.completion import identity_then_host
from bottle.cli.consent import allow_secrets_option, carried, consenting
from bottle.cli.far import connect, identity_file_option, ssh_options
from bottle.cli.goal import host_meant
from bottle.cli.hosts import host_names
from bottle.cli.interruption import again, cut, explained
from bottle.cli.migrate import bottle_and_host, duration
from bottle.cli.output import answer, note
from bottle.cli.shared import answering, choose, make_context, typed
from bottle.errors import BottleError, Fenced, UsageError
from bottle.moveoptions import MoveOptions
from bottle.operations import Context
from bottle.plan.guards import require_docker
from bottle.store.state import BottleState
from bottle.words import size
from migrate import Moved, SshOptions, Target, note_failure, stand_by


@click.command()
@click.argument(
    "names", metavar="[IDENTITY] [USER@]HOST[:PORT]", nargs=-1, required=True, shell_complete=identity_then_host
)
@click.option("--every", type=duration, metavar="TIME", help="Again and again, such as 10m, until it is interrupted.")
@click.option("--end", is_flag=True, help="No longer; what is there stays, and goes with `bottle rm` there.")
@click.option("-y", "--yes", is_flag=True, help="Leave behind what the workspace needs of its host.")
@allow_secrets_option
@click.option(
    "--workspace", type=click.Path(path_type=Path), help="Where its workspace lands [default: the same path]."
)
@identity_file_option
@click.option("--accept-new-host-key", is_flag=True, help="Trust a host never seen before. A changed key never is.")
@answering
def standby(
    names: tuple[str, ...],
    *,
    every: float | None,
    end: bool,
    yes: bool,
    allow_secrets: bool,
    workspace: Path | None,
    keys: tuple[Path, ...],
    accept_new_host_key: bool,
    form: str,
) -> None:
    """Keep a copy of a bottle on another host that can take over when this one is lost.

    It is committed and copied while its agent works, which is paused for a moment; only what changed since the last
    round travels. The copy owns nothing: `bottle takeover` there makes it the bottle. This host asks that one before
    it resumes the bottle, and keeps what is newer here as a bottle of its own where that one has taken over.

    \b
    Example:
      bottle standby claude-x7k2p me@spare
      bottle standby claude-x7k2p me@spare --every 10m
      bottle standby claude-x7k2p me@spare --end

    Exit codes that matter: 4 HOST has taken the bottle over, or it is locked or moved; 5 Docker here; 6 SSH or the far
    host; 8 refused: no room, credentials, volumes.
    """
    context = make_context()
    identity, host = bottle_and_host(names, context.home.meant, host_names())
    state, goal = choose(context, identity, "kept on standby"), host_meant(host)
    if end:
        _end(state, goal, form)
        return
    require_docker(state.metadata(), "keep a standby of")
    if workspace is not None and not workspace.is_absolute():
        raise UsageError(f"--workspace {workspace}: expected an absolute path on the other host")
    options = MoveOptions(workspace=workspace, allow_secrets=allow_secrets, keys=keys, carry=carried(context, state))
    login = ssh_options(keys, accept_new_host_key=accept_new_host_key)
    keeping = _Keeping(context, state, goal, login, replace(options, consent=yes))
    with explained(lambda: cut("the standby is as it was after the last round that ended", again(typed()))):
        if every is None:
            _tell(keeping.bring(), form)
        else:
            keeping.go_on(every)


@dataclass(frozen=True, slots=True)
class _Keeping:
    """A standby that is kept, in rounds."""

    context: Context
    state: BottleState
    goal: Target
    login: SshOptions
    options: MoveOptions

    def bring(self) -> Moved:
        """A round. One that fails is noted where others look for it."""
        try:
            with connect(self.goal, self.login) as remote:
                return consenting(
                    lambda consent: stand_by(self.context, self.state, remote, replace(self.options, consent=consent)),
                    yes=self.options.consent,
                )
        except BottleError as exc:
            note_failure(self.context, self.state, exc)
            raise

    def go_on(self, every: float) -> None:
        """Round after round, `every` seconds apart, until somebody ends it."""
        known = False
        while not known or self.state.standby.read() is not None:
            if (brought := self.try_it()) is not None:
                note(_line(brought))
            known = known or self.state.standby.read() is not None
            time.sleep(every)
        note(f"{self.goal} stands by for {self.state.identity} no longer: it was ended")

    def try_it(self) -> Moved | None:
        """A round; one that fails is told, and the next one tries again, but where that host owns the bottle by now."""
        try:
            return self.bring()
        except Fenced:
            raise
        except BottleError as exc:
            note(f"WARNING: {exc.what}; the next round tries again")
            return None


def _end(state: BottleState, goal: Target, form: str) -> None:
    known = state.standby.read()
    if known is None or known.host != str(goal):
        raise UsageError(f"{goal} is no standby of {state.identity}", next_step="bottle list")
    with state.locked("bottle standby --end", brief=True):
        state.standby.clear()
    lines = [f"{goal} stands by for {state.identity} no longer", f"there:  bottle rm {state.identity}"]
    answer(form, {"identity": str(state.identity), "host": str(goal), "ended": True}, lines)


def _tell(moved: Moved, form: str) -> None:
    lost = f"where this host is lost, there:  bottle takeover {moved.identity}"
    answer(form, _document(moved), [_line(moved), lost])


def _document(moved: Moved) -> dict[str, object]:
    account = moved.account
    return {
        "identity": str(moved.identity),
        "host": moved.host,
        "commit": account.commit,
        "workspace": account.workspace,
        "staged_bytes": account.staged,
        "takeover": f"bottle takeover {moved.identity}",
    }


def _line(moved: Moved) -> str:
    sent = f"commit {moved.account.commit}, {size(moved.account.staged)} staged"
    return f"{moved.host} stands by for {moved.identity} ({sent})"
