"""How a SQLite database is opened, read and written. Which tables are in it is not known here.

Work is done in threads, a transaction at a time: a hop to a thread costs as much as several statements. Writers are
lined up in one thread, and those that wait together are committed together, each in a savepoint of its own, because
a commit waits for the disk and SQLite has one writer anyway. A piece of work that fails takes back its savepoint
alone. When the database itself fails, all of them are told so: the failure of a sync is final, and nothing is tried
a second time after it.

SQLite makes its log when it is first needed and does not look whether its entry in the folder could be synced. So that
is done here before the first write; the log stays as long as this process has the database open.
"""

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from handiwork.errors import EngineClosed, StorageFailed
from handiwork.store.database import Work
from handiwork.store.failures import database_failure, system_failure
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.folders import sync_folder
from handiwork.tasks import to_the_end

BUSY_SECONDS = 10.0
READERS = 4
MOST_TOGETHER = 64
LOOK_SECONDS = 0.05

Result = TypeVar("Result")

_PRAGMAS = ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON")


class SqliteDatabase:
    """Keeps `Database`'s promises on a file that `upgrade` has made ready; several processes may open it at once."""

    def __init__(self, path: Path) -> None:
        self._engine = open_sqlite(path, connections=READERS)
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="handiwork-read")
        self._writer = _Writer(path)
        self._bell = _Bell(path)
        self._is_closed = False

    async def read(self, work: Work[Result]) -> Result:
        self._demand_open()
        return await to_the_end(asyncio.get_running_loop().run_in_executor(self._reading, self._read, work))

    async def write(self, work: Work[Result], *, first: Callable[[], None] | None = None) -> Result:
        self._demand_open()
        result = await to_the_end(asyncio.wrap_future(self._writer.line_up(work, first)))
        self._bell.ring()
        return result

    async def tidy(self) -> bool:
        """Copy the log into the database and empty it; readers are waited for, but not for ever."""
        self._demand_open()
        return await to_the_end(asyncio.get_running_loop().run_in_executor(self._reading, self._tidy))

    async def changed(self, seen: int) -> int:
        self._demand_open()
        return await self._bell.heard(seen, self._reading)

    async def close(self) -> None:
        """Wait for the writes that are under way, and close every connection."""
        self._is_closed = True
        await to_the_end(asyncio.to_thread(self._close))

    def _demand_open(self) -> None:
        if self._is_closed:
            raise EngineClosed

    def _read(self, work: Work[Result]) -> Result:
        try:
            with self._engine.connect() as connection, transaction(connection, writes=False):
                return work(connection)
        except (DBAPIError, sqlite3.Error) as error:
            raise database_failure(error) from error

    def _tidy(self) -> bool:
        try:
            with self._engine.connect() as connection:
                is_busy, _pages, _copied = _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not is_busy
        except (DBAPIError, sqlite3.Error) as error:
            raise database_failure(error) from error

    def _close(self) -> None:
        self._writer.close()
        self._reading.shutdown()
        self._bell.close()
        self._engine.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lined:
    work: Callable[[Connection], Any]
    first: Callable[[], None] | None
    future: "Future[Any]" = field(default_factory=Future[Any])


@dataclass(frozen=True, slots=True)
class _Refused:
    """Work that has taken itself back, and why."""

    error: Exception


