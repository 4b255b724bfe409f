"""The revision of a SQLite database: which one it has, and how it gets the one of this release.

Start-up must not import alembic, which takes longer than everything else: the revision is read and an empty database
is filled without it. Only a database of an older release is handed to alembic, after a copy beside it.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert
from sqlalchemy.exc import DBAPIError

from handiwork.errors import StorageFailed, StoreVersionMismatch
from handiwork.store.failures import database_failure, system_failure
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.folders import make_folders, sync_folder
from handiwork.store.sqlite import BUSY_SECONDS, open_sqlite, transaction
from handiwork.store.tables import metadata

DEADLINE_SECONDS = 10.0
_POLL_SECONDS = 0.01

Standing = Literal["empty", "older", "current", "newer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The revisions of a release, oldest first, and the folder of alembic's steps between them."""

    revisions: tuple[str, ...]
    folder: Path

    @property
    def head(self) -> str:
        return self.revisions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """How a database stands to this release; `found` is None while it is empty."""

    found: str | None
    expected: str
    standing: Standing


# As alembic makes it.
_REVISION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

HISTORY = History(revisions=("0001", "0002", "0003"), folder=Path(__file__).with_name("migrations"))


def check(path: Path, *, history: History = HISTORY) -> Revision:
    """Tell how the database stands, and change nothing; a file that is not there counts as empty.

    Raises:
        StorageFailed: the file cannot be read, or is no database.
    """
    with _errors_as_ours(path):
        found = _found(path) if path.exists() else None
    return Revision(found=found, expected=history.head, standing=_standing(found, history))


def upgrade(path: Path, *, history: History = HISTORY, deadline_seconds: float = DEADLINE_SECONDS) -> Revision:
    """Bring the database to the revision of this release, and return how it stood before.

    It is made when it is missing, with its folder, for its owner alone. A database of an older release is copied to
    `NAME.before-REVISION` first. It blocks, so call it in a thread; of several processes one does it,
    and the others wait for it until the deadline.

    Raises:
        StorageFailed: another process was at it for so long, or the file cannot be read or written.
        StoreVersionMismatch: the database is of a newer release, and was left as it is.
    """
    with _errors_as_ours(path):
        make_folders(path.parent.absolute(), OperatingSystem())
        with _one_at_a_time(path, deadline_seconds):
            before = check(path, history=history)
            match before.standing:
                case "newer":
                    raise StoreVersionMismatch(found=before.found or "", expected=before.expected)
                case "empty":
                    _create(path, history)
                case "older":
                    _copy(path, path.with_name(f"{path.name}.before-{history.head}"))
                    _migrate(path, history)
                    _write_ahead(path)
                case "current":
                    _write_ahead(path)
            return before


def _standing(found: str | None, history: History) -> Standing:
    if found is None:
        return "empty"
    if found == history.head:
        return "current"
    return "older" if found in history.revisions else "newer"


def _found(path: Path) -> str | None:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
        if not names:
            return None
        row: tuple[str] | None = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None


@contextlib.contextmanager
def _one_at_a_time(path: Path, deadline_seconds: float) -> Generator[None]:
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(lock, descriptor, deadline_seconds)
        yield
    finally:
        os.close(descriptor)


def _wait_for(lock: Path, descriptor: int, deadline_seconds: float) -> None:
    end = time.monotonic() + deadline_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= end:
                why = f"another process has held the lock for {deadline_seconds:g} s; it upgrades, or it hangs"
                raise StorageFailed(str(lock), why) from error
        else:
            return
        time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def _errors_as_ours(path: Path) -> Generator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise database_failure(error) from error
    except OSError as error:
        raise system_failure(error, where=str(path)) from error


def _create(path: Path, history: History) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    _write_ahead(path)
    with _transaction(path) as connection:
        metadata.create_all(connection)
        _REVISION.create(connection)
        connection.execute(insert(_REVISION).values(version_num=history.head))
    sync_folder(path.parent, OperatingSystem())


def _write_ahead(path: Path) -> None:
    """Let writers and readers not wait for each other; a database that comes from a backup may have lost that."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _migrate(path: Path, history: History) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(history.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with _transaction(path) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, history.head)


def _copy(path: Path, target: Path) -> None:
    """Make a copy that holds what is still in the write-ahead log, and survives the loss of power."""
    draft = target.with_name(f"{target.name}.part")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with (
        contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as source,
        contextlib.closing(sqlite3.connect(draft)) as copy,
    ):
        source.backup(copy)
    draft.replace(target)
    sync_folder(target.parent, OperatingSystem())


@contextlib.contextmanager
def _transaction(path: Path) -> Generator[Connection]:
    engine = open_sqlite(path, connections=1)
    try:
        with engine.connect() as connection, transaction(connection, writes=True):
            yield connection
    finally:
        engine.dispose()
