"""How a SQLite database is opened. Which tables are in it is not known here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_SECONDS = 10.0

# An engine with these options takes the database's write lock when its transaction begins. One that reads first and
# writes later would be refused at once when another process has written in between.
FOR_WRITING: Mapping[str, Any] = {"handiwork_writes": True}

_PRAGMAS = ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL")


def open_sqlite(path: Path) -> AsyncEngine:
    """Open a database that `upgrade` has made ready; several processes may do so. Dispose of the engine when done."""
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS}
    )
    _obey(engine.sync_engine)
    return engine


def open_sqlite_for_upgrade(path: Path) -> Engine:
    """The same without asyncio; every transaction is for writing."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS},
        execution_options=FOR_WRITING,
    )
    _obey(engine)
    return engine


def _obey(engine: Engine) -> None:
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)


def _set_up(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver begins no transaction of its own: `_begin` decides which kind it is.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = "handiwork_writes" in connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