class _Writer:
    """One thread that writes what has lined up."""

    def __init__(self, path: Path) -> None:
        # One connection, always the same: what it keeps of the database is good until another process has written.
        self._engine = open_sqlite(path, connections=1)
        self._connection: Connection | None = None
        self._folder, self._is_settled = path.absolute().parent, False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="handiwork-write")
        self._lock = threading.Lock()
        self._line: deque[_Lined] = deque()
        self._is_at_work = False

    def line_up(self, work: Work[Result], first: Callable[[], None] | None) -> "Future[Result]":
        lined = _Lined(work=work, first=first)
        with self._lock:
            self._line.append(lined)
            must_start, self._is_at_work = not self._is_at_work, True
        if must_start:
            try:
                self._thread.submit(self._write_all)
            except RuntimeError as refused:
                with self._lock:
                    self._is_at_work = False
                    self._line.remove(lined)
                raise StorageFailed("the database", f"no thread is to be had ({refused})") from refused
        return lined.future

    def close(self) -> None:
        self._thread.shutdown()
        self._drop()
        self._engine.dispose()

    def _write_all(self) -> None:
        while batch := self._next():
            try:
                outcomes = self._commit(batch)
            except Exception as error:  # noqa: BLE001  # the thread's edge: whoever waits is told
                outcomes = [_Refused(error)] * len(batch)
            for lined, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, _Refused):
                    lined.future.set_exception(outcome.error)
                else:
                    lined.future.set_result(outcome)

    def _next(self) -> list[_Lined]:
        with self._lock:
            batch: list[_Lined] = []
            while self._line and len(batch) < MOST_TOGETHER:
                lined = self._line.popleft()
                if lined.future.set_running_or_notify_cancel():
                    batch.append(lined)
            self._is_at_work = bool(batch)
            return batch

    def _commit(self, batch: Sequence[_Lined]) -> list[object]:
        if self._connection is None:
            self._connection = self._engine.connect()
        connection = self._connection
        for lined in batch:
            if lined.first is not None:
                lined.first()
        try:
            with transaction(connection, writes=True):
                self._settle()
                if len(batch) == 1:
                    return [batch[0].work(connection)]
                return [_apart(lined.work, connection) for lined in batch]
        except IntegrityError:
            raise
        except (DBAPIError, sqlite3.Error) as error:
            self._drop()
            if getattr(getattr(error, "orig", error), "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
                # SQLite opens what it cannot open for writing for reading alone, and leaves it at that.
                self._engine.dispose()
                self._is_settled = False
            raise database_failure(error) from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _settle(self) -> None:
        """Sync the entry of the log, which is there once a transaction has begun."""
        if self._is_settled:
            return
        try:
            sync_folder(self._folder, OperatingSystem())
        except OSError as error:
            raise system_failure(error, where=str(self._folder)) from error
        self._is_settled = True


def _apart(work: Callable[[Connection], object], connection: Connection) -> object:
    savepoint = connection.begin_nested()
    try:
        outcome = work(connection)
        savepoint.commit()
    except Exception as error:
        if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
            raise
        savepoint.rollback()
        return _Refused(error)
    return outcome


class _Bell:
    """Tells when anybody has written. Our own writes are heard at once, those of other processes by looking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rung = asyncio.Event()
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self, seen: int, executor: ThreadPoolExecutor) -> int:
        looked = await to_the_end(asyncio.get_running_loop().run_in_executor(executor, self._look))
        if looked != seen:
            return looked
        self._rung.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), LOOK_SECONDS)
        return await to_the_end(asyncio.get_running_loop().run_in_executor(executor, self._look))

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _look(self) -> int:
        # The number changes for this connection whenever another one has committed; ours never writes.
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False)
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.Error as error:
                raise database_failure(error) from error
            return int(version)


@contextlib.contextmanager
def transaction(connection: Connection, *, writes: bool) -> Generator[None]:
    """Make what is done with the connection one transaction, which is taken back when an exception leaves it.

    With `writes` it has the database's write lock from the beginning: one that reads first and writes later would be
    refused at once when another process has written in between. It is begun here and by no listener of the engine,
    since having one makes each statement dearer.
    """
    with connection.begin():
        _driver(connection).execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        yield


def open_sqlite(path: Path, *, connections: int) -> Engine:
    """Open a database that `upgrade` has made ready. Dispose of the engine when done."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=connections,
        max_overflow=0,
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver begins no transaction of its own: `transaction` says which kind it is.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _driver(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
