"""How a table fits the width of a terminal: texts are cut, then columns are left out. Pure: cells in, lines out."""

from collections.abc import Sequence
from dataclasses import dataclass

from bottle.text import cells, fitting, printable

_GAP = "  "
_READABLE = 24  # columns of a text that is cut: with fewer it says too little, and a column goes instead
_LEAST = 8  # that are left of a text when no column is left that may go
_LONGEST = 4000  # characters of a cell, however much room there is


@dataclass(frozen=True, slots=True)
class Coloured:
    """A line, or a part of one, in a colour, where there is a terminal; None is the terminal's own."""

    text: str
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of several parts."""

    parts: tuple[Coloured, ...]

    @property
    def text(self) -> str:
        """What it says, without colours."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Where there is no room, it is cut if it may be, and left out if it has a `drop`: the highest first."""

    name: str
    drop: int = 0
    cut: bool = False


Cell = str | Coloured


def fitted(columns: Sequence[str | Column], rows: Sequence[Sequence[Cell]], width: int | None) -> list[Line]:
    """A header and a line for each row, no wider than `width`, as far as columns may be cut or left out."""
    known = [column if isinstance(column, Column) else Column(column) for column in columns]
    shown = [[_printable(cell) for cell in row] for row in ([column.name for column in known], *rows)]
    natural = [max(cells(row[index].text) for row in shown) for index in range(len(known))]
    widths = natural if width is None else _widths(known, natural, width)
    return [_line(row, widths) for row in shown]


def _printable(cell: Cell) -> Coloured:
    text, colour = (cell.text, cell.colour) if isinstance(cell, Coloured) else (cell, None)
    return Coloured(printable(text, _LONGEST), colour)


def _widths(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """How wide each column becomes, 0 for one that is left out."""
    widths = list(natural)
    droppable = sorted((i for i, column in enumerate(columns) if column.drop), key=lambda i: -columns[i].drop)
    while _total(_cut(columns, widths, width, _READABLE)) > width and droppable:
        widths[droppable.pop(0)] = 0
    return _cut(columns, widths, width, _LEAST)


def _cut(columns: Sequence[Column], widths: Sequence[int], width: int, least: int) -> list[int]:
    """`widths` with the texts cut, the last first, to no less than `least` and their headers, until all of it fits."""
    shown = list(widths)
    for index in reversed([i for i, column in enumerate(columns) if column.cut and shown[i]]):
        too_much = _total(shown) - width
        if too_much > 0:
            floor = min(shown[index], max(least, len(columns[index].name)))
            shown[index] = max(floor, shown[index] - too_much)
    return shown


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(_GAP) * (len(shown) - 1)


def _line(row: Sequence[Coloured], widths: Sequence[int]) -> Line:
    """The cells that are shown, padded but for the last that says something."""
    shown = [(fitting(cell.text, width), width, cell.colour) for cell, width in zip(row, widths, strict=True) if width]
    while shown and not shown[-1][0]:
        shown.pop()
    parts = []
    for text, width, colour in shown:
        parts += [Coloured(text, colour), Coloured(" " * (width - cells(text)) + _GAP)]
    return Line(tuple(parts[:-1]))
