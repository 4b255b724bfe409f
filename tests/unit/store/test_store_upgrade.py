import contextlib
import fcntl
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from handiwork.errors import StorageFailed, StoreVersionMismatch
from handiwork.store.sqlite import open_sqlite
from handiwork.store.tables import metadata
from handiwork.store.upgrade import HISTORY, History, check, upgrade

STEP = """
from alembic import op
import sqlalchemy as sa

revision = "next"
down_revision = "0003"


def upgrade():
    op.add_column("artifacts", sa.Column("pinned", sa.Boolean))
    {rest}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "handiwork.db"


def next_release(folder: Path, *, rest: str = "pass") -> History:
    """A release after this one, with one more step."""
    shutil.copytree(HISTORY.folder, folder)
    (folder / "versions" / "next.py").write_text(STEP.format(rest=rest), encoding="utf-8")
    return History(revisions=(*HISTORY.revisions, "next"), folder=folder)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def columns(path: Path) -> set[object]:
    return {row[1] for row in ask(path, "PRAGMA table_info(artifacts)")}


def shape(path: Path) -> list[tuple[object, ...]]:
    return ask(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")


def test_a_missing_database_is_made_for_its_owner_alone(path: Path) -> None:
    assert check(path).standing == "empty"
    assert not path.exists()

    before = upgrade(path)

    assert before.standing == "empty"
    assert check(path).standing == "current"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_tables_made_without_alembic_are_those_that_its_steps_make(path: Path, tmp_path: Path) -> None:
    upgrade(path)
    stepped = tmp_path / "stepped.db"
    config = Config()
    config.set_main_option("script_location", str(HISTORY.folder))
    engine = open_sqlite(stepped, connections=1)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with engine.connect() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True}),
            metadata,
        )
    engine.dispose()

    assert differences == []
    assert list(map(_words, shape(stepped))) == list(map(_words, shape(path)))


def _words(row: tuple[object, ...]) -> tuple[object, ...]:
    # The order of the constraints in the text of a table says nothing.
    return (*row[:3], sorted(re.findall(r"\w+|[^\w\s,]", str(row[3]))))


def test_the_revisions_are_those_of_the_packaged_steps() -> None:
    steps = ScriptDirectory(str(HISTORY.folder)).walk_revisions()

    assert tuple(step.revision for step in steps)[::-1] == HISTORY.revisions


def test_a_database_that_is_up_to_date_is_left_as_it_is(path: Path) -> None:
    upgrade(path)
    before = path.read_bytes()

    assert upgrade(path).standing == "current"

    assert path.read_bytes() == before


def test_an_older_database_is_copied_and_then_upgraded(path: Path, tmp_path: Path) -> None:
    upgrade(path)
    with contextlib.closing(sqlite3.connect(path)) as writer:
        writer.execute(
            "INSERT INTO executions (id, tenant, user, session, status, created_at, outcome, cancel_requested) "
            "VALUES ('exc_1', 't', 'u', 's', 'lost', '2026-11-21', '{}', 0)"
        )
        writer.commit()  # It is open still, so the row is only in the write-ahead log.

        before = upgrade(path, history=next_release(tmp_path / "steps"))

    copy = path.with_name("handiwork.db.before-next")
    assert (before.found, before.expected, before.standing) == ("0003", "next", "older")
    assert ask(path, "SELECT version_num FROM alembic_version") == [("next",)]
    assert ask(copy, "SELECT version_num FROM alembic_version") == [("0003",)]
    assert columns(path) - columns(copy) == {"pinned"}
    assert ask(path, "SELECT id FROM executions") == ask(copy, "SELECT id FROM executions") == [("exc_1",)]
    assert copy.stat().st_mode & 0o777 == 0o600


def test_an_upgrade_that_breaks_off_changes_nothing_and_can_be_repeated(path: Path, tmp_path: Path) -> None:
    upgrade(path)
    broken = next_release(tmp_path / "broken", rest="raise RuntimeError('broke off')")

    with pytest.raises(RuntimeError, match="broke off"):
        upgrade(path, history=broken)

    assert check(path).standing == "current"
    assert "pinned" not in columns(path)
    upgrade(path, history=next_release(tmp_path / "mended"))
    assert "pinned" in columns(path)


def test_a_newer_database_is_refused_and_left_as_it_is(path: Path, tmp_path: Path) -> None:
    upgrade(path, history=HISTORY)
    upgrade(path, history=next_release(tmp_path / "steps"))

    assert check(path).standing == "newer"
    with pytest.raises(StoreVersionMismatch) as caught:
        upgrade(path)

    assert (caught.value.found, caught.value.expected) == ("next", "0003")
    assert "pinned" in columns(path)


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but precious" * 100)

    with pytest.raises(StorageFailed):
        upgrade(path)
    with pytest.raises(StorageFailed):
        check(path)

    assert path.read_bytes() == b"not a database, but precious" * 100


def test_every_connection_survives_the_loss_of_power_checks_references_and_wipes_what_is_deleted(path: Path) -> None:
    upgrade(path)
    engine = open_sqlite(path, connections=1)
    with engine.connect() as connection:
        answers = [
            connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        ]
    engine.dispose()

    assert answers == ["wal", 2, 1, 1, 10_000]


def test_who_waits_too_long_for_another_process_is_told(path: Path) -> None:
    upgrade(path)
    lock = path.with_name("handiwork.db.lock")
    with lock.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageFailed, match=r"another process has held the lock for 0\.05 s"):
            upgrade(path, deadline_seconds=0.05)
    assert upgrade(path, deadline_seconds=0.05).standing == "current"
