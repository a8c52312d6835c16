"""What keys do to the bottle under the cursor."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from textual.app import SuspendNotSupported

from bottle.dashboard.aside import aside
from bottle.dashboard.commits import Chosen, Commits
from bottle.dashboard.desk import Desk, bottle_command
from bottle.dashboard.details import DetailScreen
from bottle.dashboard.dialogs import Branch, Confirm, Consent, Destination, ForkForm, Launch, MoveForm, StartForm
from bottle.dashboard.lines import Following
from bottle.dashboard.moving import Move
from bottle.dashboard.reading import Reader
from bottle.dashboard.status import Message
from bottle.dashboard.working import MOVING, Working
from bottle.errors import BottleError, MovedAway, NotFound
from bottle.operations import BottleView
from bottle.text import printable


class Acting(Working):
    """Knows which bottle is meant: what is begun is begun for the one that was, whatever is selected meanwhile."""

    def __init__(self, desk: Desk, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._desk = desk
        self._now = now
        self._bottle: BottleView | None = None
        self._moves: dict[str, Move] = {}
        self._followed: dict[str, Following] = {}

    def known(self, key: str) -> BottleView | None:
        """What is known now of a bottle; None where there is none."""
        return None

    def _selected(self) -> BottleView | None:
        if self._bottle is None:
            self.tell(Message(text="no bottle is selected; n starts one", style="$text-warning"))
        return self._bottle

    async def action_start(self) -> None:
        """Ask which agent, then start it in this folder, in the background."""
        try:
            manifest = await aside(self._desk.manifest)
        except BottleError as exc:
            self.tell(Message.of_error(exc))
            return

        def decided(launch: Launch) -> None:
            call = partial(self._desk.start, launch.agent, copy_cwd=launch.copy_cwd)
            self.begin(f"a new {launch.agent.name}", "starting", call)

        if manifest.agents:
            self.ask(StartForm(manifest, Path.cwd()), decided)
        else:
            self.tell(Message.of_error(NotFound(f"{manifest.path} has no agents", next_step="bottle init --list")))

    def action_attach(self) -> None:
        """Give the terminal to `bottle attach`."""
        if (view := self._selected()) is None:
            return
        identity = view.identity
        if view.state != "running":
            self.tell(Message.of_error(_does_not_run(view)))
            return
        try:
            with self.suspend():
                code = _in_foreground(bottle_command("attach", str(identity)))
        except SuspendNotSupported:
            self.tell(Message(text="there is no terminal here to attach to", line=f"bottle attach {identity}"))
            return
        self.tell(Message(text=f"back from {identity}" + (f", which ended with {code}" if code else "")))
        self.look_again()

    def action_commit(self) -> None:
        """Commit."""
        if (view := self._selected()) is not None:
            self.begin(str(view.identity), "committing", partial(self._desk.commit, view.identity))

    def action_resume(self) -> None:
        """Resume, in the background."""
        if (view := self._selected()) is not None:
            self.begin(str(view.identity), "resuming", partial(self._desk.resume, view.identity))

    def action_stop(self) -> None:
        """Ask, then stop."""
        if (view := self._selected()) is not None:
            identity = view.identity
            question = f"Stop {identity}? Its processes end; the container and its work stay."
            stop = partial(self._desk.stop, identity)
            self.ask(Confirm(question), lambda _: self.begin(str(identity), "stopping", stop))

    def action_remove(self) -> None:
        """Ask, then delete; where that takes work that is nowhere else, what it would take is asked about, too."""
        if (view := self._selected()) is None:
            return
        identity, remove = view.identity, partial(self._desk.remove, view.identity)

        def decided(_: Consent) -> None:
            self.begin(str(identity), "deleting", remove, agreed=lambda refused: remove(agreed=refused.parts))

        question = f"Delete {identity}, with its container, commits, volumes, transcript and state?"
        stays = "Its workspace stays. Work that is nowhere else is named, and asked about, before it goes."
        self.ask(Confirm(f"{question}\n{stays}"), decided)

    def action_history(self) -> None:
        """Show its commits, to go back to one or to fork off it."""
        if (view := self._selected()) is None:
            return

        def decided(chosen: Chosen) -> None:
            if chosen.fork:
                self._fork(view, chosen.number)
            else:
                back = partial(self._desk.resume, view.identity, at=chosen.number)
                doing = f"going back to commit {chosen.number} of"
                self.begin(str(view.identity), doing, back, agreed=lambda _: back(consent=True))

        self.ask(Commits(self._desk, view.identity, self._now()), decided)

    def action_fork(self) -> None:
        """Make another bottle off its commit in force."""
        if (view := self._selected()) is not None:
            self._fork(view, None)

    def _fork(self, view: BottleView, commit: int | None) -> None:
        def decided(branch: Branch) -> None:
            call = partial(self._desk.fork, view.identity, at=commit, cwd=branch.cwd, share_cwd=branch.share_cwd)
            self.begin(str(view.identity), "forking", call)

        if view.cwd is None or view.copy_cwd:
            decided(Branch())  # its workspace is inside the image: there is nothing to ask
        else:
            self.ask(ForkForm(view, commit), decided)

    def action_migrate(self) -> None:
        """Ask where to, then move it and show how far that is; a move that goes on is shown again."""
        if (view := self._selected()) is None:
            return
        key = str(view.identity)
        if key in self._moves and not self._moves[key].ended:
            self._show_move(self._moves[key])
            return

        def decided(asked: Destination) -> None:
            move = Move(view.identity, *asked, partial(self._desk.whereabouts, view.identity))
            if self.begin(key, MOVING, move.run):
                self._moves[key] = move
                self._show_move(move)

        self.ask(MoveForm(view.identity), decided)

    def _show_move(self, move: Move) -> None:
        title = f"{move.identity} to {printable(move.host)}"
        self.push_screen(Reader(title, move.lines, move.says, stop=move.interrupt))

    def interrupt(self) -> None:
        """End the moves that go on."""
        for move in self._moves.values():
            if not move.ended:
                move.interrupt()

    def action_logs(self) -> None:
        """Show what the agent writes."""
        if (view := self._selected()) is None:
            return
        key = str(view.identity)
        following = self._followed.setdefault(key, Following(partial(self._desk.output, view.identity)))
        following.watch()
        self.push_screen(Reader(f"what {key} writes", following.lines, following.says, left=following.leave))

    def action_details(self) -> None:
        """Show all that is known of it, where that is not shown already."""
        if (view := self._selected()) is None:
            return
        details = self.query_one("#details")
        if details.display:
            details.focus()
        else:
            self.push_screen(DetailScreen(self._desk, partial(self.known, str(view.identity)), self._now))


def _does_not_run(view: BottleView) -> BottleError:
    if view.moved_to is not None:
        there = f"there: bottle resume {view.identity}"
        return MovedAway(f"{view.identity} does not run here: it moved to {view.moved_to}", next_step=there)
    return NotFound(f"{view.identity} does not run", next_step=f"bottle resume {view.identity}")


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
