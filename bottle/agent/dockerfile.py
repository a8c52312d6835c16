"""Dockerfiles as an operator reads them: what would change, and what to look at twice. Pure, and of untrusted text.

The form is that of https://docs.docker.com/reference/dockerfile/, as far as an engine's own builder, which is not
BuildKit, understands it. What is found is a help to who reads, and no proof: a shell can say anything in many ways.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_MOST_LIKE_IT = 8  # warnings of one kind
_MOST_FILLED = 256 * 1024  # characters that variables may add to a Dockerfile, all of them together
_MOST_LINES = 20_000  # in both together; what is longer is no text that anybody compares line by line

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*)")
_HEREDOC = re.compile(r"(?<!\S)\d*<<-?(?P<quote>['\"]?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)")
_FLAG = re.compile(r"--[a-z][a-z-]*(?:=\S*)?(?=\s|$)\s*")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::(?P<how>[-+])(?P<other>[^}]{0,200}))?\})")
_PAIR = re.compile(r"(?<!\w)(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"]*\"|'[^']*'|\S*)")

_NETWORK = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/)\S*|[^\s#]+\.git(?:#\S*)?", re.IGNORECASE)
_SHELL = r"(?:(?:ba|da|z|k|a|c|fi)?sh|python[\d.]*|perl|ruby|node)\b"
_FETCH = re.compile(r"\b(?:curl|wget)\b")
_FETCHED = re.compile(r"(?:\$\(|`|<\()\s*(?:curl|wget)\b")
_PIPED_TO = re.compile(r"[&\s\"']*(?:sudo\s+(?:-\S+\s+)*)?(?:/\S*/)?(?:env\s+(?:/\S*/)?)?" + _SHELL)
_GIVEN_TO = re.compile(r"(?:^|[\s\"'(/])(?:" + _SHELL + r"|eval|source|\.)(?=\s)")
_STATEMENT = re.compile(r"&&|\|\||;(?=\s|$)|\s&(?=\s|$)|\n")
_HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
    "\\U000e0000-\\U000e007f]"
)
_SECRET_NAME = re.compile(r"token|secret|passw|passphrase|api_?key|access_?key|private_?key|credential", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"gh[pousr]_\w{16}|github_pat_\w{16}|sk-[\w-]{16}|AKIA[0-9A-Z]{12}|xox[abp]-|-----BEGIN ")
_BUILDKIT_FLAGS = {
    "RUN": ("--mount", "--network", "--security"),
    "COPY": ("--chmod", "--link", "--parents", "--exclude"),
    "ADD": ("--chmod", "--link", "--checksum", "--keep-git-dir", "--exclude"),
}


def differences(before: str, after: str) -> str:
    """A unified diff from the Dockerfile in force to the one asked for; empty where they are the same.

    Characters that are not seen are written as `<U+202E>`: no terminal acts on them, and none hides what follows.
    """
    if before.removesuffix("\n") == after.removesuffix("\n"):
        return ""
    old, new = _lines(before), _lines(after)
    if len(old) + len(new) > _MOST_LINES:
        head = ["--- in force", "+++ requested", f"@@ -1,{len(old)} +1,{len(new)} @@"]
        listing: Iterable[str] = [*head, *(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    else:
        listing = difflib.unified_diff(old, new, "in force", "requested", lineterm="")
    return "\n".join(_visible(line) for line in listing)


def _visible(text: str) -> str:
    return _HIDDEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def _lines(text: str) -> list[str]:
    """Lines as a builder has them, which ends them at line feeds only."""
    return text.removesuffix("\n").split("\n") if text else []


def warnings(before: str, after: str, *, user: str | None = None) -> tuple[str, ...]:
    """What an operator should look at before `after` takes the place of `before`; each a sentence of untrusted text.

    What is dangerous is named though it was there before, and is said to have been; of the rest, what is new. `user` is
    who the agent runs as whatever USER says, None where that decides.
    """
    old, new = _read(before), _read(after)
    kinds = (
        _hidden(after),
        _bases(old, new),
        _fetched(old, new),
        _users(old, new) if user is None else (),
        _commands(old, new),
        _context(old, new),
        _secrets(old, new),
        _unsupported(new),
        _unread(new),
    )
    return tuple(each for kind in kinds for each in _limited(kind))


def declared_args(text: str) -> frozenset[str]:
    """The names that a Dockerfile declares with ARG, in any of its stages or ahead of them."""
    return frozenset(
        word.partition("=")[0] for each in _instructions(text) if each.name == "ARG" for word in each.rest.split()
    )


def _limited(kind: Iterable[str]) -> Iterator[str]:
    """So many of a kind that the others are still seen."""
    found = list(dict.fromkeys(kind))
    yield from found[:_MOST_LIKE_IT]
    if len(found) > _MOST_LIKE_IT:
        yield f"and {len(found) - _MOST_LIKE_IT} more like the last one"


_Said = tuple[str, tuple[str, ...], str, str]

# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Instruction:
    """One instruction. `flags` and `rest` have the continuation lines in one, `body` is what its heredocs would say."""

    name: str
    flags: tuple[str, ...]
    rest: str
    body: str

    @property
    def words(self) -> tuple[str, ...]:
        """What it is given, in the exec form or as words."""
        return _array(self.rest) or tuple(self.rest.split())

    @property
    def shown(self) -> str:
        """The instruction, short enough for a sentence."""
        text = _visible(" ".join((self.name, *self.flags, self.rest)))
        return text if len(text) <= 120 else text[:119] + "…"


@dataclass(slots=True)
class _Stage:
    """What a FROM begins. `image` is the base image, the one of the stage it stands on where it names a stage."""

    image: str
    platform: str
    name: str
    user: str | None = None
    entrypoint: str | None = None
    command: str | None = None
    instructions: list[tuple[_Instruction, str]] = field(default_factory=list)  # with `rest`, variables filled in


@dataclass(slots=True)
class _Room:
    """How many characters variables may still add; `short` once there were too few."""

    left: int = _MOST_FILLED
    short: bool = False


@dataclass(frozen=True, slots=True)
class _Dockerfile:
    """A Dockerfile's stages; the last one is what gets built. `written` is what its instructions say.

    `followed` says that every variable was filled in whose value is known.
    """

    stages: tuple[_Stage, ...]
    written: frozenset[_Said]
    followed: bool

    @property
    def last(self) -> _Stage:
        """The stage that becomes the image; an empty one where there is none."""
        return self.stages[-1] if self.stages else _Stage("", "", "")

    @property
    def all(self) -> tuple[tuple[_Instruction, str], ...]:
        """The instructions of all stages."""
        return tuple(each for stage in self.stages for each in stage.instructions)

    def has(self, instruction: _Instruction, rest: str) -> bool:
        """Whether the same is done in this one."""
        return _said(instruction, rest) in self.written


def _said(each: _Instruction, rest: str) -> _Said:
    return each.name, each.flags, " ".join(rest.split()), each.body


def _instructions(text: str) -> Iterator[_Instruction]:
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
        name, _, rest = _cut(whole)
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
        yield _Instruction(name, flags, rest, "\n".join(body))


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


def _cut(line: str) -> tuple[str, str, str]:
    words = line.split(maxsplit=1)
    return (words[0] if words else ""), " ", (words[1] if len(words) > 1 else "")


def _flags(rest: str) -> tuple[tuple[str, ...], str]:
    flags, at = [], 0
    while match := _FLAG.match(rest, at):
        flags.append(match[0].strip())
        at = match.end()
    return tuple(flags), rest[at:]


def _array(text: str) -> tuple[str, ...]:
    """The exec form; nothing where it is none."""
    if not text.startswith("["):
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _read(text: str) -> _Dockerfile:
    stages: list[_Stage] = []
    everywhere: dict[str, str] = {}  # ARGs before the first FROM
    known: dict[str, str] = {}
    named: dict[str, _Stage] = {}
    room = _Room()
    for each in _instructions(text):
        if each.name == "FROM":
            stages.append(_stage(each, named, everywhere, room))
            if stages[-1].name:
                named[stages[-1].name] = stages[-1]
            known = {}
            continue
        if each.name in {"ARG", "ENV"}:
            pairs = _pairs(each)
            if not stages:
                everywhere |= {name: _filled(value, everywhere, room) for name, value in pairs.items()}
                continue
            bare = {name: everywhere[name] for name in each.words if each.name == "ARG" and name in everywhere}
            known |= bare | {name: _filled(value, known, room) for name, value in pairs.items()}
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
    return _Dockerfile(tuple(stages), written, not room.short)


def _stage(each: _Instruction, named: Mapping[str, _Stage], known: Mapping[str, str], room: _Room) -> _Stage:
    words = _filled(each.rest, known, room).split()
    image = words[0] if words else ""
    name = words[2].lower() if len(words) > 2 and words[1].lower() == "as" else ""
    platform = next((_filled(flag, known, room) for flag in each.flags if flag.startswith("--platform")), "")
    below = named.get(image.lower())
    if below is not None:
        return _Stage(below.image, platform or below.platform, name, below.user, below.entrypoint, below.command)
    return _Stage(image, platform, name)


def _pairs(each: _Instruction) -> dict[str, str]:
    """The names and values of an ENV or ARG, in the form with `=` or in ENV's old one."""
    pairs = {match["name"]: match["value"].strip("\"'") for match in _PAIR.finditer(each.rest)}
    if not pairs and each.name == "ENV":
        name, _, value = _cut(each.rest)
        pairs = {name: value} if value else {}
    return pairs


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


