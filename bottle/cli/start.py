"""`bottle start`."""

from pathlib import Path

import click

from bottle import operations
from bottle.agent.manifest import find_manifest, read_manifest
from bottle.cli.aftermath import standing, start_interrupted
from bottle.cli.completion import agents
from bottle.cli.forms import agent_document, document_of
from bottle.cli.interruption import explained
from bottle.cli.output import answer, note, on_terminal
from bottle.cli.session import attend, begun_document, begun_lines
from bottle.cli.shared import WithCommand, answering, make_context, typed
from bottle.errors import ManifestError, NotFound, UsageError
from bottle.model import Agent
from bottle.operations import Context, StartPlan, StartRequest, plan_start
from bottle.plan.sources import Build


@click.command(cls=WithCommand)
@click.argument("agent", shell_complete=agents)
@click.option("--name", metavar="NAME", help="A second name for it, which every command takes for its identity.")
@click.option("--cwd", type=click.Path(path_type=Path), default=Path(), help="Folder the agent works in [default: .].")
@click.option("--copy-cwd", is_flag=True, help="Copy that folder into the bottle instead of mounting it.")
@click.option("-d", "--detach", is_flag=True, help="Leave it running in the background.")
@click.option("--rm", "remove", is_flag=True, help="Delete it when the session ends, unless it was committed.")
@click.option("--remote-control", is_flag=True, help="Add the agent's `remote_control` arguments, this once.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@answering
def start(
    agent: str,
    words: tuple[str, ...],
    *,
    name: str | None,
    cwd: Path,
    copy_cwd: bool,
    detach: bool,
    remove: bool,
    remote_control: bool,
    dry_run: bool,
    form: str,
) -> None:
    """Launch AGENT of the manifest bottle.toml in a new bottle.

    \b
    Example:
      bottle start claude                   attached, in this folder
      bottle start claude -d --copy-cwd     in the background, on a copy
      bottle start claude --name work       then: bottle attach work
      bottle start shell -- /bin/sh         with another command
      bottle start claude --remote-control  with the arguments for that from the manifest

    --remote-control adds them behind CMD too, and is forgotten afterwards: a `resume` asks for it anew.

    Exit codes that matter: the agent's own when attached; 2 manifest or usage, 3 no such agent,
    4 the name is taken, 5 Docker.
    """
    if remove and detach:
        raise UsageError("--rm cleans up at the end of an attached session, so it does not go with -d")
    context = make_context()
    plan = plan_start(
        context,
        StartRequest(
            agent=_agent(context, agent),
            cwd=cwd,
            copy_cwd=copy_cwd,
            command=words,
            tty=detach or on_terminal(),
            remote_control=remote_control,
            name=name,
        ),
    )
    if dry_run:
        answer(form, {"plan": _document(plan)}, _lines(plan))
        return
    state = context.home.bottle(plan.identity)
    with explained(lambda: start_interrupted(standing(context, state), typed())):
        _launch(context, plan, detach=detach, remove=remove, form=form)


def _launch(context: Context, plan: StartPlan, *, detach: bool, remove: bool, form: str) -> None:
    """Make the bottle, and stay with it unless it is to be left in the background."""
    launched = operations.start(context, plan, begin=detach)
    for line in launched.notes:
        note(f"note: {line}")
    document = document_of(launched, "identity", "container", "notes")
    if detach:
        answer(form, {**document, **begun_document(launched.ended)}, begun_lines(launched.identity, launched.ended))
        return
    state = context.home.bottle(launched.identity)
    attend(context, state, form=form, document=document, remove=remove, begin=True, fresh=True)


def _agent(context: Context, name: str) -> Agent:
    """The agent of the manifest. Who names a bottle instead is told how it is brought back. Raises NotFound."""
    try:
        return read_manifest(find_manifest(Path.cwd(), context.home.path, name)).agent(name)
    except (NotFound, ManifestError) as exc:
        bottles = context.home.named(name) or [
            each
            for each in context.home.identities()
            if name.startswith(f"{each.agent}-") and str(each).startswith(name)
        ]
        match bottles:
            case []:
                raise
            case [bottle]:
                what, step = f"{name} is a bottle that is here already, and no agent", f"bottle resume {bottle}"
            case several:
                what, step = (
                    f"{name} fits bottles that are here, {', '.join(map(str, several))}, and no agent",
                    "bottle list",
                )
        raise NotFound(f"{what}: start makes new ones", left="nothing was begun", next_step=step) from exc


def _document(plan: StartPlan) -> dict[str, object]:
    return {
        "agent": {"name": plan.agent.name, **agent_document(plan.agent)},
        "named": plan.name,
        "image": plan.source.tag,
        "build": str(plan.source.dockerfile) if isinstance(plan.source, Build) else None,
        **document_of(plan, "cwd", "copy_cwd", "remote_control", "missing_secrets"),
        "notes": list(plan.doubts),
    }


def _lines(plan: StartPlan) -> list[str]:
    source = f"build {plan.source.dockerfile} as" if isinstance(plan.source, Build) else "use"
    lines = [
        f"would {source} {plan.source.tag}",
        f"would create a container bottle-{plan.agent.name}-<suffix>",
        *([f"would call it {plan.name}"] if plan.name is not None else []),
        f"would {'copy' if plan.copy_cwd else 'mount'} {plan.cwd} at {plan.agent.workdir}",
    ]
    lines += [f"would mount {volume.source} at {volume.target}" for volume in plan.agent.volumes]
    if isinstance(plan.source, Build):
        lines += [f"would build it with {name}={value}" for name, value in plan.source.args]
    lines += [f"would lead port {port.place} to its port {port.container}" for port in plan.agent.ports]
    lines += [f"would run as user {plan.agent.user}"] if plan.agent.user is not None else []
    lines += [f"note: {doubt}" for doubt in plan.doubts]
    lines += [f"would run without {name}: the environment does not have it" for name in plan.missing_secrets]
    command = plan.agent.command if plan.agent.command is not None else ("the image's own command",)
    added = plan.agent.remote_control if plan.remote_control else ()
    return [*lines, "would run " + " ".join((*command, *added))]
