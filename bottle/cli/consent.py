"""What somebody else's bottle would be given here: told, and asked about, in the same way by every command."""

import click

from bottle.admission import LONGEST_DEMAND, Agree
from bottle.cli.output import confirmed, note, on_terminal
from bottle.text import printable

yes_option = click.option(
    "-y", "--yes", is_flag=True, help="Let a bottle that comes from elsewhere have what it would be given here."
)


def agreement(*, yes: bool) -> Agree:
    """Tells, however quiet the command is, and asks where a person sits; elsewhere only `yes` is a yes."""

    def agree(asked: tuple[str, ...]) -> bool:
        for each in asked:
            note(f"resumed here, it would be given: {printable(each, LONGEST_DEMAND)}")
        return yes or (on_terminal() and confirmed("Let it have that?"))

    return agree
