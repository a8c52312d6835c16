"""What the base image has, and where work goes on. Read in the container too: Python's own library only."""

import hashlib
import random

WORK = "/work"
BASES = ("/etc/base", "/opt/base", "/usr/share/base", "/var/base")
PLACES = (WORK, *BASES)
FOLDERS = ("", "one", "one/two", "one/two/three", "other", "other/deep", "other/deep/er", "empty")
FILES = ("first", "second", "third", "new\nline", "raw-\udcff\udcfe", "large")
TIME = 1_600_000_000  # seconds; what the base image has is that old, and a fraction of a second more
FRACTION = 123_456_789  # nanoseconds
# Two names of one file, in two folders.
TWINS = ("one/twin", "other/twin")


def folders() -> list[str]:
    """The folders of the base image that work goes on in, the outer ones first."""
    return [f"{base}/{folder}".rstrip("/") for base in BASES for folder in FOLDERS]


def files() -> list[str]:
    """The files in them that have one name."""
    return [f"{base}/{folder}/{name}".replace("//", "/") for base in BASES for folder in FOLDERS[:-1] for name in FILES]


def content(path: str) -> bytes:
    """What a file of the base image holds; the name of a file says how much."""
    seed = hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()
    return random.Random(seed).randbytes(200_000 if path.endswith("large") else 10 + seed[0])
