"""``python -m benchmarks.commit``: `bottle commit` and Docker's own, side by side in one run, of the same container.

The container holds many files. All is new at first, then a hundredth of the files has changed, then one, then none; and
then a week goes by with a commit every ten minutes, or as much of it as is asked for. The methods take turns.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from docker.errors import DockerException

from benchmarks.migrate import size
from benchmarks.rig import say
from benchmarks.workplace import METHODS, Cost, Workplace

_EXAMPLE = """\
examples:
  python -m benchmarks.commit --size 60M --files 5000 --rounds 1    a minute
  python -m benchmarks.commit --week 1008 --only bottle             a whole week of bottle's, which takes hours
room needed on the engine's disk: about twelve times the size"""
_WEEK = "a week"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One commit of a round, in a scenario."""

    scenario: str
    method: str
    round: int
    cost: Cost


def main() -> int:
    """Answer on stdout; progress goes to stderr."""
    options = _parse()
    samples: list[Sample] = []
    try:
        for number in range(1, options.rounds + 1):
            say(f"round {number}: making the files")
            with Workplace(size=options.size, files=options.files) as place:
                place.fill()
                for sample in _round(place, options, number):
                    cost = sample.cost
                    say(
                        f"round {number}, {sample.scenario}, {METHODS[sample.method]}: {cost.seconds:.2f} s, "
                        f"paused {cost.pause:.2f} s, added {cost.added / 1e6:.1f} MB, peak {cost.memory / 1e6:.0f} MB"
                    )
                    samples.append(sample)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except DockerException as exc:
        say(f"error: Docker: {exc}")
        return 5
    except RuntimeError as exc:
        say(f"error: {exc}")
        return 1
    for line in _json(options, samples) if options.format == "json" else _text(options, samples):
        sys.stdout.write(f"{line}\n")
    return 0


def _round(place: Workplace, options: argparse.Namespace, number: int) -> Iterator[Sample]:
    methods = list(METHODS) if number % 2 else list(reversed(METHODS))
    methods = [each for each in methods if each in options.only]
    changes = {
        "all is new": (0, 0),
        "1 % changed": (options.files // 100, 0),
        "one file changed": (1, 0),
        "nothing changed": (0, 0),
    }
    for seed, (scenario, (changed, new)) in enumerate(changes.items()):
        if changed or new:
            place.change(changed, new, seed)
        for method in methods:
            yield Sample(scenario=scenario, method=method, round=number, cost=place.commit(method))
    place.forget()
    for step in range(options.week):
        place.change(3, 1, 1000 + step)
        for method in methods[step % len(methods) :] + methods[: step % len(methods)]:
            yield Sample(scenario=_WEEK, method=method, round=number, cost=place.commit(method))
            place.forget()


def _json(options: argparse.Namespace, samples: Sequence[Sample]) -> Iterator[str]:
    settings = {"size": options.size, "files": options.files, "rounds": options.rounds, "week": options.week}
    document = {"schema": 1, "settings": settings, "samples": [asdict(each) for each in samples]}
    yield json.dumps(document, indent=2)


def _text(options: argparse.Namespace, samples: Sequence[Sample]) -> Iterator[str]:
    """A table a scenario: medians over the rounds, but the longest pause and highest peak; a week's commits in sum."""
    yield (
        f"{options.size / 1e6:.0f} MB in {options.files} files, {options.rounds} round(s); in brackets the ratio to "
        "bottle: above 1, the other takes more"
    )
    for scenario in dict.fromkeys(each.scenario for each in samples):
        week = scenario == _WEEK
        yield ""
        yield f"{scenario}, of which {options.week} of 1008 commits: seconds and MB in all" if week else scenario
        yield f"  {'':28} {'seconds':>16} {'longest pause s':>16} {'MB added':>18} {'peak MB':>14}"
        rows = {}
        for method in METHODS:
            costs = [each.cost for each in samples if (each.scenario, each.method) == (scenario, method)]
            if costs:
                rows[method] = _row(costs, options.rounds if week else None)
        for method, row in rows.items():
            cells = (_with(value, of) for value, of in zip(row, rows.get("bottle", row), strict=True))
            yield "  {:28} {:>16} {:>16} {:>18} {:>14}".format(METHODS[method], *cells)


def _row(costs: Sequence[Cost], rounds: int | None) -> tuple[float, float, float, float]:
    seconds, added = [each.seconds for each in costs], [each.added / 1e6 for each in costs]
    pause, memory = max(each.pause for each in costs), max(each.memory for each in costs) / 1e6
    if rounds is not None:
        return sum(seconds) / rounds, pause, sum(added) / rounds, memory
    return median(seconds), pause, median(added), memory


def _with(value: float, reference: float) -> str:
    return f"{value:.2f} ({value / reference:.2f})" if reference else f"{value:.2f}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commit",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", type=size, default="582M", help="of all files, such as 60M [default: 582M, 610 MB]")
    parser.add_argument("--files", type=int, default=51_000, help="how many [default: 51000]")
    parser.add_argument("--rounds", type=int, default=1, help="each with a new bottle [default: 1]")
    parser.add_argument("--week", type=int, default=6, help="how many of its 1008 commits [default: 6, an hour's]")
    parser.add_argument("--only", action="append", choices=tuple(METHODS), help="this method; may be given again")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args()
    options.only = options.only or list(METHODS)
    return options


if __name__ == "__main__":
    sys.exit(main())
