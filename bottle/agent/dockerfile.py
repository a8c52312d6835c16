"""Dockerfiles as they are read: instructions, stages, and what is known of variables. Pure, and of untrusted text.

The form is that of https://docs.docker.com/reference/dockerfile/, as far as an engine's own builder, which is not
BuildKit, understands it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

_MOST_FILLED = 256 * 1024  # characters that variables may add to a Dockerfile, all of them together
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*)")
_HEREDOC = re.compile(r"(?<!\S)\d*<<-?(?P<quote>['\"]?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)")
_FLAG = re.compile(r"--[a-z][a-z-]*(?:=\S*)?(?=\s|$)\s*")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::(?P<how>[-+])(?P<other>[^}]{0,200}))?\})")
_PAIR = re.compile(r"(?<!\w)(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|\S*)")
HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
    "\\U000e0000-\\U000e007f]"
)


def visible(text: str) -> str:
    """`text` with what is not seen of it written as `<U+202E>`: no terminal acts on it, and it hides nothing."""
    return HIDDEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def declared_args(text: str) -> frozenset[str]:
    """The names that a Dockerfile declares with ARG, in any of its stages or ahead of them."""
    return frozenset(
        word.partition("=")[0] for each in _instructions(text) if each.name == "ARG" for word in each.rest.split()
    )


_Said = tuple[str, tuple[str, ...], str, str]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `flags` and `rest` have the continuation lines in one, `body` is what its heredocs would say."""

    name: str
    flags: tuple[str, ...]
    rest: str
    body: str

    @property
    def shown(self) -> str:
        """The instruction, short enough for a sentence."""
        text = visible(" ".join((self.name, *self.flags, self.rest)))
        return text if len(text) <= 120 else text[:119] + "…"


@dataclass(slots=True)
class Stage:
    """What a FROM begins. `image` is the base image, the one of the stage it stands on where it names a stage."""

    image: str
    platform: str
    name: str
    user: str | None = None
    entrypoint: str | None = None
    command: str | None = None
    instructions: list[tuple[Instruction, str]] = field(default_factory=list)  # with `rest`, variables filled in


