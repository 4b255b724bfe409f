"""The database itself: who is committed together with whom, who is told what, and when."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from handiwork.errors import StorageFailed
from handiwork.store.sqlite import MOST_TOGETHER, SqliteDatabase


class Lined:
    """A database with one table, a count of its commits, and a gate that holds the writer up."""

    def __init__(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE seen (name TEXT PRIMARY KEY)")
        self.path, self.database, self.commits = path, SqliteDatabase(path), 0
        self.is_at_gate, self.gate = threading.Event(), threading.Event()
        event.listen(self.database._writer._engine, "commit", self._count)

    def _count(self, _connection: Connection) -> None:
        self.commits += 1

    async def hold_up(self) -> "asyncio.Task[None]":
        """Put work at the head of the line that ends when the gate is opened."""

        def wait(_connection: Connection) -> None:
            self.is_at_gate.set()
            assert self.gate.wait(10)

        task = asyncio.ensure_future(self.database.write(wait))
        assert await asyncio.to_thread(self.is_at_gate.wait, 5)
        return task

    async def behind_the_gate(self, *work: Callable[[Connection], object]) -> list[object]:
        """Line all of it up while the writer is held up, let go, and return what came of each."""
        head = await self.hold_up()
        tasks = [asyncio.ensure_future(self.database.write(each)) for each in work]
        await asyncio.sleep(0)
        self.gate.set()
        await head
        return await asyncio.gather(*tasks, return_exceptions=True)

    def names(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return [name for (name,) in connection.execute("SELECT name FROM seen ORDER BY rowid")]


@pytest.fixture
async def lined(tmp_path: Path) -> AsyncGenerator[Lined]:
    lined = Lined(tmp_path / "test.db")
    yield lined
    lined.gate.set()
    await lined.database.close()


def put(name: str, *, then: Exception | None = None) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(text("INSERT INTO seen VALUES (:name)"), {"name": name})
        if then is not None:
            raise then
        return name

    return work


async def test_works_that_wait_together_are_committed_together_in_the_order_they_came(lined: Lined) -> None:
    names = [f"n{index}" for index in range(10)]
    assert await lined.behind_the_gate(*map(put, names)) == names
    assert (lined.names(), lined.commits) == (names, 2)  # One for the head of the line, one for all behind it.


async def test_works_that_come_one_by_one_are_committed_one_by_one(lined: Lined) -> None:
    for name in "abc":
        assert await lined.database.write(put(name)) == name
    assert (lined.names(), lined.commits) == (["a", "b", "c"], 3)


async def test_no_more_than_a_bound_are_committed_together(lined: Lined) -> None:
    await lined.behind_the_gate(*(put(f"n{index}") for index in range(MOST_TOGETHER + 1)))
    assert (len(lined.names()), lined.commits) == (MOST_TOGETHER + 1, 3)


@pytest.mark.parametrize("error", [StorageFailed("here", "no"), RuntimeError("unexpected"), KeyError("x")], ids=repr)
async def test_one_that_fails_takes_back_itself_alone(lined: Lined, error: Exception) -> None:
    told = await lined.behind_the_gate(put("a"), put("b", then=error), put("c"))
    assert told == ["a", error, "c"]
    assert (lined.names(), lined.commits) == (["a", "c"], 2)


@pytest.mark.parametrize("error", [StorageFailed("here", "no"), RuntimeError("unexpected")], ids=repr)
async def test_one_that_fails_alone_changes_nothing(lined: Lined, error: Exception) -> None:
    with pytest.raises(type(error)):
        await lined.database.write(put("a", then=error))
    assert await lined.database.write(put("b")) == "b"
    assert lined.names() == ["b"]


async def test_a_constraint_that_refuses_one_does_not_harm_the_others(lined: Lined) -> None:
    first, twin, last = await lined.behind_the_gate(put("a"), put("a"), put("b"))
    assert (first, last) == ("a", "b")
    assert isinstance(twin, IntegrityError)
    assert lined.names() == ["a", "b"]


async def test_a_failure_of_the_database_is_told_to_all_that_wait_together(lined: Lined) -> None:
    def broken(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT * FROM no_such_table")

    told = await lined.behind_the_gate(put("a"), broken, put("b"))
    assert [type(each) for each in told] == [StorageFailed] * 3
    assert lined.names() == []
    assert await lined.database.write(put("later")) == "later"


async def test_a_commit_that_fails_is_told_to_all_and_not_tried_again(lined: Lined) -> None:
    tried: list[str] = []

    def refuse(_connection: Connection) -> None:
        if lined.gate.is_set():
            tried.append("commit")
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    head = await lined.hold_up()
    tasks = [asyncio.ensure_future(lined.database.write(put(name))) for name in "ab"]
    await asyncio.sleep(0)
    event.listen(lined.database._writer._engine, "commit", refuse)
    lined.gate.set()
    told = await asyncio.gather(head, *tasks, return_exceptions=True)
    event.remove(lined.database._writer._engine, "commit", refuse)
    assert [type(each) for each in told] == [StorageFailed] * 3
    assert (tried, lined.names()) == (["commit"] * 2, [])  # One for the head of the line, one for the two behind it.


async def test_who_is_cancelled_during_a_write_learns_it_after_the_decision(lined: Lined) -> None:
    head = await lined.hold_up()
    writing = asyncio.ensure_future(lined.database.write(put("a")))
    await asyncio.sleep(0)
    for _ in range(3):
        writing.cancel()
        await asyncio.sleep(0)
    assert not writing.done()
    lined.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert lined.names() == ["a"]
    await head


async def test_a_read_is_of_one_moment(lined: Lined) -> None:
    def look(connection: Connection) -> tuple[int, int]:
        count = text("SELECT count(*) FROM seen")
        before = connection.execute(count).scalar_one()
        with contextlib.closing(sqlite3.connect(lined.path)) as other, other:
            other.execute("INSERT INTO seen VALUES ('between')")
        return before, connection.execute(count).scalar_one()

    assert await lined.database.read(look) == (0, 0)
    assert lined.names() == ["between"]


async def test_readers_go_on_while_a_writer_is_at_work(lined: Lined) -> None:
    head = await lined.hold_up()
    count = text("SELECT count(*) FROM seen")
    assert await asyncio.wait_for(lined.database.read(lambda c: c.execute(count).scalar_one()), 5) == 0
    lined.gate.set()
    await head


async def test_a_database_that_cannot_be_read_says_so(lined: Lined) -> None:
    with pytest.raises(StorageFailed, match="no_such_table"):
        await lined.database.read(lambda c: c.exec_driver_sql("SELECT * FROM no_such_table").all())


@pytest.mark.parametrize("by_another", [False, True])
async def test_a_write_of_anybody_is_heard(lined: Lined, by_another: bool) -> None:
    seen = await lined.database.changed(-1)
    assert await lined.database.changed(seen) == seen
    waiting = asyncio.ensure_future(lined.database.changed(seen))
    if by_another:
        with contextlib.closing(sqlite3.connect(lined.path)) as other, other:
            other.execute("INSERT INTO seen VALUES ('x')")
    else:
        await lined.database.write(put("x"))
    heard = await asyncio.wait_for(waiting, 5)
    assert heard != seen
    assert await lined.database.changed(heard) == heard


async def test_a_close_waits_for_what_is_being_written(lined: Lined) -> None:
    head = await lined.hold_up()
    writing = asyncio.ensure_future(lined.database.write(put("a")))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(lined.database.close())
    lined.gate.set()
    await asyncio.wait_for(closing, 5)
    assert await asyncio.gather(head, writing) == [None, "a"]
    assert lined.names() == ["a"]


async def test_what_was_deleted_leaves_the_disk_when_it_is_tidied(lined: Lined) -> None:
    canary = "canary-3f9a" * 500
    await lined.database.write(put(canary))
    await lined.database.write(lambda c: c.execute(text("DELETE FROM seen")).rowcount)
    log = lined.path.with_name("test.db-wal")
    assert b"canary-3f9a" in lined.path.read_bytes() + log.read_bytes()
    await lined.database.tidy()
    assert b"canary-3f9a" not in lined.path.read_bytes() + log.read_bytes()
