"""Dockerfiles as an operator reviews them: what would change, and what to look at twice. Pure, and of untrusted text.

What is found is a help to who reads, and no proof: a shell can say anything in many ways.
"""

import difflib
import re
from collections.abc import Iterable, Iterator

from bottle.agent.dockerfile import HIDDEN, Dockerfile, Instruction, pairs, read, visible, words_of

_MOST_LIKE_IT = 8  # warnings of one kind
_MOST_LINES = 20_000  # in both together; what is longer is no text that anybody compares line by line
_NETWORK = re.compile(r"(?:[a-z][a-z0-9+.-]*://|git@|github\.com/)\S*|[^\s#]+\.git(?:#\S*)?", re.IGNORECASE)
_SHELL = r"(?:(?:ba|da|z|k|a|c|fi)?sh|python[\d.]*|perl|ruby|node)\b"
_FETCH = re.compile(r"\b(?:curl|wget)\b")
_FETCHED = re.compile(r"(?:\$\(|`|<\()\s*(?:curl|wget)\b")
_PIPED_TO = re.compile(r"[&\s\"']*(?:sudo\s+(?:-\S+\s+)*)?(?:/\S*/)?(?:env\s+(?:/\S*/)?)?" + _SHELL)
_GIVEN_TO = re.compile(r"(?:^|[\s\"'(/])(?:" + _SHELL + r"|eval|source|\.)(?=\s)")
_STATEMENT = re.compile(r"&&|\|\||;(?=\s|$)|\s&(?=\s|$)|\n")
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
    return "\n".join(visible(line) for line in listing)


def _lines(text: str) -> list[str]:
    """Lines as a builder has them, which ends them at line feeds only."""
    return text.removesuffix("\n").split("\n") if text else []


def warnings(before: str, after: str, *, user: str | None = None) -> tuple[str, ...]:
    """What an operator should look at before `after` takes the place of `before`; each a sentence of untrusted text.

    What is dangerous is named though it was there before, and is said to have been; of the rest, what is new. `user` is
    who the agent runs as whatever USER says, None where that decides.
    """
    old, new = read(before), read(after)
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


def _limited(kind: Iterable[str]) -> Iterator[str]:
    """So many of a kind that the others are still seen."""
    found = list(dict.fromkeys(kind))
    yield from found[:_MOST_LIKE_IT]
    if len(found) > _MOST_LIKE_IT:
        yield f"and {len(found) - _MOST_LIKE_IT} more like the last one"


def _as_before(old: Dockerfile, instruction: Instruction, rest: str) -> str:
    return " (as before)" if old.has(instruction, rest) else ""


def _bases(old: Dockerfile, new: Dockerfile) -> Iterator[str]:
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


def _taken_from(read: Dockerfile) -> list[str]:
    """The images, not stages, that a COPY takes files from."""
    names = {stage.name for stage in read.stages}
    sources = [flag.partition("=")[2] for each, _ in read.all for flag in each.flags if flag.startswith("--from=")]
    return [source for source in sources if source.lower() not in names and not source.isdecimal()]


def _fetched(old: Dockerfile, new: Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        if each.name == "ADD":
            sources = words_of(rest)[:-1]
            if any(_NETWORK.fullmatch(source) for source in sources):
                yield f"it adds from the network, unchecked: {each.shown}{_as_before(old, each, rest)}"
        if each.name == "RUN":
            text = "\n".join((" ".join(words_of(each.rest)) if rest.startswith("[") else rest, each.body))
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


def _users(old: Dockerfile, new: Dockerfile) -> Iterator[str]:
    before, after = old.last.user, new.last.user
    if before == after:
        return
    if after is None:
        yield f"it has no USER any more, which was {before}: the agent runs as the base image's user, root as a rule"
    elif after.partition(":")[0] in {"root", "0"}:
        yield f"the agent runs as root: USER {after}"
    elif before is not None:
        yield f"the agent runs as another user, who may not own what was there: {before} becomes {after}"


def _commands(old: Dockerfile, new: Dockerfile) -> Iterator[str]:
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


def _context(old: Dockerfile, new: Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        local = each.name in {"COPY", "ADD"} and not any(flag.startswith("--from=") for flag in each.flags)
        sources = words_of(rest)[:-1]
        if local and not old.has(each, rest) and not all(_NETWORK.fullmatch(source) for source in sources):
            yield f"it copies from the folder of the agent's Dockerfile on this host: {each.shown}"


def _unsupported(new: Dockerfile) -> Iterator[str]:
    for each, _ in new.all:
        refused = [flag for flag in each.flags if flag.partition("=")[0] in _BUILDKIT_FLAGS.get(each.name, ())]
        if refused or each.body:
            yield f"it needs BuildKit, which the docker client here reaches with its buildx only: {each.shown}"


def _unread(new: Dockerfile) -> Iterator[str]:
    if not new.followed:
        yield "its variables grow too long to be followed: some are read here as they are written"


def _secrets(old: Dockerfile, new: Dockerfile) -> Iterator[str]:
    for each, rest in new.all:
        if each.name in {"ENV", "ARG"} and not old.has(each, rest):
            for name, value in pairs(each).items():
                if value and (_SECRET_NAME.search(name) or _SECRET_VALUE.search(value)):
                    yield f"{each.name} {name} looks like a secret: it would be in the image for all to read"


def _hidden(after: str) -> Iterator[str]:
    for number, line in enumerate(after.split("\n"), start=1):
        found = dict.fromkeys(HIDDEN.findall(line.removesuffix("\r")))
        if found:
            names = ", ".join(f"U+{ord(each):04X}" for each in list(found)[:5])
            yield f"line {number} has characters that are not seen: {names}"
