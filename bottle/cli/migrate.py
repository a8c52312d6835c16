"""`bottle migrate`."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import click

from bottle.cli.aftermath import standing
from bottle.cli.completion import identity_then_host
from bottle.cli.consent import allow_secrets_option, carried, consenting
from bottle.cli.far import ask_the_standby, connect, identity_file_option, ssh_options
from bottle.cli.goal import host_at
from bottle.cli.hosts import host_names
from bottle.cli.interruption import explained
from bottle.cli.moved import following, moved_document, moved_lines, plan_document, plan_lines, sending_interrupted
from bottle.cli.movewords import SENDING
from bottle.cli.output import answer, note
from bottle.cli.pull import fetch, require_pullable
from bottle.cli.shared import answering, choose, make_context
from bottle.errors import Interrupted, UsageError
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import Context
from bottle.plan.guards import require_docker
from bottle.store.state import BottleState
from migrate import Moved, SshOptions, Target, move, plan as plan_only


def bytes_a_second(text: str) -> int:
    """Read 500k or 20M. Raises BadParameter."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kmg]?)", text, re.IGNORECASE)
    rate = int(float(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[match[2].lower()]) if match else 0
    if rate <= 0:
        raise click.BadParameter(f"{text!r} is no rate: expected bytes a second, such as 500k or 20M")
    return rate


def duration(text: str) -> float:
    """Read 5s, 500ms or 2m, in seconds. Raises BadParameter."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m)?", text)
    amount = float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[match[2] or "s"] if match else 0.0
    if amount <= 0:
        raise click.BadParameter(f"{text!r} is no time: expected one such as 5s or 500ms")
    return amount


@click.command()
@click.argument(
    "names", metavar="[IDENTITY] [USER@]HOST[:PORT]", nargs=-1, required=True, shell_complete=identity_then_host
)
@click.option(
    "--plan", "--dry-run", "plan", is_flag=True, help="Print what would travel, and how long it takes; change nothing."
)
@click.option(
    "--keep", is_flag=True, help="Copy it, under a fresh identity, and let it go on here; again: bring that up to date."
)
@click.option("--new", is_flag=True, help="With --keep: make another copy, whatever is there.")
@click.option(
    "--no-history", "history", flag_value=False, default=True, help="Leave the images of older commits behind."
)
@click.option("--live", is_flag=True, help="Bring it there while its agent works, which stops for the last round only.")
@click.option("--rounds", type=click.IntRange(1, 100), metavar="N", help="With --live: no more than N while it works.")
@click.option(
    "--max-downtime",
    type=duration,
    metavar="TIME",
    help="With --live: do not stop the agent if it would stand still for longer, such as 5s.",
)
@click.option("--resume", is_flag=True, help="Start it there, through the bottle installed there.")
@click.option("--from", "pulls", is_flag=True, help="Pull it from HOST, where bottle must be installed, to here.")
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Leave behind what the workspace needs of its host; with --from, let it have what it would be given here.",
)
@allow_secrets_option
@click.option(
    "--workspace", type=click.Path(path_type=Path), help="Where the workspace lands [default: the same path]."
)
@identity_file_option
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="Port of the SSH server.")
@click.option("--accept-new-host-key", is_flag=True, help="Trust a host never seen before. A changed key never is.")
@click.option(
    "--limit-rate",
    "rate",
    type=bytes_a_second,
    metavar="RATE",
    help="Send no more bytes a second than this, such as 2M.",
)
@click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="Pieces sent at once.")
@answering
def migrate(
    names: tuple[str, ...],
    *,
    plan: bool,
    keep: bool,
    new: bool,
    history: bool,
    live: bool,
    rounds: int | None,
    max_downtime: float | None,
    resume: bool,
    pulls: bool,
    yes: bool,
    allow_secrets: bool,
    workspace: Path | None,
    keys: tuple[Path, ...],
    port: int | None,
    accept_new_host_key: bool,
    rate: int | None,
    jobs: int,
    form: str,
) -> None:
    """Move a bottle to another Docker host over SSH.

    Its image, state, transcript, workspace and volumes are staged there and verified; only then does that host own
    it. Whatever breaks before, the bottle is still here, and the same command goes on where it stopped.

    Before anything is sent, what the bottle wrote is looked through for credentials: one that is found, and is not
    listed in the manifest's `carry`, keeps it here.

    With --live it is brought there in rounds while its agent works; when little is left, the agent is stopped, the
    rest is brought, and it goes on there. Until then it may be interrupted, and the agent has noticed nothing; where
    the last round fails, the agent goes on here.

    With --keep it is copied. Where that was done before, the copy there is brought up to date, as long as nobody has
    worked on it; only what changed travels.

    With --from, what the bottle would be given here (networks, ports, secrets, capabilities, folders of this host) is
    listed, and needs a yes, or --yes where nobody can be asked, before its agent is stopped over there.

    HOST is a host as `ssh` knows it, also as Docker writes it (ssh://me@newhost:2222), or a Docker context that leads
    to one. Of what has the same name, a Host of ssh_config goes first, then the context.

    \b
    Example:
      bottle migrate claude-x7k2p me@newhost
      bottle migrate claude-x7k2p me@newhost:2222 --plan
      bottle migrate claude-x7k2p ssh://me@newhost:2222
      bottle migrate claude-x7k2p me@newhost --live --max-downtime 5s
      bottle migrate claude-x7k2p me@newhost --keep
      bottle migrate claude-x7k2p me@oldhost --from

    Exit codes that matter: 4 it is there already, locked or moved, --from wants a yes, or its workspace needs what lies
    outside of it and --yes was not said; 5 Docker here; 6 SSH or the far host; 7 what arrived is not what was sent;
    8 refused before its agent was stopped: no room, another architecture, credentials in the image, --max-downtime.
    """
    asked = MoveOptions(keep=keep, new=new, history=history, resume=resume, workspace=workspace, consent=yes)
    asked = replace(asked, live=live, rounds=rounds, max_downtime=max_downtime, allow_secrets=allow_secrets)
    options = replace(asked, jobs=jobs, rate=rate, keys=keys)
    _require_fitting(options, pulls=pulls)
    context, identity, goal = _meant(names, port, pulls=pulls)
    login = ssh_options(keys, accept_new_host_key=accept_new_host_key)
    if pulls:
        fetch(context, goal, login, require_pullable(identity, goal, workspace), options, plan=plan, form=form)
    else:
        _send(context, choose(context, identity, "moved"), goal, login, options, plan=plan, form=form)


def _meant(names: Sequence[str], port: int | None, *, pulls: bool) -> tuple[Context, str | None, Target]:
    """As `bottle_and_host`, with the port of the host, if one was said, and where all of it happens."""
    context = make_context()
    named_here = (lambda _: None) if pulls else context.home.meant  # what is pulled is a bottle of the other host
    identity, target = bottle_and_host(names, named_here, host_names())
    return context, identity, host_at(target, port)


def _require_fitting(options: MoveOptions, *, pulls: bool) -> None:
    """Refuse options that make no sense together."""
    if not options.live and (options.rounds is not None or options.max_downtime is not None):
        raise UsageError("--rounds and --max-downtime are for --live", next_step="add --live, or leave them out")
    if options.new and (pulls or not options.keep):
        raise UsageError(
            "--new is for --keep to another host",
            next_step="leave it out: --from makes another copy each time, without --keep none is made",
        )
    if options.live and options.keep:
        raise UsageError("--keep stops no agent, so there is nothing to be --live about", next_step="leave one out")
    if not options.history and pulls:
        raise UsageError("--from never fetches the images of older commits", next_step="leave --no-history out")
    if options.live and pulls:
        raise UsageError(
            "--live moves a bottle away from where it is, and --from fetches it",
            next_step="on that host: bottle migrate IDENTITY HOST --live, where HOST is this one",
        )


def _send(
    context: Context,
    state: BottleState,
    goal: Target,
    login: SshOptions,
    options: MoveOptions,
    *,
    plan: bool,
    form: str,
) -> None:
    require_docker(state.metadata(), "migrate")  # before anybody is called
    if options.workspace is not None and not options.workspace.is_absolute():
        raise UsageError(f"--workspace {options.workspace}: expected an absolute path on the other host")
    asked = replace(options, carry=carried(context, state), consent=False)  # consent is asked for, or was given
    if plan:
        with connect(goal, login) as remote:
            decided = plan_only(context, state, remote, asked)
        told = plan_document(decided, SENDING)
        answer(form, {"identity": str(state.identity), "host": str(goal), "plan": told}, plan_lines(decided, SENDING))
        return
    if not options.keep:
        ask_the_standby(context, state)
        asked = replace(asked, asked=True)
    again, registered = following(str(state.identity), goal, options), list[Identity]()

    def left() -> Interrupted:
        container = standing(context, state).container
        works = container is not None and container.status.alive
        return sending_interrupted(state, goal, again, keep=options.keep, works=works, registered=registered)

    with (
        explained(left),
        connect(goal, login) as remote,
    ):
        moved = consenting(
            lambda consent: move(context, state, remote, replace(asked, consent=consent), registered.append),
            yes=options.consent,
        )
        _tell_of_the_standby(state, moved)
        answer(form, moved_document(moved, SENDING, moved.host), moved_lines(moved, SENDING, moved.host))


def _tell_of_the_standby(state: BottleState, moved: Moved) -> None:
    """What becomes of a standby when its bottle moves to another host."""
    standby = state.standby.read()
    if standby is not None and moved.arrived_as == moved.identity and standby.host != moved.host:
        note(
            f"WARNING: {standby.host} has a standby of {moved.identity} still, which nobody brings up to date any more"
        )


def bottle_and_host(
    names: Sequence[str], named_here: Callable[[str], Identity | None], hosts: Collection[str]
) -> tuple[str | None, str]:
    """The identity, None where it is to be chosen, and the host. Raises UsageError, naming the one that is missing.

    `named_here` says which bottle of this host a word names; `hosts` are the names that lead to one.
    """
    if len(names) > 2:
        raise UsageError(
            f"one bottle and one host are expected, not {len(names)} names", next_step="bottle migrate --help"
        )
    if len(names) == 2:
        identity, host = names
        bottle = named_here(host) if host not in hosts and named_here(identity) is None else None
        if bottle is None:
            return identity, host
        raise UsageError(
            f"{host} is a bottle here, and no host: the bottle comes first, then the host",
            left="nothing was changed",
            next_step=f"bottle migrate {bottle} {identity}",
        )
    (name,) = names
    bottle = named_here(name) if name not in hosts else None
    if bottle is None:
        return None, name
    raise UsageError(
        f"the host that {bottle} is to move to is missing",
        left="nothing was changed",
        next_step=f"bottle migrate {bottle} [USER@]HOST   (or, if {name} is a host: bottle migrate IDENTITY {name})",
    )
