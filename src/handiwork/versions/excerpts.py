"""What a selector selects from some content, read in a stream. Where content is stored is not known here.

Each page holds what fits into a budget, and names the selector of the next one. Invalid UTF-8 comes as replacement
characters. The parts of a line, row or element that alone is over the budget are not to be had but by its beginning.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol

from handiwork.errors import SelectorMisfit
from handiwork.media.places import LINES, Place, Places, rows_parted_by
from handiwork.model import MIB
from handiwork.types.csv_table import delimiter_of
from handiwork.versions.blocks import beginning, blocks, blocks_from, is_utf16, scanned, text_begins
from handiwork.versions.json_arrays import ElementScanner, inside_of
from handiwork.versions.json_paths import DocumentMalformed, JsonPath, PathMissed, parsed, rendered
from handiwork.versions.lines import LastLines, LineScanner, last_lines
from handiwork.versions.matches import AllWords, ExactText, Matches
from handiwork.versions.selection import PLAIN, Page, Selection, Source, beginning_of, shortened, utf8_size
from handiwork.versions.selectors import WHOLE, Selector
from handiwork.versions.tables import RowScanner
from handiwork.versions.units import MalformedContent, Scanner, Span, Walk

LARGEST_DOCUMENT_BYTES = 16 * MIB
"""What a path is looked up in at most: the document is built for it, which takes some ten times its size."""

_TABLES = frozenset({"text/csv", "text/tab-separated-values"})
_JSON_LINES = frozenset({"application/x-ndjson", "application/jsonl"})
_OTHER_TEXTS = frozenset(
    {
        *_JSON_LINES, "application/javascript", "application/json", "application/rtf", "application/sql",
        "application/toml", "application/x-subrip", "application/xml", "application/yaml", "message/rfc822",
    }
)  # fmt: skip
_BEYOND = 10**15
_BETWEEN_ELEMENTS = ",\n"
_BRACKETS_BYTES = 2


class _Reader(Protocol):
    """Something that takes blocks until it has enough."""

    def feed(self, data: bytes) -> bool: ...
    def finish(self) -> None: ...


async def select(
    content: Source, selector: Selector | None, *, media_type: str, budget_bytes: int, places: Places | None = None
) -> Selection:
    """Return what the selector selects, at most `budget_bytes` of it; without a selector all of it, page by page.

    `places` are those of this content, known from earlier; more are learned on the way.

    Lines and matches come as plain text, rows and elements in the format of the content. Of a tail that is over the
    budget, the last ones are shown.

    Raises:
        SelectorMisfit: the content has no such parts, nothing at this path, or is not what its media type says.
    """
    media_type = media_type.partition(";")[0].strip().lower()
    asked = _Asked(selector or WHOLE, media_type, max(budget_bytes, 0), Places() if places is None else places)
    if not is_text(media_type):
        raise asked.misfit("it is no text", hint="Text, tables and JSON have parts; download this one as a whole.")
    if selector is None and content.size <= budget_bytes:
        text = (await _all_of(content)).decode("utf-8", "replace")
        if utf8_size(text) <= budget_bytes:
            return Selection(text=text, media_type=media_type)
    try:
        match asked.selector.kind:
            case "path":
                return await _at_path(content, asked)
            case "grep" | "search":
                return await _matching(content, asked)
            case "tail":
                return await _last(content, asked)
            case "rows" | "lines" | "head":
                return await _range(content, asked)
    except (MalformedContent, DocumentMalformed) as malformed:
        raise asked.misfit(str(malformed), hint="Read it by `lines=1:50` or `grep=text`.") from None
    except PathMissed as missed:
        raise asked.misfit(str(missed), hint="Correct the path, or leave out its last steps.") from None


def is_text(media_type: str) -> bool:
    """Tell whether content of this type has parts to select."""
    return media_type.startswith("text/") or media_type.endswith(("+json", "+xml")) or media_type in _OTHER_TEXTS


@dataclass(frozen=True, slots=True)
class _Asked:
    """A selector, what kind of content it is for, how much may come back, and what is known of the content."""

    selector: Selector
    media_type: str
    budget_bytes: int
    places: Places

    @property
    def is_json(self) -> bool:
        return self.media_type == "application/json" or self.media_type.endswith("+json")

    def misfit(self, problem: str, *, hint: str) -> SelectorMisfit:
        return SelectorMisfit(str(self.selector), media_type=self.media_type, problem=problem, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What units some content has, and how they are put together again.

    `scanner` makes one for the start of the content, `onward` one for a place in it; places go by the `name`.
    """

    unit: Literal["rows", "lines"]
    name: str
    scanner: Callable[[], Scanner]
    onward: Callable[[], Scanner]
    media_type: str
    has_lead: bool = False
    is_array: bool = False


