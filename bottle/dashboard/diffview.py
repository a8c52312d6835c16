"""A request as the operator reads it: who asks for what and why, warnings on top, then the coloured diff."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from bottle.operations.request_review import RequestDetail
from bottle.text import printable, printable_lines
from bottle.words import counted

# The diff of the largest Dockerfile that can be asked for is shown whole: nobody approves what he cannot read.
_WHOLE = 4 * 1024 * 1024

Styled = tuple[str, str]  # a text, and its style: one of the pane's, or none


def request_lines(detail: RequestDetail) -> Iterator[Styled]:
    """The request line by line. None of it acts on the terminal."""
    request = detail.request
    for note in detail.notes:
        yield printable(note), "warning"
    if detail.warnings:
        yield f"{counted(len(detail.warnings), 'warning')}:", "warning"
    for warning in detail.warnings:
        yield f"  ! {printable(warning)}", "warning"
    yield "asks, because:", "strong"
    for line in printable_lines(request.reason, 4096):
        yield f"  | {line}", ""
    if request.note:
        yield f"{request.status.value}, with the word: {printable(request.note, 4096)}", "strong"
    yield f"digest {request.digest}", "strong"
    yield f"instead of {printable(detail.in_force)}:", "strong"
    if not detail.diff:
        yield "  no difference" if request.dockerfile else "  (no Dockerfile)", ""
        return
    for line in printable_lines(detail.diff, _WHOLE):
        yield line, style_of(line)


def style_of(line: str) -> str:
    """The style of a line of a unified diff."""
    if line.startswith(("+++", "---")):
        return "strong"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "")


class Pane(ScrollView, can_focus=True):
    """Lines, folded at the right edge so that nothing of them is out of sight.

    Only those in sight are ever drawn: a text widget would hold the screen up for seconds with a large Dockerfile.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "pane--added", "pane--removed", "pane--place", "pane--warning", "pane--strong",
    }  # fmt: skip

    def __init__(self, *, id: str, hang: int = 0) -> None:
        super().__init__(id=id)
        self._hang = hang  # columns by which what was folded stands further in
        self._lines: tuple[Styled, ...] = ()
        self._folded: list[Styled] = []
        self._folded_at = 0

    @property
    def plain(self) -> str:
        """All of it, without styles."""
        return "\n".join(text for text, _ in self._lines)

    def show(self, lines: Sequence[Styled]) -> None:
        """Show `lines`, from the first."""
        self.replace(lines)
        self.scroll_home(animate=False)

    def replace(self, lines: Sequence[Styled]) -> None:
        """Show `lines`, from where it is."""
        if tuple(lines) == self._lines:
            return
        self._lines = tuple(lines)
        self._folded_at = 0
        self._fold()
        self.refresh()

    def on_resize(self) -> None:
        """The right edge is elsewhere."""
        self._fold()

    def _fold(self) -> None:
        width = max(self.scrollable_content_region.width, 10)
        if width != self._folded_at:
            self._folded = [(part, style) for text, style in self._lines for part in folded(text, width, self._hang)]
            self._folded_at = width
            self.virtual_size = Size(width, len(self._folded))

    def render_line(self, y: int) -> Strip:
        """One line of what is in sight."""
        width = self.size.width
        row = y + self.scroll_offset.y
        if row >= len(self._folded):
            return Strip.blank(width, self.rich_style)
        text, name = self._folded[row]
        style = self.get_component_rich_style(f"pane--{name}") if name else self.rich_style
        return Strip([Segment(text, style)]).adjust_cell_length(width, self.rich_style)


def folded(text: str, width: int, hang: int = 0) -> list[str]:
    """`text` in pieces of `width` columns or less, none of it lost.

    With `hang` it is folded between words where that is possible, and all but the first piece stand so far in.
    """
    if len(text) <= width and cell_len(text) <= width:
        return [text]
    if hang:
        pieces = textwrap.wrap(text, width, subsequent_indent=" " * hang, break_on_hyphens=False)
        if all(cell_len(piece) <= width for piece in pieces):  # as no character of it is a wide one
            return pieces
    return chop_cells(text, width)
