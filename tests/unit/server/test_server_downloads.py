import asyncio
import re
import string
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.message import Message as Mail
from email.utils import unquote as unquoted
from typing import Any, Literal
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from handiwork.errors import ContentDamaged
from handiwork.media.names import LONGEST_NAME, clean_name
from handiwork.model import Disposition
from handiwork.server.downloads import (
    CONTENT_POLICY,
    SMALL_BYTES,
    ContentResponse,
    Span,
    conditional,
    content_headers,
    etag_of,
    http_date,
    not_modified,
    parse_range,
    range_applies,
    selected,
)
from handiwork.server.file_names import content_disposition
from handiwork.server.refusals import PreconditionFailed, RangeNotSatisfiable

SHA = "ab" * 32
ETAG = etag_of(SHA)
CHANGED = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
ON_THE_DAY = "Sun, 01 Mar 2026 12:00:00 GMT"
THE_DAY_BEFORE = "Sat, 28 Feb 2026 12:00:00 GMT"
THE_DAY_AFTER = "Mon, 02 Mar 2026 12:00:00 GMT"
LATER = CHANGED + timedelta(days=365)

NASTY = st.text(
    st.one_of(
        st.sampled_from(
            "\r\n\t\0\"\\/;,=%*'.: <>\u202e\u2066\u200b\ufeff\u2028\x85\ud800\udfff\U000e0041é日\U0001f600"
        ),
        st.characters(),
        st.sampled_from(string.printable),
    ),
    max_size=300,
)


def told_names(header: str) -> tuple[str, str]:
    """Return the plain and the true name, as a client reads them."""
    matched = re.fullmatch(r'(?:inline|attachment); filename="([^"\\]*)"(?:; filename\*=UTF-8\'\'(\S+))?', header)
    assert matched is not None
    plain, true = matched.groups()
    if true is not None:
        assert re.fullmatch(r"(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+", true)
    return plain, plain if true is None else unquote(true, errors="strict")


@settings(max_examples=1000, deadline=None)
@given(name=NASTY, disposition=st.sampled_from(["inline", "attachment"]))
def test_any_name_comes_back_from_the_header_as_it_was_cleaned(name: str, disposition: Disposition) -> None:
    header = content_disposition(name, disposition)

    plain, true = told_names(header)

    assert true == clean_name(name)
    assert re.fullmatch(r"[\x20-\x7e]+", header)
    assert header.startswith(f"{disposition}; ")
    mail = Mail()
    mail["Content-Disposition"] = header
    assert mail.get_content_disposition() == disposition
    # This reader takes angle brackets for quotes.
    assert mail.get_filename() in {plain, true, unquoted(plain)}


@settings(max_examples=300, deadline=None)
@given(name=NASTY)
def test_a_cleaned_name_stays_in_its_folder_and_is_never_empty(name: str) -> None:
    cleaned = clean_name(name)

    assert 0 < len(cleaned) <= LONGEST_NAME
    assert not set(cleaned) & set('/\\"\r\n\0\u202e\u2066')
    assert cleaned.strip(". ") == cleaned
    assert clean_name(cleaned) == cleaned


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("chart.png", 'attachment; filename="chart.png"'),
        ("Q3 report.pdf", 'attachment; filename="Q3 report.pdf"'),
        ("résumé.pdf", "attachment; filename=\"resume.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"),
        ("売上.csv", "attachment; filename=\"__.csv\"; filename*=UTF-8''%E5%A3%B2%E4%B8%8A.csv"),
        ("50%25.txt", "attachment; filename=\"50_25.txt\"; filename*=UTF-8''50%2525.txt"),
        ("../../etc/passwd", 'attachment; filename="etcpasswd"'),
        ('a"; filename="b.exe', 'attachment; filename="a; filename=b.exe"'),
        ("a\r\nSet-Cookie: x=1", 'attachment; filename="aSet-Cookie: x=1"'),
        ("gnp\u202eexe.png", 'attachment; filename="gnpexe.png"'),
        ("\uff0fetc\uff0fx", "attachment; filename=\"_etc_x\"; filename*=UTF-8''%EF%BC%8Fetc%EF%BC%8Fx"),
        ("", 'attachment; filename="file"'),
        ("..", 'attachment; filename="file"'),
        ("\ud800", 'attachment; filename="file"'),
    ],
)
def test_names_in_the_header(name: str, header: str) -> None:
    assert content_disposition(name, "attachment") == header


