"""The three-way merge of tables in CSV, cell by cell. How orders and rows are aligned is known to `merging_text`.

A row is the same one in all versions by its first column, where that is unique in all; else by its position. A column
is the same one by its position where all versions have as many and none was moved, so that it can be renamed; else by
its name. Rows that nobody changed keep their text; blank lines are no rows and are not kept by a merge.
"""

import csv
import io
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from json import dumps

from handiwork.types.csv_table import JUDGED_BYTES, delimiter_of
from handiwork.versions.differences import MISSING, Side
from handiwork.versions.merging_text import Conflict, Merged, Region, Three, merge_texts, merged_order, regions

_LONGEST_NAME = 80

Cells = dict[Hashable, str]


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    header: _Row
    rows: list[_Row]
    delimiter: str
    line_end: str
    is_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """What the columns of each version are called here, and those of the merged table with their titles."""

    of: Three[list[Hashable]]
    merged: list[Hashable]
    titles: dict[Hashable, str]

    @property
    def are_same(self) -> bool:
        return self.of.base == self.of.ours == self.of.theirs == self.merged


def merge_tables(base: str, ours: str, theirs: str) -> Merged[str]:
    """Merge CSV by row and column; what cannot be read as tables of one delimiter is merged by line.

    Conflicts name the row by its first cell, or by its number in `base` as `rows=` counts: from 0, without the header.
    """
    if ours in (theirs, base):
        return Merged(content=theirs)
    if theirs == base:
        return Merged(content=ours)
    was, our, their = _read(base), _read(ours), _read(theirs)
    if was is None or our is None or their is None or not was.delimiter == our.delimiter == their.delimiter:
        return merge_texts(base, ours, theirs)
    merging = _Tables(Three(was, our, their))
    merged = merging.merge()
    if merging.conflicts:
        return Merged(content=None, conflicts=tuple(merging.conflicts))
    return Merged(content=merged)


def _read(text: str) -> _Table | None:
    """Return the table with the text of each row, or None for what is none."""
    delimiter = delimiter_of(text[:JUDGED_BYTES].encode("utf-8", "replace"))
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[_Row] = []
    begins = 0
    try:
        for cells in reader:
            if cells:
                rows.append(_Row(tuple(cells), "".join(lines[begins : reader.line_num]).rstrip("\r\n")))
            begins = reader.line_num
    except csv.Error:
        return None
    if not rows or any(len(row.cells) != len(rows[0].cells) for row in rows):
        return None
    first, last = lines[0], lines[-1]
    line_end = first[len(first.rstrip("\r\n")) :] or "\n"
    return _Table(
        header=rows[0],
        rows=rows[1:],
        delimiter=delimiter,
        line_end=line_end,
        is_ended=last.endswith(("\r", "\n")),
    )


