"""What becomes of a store when one system call fails below Python and SQLite alike: every call, one at a time."""

import asyncio
import re
import select
import shutil
import subprocess
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faulted_caller
import pytest
import store_state as state
from faulted_caller import CONTENTS, LATER, SESSION, later
from fork_server import ForkServer
from kill_writer import SETTINGS

from handiwork import wiring

pytestmark = pytest.mark.linux
DEADLINE_SECONDS = 20.0
FAULTS = {
    "fsync": ("EIO",),
    "fdatasync": ("EIO",),
    "write": ("ENOSPC",),
    "pwrite64": ("ENOSPC", "EIO"),
    "pread64": ("EIO",),
    "openat": ("EMFILE", "ENOSPC"),
    "mkdir": ("ENOSPC",),
    "link": ("EIO",),
    "linkat": ("EIO",),
    "rename": ("EIO",),
    "unlink": ("EIO",),
    "rmdir": ("EIO",),
    "getdents64": ("EIO",),
    "ftruncate": ("EIO",),
    "fallocate": ("ENOSPC", "EIO"),
}
SYNCS = ("fsync", "fdatasync")
# Where a second error goes the same way as the first, one is enough.
WITH_EVERY_ERROR = ("remove",)
# Every line of the log: who, which call, its arguments and what came of it.
LINE = re.compile(r"^(?:(?P<thread>\d+) +)?(?P<call>\w+)\(.* = (?P<result>.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Point:
    """The n-th time that a thread makes a call, and how that fails."""

    thread: str
    call: str
    error: str
    n: int


@contextmanager
def traced(threads: Iterable[int], log: Path, *expressions: str, children: bool) -> Generator[None]:
    """Take hold of threads, and of those that they begin if asked to; let them go at the end."""
    command = ["strace", "-y", "-o", str(log), *(["-f"] if children else [])]
    for thread in threads:
        command += ["-p", str(thread)]
    for expression in expressions:
        command += ["-e", expression]
    try:
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, bufsize=0)
    except FileNotFoundError:
        pytest.skip("gap: strace is not installed")
    assert tracer.stderr is not None
    try:
        for _ in threads:
            assert select.select([tracer.stderr], [], [], DEADLINE_SECONDS)[0]
            said = tracer.stderr.readline().decode()
            if "attached" not in said:
                pytest.skip(f"gap: no process can be traced here ({said.strip()})")
        yield
    finally:
        tracer.terminate()
        tracer.stderr.close()
        tracer.wait(DEADLINE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where calls are made: a store made ready for them, a process to fork callers from, and a place for copies."""

    template: Path
    server: ForkServer
    place: Path

    def copy(self, call: str) -> Path:
        data = self.place / "data"
        shutil.rmtree(data, ignore_errors=True)
        if call != "open empty":
            shutil.copytree(self.template, data)
        return data

    def points(self, call: str, only: tuple[str, ...]) -> list[Point]:
        """Make the call without a fault and return all that could fail in it."""
        log = self.place / "log"
        threads = self.begin(call, self.copy(call))
        wanted = [name for name in FAULTS if not only or name in only]
        with traced(threads.values(), log, f"trace={','.join(wanted)}", children=is_cold(call)):
            answer = self.answer()
        self.end()
        assert answer == "done", "control: without a fault it succeeds"
        names = {str(number): name for name, number in threads.items()}
        made = Counter[tuple[str, str]]()
        for found in LINE.finditer(log.read_text(encoding="utf-8")):
            made[found["thread"] or next(iter(names)), found["call"]] += 1
        most = dict[tuple[str, str], int]()
        for (thread, name), count in made.items():
            # Threads that begin with the call have no name yet; each counts for itself.
            place = (names.get(thread, "MainThread"), name)
            most[place] = max(count, most.get(place, 0))
        return [
            Point(thread, name, error, n)
            for (thread, name), count in most.items()
            if (thread, name) != ("MainThread", "write")  # that is how it answers
            for error in (FAULTS[name] if call in WITH_EVERY_ERROR else FAULTS[name][:1])
            for n in range(1, count + 1)
        ]

    def begin(self, call: str, data: Path) -> dict[str, int]:
        self.server.order([{"data": str(data), "call": "open" if call == "open empty" else call}])
        return self.server.told_of("ready")

    def answer(self) -> str:
        """Let the call begin, and return what it answers."""
        self.server.say("")
        return self.server.told_of("answer")

    def end(self) -> Any:
        """Let the process go on, and return what it has stored then."""
        self.server.say("")
        again = self.server.told_of("again")
        assert self.server.told_of("ended") == [0]
        return again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a call in which one system call failed, if it did; `failed` is the line of the log."""

    data: Path
    failed: str | None
    answer: str
    again: tuple[str, str]


def try_point(bench: Bench, call: str, point: Point) -> Outcome:
    data, log = bench.copy(call), bench.place / "log"
    threads = bench.begin(call, data)
    inject = f"inject={point.call}:error={point.error}:when={point.n}"
    with traced([threads[point.thread]], log, f"trace={point.call}", inject, children=is_cold(call)):
        answer = bench.answer()
    failed = next((line for line in log.read_text(encoding="utf-8").splitlines() if "(INJECTED)" in line), None)
    again = bench.end()
    return Outcome(data=data, failed=failed, answer=answer, again=(again[0], again[1]))


def is_cold(call: str) -> bool:
    """Whether the threads of the call begin with it. Then each of them counts for itself."""
    return call in ("open", "open empty", "hold cold")


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    asyncio.run(faulted_caller.prepare(tmp_path / "template"))
    with ForkServer("faulted_caller.py") as server:
        yield Bench(template=tmp_path / "template", server=server, place=tmp_path)


def is_final(call: str, point: Point, outcome: Outcome) -> bool:
    """Whether a sync has failed that an acknowledgement stands on."""
    if point.call not in SYNCS or outcome.failed is None or call in ("clean", "open", "open empty"):
        return False
    # SQLite syncs the folder of its log and does not look what came of it; the store has done that itself before.
    return not (point.call == "fdatasync" and f"<{outcome.data}>" in outcome.failed)


def told_as(point: Point, outcome: Outcome) -> set[str]:
    if point.error != "ENOSPC":
        return {"storage_failed"}
    # SQLite says that it cannot open a file, or extend its shared memory, and not why.
    where = outcome.failed or ""
    says_no_reason = "handiwork.db" in where and (point.call == "openat" or "handiwork.db-shm" in where)
    return {"storage_full", "storage_failed"} if says_no_reason else {"storage_full"}


def assert_sound(outcome: Outcome, call: str) -> None:
    """What was acknowledged is there, what was not is all there or not at all, and what has ended can be cleaned up."""
    data = outcome.data
    rows = state.live_rows(data, at=later())
    state.assert_bytes(data, rows)
    state.assert_events(data)
    state.assert_intact(data)
    again, sha256 = outcome.again
    assert rows[again].sha256 == sha256
    assert_word_kept(outcome, call, {Path(row.key).name: row for row in rows.values() if f"/{SESSION}/" in row.key})
    if call != "open empty":
        assert any("/other/" in row.key for row in rows.values())
    asyncio.run(clean_up(data))
    assert state.blob_keys(data) == state.known_keys(data), "neither an orphan nor a row without bytes is left"
    state.assert_bytes(data, state.live_rows(data, at=later()))
    assert state.drafts(data) == []


def assert_word_kept(outcome: Outcome, call: str, live: Mapping[str, state.Row]) -> None:
    """`live` is what the session has by file name."""
    data, is_done = outcome.data, outcome.answer == "done"
    match call:
        case "create" | "create named":
            made = live.keys() & CONTENTS.keys()
            assert len(made) in ((len(CONTENTS),) if is_done else (0, len(CONTENTS))), "all or nothing"
            runs = state.asked(data, "SELECT status FROM executions")
            assert runs == ([("succeeded",)] if made else [])
        case "remove":
            assert not is_done or "victim.txt" not in live
        case "hold" | "hold cold":
            assert live["victim.txt"].held or not is_done
        case "clean":
            assert not is_done or not [key for key in state.blob_keys(data) if "brief" in key or "orphan" in key]
        case "erase":
            assert len(live) in ((0,) if is_done else (0, 2)), "all or nothing"
            assert not is_done or not [key for key in state.blob_keys(data) if f"/{SESSION}/" in key]
        case _:
            pass
    assert call in ("erase", "open empty") or "kept.txt" in live


async def clean_up(data: Path) -> None:
    async with wiring.open(data, settings=SETTINGS, clock=lambda: later() + LATER) as engine:
        await engine.clean()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("call", "only"),
    [
        pytest.param("create", SYNCS, marks=pytest.mark.quick),
        pytest.param("remove", ("unlink",), marks=pytest.mark.quick),
        ("create", ()),
        ("create named", ("write", "link", "unlink", "openat")),
        ("remove", ()),
        ("hold", ()),
        ("hold cold", ("fsync", "openat")),
        ("clean", ()),
        ("erase", ()),
        ("open", ()),
        ("open empty", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "all",
)
def test_a_call_that_fails_at_any_point_is_told_and_harms_nothing(
    bench: Bench, call: str, only: tuple[str, ...]
) -> None:
    points = bench.points(call, only)
    injected, refused = 0, Counter[str]()
    for point in points:
        outcome = try_point(bench, call, point)
        injected += outcome.failed is not None
        refused[outcome.answer] += 1
        assert outcome.answer in {"done", *told_as(point, outcome)}, (point, outcome)
        if is_final(call, point, outcome):
            assert outcome.answer == "storage_failed", (point, outcome)
        assert_sound(outcome, call)
    print(f"{call}: {injected} of {len(points)} calls failed, {dict(refused)}")
    assert injected >= 0.9 * len(points) > 0, "control: there were calls to fail, and they did"
