"""Work that never rests: step n writes n into file n % 8, each file in a way of its own. Python's own library only.

What a commit has must be what was there at one moment: all steps up to one, and of the next one perhaps the first half.
`journal.py` prints what the files hold, a number or null where one is missing.
"""

import json
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

PLACE = Path("/work/journal")
WAYS = 8
_OTHERS = 300  # files beside each, so that whoever reads one after the other takes a while
_BREATH = 0.0005  # seconds; a process that makes nothing but system calls, runc may fail to freeze
_FORM = "<Q"
_SMALLEST = struct.calcsize(_FORM)


def prepare() -> None:
    """Steps 0 to 7."""
    PLACE.mkdir()
    for number in range(WAYS):
        _path(number).parent.mkdir()
        _path(number).write_bytes(_packed(number))
        for other in range(_OTHERS):
            (_path(number).parent / str(other)).touch()
    _path(6).unlink()
    _path(6).symlink_to("6")
    _path(7).unlink()
    _path(7).mkdir()
    (_path(7) / "7").touch()


def keep(stop: threading.Event) -> None:
    """Step after step from there."""
    with _path(1).open("r+b") as file, _path(4).open("r+b", 0) as held, mmap.mmap(file.fileno(), 0) as mapped:

        def store(number: int) -> None:
            mapped[:_SMALLEST] = _packed(number)

        def write(number: int) -> None:
            os.pwrite(held.fileno(), _packed(number), 0)

        ways: tuple[Callable[[int], None], ...] = (_quietly, store, _save, _anew, write, _linked, _symlink, _folder)
        number = WAYS - 1
        while not stop.is_set():
            number += 1
            ways[number % WAYS](number)
            if number % WAYS == 0:
                time.sleep(_BREATH)


def _path(way: int) -> Path:
    return PLACE / str(way) / "file"


def _packed(number: int) -> bytes:
    return struct.pack(_FORM, number)


def _quietly(number: int) -> None:
    """In place, with the old time."""
    path = _path(number % WAYS)
    before = path.stat()
    with path.open("r+b", 0) as file:
        file.write(_packed(number))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _save(number: int) -> None:
    path = _path(number % WAYS)
    path.with_suffix(".new").write_bytes(_packed(number))
    path.with_suffix(".new").rename(path)


def _anew(number: int) -> None:
    """The old one is removed first."""
    path = _path(number % WAYS)
    path.with_suffix(".new").write_bytes(_packed(number))
    path.unlink()
    path.with_suffix(".new").rename(path)


def _linked(number: int) -> None:
    """A second name takes the place of the first."""
    path = _path(number % WAYS)
    path.with_suffix(".new").write_bytes(_packed(number))
    path.with_suffix(".link").hardlink_to(path.with_suffix(".new"))
    path.with_suffix(".new").unlink()
    path.with_suffix(".link").rename(path)


def _symlink(number: int) -> None:
    path = _path(number % WAYS)
    path.with_suffix(".new").symlink_to(str(number))
    path.with_suffix(".new").rename(path)


def _folder(number: int) -> None:
    """A folder whose one file bears the number for a name; another one takes its place."""
    path = _path(number % WAYS)
    new = path.with_suffix(".new")
    new.mkdir()
    (new / str(number)).touch()
    for old in path.iterdir():
        old.unlink()
    new.rename(path)


def read() -> list[int | None]:
    """What the files hold."""
    return [_number(_path(way)) for way in range(WAYS)]


def _number(path: Path) -> int | None:
    if path.is_symlink():
        return int(path.readlink().name)
    if path.is_dir():
        return next((int(each.name) for each in path.iterdir()), None)
    if not path.exists():
        return None
    return int(struct.unpack(_FORM, path.read_bytes())[0])


def torn(found: list[int | None]) -> str:
    """What is wrong with such numbers, if they were not there at one moment."""
    last = max((each for each in found if each is not None), default=0)
    whole = [last - (last - way) % WAYS for way in range(WAYS)]
    half: list[int | None] = list(whole)
    half[(last + 1) % WAYS] = None
    return "" if found in (whole, half) else f"{found}: neither {whole} nor {half}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read()))
