"""``python -m benchmarks.migrate``: this tool and the usual ways of moving an image, side by side in one run.

A bottle is moved from the engine that DOCKER_HOST names to a second Docker host (a container with its own dockerd and
sshd), over SSH. The methods take turns, in each round in the opposite order, so that a machine that is busy for a while
is busy for all of them.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from docker.errors import DockerException

from benchmarks.live import LiveSample, as_lines, measure
from benchmarks.memory import PeakMemory
from benchmarks.methods import METHODS
from benchmarks.report import Sample, as_document, as_text
from benchmarks.rig import Presence, Rig, say
from tests.hosts import RemoteError

# What the far host has, and which commit moves there.
LIVE = "live"
SCENARIOS: dict[str, tuple[str, Presence, int]] = {
    "nothing": ("nothing present", Presence.NOTHING, 1),
    "base": ("base present", Presence.BASE, 1),
    "all": ("nothing missing", Presence.FIRST, 1),
    "second": ("1 % changed since the last move", Presence.FIRST, 2),
}


def main() -> int:
    """Answer on stdout; progress goes to stderr."""
    options = _parse()
    names = [name for name in METHODS if name in options.only]
    samples: list[Sample] = []
    lively: list[LiveSample] = []
    try:
        with Rig(
            size=options.size,
            store=options.store,
            rate=options.rate,
            round_trip=options.round_trip,
            registry="registry" in names,
        ) as rig:
            settings = {
                "size": options.size,
                "rounds": options.rounds,
                "store": options.store,
                "rate_bytes_a_second": options.rate,
                "round_trip_seconds": options.round_trip,
                "first": rig.images[1].size,
                "second": rig.images[2].size,
            }
            for name, scenario, number in _turns(options.rounds, names, options.scenario):
                samples.append(_measure(rig, name, scenario, number))
            if LIVE in options.scenario:
                lively = [measure(rig, options.size, number) for number in range(1, options.rounds + 1)]
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except DockerException as exc:
        say(f"error: Docker: {exc}")
        return 5
    except (RuntimeError, RemoteError) as exc:
        say(f"error: {exc}")
        return 1
    if options.format == "json":
        document = {**as_document(settings, samples), "live": [asdict(each) for each in lively]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write(as_text(settings, samples) + "".join(f"{line}\n" for line in as_lines(lively)))
    return 0


def _turns(rounds: int, names: Sequence[str], scenarios: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    for number in range(1, rounds + 1):
        for scenario in (each for each in SCENARIOS if each in scenarios):
            for name in names if number % 2 else reversed(names):
                yield name, scenario, number


def _measure(rig: Rig, name: str, scenario: str, round_number: int) -> Sample:
    title, presence, commit = SCENARIOS[scenario]
    label, method = METHODS[name]
    image = rig.images[commit]
    rig.reset(presence, commit, registry=name == "registry")
    before = rig.wire.counts()
    with PeakMemory() as memory:
        began = time.monotonic()
        outcome = method(rig, image, memory.add)
        seconds = time.monotonic() - began
    sent, received = (now - then for now, then in zip(rig.wire.counts(), before, strict=True))
    rig.require_arrived(image, outcome.tag)
    say(f"round {round_number}, {title}, {label}: {seconds:.1f} s, {(sent + received) / 1e6:.1f} MB")
    return Sample(
        method=name,
        label=label,
        scenario=scenario,
        title=title,
        round=round_number,
        seconds=seconds,
        sent=sent,
        received=received,
        memory=memory.bytes,
        phases=outcome.phases,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrate", description=__doc__)
    parser.add_argument("--size", type=size, default="610M", help="of the bottle's work, such as 200M [default: 610M]")
    parser.add_argument("--rounds", type=int, default=3, help="[default: 3]")
    parser.add_argument("--store", choices=("classic", "containerd"), default="classic", help="the far host's")
    parser.add_argument("--rate", type=_rate, default="none", help="of the link, such as 100mbit [default: none]")
    parser.add_argument("--round-trip", type=float, default=0.0, help="seconds that the link adds [default: 0]")
    parser.add_argument("--only", action="append", choices=tuple(METHODS), help="this method; may be given again")
    parser.add_argument("--scenario", action="append", choices=(*SCENARIOS, LIVE), help="this one; may be given again")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args()
    options.only = options.only or list(METHODS)
    options.scenario = options.scenario or [*SCENARIOS, LIVE]
    return options


def size(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)([MG])", text, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: expected 500M or 1G")
    return int(match[1]) << {"m": 20, "g": 30}[match[2].lower()]


def _rate(text: str) -> float | None:
    """Bytes a second."""
    if text == "none":
        return None
    match = re.fullmatch(r"([0-9]+)(kbit|mbit|gbit)", text, re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: expected none, or 100mbit")
    return int(match[1]) * {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}[match[2].lower()] / 8


if __name__ == "__main__":
    sys.exit(main())
