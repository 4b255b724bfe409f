"""Content that comes in pieces, such as a model writes it: collected, and told to those who look on.

What is told passes by and is kept nowhere; a version there is only when the whole has come and was found good. Who is
told is not known here.
"""

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from handiwork.errors import ContentTooLarge, HandiworkError, InvalidContent, ScopeErased, TookTooLong
from handiwork.events import Delta, Happening
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.revisions import Revisions
from handiwork.tasks import to_the_end
from handiwork.types.artifact_type import ArtifactType

BROKEN_OFF = "broken_off"
PATIENCE_SECONDS = 600.0
"""How long a piece may let others wait for it."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Content on its way: whose it will be, what it must be, and since when it has come."""

    scope: Scope
    type: ArtifactType
    artifact_id: ArtifactId
    pieces: AsyncIterable[str]
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """Takes in content that comes in pieces. `tell` passes one on, and `ended` says that nothing more of it comes.

    Of several streams into one artifact the first is told, and of the others only what they come to.
    """

    revisions: Revisions
    tell: Callable[[Delta], None]
    ended: Callable[[Scope, ArtifactId], None]
    _told: set[ArtifactId] = field(default_factory=set[ArtifactId], init=False)

    async def taken(self, stream: Stream, store: Callable[[str], Coroutine[Any, Any, Result]]) -> Result:
        """Collect the pieces, `store` the whole and return what that returns.

        When they break off, pass the cap of the type, or cannot be stored, `artifact-failed` is recorded and nothing
        else; what they raised is passed on.

        Raises:
            TookTooLong: a piece did not come.
        """
        is_told = stream.type.is_streamed and stream.artifact_id not in self._told
        if is_told:
            self._told.add(stream.artifact_id)
        collected = io.StringIO()
        try:
            await self._collect(stream, collected, is_told=is_told)
            return await store(collected.getvalue())
        except BaseException as failure:
            if collected.tell():
                await to_the_end(self._failed(stream, failure))
            raise
        finally:
            if is_told:
                self._told.discard(stream.artifact_id)
                self.ended(stream.scope, stream.artifact_id)

    async def _collect(self, stream: Stream, collected: io.StringIO, *, is_told: bool) -> None:
        type_, size = stream.type, 0
        async with _let_go(aiter(stream.pieces)) as pieces, _patience() as each_in_time:
            async for piece in pieces:
                each_in_time()
                if not isinstance(piece, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
                    raise InvalidContent("content", expected="pieces of text", got=f"a `{type(piece).__name__}`")
                size += len(piece.encode("utf-8", "surrogatepass"))
                if size > type_.cap_bytes:
                    raise ContentTooLarge(f"{type_.name} content", size=size, limit=type_.cap_bytes)
                offset = collected.tell()
                collected.write(piece)
                if piece and is_told:
                    self.tell(_delta(stream, offset, piece))

    async def _failed(self, stream: Stream, failure: BaseException) -> None:
        code = failure.code if isinstance(failure, HandiworkError) else BROKEN_OFF
        failed = Happening(type="artifact-failed", artifact_id=stream.artifact_id, facts={"code": code})
        # Of an erased user nothing is said any more.
        with contextlib.suppress(ScopeErased):
            await self.revisions.tell(stream.scope, failed, since=stream.since)


def _delta(stream: Stream, offset: int, text: str) -> Delta:
    return Delta(
        scope=stream.scope,
        artifact_id=stream.artifact_id,
        artifact_type=stream.type.name,
        offset=offset,
        text=text,
    )


@contextlib.asynccontextmanager
async def _let_go(pieces: AsyncIterator[str]) -> AsyncGenerator[AsyncIterator[str]]:
    """Let go of what the pieces come from, such as the connection to a model, also when they are not all taken."""
    try:
        yield pieces
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


@contextlib.asynccontextmanager
async def _patience() -> AsyncGenerator[Callable[[], None]]:
    """Wait so long and no longer; what this gives begins the time anew."""
    now, patience = asyncio.get_running_loop().time, asyncio.timeout(PATIENCE_SECONDS)
    try:
        async with patience:
            yield lambda: patience.reschedule(now() + PATIENCE_SECONDS)
    except TimeoutError as late:
        if patience.expired():
            raise TookTooLong(int(PATIENCE_SECONDS)) from late
        raise
