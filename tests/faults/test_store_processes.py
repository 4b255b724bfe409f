"""What survives when processes that write are killed, or write at once."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import store_writer

import handiwork
from handiwork.ids import ExecutionId
from handiwork.model import Scope
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.reading import read_verified
from handiwork.store.sql_events import SqlEvents
from handiwork.store.sql_executions import SqlExecutions
from handiwork.store.sql_records import SqlRecords
from handiwork.store.sqlite import SqliteDatabase
from handiwork.store.upgrade import check

ENDLESS = 1_000_000
CYCLES = 5
WRITERS = 8


def start_writer(data: Path, session: str, *, runs: int, writers: int = 1) -> subprocess.Popen[str]:
    script = str(Path(store_writer.__file__))
    return subprocess.Popen(
        [sys.executable, script, str(data), session, str(runs), str(writers)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def acknowledged(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]


async def assert_sound(data: Path, session: str, runs: list[list[str]]) -> int:
    """Check that what was acknowledged is there, and that what is there is whole; return how many runs there are."""
    database = SqliteDatabase(data / "handiwork.db")
    records, executions, log = SqlRecords(database), SqlExecutions(database), SqlEvents(database)
    blobs, scope = LocalBlobs(data / "blobs"), Scope(session=session)
    for run, *artifacts in runs:
        kept = await executions.get(scope, ExecutionId(run))
        assert [artifact.id for artifact in kept.artifacts] == artifacts
    page = await records.page(scope, limit=100_000, cursor=None)
    # A run is two events more than its artifacts are.
    events = (await log.after(scope, 0, limit=1_000_000)).events
    assert [event.seq for event in events] == list(range(1, len(page.items) // store_writer.OUTPUTS * 4 + 1))
    for artifact in page.items:
        filed = await records.get(scope, artifact.id)
        content = read_verified(blobs, filed.blob_key, size=artifact.size, sha256=artifact.sha256)
        assert sum([len(chunk) async for chunk in content]) == artifact.size
        run_id = artifact.version.provenance.execution_id
        assert run_id is not None
        assert len((await executions.get(scope, run_id)).artifacts) == store_writer.OUTPUTS
    await database.close()
    with contextlib.closing(sqlite3.connect(data / "handiwork.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return len(page.items) // store_writer.OUTPUTS


async def test_nothing_that_was_acknowledged_is_lost_when_writers_are_killed(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    runs: list[list[str]] = []
    for _ in range(CYCLES):
        writer = start_writer(tmp_path, "s", runs=ENDLESS, writers=WRITERS)
        assert writer.stdout is not None
        first = await asyncio.wait_for(asyncio.to_thread(writer.stdout.readline), 20)
        with contextlib.suppress(subprocess.TimeoutExpired):
            writer.wait(chance.uniform(0, 0.15))
        os.killpg(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate(timeout=5)
        runs += acknowledged(first + rest)

    kept = await assert_sound(tmp_path, "s", runs)

    assert len(runs) >= CYCLES
    assert len(runs) <= kept <= len(runs) + CYCLES * WRITERS


async def test_processes_that_start_on_an_empty_folder_and_write_at_once_all_succeed(tmp_path: Path) -> None:
    sessions = [f"s-{number}" for number in range(3)]
    writers = [start_writer(tmp_path, session, runs=15) for session in sessions]

    outputs = [writer.communicate(timeout=30)[0] for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0]
    for session, output in zip(sessions, outputs, strict=True):
        runs = acknowledged(output)
        assert len(runs) == 15
        assert await assert_sound(tmp_path, session, runs) == 15


def test_a_store_is_opened_without_importing_alembic(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from handiwork.store.upgrade import upgrade
import handiwork.store.sql_records
for _ in range(2):
    upgrade(Path(sys.argv[1]))
sys.exit("alembic" in sys.modules)
"""
    path = tmp_path / "handiwork.db"

    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=30)

    assert check(path).standing == "current"


@pytest.mark.parametrize("waits", [True, False])
async def test_a_writer_waits_for_the_writer_of_another_process(tmp_path: Path, waits: bool) -> None:
    await store_writer.write(tmp_path, "s", 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "handiwork.db", isolation_level=None)) as other:
        if waits:
            other.execute("BEGIN IMMEDIATE")
        writing = asyncio.ensure_future(store_writer.write(tmp_path, "s", 1))
        await asyncio.wait([writing], timeout=0.3 if waits else 5)
        assert writing.done() is not waits
        if waits:
            other.execute("ROLLBACK")
        await asyncio.wait_for(writing, 5)


async def test_a_program_that_ran_when_its_process_was_killed_is_lost(tmp_path: Path) -> None:
    code = "import time\ntime.sleep(60)"
    program = f"""
import asyncio, sys, handiwork
async def main():
    async with handiwork.open(sys.argv[1]) as engine:
        await engine.session("s").run({code!r})
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path / "data"), cwd=tmp_path, start_new_session=True
    )
    try:
        execution_id = await asyncio.wait_for(running_in(tmp_path / "data" / "handiwork.db"), 30)
    finally:
        process.kill()
        await asyncio.wait_for(process.wait(), 10)
    async with handiwork.open(tmp_path / "data") as engine:
        session = engine.session("s")
        assert (await session.execution(execution_id)).status == "lost"
        seen = [event.type for event in (await engine.retention.log.after(session.scope, 0, limit=10)).events]
        assert seen == ["execution-started", "execution-finished"]
        assert await engine.retention.recover() == 0


async def running_in(path: Path) -> str:
    """Wait for a run to be on record, and return its id."""
    while True:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db,
        ):
            if found := db.execute("SELECT id FROM executions WHERE status = 'running'").fetchall():
                return str(found[0][0])
        await asyncio.sleep(0.05)