def test_a_long_name_keeps_its_extension() -> None:
    cleaned = clean_name("x" * 4000 + ".csv")

    assert len(cleaned) == LONGEST_NAME
    assert cleaned.endswith("x.csv")


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("", 10, None),
        ("bytes=0-3", 10, Span(0, 4)),
        ("Bytes=0-3", 10, Span(0, 4)),
        ("bytes= 0-3 ", 10, Span(0, 4)),
        ("bytes=,0-3,", 10, Span(0, 4)),
        ("bytes=9-9", 10, Span(9, 10)),
        ("bytes=4-", 10, Span(4, 10)),
        ("bytes=4-400", 10, Span(4, 10)),
        ("bytes=0-", 10, Span(0, 10)),
        ("bytes=-3", 10, Span(7, 10)),
        ("bytes=-30", 10, Span(0, 10)),
        ("bytes=-0", 10, "unsatisfiable"),
        ("bytes=-", 10, None),
        ("bytes=10-", 10, "unsatisfiable"),
        ("bytes=10-12", 10, "unsatisfiable"),
        ("bytes=0-0", 0, "unsatisfiable"),
        ("bytes=0-", 0, "unsatisfiable"),
        ("bytes=-5", 0, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=0-1,20-", 10, None),
        ("bytes=5-2", 10, None),
        ("bytes=-1-2", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=+1-2", 10, None),
        ("bytes=1 - 2", 10, None),
        ("bytes=\u0661-\u0662", 10, None),
        ("bytes 0-3", 10, None),
        ("bytes", 10, None),
        ("lines=0-3", 10, None),
        ("bytes=00000000000000000000000002-3", 10, Span(2, 4)),
        (f"bytes={'9' * 10_000}-", 10, "unsatisfiable"),
        (f"bytes=2-{'9' * 10_000}", 10, Span(2, 10)),
        (f"bytes=-{'9' * 10_000}", 10, Span(0, 10)),
    ],
)
def test_ranges(header: str | None, size: int, expected: Span | str | None) -> None:
    assert parse_range(header, size) == expected


@settings(max_examples=300, deadline=None)
@given(header=st.text(alphabet="bytes=0123456789-, \t", max_size=40), size=st.integers(0, 100))
def test_a_range_never_reaches_outside_of_the_content(header: str, size: int) -> None:
    span = parse_range(header, size)

    if isinstance(span, Span):
        assert 0 <= span.start < span.stop <= size


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "holds"),
        ({"if-none-match": ETAG}, "not_modified"),
        ({"if-none-match": f"W/{ETAG}"}, "not_modified"),
        ({"if-none-match": f'"x", {ETAG}'}, "not_modified"),
        ({"if-none-match": f'"a,b",{ETAG}'}, "not_modified"),
        ({"if-none-match": "*"}, "not_modified"),
        ({"if-none-match": '"x"'}, "holds"),
        ({"if-none-match": SHA}, "holds"),
        ({"if-none-match": ""}, "holds"),
        ({"if-none-match": '"x"', "if-modified-since": THE_DAY_AFTER}, "holds"),
        ({"if-modified-since": ON_THE_DAY}, "not_modified"),
        ({"if-modified-since": THE_DAY_AFTER}, "not_modified"),
        ({"if-modified-since": THE_DAY_BEFORE}, "holds"),
        ({"if-modified-since": "yesterday"}, "holds"),
        ({"if-match": ETAG}, "holds"),
        ({"if-match": f'"x", {ETAG}'}, "holds"),
        ({"if-match": "*"}, "holds"),
        ({"if-match": f"W/{ETAG}"}, "failed"),
        ({"if-match": '"x"'}, "failed"),
        ({"if-match": "nonsense"}, "failed"),
        ({"if-match": ETAG, "if-none-match": ETAG}, "not_modified"),
        ({"if-match": ETAG, "if-unmodified-since": THE_DAY_BEFORE}, "holds"),
        ({"if-unmodified-since": ON_THE_DAY}, "holds"),
        ({"if-unmodified-since": THE_DAY_BEFORE}, "failed"),
        ({"if-unmodified-since": "yesterday"}, "holds"),
    ],
)
def test_conditions(headers: dict[str, str], expected: str) -> None:
    assert conditional(Headers(headers), etag=ETAG, last_modified=CHANGED) == expected


