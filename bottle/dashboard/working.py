"""An app that does slow things beside its screen, and leaves when they have ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from rich.text import Text
from textual.app import App
from textual.screen import ModalScreen

from bottle.dashboard.aside import aside
from bottle.dashboard.desk import Outcome
from bottle.dashboard.dialogs import AskNote, Consent, Leave
from bottle.dashboard.status import Message, StatusLine
from bottle.errors import BottleError, NeedsConsent

MOVING = "moving"
_CONSENT = "yes"
_CUT = ", and what is cut short is taken up by the next command on its bottle"

T = TypeVar("T")
Agreed = Callable[[NeedsConsent], Outcome]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not done for want of consent."""

    doing: str
    error: NeedsConsent


class Working(App[None]):
    """What goes on has a key, for there is one thing at a time for each bottle."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, str] = {}
        self._refusals: dict[str, Refusal] = {}
        self._leaving = False  # as soon as nothing goes on any more
        self._last_words: list[str] = []

    def look_again(self) -> None:
        """Something has changed."""

    def interrupt(self) -> None:
        """End what would go on for long."""

    def tell(self, message: Message) -> None:
        """Show it in the status."""
        if self.is_running:
            self.query_one("#status", StatusLine).show(message)

    def ask(self, question: ModalScreen[T | None], answered: Callable[[T], object]) -> None:
        """Put a question, and go on with its answer; one that is left has none."""

        def heard(answer: T | None) -> None:
            if answer is not None:
                answered(answer)

        self.push_screen(question, heard)

    def begin(self, key: str, doing: str, call: Callable[[], Outcome], *, agreed: Agreed | None = None) -> bool:
        """Do something slow; its end is told in the status. False where it is not begun now.

        Where it needs consent, the status says so, and the same once more asks for that: a question that came by itself
        would be answered by keys that were meant for something else. `agreed` is what does it then.
        """
        if self._leaving:
            self.tell(Message(text=f"leaving: nothing more is begun; q leaves now{_CUT}", style="$text-warning"))
            return False
        if key in self._jobs:
            self.tell(Message(text=f"{self._jobs[key]} {key} still goes on", style="$text-warning"))
            return False
        refusal = self._refusals.pop(key, None)
        if agreed is not None and refusal is not None and refusal.doing == doing:
            self._ask(refusal, key, agreed)
            return False
        self._jobs[key] = doing
        self.tell(Message(text=f"{doing} {key} …"))
        self.run_worker(self._do(key, doing, call, agreed))
        return True

    async def _do(self, key: str, doing: str, call: Callable[[], Outcome], agreed: Agreed | None) -> None:
        refused: NeedsConsent | None = None
        try:
            message = Message.of_outcome(await aside(call))
        except BottleError as exc:
            message = Message.of_error(exc)
            refused = exc if isinstance(exc, NeedsConsent) else None
        finally:
            del self._jobs[key]
        if self._leaving:
            self._last_words += message.full()
            self._leave_or_wait()
            return
        if refused is not None and agreed is not None:
            self._refusals[key] = Refusal(doing, refused)
            message = replace(message, notes=("the same again asks whether to let it go", *message.notes))
        self.tell(message)
        self.look_again()

    def _ask(self, refusal: Refusal, key: str, agreed: Agreed) -> None:
        """Ask for consent, which a whole word gives: no key that was pressed for something else does."""

        def decided(answer: str | None) -> None:
            if (answer or "").strip().lower() == _CONSENT:
                self.begin(key, refusal.doing, lambda: agreed(refusal.error), agreed=agreed)
            else:
                self.tell(Message(text=f"{key} stays as it is"))

        question = "\n".join((*Message.of_error(refusal.error).full(), f"Go on, and let it go? Only {_CONSENT} does."))
        self.push_screen(AskNote(question, f"{_CONSENT}, or nothing"), decided)

    async def action_quit(self) -> None:
        """Leave, as soon as what goes on has ended; once it is waited for, the same again does not wait.

        A commit that is cut short would leave its agent frozen until the next command looks after it.
        """
        if not self._jobs or self._leaving:
            self.exit()
            return
        if isinstance(self.screen, Leave):
            return  # Ctrl-Q, which is heard there too, is no answer

        def decided(_: Consent) -> None:
            self._leaving = True
            self.interrupt()
            self._leave_or_wait()

        moves = "\nA move is interrupted: the same again goes on." if MOVING in self._jobs.values() else ""
        question = f"Still going on: {self._works()}.\nLeave as soon as it has ended?{moves}"
        self.ask(Leave(question), decided)

    def _leave_or_wait(self) -> None:
        if self._jobs:
            self.tell(Message(text=f"leaving after {self._works()}; q leaves now{_CUT}", style="$text-warning"))
        else:
            self.exit(message=Text("\n".join(self._last_words)))  # nobody else tells how it ended

    def _works(self) -> str:
        return ", ".join(f"{doing} {key}" for key, doing in self._jobs.items())