# --- what to look at --------------------------------------------------------------------------------------------------


def _as_before(old: _Dockerfile, instruction: _Instruction, rest: str) -> str:
    return " (as before)" if old.has(instruction, rest) else ""


def _bases(old: _Dockerfile, new: _Dockerfile) -> Iterator[str]:
    if not new.stages:
        yield "it has no FROM: it will not build"
        return
    before, after = old.last, new.last
    if after.image != before.image:
        yield f"the base image changes: {before.image or 'none'} becomes {after.image or 'none'}"
    if after.platform != before.platform:
        yield f"the base image is taken for another platform: {after.platform or 'that of the engine'}"
    used = {stage.image for stage in old.stages} | {after.image} | set(_taken_from(old))
    for image in dict.fromkeys((*(stage.image for stage in new.stages), *_taken_from(new))):
        if image not in used:
            yield f"another image is used that was not before: {image}"
    for image in dict.fromkeys((*(stage.image for stage in new.stages), *_taken_from(new))):
        if image.startswith(("bottle-committed-", "bottle-rebuilt-")):
            yield f"{image} is an image of a bottle, with all the work that is in it"


def _taken_from(read: _Dockerfile) -> list[str]:
    """The images, not stages, that a COPY takes files from."""
    names = {stage.name for stage in read.stages}
    sources = [flag.partition("=")[2] for each, _ in read.all for flag in each.flags if flag.startswith("--from=")]
    return [source for source in sources if source.lower() not in names and not source.isdecimal()]


