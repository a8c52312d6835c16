"""What somebody else's bottle would be given here: told, and asked about, in the same way by every command."""

import click

from bottle.agent.admission import LONGEST_DEMAND, Agree
from bottle.cli.output import confirmed, note, on_terminal
from bottle.errors import NeedsConsent
from bottle.text import printable

yes_option = click.option(
    "-y", "--yes", is_flag=True, help="Let a bottle that comes from elsewhere have what it would be given here."
)


def agreement(*, yes: bool, left: str) -> Agree:
    """Tells, however quiet the command is, and asks where a person sits; elsewhere only `yes` is a yes.

    Where nobody can be asked, the refusal lists what it is about, and here nothing is said. `left` is what is so after
    a no, to who has read the list.
    """

    def agree(asked: tuple[str, ...]) -> bool:
        if not yes and not on_terminal():
            return False
        for each in asked:
            note(f"resumed here, it would be given: {printable(each, LONGEST_DEMAND)}")
        if not yes and not confirmed("Let it have that?"):
            raise NeedsConsent(
                "nobody agreed to that", left=left, next_step="if it may have that: the same command again"
            )
        return True

    return agree
