"""Puts an engine together: the only module that names concrete back ends.

What they are chosen by is decided in `settings`.
"""

import asyncio
import contextlib
import functools
import os
import tempfile
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handiwork.access.authentication import Authenticator
from handiwork.access.keys import Keys
from handiwork.access.links import Links
from handiwork.access.signing import Signing
from handiwork.access.signing_keys import SigningKeyFile
from handiwork.access.tokens import Tokens
from handiwork.actions.ledger import Ledger
from handiwork.clock import Clock, utc_now
from handiwork.engine import Engine
from handiwork.executions.inputs import Inputs
from handiwork.executions.limits import LimitPolicy
from handiwork.executions.pictures import PATIENCE_SECONDS, Pictures
from handiwork.executions.previews import Previews
from handiwork.executions.queue import Turns
from handiwork.executions.runs import Runs
from handiwork.feed import Feed
from handiwork.ids import BASE36, nanoid, new_artifact_id, new_execution_id
from handiwork.retention import Retention
from handiwork.sandbox import capacity
from handiwork.sandbox.libraries import allowed_imports
from handiwork.sandbox.local import LocalSandbox, Policy
from handiwork.sandbox.sandbox import Places
from handiwork.server.desk import Desk, Origins
from handiwork.settings import Bounds, Location, Settings, load
from handiwork.store.blobs import Blobs
from handiwork.store.key_file import KeyRing
from handiwork.store.local_blobs import DRAFTS, LocalBlobs
from handiwork.store.owners import Owners
from handiwork.store.projection import Projections
from handiwork.store.records import Quota
from handiwork.store.reserve import Reserve
from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.space import Space
from handiwork.store.sql_actions import SqlActions
from handiwork.store.sql_events import SqlEvents
from handiwork.store.sql_executions import SqlExecutions
from handiwork.store.sql_expiry import SqlExpiry
from handiwork.store.sql_keys import SqlKeys
from handiwork.store.sql_promotions import SqlPromotions
from handiwork.store.sql_records import SqlRecords
from handiwork.store.sql_revisions import SqlRevisions
from handiwork.store.sql_vault import open_vault
from handiwork.store.sqlite import SqliteDatabase
from handiwork.store.upgrade import upgrade
from handiwork.tasks import in_thread
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.entry_points import from_entry_points
from handiwork.types.registry import Registry, built_in
from handiwork.versions.creation import Creation, Quotas
from handiwork.versions.drafts import Admission
from handiwork.versions.marking import Marking
from handiwork.versions.revising import Revising
from handiwork.versions.streaming import Streaming
from handiwork.versions.tool_results import ToolResults
from handiwork.versions.writing import Writing

if TYPE_CHECKING:
    from handiwork.store.vault import Vault

BLOB_FOLDER = "artifacts"
RESERVE_NAME = "reserve"


@contextlib.asynccontextmanager
async def open(  # `handiwork.open` is the name that users know
    data: str | os.PathLike[str] | None = None,
    *,
    settings: Settings | None = None,
    types: Iterable[object] = (),
    clock: Clock = utc_now,
) -> AsyncGenerator[Engine]:
    """Open the store in the folder `data`, made when it is missing, with a sandbox beside it.

    Without `data` the configuration decides (`./.handiwork` by default). The sandbox starts with the first run.
    `types` are artifact types of your own, marked with `handiwork.artifact_type`; those of installed packages come by
    themselves. Several processes may have the folder open; what one that died has left is put in order here.
    """
    chosen = settings or await asyncio.to_thread(load)
    async with contextlib.AsyncExitStack() as stack:
        engine, _parts = await _opened(stack, chosen, chosen.location(data), clock, types)
        yield engine


@contextlib.asynccontextmanager
async def open_desk(
    data: str | os.PathLike[str] | None = None,
    *,
    settings: Settings,
    origins: Origins,
    is_open: bool,
    types: Iterable[object] = (),
    clock: Clock = utc_now,
) -> AsyncGenerator[Desk]:
    """Open a store as `open` does, with all that a server needs beside it."""
    location = settings.location(data)
    async with contextlib.AsyncExitStack() as stack:
        engine, parts = await _opened(stack, settings, location, clock, types)
        keys = Keys(SqlKeys(parts.database), clock=clock)
        signing = Signing(SigningKeyFile(location.folder))
        tokens = Tokens(signing, keys, clock=clock)
        parts.box.expect_jobs()
        yield Desk(
            engine=engine,
            authenticator=Authenticator(keys, tokens, clock=clock),
            keys=keys,
            tokens=tokens,
            links=Links(signing, keys, clock=clock),
            clock=clock,
            origins=origins,
            is_open=is_open,
            body_limit=settings.server.body_limit,
        )


