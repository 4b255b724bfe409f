"""A real store of records on SQLite, all its parts on one file, with a clock whose hands the test moves.

What the parts promise is in the suites beside this.
"""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.sql_actions import SqlActions
from handiwork.store.sql_events import SqlEvents
from handiwork.store.sql_executions import SqlExecutions
from handiwork.store.sql_expiry import SqlExpiry
from handiwork.store.sql_keys import SqlKeys
from handiwork.store.sql_promotions import SqlPromotions
from handiwork.store.sql_records import SqlRecords
from handiwork.store.sql_revisions import SqlRevisions
from handiwork.store.sqlite import SqliteDatabase
from handiwork.store.upgrade import upgrade
from sample_records import Hands


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Everything that lies in one database; `path` is its file."""

    path: Path
    clock: Hands
    database: SqliteDatabase
    records: SqlRecords
    revisions: SqlRevisions
    executions: SqlExecutions
    log: SqlEvents
    expiry: SqlExpiry
    keys: SqlKeys
    promotions: SqlPromotions
    actions: SqlActions
    sealing: Sealing


@contextlib.asynccontextmanager
async def open_store(folder: Path, *, clock: Hands | None = None, sealing: Sealing = PLAIN) -> AsyncGenerator[Store]:
    """Open the store of a folder; a second one on the same folder is as good as another process."""
    path, clock = folder / "handiwork.db", clock or Hands()
    upgrade(path)
    database = SqliteDatabase(path)
    try:
        yield Store(
            path=path,
            clock=clock,
            database=database,
            records=SqlRecords(database, clock=clock, sealing=sealing),
            revisions=SqlRevisions(database, clock=clock, sealing=sealing),
            executions=SqlExecutions(database, clock=clock, sealing=sealing),
            log=SqlEvents(database),
            expiry=SqlExpiry(database, clock=clock),
            keys=SqlKeys(database),
            promotions=SqlPromotions(database, clock=clock, sealing=sealing),
            actions=SqlActions(database, clock=clock, sealing=sealing),
            sealing=sealing,
        )
    finally:
        await database.close()
