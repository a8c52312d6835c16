"""What was measured, as text and as JSON. Ratios are to this tool: above 1, the other method takes more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

_REFERENCE = "bottle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One move. `sent` and `received` are bytes at the socket, `memory` bytes of the processes here at their peaks."""

    method: str
    label: str
    scenario: str
    title: str
    round: int
    seconds: float
    sent: int
    received: int
    memory: int
    phases: Mapping[str, float]

    @property
    def wire(self) -> int:
        """Bytes in both directions."""
        return self.sent + self.received


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One method in one scenario: medians over the rounds, but the highest peak of memory."""

    method: str
    label: str
    scenario: str
    title: str
    seconds: float
    fastest: float
    slowest: float
    wire: float
    memory: int
    seconds_ratio: float | None
    wire_ratio: float | None
    memory_ratio: float | None
    phases: Mapping[str, float]


def summarize(samples: Sequence[Sample]) -> list[Summary]:
    """By scenario and method, in the order in which they were first measured."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in sorted(samples, key=lambda each: each.round):
        groups.setdefault((sample.scenario, sample.method), []).append(sample)
    return [_summary(group, groups.get((scenario, _REFERENCE))) for (scenario, _), group in groups.items()]


def _summary(group: Sequence[Sample], reference: Sequence[Sample] | None) -> Summary:
    times = [sample.seconds for sample in group]
    wire = median(sample.wire for sample in group)
    memory = max(sample.memory for sample in group)
    return Summary(
        method=group[0].method,
        label=group[0].label,
        scenario=group[0].scenario,
        title=group[0].title,
        seconds=median(times),
        fastest=min(times),
        slowest=max(times),
        wire=wire,
        memory=memory,
        seconds_ratio=median(times) / median(each.seconds for each in reference) if reference else None,
        wire_ratio=wire / median(each.wire for each in reference) if reference else None,
        memory_ratio=memory / max(each.memory for each in reference) if reference else None,
        phases=_phases(group),
    )


def _phases(group: Sequence[Sample]) -> dict[str, float]:
    names = dict.fromkeys(name for sample in group for name in sample.phases)
    return {name: median(sample.phases.get(name, 0.0) for sample in group) for name in names}


def as_document(settings: Mapping[str, object], samples: Sequence[Sample]) -> dict[str, object]:
    """All of it."""
    return {
        "schema": 1,
        "settings": dict(settings),
        "summary": [asdict(each) for each in summarize(samples)],
        "samples": [asdict(each) for each in samples],
    }


def as_text(settings: Mapping[str, object], samples: Sequence[Sample]) -> str:
    """A table a scenario, and where this tool's time goes."""
    return "\n".join(_lines(settings, summarize(samples))) + "\n"


def _lines(settings: Mapping[str, object], summaries: Sequence[Summary]) -> Iterator[str]:
    rate = settings["rate_bytes_a_second"]
    speed = "as fast as it goes" if rate is None else f"{float(str(rate)) * 8 / 1e6:g} Mbit/s"
    yield (
        f"image {int(str(settings['first'])) / 1e6:.0f} MB, far store {settings['store']}, link {speed}, "
        f"{settings['rounds']} round(s); medians, and in brackets the ratio to bottle"
    )
    for scenario in dict.fromkeys(each.scenario for each in summaries):
        rows = [each for each in summaries if each.scenario == scenario]
        yield ""
        yield rows[0].title
        yield f"  {'':36} {'seconds':>16} {'fastest-slowest':>16} {'MB on the wire':>18} {'peak MB here':>16}"
        for row in rows:
            yield (
                f"  {row.label:36} {_with(row.seconds, row.seconds_ratio):>16} "
                f"{f'{row.fastest:.1f}-{row.slowest:.1f}':>16} "
                f"{_with(row.wire / 1e6, row.wire_ratio):>18} {_with(row.memory / 1e6, row.memory_ratio):>16}"
            )
    for row in summaries:
        if row.phases:
            yield ""
            yield f"where {row.label} spends it, {row.title}"
            yield from (f"  {seconds:8.1f} s  {name}" for name, seconds in row.phases.items())


def _with(value: float, ratio: float | None) -> str:
    return f"{value:.1f}" if ratio is None else f"{value:.1f} ({ratio:.2f})"
