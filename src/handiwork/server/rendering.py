"""What stands in the frame of a view page, made from a version's content by the format that it is in.

Pure: bytes go in, markup comes out, and no script of ours is in it. The page around the frame, its headers and who may
look are known to `views`.
"""

import base64
import codecs
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Literal, assert_never

from handiwork.media.formats import PICTURES, format_of_media_type
from handiwork.model import KIB, MIB, TOOL_RESULT, Artifact
from handiwork.quantities import size_text
from handiwork.server.coloured_code import Patience, coloured, indented, numbered, reader_of
from handiwork.server.csv_grid import grid
from handiwork.server.markdown_prose import prose
from handiwork.types.csv_table import delimiter_of
from handiwork.types.image import is_reference

Kind = Literal["page", "prose", "table", "data", "code", "plain", "picture", "card"]

# What is read of each at most. A page and a picture are whole or not shown, and so that a table is counted it is read
# as a whole where that is possible.
MOST_BYTES: Mapping[Kind, int] = MappingProxyType(
    {
        "page": 12 * MIB,
        "prose": 128 * KIB,
        "table": 16 * MIB,
        "data": 256 * KIB,
        "code": 256 * KIB,
        "plain": 256 * KIB,
        "picture": 16 * MIB,
        "card": 0,
    }
)
# Of a processor, and of this thread alone, so that other work does not count. Ordinary prose takes a tenth of it.
READING_SECONDS = 1.5
TOO_INTRICATE = "To be read as Markdown it is too intricate, so it is shown as it was written."
WHOLE: frozenset[Kind] = frozenset({"page", "picture"})
_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "html": "page",
        "markdown": "prose",
        "csv": "table",
        "tsv": "table",
        "json": "data",
        "geojson": "data",
        "ipynb": "data",
    }
)
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ROOT = re.compile(rb"<svg\b[^>]*")
_NAMESPACE = b' xmlns="http://www.w3.org/2000/svg"'
# Without it a link within the page is one to the page around it, and leads to an error.
_OWN_LINKS = '<base href="about:srcdoc">'


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The document of a frame. `note` says what of the content is not in it."""

    markup: str
    runs_script: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is on a card beside name and size: a PNG, and why it is one where the content does not say so."""

    picture: bytes | None = None
    why: str | None = None


def kind_of(artifact: Artifact) -> Kind:
    """Return how a version is shown; a card is for what is empty, too large or in no format that a page can show."""
    kind = _kind_by_format(artifact)
    is_too_large = kind in WHOLE and artifact.size > MOST_BYTES[kind]
    return "card" if is_too_large or artifact.size == 0 else kind


def rendered(artifact: Artifact, data: bytes, *, style: str, card: Card | None = None) -> Rendered:
    """Return the frame's document for content of which `data` is the beginning, as far as `MOST_BYTES` go.

    `style` is the stylesheet of all documents but those that are pages of their own; `card` what is on one.
    """
    kind = kind_of(artifact)
    if kind == "page":
        return Rendered(markup=_OWN_LINKS + _decoded(data, is_whole=True), runs_script=True)
    body, note = _body(kind, artifact, data, card or Card())
    return Rendered(markup=_document(body[0], body[1], style=style), note=note)


def _kind_by_format(artifact: Artifact) -> Kind:
    essence = artifact.media_type.partition(";")[0].strip().lower()
    format_ = format_of_media_type(essence)
    if artifact.type == "code":
        # It is there to be read: whatever its language, it neither runs nor is drawn.
        return "code"
    if essence in PICTURES:
        return "picture"
    if is_reference(artifact):
        return "card"
    if format_ is None or not format_.is_text:
        return "card"
    # A page that a tool has fetched is shown as what was fetched, and does nothing.
    is_source = artifact.type == TOOL_RESULT and format_.name == "html"
    if not is_source and (kind := _KINDS.get(format_.name)) is not None:
        return kind
    return "code" if reader_of(_language(artifact)) or reader_of(format_.name) else "plain"


def _language(artifact: Artifact) -> str | None:
    if artifact.version.language:
        return artifact.version.language
    format_ = format_of_media_type(artifact.media_type)
    return None if format_ is None else format_.language or format_.name


