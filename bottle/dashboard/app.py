"""The dashboard: one screen that shows what is, and keys that have it changed."""

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Input, Static

from bottle.dashboard import keys, rows
from bottle.dashboard.acting import Acting
from bottle.dashboard.aside import aside
from bottle.dashboard.desk import Desk
from bottle.dashboard.details import Details
from bottle.dashboard.dialogs import AskNote, Confirm, Consent
from bottle.dashboard.diffview import Pane, request_lines
from bottle.dashboard.looking import Sight, Watch
from bottle.dashboard.reading import Page
from bottle.dashboard.rows import Order, arranged, matches
from bottle.dashboard.status import Message, StatusLine, Teller
from bottle.dashboard.tables import Listing
from bottle.errors import BottleError
from bottle.model import CapabilityRequest
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.operations.request_review import RequestDetail
from bottle.text import printable
from bottle.words import counted

_WIDE = 120  # columns from which on there is room for the details beside the table


class Dashboard(Acting):
    """`desk` is the world; `teller` is the progress that its operations tell, None where they tell nobody."""

    CSS_PATH = "style.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "narrow"), (_WIDE, "wide")]  # noqa: RUF012  # Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [*keys.BINDINGS]

    def __init__(
        self, desk: Desk, *, teller: Teller | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        super().__init__(desk, now)
        self.animation_level = "none"  # each step of one is a screenful over SSH
        self.theme = theme_of(os.environ.get("COLORFGBG", ""))
        self._teller = teller
        self._sight = Sight(desk, self._show)
        self._watch: Watch | None = None
        self._words = ""  # which bottles are shown
        self._order = Order()
        self._wanted: tuple[object, ...] = ()
        self._detail: RequestDetail | None = None
        self._changed = False  # under the eyes of who reads it: what was pressed for what it was decides nothing

    def compose(self) -> ComposeResult:
        """The screen."""
        yield Static("looking …", id="headline", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Listing(rows.BOTTLE_COLUMNS, id="bottles")
                yield Static("", id="about", markup=False)
                yield Listing(rows.REQUEST_COLUMNS, id="requests")
                yield Pane(id="pane")
            yield Details(self._desk, self._now, id="details")
        yield Input(placeholder="part of an identity, agent, state, host or folder", id="filter", compact=True)
        yield Static("", id="trouble", markup=False)
        yield StatusLine(id="status")
        yield Static("", id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to look and to listen."""
        loop = asyncio.get_running_loop()
        if self._teller is not None:
            self._teller.listener = lambda line: _soon(loop, partial(self.tell, Message(text=line)))
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

    def on_resize(self) -> None:
        """There is another number of columns, and perhaps no place for the details, or one."""
        self.call_after_refresh(self._show)

    # --- what is shown ------------------------------------------------------------------------------------------------

    def look_again(self) -> None:
        """Something has changed."""
        self._sight.stale.set()

    def known(self, key: str) -> BottleView | None:
        """As the table knows it."""
        return self._sight.views.get(key)

    def _show(self) -> None:
        if not self.is_running:
            return
        sight = self._sight
        counts = {key: rows.waiting(sight.requests.get(key, ())) for key in sight.views}
        views = [view for view in sight.views.values() if matches(view, self._words)]
        self._show_bottles(arranged(views, sight.usage, counts, self._order), counts)
        if sight.views or not sight.trouble:
            waiting = sum(counts.values())
            headline = rows.headline(views, len(sight.views), waiting, self._words, str(self._order))
            self._static("headline").update(headline)
        self._static("trouble").update(printable(sight.trouble))
        self._static("trouble").set_class(bool(sight.trouble), "there")
        self._static("keys").update(keys.key_line(self.size.width))
        self._show_selected()

    def _show_bottles(self, views: list[BottleView], counts: Mapping[str, int]) -> None:
        listing, usage, now = self.query_one("#bottles", Listing), self._sight.usage, self._now()
        cells = {
            key: rows.bottle_cells(view, usage.get(key), counts[key], now)
            for key, view in ((str(view.identity), view) for view in views)
        }
        listing.show(cells, rows.bottle_columns(listing.room, cells.values()))

    def _show_selected(self) -> None:
        """Show the bottle and the request under the cursors."""
        bottles = self.query_one("#bottles", Listing)
        key = bottles.selected
        view = self._sight.views.get(key) if key is not None else None
        requests = self._sight.requests.get(key, ()) if key is not None else ()
        listing = self.query_one("#requests", Listing)
        now = self._now()
        nothing = "no bottle fits: Escape shows all" if self._words else "no bottle yet: n starts one"
        self._static("about").update(rows.about(view) if view is not None else nothing)
        self.default_screen.set_class(bool(requests), "asking")
        cells = {str(each.number): rows.request_cells(each, now) for each in requests}
        listing.show(cells, rows.request_columns(bottles.room))  # of the same width, and always there
        if _key(view) != _key(self._bottle):
            waiting = [each.number for each in requests if each.status.open]
            listing.point_at(str(waiting[0]) if waiting else None)
        self._bottle = view
        details = self.query_one("#details", Details)
        if details.display:
            details.describe(view)
        chosen = next((each for each in requests if str(each.number) == listing.selected), None)
        self._want(view, chosen)

    def _want(self, view: BottleView | None, request: CapabilityRequest | None) -> None:
        """Have the pane show a request, which it may do already."""
        key = (_key(view), request.number, request.digest, request.status) if view and request else ()
        if key == self._wanted:
            return
        self._changed = False
        if key[:2] == self._wanted[:2] and key and key[2] != self._wanted[2]:
            self._changed = True
            status = self.query_one("#status", StatusLine)
            self.tell(status.message.warned(f"request {key[1]} of {key[0]} has changed: look at it again"))
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
        """Enter on a bottle joins it, or tells of one that does not run; on a request it goes to read it."""
        if event.data_table.id == "requests":
            self.query_one("#pane").focus()
        elif self._bottle is not None and self._bottle.state != "running":
            self.action_details()
        else:
            self.action_attach()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """A click on what a column of the bottles is called has them in its order."""
        if event.data_table.id == "bottles":
            self._order = self._order.by(str(event.column_key.value))
            self._show()

    def action_order(self) -> None:
        """By the next column."""
        self._order = self._order.next()
        self._show()

    def action_turn(self) -> None:
        """The other way round."""
        self._order = self._order.turned()
        self._show()

    def action_filter(self) -> None:
        """Ask which bottles to show."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_all(self) -> None:
        """Show all of them."""
        field = self.query_one("#filter", Input)
        field.value, self._words = "", ""
        self._leave_filter()

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        self._words = event.value
        self._show()

    @on(Input.Submitted, "#filter")
    def _leave_filter(self) -> None:
        self.query_one("#filter").display = False
        self.query_one("#bottles").focus()
        self._show()

    def _static(self, id: str) -> Static:
        return self.query_one(f"#{id}", Static)

    # --- what is done -------------------------------------------------------------------------------------------------

    def _decidable(self) -> RequestDetail | None:
        """The request in the pane, which is what gets decided, whatever comes meanwhile."""
        if self._detail is None or not self._detail.request.status.open:
            self.tell(Message(text="no request that waits for a decision is shown", style="$text-warning"))
            return None
        if self._changed:
            self._changed = False
            self.tell(Message(text="it has changed: the same key again is about what it is now", style="$text-warning"))
            return None
        return self._detail

    def action_approve(self) -> None:
        """Ask, then approve what is shown."""
        if (detail := self._decidable()) is None:
            return
        identity, request = detail.identity, detail.request

        def decided(consent: Consent) -> None:
            call = partial(self._desk.approve, identity, request.digest, build=consent.ticked)
            self.begin(str(identity), "approving for", call)

        warned = f"\n{counted(len(detail.warnings), 'warning')}, shown above the diff." if detail.warnings else ""
        question = (
            f"Approve request {request.number} of {identity}?\n{request.digest}\n"
            f"The bottle is committed and ended; `bottle resume` then builds the new Dockerfile.{warned}"
        )
        self.ask(Confirm(question, box="try the build first"), decided)

    def action_deny(self) -> None:
        """Ask for a note, then deny what is shown."""
        if (detail := self._decidable()) is None:
            return
        identity, request = detail.identity, detail.request

        def decided(note: str) -> None:
            self.begin(str(identity), "denying for", partial(self._desk.deny, identity, request.digest, note))

        question = f"Deny request {request.number} of {identity} ({request.digest[:12]})?"
        self.ask(AskNote(question, "a note for the agent, or nothing"), decided)

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


def _key(view: BottleView | None) -> str | None:
    return str(view.identity) if view is not None else None


def theme_of(colours: str) -> str:
    """The theme that uses the terminal's own colours, by what `COLORFGBG` says of its background."""
    return "ansi-light" if colours.rpartition(";")[2] in {"7", "15"} else "ansi-dark"


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Have the screen's loop call it, from another thread; nothing where there is no screen any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)
