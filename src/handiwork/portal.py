"""The engine without `await`: every call is handed to an event loop in a thread of its own.

A thin wrapper, never a twin: what the verbs do is said in `engine` and `session`, and done in the rooms below.
"""

import contextlib
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, Unpack, cast, overload

from anyio.from_thread import BlockingPortal, start_blocking_portal

from handiwork import wiring
from handiwork.actions.ledger import ActionList
from handiwork.client.engine import RemoteEngine, connect
from handiwork.client.session import RemoteSession
from handiwork.context.expander import Expander
from handiwork.context.revealing import Audience, Reveal
from handiwork.context.turn import CONTEXT_TOKENS, TurnContext
from handiwork.engine import Engine
from handiwork.errors import EngineClosed
from handiwork.events import Event, Output
from handiwork.executions.inputs import InputReference
from handiwork.export.bundle import Exported
from handiwork.export.target import Target
from handiwork.model import Acted, Artifact, Execution, Isolation, Limits, PrincipalKind, Reach
from handiwork.retention import Cleaned
from handiwork.sandbox.sandbox import PROGRAM_NAME
from handiwork.session import Session
from handiwork.settings import Settings
from handiwork.store.expiry import Erased
from handiwork.store.records import Page, SessionPage
from handiwork.store.revisions import VersionPage
from handiwork.tasks import in_thread
from handiwork.tools.tool import Answer, Tool
from handiwork.tools.toolbox import Entry, Toolbox
from handiwork.verbs import SELECTION_BYTES, Acting, Described, Introduced, Ordered, Recorded, Retained
from handiwork.versions.selection import Selection
from handiwork.versions.texts import Difference

Drawn = TypeVar("Drawn")
Told = TypeVar("Told")


@contextlib.contextmanager
def open_sync(
    data: str | os.PathLike[str] | None = None, *, settings: Settings | None = None, types: Iterable[object] = ()
) -> Generator["SyncEngine"]:
    """`handiwork.open` for programs without an event loop."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(wiring.open(data, settings=settings, types=types)) as engine,
        Portal(portal) as opened,
    ):
        yield SyncEngine(engine, opened)


@contextlib.contextmanager
def connect_sync(url: str, *, key: str | None = None) -> Generator["SyncRemoteEngine"]:
    """`handiwork.connect` for programs without an event loop."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(connect(url, key=key)) as engine,
        Portal(portal) as opened,
    ):
        yield SyncRemoteEngine(engine, opened)


