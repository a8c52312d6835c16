"""Text that somebody else wrote, made fit to be shown on a terminal."""

import re

# ECMA-48 sequences: CSI; the strings OSC, DCS, SOS, PM and APC up to their end (a string that has none ends with its
# line); and the short ESC ones. The C1 forms are one character.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)

# C0, DEL, C1; bidi marks, embeddings, overrides and isolates, which reorder what is read ("Trojan Source"); line and
# paragraph separators, which fake a line's end.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def printable(text: str | bytes, limit: int = 500, *, lines: bool = False) -> str:
    """`text` without anything that a terminal acts on, cut to `limit` characters with `…` in the last place.

    Removed are escape sequences, C0 and C1 controls and bidi controls. Runs of white space become one space, or, with
    `lines`, line feeds stay and tabs become spaces. Bytes are read as UTF-8; what is none becomes U+FFFD.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = _SURROGATES.sub("\ufffd", _SEQUENCES.sub("", text))
    if lines:
        kept = text.replace("\r\n", "\n").replace("\t", "    ").split("\n")
        text = "\n".join(_UNPRINTABLE.sub("", line).rstrip() for line in kept).strip("\n")
    else:
        text = _UNPRINTABLE.sub("", " ".join(text.split()))
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"
