"""Commands that take one to run in a bottle: behind `--`, so that no word too many passes for it."""

import click

_DASHES = "--"


class WithCommand(click.Command):
    """A command whose parameter `words` is what stands behind `--`, word by word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before `--` as any other command does."""
        end = args.index(_DASHES) if _DASHES in args else len(args)
        try:
            rest = super().parse_args(ctx, args[:end])
        except click.UsageError as exc:
            if not exc.message.startswith("Got unexpected extra argument"):
                raise
            raise click.UsageError(f"{exc.message}; what is to run instead of the agent goes behind --", ctx) from exc
        ctx.params["words"] = tuple(args[end + 1 :])
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line, with the command to run at its end."""
        return [*super().collect_usage_pieces(ctx), "[-- CMD…]"]
