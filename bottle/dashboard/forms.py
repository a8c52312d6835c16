"""What is asked before a bottle is made: of an agent, or off another bottle."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalGroup
from textual.screen import ModalScreen
from textual.widgets import Checkbox, Input, OptionList, Static

from bottle.agent.manifest import Manifest
from bottle.dashboard.dialogs import Box
from bottle.model import Agent
from bottle.operations import BottleView
from bottle.text import printable


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
        for objection in objections(folder, shared=shared):
            self.query_one("#objection", Static).update(objection)
            return
        self.dismiss(Branch(cwd=Path(folder) if folder else None, share_cwd=shared))


def objections(folder: str, *, shared: bool) -> Iterator[str]:
    """What is wrong with a form before anything is made."""
    if not folder and not shared:
        yield "which folder? or tick the box"
    if folder and shared:
        yield "either a folder of its own, or the same one"
