"""`python -m bottle.cli.dockerplugin WORDS…`: what the docker client runs as `docker-bottle`; see plugin.py."""

import sys

from bottle.cli.entry import hearing


def main() -> None:
    """Run `docker bottle`, and end the process."""
    hearing(_plugin, sys.argv[2:] if sys.argv[1:2] == ["bottle"] else sys.argv[1:])


def _plugin() -> None:
    from bottle.cli.plugin import run  # noqa: PLC0415  (where a Ctrl-C is heard; see entry.py)

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