def _body(kind: Kind, artifact: Artifact, data: bytes, card: Card) -> tuple[tuple[str, str], str | None]:
    """Return class and markup of the body, and what is to be said of it."""
    match kind:
        case "picture":
            return ("picture", _picture(artifact, data)), None
        case "card" | "page":
            return ("card", _card(artifact, card)), None
        case "table":
            return _table(artifact, data)
        case "prose" | "data" | "code" | "plain":
            pass
        case _:
            assert_never(kind)
    is_whole = len(data) >= artifact.size
    text = _lines(_decoded(data, is_whole=is_whole))
    note = None if is_whole else f"Only the first {size_text(len(data))} of {size_text(artifact.size)} are shown."
    if kind == "prose":
        markup = prose(text, patience=Patience(), reading=Patience(clock=time.thread_time, seconds=READING_SECONDS))
        if markup is not None:
            return ("prose", markup), note
        kind, note = "plain", f"{note or ''} {TOO_INTRICATE}".lstrip()
    if kind == "plain":
        return ("plain", f"<pre>{escape(text)}</pre>"), note
    if kind == "data":
        text = indented(text)
    language = "json" if kind == "data" else _language(artifact)
    lines = max(text.count("\n") + (not text.endswith("\n")), 1)
    return ("code", numbered(coloured(text, language, patience=Patience()), lines)), note


def _table(artifact: Artifact, data: bytes) -> tuple[tuple[str, str], str | None]:
    is_whole = len(data) >= artifact.size
    text = _decoded(data, is_whole=is_whole)
    found = grid(text, delimiter=delimiter_of(data, artifact.media_type))
    if found is None:
        shown = _lines(text[: MOST_BYTES["plain"]])
        note = None if len(shown) == len(text) else f"Only the first {size_text(MOST_BYTES['plain'])} are shown."
        return ("plain", f"<pre>{escape(shown)}</pre>"), note
    notes: list[str] = []
    if found.shown_rows < found.rows or not is_whole:
        more = "" if is_whole else " or more"
        notes.append(f"The first {found.shown_rows:,} of {found.rows:,}{more} rows are shown.")
    if found.shown_columns < found.columns:
        notes.append(f"The first {found.shown_columns:,} of {found.columns:,} columns are shown.")
    return ("grid", found.markup), " ".join(notes) or None


def _picture(artifact: Artifact, data: bytes) -> str:
    essence = artifact.media_type.partition(";")[0].strip().lower()
    if essence == "image/svg+xml" and (root := _ROOT.search(data)) is not None and b"xmlns=" not in root[0]:
        # The type takes a drawing without its namespace, and an `<img>` does not.
        data = data[: root.start() + 4] + _NAMESPACE + data[root.start() + 4 :]
    return f'<img src="{data_url(essence, data)}" alt="{escape(artifact.title)}">'


def _card(artifact: Artifact, card: Card) -> str:
    ending = artifact.name.rpartition(".")[2] if "." in artifact.name else "file"
    sheet = (
        f'<div class="sheet" aria-hidden="true">{escape(ending[:6])}</div>'
        if card.picture is None
        else f'<img src="{data_url("image/png", card.picture)}" alt="What it looks like">'
    )
    return (
        f'<main>{sheet}<p class="name">{escape(artifact.name)}</p>'
        f"<p>{escape(artifact.media_type)} · {size_text(artifact.size)}</p>"
        f"<p>{escape(card.why or _why(artifact))}</p></main>"
    )


def _why(artifact: Artifact) -> str:
    if artifact.size == 0:
        return "This file is empty."
    if _kind_by_format(artifact) in WHOLE:
        return "This file is too large to be shown here."
    return "Download it to open it."


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _document(class_: str, body: str, *, style: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{style}</style></head>'
        f'<body class="{class_}">{body}</body></html>'
    )


def _decoded(data: bytes, *, is_whole: bool) -> str:
    """Return the text, its last character left off when it was cut in two."""
    encoding = _BYTE_ORDER_MARKS.get(data[:2], "utf-8")
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data, final=is_whole)
    return text.removeprefix("\ufeff")


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