@contextlib.asynccontextmanager
async def open_keys(
    data: str | os.PathLike[str] | None = None, *, settings: Settings, clock: Clock = utc_now
) -> AsyncGenerator[Keys]:
    """Open the API keys of a store, and nothing else of it."""
    location = settings.location(data)
    await in_thread(upgrade, location.database)
    database = SqliteDatabase(location.database)
    try:
        yield Keys(SqlKeys(database), clock=clock)
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def open_throwaway(*, settings: Settings | None = None) -> AsyncGenerator[Engine]:
    """Open a store that is gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="handiwork-store-") as folder:
        async with open(folder, settings=settings) as engine:
            yield engine


def registry(settings: Settings, types: Iterable[object] = ()) -> Registry:
    """Return the artifact types with the caps of the settings: ours, those of installed packages, and `types`.

    Raises `InvalidType` for one that cannot be, or whose name is taken.
    """
    return Registry([*built_in(file_cap_bytes=settings.most().file_bytes), *from_entry_points(), *types])


def sandbox(settings: Settings) -> LocalSandbox:
    """Return the sandbox of this machine as the settings ask for it."""
    own = settings.artifacts
    at_a_time = _concurrency(settings)
    policy = Policy(
        level=own.isolation,
        allowed_imports=allowed_imports(add=own.allowed_imports.add, remove=own.allowed_imports.remove),
        concurrency=at_a_time,
        ready=capacity.ready(at_a_time) if own.ready_children is None else own.ready_children,
        usual=settings.limits(),
    )
    return LocalSandbox(policy, Places(cache=settings.cache, fonts=own.fonts))


def with_isolation(settings: Settings, level: str) -> Settings:
    """Return the settings with another isolation level."""
    # What nobody has said stays unsaid: some settings may not be said twice.
    changed = settings.model_dump(exclude_unset=True)
    changed.setdefault("artifacts", {})["isolation"] = level
    return Settings.model_validate(changed)


async def _opened(
    stack: contextlib.AsyncExitStack, settings: Settings, location: Location, clock: Clock, types: Iterable[object]
) -> "tuple[Engine, _Parts]":
    known = await in_thread(registry, settings, types)
    ring = await in_thread(_key_ring, settings)
    folder = location.folder
    await in_thread(upgrade, location.database)
    space = Space(Reserve(folder / RESERVE_NAME, settings.artifacts.storage.reserve))
    # A store on a full disk must open: only so can anything be removed from it.
    owners = await space.free(lambda: _registered(stack, folder / BLOB_FOLDER / DRAFTS))
    blobs = LocalBlobs(folder / BLOB_FOLDER, drafts=owners.folder)
    # They are closed after the database: what is lined up there has bytes to store.
    stack.callback(blobs.close)
    database = SqliteDatabase(location.database)
    stack.push_async_callback(database.close)
    vault = await space.free(lambda: open_vault(database, ring, clock=clock))
    box = await stack.enter_async_context(sandbox(settings))
    notes = None
    if vault is None or not vault.seals:
        notes = Projections(folder / BLOB_FOLDER)
        stack.push_async_callback(notes.close)
    parts = _Parts(
        folder=folder,
        database=database,
        owners=owners,
        box=box,
        space=space,
        blobs=_encrypted(blobs, vault),
        vault=vault,
        notes=notes,
        clock=clock,
    )
    engine = _engine(settings, parts, known)
    stack.push_async_callback(engine.feed.close)
    stack.push_async_callback(engine.runs.close)
    stack.push_async_callback(engine.pictures.close)
    await engine.retention.space.restore()
    await engine.retention.recover()
    if settings.artifacts.storage.cleanup_enabled:
        cleaning = asyncio.create_task(engine.retention.keep_clean(settings.artifacts.cleanup_interval))
        stack.push_async_callback(_end, cleaning)
    return engine, parts


def _key_ring(settings: Settings) -> KeyRing | None:
    chosen = settings.artifacts.storage.encryption
    if chosen.key_file is None:
        return None
    return KeyRing.read(chosen.key_file, chosen.previous, is_enabled=chosen.enabled)


def _encrypted(blobs: Blobs, vault: "Vault | None") -> Blobs:
    if vault is None:
        return blobs
    from handiwork.store.encrypted_blobs import EncryptedBlobs

    return EncryptedBlobs(blobs, vault)


async def _registered(stack: contextlib.AsyncExitStack, folder: Path) -> Owners:
    owners = Owners(folder)
    # Before it is entered: the thread takes the lock also when whoever waits for it is cancelled.
    stack.push_async_callback(in_thread, owners.__exit__, None, None, None)
    return await in_thread(owners.__enter__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is opened and closed; the rest of an engine is made of it."""

    folder: Path
    database: SqliteDatabase
    owners: Owners
    box: LocalSandbox
    space: Space
    blobs: Blobs
    vault: "Vault | None"
    notes: Projections | None
    clock: Clock

    @property
    def hides_names(self) -> bool:
        return self.vault is not None and self.vault.seals

    @property
    def sealing(self) -> Sealing:
        return self.vault or PLAIN


