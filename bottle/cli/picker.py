"""Choosing a bottle by keyboard: arrow keys, type to filter, Enter; Esc leaves."""

from collections.abc import Sequence

from bottle.cli.output import table
from bottle.errors import Interrupted
from bottle.naming import Identity
from bottle.operations import BottleView
from bottle.words import age, size

_HEADER = ("IDENTITY", "AGENT", "STATE", "STARTED", "SIZE", "COMMIT", "COMMITTED", "")


def pick(views: Sequence[BottleView], verb: str) -> Identity:
    """Ask which bottle is to be `verb`. Raises Interrupted when the user leaves."""
    import questionary  # noqa: PLC0415  (a terminal library that most commands never need)
    from prompt_toolkit.key_binding import KeyBindings  # noqa: PLC0415

    _, *lines = table(_HEADER, [_row(view) for view in views])
    choices = [questionary.Choice(line.text, value=view.identity) for line, view in zip(lines, views, strict=True)]
    question = questionary.select(
        f"Which bottle is to be {verb}?",
        choices,
        use_search_filter=True,
        use_jk_keys=False,
        instruction="(arrows, type to filter, Esc leaves)",
    )

    bindings = question.application.key_bindings
    assert isinstance(bindings, KeyBindings)  # what questionary makes; Esc is not among its keys
    bindings.add("escape", eager=True)(lambda event: event.app.exit(result=None))
    chosen = question.unsafe_ask()
    if chosen is None:
        raise Interrupted("no bottle was chosen", left="nothing was changed", next_step="bottle list")
    assert isinstance(chosen, Identity)  # the values of the choices above
    return chosen


def _row(view: BottleView) -> tuple[str, ...]:
    commit = str(view.commit) if view.commit is not None else "-"
    own = size(view.weight.own) if view.weight is not None else "-"
    started, committed = age(view.started_at), age(view.committed_at)
    return (str(view.identity), view.agent, view.status, started, own, commit, committed, view.detail)
