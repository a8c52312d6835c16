"""Tables whose rows are replaced in place, so that the cursor stays on what it was on."""

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.widgets import DataTable
from textual.widgets.data_table import RowDoesNotExist


class Listing(DataTable[Text]):
    """A table of plain text with fixed columns, whose rows have keys."""

    def __init__(self, columns: Sequence[tuple[str, int]], *, id: str) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._columns = tuple(columns)
        self._cells: dict[str, tuple[str, ...]] = {}

    def on_mount(self) -> None:
        """Make the columns."""
        for name, width in self._columns:
            self.add_column(Text(name), key=name, width=width)

    def show(self, rows: Mapping[str, tuple[str, ...]]) -> None:
        """Show `rows`, by key and in this order."""
        if list(rows) == list(self._cells):
            for key, cells in rows.items():
                for (name, _), old, new in zip(self._columns, self._cells[key], cells, strict=True):
                    if old != new:
                        self.update_cell(key, name, _plain(new))
        else:
            kept = self.selected
            with self.prevent(DataTable.RowHighlighted):
                self.clear()
                for key, cells in rows.items():
                    self.add_row(*map(_plain, cells), key=key)
            self._cells = dict(rows)
            self.point_at(kept)
        self._cells = dict(rows)

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        keys = list(self._cells)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def point_at(self, key: str | None) -> None:
        """Put the cursor on a row, if it is there."""
        try:
            row = self.get_row_index(key) if key is not None else 0
        except RowDoesNotExist:
            row = min(self.cursor_row, self.row_count - 1)
        self.move_cursor(row=max(row, 0))


def _plain(text: str) -> Text:
    """A cell that says what it says: a str would be read as markup."""
    return Text(text, no_wrap=True, overflow="ellipsis", end="")
