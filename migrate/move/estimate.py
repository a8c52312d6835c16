"""How long a move would take, and for how long its agent would stand still: pure, and right within a factor of two.

What the engine there takes is not measured, as nothing is written there for a plan. The rates are those of
docs/BENCHMARKS.md, and of moves of 60 MB on the same two cores.
"""

from dataclasses import dataclass
from typing import Self

from bottle.words import coarse
from migrate.host.link_speed import Link
from migrate.model import Blob, Codec
from migrate.move.model import Estimate, MoveFacts, MovePlan

# Bytes a second, before compression, of files as an agent's work has them.
_COMMIT = 70e6
_LOOK = 100e6  # read and searched while the agent works
_READ = {Codec.ZSTD: 130e6, Codec.GZIP: 50e6, Codec.NONE: 200e6}  # of layers, and compressed
_LOAD = 65e6
_PACK = {Codec.ZSTD: 80e6, Codec.GZIP: 20e6, Codec.NONE: 150e6}  # of what lies beside the image
_UNPACK = 100e6
_SEND = 100e6  # over a line that brings anything
_SEEN = 0.1e-3  # seconds for a file or folder, each time that its tree is looked at
_FILE = 0.5e-3  # to pack it, to make it there, and to check it
# Seconds, and commands on the far host one after the other, that each takes, however little there is to do.
_AHEAD = (1.5, 10)
_STILL = (1.3, 17)
_PAUSE = (0.3, 0)
_ROUND = (0.5, 13)
_LAST_ROUND = (1.8, 10)
_TALK = 600_000  # bytes on the wire whatever is to be moved: the scripts, and a move's own look at the line
_ROUNDS = 2  # after the first one
_BESIDE = 0.25  # of what goes on at the same time as what takes longest
_COMPRESSED = 0.5  # what is left of bytes of which nothing is known
# What was read ahead tells how fast it goes here, and how small the files are.
_TELLING = 8 << 20  # bytes: what is less tells nothing
_READ_AHEAD = 150e6  # bytes a second, where the rates above hold
_UNKNOWN = 0.7
_SLOWEST, _QUICKEST = 0.5, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a container has written, as it was read ahead: its bytes, what they were compressed to, and the seconds."""

    size: int = 0
    compressed: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, written: Blob | None, seconds: float) -> Self:
        """The sample that reading this in so many seconds was; None is one that tells nothing."""
        if written is None:
            return cls()
        return cls(size=written.diff_size, compressed=written.size, seconds=seconds)

    @property
    def pace(self) -> float:
        """How fast such files are read here, where 1 is as fast as the rates above say."""
        if self.size < _TELLING:
            return _UNKNOWN
        return min(max(self.size / max(self.seconds, 1e-3) / _READ_AHEAD, _SLOWEST), _QUICKEST)

    @property
    def ratio(self) -> float:
        """What is left of its bytes when they are compressed."""
        return min(self.compressed / self.size, 1.0) if self.size >= _TELLING else _COMPRESSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a move would have to do. Sizes in bytes, before compression.

    `written` is what would be committed first, `image` what is missing there of the image, with all that was written.
    `files` lie beside it, in so many `entries`. `staged` bytes are there already, compressed. `stops`, `live` and
    `running` are those of the plan.
    """

    written: int
    image: int
    files: int
    entries: int
    staged: int
    layer_codec: Codec
    file_codec: Codec
    stops: bool
    live: bool
    running: bool


def work_of(facts: MoveFacts, plan: MovePlan) -> Work | None:
    """What `plan`, which was made of `facts`, would have to do; None where the size of something is not known."""
    image, *beside = (part.size for part in plan.parts)
    if image is None or None in beside:
        return None
    extents = (*((facts.workspace,) if plan.lands is not None else ()), *facts.volumes.values(), facts.state)
    return Work(
        written=facts.written if plan.commits else 0,
        image=image,
        files=sum(each for each in beside if each is not None),
        entries=sum(each.entries for each in extents),
        staged=facts.host.staged,
        layer_codec=plan.layer_codec,
        file_codec=plan.file_codec,
        stops=plan.stops,
        live=plan.live,
        running=plan.running,
    )


def estimate(work: Work, sample: Sample, link: Link) -> Estimate:
    """The time of a move over a link that nobody else uses."""
    pace = sample.pace
    commit = work.written / (_COMMIT * pace)
    pack = work.files / _PACK[work.file_codec] + work.entries * _FILE
    looking = work.entries * _SEEN
    bring = _delivery(work, sample, link) + work.files / _UNPACK
    ahead = _fixed(_AHEAD, link) + looking
    if work.live:
        still = _fixed(_LAST_ROUND, link) + looking
        total = ahead + commit + pack + bring + (1 + _ROUNDS) * (_fixed(_ROUND, link) + looking) + still
    else:
        moving = commit + pack + bring + looking + _fixed(_STILL, link)
        still = moving if work.stops else _fixed(_PAUSE, link) + commit + pack
        total = ahead + work.written / (_LOOK * pace) + moving
    return Estimate(
        seconds=coarse(total),
        standstill_seconds=coarse(still) if work.running else None,
        line_bytes_per_second=_two_digits(link.rate),
        round_trip_seconds=round(link.round_trip, 2),
    )


def _delivery(work: Work, sample: Sample, link: Link) -> float:
    """Seconds in which the image is read, sent and loaded, all at once, and what lies beside it is sent."""
    pace, kept = sample.pace, min(sample.size, work.image) if sample.size >= _TELLING else 0
    wire = kept * sample.ratio + (work.image - kept + work.files) * _COMPRESSED
    steps = (
        (_TALK + max(wire - work.staged, 0.0)) / min(link.rate, _SEND),
        work.image / (_READ[work.layer_codec] * pace),
        work.image / (_LOAD * pace),
    )
    longest = max(steps)
    return longest + _BESIDE * (sum(steps) - longest)


def _fixed(cost: tuple[float, int], link: Link) -> float:
    seconds, commands = cost
    return seconds + commands * link.round_trip


def _two_digits(rate: float) -> int:
    return int(float(f"{rate:.1e}"))