def test_a_list_of_etags_may_be_spread_over_several_headers() -> None:
    headers = Headers(raw=[(b"if-none-match", b'"x"'), (b"if-none-match", ETAG.encode())])

    assert conditional(headers, etag=ETAG) == "not_modified"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ETAG, True),
        (f"W/{ETAG}", False),
        ('"x"', False),
        (ON_THE_DAY, True),
        (THE_DAY_BEFORE, False),
        (THE_DAY_AFTER, False),
        ("yesterday", False),
    ],
)
def test_if_range(asked: str, expected: bool) -> None:
    headers = Headers({"if-range": asked})

    assert range_applies(headers, etag=ETAG, last_modified=CHANGED, clock=lambda: LATER) is expected


def test_a_date_does_not_name_content_while_its_second_may_bring_another() -> None:
    headers = Headers({"if-range": ON_THE_DAY})

    assert not range_applies(headers, etag=ETAG, last_modified=CHANGED, clock=lambda: CHANGED + timedelta(seconds=0.4))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60))
def test_no_condition_breaks_on_what_it_is_told(text: str) -> None:
    names = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range")
    told = text.encode("latin-1", "replace").decode("latin-1")
    for name in names:
        headers = Headers(raw=[(name.encode(), told.encode("latin-1"))])
        assert conditional(headers, etag=ETAG, last_modified=CHANGED) in {"holds", "not_modified", "failed"}
        range_applies(headers, etag=ETAG, last_modified=CHANGED)


def selection(method: str = "GET", **headers: str) -> Span | Literal["whole", "not_modified"]:
    told = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return selected(told, method=method, size=10, etag=ETAG, last_modified=CHANGED, clock=lambda: LATER)


def test_a_request_is_answered_with_the_part_that_its_conditions_leave() -> None:
    assert selection() == "whole"
    assert selection(range="bytes=2-3") == Span(2, 4)
    assert selection(range="bytes=2-3", if_range=ETAG) == Span(2, 4)
    assert selection(range="bytes=2-3", if_range='"x"') == "whole"
    assert selection("HEAD", range="bytes=2-3") == "whole"
    assert selection(range="bytes=2-3", if_none_match=ETAG) == "not_modified"
    assert Span(2, 4).headers(10) == {"content-range": "bytes 2-3/10"}


def test_a_range_past_the_end_is_an_error_that_names_the_size() -> None:
    with pytest.raises(RangeNotSatisfiable, match="10 bytes"):
        selection(range="bytes=10-")
    # Whoever holds another content gets all of this one.
    assert selection(range="bytes=10-", if_range='"x"') == "whole"


def test_a_condition_that_fails_is_an_error_that_names_its_header() -> None:
    with pytest.raises(PreconditionFailed, match="`If-Match`"):
        selection(if_match='"x"', range="bytes=10-")
    with pytest.raises(PreconditionFailed, match="`If-Unmodified-Since`"):
        selection(if_unmodified_since=THE_DAY_BEFORE)


def test_the_headers_of_content() -> None:
    assert content_headers("text/csv", "sales.csv", sha256=SHA) == {
        "content-type": "text/csv; charset=utf-8",
        "content-disposition": 'attachment; filename="sales.csv"',
        "x-content-type-options": "nosniff",
        "content-security-policy": CONTENT_POLICY,
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "cache-control": "private, no-cache",
        "etag": f'"{SHA}"',
        "accept-ranges": "bytes",
    }
    assert content_headers("text/csv", "x", sha256=SHA, keeping="never")["cache-control"] == "private, no-store"
    assert http_date(CHANGED) == ON_THE_DAY


@pytest.mark.parametrize(
    ("media_type", "disposition", "sent", "shown"),
    [
        ("image/png", None, "image/png", True),
        ("image/jpeg", None, "image/jpeg", True),
        ("image/webp", "inline", "image/webp", True),
        ("image/png", "attachment", "image/png", False),
        ("application/pdf", None, "application/pdf", False),
        ("application/pdf", "inline", "application/pdf", True),
        ("IMAGE/PNG; x=y", None, "image/png", True),
        ("text/plain", "inline", "text/plain; charset=utf-8", False),
        ("text/html", "inline", "text/html; charset=utf-8", False),
        ("image/svg+xml", "inline", "image/svg+xml", False),
        ("application/xml", "inline", "application/xml", False),
        ("application/xhtml+xml", "inline", "application/octet-stream", False),
        ("text/xml", "inline", "application/octet-stream", False),
        ("text/javascript", "inline", "application/octet-stream", False),
        ("text/css", None, "application/octet-stream", False),
        ("image/tiff", "inline", "image/tiff", False),
        ("made/up", "inline", "application/octet-stream", False),
        ("text/html\r\nx: y", "inline", "application/octet-stream", False),
        ("", None, "application/octet-stream", False),
    ],
)
def test_only_what_cannot_act_is_shown(media_type: str, disposition: Disposition, sent: str, shown: bool) -> None:
    headers = content_headers(media_type, "x", sha256=SHA, disposition=disposition)

    assert headers["content-type"] == sent
    assert headers["content-disposition"].partition(";")[0] == ("inline" if shown else "attachment")


