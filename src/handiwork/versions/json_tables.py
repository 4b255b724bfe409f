"""A list of JSON as a table in CSV: of objects with their names as columns, or of rows as they are.

Whether the table is a good one is for the type `csv` to say.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

from handiwork.errors import ContentRefused, ContentTooLarge
from handiwork.types.strict_json import Key, json_path, parsed

LONGEST_TOLD = 40
_EXPECTED = "a list of objects, or of rows, with a text, a number, true, false or null in each cell"
_HINT = "Promote it to `json`, or have the tool answer with a flat list."
# A byte order mark would be taken for one where the first cell begins with it.
_NEEDS_QUOTES = re.compile('[,"\r\n\ufeff]')


def table_of(text: str, *, type_name: str, most_bytes: int) -> str:
    """Return the list that is spelled in `text` as a table; a cell is empty where an object has no such name.

    Raises:
        ContentRefused: it is no such list; the error says where.
        ContentTooLarge: the table would have more than `most_bytes`, as that of few objects with many names may.
    """
    value = parsed(text, type_name=type_name)
    if not isinstance(value, list):
        raise _refused(type_name, [], value)
    rows = _rows(cast("list[object]", value), type_name)
    first = next(rows, list[str]())
    # A single column has no delimiter by which it is known; in quotes nothing in it is taken for one.
    in_quotes = len(first) == 1
    lines: list[str] = []
    size = 0
    for row in chain([first], rows):
        line = ",".join(_spelled(cell, in_quotes=in_quotes) for cell in row) + "\n"
        lines.append(line)
        size += len(line)
        if size > most_bytes:
            raise ContentTooLarge(f"{type_name} content", size=size, limit=most_bytes)
    return "".join(lines)


def _rows(items: Sequence[object], type_name: str) -> Iterator[list[str]]:
    columns = _columns(items)
    if columns:
        yield columns
    for number, item in enumerate(items):
        match item:
            case dict():
                named = cast("Mapping[str, object]", item)
                yield [_cell(named.get(column), [number, column], type_name) for column in columns]
            case list() if not columns:
                cells = cast("list[object]", item)
                yield [_cell(cell, [number, place], type_name) for place, cell in enumerate(cells)]
            case _:
                raise _refused(type_name, [number], item)


def _columns(items: Sequence[object]) -> list[str]:
    """Every name of every object, in the order in which they first come."""
    objects = (cast("Mapping[str, object]", item) for item in items if isinstance(item, dict))
    return list(dict.fromkeys(chain.from_iterable(objects)))


def _cell(value: object, keys: Sequence[Key], type_name: str) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case dict() | list():
            raise _refused(type_name, keys, cast("object", value))
        case _:
            return json.dumps(value)


def _spelled(cell: str, *, in_quotes: bool) -> str:
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if in_quotes or _NEEDS_QUOTES.search(cell) else cell


def _refused(type_name: str, keys: Sequence[Key], value: object) -> ContentRefused:
    match value:
        case dict():
            got = "an object"
        case list():
            got = "a list"
        case _:
            got = json.dumps(value)[:LONGEST_TOLD]
    return ContentRefused(type_name, where=json_path(keys), expected=_EXPECTED, got=got, hint=_HINT)
