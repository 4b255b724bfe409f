"""Rows of text as a table: the first of them, and how many there are. What a cell says is text and nothing more."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from handiwork.model import KIB, MIB

MOST_ROWS = 1000
MOST_COLUMNS = 100
MOST_CHARACTERS = MIB
LONGEST_CELL = KIB

_NUMBER = re.compile(r"[-+−(]?\s?[$€£¥]?\s?[0-9][0-9., '\u00a0\u202f]*(?:[eE][-+]?[0-9]+)?\s?[%)]?")  # noqa: RUF001  # the true minus


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table as markup, with how many rows and columns there are, without the one of headings, and are shown."""

    markup: str
    rows: int
    shown_rows: int
    columns: int
    shown_columns: int


def grid(text: str, *, delimiter: str) -> Grid | None:
    """Return the table; None for a text that does not read as one."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        kept: list[list[str]] = []
        count = characters = columns = 0
        for row in reader:
            if not row:
                continue
            columns = max(columns, len(row))
            if count <= MOST_ROWS and characters < MOST_CHARACTERS:
                kept.append([_short(cell) for cell in row[:MOST_COLUMNS]])
                characters += sum(map(len, kept[-1]))
            count += 1
    except csv.Error:
        return None
    if not kept:
        return None
    return Grid(
        markup=_table(kept),
        rows=count - 1,
        shown_rows=len(kept) - 1,
        columns=columns,
        shown_columns=min(columns, MOST_COLUMNS),
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    width = max(map(len, rows))
    headings, body = rows[0], rows[1:]
    classes = [' class="n"' if _is_numeric(body, column) else "" for column in range(width)]
    parts = ["<table><thead><tr><th></th>"]
    parts += [f'<th scope="col"{classes[i]}>{escape(_at(headings, i))}</th>' for i in range(width)]
    parts.append("</tr></thead><tbody>")
    for number, row in enumerate(body, 1):
        parts.append(f"<tr><th>{number}</th>")
        parts += [f"<td{classes[i]}>{escape(_at(row, i))}</td>" for i in range(width)]
        parts.append("</tr>")
    parts.append("</tbody></table>")
    return "".join(parts)


def _is_numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    cells = [cell for row in rows if (cell := _at(row, column).strip())]
    return bool(cells) and all(len(cell) <= 40 and _NUMBER.fullmatch(cell) for cell in cells)


def _at(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _short(cell: str) -> str:
    return cell if len(cell) <= LONGEST_CELL else cell[:LONGEST_CELL] + "…"