def _engine(settings: Settings, parts: _Parts, known: Registry) -> Engine:
    clock, blobs, sealing = parts.clock, parts.blobs, parts.sealing
    records = SqlRecords(parts.database, clock=clock, sealing=sealing)
    executions = SqlExecutions(parts.database, clock=clock, sealing=sealing)
    revisions = SqlRevisions(parts.database, clock=clock, sealing=sealing)
    log = SqlEvents(parts.database)
    feed = Feed(log)
    creation = _creation(settings, parts, records)
    revising = _revising(parts, known, creation, revisions)
    streaming = Streaming(revisions=revisions, tell=feed.tell, ended=feed.forget)
    return Engine(
        records=records,
        blobs=blobs,
        creation=creation,
        revising=revising,
        marking=Marking(records=records, revisions=revisions, types=known),
        ledger=Ledger(
            records=records, actions=SqlActions(parts.database, clock=clock, sealing=sealing), types=known, clock=clock
        ),
        streaming=streaming,
        writing=Writing(records=records, creation=creation, revising=revising, streaming=streaming, types=known),
        tool_results=ToolResults(
            creation=creation,
            promotions=SqlPromotions(parts.database, clock=clock, sealing=sealing),
            records=records,
            blobs=blobs,
            types=known,
            clock=clock,
        ),
        runs=_runs(settings, parts, creation, executions, feed=feed, type_=known.named("file")),
        retention=_retention(settings, parts, executions, log),
        feed=feed,
        types=known,
        sandbox=parts.box,
        pictures=Pictures(
            records=records,
            blobs=blobs,
            # Whose patience ends first decides whether it may be tried again.
            drawing=Previews(parts.box, patience_seconds=2 * PATIENCE_SECONDS),
            space=parts.space,
        ),
    )


def _creation(settings: Settings, parts: _Parts, records: SqlRecords) -> Creation:
    own = settings.artifacts
    return Creation(
        records=records,
        blobs=parts.blobs,
        clock=parts.clock,
        new_id=functools.partial(new_artifact_id, prefix=own.id_prefix),
        retention=own.retention,
        notes=parts.notes,
        quotas=Quotas(session=_quota(own.quotas.session), user=_quota(own.quotas.user)),
        space=parts.space,
        admission=Admission(
            is_enabled=own.enabled,
            formats=None if own.allowed_formats is None else frozenset(own.allowed_formats),
        ),
        hides_names=parts.hides_names,
    )


def _revising(parts: _Parts, known: Registry, creation: Creation, revisions: SqlRevisions) -> Revising:
    return Revising(
        records=creation.records,
        revisions=revisions,
        blobs=parts.blobs,
        types=known,
        clock=parts.clock,
        new_token=functools.partial(nanoid, alphabet=BASE36),
        notes=parts.notes,
        quotas=creation.quotas,
        admission=creation.admission,
        space=parts.space,
        hides_names=parts.hides_names,
    )


def _runs(
    settings: Settings,
    parts: _Parts,
    creation: Creation,
    executions: SqlExecutions,
    *,
    feed: Feed,
    type_: ArtifactType,
) -> Runs:
    queue = settings.artifacts.queue
    return Runs(
        sandbox=parts.box,
        executions=executions,
        records=creation.records,
        inputs=Inputs(records=creation.records, blobs=parts.blobs),
        creation=creation,
        limits=LimitPolicy(default=settings.limits(), maximum=settings.most()),
        type=type_,
        clock=parts.clock,
        new_id=new_execution_id,
        turns=Turns(slots=_concurrency(settings), depth=queue.depth, per_tenant=queue.per_tenant),
        owner=parts.owners.id,
        tell=feed.tell,
    )


def _retention(settings: Settings, parts: _Parts, executions: SqlExecutions, log: SqlEvents) -> Retention:
    return Retention(
        expiry=SqlExpiry(parts.database, clock=parts.clock),
        executions=executions,
        blobs=parts.blobs,
        log=log,
        database=parts.database,
        owners=parts.owners,
        space=parts.space,
        clock=parts.clock,
        events_kept=settings.artifacts.event_retention,
    )


def _quota(bounds: Bounds) -> Quota:
    return Quota(artifacts=bounds.artifacts, size=bounds.size)


def _concurrency(settings: Settings) -> int:
    return settings.artifacts.concurrency or capacity.concurrency(settings.limits().memory_bytes)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
