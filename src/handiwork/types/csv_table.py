"""The type `csv`: a table in which every row has as many cells as the first.

What the cells hold is not looked at; a cell that a spreadsheet would take for a formula is data here.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator

from handiwork.errors import ContentRefused
from handiwork.media.formats import BY_NAME
from handiwork.media.places import APART_BYTES, LINES, Place, Places, rows_parted_by
from handiwork.model import KIB, MIB
from handiwork.quantities import counted
from handiwork.types.artifact_type import ArtifactType, Checked
from handiwork.types.plain_text import excerpt, text_of

CAP_BYTES = 10 * MIB
MOST_CELLS_TOLD = 10
_MARK = "\ufeff"
DELIMITERS = (",", ";", "\t")
TABBED = "text/tab-separated-values"
_JUDGED = 8 * KIB
# To ask after each row where it ends would take a tenth of the time.
_LOOKED_AT_EACH = 16
JUDGED_BYTES = 4 * _JUDGED
"""So many hold the characters that are looked at in any encoding, so that all who ask are told the same."""

_HINT = (
    "Put a cell that holds the delimiter, a line break or a quote into double quotes, right after the delimiter, "
    "with every quote inside it doubled."
)


def csv_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    return ArtifactType(
        name="csv",
        label="Table",
        icon="table",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=True,
        content="text",
        format=BY_NAME["csv"],
        category="spreadsheet",
        examine=_examine,
    )


def delimiter_of(start: bytes, media_type: str = "text/csv") -> str:
    """Return what parts the cells, from the first bytes of a table: all that reads tables goes by this one rule.

    That is the comma, or the semicolon or tab if that cuts the first row into cells and the comma does not; the tab
    where the media type says so. Whoever asks gives `JUDGED_BYTES` at least, or all that there is.
    """
    if media_type.partition(";")[0].strip().lower() == TABBED:
        return "\t"
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    text = start[:JUDGED_BYTES].decode(encoding, "replace")[:_JUDGED]
    for delimiter in DELIMITERS:
        # A row that goes on past what is looked at ends here within its quotes.
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=len(text) < _JUDGED)
        try:
            first = next((row for row in rows if row), list[str]())
        except csv.Error:
            continue
        if len(first) > 1:
            return delimiter
    return DELIMITERS[0]


def _examine(type_: ArtifactType, data: bytes) -> Checked:
    # Spreadsheet programs put a byte order mark first, which is no part of the first cell.
    text = text_of(data, type_.name).removeprefix(_MARK)
    source, delimiter = io.StringIO(text, newline=""), delimiter_of(data)
    width = first_line = due = 0
    passed: list[tuple[int, int]] = []
    for count, (line, row) in enumerate(_rows(source, delimiter, type_.name)):
        if not width:
            width, first_line = len(row), line
        if len(row) != width:
            raise ContentRefused(
                type_.name,
                where=f"line {line:,}",
                expected=f"{counted(width, 'cell')} as in line {first_line:,}",
                got=f"{counted(len(row), 'cell')}, {excerpt(', '.join(row[:MOST_CELLS_TOLD]))}",
                hint=_HINT,
            )
        # Nothing is read ahead, so a row ends where the source stands; the header is no row that anybody counts.
        if not count % _LOOKED_AT_EACH and (end := source.tell()) >= due:
            passed.append((end, count))
            due = end + APART_BYTES
    if not width:
        raise ContentRefused(type_.name, expected="at least one row", got=excerpt(text))
    begins = len(_MARK.encode()) if data.startswith(_MARK.encode()) else 0
    return Checked(data=data, places=_places(text, passed, rows_parted_by(delimiter), offset=begins))


def _places(text: str, passed: Iterable[tuple[int, int]], rows: str, *, offset: int) -> Places:
    """Return where rows begin, and lines with them, of what was passed by characters of the text."""
    places, before, lines = Places(), 0, 0
    for end, count in passed:
        part = text[before:end]
        offset, before, lines = offset + len(part.encode()), end, lines + part.count("\n")
        places.learn(rows, [Place(offset, count)])
        if part.endswith("\n"):
            places.learn(LINES, [Place(offset, lines)])
    return places


def _rows(source: io.StringIO, delimiter: str, type_name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every row with the line in which it begins; blank lines are no rows."""
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in rows:
            if row:
                yield begins, row
            begins = rows.line_num + 1
    except csv.Error as wrong:
        raise _unreadable(wrong, begins, type_name) from wrong


def _unreadable(wrong: csv.Error, line: int, type_name: str) -> ContentRefused:
    limit: int | None = None
    told = str(wrong)
    if "field larger" in told:
        limit = csv.field_size_limit()
        expected, got = f"cells of at most {limit:,} characters", "a longer one"
    elif "end of data" in told:
        expected, got = "a closing double quote to the cell that was begun", "the end"
    else:
        expected, got = "a delimiter or a line break after a closing double quote", "something else"
    return ContentRefused(type_name, where=f"line {line:,}", expected=expected, got=got, limit=limit, hint=_HINT)
