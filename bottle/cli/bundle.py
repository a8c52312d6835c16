"""`bottle export` and `bottle import`."""

from pathlib import Path

import click

from bottle.cli.aftermath import export_interrupted, living, making_interrupted, standing
from bottle.cli.completion import identities
from bottle.cli.consent import agreement, allow_secrets_option, carried, consenting, yes_option
from bottle.cli.forms import document_of
from bottle.cli.interruption import explained
from bottle.cli.movewords import staying
from bottle.cli.output import answer, note
from bottle.cli.shared import answering, choose, make_context, typed
from bottle.losses import worth_telling
from bottle.words import counted, size
from migrate import Allowed, Exported, Imported, ImportRequest, export, import_bundle
from migrate.bundle.format import LEFT, BundleMember, MemberKind


@click.command("export")
@click.argument("identity", shell_complete=identities)
@click.argument("file", type=click.Path(path_type=Path))
@allow_secrets_option
@click.option("-y", "--yes", is_flag=True, help="Leave behind what the workspace needs of this host.")
@answering
def export_command(identity: str, file: Path, *, allow_secrets: bool, yes: bool, form: str) -> None:
    """Write a bottle with all its work into one sealed file.

    Image, state, transcript, workspace and volumes, each with its digest. A running bottle is paused while it is
    committed and packed, and goes on; it stays the owner here. FILE is for you alone (mode 0600): it holds all that the
    agent saw. An existing file is never overwritten. Credentials that are found in what the bottle wrote, and are not
    listed in the manifest's `carry`, keep it from being written.

    \b
    Example:
      bottle export claude-x7k2p claude.bottle

    Exit codes that matter: 3 no such bottle or folder, 4 FILE exists, the bottle is locked or moved, or its workspace
    needs what lies outside of it and --yes was not said, 5 Docker, 8 the workspace is missing, there is no room, or
    credentials are in the image.
    """
    context = make_context()
    state = choose(context, identity, "exported")
    allowed = Allowed(everything=allow_secrets, carry=carried(context, state))
    there = file.exists()
    with explained(lambda: export_interrupted(standing(context, state), file, typed(), there=there)):
        exported = consenting(lambda consent: export(context, state, file, allowed, consent=consent), yes=yes)
        for link in exported.links:
            note(f"WARNING: not in the bundle, as it points out of the workspace: {link}")
        answer(form, _exported_document(exported), _exported(exported))


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the workspace lands, new or empty [default: below the bottle home].",
)
@yes_option
@answering
def import_command(file: Path, workspace: Path | None, *, yes: bool, form: str) -> None:
    """Make a new bottle of a file that `bottle export` wrote.

    All of FILE is checked before anything is made of it. The new bottle has an identity of its own and tells what it
    was copied from. What it would be given here (networks, ports, secrets, capabilities, folders of this host) is
    listed, and needs a yes, or --yes where nobody can be asked.

    \b
    Example:
      bottle import claude.bottle --workspace ~/project
      bottle resume claude-q3m8d

    Exit codes that matter: 3 no such file, 4 the workspace's folder is not empty, or nobody agreed to what it would be
    given, 5 Docker, 7 FILE was changed, cut short, or holds what no bundle may, 8 another architecture, or no room.
    """
    request = ImportRequest(file=file, workspace=workspace, agree=agreement(yes=yes, left=LEFT))
    context = make_context()
    before = living(context.home)
    with explained(lambda: making_interrupted(context.home, before, typed(), noun="bottle")):
        imported = import_bundle(context, request)
        for item in imported.refused:
            note(f"WARNING: not granted here: {item}")
        for path in imported.unset:
            note(f"WARNING: set-id bits were taken away: {path}")
        answer(form, _imported_document(imported), _imported(imported))


def _exported_document(exported: Exported) -> dict[str, object]:
    manifest = exported.manifest
    return {
        **document_of(exported, "identity", "file", "committed", "skipped", "dropped", "carried", "left_behind"),
        "bytes": exported.size,
        "commit": manifest.commit.number,
        "members": [
            {"name": member.name, "holds": _holds(member), "bytes": member.size, "plain_bytes": member.plain_size}
            for member in manifest.members
        ],
        "links_left_out": list(exported.links),
        "stays": staying(exported.stays),
        "credentials_along": list(exported.along),
        "import": f"bottle import {exported.file.name}",
    }


def _exported(exported: Exported) -> list[str]:
    manifest = exported.manifest
    unpacked = size(manifest.plain_size)
    lines = [
        f"{exported.identity} is in {exported.file} (commit {manifest.commit.number}, {size(exported.size)}, "
        f"{unpacked} unpacked)"
    ]
    layers = manifest.of(MemberKind.LAYER)
    lines.append(f"  image: {counted(len(layers), 'layer')}, {size(sum(member.size for member in layers))}")
    lines += [
        f"  with its {_holds(member)}: {size(member.size)}"
        for member in manifest.members
        if member.kind not in {MemberKind.CONFIG, MemberKind.LAYER}
    ]
    lines += [f"  went along: {item}" for item in exported.carried]
    lines += [f"  was left behind: {item}" for item in exported.left_behind]
    lines += [f"  holds no content, so is not in it: {item}" for item in exported.skipped]
    lines += [f"  is not in it: {item}" for item in staying(exported.stays)]
    lines += [f"  dropped: {item}" for item in worth_telling(exported.dropped, first=True)]
    lines += [f"  a credential is in it: {item}" for item in exported.along]
    return [
        *lines,
        "it holds all that the agent saw: keep it as you keep a key",
        f"bring it in:  bottle import {exported.file.name}",
    ]


def _holds(member: BundleMember) -> str:
    return f"volume {member.place.volume}" if member.place is not None else member.kind.value


def _imported_document(imported: Imported) -> dict[str, object]:
    return {
        **document_of(imported, "identity", "workspace", "volumes", "left_out"),
        "copied_from": document_of(imported.origin),
        "commit": imported.commit.number,
        "tag": imported.commit.tag,
        "granted": list(imported.powers),
        "not_granted": list(imported.refused),
        "set_id_removed": list(imported.unset),
        "resume": f"bottle resume {imported.identity}",
    }


def _imported(imported: Imported) -> list[str]:
    origin = imported.origin
    lines = [f"{imported.identity} is here, a copy of {origin.identity} at commit {origin.commit}"]
    if imported.workspace is not None:
        lines.append(f"  its workspace is at {imported.workspace}")
    lines += [f"  volume {volume}" for volume in imported.volumes]
    lines += [f"  its agent has: {power}" for power in imported.powers]
    lines += [f"  means nothing here, so was left out: {name}" for name in imported.left_out]
    return [*lines, f"bring it back:  bottle resume {imported.identity}"]
