"""The session: the verbs of Handiwork for one conversation of one user. How each is done lies in the rooms below."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Unpack, cast

from handiwork.actions.ledger import ActionList
from handiwork.context.artifact_store import ArtifactStore
from handiwork.context.expander import Expander
from handiwork.context.revealing import Audience, Linking, Reveal, Revealing
from handiwork.context.turn import CONTEXT_TOKENS, TurnContext, turn_context
from handiwork.events import Event, Output
from handiwork.executions.inputs import InputReference
from handiwork.executions.runs import Order
from handiwork.export.bundle import Exported
from handiwork.export.target import Target, export
from handiwork.model import Acted, Artifact, Execution, Limits, Principal, Provenance, Scope
from handiwork.sandbox.sandbox import PROGRAM_NAME
from handiwork.store.records import Page, Promotion, Search
from handiwork.store.revisions import VersionPage
from handiwork.tools.toolbox import Toolbox
from handiwork.verbs import (
    SELECTION_BYTES,
    Acting,
    Described,
    Introduced,
    Ordered,
    Recorded,
    Retained,
    demand_whole,
    page_size,
    version_number,
)
from handiwork.versions.arguments import Arguments
from handiwork.versions.collecting import Output as AgentOutput
from handiwork.versions.differences import MISSING
from handiwork.versions.drafts import introduced
from handiwork.versions.revising import Revision
from handiwork.versions.selection import Selection
from handiwork.versions.texts import Difference
from handiwork.versions.tool_results import ToolResult

if TYPE_CHECKING:
    from handiwork.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation of one user. An artifact is named by its id or its handle."""

    engine: "Engine"
    scope: Scope
    principal: Principal
    link: Linking | None = None
    """Makes addresses for users; None where there is no server that could answer at them."""

    async def run(
        self,
        code: str,
        *,
        inputs: Sequence[InputReference] = (),
        limits: Limits | None = None,
        check: bool = True,
        name: str = PROGRAM_NAME,
        on_output: Callable[[Output], None] | None = None,
        **told: Unpack[Ordered],
    ) -> Execution:
        """Run a Python program in the sandbox and keep the files that it makes.

        The program finds its inputs by name in its folder. A program that fails is a result: look at `status`,
        `error` and `outcome.refused`. `on_output` is told what it writes while it runs; it must return at once.

        Raises:
            ArtifactNotFound, InputNotFound, InvalidLimit, LimitExceeded, ContentTooLarge, QueueFull: nothing was run.
            IsolationUnavailable: the walls that the configuration demands cannot stand here; nothing was run.
        """
        order = Order(code=code, inputs=inputs, limits=limits, is_checked=check, name=name, on_output=on_output, **told)
        return await self.engine.runs.carry_out(self.scope, self.principal, order)

    async def start(
        self, code: str, *, inputs: Sequence[InputReference] = (), limits: Limits | None = None, check: bool = True
    ) -> Execution:
        """Put a program into the queue and return at once; `execution` and `watch` tell what becomes of it."""
        order = Order(code=code, inputs=inputs, limits=limits, is_checked=check)
        return await self.engine.runs.start(self.scope, self.principal, order)

    async def cancel(self, execution_id: str) -> Execution:
        """End a run that has not ended, and return it. Raises `ExecutionNotFound`."""
        return await self.engine.cancel(self.scope, execution_id)

    async def create(
        self,
        type: str,
        *,
        content: object,
        name: str | None = None,
        retention: Retained = "default",
        **described: Unpack[Introduced],
    ) -> Artifact:
        """Store content as a new artifact: bytes, text, a `Path`, or any JSON value for a type of structured content.

        Text is stored as UTF-8, and a path gives its name too. It may come in pieces, from an async iterator: who
        follows sees it as it is written, and when it breaks off nothing is stored. The artifact expires after
        `retention`, or never when that is None.

        Raises:
            ContentRefused: it is not what the type demands; the error says where and what was expected.
            UnknownType, InvalidName, InvalidLimit, ContentTooLarge, UnsupportedFormat: nothing was stored.
            HandleTaken: another artifact of the session has this `handle`.
            QuotaExceeded, StorageFull: there is no room for it.
        """
        demand_whole(type=type)
        type_, provenance = self.engine.types.named(type), Provenance(principal=self.principal)
        draft = await introduced(type_, content, name=name, retention=retention, provenance=provenance, **described)
        if isinstance(content, AsyncIterable):
            return await self.engine.writing.create(self.scope, draft, cast("AsyncIterable[str]", content))
        self.engine.creation.admission.demand_described(draft)
        return (await self.engine.creation.file(self.scope, [draft]))[0]

    async def write(self, arguments: AsyncIterable[str] | Arguments, *, tool_call_id: str | None = None) -> Artifact:
        """Create or revise as a model's tool call says, while its arguments arrive as pieces of JSON text.

        `{type, title, content, language?, mediaType?}` creates, `{artifactId, content | patch, baseVersion?, reason?}`
        revises. Who follows sees a text as it is written; when the arguments break off nothing is stored.

        Raises:
            InvalidContent: they are the arguments of neither; the error names the first that is wrong.
            What `create` and `revise` raise.
        """
        given = arguments if isinstance(arguments, Arguments) else Arguments(arguments)
        provenance = Provenance(principal=self.principal, tool_call_id=tool_call_id)
        return await self.engine.writing.write(self.scope, given, provenance)

    async def record(self, tool_call_id: str, *, tool: str, result: object, **told: Unpack[Recorded]) -> Artifact:
        """Keep what a tool has answered, bytes, text or any JSON value, as an artifact of the type `tool_result`.

        It can be read in parts by `select` until it expires, and promoted if it has not `failed`.

        Raises:
            InvalidName, InvalidLimit: the id, the tool or the category cannot be; `ttl` is over 24 hours.
            ContentRefused, ContentTooLarge, UnsupportedFormat, QuotaExceeded, StorageFull: nothing was stored.
        """
        provenance = Provenance(principal=self.principal)
        answer = ToolResult(tool_call_id=tool_call_id, tool=tool, result=result, provenance=provenance, **told)
        return await self.engine.tool_results.record(self.scope, answer)

    async def promote(self, tool_call_id: str, type: str, *, title: str | None = None) -> Artifact:
        """Make an artifact that stays of what a tool has answered last without failing.

        Whoever asks again, also at the same time, gets the artifact that was made first, as it is now.

        Raises:
            ToolResultNotFound: nothing was recorded of this call that is kept yet, or only failures.
            ContentRefused, ContentTooLarge, UnknownType: the answer is no content of this type.
        """
        demand_whole(type=type, title=title)
        asked, provenance = Promotion(tool_call_id=tool_call_id, type=type), Provenance(principal=self.principal)
        made = await self.engine.tool_results.promote(self.scope, asked, title=title, provenance=provenance)
        return made.artifact

    async def collect(
        self, text: str = "", *, metadata: object = None, iteration: int = 0, tool_call_id: str | None = None
    ) -> tuple[Artifact, ...]:
        """Keep the code blocks and the document that a text holds, and the artifacts that a tool's `metadata` declares.

        Names are those of `ArtifactCollector`; nothing is cut. What the session has kept of an earlier output is
        returned as it is now, and not made again.

        Raises:
            NotCollected: something of it cannot be kept; the error says which. Nothing was stored.
            InvalidContent, InvalidLimit, InvalidName: there is too much of it, or no such iteration or tool call.
            QuotaExceeded, StorageFull: there is no room for it.
        """
        provenance = Provenance(principal=self.principal, tool_call_id=tool_call_id)
        output = AgentOutput(text=text, metadata=metadata, iteration=iteration, provenance=provenance)
        return (await self.engine.collecting.collect(self.scope, output)).artifacts

    async def get(self, reference: str, *, version: int | None = None) -> Artifact:
        """Return an artifact at its head or at one version.

        Raises:
            ArtifactNotFound, VersionNotFound, ArtifactExpired: there is none to be had.
        """
        return (await self.engine.find(self.scope, reference, version=version)).artifact

    async def read(self, reference: str, *, version: int | None = None) -> bytes:
        """Return the content, its hash checked. For large content use `stream`."""
        return b"".join([chunk async for chunk in self.stream(reference, version=version)])

    async def stream(self, reference: str, *, version: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the content in chunks; damaged content raises `ContentDamaged` before its end."""
        filed = await self.engine.find(self.scope, reference, version=version)
        async with aclosing(self.engine.content(filed)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def list(
        self,
        *,
        type: str | None = None,
        state: str | None = None,
        query: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        without: str | None = None,
    ) -> Page:
        """Return artifacts of the session, newest first; `query` is a text in title, file name or handle.

        Those of the type `without` are left out.
        """
        demand_whole(type=type, without=without, state=state, query=query)
        search = Search(type=self.engine.types.searched(type), without=without, state=state, text=query)
        return await self.engine.records.page(self.scope, search=search, limit=page_size(limit), cursor=cursor)

    async def revise(
        self,
        reference: str,
        *,
        content: object = None,
        patch: object = None,
        base_version: int | None = None,
        reason: str | None = None,
        **described: Unpack[Described],
    ) -> Artifact:
        """Make the next version, from exactly one of `content` and `patch`; what is not said carries forward.

        A patch is a list of edits `{"find": …, "replace": …}` of which each must fit exactly one place, a JSON Patch,
        or a merge patch as an object. `base_version` is the version that it was decided on: when there is a newer one,
        both changes are merged. Content that is the same as before makes no version. JSON's `null` is given as text.

        Raises:
            ContentRefused, PatchRefused, EditMissed, ContentTooLarge: nothing was changed; the error says what to do.
            VersionConflict: both changed the same places; it shows both sides.
        """
        revision = Revision(
            content=MISSING if content is None else content,
            patch=patch,
            base_version=base_version,
            **described,
            provenance=Provenance(principal=self.principal, reason=reason),
        )
        if not isinstance(content, AsyncIterable):
            return await self.engine.revising.revise(self.scope, reference, revision)
        self.engine.revising.demand_possible(revision)
        head = await self.get(reference)
        return await self.engine.writing.revise(head, revision, cast("AsyncIterable[str]", content))

    async def restore(self, reference: str, version: int) -> Artifact:
        """Make an earlier version the newest again, as a version of its own."""
        provenance = Provenance(principal=self.principal)
        return await self.engine.revising.restore(self.scope, reference, version, provenance=provenance)

    async def versions(self, reference: str, *, limit: int = 100, before: int | None = None) -> VersionPage:
        """Return versions with numbers below `before`, the newest first."""
        limit, before = page_size(limit), version_number(before)
        return await self.engine.revising.revisions.listing(self.scope, reference, limit=limit, before=before)

    async def diff(self, reference: str, start: int, end: int | None = None) -> Difference:
        """Tell what differs between two versions; `end` None is the newest."""
        return await self.engine.revising.diff(self.scope, reference, start, end)

    async def select(
        self, reference: str, selector: str | None = None, *, version: int | None = None, budget: int = SELECTION_BYTES
    ) -> Selection:
        """Return a part of the content as text; without a selector all of it.

        A selector is one of `rows=10:20 lines=1:50 head=20 tail=20 path=$.a[3] grep=text search=words`. At most
        `budget` bytes come at once; `continuation` is the selector of what follows, and `tokens` estimates what the
        text costs a model.

        Raises:
            SelectorRefused, SelectorMisfit: the error names the forms, and what would fit.
        """
        filed = await self.engine.find(self.scope, reference, version=version)
        return await self.engine.select(filed, selector, budget=budget)

    async def expand(self, text: str, audience: Audience = "user", *, reveal: Reveal = "summary") -> str:
        """Return a text with its references expanded for who reads it.

        A `user` sees text inline, pictures and links; a `model` short references, never an address; another `agent` as
        much as `reveal` says. A reference that leads nowhere in this session stays as it is written, and what was put
        in is not looked at again.
        """
        expander = self.expander(audience, reveal=reveal)
        return await expander.take(text) + await expander.end()

    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander:
        """Return what expands a text that comes in pieces, as `expand` does one that is whole."""
        return Expander(Revealing(reading=self, audience=audience, reveal=reveal, link=self.link))

    async def context(self, *, budget: int = CONTEXT_TOKENS) -> TurnContext:
        """Return what an agent is told at the beginning of its turn, `budget` tokens of it at most.

        The inventory of live artifacts comes first, the same bytes as long as nothing changes, then what users did:
        edits, changes of state, facts and labels, restores and removals, the oldest ones as a count.
        """
        return await turn_context(self.engine.records, self.engine.feed, self.scope, budget=budget)

    async def handoff(self, text: str, *, reveal: Reveal = "summary") -> str:
        """Store what an agent has marked as an artifact, and return what others are to see of it.

        That is the reference, with its summary unless `reveal` is `none`, or with `full` the content in a fence. The
        form is that of `handiwork.HANDOFF_INSTRUCTIONS`; any other text is returned as it is. Raises as `create` does.
        """
        return await ArtifactStore.over(self).handoff(text, reveal=reveal)

    async def label(self, reference: str, *labels: str) -> Artifact:
        """Replace the labels of an artifact."""
        return await self.engine.marking.label(self.scope, reference, labels, by=self.principal.kind)

    async def step(
        self, reference: str, *, state: str | None = None, facts: Mapping[str, object] | None = None
    ) -> Artifact:
        """Go on to a state that the type allows from this one, and note facts; a fact that is None is taken away.

        Raises:
            ApprovalNeeded, IllegalTransition: an agent proposes it instead; it says which steps there are.
        """
        return await self.engine.marking.step(self.scope, reference, state=state, facts=facts, by=self.principal.kind)

    async def act(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted:
        """Do an action, once for an `idempotency_key`; an agent only proposes it. Raises as `propose` and `approve`."""
        return await self.engine.ledger.act(self.scope, reference, action, by=self.principal, **said)

    async def propose(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted:
        """Ask a user for an action on one version of an artifact; an edit of that voids it, and so does a day.

        Raises:
            ActionImpossible: the artifact has no such action in its state; it says which ones there are.
            ActionVoid, ActionStale, ActionDecided: it is for an older version, or what its key stands for is over.
            InvalidContent, InvalidName, InvalidLimit, IdempotencyKeyReused: nothing can be asked for in this way.
            ArtifactNotFound, ArtifactExpired: there is none to be had.
        """
        return await self.engine.ledger.propose(self.scope, reference, action, by=self.principal, **said)

    async def approve(self, action_id: str) -> Acted:
        """Agree to what was proposed and do it; however often it is approved, it is done once.

        Raises:
            ApprovalNeeded, ActionNotFound: an agent approves nothing, and what is not there cannot be approved.
            ActionVoid, ActionStale, ActionDecided, ActionImpossible, ArtifactExpired, MarksMoved: it holds no longer.
        """
        return await self.engine.ledger.approve(self.scope, action_id, by=self.principal)

    async def reject(self, action_id: str) -> Acted:
        """Turn a proposal down. Raises `ApprovalNeeded`, `ActionNotFound`, `ActionDecided` and `ArtifactExpired`."""
        return await self.engine.ledger.reject(self.scope, action_id, by=self.principal)

    async def actions(self, reference: str, *, limit: int = 100) -> ActionList:
        """Return what can be done, and what was proposed and done, newest first. Raises as `get` and `InvalidLimit`."""
        return await self.engine.ledger.listing(self.scope, reference, limit=page_size(limit))

    async def remove(self, reference: str) -> None:
        """Let an artifact expire now and delete its bytes. Raises `ArtifactHeld` for one that is pinned."""
        await self.engine.remove(self.scope, reference, by=self.principal.kind)

    async def hold(self, reference: str, *, held: bool = True) -> Artifact:
        """Pin an artifact so that it stays past its expiry, or let it go."""
        return await self.engine.hold(self.scope, reference, held=held)

    async def export(self, target: Target, references: Sequence[str] | None = None) -> Exported:
        """Write a ZIP that shows the session, or these artifacts, with no server: all versions, a page, a manifest.

        A path must be free, and gets the file when it is whole; into something open it is written as it comes.

        Raises:
            ArtifactNotFound, ArtifactExpired: an artifact that was named is not to be had.
            ContentDamaged: stored bytes are not what was stored; what was written is no whole ZIP.
            InvalidName, StorageFull, StorageFailed: it cannot be written there.
        """
        return await export(self, target, references)

    def tools(self, extra: Iterable[object] = ()) -> Toolbox:
        """Return the tools for a model, which act as the agent, whoever's session it is.

        `extra` are functions that are marked with `@handiwork.tool`. Raises `InvalidTool`.
        """
        return Toolbox(self.as_agent(), self.engine.offer, extra)

    def as_agent(self) -> "Session":
        """Return this session for an agent: what is made and changed in it is told as the agent's."""
        return replace(self, principal=Principal(kind="agent", id=self.principal.id))

    async def execution(self, execution_id: str) -> Execution:
        """Return a run of this session. Raises `ExecutionNotFound`."""
        return await self.engine.execution(self.scope, execution_id)

    async def watch(self, *, after: int = 0) -> AsyncGenerator[Event]:
        """Yield what happens in the session from the cursor `after` on, here and in other processes, without end.

        `after` is the `seq` of the last event that was seen, or of a page of `list`; 0 is the beginning. What programs
        write while they run is not among it: `run` tells that to `on_output`.

        Raises:
            CursorTooOld: those events are kept no longer; list the artifacts and follow from that page's `seq`.
        """
        async with aclosing(self.engine.feed.follow(self.scope, after=after)) as events:
            async for event in events:
                yield event
