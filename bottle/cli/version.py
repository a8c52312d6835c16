"""`bottle version`."""

import os
import platform
import sys

import click

import bottle
from bottle.cli.doctor import answering_engine, engine_document
from bottle.cli.forms import document_of
from bottle.cli.output import answer, table
from bottle.cli.shared import answering, make_context
from bottle.docker_engine.client import client_version
from bottle.model import EngineInfo
from bottle.operations.doctor import describe, endpoint

_OF_ENGINE = ("version", "api_version", "os", "architecture")


@click.command()
@answering
def version(form: str) -> None:
    """Show the versions of bottle and of all that it runs on: for a report, or to compare two hosts.

    \b
    Example:
      bottle version

    Exit codes that matter: 0 also where no engine answers, which is said.
    """
    context = make_context()
    client = client_version(os.environ)
    where = endpoint(context)
    found = answering_engine(context)
    rows = [
        ("bottle", bottle.__version__),
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("platform", platform.platform()),
        ("docker client", client or "none on the PATH"),
        ("docker engine", f"{describe(found)}, at {where}" if isinstance(found, EngineInfo) else found.what),
    ]
    document = {
        "bottle": bottle.__version__,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "docker_client": client,
        "engine": engine_document(where),
        "docker_engine": document_of(found, *_OF_ENGINE) if isinstance(found, EngineInfo) else None,
    }
    answer(form, document, table(("WHAT", "VERSION"), rows))
