"""Docker's own options, those before `bottle` in `docker [OPTIONS] bottle …`: a plugin has to heed them itself.

They become the variables that say the same to `bottle.docker_engine.endpoint`. Source: `InstallFlags` in
https://github.com/docker/cli/blob/master/cli/flags/options.go, and `resolveContextName` in cli/command/cli.go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from bottle.errors import UsageError
from bottle.model import DEFAULT_CONTEXT

_FILES = ("tlscacert", "tlscert", "tlskey")


def _value(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Go's flags take `-c=NAME` too, where click's have `=NAME` for the value."""
    return value.removeprefix("=") if value is not None else None


_OPTIONS = click.Command(
    "docker",
    params=[
        click.Option(["--config"]),
        click.Option(["-c", "--context"], callback=_value),
        click.Option(["-H", "--host"], callback=_value),
        click.Option(["--tls"], is_flag=True),
        click.Option(["--tlsverify"], is_flag=True),
        *(click.Option([f"--{name}"]) for name in _FILES),
        click.Option(["-D", "--debug"], is_flag=True),
        click.Option(["-l", "--log-level"]),  # of the docker client's own messages
        click.Option(["-h", "--help"], is_flag=True),
        click.Argument(["words"], nargs=-1, type=click.UNPROCESSED),
    ],
    add_help_option=False,
    context_settings={"allow_interspersed_args": False},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What the docker client was asked: the words from the plugin's name on, and variables that say the options."""

    words: tuple[str, ...]
    environment: Mapping[str, str]
    wants_help: bool
    debug: bool


def read_options(words: Sequence[str]) -> Invocation:
    """Read what stands before the plugin's name. Raises UsageError for what bottle cannot heed."""
    try:
        options = _OPTIONS.make_context("docker", list(words)).params
    except click.UsageError as exc:
        raise UsageError(f"docker bottle: {exc.format_message()}", next_step="docker --help") from exc
    for name in _FILES:
        if options[name] is not None:
            raise UsageError(
                f"docker bottle does not take docker's option --{name}",
                next_step="put ca.pem, cert.pem and key.pem into one folder, and set DOCKER_CERT_PATH to it",
            )
    return Invocation(
        words=options["words"],
        environment=_variables(options),
        wants_help=options["help"],
        debug=options["debug"],
    )


def _variables(options: Mapping[str, str | bool | None]) -> dict[str, str]:
    """A variable that is empty counts as none."""
    said = {
        "DOCKER_CONFIG": options["config"],
        "DOCKER_TLS": options["tls"] and "1",
        "DOCKER_TLS_VERIFY": options["tlsverify"] and "1",
    }
    found = {name: str(value) for name, value in said.items() if value}
    if options["host"] is not None:
        found |= {"DOCKER_HOST": str(options["host"]), "DOCKER_CONTEXT": DEFAULT_CONTEXT}
    if options["context"]:
        found["DOCKER_CONTEXT"] = str(options["context"])
        if options["context"] != DEFAULT_CONTEXT:  # which is what DOCKER_HOST says
            found["DOCKER_HOST"] = ""
    return found