class _Tables:
    def __init__(self, tables: Three[_Table]) -> None:
        self._tables = tables
        self.conflicts: list[Conflict] = []

    def merge(self) -> str:
        """Return the merged table; it means nothing when there are conflicts."""
        columns = self._columns()
        if columns is None:
            return ""
        rows = _Rows(self._tables, columns, self.conflicts)
        texts = [self._header(columns), *rows.merged()]
        base, ours, theirs = self._tables.base, self._tables.ours, self._tables.theirs
        line_end = theirs.line_end if ours.line_end == base.line_end else ours.line_end
        is_ended = theirs.is_ended if ours.is_ended == base.is_ended else ours.is_ended
        return line_end.join(texts) + (line_end if is_ended else "")

    def _header(self, columns: _Columns) -> str:
        cells = tuple(columns.titles[column] for column in columns.merged)
        headers = (table.header for table in (self._tables.ours, self._tables.theirs))
        unchanged = next((header.text for header in headers if header.cells == cells), None)
        return _written(cells, self._tables.base.delimiter) if unchanged is None else unchanged

    def _columns(self) -> _Columns | None:
        tables = self._tables
        base, ours, theirs = tables.base.header.cells, tables.ours.header.cells, tables.theirs.header.cells
        if len(base) == len(ours) == len(theirs) and _stays(base, ours) and _stays(base, theirs):
            return self._by_position(Three(base, ours, theirs))
        are_unique = all(len(set(header)) == len(header) for header in (base, ours, theirs))
        order = merged_order(base, ours, theirs) if are_unique else None
        if order is None:
            header = (table.header.text for table in (tables.base, tables.ours, tables.theirs))
            self._clash("header", *header)
            return None
        gone = set(base) - (set(ours) & set(theirs))
        merged = [column for column in order if column not in gone]
        of = Three[list[Hashable]](list(base), list(ours), list(theirs))
        return _Columns(of=of, merged=merged, titles={column: str(column) for column in merged})

    def _by_position(self, headers: Three[tuple[str, ...]]) -> _Columns:
        columns = list[Hashable](range(len(headers.base)))
        titles: dict[Hashable, str] = {}
        for column, was, our, their in zip(columns, headers.base, headers.ours, headers.theirs, strict=True):
            if our not in (was, their) and their != was:
                self._clash(f"header, column {column}", was, our, their)
            titles[column] = their if our == was else our
        return _Columns(of=Three(columns, columns, columns), merged=columns, titles=titles)

    def _clash(self, where: str, base: str, ours: str, theirs: str) -> None:
        self.conflicts.append(Conflict(where=where, base=base, ours=ours, theirs=theirs))


