"""`bottle completion`."""

import click
from click.shell_completion import get_completion_class

from bottle.cli.output import Verbatim, answer
from bottle.cli.shared import answering

_VARIABLE = "_BOTTLE_COMPLETE"  # by which click knows that a shell asks


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@answering
def completion_command(shell: str, form: str) -> None:
    """Print what makes a shell complete the words of bottle.

    Identities, commits, agents, the hosts of ssh_config and Docker contexts over SSH are among them.

    \b
    Example:
      eval "$(bottle completion bash)"       in ~/.bashrc
      eval "$(bottle completion zsh)"        in ~/.zshrc, after compinit
      bottle completion fish | source        in ~/.config/fish/config.fish

    Exit codes that matter: 2 another shell.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click knows all three
    script = kind(click.get_current_context().find_root().command, {}, "bottle", _VARIABLE).source()
    answer(form, {"shell": shell, "script": script}, [Verbatim(line) for line in script.splitlines()])
