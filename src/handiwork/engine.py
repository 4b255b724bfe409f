"""The engine and its sessions: the verbs of Handiwork in Python. How each is done lies in the rooms below."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from handiwork.errors import InvalidLimit, InvalidName
from handiwork.events import Event, Output
from handiwork.executions.inputs import InputReference
from handiwork.executions.pictures import Pictures
from handiwork.executions.runs import Order, Runs
from handiwork.feed import Feed
from handiwork.ids import ExecutionId
from handiwork.model import (
    KIB,
    LONGEST_RETENTION,
    MIB,
    Artifact,
    Execution,
    Isolation,
    Limits,
    Principal,
    PrincipalKind,
    Provenance,
    Reach,
    Scope,
)
from handiwork.retention import Cleaned, Retention
from handiwork.sandbox.sandbox import PROGRAM_NAME, Sandbox
from handiwork.store.blobs import Blobs
from handiwork.store.expiry import Due, Erased
from handiwork.store.reading import read_verified
from handiwork.store.records import Filed, Page, Records, Search, SessionPage
from handiwork.store.revisions import VersionPage
from handiwork.types.registry import Registry
from handiwork.versions.content import Stored
from handiwork.versions.creation import Creation
from handiwork.versions.drafts import Draft, content_of
from handiwork.versions.excerpts import select
from handiwork.versions.marking import Marking
from handiwork.versions.revising import Revising, Revision
from handiwork.versions.selection import Selection
from handiwork.versions.selectors import Selector
from handiwork.versions.texts import Difference

LONGEST_SCOPE_NAME = 200
MOST_ON_A_PAGE = 1000
SELECTION_BYTES = 32 * KIB
LARGEST_SELECTION_BYTES = MIB

Retained = timedelta | Literal["default"] | None


class Described(TypedDict, total=False):
    """What may be said of content beside itself; a new version carries forward what is not said."""

    title: str | None
    language: str | None
    metadata: Mapping[str, object] | None


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
    runs: Runs
    retention: Retention
    feed: Feed
    types: Registry
    sandbox: Sandbox
    pictures: Pictures

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
        return await self.records.sessions(tenant, user, limit=_page_size(limit), cursor=cursor)

    async def find(self, reach: Scope | Reach, reference: str, *, version: int | None = None) -> Filed:
        """Return an artifact at its head or at one version, with the key of its bytes.

        Raises:
            ArtifactNotFound, VersionNotFound, ArtifactExpired: there is none to be had.
        """
        return await self.records.get(reach, reference, version=version)

    async def content(self, filed: Filed, *, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the content, or the part of it from byte `start` to before `stop`, in chunks.

        Damaged content raises `ContentDamaged` before its end.
        """
        head = filed.artifact.version
        content = read_verified(self.blobs, filed.blob_key, size=head.size, sha256=head.sha256, start=start, stop=stop)
        async with aclosing(content) as chunks:
            async for chunk in chunks:
                yield chunk

    async def picture(self, filed: Filed) -> bytes | None:
        """Return a small PNG of a version that was found just now, or None when there is none to be had."""
        return await self.pictures.of(filed)

    async def select(self, filed: Filed, selector: str | None, *, budget: int = SELECTION_BYTES) -> Selection:
        """Return a part of the content as text. See `Session.select`."""
        if not 1 <= budget <= LARGEST_SELECTION_BYTES:
            raise InvalidLimit("budget", budget, expected=f"a whole number from 1 to {LARGEST_SELECTION_BYTES:,}")
        asked = None if selector is None else Selector.parse(selector)
        version = filed.artifact.version
        content = Stored(blobs=self.blobs, key=filed.blob_key, size=version.size)
        found = await select(content, asked, media_type=version.media_type, budget_bytes=budget)
        # What was left out counts too: a part is as trustworthy as the whole.
        async with aclosing(self.content(filed)) as chunks:
            async for _chunk in chunks:
                pass
        return found

    async def remove(self, reach: Scope | Reach, reference: str) -> None:
        """Let an artifact expire now and delete its bytes, even when the disk is full.

        Raises:
            ArtifactNotFound, ArtifactExpired, ArtifactHeld: nothing was removed.
        """
        gone = await self.retention.space.free(lambda: self.records.remove(reach, reference))
        await self.retention.space.free(
            lambda: self.retention.bury([Due(id=gone.id, scope=gone.scope, size=gone.size)])
        )

    async def hold(self, reach: Scope | Reach, reference: str, *, held: bool = True) -> Artifact:
        """Pin an artifact so that it stays past its expiry, or let it go."""
        return await self.records.hold(reach, reference, held=held)

    async def execution(self, reach: Scope | Reach, execution_id: str) -> Execution:
        """Return a run with what it made. Raises `ExecutionNotFound`."""
        return await self.runs.executions.get(reach, ExecutionId(execution_id))

    async def cancel(self, reach: Scope | Reach, execution_id: str) -> Execution:
        """End a run that has not ended, and return it. Raises `ExecutionNotFound`."""
        return await self.runs.cancel(reach, ExecutionId(execution_id))

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
    def libraries(self) -> Mapping[str, str]:
        """What a program can import beside the standard library, name to version."""
        return self.sandbox.libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation of one user. An artifact is named by its id or its handle."""

    engine: Engine
    scope: Scope
    principal: Principal

    async def run(
        self,
        code: str,
        *,
        inputs: Sequence[InputReference] = (),
        limits: Limits | None = None,
        check: bool = True,
        name: str = PROGRAM_NAME,
        on_output: Callable[[Output], None] | None = None,
    ) -> Execution:
        """Run a Python program in the sandbox and keep the files that it makes.

        The program finds its inputs by name in its folder. A program that fails is a result: look at `status`,
        `error` and `outcome.refused`. `on_output` is told what it writes while it runs; it must return at once.

        Raises:
            ArtifactNotFound, InputNotFound, InvalidLimit, LimitExceeded, ContentTooLarge, QueueFull: nothing was run.
            IsolationUnavailable: the walls that the configuration demands cannot stand here; nothing was run.
        """
        order = Order(code=code, inputs=inputs, limits=limits, is_checked=check, name=name, on_output=on_output)
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
        **described: Unpack[Described],
    ) -> Artifact:
        """Store content as a new artifact: bytes, text, a `Path`, or any JSON value for a type of structured content.

        Text is stored as UTF-8, and a path gives its name too. It expires after `retention`, or never when that is
        None.

        Raises:
            ContentRefused: it is not what the type demands; the error says where and what was expected.
            UnknownType, InvalidName, InvalidLimit, ContentTooLarge, UnsupportedFormat: nothing was stored.
            QuotaExceeded, StorageFull: there is no room for it.
        """
        if isinstance(retention, timedelta) and not timedelta(0) < retention <= LONGEST_RETENTION:
            expected = "a time to come, such as `7d`, of 100 years at most"
            raise InvalidLimit("retention", str(retention), expected=expected)
        type_ = self.engine.types.named(type)
        draft = Draft(
            type=type_,
            name=name or (content.name if isinstance(content, Path) else None),
            content=content_of(content, type_),
            title=described.get("title"),
            language=described.get("language"),
            metadata=described.get("metadata") or {},
            retention=retention,
            provenance=Provenance(principal=self.principal),
        )
        (artifact,) = await self.engine.creation.file(self.scope, [draft])
        return artifact

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
    ) -> Page:
        """Return artifacts of the session, newest first; `query` is a text in title, file name or handle."""
        search = Search(type=type, state=state, text=query)
        return await self.engine.records.page(self.scope, search=search, limit=_page_size(limit), cursor=cursor)

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
        both changes are merged. Content that is the same as before makes no version.

        Raises:
            ContentRefused, PatchRefused, EditMissed, ContentTooLarge: nothing was changed; the error says what to do.
            VersionConflict: both changed the same places; it shows both sides.
        """
        revision = Revision(
            content=content,
            patch=patch,
            base_version=base_version,
            **described,
            provenance=Provenance(principal=self.principal, reason=reason),
        )
        return await self.engine.revising.revise(self.scope, reference, revision)

    async def restore(self, reference: str, version: int) -> Artifact:
        """Make an earlier version the newest again, as a version of its own."""
        provenance = Provenance(principal=self.principal)
        return await self.engine.revising.restore(self.scope, reference, version, provenance=provenance)

    async def versions(self, reference: str, *, limit: int = 100, before: int | None = None) -> VersionPage:
        """Return versions with numbers below `before`, the newest first."""
        limit = _page_size(limit)
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

    async def label(self, reference: str, *labels: str) -> Artifact:
        """Replace the labels of an artifact."""
        return await self.engine.marking.label(self.scope, reference, labels)

    async def step(
        self, reference: str, *, state: str | None = None, facts: Mapping[str, object] | None = None
    ) -> Artifact:
        """Go on to a state that the type allows from this one, and note facts; a fact that is None is taken away.

        Raises:
            IllegalTransition: it says which steps there are.
        """
        return await self.engine.marking.step(self.scope, reference, state=state, facts=facts)

    async def remove(self, reference: str) -> None:
        """Let an artifact expire now and delete its bytes. Raises `ArtifactHeld` for one that is pinned."""
        await self.engine.remove(self.scope, reference)

    async def hold(self, reference: str, *, held: bool = True) -> Artifact:
        """Pin an artifact so that it stays past its expiry, or let it go."""
        return await self.engine.hold(self.scope, reference, held=held)

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


def _page_size(limit: int) -> int:
    if not 1 <= limit <= MOST_ON_A_PAGE:
        raise InvalidLimit("limit", limit, expected=f"a whole number from 1 to {MOST_ON_A_PAGE:,}")
    return limit
