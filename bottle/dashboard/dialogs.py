"""Questions to the operator."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalGroup
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, OptionList, Static

from bottle.agent.manifest import Manifest
from bottle.model import Agent
from bottle.moveoptions import MoveOptions
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.text import printable

Destination = tuple[str, MoveOptions]  # a host, and how a bottle is to be moved there


@dataclass(frozen=True, slots=True)
class Consent:
    """A yes, and whether the box was ticked."""

    ticked: bool


class Box(Checkbox):
    """A box that shows by its sign whether it is ticked: Textual's own does by its colour, which terminals choose."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Draw the sign."""
        self.BUTTON_INNER = "x" if self.value else " "
        super().watch_value()


class Confirm(ModalScreen[Consent | None]):
    """A question that y or n answers, with a box to tick where there is one. Nothing is the default but no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "yes"),
        Binding("n,escape", "dismiss", "no"),
        Binding("b", "tick", "tick the box"),
    ]

    def __init__(self, question: str, *, box: str | None = None) -> None:
        super().__init__()
        self._question = question
        self._box = box

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with VerticalGroup(classes="dialog"):
            yield Static(self._question, markup=False)
            if self._box is not None:
                yield Box(f"{self._box} (b)", compact=True)
            with Horizontal(classes="buttons"):
                yield Button("Yes (y)", id="yes", compact=True)
                yield Button("No (n)", id="no", compact=True)

    def on_mount(self) -> None:
        """Enter, pressed too soon, is a no."""
        self.query_one("#no").focus()

    def action_yes(self) -> None:
        """Yes."""
        self.dismiss(Consent(any(box.value for box in self.query(Checkbox))))

    def action_tick(self) -> None:
        """Tick the box, or take it back."""
        for box in self.query(Checkbox):
            box.toggle()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """As the keys."""
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.dismiss(None)


class Leave(Confirm):
    """Whether to leave when what goes on has ended."""


class AskNote(ModalScreen[str | None]):
    """One line of text, which may be empty."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "leave it")]

    def __init__(self, question: str, placeholder: str) -> None:
        super().__init__()
        self._question = question
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """The question above its answer."""
        with VerticalGroup(classes="dialog"):
            yield Static(self._question, markup=False)
            yield Input(placeholder=self._placeholder, compact=True)
            yield Static("Enter does it, Escape leaves it", classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss(event.value)


class MoveForm(ModalScreen[Destination | None]):
    """Where a bottle is to be moved, and how."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "leave it")]

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = identity

    def compose(self) -> ComposeResult:
        """The fields."""
        with VerticalGroup(classes="dialog"):
            yield Static(f"Move {self._identity} to another host over SSH", markup=False)
            yield Input(placeholder="[USER@]HOST[:PORT]", id="host", compact=True)
            yield Input(placeholder="where its workspace lands [the same path]", id="workspace", compact=True)
            yield Box("keep it here too, as a copy there", id="keep", compact=True)
            yield Box("resume it there", id="resume", compact=True)
            yield Static("", id="objection", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Move", id="move", compact=True)
                yield Button("Cancel", id="cancel", compact=True)
            yield Static("Enter in a field moves it, Tab goes on, Escape leaves it", classes="hint", markup=False)

    def on_input_submitted(self) -> None:
        """Enter in a field."""
        self._submit()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """As the keys."""
        if event.button.id == "move":
            self._submit()
        else:
            self.dismiss(None)

    def _submit(self) -> None:
        host = self.query_one("#host", Input).value.strip()
        workspace = self.query_one("#workspace", Input).value.strip()
        options = MoveOptions(
            workspace=Path(workspace) if workspace else None,
            keep=self.query_one("#keep", Checkbox).value,
            resume=self.query_one("#resume", Checkbox).value,
        )
        if objection := objection_to_move(host, options):
            self.query_one("#objection", Static).update(objection)
        else:
            self.dismiss((host, options))


def objection_to_move(host: str, options: MoveOptions) -> str:
    """What is wrong with a form before anybody is called; empty where nothing is."""
    if not host or host.split() != [host]:
        return "which host?"
    if options.workspace is not None and not options.workspace.is_absolute():
        return "the workspace must be an absolute path, as it is over there"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """An agent to be started."""

    agent: Agent
    copy_cwd: bool


class StartForm(ModalScreen[Launch | None]):
    """Which agent of a manifest is to be started."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "leave it"),
        Binding("b", "tick", "tick the box"),
    ]

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        super().__init__()
        self._agents = list(manifest.agents.values())
        self._title = f"Start an agent of {manifest.path}, in the background, to work in {folder}"

    def compose(self) -> ComposeResult:
        """The agents above the box."""
        with VerticalGroup(classes="dialog"):
            yield Static(printable(self._title, 1000), markup=False)
            yield OptionList(*(agent.name for agent in self._agents), markup=False, compact=True)
            yield Box("work on a copy of the folder (b)", compact=True)
            yield Static("Enter starts it, Escape leaves it", classes="hint", markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on an agent."""
        agent = self._agents[event.option_index]
        self.dismiss(Launch(agent=agent, copy_cwd=self.query_one(Checkbox).value))

    def action_tick(self) -> None:
        """Tick the box, or take it back."""
        self.query_one(Checkbox).toggle()


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Where a fork is to work; neither where the workspace of its origin is inside the image."""

    cwd: Path | None = None
    share_cwd: bool = False


class ForkForm(ModalScreen[Branch | None]):
    """Where a fork is to work: two agents in one folder overwrite each other's files."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "leave it")]

    def __init__(self, view: BottleView, commit: int | None) -> None:
        super().__init__()
        self._view = view
        self._commit = f"commit {commit}" if commit is not None else "the commit in force"

    def compose(self) -> ComposeResult:
        """Why a folder is asked for, and the fields."""
        with VerticalGroup(classes="dialog"):
            yield Static(f"Fork {self._view.identity} off {self._commit}; it goes on as it was.", markup=False)
            yield Static(
                f"Its folder {printable(str(self._view.cwd), 1000)} is mounted, and two agents in one overwrite each "
                "other's files: make a copy of it first (cp -a, or git clone; no worktree), and say where that is.",
                markup=False,
            )
            yield Input(placeholder="the copy's folder", compact=True)
            yield Box("share the folder all the same", compact=True)
            yield Static("", id="objection", markup=False)
            yield Static("Enter in the field forks, Tab goes on, Escape leaves it", classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field."""
        folder = os.path.expanduser(event.value.strip())  # noqa: PTH111  # Path's raises for a user that is not there
        shared = self.query_one(Checkbox).value
        if folder and shared:
            self.query_one("#objection", Static).update("either a folder of its own, or the same one")
        elif not folder and not shared:
            self.query_one("#objection", Static).update("which folder? or tick the box")
        else:
            self.dismiss(Branch(cwd=Path(folder) if folder else None, share_cwd=shared))
