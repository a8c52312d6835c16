"""The command line of `scripts/mutants`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.catalogue import MUTANTS, ORACLE
from tests.mutants.mutant import Mutant, Verdict, copy_tree, passes, try_out

DESCRIPTION = """\
Puts faults into a copy of the code, one at a time, runs the tests that should notice, and prints which faults live.
Exit 0: all were noticed. Exit 1: some live, or are stale because the code has changed since they were written."""
EXAMPLE = "example: scripts/mutants --jobs 2 fsync lock     (those whose title has one of these words)"


def main() -> int:
    """Try the chosen mutants; a line each on stdout, as they end."""
    options = _parse()
    here = [each for each in MUTANTS if (ORACLE in each.tests) is options.oracle]
    chosen = [each for each in here if _is_chosen(each, options.words)]
    if options.list:
        for mutant in chosen:
            sys.stdout.write(f"{mutant.title}  ({mutant.file}; {' '.join(mutant.tests)})\n")
        return 0
    if not chosen:
        sys.stderr.write("error: no mutant has such a title\n  next:  scripts/mutants --list\n")
        return 2
    counts = dict.fromkeys(Verdict, 0)
    with tempfile.TemporaryDirectory(prefix="bottle-mutants-") as name, ThreadPoolExecutor(options.jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            root = Path(name, str(number))
            root.mkdir()
            copy_tree(root)
            copies.put(root)
        sound = _sound_tests(chosen, copies, pool)

        def attempt(mutant: Mutant) -> Verdict:
            if not sound.issuperset(mutant.tests):
                return Verdict.BROKEN
            root = copies.get()
            try:
                return try_out(mutant, root)
            finally:
                copies.put(root)

        for mutant, verdict in zip(chosen, pool.map(attempt, chosen), strict=True):
            counts[verdict] += 1
            sys.stdout.write(f"{verdict.value:>8}  {mutant.title}  ({mutant.file})\n")
            sys.stdout.flush()
    sys.stdout.write(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count) + "\n")
    return 0 if counts[Verdict.KILLED] == len(chosen) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/mutants", description=DESCRIPTION, epilog=EXAMPLE, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those whose title has one of these words")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (default: cores)")
    parser.add_argument("--oracle", action="store_true", help="those of commits instead, which need an engine")
    parser.add_argument("--list", action="store_true", help="only print them")
    return parser.parse_args()


def _is_chosen(mutant: Mutant, words: list[str]) -> bool:
    return not words or any(word.lower() in mutant.title.lower() for word in words)


def _sound_tests(chosen: list[Mutant], copies: SimpleQueue[Path], pool: ThreadPoolExecutor) -> set[str]:
    """The tests that pass without any fault: those that fail anyhow would notice nothing."""
    files = sorted({test for mutant in chosen for test in mutant.tests})

    def is_sound(test: str) -> bool:
        root = copies.get()
        try:
            return passes(root, (test,))
        finally:
            copies.put(root)

    return {test for test, sound in zip(files, pool.map(is_sound, files), strict=True) if sound}


if __name__ == "__main__":
    sys.exit(main())
