"""The keys of the dashboard, once for what they do and for what the help says."""

from textual.binding import Binding

# key, as it is shown, action, short name, what it does
_KEYS = (
    ("a", "a", "approve", "approve", "approve the request that is shown: its Dockerfile becomes the bottle's own"),
    ("d", "d", "deny", "deny", "deny it, with a note for the agent"),
    ("t", "t, Enter", "attach", "attach", "join the agent's terminal; Ctrl-P Ctrl-Q comes back"),
    ("c", "c", "commit", "commit", "snapshot the bottle; it goes on"),
    ("r", "r", "resume", "resume", "bring it back, in the background"),
    ("s", "s", "stop", "stop", "end its processes; its work stays"),
    ("m", "m", "migrate", "move", "move or copy it to another host; m again shows how far that is"),
    ("l", "l", "logs", "logs", "what its agent wrote last"),
    ("y", "y", "copy", "", "copy the line that the status says to type next"),
    ("e", "e", "message", "", "the last message in full"),
    ("question_mark", "?", "help", "help", "this page"),
    ("q", "q", "quit", "quit", "leave; bottles go on"),
)
_PLACES = (
    ("Tab", "from the bottles to the requests, to the diff, and back"),
    ("↑ ↓ PgUp PgDn", "move there"),
)

BINDINGS = [Binding(key, action, name, show=False) for key, _, action, name, _ in _KEYS]
KEY_LINE = " ".join(f"{shown[0]} {name}" for _, shown, _, name, _ in _KEYS if name)


def help_lines() -> list[str]:
    """One line a key."""
    rows = [*((shown, does) for _, shown, _, _, does in _KEYS), *_PLACES]
    return [f"{shown:<14} {does}" for shown, does in rows]
