"""Tables whose rows are replaced in place, so that the cursor stays on what it was on."""

from collections.abc import Mapping

from rich.text import Text
from textual.widgets import DataTable
from textual.widgets.data_table import RowDoesNotExist

from bottle.dashboard.rows import Columns, shortened


class Listing(DataTable[Text]):
    """A table of plain text, whose rows have keys. Rows have a cell for each of the columns that it was made with; of
    those it shows the ones, and as wide, as it is told to.
    """

    def __init__(self, columns: Columns, *, id: str) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._names = tuple(name for name, _ in columns)
        self._columns = columns
        self._cells: dict[str, tuple[str, ...]] = {}

    def on_mount(self) -> None:
        """Make the columns."""
        self._make_columns()

    @property
    def room(self) -> int:
        """How many columns of the terminal there are for the rows, beside the bar that scrolls them."""
        return max((self.size.width or self.app.size.width) - 1, 20)

    def show(self, rows: Mapping[str, tuple[str, ...]], columns: Columns) -> None:
        """Show these columns of `rows`, by key and in this order."""
        if columns == self._columns and list(rows) == list(self._cells):
            self._update(rows)
        else:
            self._replace(rows, columns)
        self._cells = dict(rows)

    def _update(self, rows: Mapping[str, tuple[str, ...]]) -> None:
        for key, cells in rows.items():
            for (name, _), old, new in zip(
                self._columns, self._chosen(self._cells[key]), self._chosen(cells), strict=True
            ):
                if old != new:
                    self.update_cell(key, name, _plain(new))

    def _replace(self, rows: Mapping[str, tuple[str, ...]], columns: Columns) -> None:
        kept, changed = self.selected, columns != self._columns
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=changed)
            if changed:
                self._columns = columns
                self._make_columns()
            for key, cells in rows.items():
                self.add_row(*map(_plain, self._chosen(cells)), key=key)
        self._cells = dict(rows)
        self.point_at(kept)

    def _make_columns(self) -> None:
        for name, width in self._columns:
            self.add_column(Text(name), key=name, width=width)

    def _chosen(self, cells: tuple[str, ...]) -> list[str]:
        """The cells that are shown; what a row is called keeps both of its ends."""
        first, *others = (cells[self._names.index(name)] for name, _ in self._columns)
        return [shortened(first, self._columns[0][1]), *others]

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
