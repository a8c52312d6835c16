"""What of this machine a container must be shown, at the same paths, so that this very Python runs in it."""

import os
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from bottle.errors import HelperLost

# Where a system keeps shared libraries, and what finds them (ld.so(8)); some of the folders are links to others.
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")


def command(module: str, packages: Iterable[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """How a module is run by this Python, and in which environment; `packages` are all that it imports.

    Raises HelperLost as `shown`.
    """
    above = dict.fromkeys(str(_folder(package).parent) for package in packages)
    environment = [("PYTHONPATH", os.pathsep.join(above))]
    if libraries := os.environ.get("LD_LIBRARY_PATH"):
        environment.append(("LD_LIBRARY_PATH", libraries))
    # -S, -s, -P: no path but that one; -B: nothing can be written; -X utf8: names are read the same everywhere.
    return (str(_program()), "-S", "-s", "-P", "-B", "-X", "utf8", "-m", module), tuple(environment)


def shown(packages: Iterable[str]) -> tuple[str, ...]:
    """Folders and files: the program, its standard library, the shared libraries that it has open, and `packages`.

    Raises HelperLost where one of them is in no folder, as in an archive.
    """
    wanted = [Path(each) for each in _SYSTEM if Path(each).exists()]
    wanted += [_program().parent, Path(os.__file__).resolve().parent, *_extensions(), *_libraries()]
    wanted += [_folder(package) for package in packages]
    kept: list[Path] = []
    for path in sorted(dict.fromkeys(wanted)):
        if not any(above in path.parents for above in kept):
            kept.append(path)
    return tuple(map(str, kept))


def _program() -> Path:
    """The interpreter itself, where a virtual environment has a link to it."""
    if not sys.executable:
        raise HelperLost("which Python this is cannot be found out")
    return Path(sys.executable).resolve()


def _folder(package: str) -> Path:
    found = find_spec(package)
    folder = Path(found.origin).resolve().parent if found is not None and found.origin else None
    if folder is None or not folder.is_dir():
        raise HelperLost(f"the package {package} is in no folder that a container can be shown")
    return folder


def _extensions() -> Iterator[Path]:
    """Where the parts of the standard library are that are no Python."""
    return (Path(each).resolve() for each in sys.path if each.endswith("/lib-dynload") and Path(each).is_dir())


def _libraries() -> Iterator[Path]:
    """The folders of the shared libraries that this process has open (proc(5), /proc/PID/maps)."""
    for line in Path("/proc/self/maps").read_bytes().split(b"\n"):
        fields = line.split(None, 5)
        path = Path(os.fsdecode(fields[5])) if len(fields) == 6 else Path()
        if path.is_absolute() and ".so" in path.name:
            yield path.parent
