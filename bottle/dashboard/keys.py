"""The keys of the dashboard, once for what they do and for what the help says."""

from textual.binding import Binding

# key, as it is shown, action, short name, what it does
_KEYS = (
    ("a", "a", "approve", "approve", "approve the request shown: its Dockerfile is the bottle's"),
    ("d", "d", "deny", "deny", "deny it, with a note for the agent"),
    ("n", "n", "start", "start", "start an agent of the manifest in this folder"),
    ("t", "t, Enter", "attach", "attach", "join the agent's terminal; Ctrl-P Ctrl-Q comes back"),
    ("c", "c", "commit", "commit", "snapshot the bottle; it goes on"),
    ("r", "r", "resume", "resume", "bring it back, in the background"),
    ("s", "s", "stop", "stop", "end its processes; its work stays"),
    ("l", "l", "logs", "logs", "what its agent writes, as it comes"),
    ("m", "m", "migrate", "move", "move or copy it to another host; m again shows how far"),
    ("h", "h", "history", "history", "its commits: go back to one, or fork off it"),
    ("slash", "/", "filter", "filter", "show some bottles only; Escape shows all again"),
    ("f", "f", "fork", "fork", "make another bottle off its commit in force"),
    ("i", "i", "details", "details", "all that is known of it; Enter too, if it does not run"),
    ("o", "o", "order", "order", "order by the next column, as a click on its name does"),
    ("O", "O", "turn", "", "the other way round"),
    ("D,delete", "D, Del", "remove", "rm", "delete it; work that is nowhere else is asked about"),
    ("y", "y", "copy", "", "copy the line that the status says to type next"),
    ("e", "e", "message", "", "the last message in full"),
    ("escape", "Escape", "all", "", "show all bottles again"),
    ("question_mark", "?", "help", "help", "this page"),
    ("q", "q", "quit", "quit", "leave; bottles go on"),
)
_ALWAYS = {"help", "quit"}  # are shown, however narrow the terminal is
_PLACES = (
    ("Tab", "from the bottles to requests, diff, details, and back"),
    ("↑ ↓ PgUp PgDn", "move there"),
)

BINDINGS = [Binding(key, action, name, show=False) for key, _, action, name, _ in _KEYS]


def key_line(width: int) -> str:
    """The keys and their short names, as many as `width` has room for; how to see all of them is always one."""
    words = [(f"{shown[0]} {name}", action in _ALWAYS) for _, shown, action, name, _ in _KEYS if name]
    left = width - sum(len(word) + 1 for word, always in words if always)
    fits = []
    for word, always in words:
        room = always or left > len(word)
        left = left if always else left - len(word) - 1 if room else 0
        fits += [word] if room else []
    return " ".join(fits)


def help_lines() -> list[str]:
    """One line a key."""
    rows = [*((shown, does) for _, shown, _, _, does in _KEYS), *_PLACES]
    return [f"{shown:<14} {does}" for shown, does in rows]
