"""The engine: one store and one sandbox, and what is done in them by whoever may see a whole tenant.

The verbs of one conversation are in `session`; how each is done lies in the rooms below.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from handiwork.actions.ledger import Ledger, names_of_actions
from handiwork.errors import ExecutionNotFound, InvalidName
from handiwork.executions.pictures import Pictures
from handiwork.executions.runs import Runs
from handiwork.feed import Feed
from handiwork.ids import ExecutionId
from handiwork.model import (
    TOOL_RESULT,
    Artifact,
    Execution,
    Isolation,
    Principal,
    PrincipalKind,
    Reach,
    Scope,
)
from handiwork.retention import Cleaned, Retention
from handiwork.sandbox.sandbox import Sandbox
from handiwork.session import Session
from handiwork.store.blobs import Blobs
from handiwork.store.expiry import Due, Erased
from handiwork.store.reading import unless_gone
from handiwork.store.records import Filed, Records, SessionPage
from handiwork.tools.tool import Offer
from handiwork.types.registry import Registry
from handiwork.verbs import SELECTION_BYTES, page_size, selection_budget, version_number
from handiwork.versions.collecting import Collecting
from handiwork.versions.creation import Creation
from handiwork.versions.excerpts import select
from handiwork.versions.marking import Marking
from handiwork.versions.proving import Outlines
from handiwork.versions.revising import Revising
from handiwork.versions.selection import Selection
from handiwork.versions.selectors import Selector
from handiwork.versions.streaming import Streaming
from handiwork.versions.tool_results import ToolResults
from handiwork.versions.writing import Writing

LONGEST_SCOPE_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One store and one sandbox. `handiwork.open` makes it and closes it.

    What a caller may see is a `Reach`: a whole tenant, one of its users, or one session. What lies beyond it answers
    like what is not there.
    """

    records: Records
    blobs: Blobs
    creation: Creation
    revising: Revising
    marking: Marking
    ledger: Ledger
    streaming: Streaming
    writing: Writing
    tool_results: ToolResults
    runs: Runs
    retention: Retention
    feed: Feed
    types: Registry
    sandbox: Sandbox
    pictures: Pictures
    outlines: Outlines = field(default_factory=Outlines)

    def session(
        self, name: str, *, user: str = "local", tenant: str = "default", principal: PrincipalKind = "user"
    ) -> "Session":
        """Return the session of this name; it exists as soon as something is in it."""
        for what, value in (("session", name), ("user", user), ("tenant", tenant)):
            if not 0 < len(value) <= LONGEST_SCOPE_NAME or not value.isprintable():
                expected = f"1 to {LONGEST_SCOPE_NAME} printable characters"
                raise InvalidName(what, value, expected=expected)
        scope = Scope(tenant=tenant, user=user, session=name)
        return Session(engine=self, scope=scope, principal=Principal(kind=principal, id=user))

    async def sessions(
        self, *, user: str = "local", tenant: str = "default", limit: int = 100, cursor: str | None = None
    ) -> SessionPage:
        """Return a user's sessions, the one that was active last first."""
        return await self.records.sessions(tenant, user, limit=page_size(limit), cursor=cursor)

    async def find(self, reach: Scope | Reach, reference: str, *, version: int | None = None) -> Filed:
        """Return an artifact at its head or at one version, with the key of its bytes.

        Raises:
            ArtifactNotFound, VersionNotFound, ArtifactExpired: there is none to be had.
            InvalidLimit: the version is no number.
        """
        return await self.records.get(reach, reference, version=version_number(version))

    async def content(self, filed: Filed, *, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the content, or the part of it from byte `start` to before `stop`, in chunks.

        Damaged content raises `ContentDamaged` before its end, a damaged part before its own.
        """
        content = self.outlines.span(filed, start, stop, records=self.records, blobs=self.blobs)
        async with unless_gone(self.records, filed.artifact), aclosing(content) as chunks:
            async for chunk in chunks:
                yield chunk

    async def picture(self, filed: Filed) -> bytes | None:
        """Return a small PNG of a version that was found just now, or None when there is none to be had."""
        return await self.pictures.of(filed)

    async def select(self, filed: Filed, selector: str | None, *, budget: int = SELECTION_BYTES) -> Selection:
        """Return a part of the content as text. See `Session.select`."""
        asked = None if selector is None else Selector.parse(selector)
        version = filed.artifact.version
        room = selection_budget(budget)
        content = await self.outlines.content(filed, records=self.records, blobs=self.blobs)
        async with unless_gone(self.records, filed.artifact):
            found = await select(
                content, asked, media_type=version.media_type, budget_bytes=room, places=content.places
            )
            # A part is as trustworthy as the whole.
            await content.finish()
        return found

    async def remove(self, reach: Scope | Reach, reference: str, *, by: PrincipalKind | None = None) -> None:
        """Let an artifact expire now and delete its bytes, even when the disk is full.

        Raises:
            ArtifactNotFound, ArtifactExpired, ArtifactHeld: nothing was removed.
        """
        gone = await self.retention.space.free(lambda: self.records.remove(reach, reference, by=by))
        await self.retention.space.free(
            lambda: self.retention.bury([Due(id=gone.id, scope=gone.scope, size=gone.size)])
        )

    async def hold(self, reach: Scope | Reach, reference: str, *, held: bool = True) -> Artifact:
        """Pin an artifact so that it stays past its expiry, or let it go."""
        return await self.records.hold(reach, reference, held=held)

    async def execution(self, reach: Scope | Reach, execution_id: str) -> Execution:
        """Return a run with what it made. Raises `ExecutionNotFound`."""
        return await self.runs.executions.get(reach, _execution_id(execution_id))

    async def cancel(self, reach: Scope | Reach, execution_id: str) -> Execution:
        """End a run that has not ended, and return it. Raises `ExecutionNotFound`."""
        return await self.runs.cancel(reach, _execution_id(execution_id))

    async def clean(self) -> Cleaned:
        """Delete now what has expired, what nobody names, and what processes have left that are no more."""
        return await self.retention.clean()

    async def erase(self, reach: Reach) -> Erased:
        """Take everything of a session, a user or a tenant out of the store, held or not, for good."""
        return await self.retention.erase(reach)

    async def isolation(self) -> Isolation:
        """Build the walls once with nothing behind them and say which stand."""
        return await self.sandbox.probe()

    @property
    def collecting(self) -> Collecting:
        """What keeps the outputs of agents, of which a session keeps the same only once."""
        promotions = self.tool_results.promotions
        return Collecting(creation=self.creation, promotions=promotions, types=self.types)

    @property
    def offer(self) -> Offer:
        """What the tools of its sessions can be used for."""
        types = tuple(type_.name for type_ in self.types if type_.name != TOOL_RESULT)
        return Offer(types=types, actions=names_of_actions(self.types), libraries=self.libraries)

    @property
    def libraries(self) -> Mapping[str, str]:
        """What a program can import beside the standard library, name to version."""
        return self.sandbox.libraries


def _execution_id(said: str) -> ExecutionId:
    """Return the id of a run; what none can be is not found, as what is not there."""
    if not said.isascii():
        raise ExecutionNotFound(said)
    return ExecutionId(said)
