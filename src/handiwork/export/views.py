"""How the content of one version looks on the page of an export: a picture, a table, a text, or nothing but its file.

Content is hostile: all of it is escaped here, nothing of it runs, and what could run when it is opened is no link.
"""

import codecs
import csv
import io
import re
from html import escape
from urllib.parse import quote

from handiwork.media.formats import BY_EXTENSION, PICTURES, format_of_media_type
from handiwork.model import KIB, Artifact, Version
from handiwork.types.csv_table import delimiter_of

SHOWN_BYTES = 32 * KIB
SHOWN_LINES = 400
SHOWN_ROWS = 50
SHOWN_COLUMNS = 30
LONGEST_CELL = 200

_TABLES = frozenset({"text/csv", "text/tab-separated-values"})
# A browser that opens one of these from a folder runs what is in it, and lets it reach the network.
_ACTING = frozenset({"text/html", "image/svg+xml", "application/xml", "message/rfc822"})
_WARNING = "It could run programs and reach the network when it is opened, so there is no link to it."
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Controls but for tabs and line ends, and halves of characters, for which HTML has no place.
_UNSHOWN = re.compile("[\0-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STEERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]|\\s+")


def is_picture(artifact: Artifact) -> bool:
    """Tell whether a browser draws the newest version; code is there to be read, also that of a drawing."""
    return artifact.media_type in PICTURES and artifact.type != "code"


def shows_text(artifact: Artifact) -> bool:
    """Tell whether the beginning of the content is wanted for its view."""
    found = format_of_media_type(artifact.media_type)
    return found is not None and found.is_text and not is_picture(artifact)


def view(artifact: Artifact, path: str, beginning: bytes | None) -> str:
    """Return the view of the newest version as HTML; `beginning` is its first bytes where they are wanted and at hand.

    `path` is where the picture lies, if it is one.
    """
    version = artifact.version
    if is_picture(artifact):
        return picture(path, version.name)
    if beginning is None or not version.size:
        words = "It is empty." if not version.size else "Open the file to see it."
        return f'<p class="remark">{words}</p>'
    text, is_cut = _decoded(beginning, version.size)
    if (
        version.media_type in _TABLES
        and artifact.type != "code"
        and (table := _table(text, beginning, version, is_cut=is_cut))
    ):
        return table
    return _text(text, is_cut=is_cut)


def picture(path: str, name: str) -> str:
    return f'<div class="picture"><img src="{_place(path)}" alt="{escaped(name)}" loading="lazy"></div>'


def reference(text: str, referred: Artifact | None, path: str | None) -> str:
    """Return the view of an image that refers to another; `path` is where that one lies, if it is in the export."""
    if referred is None or path is None:
        return f'<p class="remark">It stands for {one_line(text)}, which is not in this export.</p>'
    if not is_picture(referred):
        return f'<p class="remark">It stands for {one_line(text)}, which is no picture that a page can show.</p>'
    return picture(path, referred.version.name)


def file_link(version: Version, path: str) -> str:
    """Return a link to the file, or its path alone where opening it could run something."""
    if _is_link(version, path):
        return f'<a href="{_place(path)}">{one_line(version.name)}</a>'
    return f'<span class="path">{one_line(path)}</span>'


def warning(version: Version) -> str:
    """Return what a reader should know before the file is opened, if there is anything."""
    return f'<p class="remark">{_WARNING}</p>' if version.media_type in _ACTING else ""


def one_line(text: str) -> str:
    """Return text as HTML that stays in its line and in its direction."""
    return f"<bdi>{escaped(_STEERING.sub(' ', text))}</bdi>"


def escaped(text: str) -> str:
    return escape(_UNSHOWN.sub("\ufffd", text))


def _is_link(version: Version, path: str) -> bool:
    """Tell whether a browser takes the file for what it is: by its ending alone, as there is no server that says so."""
    named = BY_EXTENSION.get(path.rpartition(".")[2].lower())
    return named is not None and named.media_type == version.media_type and version.media_type not in _ACTING


def _place(path: str) -> str:
    return escape(quote(path, safe="/"))


def _decoded(beginning: bytes, size: int) -> tuple[str, bool]:
    encoding = "utf-16" if beginning[:2] in _UTF16 else "utf-8-sig"
    is_cut = size > len(beginning)
    return codecs.getincrementaldecoder(encoding)("replace").decode(beginning, final=not is_cut), is_cut


def _text(text: str, *, is_cut: bool) -> str:
    lines = text.splitlines(keepends=True)
    shown = "".join(lines[:SHOWN_LINES])
    return f'<pre tabindex="0" dir="auto">{escaped(shown)}</pre>{_cut_remark(is_cut=is_cut or shown != text)}'


def _table(text: str, beginning: bytes, version: Version, *, is_cut: bool) -> str | None:
    """Return the first rows as a table; None for what does not read as one."""
    delimiter = delimiter_of(beginning, version.media_type)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if len(rows) > SHOWN_ROWS:
                break
            rows.append(row)
    except csv.Error:
        return None
    if is_cut and len(rows) <= SHOWN_ROWS and len(rows) > 1:
        rows.pop()  # Its end is not here.
    rows = [row for row in rows if row]
    if not rows:
        return None
    head, *body = rows
    is_narrowed = any(len(row) > SHOWN_COLUMNS for row in rows)
    is_shortened = is_cut or len(body) > SHOWN_ROWS - 1 or is_narrowed
    drawn = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in body)
    return (
        f'<div class="table" tabindex="0"><table><thead><tr>{_cells(head, "th")}</tr></thead>'
        f"<tbody>{drawn}</tbody></table></div>{_cut_remark(is_cut=is_shortened)}"
    )


def _cells(row: list[str], tag: str) -> str:
    shown = [cell if len(cell) <= LONGEST_CELL else f"{cell[:LONGEST_CELL]}…" for cell in row[:SHOWN_COLUMNS]]
    return "".join(f'<{tag} dir="auto">{escaped(cell)}</{tag}>' for cell in shown)


def _cut_remark(*, is_cut: bool) -> str:
    return '<p class="remark">This is the beginning; all of it is in its file.</p>' if is_cut else ""
