"""The dashboard: one screen that shows what is, and keys that have it changed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.widgets import DataTable, Static

from bottle.dashboard import keys, rows
from bottle.dashboard.aside import aside
from bottle.dashboard.desk import Desk, Outcome, command_line
from bottle.dashboard.dialogs import AskNote, Confirm, Consent, Leave, MoveForm
from bottle.dashboard.diffview import Pane, request_lines
from bottle.dashboard.looking import Sight
from bottle.dashboard.moving import Move, Wish
from bottle.dashboard.reading import Page, Reader
from bottle.dashboard.status import Message, StatusLine
from bottle.dashboard.tables import Listing
from bottle.dashboard.telling import Teller
from bottle.dashboard.watching import Watch
from bottle.errors import BottleError, NotFound
from bottle.model import CapabilityRequest
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.operations.capability import RequestDetail
from bottle.text import printable
from bottle.words import counted

_MOVING = "moving"
_CUT = ", and what is cut short is taken up by the next command on its bottle"


class Dashboard(App[None]):
    """`desk` is the world; `teller` is the progress that its operations tell, None where they tell nobody."""

    CSS_PATH = "style.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*keys.BINDINGS]

    def __init__(
        self, desk: Desk, *, teller: Teller | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # each step of one is a screenful over SSH
        self.theme = theme_of(os.environ.get("COLORFGBG", ""))
        self._desk = desk
        self._teller = teller
        self._now = now
        self._sight = Sight(desk, self._show)
        self._watch: Watch | None = None
        self._jobs: dict[str, str] = {}
        self._moves: dict[str, Move] = {}
        self._bottle: BottleView | None = None
        self._wanted: tuple[object, ...] = ()
        self._leaving = False  # as soon as nothing goes on any more
        self._last_words: list[str] = []
        self._detail: RequestDetail | None = None

    def compose(self) -> ComposeResult:
        """The screen."""
        yield Static("looking …", id="headline", markup=False)
        yield Listing(rows.BOTTLE_COLUMNS, id="bottles")
        yield Static("", id="about", markup=False)
        yield Listing(rows.REQUEST_COLUMNS, id="requests")
        yield Pane(id="pane")
        yield Static("", id="trouble", markup=False)
        yield StatusLine(id="status")
        yield Static(keys.KEY_LINE, id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to look and to listen."""
        loop = asyncio.get_running_loop()
        if self._teller is not None:
            self._teller.listener = lambda line: _soon(loop, partial(self._tell, Message(text=line)))
        self._watch = Watch(self._desk.events, lambda: _soon(loop, self._sight.stale.set))
        self._watch.start()
        self.query_one("#bottles").focus()
        self.run_worker(self._sight.keep_looking())
        self.run_worker(self._sight.keep_measuring())
        self.set_interval(1.0, self._show)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._watch is not None:
            self._watch.close()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        if not self.is_running:
            return
        sight, now = self._sight, self._now()
        counts = {key: rows.waiting(sight.requests.get(key, ())) for key in sight.views}
        self.query_one("#bottles", Listing).show(
            {key: rows.bottle_cells(view, sight.usage.get(key), counts[key], now) for key, view in sight.views.items()}
        )
        if sight.views or not sight.trouble:
            self._static("headline").update(rows.headline(sight.views.values(), sum(counts.values())))
        self._static("trouble").update(printable(sight.trouble))
        self._static("trouble").set_class(bool(sight.trouble), "there")
        self._show_selected()

    def _show_selected(self) -> None:
        """Show the bottle and the request under the cursors."""
        key = self.query_one("#bottles", Listing).selected
        view = self._sight.views.get(key) if key is not None else None
        requests = self._sight.requests.get(key, ()) if key is not None else ()
        listing = self.query_one("#requests", Listing)
        now = self._now()
        self._static("about").update(rows.about(view) if view is not None else "no bottle yet: bottle start AGENT")
        self.default_screen.set_class(bool(requests), "asking")
        listing.show({str(each.number): rows.request_cells(each, now) for each in requests})
        if _key(view) != _key(self._bottle):
            waiting = [each.number for each in requests if each.status.open]
            listing.point_at(str(waiting[0]) if waiting else None)
        self._bottle = view
        chosen = next((each for each in requests if str(each.number) == listing.selected), None)
        self._want(view, chosen)

    def _want(self, view: BottleView | None, request: CapabilityRequest | None) -> None:
        """Have the pane show a request, which it may do already."""
        key = (_key(view), request.number, request.digest, request.status) if view and request else ()
        if key == self._wanted:
            return
        if key[:2] == self._wanted[:2] and key and key[2] != self._wanted[2]:
            self._tell(
                Message(text=f"request {key[1]} of {key[0]} has changed: look at it again", style="$text-warning")
            )
        self._wanted, self._detail = key, None
        if view is not None and request is not None:
            self.query_one("#pane", Pane).show((("reading …", ""),))
            self.run_worker(self._read(view.identity, request.digest), group="detail", exclusive=True)

    async def _read(self, identity: Identity, digest: str) -> None:
        pane = self.query_one("#pane", Pane)
        try:
            detail = await aside(self._desk.detail, identity, digest)
            lines = await aside(lambda: tuple(request_lines(detail)))
        except BottleError as exc:
            pane.show(((printable(exc.what), "warning"),))
            self._wanted = ()  # the next look tries again
            return
        self._detail = detail
        pane.show(lines)

    def on_data_table_row_highlighted(self) -> None:
        """The cursor is on another row."""
        self._show_selected()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a bottle joins it, on a request goes to read it."""
        if event.data_table.id == "bottles":
            self.action_attach()
        else:
            self.query_one("#pane").focus()

    def _tell(self, message: Message) -> None:
        if self.is_running:
            self.query_one("#status", StatusLine).show(message)

    def _static(self, id: str) -> Static:
        return self.query_one(f"#{id}", Static)

    # --- what is done -------------------------------------------------------------------------------------------------

    def _begin(self, identity: Identity, doing: str, call: Callable[[], Outcome]) -> None:
        """Do something slow to a bottle; its end is told in the status."""
        key = str(identity)
        if self._leaving:
            self._tell(Message(text=f"leaving: nothing more is begun; q leaves now{_CUT}", style="$text-warning"))
            return
        if key in self._jobs:
            self._tell(Message(text=f"{key}: {self._jobs[key]} still goes on", style="$text-warning"))
            return
        self._jobs[key] = doing
        self._tell(Message(text=f"{doing} {key} …"))
        self.run_worker(self._do(key, call))

    async def _do(self, key: str, call: Callable[[], Outcome]) -> None:
        try:
            message = Message.of_outcome(await aside(call))
        except BottleError as exc:
            message = Message.of_error(exc)
        finally:
            del self._jobs[key]
        if self._leaving:
            self._last_words += message.full()
            self._leave_or_wait()
            return
        self._tell(message)
        self._sight.stale.set()

    def _selected(self) -> Identity | None:
        if self._bottle is None:
            self._tell(Message(text="there is no bottle", line="bottle start AGENT", style="$text-warning"))
            return None
        return self._bottle.identity

    def _decidable(self) -> RequestDetail | None:
        """The request in the pane, which is what gets decided, whatever comes meanwhile."""
        if self._detail is None or not self._detail.request.status.open:
            self._tell(Message(text="no request that waits for a decision is shown", style="$text-warning"))
            return None
        return self._detail

    def action_approve(self) -> None:
        """Ask, then approve what is shown."""
        if (detail := self._decidable()) is None:
            return
        identity, request = detail.identity, detail.request

        def decided(consent: Consent | None) -> None:
            if consent is not None:
                call = partial(self._desk.approve, identity, request.digest, build=consent.ticked)
                self._begin(identity, "approving for", call)

        warned = f"\n{counted(len(detail.warnings), 'warning')}, shown above the diff." if detail.warnings else ""
        question = (
            f"Approve request {request.number} of {identity}?\n{request.digest}\n"
            f"The bottle is committed and ended; `bottle resume` then builds the new Dockerfile.{warned}"
        )
        self.push_screen(Confirm(question, box="try the build first"), decided)

    def action_deny(self) -> None:
        """Ask for a note, then deny what is shown."""
        if (detail := self._decidable()) is None:
            return
        identity, request = detail.identity, detail.request

        def decided(note: str | None) -> None:
            if note is not None:
                self._begin(identity, "denying for", partial(self._desk.deny, identity, request.digest, note))

        question = f"Deny request {request.number} of {identity} ({request.digest[:12]})?"
        self.push_screen(AskNote(question, "a note for the agent, or nothing"), decided)

    def action_attach(self) -> None:
        """Give the terminal to `bottle attach`."""
        if (identity := self._selected()) is None:
            return
        if self._bottle is not None and self._bottle.state != "running":
            error = NotFound(f"{identity} does not run", next_step=f"bottle resume {identity}")
            self._tell(Message.of_error(error))
            return
        try:
            with self.suspend():
                code = _in_foreground(command_line("attach", str(identity)))
        except SuspendNotSupported:
            self._tell(Message(text="there is no terminal here to attach to", line=f"bottle attach {identity}"))
            return
        self._tell(Message(text=f"back from {identity}" + (f", which ended with {code}" if code else "")))
        self._sight.stale.set()

    def action_commit(self) -> None:
        """Commit."""
        if (identity := self._selected()) is not None:
            self._begin(identity, "committing", partial(self._desk.commit, identity))

    def action_resume(self) -> None:
        """Resume, in the background."""
        if (identity := self._selected()) is not None:
            self._begin(identity, "resuming", partial(self._desk.resume, identity))

    def action_stop(self) -> None:
        """Ask, then stop."""
        if (identity := self._selected()) is None:
            return

        def decided(consent: Consent | None) -> None:
            if consent is not None:
                self._begin(identity, "stopping", partial(self._desk.stop, identity))

        self.push_screen(Confirm(f"Stop {identity}? Its processes end; the container and its work stay."), decided)

    def action_migrate(self) -> None:
        """Ask where to, then move it and show how far that is; a move that goes on is shown again."""
        if (identity := self._selected()) is None:
            return
        if str(identity) in self._moves and str(identity) in self._jobs:
            self._show_move(self._moves[str(identity)])
            return

        def decided(wish: Wish | None) -> None:
            if wish is not None and str(identity) not in self._jobs:
                move = self._moves[str(identity)] = Move(identity, wish)
                self._begin(identity, _MOVING, move.run)
                self._show_move(move)

        self.push_screen(MoveForm(identity), decided)

    def _show_move(self, move: Move) -> None:
        title = f"{move.identity} to {printable(move.wish.host)}"
        self.push_screen(Reader(title, lambda: tuple(move.lines), stop=move.interrupt))

    def action_logs(self) -> None:
        """Show what the agent wrote."""
        if (identity := self._selected()) is not None:
            self.push_screen(Reader(f"what {identity} wrote last", partial(self._desk.logs, identity)))

    def action_message(self) -> None:
        """Show the last message in full."""
        message = self.query_one("#status", StatusLine).message
        self.push_screen(Page("the last message", message.full()))

    def action_copy(self) -> None:
        """Hand the line to be typed next to the terminal's clipboard."""
        line = self.query_one("#status", StatusLine).message.line
        if line:
            self.copy_to_clipboard(printable(line, 4000))
            self.notify(f"copied: {printable(line)}", markup=False, timeout=2)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Page("bottle dashboard: keys", keys.help_lines()))

    async def action_quit(self) -> None:
        """Leave, as soon as what goes on has ended; once it is waited for, the same again does not wait.

        A commit that is cut short would leave its agent frozen until the next command looks after it.
        """
        if not self._jobs or self._leaving:
            self.exit()
            return
        if isinstance(self.screen, Leave):
            return  # Ctrl-Q, which is heard there too, is no answer

        def decided(consent: Consent | None) -> None:
            if consent is None:
                return
            self._leaving = True
            for key in self._moving():
                self._moves[key].interrupt()
            self._leave_or_wait()

        moves = "\nA move is interrupted: the same again goes on." if self._moving() else ""
        question = f"Still going on: {self._works()}.\nLeave as soon as it has ended?{moves}"
        self.push_screen(Leave(question), decided)

    def _leave_or_wait(self) -> None:
        if self._jobs:
            self._tell(Message(text=f"leaving after {self._works()}; q leaves now{_CUT}", style="$text-warning"))
        else:
            self.exit(message=Text("\n".join(self._last_words)))  # nobody else tells how it ended

    def _works(self) -> str:
        return ", ".join(f"{doing} {key}" for key, doing in self._jobs.items())

    def _moving(self) -> set[str]:
        """The moves that go on."""
        return {key for key, doing in self._jobs.items() if doing == _MOVING}


def _key(view: BottleView | None) -> str | None:
    return str(view.identity) if view is not None else None


def theme_of(colours: str) -> str:
    """The theme that uses the terminal's own colours, by what `COLORFGBG` says of its background."""
    return "ansi-light" if colours.rpartition(";")[2] in {"7", "15"} else "ansi-dark"


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have the screen's loop call it, from another thread; nothing where there is no screen any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


def _in_foreground(command: tuple[str, ...]) -> int:
    """Run a command that has the terminal; what it says of an error stays until somebody has read it."""
    sys.stdout.write("Ctrl-P Ctrl-Q comes back to the dashboard\n")
    sys.stdout.flush()
    # A Ctrl-C is meant for the command, which would inherit that it is ignored, but not that it does nothing here.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = subprocess.run(command, check=False).returncode
        if code:
            with suppress(EOFError):
                input("Enter goes back to the dashboard ")
    finally:
        signal.signal(signal.SIGINT, before)
    return code
