"""`bottle init`."""

from pathlib import Path

import click

from bottle import operations
from bottle.agent.template import PLAIN, SUMMARIES
from bottle.cli.completion import templates
from bottle.cli.forms import document_of
from bottle.cli.output import answer, table
from bottle.cli.shared import answering


@click.command()
@click.argument("template", default=PLAIN, shell_complete=templates)
@click.option("--cwd", type=click.Path(path_type=Path), default=Path(), help="Folder to write into [default: .].")
@click.option("--list", "listing", is_flag=True, help="Print what templates there are, and write nothing.")
@answering
def init(template: str, *, cwd: Path, listing: bool, form: str) -> None:
    """Write what an agent needs to start at once: its entry in bottle.toml, and its Dockerfile.

    TEMPLATE is one of those that --list prints; without it, a shell, with every key of bottle.toml explained. Where
    there is a bottle.toml, the entry is put at its end.

    \b
    Example:
      bottle init claude && bottle start claude
      bottle init --list

    Exit codes that matter: 2 no such folder, 3 no such template, 4 it is there already; what is there stays as it is.
    """
    if listing:
        known = [{"template": name, "summary": summary} for name, summary in SUMMARIES.items()]
        answer(form, {"templates": known}, table(("TEMPLATE", "WHAT IT IS"), list(SUMMARIES.items())))
        return
    written = operations.init(cwd, template)
    files = [f"wrote {written.dockerfile}"] if written.dockerfile is not None else []
    files += [f"added [agents.{written.agent}] to {written.manifest}" if written.added else f"wrote {written.manifest}"]
    them = "them" if written.dockerfile is not None else "it"
    answer(
        form,
        document_of(written, "manifest", "agent", "dockerfile"),
        [*files, f"look through {them}, then:  bottle start {written.agent}"],
    )
