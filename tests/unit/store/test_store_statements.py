import sqlite3
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from handiwork.store.statements import Statement
from handiwork.store.tables import UtcTime

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", String),
    Column("facts", JSON),
    Column("at", UtcTime),
)
ADD = Statement.into(notes)


@pytest.fixture
def connection(tmp_path: Path) -> Generator[Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'notes.db'}")
    metadata.create_all(engine)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_a_row_is_stored_as_by_the_statement_itself(connection: Connection) -> None:
    row = {"text": "a", "facts": {"ü": [None, 1.5]}, "at": AT}
    ADD.on(connection, {"id": 1, **row})
    connection.execute(notes.insert(), {"id": 2, **row})
    raw = connection.exec_driver_sql("SELECT text, facts, at FROM notes ORDER BY id").all()
    assert raw[0] == raw[1]
    assert connection.execute(select(notes.c.facts, notes.c.at).where(notes.c.id == 1)).one() == (row["facts"], AT)


def test_several_rows_are_added_at_once_and_none_is_none(connection: Connection) -> None:
    ADD.on(connection, *({"id": number} for number in range(5)))
    assert connection.execute(select(notes.c.id)).scalars().all() == [*range(5)]


def test_what_a_row_lacks_is_null_and_what_is_nothing_is_what_the_column_writes(connection: Connection) -> None:
    ADD.on(connection, {"id": 1})
    ADD.on(connection, {"id": 2, "facts": None, "text": None})
    assert connection.exec_driver_sql("SELECT text, facts FROM notes ORDER BY id").all() == [
        (None, None),
        (None, "null"),
    ]


def test_of_databases_of_one_kind_one_spelling_is_kept(tmp_path: Path) -> None:
    add = Statement.into(notes)
    for number in range(3):
        engine = create_engine(f"sqlite:///{tmp_path / str(number)}")
        metadata.create_all(engine)
        with engine.begin() as opened:
            add.on(opened, {"id": 1})
        engine.dispose()
    assert len(add._spelled) == 1  # pyright: ignore[reportPrivateUsage]


def test_a_value_may_be_asked_for_twice(connection: Connection) -> None:
    moved = Statement(
        update(notes)
        .where(notes.c.id == bindparam("its_id"), notes.c.at < bindparam("now", type_=UtcTime))
        .values(at=bindparam("now", type_=UtcTime), text=bindparam("its_text"))
    )
    ADD.on(connection, {"id": 1, "at": AT.replace(hour=11)})
    said = {"its_id": 1, "its_text": "later", "now": AT}
    assert moved.on(connection, said).rowcount == 1
    assert moved.on(connection, said).rowcount == 0
    assert connection.execute(select(notes.c.text, notes.c.at)).one() == ("later", AT)


def test_what_is_found_is_read_as_by_the_statement_itself(connection: Connection) -> None:
    ADD.on(connection, {"id": 1, "facts": {"a": [1]}, "at": AT}, {"id": 2})
    wanted = select(notes).where(notes.c.id == bindparam("its_id"))
    for number in (1, 2):
        found = Statement(wanted).on(connection, {"its_id": number}).first
        assert found == [*connection.execute(wanted, {"its_id": number}).one()]
    assert Statement(wanted).on(connection, {"its_id": 3}).first is None


def test_what_a_statement_was_told_to_return_is_found(connection: Connection) -> None:
    ADD.on(connection, {"id": 1, "text": "a"})
    renamed = Statement(update(notes).values(text=bindparam("its_text")).returning(notes.c.id, notes.c.text))
    assert renamed.on(connection, {"its_text": "b"}).first == [1, "b"]
    assert connection.execute(select(notes.c.text)).scalar() == "b"


def test_what_the_database_refuses_is_told_in_its_kind_and_without_the_values(connection: Connection) -> None:
    ADD.on(connection, {"id": 1})
    with pytest.raises(IntegrityError, match="UNIQUE") as refused:
        ADD.on(connection, {"id": 1, "text": "a secret"})
    assert isinstance(refused.value.orig, sqlite3.IntegrityError)
    assert "a secret" not in str(refused.value)
    ADD.on(connection, {"id": 2})


@pytest.mark.parametrize("row", [{"id": 1, "colour": "red"}, {"colour": "red"}])
def test_a_value_that_has_no_place_is_no_row(connection: Connection, row: dict[str, object]) -> None:
    with pytest.raises(KeyError, match="colour"):
        ADD.on(connection, row)


def test_a_value_that_is_asked_for_and_lacks_is_an_error(connection: Connection) -> None:
    with pytest.raises(KeyError, match="its_id"):
        Statement(select(notes).where(notes.c.id == bindparam("its_id"))).on(connection, {})