def _fetched(old: _Dockerfile, new: _Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        if each.name == "ADD":
            sources = (_array(rest) or tuple(rest.split()))[:-1]
            if any(_NETWORK.fullmatch(source) for source in sources):
                yield f"it adds from the network, unchecked: {each.shown}{_as_before(old, each, rest)}"
        if each.name == "RUN":
            text = "\n".join((" ".join(each.words) if rest.startswith("[") else rest, each.body))
            if any(map(_runs_what_it_fetches, _STATEMENT.split(text))):
                yield f"it runs what it fetches from the network, unseen: {each.shown}{_as_before(old, each, rest)}"


def _runs_what_it_fetches(statement: str) -> bool:
    """`curl … | sh`, `sh -c "$(curl …)"`, `. <(curl …)` and the like."""
    fetched = False
    for part in statement.split("|"):
        if fetched and _PIPED_TO.match(part):
            return True
        fetched = fetched or _FETCH.search(part) is not None
    runner = _GIVEN_TO.search(statement)
    return runner is not None and _FETCHED.search(statement, runner.end()) is not None


def _users(old: _Dockerfile, new: _Dockerfile) -> Iterator[str]:
    before, after = old.last.user, new.last.user
    if before == after:
        return
    if after is None:
        yield f"it has no USER any more, which was {before}: the agent runs as the base image's user, root as a rule"
    elif after.partition(":")[0] in {"root", "0"}:
        yield f"the agent runs as root: USER {after}"
    elif before is not None:
        yield f"the agent runs as another user, who may not own what was there: {before} becomes {after}"


def _commands(old: _Dockerfile, new: _Dockerfile) -> Iterator[str]:
    before, after = old.last, new.last
    if after.entrypoint != before.entrypoint:
        yield f"ENTRYPOINT changes, and the agent's command is run through it: {after.entrypoint or 'that of its base'}"
    if after.command != before.command:
        yield (
            "CMD changes, which counts only where the agent's entry in bottle.toml names no `command`: "
            f"{after.command or 'that of its base'}"
        )
    for each, rest in new.last.instructions:
        if each.name == "VOLUME" and not old.has(each, rest):
            yield f"a volume of this bottle is made for it, which no commit holds: {each.shown}"


def _context(old: _Dockerfile, new: _Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        local = each.name in {"COPY", "ADD"} and not any(flag.startswith("--from=") for flag in each.flags)
        sources = (_array(rest) or tuple(rest.split()))[:-1]
        if local and not old.has(each, rest) and not all(_NETWORK.fullmatch(source) for source in sources):
            yield f"it copies from the folder of the agent's Dockerfile on this host: {each.shown}"


def _unsupported(new: _Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        refused = [flag for flag in each.flags if flag.partition("=")[0] in _BUILDKIT_FLAGS.get(each.name, ())]
        if refused or (each.name in {"RUN", "COPY", "ADD"} and _HEREDOC.search(rest) and each.body):
            yield f"it needs BuildKit, which the docker client here reaches with its buildx only: {each.shown}"


def _unread(new: _Dockerfile) -> Iterator[str]:
    if not new.followed:
        yield "its variables grow too long to be followed: some are read here as they are written"


def _secrets(old: _Dockerfile, new: _Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        if each.name in {"ENV", "ARG"} and not old.has(each, rest):
            for name, value in _pairs(each).items():
                if value and (_SECRET_NAME.search(name) or _SECRET_VALUE.search(value)):
                    yield f"{each.name} {name} looks like a secret: it would be in the image for all to read"


def _hidden(after: str) -> Iterator[str]:
    for number, line in enumerate(after.split("\n"), start=1):
        found = dict.fromkeys(_HIDDEN.findall(line.removesuffix("\r")))
        if found:
            names = ", ".join(f"U+{ord(each):04X}" for each in list(found)[:5])
            yield f"line {number} has characters that are not seen: {names}"
