"""A process of its own that adds artifacts to one session of a store, with several writers at once.

It is started by `start`, which gives it the paths that the tests have.
"""

import asyncio
import sys
from pathlib import Path

from handiwork.model import Scope
from sample_records import filed
from sqlite_store import open_store


async def write(folder: Path, session: str, *, writer: str, writers: int, count: int) -> None:
    """Add `count` artifacts with each of `writers` writers, one event each."""
    async with open_store(folder) as store:

        async def one(number: int) -> None:
            for turn in range(count):
                scope = Scope(user="ada", session=session)
                await store.records.add([filed(f"{writer}x{number}x{turn}", scope=scope)])

        await asyncio.gather(*map(one, range(writers)))


async def start(
    folder: Path, session: str, *, writer: str, writers: int = 1, count: int = 1
) -> asyncio.subprocess.Process:
    """Let another process do that."""
    program = f"import sys; sys.path[:] = {sys.path!r}; import store_process; store_process.main()"
    arguments = (str(folder), session, writer, str(writers), str(count))
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments)


def main() -> None:
    folder, session, writer, writers, count = sys.argv[1:]
    asyncio.run(write(Path(folder), session, writer=writer, writers=int(writers), count=int(count)))
