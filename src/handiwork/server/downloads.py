"""How content goes out: which part of it, under which headers, and so that what is damaged never looks whole.

Where the bytes come from and who may have them is not known here. The headers make content harmless in a browser even
when it was written to do harm: nothing is sniffed, nothing runs, nothing loads, and only images that browsers decode
and PDF files on request are shown instead of saved.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Literal, cast

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from handiwork.clock import Clock, utc_now
from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    ContentDamaged,
    LinkInvalid,
    NotAuthenticated,
    VersionNotFound,
)
from handiwork.media.formats import FORMATS
from handiwork.model import Disposition
from handiwork.server.cutting import cut_off
from handiwork.server.file_names import content_disposition
from handiwork.server.refusals import PreconditionFailed, RangeNotSatisfiable

WITHDRAWN = (ArtifactExpired, ArtifactNotFound, VersionNotFound, NotAuthenticated, LinkInvalid)
"""How content ends of which somebody may have no more."""
SMALL_BYTES = 1024 * 1024
STALL_SECONDS = 60.0
UNKNOWN_TYPE = "application/octet-stream"
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

Keeping = Literal["revalidated", "never"]
ResourcePolicy = Literal["same-origin", "same-site", "cross-origin"]
Condition = Literal["holds", "not_modified", "failed"]

SHOWN_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})
SHOWN_ON_REQUEST = frozenset({"application/pdf"})
# Pages load these two from their own origin whatever the disposition says, and a policy of `'self'` would let them.
_LOADED_BY_PAGES = frozenset({"text/javascript", "text/css"})
_KNOWN_TYPES: Mapping[str, str] = {
    row.media_type.lower(): row.media_type
    for row in FORMATS
    if row.delivered and row.media_type not in _LOADED_BY_PAGES
}
_CACHE_CONTROL: Mapping[Keeping, str] = {"revalidated": "private, no-cache", "never": "private, no-store"}
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_ETAGS = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` up to and without `stop`; never none."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start

    def headers(self, whole_size: int) -> dict[str, str]:
        return {"content-range": f"bytes {self.start}-{self.stop - 1}/{whole_size}"}


def selected(
    headers: Headers,
    *,
    method: str,
    size: int,
    etag: str,
    last_modified: datetime | None = None,
    clock: Clock = utc_now,
) -> Span | Literal["whole", "not_modified"]:
    """Return what a GET or HEAD is answered with, by all the conditions that it makes, in the order of RFC 9110.

    Raises:
        PreconditionFailed: a condition that had to hold does not.
        RangeNotSatisfiable: nothing lies in the range.
    """
    match conditional(headers, etag=etag, last_modified=last_modified):
        case "failed":
            raise PreconditionFailed("If-Match" if "if-match" in headers else "If-Unmodified-Since")
        case "not_modified":
            return "not_modified"
        case "holds":
            pass
    if method != "GET" or not range_applies(headers, etag=etag, last_modified=last_modified, clock=clock):
        return "whole"
    span = parse_range(headers.get("range"), size)
    if span == "unsatisfiable":
        raise RangeNotSatisfiable(size)
    return span or "whole"


def parse_range(header: str | None, size: int) -> Span | Literal["unsatisfiable"] | None:
    """Return the one range of bytes that is asked for; None for none, for several, and for what is malformed."""
    unit, _, ranges = (header or "").partition("=")
    asked = [part for one in ranges.split(",") if (part := one.strip(" \t"))]
    if unit.lower() != "bytes" or len(asked) != 1 or (parts := _RANGE.fullmatch(asked[0])) is None:
        return None
    first, last = parts[1], parts[2]
    if not first:
        return _suffix(last, size)
    start = _number(first)
    end = _number(last) if last else None
    if end is not None and end < start:
        return None
    if start >= size:
        return "unsatisfiable"
    return Span(start, size if end is None else min(end + 1, size))


def conditional(headers: Headers, *, etag: str, last_modified: datetime | None = None) -> Condition:
    """Return whether the conditions of a GET or HEAD hold for content that exists; `etag` is a strong one."""
    if (asked := _joined(headers, "if-match")) is not None:
        if asked.strip() != "*" and etag not in _strong(asked):
            return "failed"
    elif (since := _date(headers.get("if-unmodified-since"))) and last_modified and _whole(last_modified) > since:
        return "failed"
    if (asked := _joined(headers, "if-none-match")) is not None:
        return "not_modified" if asked.strip() == "*" or etag in _any_strength(asked) else "holds"
    if (since := _date(headers.get("if-modified-since"))) and last_modified and _whole(last_modified) <= since:
        return "not_modified"
    return "holds"


def range_applies(
    headers: Headers, *, etag: str, last_modified: datetime | None = None, clock: Clock = utc_now
) -> bool:
    """Return whether `If-Range` is absent or names just this content, so that a part fits to what the client has."""
    asked = headers.get("if-range")
    if asked is None:
        return True
    if asked.startswith(('"', "W/")):
        return asked == etag
    # A date tells two contents of the same second apart only when that second is over.
    return (
        last_modified is not None
        and _date(asked) == _whole(last_modified)
        and clock() - last_modified > timedelta(seconds=1)
    )


def etag_of(sha256: str) -> str:
    return f'"{sha256}"'


def content_headers(
    media_type: str,
    name: str,
    *,
    sha256: str,
    disposition: Disposition | None = None,
    keeping: Keeping = "revalidated",
    resource_policy: ResourcePolicy = "same-origin",
) -> dict[str, str]:
    """Return the headers of content, without its length.

    Images are shown unless `attachment` is asked for, PDF files when `inline` is; everything else is saved. What is
    behind a signed link is to be kept `never`; what is asked for with a key may be kept and `revalidated`.
    """
    essence = media_type.partition(";")[0].strip().lower()
    sent = _KNOWN_TYPES.get(essence, UNKNOWN_TYPE)
    is_shown = (essence in SHOWN_TYPES and disposition != "attachment") or (
        essence in SHOWN_ON_REQUEST and disposition == "inline"
    )
    return {
        "content-type": f"{sent}; charset=utf-8" if sent.startswith("text/") else sent,
        "content-disposition": content_disposition(name, "inline" if is_shown else "attachment"),
        "x-content-type-options": "nosniff",
        "content-security-policy": CONTENT_POLICY,
        "cross-origin-resource-policy": resource_policy,
        "referrer-policy": "no-referrer",
        "cache-control": _CACHE_CONTROL[keeping],
        "etag": etag_of(sha256),
        "accept-ranges": "bytes",
    }


def not_modified(headers: Mapping[str, str]) -> Response:
    """Return the 304 for content that has these headers."""
    kept = {"cache-control", "etag", "last-modified", "vary"}
    return Response(status_code=304, headers={name: value for name, value in headers.items() if name in kept})


def http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)


class ContentResponse(Response):
    """Sends `size` bytes of `source`, which it closes; a HEAD gets the headers alone.

    Content of up to 1 MiB is read before the head goes out and leaves with it; of longer content the last chunk is
    held back until the source has ended well. A source that fails, or has more or less than it should, raises: before
    the head that is an answer of its own, after it the connection is cut before the declared length is reached.
    """

    def __init__(
        self,
        source: AsyncIterator[bytes],
        *,
        size: int,
        headers: Mapping[str, str],
        status_code: int = 200,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        super().__init__(status_code=status_code, headers={**headers, "content-length": str(size)})
        self._source, self._size, self._stall_seconds = source, size, stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await self._begin(send)
                await send({"type": "http.response.body", "body": b""})
            elif self._size <= SMALL_BYTES:
                body = await self._collected()
                await self._begin(send)
                await send({"type": "http.response.body", "body": body})
            else:
                await self._stream(scope, send)
        finally:
            if isinstance(self._source, AsyncGenerator):
                await cast("AsyncGenerator[bytes, None]", self._source).aclose()

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _collected(self) -> bytes:
        async with aclosing(self._counted()) as counted:
            chunks = [chunk async for chunk in counted]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _stream(self, scope: Scope, send: Send) -> None:
        held: bytes | None = None
        has_begun = False
        try:
            async with aclosing(self._counted()) as counted:
                async for chunk in counted:
                    if held is not None:
                        if not has_begun:
                            await self._begin(send)
                            has_begun = True
                        await self._hand_out(send, held, is_last=False)
                    held = chunk
        except WITHDRAWN:
            if has_begun:
                # Who asks for the rest is told why.
                cut_off(scope)
                return
            raise
        if not has_begun:
            await self._begin(send)
        await self._hand_out(send, held or b"", is_last=True)

    async def _hand_out(self, send: Send, chunk: bytes, *, is_last: bool) -> None:
        # A client that takes nothing holds the source open.
        async with asyncio.timeout(self._stall_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": not is_last})

    async def _counted(self) -> AsyncGenerator[bytes, None]:
        read = 0
        async for chunk in self._source:
            read += len(chunk)
            if read > self._size:
                break
            yield chunk
        if read != self._size:
            raise ContentDamaged(self.headers.get("etag", "unnamed"))


def _suffix(length: str, size: int) -> Span | Literal["unsatisfiable"] | None:
    if not length:
        return None
    if not (wanted := _number(length)):
        return "unsatisfiable"
    # The end of nothing is nothing, which no range can express: it is the whole.
    return Span(max(size - wanted, 0), size) if size else None


def _number(digits: str) -> int:
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _joined(headers: Headers, name: str) -> str | None:
    return ", ".join(values) if (values := headers.getlist(name)) else None


def _strong(tags: str) -> set[str]:
    return {tag for weakness, tag in _ETAGS.findall(tags) if not weakness}


def _any_strength(tags: str) -> set[str]:
    return {tag for _, tag in _ETAGS.findall(tags)}


def _date(header: str | None) -> datetime | None:
    if header is None:
        return None
    try:
        parsed = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