def test_a_304_says_what_is_still_valid_and_nothing_of_the_content() -> None:
    response = not_modified(content_headers("text/csv", "sales.csv", sha256=SHA))

    assert response.status_code == 304
    assert dict(response.raw_headers) == {b"cache-control": b"private, no-cache", b"etag": ETAG.encode()}


# The response


class Source:
    """Chunks, then perhaps an error; it remembers whether it was begun and closed."""

    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self.chunks, self.error = chunks, error
        self.begun = self.closed = False

    async def read(self) -> AsyncGenerator[bytes, None]:
        self.begun = True
        try:
            for chunk in self.chunks:
                yield chunk
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def sent(
    source: Source, *, size: int, method: str = "GET", send: Callable[[Any], Awaitable[None]] | None = None
) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def collect(message: Any) -> None:
        messages.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    response = ContentResponse(source.read(), size=size, headers={"etag": ETAG}, stall_seconds=0.05)
    try:
        await response({"type": "http", "method": method}, receive, send or collect)
    except (ContentDamaged, TimeoutError) as error:
        messages.append({"error": error})
    return messages


MIB = SMALL_BYTES
LONG = (b"a" * MIB, b"b" * MIB, b"c" * 10)


async def test_small_content_goes_out_in_one_message() -> None:
    source = Source(b"ab", b"cd")

    start, body = await sent(source, size=4)

    assert start["status"] == 200
    assert dict(start["headers"]) == {b"etag": ETAG.encode(), b"content-length": b"4"}
    assert body == {"type": "http.response.body", "body": b"abcd"}
    assert source.closed


async def test_long_content_goes_out_chunk_by_chunk() -> None:
    start, *bodies = await sent(Source(*LONG), size=2 * MIB + 10)

    assert start["status"] == 200
    assert tuple(body["body"] for body in bodies) == LONG
    assert [body["more_body"] for body in bodies] == [True, True, False]


@pytest.mark.parametrize("size", [4, 2 * MIB + 10])
async def test_a_head_gets_the_headers_and_nothing_is_read(size: int) -> None:
    source = Source(*LONG)

    start, body = await sent(source, size=size, method="HEAD")

    assert dict(start["headers"])[b"content-length"] == str(size).encode()
    assert body["body"] == b""
    assert not source.begun


@pytest.mark.parametrize("chunks", [(), (b"ab",)])
async def test_a_source_that_fails_at_once_is_an_answer_of_its_own(chunks: tuple[bytes, ...]) -> None:
    damaged = ContentDamaged("x")

    assert await sent(Source(*chunks, error=damaged), size=4) == [{"error": damaged}]
    assert await sent(Source(*chunks, error=damaged), size=2 * MIB) == [{"error": damaged}]


async def test_content_that_proves_damaged_midway_never_looks_whole() -> None:
    damaged = ContentDamaged("x")
    source = Source(*LONG, error=damaged)

    messages = await sent(source, size=2 * MIB + 10)

    assert messages[-1] == {"error": damaged}
    assert sum(len(message.get("body", b"")) for message in messages) == 2 * MIB
    assert all(message["more_body"] for message in messages[1:-1])
    assert source.closed


@pytest.mark.parametrize("size", [1, 3, 5, 2 * MIB, 2 * MIB + 9, 2 * MIB + 11])
async def test_a_source_of_another_size_than_declared_never_looks_whole(size: int) -> None:
    chunks = (b"ab", b"cd") if size < MIB else LONG

    messages = await sent(Source(*chunks), size=size)

    assert isinstance(messages[-1]["error"], ContentDamaged)
    assert all(message["more_body"] for message in messages if "more_body" in message)


async def test_a_client_that_takes_nothing_lets_go_of_the_source() -> None:
    source = Source(*LONG)

    async def blocked(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    (told,) = await sent(source, size=2 * MIB + 10, send=blocked)

    assert isinstance(told["error"], TimeoutError)
    assert source.closed
