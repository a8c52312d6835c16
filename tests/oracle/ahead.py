"""Runs `bottle` and has a commit read ahead what is little, too; as a program: ahead.py WORD…"""

from __future__ import annotations

import sys

from bottle.cli.main import main
from bottle.trees import snapshot

if __name__ == "__main__":
    snapshot._LITTLE = -1, -1  # bytes and names: not even nothing
    main(sys.argv[1:], prog_name="bottle")
