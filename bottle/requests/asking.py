"""Ask for a capability from inside a bottle, as `request-capability.sh` does in the shell: the same files, in Python.

The two agree on every name, limit and order of writing, and one suite of tests holds both to it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bottle.agent.admission import RESERVED
from bottle.errors import BottleError, NotFound, UsageError
from bottle.requests.request import MAX_DOCKERFILE, MAX_KEPT, MAX_REASON

_UNASKED = "nothing was asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request: `status` is pending, approved or denied, `note` the operator's word on it."""

    number: int
    status: str
    note: str


def ask(reason: str, dockerfile: str, folder: Path = Path(RESERVED)) -> int:
    """Write a request into `folder`, a bottle's /run/bottle, and return its number.

    Raises UsageError for what is empty or too long, BottleError where nothing can be written or all numbers are taken.
    """
    why, what = reason.encode(), dockerfile.encode()
    if not why:
        raise UsageError("a request needs a reason", left=_UNASKED)
    if len(why) > MAX_REASON:
        raise UsageError(f"the reason is too long: {MAX_REASON} bytes are allowed", left=_UNASKED)
    if len(what) > MAX_DOCKERFILE:
        raise UsageError(f"the Dockerfile is too long: {MAX_DOCKERFILE} bytes are allowed", left=_UNASKED)
    if not what.strip(b" \n"):
        raise UsageError("the Dockerfile is empty", left=_UNASKED)
    requests = folder / "requests"
    try:
        number = _take_number(folder)
        (requests / f"{number}.reason").write_bytes(why)
        (requests / f"{number}.Dockerfile").write_bytes(what)
        _create(requests / f"{number}.ready")
    except OSError as exc:
        raise BottleError(
            f"{requests} cannot be written: {exc.strerror}",
            left=_UNASKED,
            next_step=f"ls -ld {requests}; df {requests}",
        ) from exc
    return number


def read_answer(number: int, folder: Path = Path(RESERVED)) -> Answer:
    """What became of a request. Raises NotFound when there is none of that number."""
    try:
        text = (folder / "answers" / str(number)).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if not os.path.lexists(folder / "requests" / f"{number}.ready"):
            raise NotFound(f"there is no request {number}") from None
        return Answer(number=number, status="pending", note="")
    status, _, note = text.partition("\n")
    return Answer(number=number, status=status, note=note.removesuffix("\n"))


def answers(folder: Path = Path(RESERVED)) -> tuple[Answer, ...]:
    """What became of all requests, by number."""
    names = [path.name for path in (folder / "answers").glob("*")]
    names += [path.name.removesuffix(".ready") for path in (folder / "requests").glob("*.ready")]
    numbers = sorted({int(name) for name in names if name.isascii() and name.isdecimal() and name[0] != "0"})
    return tuple(read_answer(number, folder) for number in numbers)


def _take_number(folder: Path) -> int:
    """The lowest number that nobody has, made ours by creating its reason."""
    for number in range(1, MAX_KEPT + 1):
        taken = folder / "requests" / f"{number}.reason"
        if os.path.lexists(folder / "answers" / str(number)) or os.path.lexists(taken):
            continue
        try:
            _create(taken)
        except FileExistsError:
            continue  # another one was quicker
        return number
    raise BottleError(f"a bottle may make {MAX_KEPT} requests in its life, and this one has", left=_UNASKED)


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
