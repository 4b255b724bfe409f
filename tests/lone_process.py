"""A process of its own that has the store of a folder open and a run under way, until it is killed or told to end."""

import asyncio
import sys
from pathlib import Path

from handiwork import wiring
from handiwork.settings import Settings
from sample_records import execution


async def hold(folder: Path) -> None:
    """Begin a run, say so, and wait for the end of the input."""
    async with wiring.open(folder, settings=Settings()) as engine:
        begun = execution(status="running")
        await engine.runs.executions.begin(begun, owner=engine.runs.owner)
        print(begun.id, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def start(folder: Path) -> asyncio.subprocess.Process:
    """Let another process do that, and return it when its run is on record."""
    program = f"import sys; sys.path[:] = {sys.path!r}; import lone_process; lone_process.main()"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(folder), stdin=pipe, stdout=pipe, start_new_session=True
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"exc_1\n"
    return process


def main() -> None:
    asyncio.run(hold(Path(sys.argv[1])))
