"""Content that comes in pieces, such as a model writes it: collected, and told to those who look on.

What is told passes by and is kept nowhere; a version there is only when the whole has come and was found good. Who is
told is not known here.
"""

from collections.abc import AsyncIterable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from handiwork.errors import ContentTooLarge, HandiworkError, InvalidContent
from handiwork.events import Delta, Happening
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.revisions import Revisions
from handiwork.tasks import to_the_end
from handiwork.types.artifact_type import ArtifactType

BROKEN_OFF = "broken_off"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """Takes in content that comes in pieces. `tell` passes one on, and `ended` says that nothing more of it comes."""

    revisions: Revisions
    tell: Callable[[Delta], None]
    ended: Callable[[Scope, ArtifactId], None]

    async def taken(
        self,
        scope: Scope,
        type_: ArtifactType,
        artifact_id: ArtifactId,
        pieces: AsyncIterable[str],
        store: Callable[[str], Coroutine[Any, Any, Result]],
    ) -> Result:
        """Collect the pieces, `store` the whole and return what that returns.

        When they break off, pass the cap of the type, or cannot be stored, `artifact-failed` is recorded and nothing
        else; what they raised is passed on.
        """
        try:
            return await store(await self._collected(scope, type_, artifact_id, pieces))
        except BaseException as failure:
            code = failure.code if isinstance(failure, HandiworkError) else BROKEN_OFF
            failed = Happening(type="artifact-failed", artifact_id=artifact_id, facts={"code": code})
            await to_the_end(self.revisions.tell(scope, failed))
            raise
        finally:
            self.ended(scope, artifact_id)

    async def _collected(
        self, scope: Scope, type_: ArtifactType, artifact_id: ArtifactId, pieces: AsyncIterable[str]
    ) -> str:
        collected: list[str] = []
        size = offset = 0
        async for piece in pieces:
            if not isinstance(piece, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
                raise InvalidContent("content", expected="pieces of text", got=f"a `{type(piece).__name__}`")
            size += len(piece.encode("utf-8", "surrogatepass"))
            if size > type_.cap_bytes:
                raise ContentTooLarge(f"{type_.name} content", size=size, limit=type_.cap_bytes)
            if piece and type_.is_streamed:
                self.tell(
                    Delta(scope=scope, artifact_id=artifact_id, artifact_type=type_.name, offset=offset, text=piece)
                )
            offset += len(piece)
            collected.append(piece)
        return "".join(collected)
