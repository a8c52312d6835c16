"""Text that somebody else wrote, made fit to be shown on a terminal.

No function here returns a line feed: a text is one line, and several lines are a tuple. So whoever prints decides how
each line begins, and what was printed by somebody else can begin none.
"""

import re
import unicodedata

# ECMA-48 sequences: CSI; the strings OSC, DCS, SOS, PM and APC up to their end (a string that has none ends with its
# line); and the short ESC ones. The C1 forms are one character.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)

# C0, DEL, C1; what has no width; bidi marks, embeddings, overrides and isolates, which reorder what is read ("Trojan
# Source"); line and paragraph separators, which fake a line's end.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
    r"|[\U000e0000-\U000e007f]"
)
# Letters and signs that show nothing: as good as spaces to who wants to move text to where it does not belong.
_BLANK = re.compile(r"[\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")
_PATH = 120  # characters of a path that are shown
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def shortened(path: str) -> str:
    """A long path with its middle left out, fit to be shown: its ends tell where it is."""
    text = printable(path, len(path))
    return text if len(text) <= _PATH else f"{text[: _PATH - 30]}…{text[-29:]} ({len(path)} characters)"


def printable(text: str | bytes, limit: int = 500) -> str:
    """`text` as one line without anything that a terminal acts on, cut to `limit` characters with `…` at the end.

    Removed are escape sequences, C0 and C1 controls and bidi controls. Runs of white space, line feeds among it, become
    one space. Bytes are read as UTF-8; what is none becomes U+FFFD.
    """
    return _cut(_UNPRINTABLE.sub("", " ".join(_BLANK.sub(" ", _decoded(text)).split())), limit)


def cells(text: str) -> int:
    """How many columns of a terminal printable text takes: wide characters two (UAX #11), combining ones none."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def fitting(text: str, room: int) -> str:
    """Printable text, cut to `room` columns of a terminal with `…` at the end."""
    if cells(text) <= room:
        return text
    kept, left = "", room - 1
    for character in text:
        left -= _cells_of(character)
        if left < 0:
            break
        kept += character
    return f"{kept}…"


def encodable(text: str) -> str:
    """`text` with U+FFFD for what a command line or a path had in place of UTF-8: no document takes that."""
    return _SURROGATES.sub("\ufffd", text)


def laid_out(text: str, limit: int = 4000) -> str:
    """As `printable`, for a line of our own whose spaces are indentation and columns: they stay."""
    return _cut(_UNPRINTABLE.sub("", re.sub(r"[\t\n\v\f\r\x85\u2028\u2029]", " ", _decoded(text))).rstrip(), limit)


def printable_lines(text: str | bytes, limit: int = 500) -> tuple[str, ...]:
    """The lines of `text`, all together up to `limit` characters, each without anything that a terminal acts on.

    Tabs become spaces, indentation stays. They are to be printed behind a mark, so that none of them begins a line.
    """
    kept = _decoded(text).replace("\r\n", "\n").replace("\t", "    ").split("\n")
    clean = "\n".join(_UNPRINTABLE.sub("", line).rstrip() for line in kept)
    return tuple(_cut(clean.strip("\n"), limit).split("\n"))


def _decoded(text: str | bytes) -> str:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return encodable(_SEQUENCES.sub("", text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"
