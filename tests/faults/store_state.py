"""What lies in a store's folder, read without the store: rows by plain SQL, and files by their names."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handiwork.settings import DATABASE_NAME
from handiwork.store.local_blobs import DRAFTS
from handiwork.store.projection import FILE_NAME
from handiwork.wiring import BLOB_FOLDER

LIVE = "a.purged_at IS NULL AND (a.held OR a.expires_at IS NULL OR a.expires_at > :now)"


@dataclass(frozen=True, slots=True)
class Row:
    """A live version, and the row it has, which rises with time."""

    id: str
    made: str
    key: str
    size: int
    sha256: str
    held: bool


@contextmanager
def database(data: Path) -> Generator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(data / DATABASE_NAME)) as connection:
        yield connection


def asked(data: Path, query: str, values: Mapping[str, object] | None = None) -> list[Any]:
    with database(data) as connection:
        return connection.execute(query, values or {}).fetchall()


def live_rows(data: Path, *, at: datetime | None = None) -> dict[str, Row]:
    query = (
        "SELECT a.id, a.created_at, v.blob_key, v.size, v.sha256, a.held FROM artifacts a "
        f"JOIN versions v ON v.artifact_id = a.id WHERE {LIVE}"
    )
    return {row[0]: Row(*row) for row in asked(data, query, {"now": spelled(at or datetime.now(UTC))})}


def spelled(moment: datetime) -> str:
    """A moment as the database spells it."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def known_keys(data: Path) -> set[str]:
    """The bytes that a row names, whether they are live or wait for the purge."""
    return {key for (key,) in asked(data, "SELECT blob_key FROM versions")}


def blob_keys(data: Path) -> set[str]:
    """The bytes that are there."""
    root = data / BLOB_FOLDER
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path) for path in files if path.parts[0] != DRAFTS and path.name.removeprefix(".") != FILE_NAME}


def drafts(data: Path) -> list[Path]:
    """What processes have left that were in the middle of something."""
    folder = data / BLOB_FOLDER / DRAFTS
    return [path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", ".lock")]


def owners(data: Path) -> list[str]:
    folder = data / BLOB_FOLDER / DRAFTS
    return [path.name for path in folder.iterdir() if path.is_dir()]


def sha256_of(data: Path, key: str) -> str:
    return hashlib.sha256((data / BLOB_FOLDER / key).read_bytes()).hexdigest()


def assert_bytes(data: Path, rows: Mapping[str, Row], *, hashed_from: str = "") -> None:
    """Every live row has its bytes; those that were made from a moment on are hashed, the rest has its size."""
    for row in rows.values():
        assert (data / BLOB_FOLDER / row.key).stat().st_size == row.size, row
        if row.made >= hashed_from:
            assert sha256_of(data, row.key) == row.sha256, row


def assert_events(data: Path) -> None:
    """The numbers of each session have no gap, what adds up does, and an artifact begins and ends once at most."""
    standing = asked(
        data,
        "SELECT s.session, s.last_seq, count(e.seq), min(e.seq), max(e.seq) FROM sessions s LEFT JOIN events e "
        "USING (tenant, user, session) GROUP BY s.tenant, s.user, s.session",
    )
    for session, last, count, lowest, highest in standing:
        assert (count, lowest, highest) == (last, 1, last), f"events of {session}"
    sums = asked(
        data,
        "SELECT s.session, s.artifacts, s.bytes, count(DISTINCT v.artifact_id), coalesce(sum(v.size), 0) "
        "FROM sessions s "
        "LEFT JOIN artifacts a "
        "ON (a.tenant, a.user, a.session) = (s.tenant, s.user, s.session) AND a.purged_at IS NULL "
        "LEFT JOIN versions v ON v.artifact_id = a.id GROUP BY s.tenant, s.user, s.session",
    )
    for session, artifacts, size, counted, summed in sums:
        assert (artifacts, size) == (counted, summed), f"what {session} adds up to"
    repeated = (
        "SELECT artifact_id, type FROM events WHERE type IN ('artifact-created', 'artifact-expired') "
        "GROUP BY 1, 2 HAVING count(*) > 1"
    )
    assert asked(data, repeated) == []
    unannounced = (
        "SELECT id FROM artifacts EXCEPT SELECT artifact_id FROM events WHERE type = 'artifact-created' "
        "UNION SELECT artifact_id FROM events WHERE type = 'artifact-created' EXCEPT SELECT id FROM artifacts"
    )
    assert asked(data, unannounced) == []


def assert_intact(data: Path) -> None:
    assert asked(data, "PRAGMA integrity_check") == [("ok",)]
    assert asked(data, "PRAGMA foreign_key_check") == []