@dataclass(slots=True)
class _Room:
    """How many characters variables may still add; `short` once there were too few."""

    left: int = _MOST_FILLED
    short: bool = False


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile's stages; the last one is what gets built. `written` is what its instructions say.

    `followed` says that every variable was filled in whose value is known.
    """

    stages: tuple[Stage, ...]
    written: frozenset[_Said]
    followed: bool

    @property
    def last(self) -> Stage:
        """The stage that becomes the image; an empty one where there is none."""
        return self.stages[-1] if self.stages else Stage("", "", "")

    @property
    def all(self) -> tuple[tuple[Instruction, str], ...]:
        """The instructions of all stages."""
        return tuple(each for stage in self.stages for each in stage.instructions)

    def has(self, instruction: Instruction, rest: str) -> bool:
        """Whether the same is done in this one."""
        return _said(instruction, rest) in self.written


def _said(each: Instruction, rest: str) -> _Said:
    return each.name, each.flags, " ".join(rest.split()), each.body


def _instructions(text: str) -> Iterator[Instruction]:
    """What the engine's own builder, which knows no heredocs, takes for instructions.

    So the lines of what looks like a heredoc are read as instructions too: nothing can be hidden in one that is none.
    """
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape, at = _directives(lines)
    told = at  # the lines before this one are in a body already
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = []
        while continued.search(line):
            parts.append(continued.sub("", line))
            while at < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
                at += 1
            if at == len(lines):
                line = ""
                break
            line = lines[at]
            at += 1
        whole = "".join((*parts, line)).strip()
        name, rest = _cut(whole)
        name = name.upper()
        body: list[str] = []
        if name in {"RUN", "COPY", "ADD"} and at >= told:
            told = at
            for match in _HEREDOC.finditer(rest):
                while told < len(lines) and lines[told].strip("\t") != match["name"]:
                    body.append(lines[told])
                    told += 1
                told += 1
        flags, rest = _flags(rest)
        yield Instruction(name, flags, rest, "\n".join(body))


def _directives(lines: list[str]) -> tuple[str, int]:
    """The escape character, and the line after the parser directives, which only count at the very top."""
    escape = "\\"
    for number, line in enumerate(lines):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            return escape, number
        if match[1].lower() == "escape" and match[2] in {"\\", "`"}:
            escape = match[2]
    return escape, len(lines)


def _cut(line: str) -> tuple[str, str]:
    """The first word, and what comes behind it."""
    words = line.split(maxsplit=1)
    return (words[0] if words else ""), (words[1] if len(words) > 1 else "")


def _flags(rest: str) -> tuple[tuple[str, ...], str]:
    flags, at = [], 0
    while match := _FLAG.match(rest, at):
        flags.append(match[0].strip())
        at = match.end()
    return tuple(flags), rest[at:]


def words_of(text: str) -> tuple[str, ...]:
    """What an instruction is given, in the exec form or as words."""
    found = None
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
    return tuple(map(str, found or text.split()))


def read(text: str) -> Dockerfile:
    """Take a Dockerfile apart, with the variables filled in whose values it says itself."""
    stages: list[Stage] = []
    everywhere: dict[str, str] = {}  # ARGs before the first FROM
    known: dict[str, str] = {}
    named: dict[str, Stage] = {}
    room = _Room()
    for each in _instructions(text):
        if each.name == "FROM":
            stages.append(_stage(each, named, everywhere, room))
            if stages[-1].name:
                named[stages[-1].name] = stages[-1]
            known = {}
            continue
        if each.name in {"ARG", "ENV"}:
            given = pairs(each)
            if not stages:
                everywhere |= {name: _filled(value, everywhere, room) for name, value in given.items()}
                continue
            bare = {name: everywhere[name] for name in words_of(each.rest) if each.name == "ARG" and name in everywhere}
            known |= bare | {name: _filled(value, known, room) for name, value in given.items()}
        if not stages:
            continue
        stage, rest = stages[-1], _filled(each.rest, known, room) if each.name != "RUN" else each.rest
        stage.instructions.append((each, rest))
        match each.name:
            case "USER":
                stage.user = rest
            case "ENTRYPOINT":
                stage.entrypoint = rest
            case "CMD":
                stage.command = rest
    written = frozenset(_said(each, rest) for stage in stages for each, rest in stage.instructions)
    return Dockerfile(tuple(stages), written, not room.short)


def _stage(each: Instruction, named: Mapping[str, Stage], known: Mapping[str, str], room: _Room) -> Stage:
    words = _filled(each.rest, known, room).split()
    image = words[0] if words else ""
    name = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
    platform = next((_filled(flag, known, room) for flag in each.flags if flag.startswith("--platform")), "")
    below = named.get(image.lower())
    if below is not None:
        return Stage(below.image, platform or below.platform, name, below.user, below.entrypoint, below.command)
    return Stage(image, platform, name)


def pairs(each: Instruction) -> dict[str, str]:
    """The names and values of an ENV or ARG, in the form with `=` or in ENV's old one."""
    found = {match["name"]: match["value"].strip("\"'") for match in _PAIR.finditer(each.rest)}
    if not found and each.name == "ENV":
        name, value = _cut(each.rest)
        found = {name: value} if value else {}
    return found


def _filled(text: str, known: Mapping[str, str], room: _Room) -> str:
    """`text` with its variables, as far as values are known and there is room; others stay as they are written."""

    def value(match: re.Match[str]) -> str:
        name = match["plain"] or match["braced"]
        found = known.get(name, match[0])
        if match["how"] == "-":
            found = known.get(name) or match["other"]
        if match["how"] == "+":
            found = match["other"] if known.get(name) else ""
        added = max(0, len(found) - len(match[0]))
        if added > room.left:
            room.short = True
            return match[0]
        room.left -= added
        return found

    return _VARIABLE.sub(value, text)
