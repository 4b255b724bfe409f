"""The session over HTTP: the verbs of `handiwork.session`, each a request or a few. How they travel is in this room."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Unpack

from handiwork.actions.ledger import ActionList
from handiwork.characters import whole_characters
from handiwork.client import answers
from handiwork.client.actions import acted_on, decided, listed_actions, moved
from handiwork.client.connection import Query
from handiwork.client.contents import Body, Given, body_of, object_of, result_of, revision_of, seconds_of
from handiwork.client.downloads import Download
from handiwork.client.expanding import expander_over
from handiwork.client.history import listed_versions
from handiwork.client.json_bodies import unhurried
from handiwork.client.place import Place
from handiwork.client.runs import RemoteRuns, order_of
from handiwork.context.artifact_store import ArtifactStore
from handiwork.context.expander import Expander
from handiwork.context.revealing import Audience, Reveal, demand_reader
from handiwork.context.turn import CONTEXT_TOKENS, TurnContext, context_budget
from handiwork.errors import InvalidContent
from handiwork.events import Event, Output
from handiwork.executions.inputs import InputReference
from handiwork.export.bundle import Exported
from handiwork.export.target import Target, export
from handiwork.media.names import named_after
from handiwork.model import MIB, Acted, Artifact, Execution, Limits, Principal, Scope
from handiwork.sandbox.sandbox import PROGRAM_NAME
from handiwork.store.records import Page
from handiwork.store.revisions import VersionPage
from handiwork.tasks import in_thread, to_the_end
from handiwork.tools.tool import Offer
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
    handle_asked,
    page_size,
    retention_asked,
    selection_budget,
)
from handiwork.versions.arguments import Arguments
from handiwork.versions.calls import GenerateArtifact, ReviseArtifact, parsed_call, said_in, suffix_of
from handiwork.versions.content import HostFile
from handiwork.versions.notes import demand_named, demand_texts, distinct_labels
from handiwork.versions.selection import Selection
from handiwork.versions.selectors import Selector
from handiwork.versions.texts import Difference
from handiwork.versions.tool_results import demand_tool, demand_tool_call_id

# With more it is asked for the cap first: a server that refuses so much may be gone before its answer is read.
UNASKED_BYTES = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSession:
    """One conversation of one user on a server. An artifact is named by its id or its handle.

    Every verb may raise `ServerUnreachable`, and one that changes something `ConnectionBroken`, after which it is not
    known whether it was carried out.
    """

    place: Place
    principal: Principal
    offer: Offer = field(default_factory=Offer, repr=False)

    @property
    def scope(self) -> Scope:
        return self.place.scope

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
        """Run a Python program on the server and keep the files that it makes. See `Session.run`.

        Files among the inputs are sent first, and removed when the run has ended. Who stops waiting ends the run only
        where `on_output` follows it; otherwise the server sees it through.
        """
        order = order_of(code, limits, check=check)
        async with self._runs.given(inputs) as (named, sent):
            said = {"name": name, "title": told.get("title"), "toolCallId": told.get("tool_call_id")}
            whole = {**order, **said, "inputs": named}
            ended = await (self._runs.waited_for(whole) if on_output is None else self._runs.followed(whole, on_output))
        await to_the_end(self._runs.take_back(sent))
        return ended

    async def start(
        self, code: str, *, inputs: Sequence[InputReference] = (), limits: Limits | None = None, check: bool = True
    ) -> Execution:
        """Put a program into the queue and return at once; `execution` and `watch` tell what becomes of it.

        Files among the inputs are sent first, and expire after a day.
        """
        order = order_of(code, limits, check=check)
        async with self._runs.given(inputs) as (named, _sent):
            return await self._runs.started({**order, "inputs": named})

    async def cancel(self, execution_id: str) -> Execution:
        """End a run that has not ended, and return it. Raises `ExecutionNotFound`."""
        return await self.place.execution("POST", execution_id, "/cancel")

    async def create(
        self,
        type: str,
        *,
        content: object,
        name: str | None = None,
        retention: Retained = "default",
        **described: Unpack[Introduced],
    ) -> Artifact:
        """Store content as a new artifact. See `Session.create`.

        A file is sent while it is read. Text in pieces is sent as it comes, and seen by those who follow.
        """
        demand_whole(type=type)
        demand_named(name=name, title=described.get("title"))
        demand_texts(language=described.get("language"), summary=described.get("summary"))
        fields = {
            "type": type,
            "name": name,
            "title": described.get("title"),
            "language": described.get("language"),
            "metadata": object_of(described.get("metadata"), "metadata"),
            "retention": seconds_of(retention_asked(retention)),
            "summary": described.get("summary"),
            "handle": handle_asked(described.get("handle")),
        }
        given = Given(content, subject=name or described.get("title") or type)
        if given.is_in_pieces or given.size > UNASKED_BYTES:
            given.demand_within(await self.place.cap(type), type_name=type)
        body = await unhurried(content, lambda: body_of(given, fields, type_name=type))
        call = self.place.call("POST", f"{self.place.path}/artifacts", body=body)
        with given.refused_alike():
            return await self.place.ask(call, answers.first_artifact)

    async def write(self, arguments: AsyncIterable[str] | Arguments, *, tool_call_id: str | None = None) -> Artifact:
        """Create or revise as a model's tool call says. See `Session.write`; here it is sent when it is whole."""
        whole = await (arguments if isinstance(arguments, Arguments) else Arguments(arguments)).whole()
        if "artifactId" in whole or "artifact_id" in whole:
            revised = parsed_call(ReviseArtifact, whole)
            said = {name: value for name, value in said_in(revised).items() if name != "artifactId"}
            body = Body(value={**said, "toolCallId": tool_call_id})
            return await self.place.artifact("POST", revised.artifact_id, "/versions", body=body)
        asked = parsed_call(GenerateArtifact, whole)
        said = said_in(asked)
        if (suffix := suffix_of(asked)) and asked.type == "file":
            said["name"] = named_after(asked.title or "untitled", suffix)
        call = self.place.call(
            "POST", f"{self.place.path}/artifacts", body=Body(value=said | {"toolCallId": tool_call_id})
        )
        return await self.place.ask(call, answers.artifact)

    async def record(self, tool_call_id: str, *, tool: str, result: object, **told: Unpack[Recorded]) -> Artifact:
        """Keep what a tool has answered, bytes, text or any JSON value. See `Session.record`."""
        demand_tool_call_id(tool_call_id)
        demand_tool(tool)
        ttl = told.get("ttl")
        said = {
            "toolCallId": tool_call_id,
            "tool": tool,
            "category": told.get("category"),
            "mediaType": told.get("media_type"),
            "failed": told.get("failed", False),
            "ttl": None if ttl is None else seconds_of(ttl),
            "summaryData": object_of(told.get("summary_data"), "summary data"),
        }
        body = Body(value={**said, **await unhurried(result, lambda: result_of(result))})
        return await self.place.ask(
            self.place.call("POST", f"{self.place.path}/tool-results", body=body), answers.artifact
        )

    async def promote(self, tool_call_id: str, type: str, *, title: str | None = None) -> Artifact:
        """Make an artifact that stays of what a tool has answered last without failing. See `Session.promote`."""
        demand_whole(type=type, title=title)
        body = Body(value={"toolCallId": tool_call_id, "type": type, "title": title})
        return await self.place.ask(
            self.place.call("POST", f"{self.place.path}/promotions", body=body), answers.artifact
        )

    async def collect(
        self, text: str = "", *, metadata: object = None, iteration: int = 0, tool_call_id: str | None = None
    ) -> tuple[Artifact, ...]:
        """Keep what a text holds and a tool's `metadata` declares. See `Session.collect`."""
        whole = whole_characters(text) if isinstance(text, str) else text  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        said = {"text": whole, "metadata": metadata, "iteration": iteration, "toolCallId": tool_call_id}
        call = self.place.call("POST", f"{self.place.path}/collect", body=Body(value=said))
        return await self.place.ask(call, answers.artifacts)

    async def get(self, reference: str, *, version: int | None = None) -> Artifact:
        """Return an artifact at its head or at one version. See `Session.get`."""
        await self.place.demand_number(reference, version)
        return await self.place.artifact("GET", reference, query={"version": version})

    async def read(self, reference: str, *, version: int | None = None) -> bytes:
        """Return the content, its hash checked. For large content use `stream`."""
        async with aclosing(self.stream(reference, version=version)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def stream(self, reference: str, *, version: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the content in chunks, and read on where the connection broke.

        Raises:
            ContentDamaged: it is not what its hash says; the end of it does not come.
        """
        await self.place.demand_number(reference, version)
        call = self.place.call_on(reference, "GET", "/content", query={"version": version})
        async with aclosing(Download(self.place.connection, call, reference=reference).chunks()) as chunks:
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
        """Return artifacts of the session, newest first. See `Session.list`."""
        demand_whole(type=type, without=without, state=state, query=query)
        narrowed: Query = {"type": type, "without": without, "state": state, "q": query}
        asked: Query = {**narrowed, "limit": page_size(limit), "cursor": cursor}
        return await self.place.ask(self.place.call("GET", f"{self.place.path}/artifacts", query=asked), answers.page)

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
        """Make the next version, from exactly one of `content` and `patch`. See `Session.revise`."""
        if (content is None) == (patch is None):
            got = "none" if content is None else "both"
            raise InvalidContent("revision", expected="exactly one of `content` and `patch`", got=got)
        await self.place.demand_number(reference, base_version)
        demand_named(title=described.get("title"))
        demand_texts(language=described.get("language"), reason=reason)
        fields: dict[str, object] = {
            "baseVersion": base_version,
            "reason": reason,
            "title": described.get("title"),
            "language": described.get("language"),
            "metadata": object_of(described.get("metadata"), "metadata"),
        }
        if isinstance(content, Path):
            file = HostFile.at(content)
            type_name = (await self.get(reference)).type
            Given(content, subject=reference).demand_within(await self.place.cap(type_name), type_name=type_name)
            content = await in_thread(file.read_at, 0, file.size)
        given = Given(content, subject=reference)
        if given.is_in_pieces or given.size > UNASKED_BYTES:
            type_name = (await self.get(reference)).type
            given.demand_within(await self.place.cap(type_name), type_name=type_name)
        body = await unhurried([content, patch], lambda: revision_of(given, patch, fields))
        with given.refused_alike():
            return await self.place.artifact("POST", reference, "/versions", body=body)

    async def restore(self, reference: str, version: int) -> Artifact:
        """Make an earlier version the newest again, as a version of its own."""
        await self.place.demand_number(reference, version)
        return await self.place.artifact("POST", reference, "/restore", body=Body(value={"version": version}))

    async def versions(self, reference: str, *, limit: int = 100, before: int | None = None) -> VersionPage:
        """Return versions with numbers below `before`, the newest first."""
        return await listed_versions(self.place, reference, limit=limit, before=before)

    async def diff(self, reference: str, start: int, end: int | None = None) -> Difference:
        """Tell what differs between two versions; `end` None is the newest."""
        await self.place.demand_number(reference, start)
        await self.place.demand_number(reference, end)
        call = self.place.call_on(reference, "GET", "/diff", query={"from": start, "to": end})
        return await self.place.ask(call, lambda told, _scope: answers.difference(told))

    async def select(
        self, reference: str, selector: str | None = None, *, version: int | None = None, budget: int = SELECTION_BYTES
    ) -> Selection:
        """Return a part of the content as text; without a selector all of it. See `Session.select`."""
        await self.place.demand_number(reference, version)
        asked = None if selector is None else str(Selector.parse(selector))
        query: Query = {"version": version, "select": asked, "budget": selection_budget(budget)}
        call = self.place.call_on(reference, "GET", "/content", query=query)
        answer = await self.place.connection.fetch(call)
        return self.place.read(call, lambda told, _scope: answers.selection(told.headers, told.body), answer)

    async def expand(self, text: str, audience: Audience = "user", *, reveal: Reveal = "summary") -> str:
        """Return a text with its references expanded for who reads it. See `Session.expand`."""
        demand_reader(audience, reveal)
        body = Body(value={"text": text, "audience": audience, "reveal": reveal})
        call = self.place.call("POST", f"{self.place.path}/expand", body=body)
        return await self.place.ask(call, lambda told, _scope: answers.expanded(told))

    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander:
        """Return what expands a text that comes in pieces, as `expand` does one that is whole."""
        return expander_over(self.place, lambda place: replace(self, place=place), audience, reveal)

    async def context(self, *, budget: int = CONTEXT_TOKENS) -> TurnContext:
        """Return what an agent is told at the beginning of its turn. See `Session.context`."""
        call = self.place.call("GET", f"{self.place.path}/context", query={"budget": context_budget(budget)})
        return await self.place.ask(call, lambda told, _scope: answers.turn_context(told))

    async def handoff(self, text: str, *, reveal: Reveal = "summary") -> str:
        """Store what an agent has marked as an artifact, and return what others are to see. See `Session.handoff`."""
        return await ArtifactStore.over(self).handoff(text, reveal=reveal)

    async def label(self, reference: str, *labels: str) -> Artifact:
        """Replace the labels of an artifact."""
        return await self.place.artifact(
            "PUT", reference, "/labels", body=Body(value={"labels": list(distinct_labels(labels))})
        )

    async def step(
        self, reference: str, *, state: str | None = None, facts: Mapping[str, object] | None = None
    ) -> Artifact:
        """Go on to a state that the type allows from this one, and note facts. See `Session.step`."""
        return await moved(self.place, reference, by=self.principal, state=state, facts=facts)

    async def act(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted:
        """Do an action, or propose it where the key permits no more. See `Session.act`."""
        return await acted_on(self.place, reference, action, is_proposal=self.principal.kind == "agent", **said)

    async def propose(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted:
        """Ask a user for an action on one version of an artifact. See `Session.propose`."""
        return await acted_on(self.place, reference, action, is_proposal=True, **said)

    async def approve(self, action_id: str) -> Acted:
        """Agree to what was proposed and do it, where the key permits that. See `Session.approve`."""
        return await decided(self.place, action_id, "approve", by=self.principal)

    async def reject(self, action_id: str) -> Acted:
        """Turn down what was proposed. See `Session.reject`."""
        return await decided(self.place, action_id, "reject", by=self.principal)

    async def actions(self, reference: str, *, limit: int = 100) -> ActionList:
        """Return what can be done with an artifact now, and what was proposed and done. See `Session.actions`."""
        return await listed_actions(self.place, reference, limit=limit)

    async def remove(self, reference: str) -> None:
        """Let an artifact expire now and delete its bytes. Raises `ArtifactHeld` for one that is pinned."""
        await self.place.connection.fetch(self.place.call_on(reference, "DELETE"))

    async def hold(self, reference: str, *, held: bool = True) -> Artifact:
        """Pin an artifact so that it stays past its expiry, or let it go."""
        return await self.place.artifact("PUT", reference, "/hold", body=Body(value={"held": held}))

    async def export(self, target: Target, references: Sequence[str] | None = None) -> Exported:
        """Write a ZIP of the session, or of these artifacts, on this machine. See `Session.export`."""
        return await export(self, target, references)

    def tools(self, extra: Iterable[object] = ()) -> Toolbox:
        """Return the tools for a model. See `Session.tools` and `as_agent`."""
        return Toolbox(self.as_agent(), self.offer, extra)

    def as_agent(self) -> "RemoteSession":
        """Return this session for an agent, which only proposes; as whose it is told what is made says the key."""
        return replace(self, principal=replace(self.principal, kind="agent"))

    async def execution(self, execution_id: str) -> Execution:
        """Return a run of this session. Raises `ExecutionNotFound`."""
        return await self.place.execution("GET", execution_id)

    async def watch(self, *, after: int = 0) -> AsyncGenerator[Event]:
        """Yield what happens in the session from the cursor `after` on, without end. See `Session.watch`.

        It goes on by itself when the connection broke or the server was away, with nothing missed and nothing twice.
        """
        async with aclosing(self._runs.events(after)) as told:
            async for each in told:
                if isinstance(each, Event):
                    yield each

    @property
    def _runs(self) -> RemoteRuns:
        return RemoteRuns(place=self.place)
