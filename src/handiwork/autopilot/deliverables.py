"""What a run makes, held by a collector and kept in a session where there is one. When that is, is decided in `flight`.

What goes wrong here ends no run: it is told as a problem.
"""

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial

from handiwork.client.session import RemoteSession
from handiwork.collect.collector import ArtifactCollector, Problem
from handiwork.collect.found import Found
from handiwork.errors import HandiworkError
from handiwork.media.formats import format_of_media_type
from handiwork.model import KIB, TOOL_RESULT, Artifact
from handiwork.references import Reference
from handiwork.session import Session
from handiwork.tasks import in_thread
from handiwork.tools.tool import Answer

LARGEST_TEXT_BYTES = 256 * KIB
_KINDS = {"code": "code", "markdown": "markdown", "csv": "table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverables:
    """Takes in what text holds and tools tell. `tell` is told what went wrong."""

    collector: ArtifactCollector
    session: Session | RemoteSession | None
    tell: Callable[[Problem], object]

    async def of_text(self, text: str, *, iteration: int) -> None:
        await _apart(lambda: self.collector.extract_from_output(text, iteration=iteration))
        if self.session is not None:
            await self._kept(self.session, text=text, iteration=iteration)

    async def of_metadata(self, metadata: object, *, iteration: int, tool_call_id: str | None) -> None:
        await _apart(lambda: self.collector.ingest_tool_metadata(metadata, iteration))
        if self.session is not None:
            await self._kept(self.session, metadata=metadata, iteration=iteration, tool_call_id=tool_call_id)

    async def of_answer(self, text: str, *, iteration: int) -> None:
        """Take in the final text of a run."""
        name = f"iter{iteration}-answer.md"
        await _apart(lambda: self.collector.add(kind="answer", name=name, content=text, iteration=iteration))
        if self.session is not None:
            declared = {"artifact": True, "kind": "answer", "name": name, "content": text}
            await self._kept(self.session, metadata=declared, iteration=iteration)

    async def of_tool(self, answer: Answer, *, iteration: int) -> None:
        """Take in what a tool of a session has made, which the session has already."""
        for artifact in answer.artifacts:
            if artifact.type != TOOL_RESULT:
                await _apart(partial(self.collector.take, await self._found(artifact), iteration=iteration))

    async def _found(self, artifact: Artifact) -> Found:
        version = artifact.version
        declared = version.metadata.get("kind")
        content = str(Reference(artifact.handle, summary=version.summary or None))
        format_ = format_of_media_type(version.media_type)
        if self.session is not None and format_ is not None and format_.is_text and version.size <= LARGEST_TEXT_BYTES:
            try:
                data = await self.session.read(artifact.id, version=version.number)
                content = data.decode("utf-8", "replace")
            except HandiworkError as failure:
                self.tell(Problem(what="read", name=artifact.name, why=str(failure)))
        return Found(
            kind=declared if isinstance(declared, str) else _KINDS.get(artifact.type, "file"),
            name=artifact.name,
            content=content,
            language=version.language,
            metadata={
                "id": artifact.id,
                "handle": artifact.handle,
                "version": version.number,
                "media_type": version.media_type,
                "size": version.size,
            },
        )

    async def _kept(
        self,
        session: Session | RemoteSession,
        *,
        iteration: int,
        text: str = "",
        metadata: object = None,
        tool_call_id: str | None = None,
    ) -> None:
        try:
            await session.collect(text, metadata=metadata, iteration=iteration, tool_call_id=tool_call_id)
        except HandiworkError as failure:
            self.tell(Problem(what="keep", name=f"iter{iteration}", why=str(failure)))


async def _apart(work: Callable[[], object]) -> None:
    """Do what may wait for a disk, or for a callback, in a thread, which knows to which run it belongs."""
    await in_thread(partial(copy_context().run, work))
