"""``python -m benchmarks.versions CHECKOUT``: this checkout beside another one, command by command, in one run.

Both act on the same bottle, engine and far host, and take turns, in each round in the opposite order. Ratios are of
medians, this checkout's to the other one's: above 1 this one takes longer.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from docker.errors import DockerException

from benchmarks.migrate import size
from benchmarks.rig import ROOT, Presence, Rig, run, say
from tests.hosts import RemoteError

_STARTS = 10  # times that what only starts is run in one go


class Version:
    """A checkout whose commands act on what a rig has made."""

    def __init__(self, rig: Rig, root: Path) -> None:
        self._rig = rig
        self._root = root

    def bottle(self, *words: str) -> str:
        """What a command answers. Raises RuntimeError."""
        env = {**self._rig.env, "PYTHONPATH": str(self._root)}
        return run([sys.executable, "-P", "-m", "bottle", *words], env=env, cwd=self._rig.home)


def _help(_: Rig, version: Version) -> None:
    for _round in range(_STARTS):
        version.bottle("--help")


def _list(_: Rig, version: Version) -> None:
    for _round in range(_STARTS):
        version.bottle("list")


def _move(rig: Rig, version: Version) -> None:
    version.bottle("migrate", rig.identity, rig.alias)


def _commit(rig: Rig, version: Version) -> None:
    version.bottle("commit", rig.identity)


def _export(rig: Rig, version: Version) -> None:
    version.bottle("export", rig.identity, str(rig.work / "measured.bottle"))


def _import(rig: Rig, version: Version) -> None:
    version.bottle("import", "--yes", str(rig.work / "kept.bottle"))


def _started(rig: Rig, version: Version) -> None:
    rig.reset(Presence.BASE, 1, registry=False)
    version.bottle("resume", rig.identity, "--detach")


def _has(presence: Presence, number: int = 1) -> Callable[[Rig, Version], None]:
    return lambda rig, _: rig.reset(presence, number, registry=False)


def _exportable(rig: Rig, _: Version) -> None:
    rig.reset(Presence.BASE, 1, registry=False)
    (rig.work / "measured.bottle").unlink(missing_ok=True)


def _importable(rig: Rig, version: Version) -> None:
    if not (rig.work / "kept.bottle").exists():
        rig.reset(Presence.BASE, 1, registry=False)
        version.bottle("export", rig.identity, str(rig.work / "kept.bottle"))


Step = Callable[[Rig, Version], None]
# What is measured, and what is done before it.
MEASURED: dict[str, tuple[Step, Step]] = {
    f"bottle --help, {_STARTS} times": (_has(Presence.BASE), _help),
    f"bottle list, {_STARTS} times": (_has(Presence.BASE), _list),
    "commit": (_started, _commit),
    "export": (_exportable, _export),
    "import": (_importable, _import),
    "move, nothing present": (_has(Presence.NOTHING), _move),
    "move, base present": (_has(Presence.BASE), _move),
    "move, all but a small change present": (_has(Presence.FIRST, 2), _move),
}


def main() -> int:
    """Answer on stdout; progress goes to stderr."""
    options = _parse()
    took: dict[str, dict[Path, list[float]]] = {name: {options.other: [], ROOT: []} for name in MEASURED}
    try:
        with Rig(size=options.size, store="classic", rate=None, registry=False) as rig:
            for number in range(options.rounds):
                for name, (prepare, measured) in MEASURED.items():
                    for root in (options.other, ROOT) if number % 2 else (ROOT, options.other):
                        version = Version(rig, root)
                        prepare(rig, version)
                        began = time.monotonic()
                        measured(rig, version)
                        took[name][root].append(time.monotonic() - began)
                        say(f"round {number + 1}, {name}, {root.name}: {took[name][root][-1]:.2f} s")
                        _forget_imports(rig)
    except (DockerException, RuntimeError, RemoteError) as exc:
        say(f"error: {exc}")
        return 1
    for name, times in took.items():
        before, after = median(times[options.other]), median(times[ROOT])
        sys.stdout.write(f"{name:<40} {before:7.2f} s before, {after:7.2f} s now, ratio {after / before:.2f}\n")
    return 0


def _forget_imports(rig: Rig) -> None:
    """Delete the bottles that an import made."""
    version = Version(rig, ROOT)
    for each in json.loads(version.bottle("list", "--all", "--format", "json"))["bottles"]:
        if each["identity"] != rig.identity:
            version.bottle("rm", "--yes", each["identity"])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("other", type=lambda text: Path(text).resolve(), help="a checkout of an earlier version")
    parser.add_argument("--size", type=size, default="300M", help="size of the image [default: 300M]")
    parser.add_argument("--rounds", type=int, default=3, help="[default: 3]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
