"""`python -m bottle`."""

from bottle.cli.entry import main

main()