class Portal:
    """The way into the loop of an engine, until that is closed."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal, self._is_open = portal, True

    def __enter__(self) -> "Portal":
        return self

    def __exit__(self, *_: object) -> None:
        self._is_open = False

    @overload
    def call(self, work: Callable[[], Awaitable[Told]]) -> Told: ...
    @overload
    def call(self, work: Callable[[], Told]) -> Told: ...

    def call(self, work: Callable[[], Any]) -> Any:
        """Do work in the loop and wait for it. Raises `EngineClosed`."""
        if not self._is_open:
            raise EngineClosed
        return self._portal.call(work)


class SyncEngine:
    """`Engine`, call by call."""

    def __init__(self, engine: Engine, portal: Portal) -> None:
        self._engine, self._portal = engine, portal

    def session(
        self, name: str, *, user: str = "local", tenant: str = "default", principal: PrincipalKind = "user"
    ) -> "SyncSession":
        return SyncSession(self._engine.session(name, user=user, tenant=tenant, principal=principal), self._portal)

    def sessions(
        self, *, user: str = "local", tenant: str = "default", limit: int = 100, cursor: str | None = None
    ) -> SessionPage:
        return self._portal.call(lambda: self._engine.sessions(user=user, tenant=tenant, limit=limit, cursor=cursor))

    def clean(self) -> Cleaned:
        return self._portal.call(self._engine.clean)

    def erase(self, reach: Reach) -> Erased:
        return self._portal.call(lambda: self._engine.erase(reach))

    def isolation(self) -> Isolation:
        return self._portal.call(self._engine.isolation)

    @property
    def libraries(self) -> Mapping[str, str]:
        return self._engine.libraries


class SyncRemoteEngine:
    """`RemoteEngine`, call by call."""

    def __init__(self, engine: RemoteEngine, portal: Portal) -> None:
        self._engine, self._portal = engine, portal

    def session(self, name: str, *, user: str | None = None) -> "SyncSession":
        return SyncSession(self._engine.session(name, user=user), self._portal)

    def sessions(self, *, user: str | None = None, limit: int = 100, cursor: str | None = None) -> SessionPage:
        return self._portal.call(lambda: self._engine.sessions(user=user, limit=limit, cursor=cursor))

    def erase(self, reach: Reach) -> Erased:
        return self._portal.call(lambda: self._engine.erase(reach))


class SyncSession:
    """`Session`, verb by verb, in this process or on a server."""

    def __init__(self, session: Session | RemoteSession, portal: Portal) -> None:
        self._session, self._portal = session, portal

    @property
    def session(self) -> Session | RemoteSession:
        """The session itself, for what is to be awaited in the loop of `portal`."""
        return self._session

    @property
    def portal(self) -> Portal:
        return self._portal

    def run(
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
        return self._portal.call(
            lambda: self._session.run(
                code, inputs=inputs, limits=limits, check=check, name=name, on_output=on_output, **told
            )
        )

    def start(
        self, code: str, *, inputs: Sequence[InputReference] = (), limits: Limits | None = None, check: bool = True
    ) -> Execution:
        return self._portal.call(lambda: self._session.start(code, inputs=inputs, limits=limits, check=check))

    def cancel(self, execution_id: str) -> Execution:
        return self._portal.call(lambda: self._session.cancel(execution_id))

    def create(
        self,
        type: str,
        *,
        content: object,
        name: str | None = None,
        retention: Retained = "default",
        **described: Unpack[Introduced],
    ) -> Artifact:
        return self._portal.call(
            lambda: self._session.create(type, content=content, name=name, retention=retention, **described)
        )

    def write(self, arguments: Iterable[str], *, tool_call_id: str | None = None) -> Artifact:
        """`arguments` are taken in a thread, so that they may block until a model has written more."""
        return self._portal.call(lambda: self._session.write(_taken(arguments), tool_call_id=tool_call_id))

    def record(self, tool_call_id: str, *, tool: str, result: object, **told: Unpack[Recorded]) -> Artifact:
        return self._portal.call(lambda: self._session.record(tool_call_id, tool=tool, result=result, **told))

    def promote(self, tool_call_id: str, type: str, *, title: str | None = None) -> Artifact:
        return self._portal.call(lambda: self._session.promote(tool_call_id, type, title=title))

    def collect(
        self, text: str = "", *, metadata: object = None, iteration: int = 0, tool_call_id: str | None = None
    ) -> tuple[Artifact, ...]:
        return self._portal.call(
            lambda: self._session.collect(text, metadata=metadata, iteration=iteration, tool_call_id=tool_call_id)
        )

    def get(self, reference: str, *, version: int | None = None) -> Artifact:
        return self._portal.call(lambda: self._session.get(reference, version=version))

    def read(self, reference: str, *, version: int | None = None) -> bytes:
        return self._portal.call(lambda: self._session.read(reference, version=version))

    def stream(self, reference: str, *, version: int | None = None) -> Generator[bytes]:
        """Yield the content in chunks; damaged content raises `ContentDamaged` before its end."""
        yield from self._drawn(lambda: self._session.stream(reference, version=version))

    def list(
        self,
        *,
        type: str | None = None,
        state: str | None = None,
        query: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        without: str | None = None,
    ) -> Page:
        return self._portal.call(
            lambda: self._session.list(type=type, state=state, query=query, limit=limit, cursor=cursor, without=without)
        )

    def revise(
        self,
        reference: str,
        *,
        content: object = None,
        patch: object = None,
        base_version: int | None = None,
        reason: str | None = None,
        **described: Unpack[Described],
    ) -> Artifact:
        return self._portal.call(
            lambda: self._session.revise(
                reference,
                content=content,
                patch=patch,
                base_version=base_version,
                reason=reason,
                **described,
            )
        )

    def restore(self, reference: str, version: int) -> Artifact:
        return self._portal.call(lambda: self._session.restore(reference, version))

    def versions(self, reference: str, *, limit: int = 100, before: int | None = None) -> VersionPage:
        return self._portal.call(lambda: self._session.versions(reference, limit=limit, before=before))

    def diff(self, reference: str, start: int, end: int | None = None) -> Difference:
        return self._portal.call(lambda: self._session.diff(reference, start, end))

    def select(
        self, reference: str, selector: str | None = None, *, version: int | None = None, budget: int = SELECTION_BYTES
    ) -> Selection:
        return self._portal.call(lambda: self._session.select(reference, selector, version=version, budget=budget))

    def expand(self, text: str, audience: Audience = "user", *, reveal: Reveal = "summary") -> str:
        return self._portal.call(lambda: self._session.expand(text, audience, reveal=reveal))

    def expander(self, audience: Audience = "user", *, reveal: Reveal = "summary") -> Expander:
        """What is given has `feed` and `close`, as the others have."""
        return self._session.expander(audience, reveal=reveal).waiting(self._portal.call)

    def context(self, *, budget: int = CONTEXT_TOKENS) -> TurnContext:
        return self._portal.call(lambda: self._session.context(budget=budget))

    def handoff(self, text: str, *, reveal: Reveal = "summary") -> str:
        return self._portal.call(lambda: self._session.handoff(text, reveal=reveal))

    def label(self, reference: str, *labels: str) -> Artifact:
        return self._portal.call(lambda: self._session.label(reference, *labels))

    def step(self, reference: str, *, state: str | None = None, facts: Mapping[str, object] | None = None) -> Artifact:
        return self._portal.call(lambda: self._session.step(reference, state=state, facts=facts))

    def act(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted:
        return self._portal.call(lambda: self._session.act(reference, action, **said))

    def propose(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted:
        return self._portal.call(lambda: self._session.propose(reference, action, **said))

    def approve(self, action_id: str) -> Acted:
        return self._portal.call(lambda: self._session.approve(action_id))

    def reject(self, action_id: str) -> Acted:
        return self._portal.call(lambda: self._session.reject(action_id))

    def actions(self, reference: str, *, limit: int = 100) -> ActionList:
        return self._portal.call(lambda: self._session.actions(reference, limit=limit))

    def tools(self, extra: Iterable[object] = ()) -> "SyncToolbox":
        return SyncToolbox(self._session.tools(extra), self._portal)

    def as_agent(self) -> "SyncSession":
        return SyncSession(self._session.as_agent(), self._portal)

    def export(self, target: Target, references: Sequence[str] | None = None) -> Exported:
        return self._portal.call(lambda: self._session.export(target, references))

    def execution(self, execution_id: str) -> Execution:
        return self._portal.call(lambda: self._session.execution(execution_id))

    def remove(self, reference: str) -> None:
        self._portal.call(lambda: self._session.remove(reference))

    def hold(self, reference: str, *, held: bool = True) -> Artifact:
        return self._portal.call(lambda: self._session.hold(reference, held=held))

    def watch(self, *, after: int = 0) -> Generator[Event]:
        """Yield events without end; it blocks until the next one comes."""
        yield from self._drawn(lambda: self._session.watch(after=after))

    def _drawn(self, begin: Callable[[], AsyncGenerator[Drawn]]) -> Generator[Drawn]:
        items = begin()
        try:
            while True:
                try:
                    yield self._portal.call(items.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            # With its engine it was closed too.
            with contextlib.suppress(EngineClosed):
                self._portal.call(items.aclose)


class SyncToolbox:
    """`Toolbox`, call by call."""

    def __init__(self, toolbox: Toolbox, portal: Portal) -> None:
        self._toolbox, self._portal = toolbox, portal

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._toolbox)

    def __len__(self) -> int:
        return len(self._toolbox)

    def openai(self) -> "list[Entry]":
        return self._toolbox.openai()

    def openai_chat(self) -> "list[Entry]":
        return self._toolbox.openai_chat()

    def anthropic(self) -> "list[Entry]":
        return self._toolbox.anthropic()

    def mcp(self) -> "list[Entry]":
        return self._toolbox.mcp()

    def call(self, name: str, arguments: object, *, tool_call_id: str | None = None) -> Answer:
        return self._portal.call(lambda: self._toolbox.call(name, arguments, tool_call_id=tool_call_id))


async def _taken(pieces: Iterable[str]) -> AsyncGenerator[str]:
    iterator, end = iter(pieces), object()
    while (piece := await in_thread(next, iterator, end)) is not end:
        yield cast("str", piece)
