"""An artifact's content as an answer, on either origin: found, conditions and ranges looked at, then streamed.

A part of it is text, and the headers say what follows it.
Which headers make content harmless is known to `downloads`; who may have it was decided before.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from handiwork.model import Disposition
from handiwork.server.desk import Desk
from handiwork.server.downloads import (
    ContentResponse,
    Keeping,
    ResourcePolicy,
    content_headers,
    etag_of,
    http_date,
    not_modified,
    selected,
)
from handiwork.store.records import Filed
from handiwork.versions.selection import Selection

# What a selector is written with; the rest is percent-encoded, since a header takes no more.
_IN_HEADERS = "=:$.[]*' \"(),/;+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A version that was found just now, for somebody who may have it; `confirm` raises when they may no more."""

    filed: Filed
    confirm: Callable[[], Awaitable[object]]


def delivered(
    request: Request,
    desk: Desk,
    granted: Granted,
    *,
    disposition: Disposition,
    keeping: Keeping,
    resource_policy: ResourcePolicy = "same-origin",
) -> Response:
    """Return the answer to a GET or HEAD for a version that was found just now.

    Content of several pieces breaks off when it expires, is deleted, or may be had no more by whoever takes it.

    Raises:
        PreconditionFailed, RangeNotSatisfiable: the request asks for what is not so, or not there.
    """
    filed = granted.filed
    version = filed.artifact.version
    chosen = selected(
        request.headers,
        method=request.method,
        size=version.size,
        etag=etag_of(version.sha256),
        last_modified=version.created_at,
        clock=desk.clock,
    )
    headers = content_headers(
        version.media_type,
        version.name,
        sha256=version.sha256,
        disposition=disposition,
        keeping=keeping,
        resource_policy=resource_policy,
    )
    headers["last-modified"] = http_date(version.created_at)
    match chosen:
        case "not_modified":
            return not_modified(headers)
        case "whole":
            return ContentResponse(_granted(desk, granted), size=version.size, headers=headers)
        case span:
            part = _granted(desk, granted, start=span.start, stop=span.stop)
            told = {**headers, **span.headers(version.size)}
            return ContentResponse(part, size=span.size, headers=told, status_code=206)


def excerpt(selection: Selection, filed: Filed) -> Response:
    """Return the answer to a GET for a part of a version."""
    told = {"x-continuation": selection.continuation, "x-total": selection.total, "x-tokens": selection.tokens}
    told |= {"x-cut": "true" if selection.is_cut else None, "x-media-type": selection.media_type}
    headers = {name: quote(str(value), safe=_IN_HEADERS) for name, value in told.items() if value is not None}
    headers |= {"content-disposition": "attachment", "x-version": str(filed.artifact.version.number)}
    headers["content-security-policy"] = "default-src 'none'; sandbox"
    return Response(selection.text.encode("utf-8", "replace"), 200, headers, "text/plain; charset=utf-8")


async def _granted(desk: Desk, granted: Granted, *, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes]:
    """Yield the content, each piece but the first after another look at whether it may be had."""
    artifact, pieces = granted.filed.artifact, 0
    async with aclosing(desk.engine.content(granted.filed, start=start, stop=stop)) as chunks:
        async for chunk in chunks:
            if pieces:
                await granted.confirm()
                await desk.engine.find(artifact.scope, artifact.id, version=artifact.version.number)
            yield chunk
            pieces += 1
    if pieces > 1:
        # The last piece is handed out when it is known to be the last.
        await granted.confirm()
        await desk.engine.find(artifact.scope, artifact.id, version=artifact.version.number)
