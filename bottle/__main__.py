"""`python -m bottle`."""

from bottle.cli.main import main

main(prog_name="bottle")