class _Rows:
    def __init__(self, tables: Three[_Table], columns: _Columns, conflicts: list[Conflict]) -> None:
        self._tables, self._columns, self._conflicts = tables, columns, conflicts

    def merged(self) -> Iterator[str]:
        base, ours, theirs = (
            self._by_key(table, of)
            for table, of in (
                (self._tables.base, self._columns.of.base),
                (self._tables.ours, self._columns.of.ours),
                (self._tables.theirs, self._columns.of.theirs),
            )
        )
        if base is None or ours is None or theirs is None:
            return self._by_position()
        return self._keyed(Three(base, ours, theirs))

    def _by_key(self, table: _Table, columns: list[Hashable]) -> dict[str, _Row] | None:
        key = self._columns.of.base[0]
        if key not in columns:
            return None
        place = columns.index(key)
        found = {row.cells[place]: row for row in table.rows}
        return found if len(found) == len(table.rows) else None

    def _keyed(self, rows: Three[dict[str, _Row]]) -> Iterator[str]:
        base, ours, theirs = rows.base, rows.ours, rows.theirs
        merged = {
            key: self._merge_row(Three(base.get(key), ours.get(key), theirs.get(key)), f"row {_told(key)}")
            for key in base | ours | theirs
        }
        order = merged_order(list(base), list(ours), list(theirs))
        if order is None:
            names = ("\n".join(side) for side in (base, ours, theirs))
            self._conflict("order of the rows", *names)
            return
        for key in order:
            text = merged[str(key)]
            if text is not None:
                yield text

    def _by_position(self) -> Iterator[str]:
        base, ours, theirs = self._tables.base.rows, self._tables.ours.rows, self._tables.theirs.rows
        of = self._columns.of
        common = [column for column in of.base if column in of.ours and column in of.theirs]
        tokens = _tokens(base, of.base, common), _tokens(ours, of.ours, common), _tokens(theirs, of.theirs, common)
        for region in regions(*tokens):
            yield from self._region(region, Three(base[region.base], ours[region.ours], theirs[region.theirs]))

    def _region(self, region: Region, rows: Three[list[_Row]]) -> Iterator[str]:
        of = self._columns.of
        if len(rows.base) == len(rows.ours) == len(rows.theirs):
            triples = zip(rows.base, rows.ours, rows.theirs, strict=True)
            for number, (was, our, their) in enumerate(triples, region.base.start):
                yield self._merge_row(Three(was, our, their), f"row {number}") or ""
        elif region.by != "both" and len(rows.ours) == len(rows.theirs):
            # Both made the same of it.
            for our, their in zip(rows.ours, rows.theirs, strict=True):
                yield self._merge_row(Three(None, our, their), f"rows {_range(region.base)}") or ""
        elif region.by == "ours" and (not rows.base or of.theirs == of.base):
            for row in rows.ours:
                yield self._merge_row(Three(None, row, None), f"rows {_range(region.base)}") or ""
        elif region.by == "theirs" and (not rows.base or of.ours == of.base):
            for row in rows.theirs:
                yield self._merge_row(Three(None, None, row), f"rows {_range(region.base)}") or ""
        else:
            self._clash(f"rows {_range(region.base)}", rows)

    def _merge_row(self, rows: Three[_Row | None], where: str) -> str | None:
        """Return the text of the merged row, or None if it is gone or in conflict."""
        base, ours, theirs = rows.base, rows.ours, rows.theirs
        if self._columns.are_same:
            was, our, their = (row and row.cells for row in (base, ours, theirs))
            if our in (their, was):
                return theirs and theirs.text
            if their == was:
                return ours and ours.text
        of = self._columns.of
        cells = Three(_named(base, of.base), _named(ours, of.ours), _named(theirs, of.theirs))
        if base is not None and (ours is None or theirs is None):
            if (cells.ours or cells.theirs or cells.base) != cells.base:
                self._clash(where, Three(_some(base), _some(ours), _some(theirs)))
            return None
        return self._merge_cells(cells, where)

    def _merge_cells(self, rows: Three[Cells], where: str) -> str | None:
        merged: Cells = {}
        for column in rows.base | rows.ours | rows.theirs:
            was, our, their = rows.base.get(column), rows.ours.get(column), rows.theirs.get(column)
            cell = their if our in (their, was) else our
            is_clash = our not in (their, was) and their != was
            # What a row brings for a column that the other side took away would be lost without a word.
            if is_clash or (cell and column not in self._columns.titles):
                sides = (MISSING if side is None else side for side in (was, our, their))
                self._conflict(f"{where}, column {_told(str(self._columns.titles.get(column, column)))}", *sides)
            merged[column] = cell or ""
        cells = [merged.get(column, "") for column in self._columns.merged]
        return _written(cells, self._tables.base.delimiter)

    def _clash(self, where: str, rows: Three[list[_Row]]) -> None:
        tables = self._tables
        sides = (rows.base, tables.base), (rows.ours, tables.ours), (rows.theirs, tables.theirs)
        self._conflict(where, *(self._shown(there, table) for there, table in sides))

    def _shown(self, rows: list[_Row], table: _Table) -> Side:
        """Return the text of the rows, below their header where the versions have different columns."""
        header = [] if self._columns.are_same else [table.header]
        return "\n".join(row.text for row in header + rows) if rows else MISSING

    def _conflict(self, where: str, base: Side, ours: Side, theirs: Side) -> None:
        self._conflicts.append(Conflict(where=where, base=base, ours=ours, theirs=theirs))


def _stays(base: Sequence[str], side: Sequence[str]) -> bool:
    """Tell whether every name that both have is at the same place."""
    names = set(base)
    return all(there == was or there not in names for was, there in zip(base, side, strict=True))


def _tokens(rows: list[_Row], columns: list[Hashable], common: list[Hashable]) -> list[Hashable]:
    places = [columns.index(column) for column in common]
    return [tuple(row.cells[place] for place in places) for row in rows]


def _named(row: _Row | None, columns: list[Hashable]) -> Cells:
    return {} if row is None else dict(zip(columns, row.cells, strict=True))


def _written(cells: Sequence[str], delimiter: str) -> str:
    text = io.StringIO(newline="")
    # A cell is quoted for what is in the line end, too, so it must hold both characters.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")


def _some(row: _Row | None) -> list[_Row]:
    return [] if row is None else [row]


def _range(rows: slice) -> str:
    return f"{rows.start}:{rows.stop}"


def _told(name: str) -> str:
    return dumps(name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…", ensure_ascii=False)
