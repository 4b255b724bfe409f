"""Start a program without waiting for it, and follow what happens in its session."""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

import handiwork

CODE = """
import pandas as pd

weeks = pd.DataFrame({"week": [1, 2, 3], "visits": [310, 295, 402]})
weeks.to_csv("visits.csv", index=False)
weeks.to_excel("visits.xlsx", index=False)
"""


async def follow(session: handiwork.Session, run: handiwork.Execution, *, after: int) -> int:
    """Tell what happens until the run has ended, and return the cursor to go on from."""
    async with aclosing(session.watch(after=after)) as events:
        async for event in events:
            if event.type == "artifact-created" and event.artifact_id is not None:
                made = await session.get(event.artifact_id)
                print(event.seq, event.type, made.name, made.media_type)
            else:
                print(event.seq, event.type, *event.facts.values())
            after = event.seq
            if event.type == "execution-finished" and event.execution_id == run.id:
                break
    return after


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("follow")
        seen = (await session.list()).seq  # What happened before, the list shows.
        run = await session.start(CODE)
        print(run.status)
        seen = await follow(session, run, after=seen)
        print("seen up to", seen, "-", (await session.execution(run.id)).status)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
