"""`bottle install-plugin`."""

import os
import sys

import click

from bottle.cli.output import answer, note
from bottle.cli.shared import answering
from bottle.docker_engine.client import find_client
from bottle.docker_engine.endpoint import config_folder
from bottle.operations.plugin import PluginChange, install_plugin, remove_plugin

_TOLD = {
    PluginChange.INSTALLED: "wrote {path}: `docker bottle` runs this program",
    PluginChange.REPLACED: "replaced {path}: `docker bottle` runs this program now",
    PluginChange.UNCHANGED: "nothing to do: {path} runs this program",
    PluginChange.REMOVED: "removed {path}",
    PluginChange.ABSENT: "nothing to do: there is no {path}",
}


@click.command("install-plugin")
@click.option("--remove", is_flag=True, help="Take the plugin away again.")
@answering
def install_plugin_command(*, remove: bool, form: str) -> None:
    """Make `docker bottle` the same as `bottle`: a plugin of the docker client, for this user.

    Docker's own options count, as in `docker --context faraway bottle list`. The plugin is a file in $DOCKER_CONFIG, or
    in ~/.docker.

    \b
    Example:
      bottle install-plugin && docker bottle list
      bottle install-plugin --remove

    Exit codes that matter: 4 another program's plugin has the name.
    """
    config = config_folder(os.environ).absolute()
    plugin = remove_plugin(config) if remove else install_plugin(config, sys.executable)
    if not remove and find_client(os.environ) is None:
        note("there is no docker client on the PATH: the plugin waits for one")
    document = {"plugin": str(plugin.path), "outcome": plugin.outcome.value}
    answer(form, document, [_TOLD[plugin.outcome].format(path=plugin.path)])