def _layout(asked: _Asked, start: bytes) -> tuple[_Layout, bytes]:
    """Return the units that the selector means, and where in the first block they begin."""
    kind = asked.selector.kind
    if kind != "lines" and asked.media_type in _TABLES:
        delimiter = delimiter_of(start, asked.media_type)
        scanner = partial(RowScanner, delimiter.encode("ascii"))
        return _Layout(
            unit="rows",
            name=rows_parted_by(delimiter),
            scanner=scanner,
            onward=scanner,
            media_type=asked.media_type,
            has_lead=True,
        ), start
    inside = inside_of(start) if kind != "lines" and asked.is_json else None
    if inside is not None:
        onward = partial(ElementScanner, is_first=False)
        return _Layout(
            unit="rows",
            name="elements",
            scanner=ElementScanner,
            onward=onward,
            media_type=asked.media_type,
            is_array=True,
        ), inside
    if kind == "rows" and asked.media_type in _JSON_LINES:
        return _lines("rows", asked.media_type), start
    if kind == "rows":
        hint = "Use `path=$.name` for a part of it." if asked.is_json else "Use `lines=1:50`, `head=20` or `grep=text`."
        raise asked.misfit("rows are of tables and JSON arrays, and it is neither", hint=hint)
    return _lines("lines", PLAIN), start


def _lines(unit: Literal["rows", "lines"], media_type: str) -> _Layout:
    return _Layout(unit=unit, name=LINES, scanner=LineScanner, onward=LineScanner, media_type=media_type)


async def _range(content: Source, asked: _Asked) -> Selection:
    first, stop = asked.selector.start, asked.selector.stop
    layout, walk, page = await _walked(content, asked, Span(first, stop))
    following = None
    if walk.has_more:
        reached = first + len(page)
        following = (reached, stop) if stop is None or reached < stop else (reached, reached + stop - first)
    continuation = None if following is None else Selector(kind=layout.unit, start=following[0], stop=following[1])
    return _rows_of(asked, layout, walk, page, total=walk.total, continuation=continuation)


async def _last(content: Source, asked: _Asked) -> Selection:
    selector = asked.selector
    async with aclosing(blocks(content)) as stream:
        layout, _start = _layout(asked, await anext(stream, b""))
    if layout.unit == "lines" and not await is_utf16(content):
        return await _last_lines(content, asked)
    # Quotes and strings can be told only from the start: once to count, once to gather.
    _layout_again, counting, _page = await _walked(content, asked, Span(_BEYOND, None))
    stop = max(counting.count - selector.start, 0)
    span = Span(max(counting.count - (selector.stop or 0), 0), stop)
    layout, walk, page = await _walked(content, asked, span, keeps="last")
    continuation = _before(selector, len(page)) if stop > len(page) else None
    return _rows_of(asked, layout, walk, page, total=counting.count, continuation=continuation)


async def _last_lines(content: Source, asked: _Asked) -> Selection:
    selector = asked.selector
    page = Page(room=asked.budget_bytes)
    lines = LastLines(page, first=selector.stop or 0, stop=selector.start)
    await last_lines(content, lines)
    continuation = _before(selector, len(page)) if lines.has_more else None
    return Selection(
        text=lines.text,
        media_type=PLAIN,
        continuation=None if continuation is None else str(continuation),
        total=lines.total,
        is_cut=page.is_cut,
    )


async def _matching(content: Source, asked: _Asked) -> Selection:
    selector = asked.selector
    page = Page(room=asked.budget_bytes)
    pattern = ExactText(selector.text) if selector.kind == "grep" else AllWords(selector.text)
    matches = Matches(pattern, page, first=selector.start)
    async with aclosing(blocks(content)) as stream:
        await _fed(matches, b"", stream)
    following = replace(selector, start=matches.next_line) if matches.has_more else None
    return Selection(
        text=page.text,
        media_type=PLAIN,
        continuation=None if following is None else str(following),
        total=matches.total,
        is_cut=page.is_cut,
    )


