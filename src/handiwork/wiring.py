"""Puts an engine together: the only module that names concrete back ends.

What they are chosen by is decided in `settings`.
"""

import asyncio
import contextlib
import functools
import os
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

from handiwork.engine import Engine
from handiwork.executions.limits import LimitPolicy
from handiwork.executions.runs import Runs
from handiwork.ids import new_artifact_id, new_execution_id
from handiwork.sandbox.libraries import allowed_imports
from handiwork.sandbox.local import LocalSandbox, Policy
from handiwork.sandbox.sandbox import Places
from handiwork.settings import Settings, load
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.sql_records import SqlRecords, utc_now
from handiwork.store.sqlite import open_sqlite
from handiwork.store.upgrade import upgrade
from handiwork.types.file import file_type
from handiwork.types.registry import Registry
from handiwork.versions.creation import Clock, Creation

DATABASE_NAME = "handiwork.db"
BLOB_FOLDER = "artifacts"


@contextlib.asynccontextmanager
async def open(  # `handiwork.open` is the name that users know
    data: str | os.PathLike[str] | None = None, *, settings: Settings | None = None, clock: Clock = utc_now
) -> AsyncGenerator[Engine]:
    """Open the store in the folder `data`, made when it is missing, with a sandbox beside it.

    Without `data` the configuration decides (`./.handiwork` by default). The sandbox starts with the first run.
    """
    chosen = settings or await asyncio.to_thread(load)
    folder = Path(data) if data is not None else chosen.artifacts.storage.path
    database = folder / DATABASE_NAME
    await asyncio.to_thread(upgrade, database)
    connections = open_sqlite(database)
    try:
        async with sandbox(chosen) as box:
            yield _engine(chosen, SqlRecords(connections, clock=clock), folder / BLOB_FOLDER, box, clock)
    finally:
        await connections.dispose()


@contextlib.asynccontextmanager
async def open_throwaway(*, settings: Settings | None = None) -> AsyncGenerator[Engine]:
    """Open a store that is gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="handiwork-store-") as folder:
        async with open(folder, settings=settings) as engine:
            yield engine


def types(settings: Settings) -> Registry:
    """Return the artifact types with the caps of the settings."""
    return Registry([file_type(cap_bytes=settings.most().file_bytes)])


def sandbox(settings: Settings) -> LocalSandbox:
    """Return the sandbox of this machine as the settings ask for it."""
    own = settings.artifacts
    policy = Policy(
        level=own.isolation,
        allowed_imports=allowed_imports(add=own.allowed_imports.add, remove=own.allowed_imports.remove),
        concurrency=max(2, os.cpu_count() or 1),
    )
    return LocalSandbox(policy, Places(cache=settings.cache, fonts=own.fonts))


def with_isolation(settings: Settings, level: str) -> Settings:
    """Return the settings with another isolation level."""
    changed = settings.model_dump()
    changed["artifacts"]["isolation"] = level
    return Settings.model_validate(changed)


def _engine(settings: Settings, records: SqlRecords, blob_folder: Path, box: LocalSandbox, clock: Clock) -> Engine:
    blobs = LocalBlobs(blob_folder)
    known = types(settings)
    creation = Creation(
        records=records,
        blobs=blobs,
        clock=clock,
        new_id=functools.partial(new_artifact_id, prefix=settings.artifacts.id_prefix),
        retention=settings.artifacts.artifact_retention,
        notes=blob_folder,
    )
    runs = Runs(
        sandbox=box,
        records=records,
        blobs=blobs,
        creation=creation,
        limits=LimitPolicy(default=settings.limits(), maximum=settings.most()),
        type=known.named("file"),
        clock=clock,
        new_id=new_execution_id,
    )
    return Engine(records=records, blobs=blobs, creation=creation, runs=runs, types=known, sandbox=box)
