"""Choosing one of the bottles that may be meant: arrow keys, type to filter, Enter; Esc leaves."""

from collections.abc import Callable, Mapping, Sequence
from shutil import get_terminal_size

from bottle.cli.bottletable import bottle_table
from bottle.cli.table import fitted
from bottle.errors import Interrupted
from bottle.naming import Identity
from bottle.operations import BottleView

_POINTER = 3  # characters that stand in front of each choice
_HELP = "(arrows, type to filter, Esc leaves)"

_WITH_CONTAINER = {"running", "paused", "stopped", "created"}
_NOT_RUNNING = {"paused", "stopped", "created", "committed", "gone"}  # of one that is gone, its image is built anew

_MAY_BE: Mapping[str, Callable[[BottleView], bool]] = {
    "committed": lambda view: view.state in _WITH_CONTAINER,
    "stopped": lambda view: view.runs_here,
    "attached": lambda view: view.state == "running",
    "resumed": lambda view: view.state in _NOT_RUNNING,
    "taken back": lambda view: view.state in _NOT_RUNNING | {"moved"},
    "moved": lambda view: view.state in _WITH_CONTAINER | {"committed"},
}


class NothingChosen(Interrupted):
    """The user left the picker by Esc: that is no mistake, and what follows in a script is not to be done either."""


def pick(views: Sequence[BottleView], verb: str) -> Identity:
    """Ask which bottle is to be `verb`. Raises NothingChosen, or KeyboardInterrupt as for Ctrl-C."""
    import questionary  # noqa: PLC0415  (a terminal library that most commands never need)
    from prompt_toolkit.filters import Condition  # noqa: PLC0415  (its own, as the next two)
    from prompt_toolkit.key_binding import KeyBindings  # noqa: PLC0415
    from questionary.prompts.common import InquirerControl  # noqa: PLC0415

    header, *lines = choices(views, get_terminal_size().columns)
    question = questionary.select(
        f"Which bottle is to be {verb}?",
        choices=[questionary.Choice(line, value=view.identity) for line, view in zip(lines, views, strict=True)],
        use_search_filter=True,
        use_jk_keys=False,
        instruction=f"{_HELP}\n{' ' * _POINTER}{header}",  # it stands right above the choices
    )

    (shown,) = (each for each in question.application.layout.find_all_controls() if isinstance(each, InquirerControl))

    @Condition
    def nothing_fits() -> bool:
        typed = (shown.search_filter or "").lower()
        return not any(typed in str(choice.title).lower() for choice in shown.choices)

    bindings = question.application.key_bindings
    assert isinstance(bindings, KeyBindings)  # what questionary makes; Esc is not among its keys
    bindings.add("escape", eager=True)(lambda event: event.app.exit(result=None))
    # Where nothing has what was typed, questionary shows everything: the first of them is not what is meant.
    bindings.add("enter", eager=True, filter=nothing_fits)(lambda _: None)
    chosen = question.unsafe_ask()
    if chosen is None:
        raise NothingChosen("no bottle was chosen", left="nothing was changed", next_step="bottle list")
    assert isinstance(chosen, Identity)  # the values of the choices above
    return chosen


def choices(views: Sequence[BottleView], width: int) -> list[str]:
    """A header, and a line for each bottle, no wider than a terminal of `width` has room for behind the pointer."""
    return [line.text for line in fitted(*bottle_table(views), width - _POINTER - 1)]


def may_be(verb: str, view: BottleView) -> bool:
    """Whether a bottle can be `verb`; what is only looked at may be any."""
    return verb not in _MAY_BE or _MAY_BE[verb](view)
