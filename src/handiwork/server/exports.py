"""The route that streams a session as a ZIP. What is in the ZIP is made by `export`.

Nobody can know its size before it is written, so a whole one is told by its end: an export that cannot go on breaks the
connection off, and what came until then is no ZIP.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from handiwork.errors import SessionNotFound
from handiwork.export.bundle import Bundle
from handiwork.server.answers import problems
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API
from handiwork.server.downloads import CONTENT_POLICY, SMALL_BYTES, STALL_SECONDS
from handiwork.server.file_names import content_disposition
from handiwork.server.path_names import PathName
from handiwork.session import Session

MEDIA_TYPE = "application/zip"

router = APIRouter(tags=["sessions"])


class BundleResponse(Response):
    """Sends the pieces of a bundle. The first MiB waits, so that what fails within it is an answer of its own."""

    media_type = MEDIA_TYPE

    def __init__(
        self, bundle: Bundle, *, headers: Mapping[str, str] | None = None, stall_seconds: float = STALL_SECONDS
    ) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._bundle, self._stall_seconds = bundle, stall_seconds

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(_departure(receive))
        try:
            await self._stream(send, leaving)
        finally:
            leaving.cancel()
            await asyncio.wait([leaving])

    async def _stream(self, send: Send, leaving: "asyncio.Task[None]") -> None:
        waiting = bytearray()
        has_begun = False
        async with aclosing(self._bundle.pieces()) as pieces:
            async for piece in pieces:
                if leaving.done():
                    return
                waiting += piece
                if len(waiting) <= SMALL_BYTES:
                    continue
                if not has_begun:
                    await self._begin(send)
                    has_begun = True
                await self._hand_out(send, bytes(waiting), is_last=False)
                waiting.clear()
        if not has_begun:
            await self._begin(send)
        await self._hand_out(send, bytes(waiting), is_last=True)

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _hand_out(self, send: Send, piece: bytes, *, is_last: bool) -> None:
        # A client that takes nothing holds the store open.
        async with asyncio.timeout(self._stall_seconds):
            await send({"type": "http.response.body", "body": piece, "more_body": not is_last})


@router.get(
    f"{API}/sessions/{{session}}/export",
    status_code=200,
    response_class=BundleResponse,
    response_model=None,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The ZIP"}, **problems(404, 422)},
    **demands("artifact:read"),
)
async def export_session(session: PathName, desk: TheDesk, caller: TheCaller) -> BundleResponse:
    """A ZIP of the session: every version of what has not expired, a manifest with hashes, and a page that shows it.

    The page needs no server and no network, and `handiwork verify` checks the ZIP with no store.
    """
    scope = caller.scope(session)
    exported = Session(engine=desk.engine, scope=scope, principal=caller.principal)
    if not (await exported.list(limit=1)).items:
        raise SessionNotFound(session)
    headers = {
        "content-disposition": content_disposition(f"{session}.zip", "attachment"),
        "content-security-policy": CONTENT_POLICY,
        "cache-control": "private, no-store",
    }
    return BundleResponse(Bundle(exported), headers=headers)


async def _departure(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
