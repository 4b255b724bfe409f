"""Somebody who collects and hands off again and again, until the process is killed; it says what was acknowledged."""

import asyncio
import json
import sys
from itertools import count
from pathlib import Path

from handiwork import wiring
from handiwork.session import Session
from handiwork.settings import Artifacts, Settings, Storage

SETTINGS = Settings(artifacts=Artifacts(storage=Storage(cleanup_enabled=False, reserve=1 << 20)))
LINES = 2_000


def content_of(name: str) -> str:
    """What is kept under this name: from its first line can be told whether all of it is there."""
    return "\n".join([f"# {name}", *(f"{name} = {line}" for line in range(LINES))]) + "\n"


async def keep(session: Session, name: str) -> list[str]:
    """Collect two blocks of code and hand off a document."""
    blocks = [f"```python\n{content_of(each)}```\n" for each in (f"{name}a", f"{name}b")]
    kept = await session.collect("\n".join(blocks))
    shown = await session.handoff(f"ARTIFACT\nARTIFACT_SUMMARY: {name}\n\n~~~markdown\n{content_of(name)}~~~")
    handle = shown.partition('id="')[2].partition('"')[0]
    return [*(each.id for each in kept), (await session.get(handle)).id]


async def main(data: Path, who: str) -> None:
    async with wiring.open(data, settings=SETTINGS) as engine:
        session = engine.session("s")
        for number in count():
            print(json.dumps(await keep(session, f"{who}_{number}")), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
