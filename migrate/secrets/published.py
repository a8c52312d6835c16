"""Keys and tokens that anybody can read in what others published: examples and test keys, which are no secrets.

They are known by their fingerprints, as `credentials.Credential` has them. `python -m benchmarks.published` makes the
list anew from the packages that it names.
"""

from functools import cache
from importlib.resources import files

FILE = "published.txt"


@cache
def published() -> frozenset[str]:
    """The fingerprints: the first word of each line of the list, behind which is where it was published."""
    lines = files("migrate.secrets").joinpath(FILE).read_text("ascii").splitlines()
    return frozenset(line.split()[0] for line in lines if line and not line.startswith("#"))
