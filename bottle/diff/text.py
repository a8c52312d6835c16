"""The text of a file in two versions, as the lines that differ. Pure."""

from difflib import unified_diff

LARGEST = 1 << 20  # bytes of a text that is compared line by line, which takes memory many times that
_MOST_LINES = 20_000
_NO_NEWLINE = "\\ No newline at end of file"


def why_no_text(content: bytes | None, size: int) -> str:
    """Why what there is of `size` bytes is not compared line by line; empty where it can be.

    `content` is what was read of it, None where it was too large for that.
    """
    if content is None or size > LARGEST:
        return "it is too large to be compared line by line"
    if b"\0" in content:
        return "it is binary"
    if content.count(b"\n") > _MOST_LINES:
        return "it has too many lines to be compared one by one"
    return ""


def unified(before: bytes, after: bytes, *, names: tuple[str, str]) -> tuple[str, ...]:
    """The lines of a unified diff (POSIX.1-2017, diff -u), without their ends; none where the texts are the same.

    What is no UTF-8 is shown as such by whoever prints it.
    """
    old, new = _lines(before), _lines(after)
    found = []
    for line in unified_diff(old, new, *names, lineterm="\n"):
        found.append(line.removesuffix("\n"))
        if not line.endswith("\n"):
            found.append(_NO_NEWLINE)
    return tuple(found)


def _lines(content: bytes) -> list[str]:
    """Lines end with a line feed and with nothing else, as they do for diff."""
    text = content.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    last = lines.pop()
    return [*(f"{line}\n" for line in lines), *([last] if last else [])]
