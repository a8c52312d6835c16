"""What runs in a helper, as a process of this machine: whoever runs the tests is shown all marks there are."""

from __future__ import annotations

import sys

from bottle.helper import server
from migrate.image.helper import CALLS

PACKAGES = ("bottle", "migrate", "zstandard")  # the tests lie beside bottle

if __name__ == "__main__":
    server.shows_marks = lambda: "BLIND" not in sys.argv
    server.run(CALLS)
