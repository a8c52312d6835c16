"""Questions to the operator."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalGroup
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input, Static

from bottle.moveoptions import MoveOptions
from bottle.naming import Identity

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
        Binding("n,escape", "no", "no"),
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

    def action_no(self) -> None:
        """No."""
        self.dismiss(None)

    def action_tick(self) -> None:
        """Tick the box, or take it back."""
        for box in self.query(Checkbox):
            box.toggle()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """As the keys."""
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.action_no()


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
        for objection in objections(host, options):
            self.query_one("#objection", Static).update(objection)
            return
        self.dismiss((host, options))


def objections(host: str, options: MoveOptions) -> Iterator[str]:
    """What is wrong with a form before anybody is called."""
    if not host or host.split() != [host]:
        yield "which host?"
    if options.workspace is not None and not options.workspace.is_absolute():
        yield "the workspace must be an absolute path, as it is over there"
