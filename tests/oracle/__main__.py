"""``python -m tests.oracle SEED…``: what the oracle says of some seeds on the engine in force; smaller, if asked."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import docker

from tests.hosts import ensure_host_image
from tests.oracle import image
from tests.oracle.directed import DIRECTED, Seed, phases_of
from tests.oracle.oracle import Verdict, oracle_in
from tests.oracle.sequences import Phase, told

_Phases = tuple[Phase, ...]


def main() -> int:
    """Print what is wrong; exit 1 where anything is."""
    options = _parse()
    engine = docker.from_env(timeout=600)
    name = image.build(engine, ensure_host_image(engine), secrets.token_hex(4))
    wrong = False
    try:
        with (
            tempfile.TemporaryDirectory(prefix="oracle-") as folder,
            oracle_in(Path(folder), engine, name) as oracle,
        ):

            def findings(phases: _Phases, seed: Seed) -> list[str]:
                return _found(oracle.judge(seed, phases), all_facts=options.all)

            for seed in options.seeds:
                phases = phases_of(seed)
                found = findings(phases, seed)
                if found and options.shrink:
                    phases = _shrunk(phases, lambda each, seed=seed: bool(findings(each, seed)))
                    found = findings(phases, seed)
                wrong = wrong or bool(found)
                sys.stdout.write("\n".join((f"seed {seed}: {'differs' if found else 'equal'}", *found, "")))
                sys.stdout.write(told(phases) + "\n" if found else "")
                sys.stdout.flush()
    finally:
        engine.images.remove(name, force=True)
    return int(wrong)


def _found(verdict: Verdict, *, all_facts: bool) -> list[str]:
    return verdict.unlike_docker + verdict.docker_unlike_live + (verdict.unlike_live if all_facts else [])


def _shrunk(phases: _Phases, fails: Callable[[_Phases], bool]) -> _Phases:
    """Leave out what can be left out, the larger pieces first; some ten seconds a try."""
    for size in (None, 8, 4, 2, 1):
        for smaller in _without(phases, size):
            sys.stderr.write(".")
            sys.stderr.flush()
            candidate = smaller(phases)
            if candidate and candidate != phases and fails(candidate):
                phases = candidate
    return phases


def _without(phases: _Phases, size: int | None) -> Iterator[Callable[[_Phases], _Phases]]:
    """Ways to leave out a phase, or so many operations at a place; the last ones first, so that places stay."""
    for place in reversed(range(len(phases))):
        if size is None:
            yield lambda found, place=place: found[:place] + found[place + 1 :]
            continue
        if place < len(phases):
            for begin in reversed(range(0, len(phases[place].operations), size)):
                yield lambda found, place=place, begin=begin: _cut(found, place, begin, begin + size)


def _cut(phases: _Phases, place: int, begin: int, end: int) -> _Phases:
    operations = phases[place].operations
    smaller = replace(phases[place], operations=operations[:begin] + operations[end:])
    return (*phases[:place], smaller, *phases[place + 1 :])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.oracle", description=__doc__, epilog="example: python -m tests.oracle 17 --shrink"
    )
    parser.add_argument("seeds", nargs="+", type=_seed, metavar="SEED", help=f"a number, or {', '.join(DIRECTED)}")
    parser.add_argument(
        "--all", action="store_true", help="also what Docker's commit drops: user xattrs, ACLs, nanoseconds"
    )
    parser.add_argument("--shrink", action="store_true", help="leave out what makes no difference, which takes minutes")
    return parser.parse_args()


def _seed(text: str) -> Seed:
    return text if text in DIRECTED else int(text)


if __name__ == "__main__":
    sys.exit(main())