async def _at_path(content: Source, asked: _Asked) -> Selection:
    if not asked.is_json:
        raise asked.misfit("paths lead into JSON", hint="Use `lines=1:50`, `head=20` or `grep=text`.")
    if content.size > LARGEST_DOCUMENT_BYTES:
        raise asked.misfit(
            f"it has {content.size:,} bytes, and paths lead into documents of at most {LARGEST_DOCUMENT_BYTES:,}",
            hint="Use `rows=0:20` if it is an array, or `grep=text`.",
        )
    path = asked.selector.path or JsonPath(())
    return await scanned(lambda data: _part_of(data, path, asked.budget_bytes), await _all_of(content))


def _part_of(document: bytes, path: JsonPath, budget_bytes: int) -> Selection:
    media_type = "application/json"
    found = path.find(parsed(document.decode("utf-8", "replace")))
    if found.is_one:
        text = rendered(found.values[0])
        size = utf8_size(text)
        if size <= budget_bytes:
            return Selection(text=text, media_type=media_type)
        return Selection(text=shortened(text, room=budget_bytes, size=size), media_type=PLAIN, is_cut=True)
    page = _page_of_array(budget_bytes)
    for value in found.values:
        if not page.add(rendered(value)):
            break
    following = found.from_on(len(page)) if len(page) < len(found.values) else None
    return Selection(
        text=_array_of(page, budget_bytes),
        media_type=PLAIN if page.has_shortened else media_type,
        continuation=None if following is None else f"path={following}",
        total=len(found.values),
        is_cut=page.is_cut,
    )


async def _walked(
    content: Source, asked: _Asked, span: Span, *, keeps: Literal["first", "last"] = "first"
) -> tuple[_Layout, Walk, Page]:
    first = await beginning(content)
    async with aclosing(blocks(content, first=first)) as stream:
        block = await anext(stream, b"")
        layout, start = _layout(asked, block)
        budget_bytes, text = asked.budget_bytes, text_begins(first)
        page = _page_of_array(budget_bytes, keeps=keeps) if layout.is_array else Page(room=budget_bytes, keeps=keeps)
        offset = (text or 0) + len(block) - len(start)
        walk = Walk(layout.scanner(), page, span, has_lead=layout.has_lead, offset=offset)
        place = None if text is None else asked.places.before(layout.name, span.first)
        if place is None:
            await _fed(walk, start, stream)
        elif not await scanned(walk.feed, start):
            await _fed_from(place, walk, layout, content, stream)
    if text is not None:
        asked.places.learn(layout.name, walk.places)
    return layout, walk, page


async def _fed_from(
    place: Place, walk: Walk, layout: _Layout, content: Source, stream: AsyncGenerator[bytes, None]
) -> None:
    """Feed the walk what follows the first block, from a place on if it can go on there."""
    if not walk.may_jump(place):
        await _fed(walk, b"", stream)
        return
    walk.jump(place, layout.onward())
    async with aclosing(blocks_from(content, place.offset)) as following:
        await _fed(walk, b"", following)


async def _fed(reader: _Reader, start: bytes, stream: AsyncGenerator[bytes, None]) -> None:
    """Feed the reader until it has enough, or the content ends."""
    if await scanned(reader.feed, start):
        return
    async for block in stream:
        if await scanned(reader.feed, block):
            return
    reader.finish()


async def _all_of(content: Source) -> bytes:
    async with aclosing(blocks(content)) as stream:
        return b"".join([block async for block in stream])


def _rows_of(
    asked: _Asked, layout: _Layout, walk: Walk, page: Page, *, total: int | None, continuation: Selector | None
) -> Selection:
    is_past = not page.texts and bool(total)
    rows = _array_of(page, asked.budget_bytes) if layout.is_array else page.text
    return Selection(
        text=rows if is_past else walk.lead + rows,
        media_type=PLAIN if page.has_shortened or walk.is_lead_cut else layout.media_type,
        continuation=None if continuation is None else str(continuation),
        total=total,
        is_cut=page.is_cut or walk.is_lead_cut,
    )


def _page_of_array(budget_bytes: int, *, keeps: Literal["first", "last"] = "first") -> Page:
    return Page(room=max(budget_bytes - _BRACKETS_BYTES, 0), between=_BETWEEN_ELEMENTS, keeps=keeps)


def _array_of(page: Page, budget_bytes: int) -> str:
    # What was cut inside of an element is no JSON any more, and brackets would only hide that.
    return beginning_of(page.text if page.has_shortened else f"[{page.text}]", budget_bytes)


def _before(selector: Selector, shown: int) -> Selector:
    """Return the selector of what comes before the `shown` last ones of a tail."""
    first, reached = selector.stop or 0, selector.start + shown
    if reached < first:
        return replace(selector, start=reached)
    return replace(selector, start=first, stop=2 * first - selector.start)
