"""Bodies of requests: how much of one is read, however it is sent or encoded. What a body means is for the routes.

The limit counts what a route would get. A body that says its length is refused before a byte of it is read; one that
does not is counted as it comes; one that is compressed is counted while it is inflated, in pieces, so that a bomb
costs no more than the limit. What comes over the wire is bounded as well, since a compressed body can go on for ever
and yet hold nothing. When the limit is passed the rest is not read and the connection closes.
"""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handiwork.errors import HandiworkError
from handiwork.server.headers import has_body, header_values
from handiwork.server.problems import problem_response, refuse
from handiwork.server.refusals import BodyStalled, BodyTooLarge, MalformedRequest, UnsupportedEncoding

PIECE_BYTES = 64 * 1024
# What compression may add to what cannot be compressed.
SLACK_BYTES = 64 * 1024
# Each costs a decompressor of its own; honest senders write one, or one for each 64 KiB.
MOST_MEMBERS = 1024
PATIENCE_SECONDS = 30.0
# Who sends a byte now and then is never late, and never done.
WHOLE_SECONDS = 600.0

ENCODINGS = {b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate"}
ACCEPTED = ("gzip", "deflate")
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class BodyLimit:
    """Hands a route at most `limit_of(path)` bytes of body, decoded.

    None come later than `patience_seconds` apart, and all of them within `whole_seconds` of the first that was asked
    for.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit_of: Callable[[str], int],
        patience_seconds: float = PATIENCE_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._app, self._limit_of = app, limit_of
        self._patience_seconds, self._whole_seconds = patience_seconds, whole_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        try:
            encoding = _encoding(scope)
            wire_limit = limit if encoding is None else limit + SLACK_BYTES
            length = _length(scope)
            if length is not None and length > wire_limit:
                raise BodyTooLarge(limit)
        except HandiworkError as refused:
            await refuse(refused, scope=scope, receive=receive, send=send)
            return
        if encoding is not None:
            scope["headers"] = [
                header for header in scope["headers"] if header[0] not in {b"content-encoding", b"content-length"}
            ]
        intake = _Intake(
            _counted(
                _timely(receive, patience_seconds=self._patience_seconds, whole_seconds=self._whole_seconds),
                limit=limit,
                wire_limit=wire_limit,
            ),
            inflater=None if encoding is None else Inflater(encoding, limit=limit),
            is_small=length is not None and length <= PIECE_BYTES,
        )
        await intake.run(self._app, scope, send)


class Inflater:
    """Inflates a body piece by piece and never more than one byte over the limit."""

    def __init__(self, encoding: str, *, limit: int) -> None:
        self._encoding, self._limit = encoding, limit
        self._inflated = 0
        self._members = 0
        self._decompressor = self._next_member()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` holds.

        Raises:
            BodyTooLarge: it is over the limit.
            MalformedRequest: it is damaged, or goes on after its end.
        """
        while True:
            if self._decompressor.eof and data:
                self._decompressor = self._next_member()
            # One more than is allowed tells whether there is more than is allowed.
            asked = min(PIECE_BYTES, self._limit - self._inflated + 1)
            try:
                piece = self._decompressor.decompress(data, asked)
            except zlib.error as wrong:
                raise self._damaged() from wrong
            data = self._decompressor.unused_data if self._decompressor.eof else self._decompressor.unconsumed_tail
            self._inflated += len(piece)
            if self._inflated > self._limit:
                raise BodyTooLarge(self._limit)
            if piece:
                yield piece
            if not data and len(piece) < asked:
                return

    def require_end(self) -> None:
        """Raises: `MalformedRequest`, when the body broke off."""
        if not self._decompressor.eof:
            raise self._damaged()

    def _next_member(self) -> "_Decompressor":
        # Only gzip is made of members; what follows the end of another body is no part of it.
        if self._members == (MOST_MEMBERS if self._encoding == "gzip" else 1):
            raise self._damaged()
        self._members += 1
        return zlib.decompressobj(_WINDOW_BITS[self._encoding])

    def _damaged(self) -> MalformedRequest:
        return MalformedRequest("body", expected=f"one whole body in the encoding `{self._encoding}`")


class _Decompressor(Protocol):
    """What `zlib.decompressobj` returns, the type of which has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Intake:
    """One request's body on its way in, and the word on its way out when there is something wrong with it."""

    def __init__(self, receive: Receive, *, inflater: Inflater | None, is_small: bool) -> None:
        self._receive, self._inflater, self._is_small = receive, inflater, is_small
        self._pieces: Iterator[bytes] = iter(())
        self._has_all = False
        self._has_ended = False
        self._refusal: HandiworkError | None = None
        self._has_begun = False
        self._is_replaced = False

    async def run(self, app: ASGIApp, scope: Scope, send: Send) -> None:
        async def answer(message: Message) -> None:
            await self._answer(message, scope=scope, send=send)

        try:
            await app(scope, self._next, answer)
        except Exception:
            # Whatever a route made of it: the body was refused, and that is the answer.
            if self._refusal is None or (self._has_begun and not self._is_replaced):
                raise
            await self._replace(self._refusal, scope=scope, send=send)

    async def _next(self) -> Message:
        if self._refusal is not None:
            raise self._refusal
        try:
            return await (self._received() if self._inflater is None else self._inflated(self._inflater))
        except HandiworkError as refused:
            self._refusal = refused
            raise

    async def _received(self) -> Message:
        message = await self._receive()
        self._has_ended = not message.get("more_body", False)
        return message

    async def _inflated(self, inflater: Inflater) -> Message:
        while not self._has_ended:
            if (piece := next(self._pieces, None)) is not None:
                # Others get their turn between the pieces of one message.
                await asyncio.sleep(0)
                return {"type": "http.request", "body": piece, "more_body": True}
            if self._has_all:
                inflater.require_end()
                self._has_ended = True
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._pieces = inflater.pieces(message.get("body", b""))
            self._has_all = not message.get("more_body", False)
        return await self._receive()

    async def _answer(self, message: Message, *, scope: Scope, send: Send) -> None:
        if self._refusal is not None and not self._has_begun:
            await self._replace(self._refusal, scope=scope, send=send)
        if self._is_replaced:
            return
        if message["type"] == "http.response.start":
            self._has_begun = True
            if not self._has_ended and not self._is_small:
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    async def _replace(self, refusal: HandiworkError, *, scope: Scope, send: Send) -> None:
        if not self._is_replaced:
            self._has_begun = self._is_replaced = True
            await problem_response(refusal, is_last=True)(scope, self._receive, send)


def _timely(receive: Receive, *, patience_seconds: float, whole_seconds: float) -> Receive:
    has_ended = False
    ends_at: float | None = None

    async def timely() -> Message:
        nonlocal has_ended, ends_at
        if has_ended:
            # What comes now is the end of the connection, for which a route may wait as long as it likes.
            return await receive()
        now = asyncio.get_running_loop().time()
        ends_at = now + whole_seconds if ends_at is None else ends_at
        late_at = min(now + patience_seconds, ends_at)
        try:
            async with asyncio.timeout_at(late_at):
                message = await receive()
        except TimeoutError:
            if late_at == ends_at:
                raise BodyStalled(whole_seconds, missed="end") from None
            raise BodyStalled(patience_seconds) from None
        has_ended = not message.get("more_body", False)
        return message

    return timely


def _counted(receive: Receive, *, limit: int, wire_limit: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > wire_limit:
            raise BodyTooLarge(limit)
        return message

    return counted


def _encoding(scope: Scope) -> str | None:
    """Return how the body is compressed, None for not at all. Raises `UnsupportedEncoding`."""
    told = b", ".join(header_values(scope, b"content-encoding")).strip().lower()
    if told in {b"", b"identity"}:
        return None
    if (known := ENCODINGS.get(told)) is None:
        raise UnsupportedEncoding(told.decode("latin-1"), accepted=ACCEPTED)
    return known


def _length(scope: Scope) -> int | None:
    """Return the length that the request declares. Raises `MalformedRequest`."""
    told = header_values(scope, b"content-length")
    if not told:
        return None
    if len(set(told)) > 1 or not told[0].isdigit() or len(told[0]) > len(str(2**63)):
        raise MalformedRequest("`Content-Length`", expected="one number of bytes")
    return int(told[0])
