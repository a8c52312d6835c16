"""How bash is told what fits."""

from click.shell_completion import BashComplete, CompletionItem


class Bash(BashComplete):
    """As click's, but that bash takes an @ for a word of its own, and replaces it with what stands behind it."""

    _behind = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is being typed, and that one, each whole."""
        args, incomplete = super().get_completion_args()
        if incomplete == "@" and args:
            self._behind = args[-1]
            return args[:-1], f"{self._behind}@"
        if len(args) > 1 and args[-1] == "@":
            self._behind = args[-2]
            return args[:-2], f"{self._behind}@{incomplete}"
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """As the script of the shell reads it."""
        return f"{item.type},{item.value.removeprefix(self._behind)}"
