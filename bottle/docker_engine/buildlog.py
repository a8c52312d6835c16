"""What a builder says, line by line: its steps, its output, and the last lines for who has to mend the Dockerfile."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping

from bottle.docker_engine.connection import error_of
from bottle.errors import BuildFailed
from bottle.ports import Progress
from bottle.text import laid_out, printable

_LAST_LINES = 20
_LONGEST = 64 * 1024  # of a line without an end that are kept waiting for it
_SHOWN = 2000  # characters of a line or a message

# Podman's builder writes the word in capitals, behind the stage where there are several.
_ENGINE_STEP = re.compile(r"(\[\d+/\d+\] )?step \d+/\d+ ?: .*", re.IGNORECASE)
# What the engine's own builder says of its work: ids that tell a reader nothing.
_CHORES = re.compile(r" ---> .*|Removing intermediate container [0-9a-f]+")
# A line of `docker buildx build --progress plain`: the number of what works, the seconds of what it printed, a text.
_PLAIN = re.compile(r"#(\d+) (?:(\d+\.\d+) ?)?(.*)", re.DOTALL)
_STEP = re.compile(r"\[(?:stage-\d+ |(?P<stage>.+) )?(?P<place>\d+/\d+)\] (?P<instruction>.*)")
_ENDED = re.compile(r"DONE( \S+)?|CACHED|CANCELED")
_ERROR = "ERROR: "
_RULE = "------"
# What stands before the cause, for who debugs BuildKit.
_AROUND = re.compile(
    r"(failed to build: |failed to solve: |failed to solve with frontend \S+: |failed to create LLB definition: "
    r"|rpc error: code = \w+ desc = )+"
)


class LineSplitter:
    """The lines of a text that comes in pieces, wherever it is cut."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, piece: str) -> Iterator[str]:
        """The lines that are whole now."""
        *whole, self._rest = (self._rest + piece).split("\n")
        yield from whole
        if len(self._rest) > _LONGEST:
            yield from self.end()

    def end(self) -> Iterator[str]:
        """The line that has no end, where there is one."""
        rest, self._rest = self._rest, ""
        if rest:
            yield rest


class BuildLog:
    """Steps and output for who watches, and what was printed last for who has to mend it.

    A Dockerfile's output is untrusted: it is shown without control characters. `part` tells apart what works at once.
    """

    def __init__(self, tag: str, progress: Progress) -> None:
        self._tag = tag
        self._progress = progress
        self._steps: dict[str, str] = {}
        self._lines: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_LAST_LINES))

    def begin(self, part: str, step: str) -> None:
        """A step of the Dockerfile begins."""
        self._steps[part] = step
        self._lines.pop(part, None)
        self._progress.note(step)

    def say(self, part: str, line: str) -> None:
        """A line of output."""
        text = laid_out(_last_state(line), _SHOWN)
        if text:
            self._lines[part].append(text)
            self._progress.output(text)

    def failure(self, part: str, message: str, next_step: str) -> BuildFailed:
        """The error that says where the build failed, why, and what was printed last."""
        where = f" at {self._steps[part]}" if part in self._steps else ""
        return BuildFailed(
            f"building {self._tag} failed{where}: {printable(message, _SHOWN)}",
            details=tuple(self._lines[part]) if part in self._lines else (),
            left="no image was tagged; what was there before stays in use",
            next_step=next_step,
        )


def _last_state(line: str) -> str:
    """What is left to be seen of a line that returns to its beginning, as a bar does."""
    return line.rstrip("\r").rpartition("\r")[2]


class Layers:
    """What becomes of the layers of an image that is pulled: each change, not each byte."""

    def __init__(self) -> None:
        self._known: dict[object, object] = {}

    def news(self, event: Mapping[str, object]) -> Iterator[str]:
        """The line that tells of an event, unless the one before said the same."""
        layer, status = event.get("id"), event.get("status")
        if status and self._known.get(layer) != status:
            self._known[layer] = status
            yield printable(f"{layer}: {status}" if layer else str(status))


class EngineOutput:
    """The events of the engine's own builder, one step at a time."""

    def __init__(self, log: BuildLog) -> None:
        self._log = log
        self._lines = LineSplitter()
        self._layers = Layers()

    def see(self, event: Mapping[str, object]) -> str | None:
        """Take in one event; the message where it is the error that ended the build."""
        for line in self._lines.feed(str(event.get("stream") or "")):
            self._take(line)
        for line in self._layers.news(event):
            self._log.say("", line)
        message = error_of(event)
        if message is not None:
            for line in self._lines.end():
                self._take(line)
        return message

    def _take(self, line: str) -> None:
        text = printable(line)
        if _ENGINE_STEP.fullmatch(text):
            self._log.begin("", text.replace("STEP ", "Step ", 1))
        elif _CHORES.fullmatch(line) is None:
            self._log.say("", line)


class BuildxOutput:
    """The lines of `docker buildx build --progress plain`, in which several steps may work at once."""

    def __init__(self, log: BuildLog) -> None:
        self._log = log
        self._named: set[str] = set()
        self._repeats = False
        self.failed = ""
        self.message = ""

    def see(self, line: str) -> None:
        """Take in one line; `failed` and `message` say afterwards which step ended the build, and why."""
        match = _PLAIN.fullmatch(line)
        if match is None:
            self._see_end(line)
            return
        part, time, text = match.groups()
        if time is not None:
            self._log.say(part, text)
        elif text.startswith(_ERROR):
            self.failed = part
        elif part not in self._named:
            self._named.add(part)
            self._name(part, text)
        elif _STEP.fullmatch(text) is None and _ENDED.fullmatch(text) is None:
            self._log.say(part, text)

    def _name(self, part: str, text: str) -> None:
        step = _STEP.fullmatch(printable(text))
        if step is None:
            self._log.say(part, text)
            return
        stage = f" of {step['stage']}" if step["stage"] else ""
        self._log.begin(part, f"Step {step['place']}{stage} : {step['instruction']}")

    def _see_end(self, line: str) -> None:
        """The end's: what failed with its last lines once more, between rules; warnings; the error."""
        if line == _RULE:
            self._repeats = not self._repeats
        elif line.startswith(_ERROR):
            self.message = _AROUND.sub("", line.removeprefix(_ERROR))
        elif not self._repeats:
            self._log.say("", line)
