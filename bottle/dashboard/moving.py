"""A move that was begun from the dashboard: `bottle migrate` in a process of its own, and what it says."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from bottle.dashboard.desk import Outcome, bottle_command
from bottle.dashboard.lines import Lines
from bottle.dashboard.status import Message
from bottle.errors import BottleError
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity

_TOLD = {
    "missing_there": "missing there",
    "credentials_along": "a credential went along",
    "carried": "went along",
    "left_behind": "was left behind",
    "stays": "did not travel",
    "skipped": "holds no content, so did not travel",
    "dropped": "dropped",
    "newer_here": "edited during the hand-over, so newer here than there",
}


class MoveFailed(BottleError):
    """A move that ended with an error, in the words of the command that made it."""


@dataclass
class Move:
    """One run of `bottle migrate`. `lines` are what it says, and in the end how it ended.

    `whereabouts` says which host owns the bottle, for a run that does not.
    """

    identity: Identity
    host: str
    options: MoveOptions
    whereabouts: Callable[[], str]
    lines: Lines = field(default_factory=Lines)
    process: subprocess.Popen[str] | None = None
    interrupted: bool = False
    ended: bool = False

    def run(self) -> Outcome:
        """Move it, to the end. Raises BottleError with what the command said, and who owns the bottle then."""
        try:
            done = self._answered()
        except BottleError as exc:
            exc.left = exc.left or self._owner()
            self._end(Message.of_error(exc))
            raise
        self._end(Message.of_outcome(done))
        return done

    def says(self) -> str:
        """How it stands."""
        if self.ended:
            return "it has ended; Escape goes back"
        if self.interrupted:
            return "it was interrupted, and is about to end; Escape goes back"
        return "Escape goes back, and it goes on; x interrupts it"

    def interrupt(self) -> None:
        """End it as Ctrl-C would: this host still owns the bottle, and the same move goes on where it was."""
        self.interrupted = True
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)

    def _answered(self) -> Outcome:
        try:
            # A file takes an answer of any length while the other stream is being read; a pipe holds so much only.
            with tempfile.TemporaryFile() as answer:
                code = self._run(answer)
                answer.seek(0)
                return outcome(self.identity, answer.read().decode("utf-8", "replace"), code)
        except OSError as exc:
            raise BottleError(f"cannot run bottle: {exc.strerror}", next_step="bottle doctor") from exc

    def _run(self, answer: BinaryIO) -> int:
        # A session of its own: a Ctrl-C at this terminal is meant for the dashboard.
        self.process = subprocess.Popen(
            arguments(self.identity, self.host, self.options), stdin=subprocess.DEVNULL, stdout=answer,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", start_new_session=True,
        )  # fmt: skip
        if self.interrupted:
            self.interrupt()  # while it was being started
        with self.process as process:
            assert process.stderr is not None  # it is a pipe
            for line in process.stderr:
                self.lines.write(line)
        return process.returncode

    def _owner(self) -> str:
        try:
            return self.whereabouts()
        except BottleError as exc:
            return exc.what

    def _end(self, message: Message) -> None:
        self.lines.end()
        for line in message.full():
            self.lines.write(f"{line}\n")
        self.ended = True


def arguments(identity: Identity, host: str, options: MoveOptions) -> tuple[str, ...]:
    """The command line; what was typed into the form can be no option of it."""
    return bottle_command("migrate", "--format", "json", *options.to_argv(), "--", str(identity), host)


def outcome(identity: Identity, answer: str, exit_code: int) -> Outcome:
    """What the answer of `bottle migrate --format json` says. Raises BottleError when it is an error, or none."""
    try:
        document: dict[str, Any] = json.loads(answer)
        if error := document.get("error"):
            details = tuple(map(str, error.get("details", ())))
            raise MoveFailed(error["what"], left=error["left"], next_step=error["next"], details=details)
        # What is next is typed on the other host, so none of it is a line for this one.
        arrived = f"{identity} arrived on {document['host']} (commit {document['commit']}); there: "
        return Outcome(
            text=arrived + (document["resumed"] or document["resume"]),
            line="",
            notes=tuple(f"{what}: {each}" for key, what in _TOLD.items() for each in document[key]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise MoveFailed(
            f"the move of {identity} ended with exit code {exit_code} and no answer",
            next_step=f"bottle inspect {identity}",
        ) from exc
