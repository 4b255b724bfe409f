"""Ten rows of a table of 10 MB against a whole parse of it with the csv module: medians of rounds in one run.

Near the beginning, in the middle and at the end, of a table without quotes and of one with quotes in each row; beside
them the last lines, a search, and ten elements of a JSON array. Then the same of an artifact in a store, whose hashes
are checked: the first look after the store was opened, when a process remembers nothing of it, and those from then on;
and what it takes to store it. Machines differ and are shared, so read the ratios. Nothing here is asserted.
"""

import asyncio
import csv
import json
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import handiwork
from handiwork.versions.excerpts import select
from handiwork.versions.selectors import Selector

ROUNDS = 9
BUDGET_BYTES = 32 * 1024
CHUNK_BYTES = 1024 * 1024
SIZE_BYTES = 10 * 1024 * 1024 - 1024


class Stored:
    """A file that counts what is read of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.given = path, path.stat().st_size, 0

    async def chunks(self, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        left = self.size - offset if length is None else length
        with self.path.open("rb") as file:
            file.seek(offset)
            while left and (chunk := await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))):
                left -= len(chunk)
                self.given += len(chunk)
                yield chunk


def plain(number: int) -> str:
    return f"{number},name {number},{number * 7 % 1000}.50,2026-11-{number % 28 + 1:02}\n"


def quoted(number: int) -> str:
    return f'{number},"name, {number}","said ""{number % 10}""\non two lines",2026-11-{number % 28 + 1:02}\n'


def table(folder: Path, row: Callable[[int], str]) -> tuple[Stored, int]:
    path = folder / f"{row.__name__}.csv"
    count, size = 0, 0
    with path.open("w", encoding="utf-8", newline="") as file:
        size += file.write("id,name,amount,day\n")
        while size < SIZE_BYTES:
            size += file.write(row(count))
            count += 1
    return Stored(path), count


def array(folder: Path) -> tuple[Stored, int]:
    elements = [{"id": number, "name": f"name {number}", "tags": ["a", "b"]} for number in range(SIZE_BYTES // 60)]
    path = folder / "array.json"
    path.write_text(json.dumps(elements), encoding="utf-8")
    return Stored(path), len(elements)


async def parsed_as_csv(content: Stored) -> None:
    def work() -> None:
        with content.path.open(encoding="utf-8", newline="") as file:
            for _row in csv.reader(file):
                pass

    await asyncio.to_thread(work)


async def parsed_as_json(content: Stored) -> None:
    await asyncio.to_thread(lambda: json.loads(content.path.read_bytes()))


async def median(work: Callable[[], Awaitable[object]]) -> float:
    times: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        await work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


async def compare(content: Stored, media_type: str, selectors: list[str], rival: float) -> None:
    for text in selectors:
        selector = Selector.parse(text)
        content.given = 0
        seconds = await median(lambda: select(content, selector, media_type=media_type, budget_bytes=BUDGET_BYTES))  # noqa: B023  # awaited in this turn
        read = content.given / ROUNDS / content.size
        print(f"    {text:24} {seconds * 1000:8.2f} ms  {seconds / rival:6.1%} of the parse, {read:6.1%} of it read")


async def compare_stored(folder: Path, content: Stored, type_: str, selectors: list[str], rival: float) -> None:
    store = folder / f"{content.path.stem} {type_}"
    async with handiwork.open(store) as engine:
        session = engine.session("bench")
        storing = await median(lambda: session.create(type_, title=content.path.name, content=content.path))
        made = (await session.list(limit=1)).items[0]
    print(f"    stored as `{type_}` in {storing * 1000:.1f} ms {storing / rival:.1%}")
    for text in selectors:
        firsts: list[float] = []
        later = 0.0
        for _ in range(ROUNDS):
            async with handiwork.open(store) as engine:
                filed = await engine.find(session.scope, made.id)
                begin = time.perf_counter()
                await engine.select(filed, text)
                firsts.append(time.perf_counter() - begin)
                later = await median(lambda: engine.select(filed, text))  # noqa: B023  # awaited in this turn
        first = statistics.median(firsts)
        told = f"first {first * 1000:8.2f} ms {first / rival:6.1%}   later {later * 1000:8.2f} ms {later / rival:6.1%}"
        print(f"      {text:22} {told}")


async def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}, medians of {ROUNDS} rounds")
    with tempfile.TemporaryDirectory() as name:
        for row in (plain, quoted):
            content, count = table(Path(name), row)
            rival = await median(lambda: parsed_as_csv(content))  # noqa: B023  # awaited in this turn
            print(f"{row.__name__} table, {content.size:,} bytes, {count:,} rows: csv module {rival * 1000:.1f} ms")
            places = [f"rows={first}:{first + 10}" for first in (100, count // 2, count - 20)]
            await compare(content, "text/csv", [*places, "tail=10", "grep=name 99999", "search=NAME 99999"], rival)
            await compare(content, "text/plain", ["tail=10"], rival)
            for type_ in ("csv", "file"):
                await compare_stored(
                    Path(name), content, type_, [*places, "tail=10", f"lines={count}:{count + 10}"], rival
                )
        content, count = array(Path(name))
        rival = await median(lambda: parsed_as_json(content))
        print(f"array, {content.size:,} bytes, {count:,} elements: json module {rival * 1000:.1f} ms")
        places = [f"rows={first}:{first + 10}" for first in (100, count // 2, count - 20)]
        await compare(content, "application/json", [*places, f"path=$[{count // 2}].name"], rival)
        await compare_stored(Path(name), content, "file", places, rival)


if __name__ == "__main__":
    asyncio.run(main())
