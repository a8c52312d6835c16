"""A group of commands that explains itself to who asks for nothing, or for what there is not."""

from collections.abc import Mapping
from types import MappingProxyType

import click

from bottle.suggest import did_you_mean

WHOLE = 1000  # characters of a summary, which is one sentence: click cuts longer ones


class Group(click.Group):
    """Prints its help where no command is named, and says which one a mistyped name may have meant.

    `elsewhere` are names that other tools have for what a command here does.
    """

    elsewhere: Mapping[str, str] = MappingProxyType({})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; none at all ask for help."""
        return super().parse_args(ctx, args if args or ctx.resilient_parsing else ["--help"])

    def sections(self, ctx: click.Context) -> Mapping[str, Mapping[str, str]]:
        """What stands together in the help, by title: names of commands by what they are shown as."""
        return {"Commands": {name: name for name in self.list_commands(ctx)}}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, each with the first sentence of its help, whole."""
        sections = self.sections(ctx)
        widest = max(len(shown) for section in sections.values() for shown in section)
        for title, names in sections.items():
            with formatter.section(title):
                formatter.write_dl([(shown.ljust(widest), self.summary(ctx, name)) for shown, name in names.items()])

    def summary(self, ctx: click.Context, name: str) -> str:
        """The first sentence of a command's help."""
        command = self.get_command(ctx, name)
        assert command is not None  # it is in the list of commands
        return command.get_short_help_str(WHOLE)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant. Raises click's UsageError where there is none."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            near = f"; did you mean {self.elsewhere[name]}?" if name in self.elsewhere else None
            ctx.fail(f"No such command {name!r}{near or did_you_mean(name, self.list_commands(ctx)) or '.'}")
        return super().resolve_command(ctx, args)
