"""One call to a store, begun on demand so that a tracer can take hold of the threads in which it shall fail."""

import asyncio
import ctypes
import hashlib
import importlib
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fork_server import Order, serve, tell
from kill_writer import SETTINGS, with_named_drafts

from handiwork import wiring
from handiwork.engine import Engine
from handiwork.errors import HandiworkError
from handiwork.ids import ArtifactId, new_execution_id
from handiwork.model import Execution, Outcome, Reach, Scope
from handiwork.store import local_blobs, sqlite
from handiwork.store.keys import blob_key
from handiwork.versions.content import Bytes
from handiwork.versions.drafts import Draft

SESSION = "s"
PR_SET_PTRACER, ANYBODY = 0x59616D61, 2**64 - 1
BRIEF = timedelta(hours=1)
# What is kept for an hour has expired by then, and what has no record is past the grace.
LATER = timedelta(hours=3)
CONTENTS = {"long.txt": b"long" * 300_000, "short.txt": b"short"}


def later() -> datetime:
    return datetime.now(UTC) + LATER


async def prepare(data: Path) -> None:
    """Fill a store with everything that the calls need."""
    async with wiring.open(data, settings=SETTINGS) as engine:
        session = engine.session(SESSION)
        await session.create("file", content="kept", name="kept.txt")
        await engine.session("other").create("file", content="kept", name="kept.txt")
        await session.create("file", content="victim", name="victim.txt")
        for number in range(2):
            await session.create("file", content=f"brief {number}", name=f"brief-{number}.txt", retention=BRIEF)
        orphan = blob_key(session.scope, ArtifactId("art_orphan"), 1, "orphan.txt")
        await engine.blobs.put(orphan, Bytes(b"orphan").chunks())


async def named(engine: Engine, name: str) -> str:
    page = await engine.session(SESSION).list(query=name)
    return page.items[0].id


async def create(engine: Engine) -> None:
    run = Execution(
        id=new_execution_id(),
        scope=Scope(session=SESSION),
        created_at=later(),
        outcome=Outcome(status="succeeded", exit_code=0),
    )
    drafts = [Draft(type=engine.types.named("file"), name=name, content=Bytes(data)) for name, data in CONTENTS.items()]
    await engine.creation.file(run.scope, drafts, execution=run)


async def remove(engine: Engine) -> None:
    await engine.session(SESSION).remove(await named(engine, "victim"))


async def hold(engine: Engine) -> None:
    await engine.session(SESSION).hold(await named(engine, "victim"))


async def clean(engine: Engine) -> None:
    await engine.clean()


async def erase(engine: Engine) -> None:
    await engine.erase(Reach(tenant="default", user="local", session=SESSION))


CALLS: dict[str, Callable[[Engine], Awaitable[None]]] = {
    "create": create,
    "create named": create,
    "remove": remove,
    "hold": hold,
    "hold cold": hold,
    "clean": clean,
    "erase": erase,
}


async def call(order: Order) -> None:
    data, what = Path(order["data"]), order["call"]
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, thread_name_prefix="files"))
    if what == "open":
        await opened(data)
        return
    async with wiring.open(data, settings=SETTINGS, clock=later) as engine:
        if what == "create named":
            engine = with_named_drafts(engine, data)
        if what != "hold cold":
            # Each thread has begun: they are taken hold of one by one, and their calls counted.
            await engine.records.note_preview(ArtifactId("none"), 1, None)
            await named(engine, "kept")
        tell(ready=main_thread() if what == "hold cold" else threads())
        os.read(0, 1)
        try:
            await asyncio.wait_for(CALLS[what](engine), 20)
            tell(answer="done")
        except HandiworkError as refused:
            tell(answer=refused.code)
        os.read(0, 1)
        await again(engine)


def threads() -> dict[str, int | None]:
    return {thread.name: thread.native_id for thread in threading.enumerate()} | main_thread()


def main_thread() -> dict[str, int | None]:
    # After a fork Python has the number of the parent's.
    return {"MainThread": os.getpid()}


async def opened(data: Path) -> None:
    tell(ready=main_thread())
    os.read(0, 1)
    try:
        async with asyncio.timeout(20), wiring.open(data, settings=SETTINGS, clock=later):
            tell(answer="done")
            os.read(0, 1)
    except HandiworkError as refused:
        tell(answer=refused.code)
        os.read(0, 1)
    async with wiring.open(data, settings=SETTINGS, clock=later) as engine:
        await again(engine)


async def again(engine: Engine) -> None:
    """The fault is over: the same process goes on as if nothing had been."""
    made = await engine.session("again").create("file", content="again", name="again.txt")
    assert await engine.session("again").read(made.id) == b"again"
    tell(again=[made.id, hashlib.sha256(b"again").hexdigest()])


def work(order: Order) -> None:
    # Where only a parent may trace, a tracer that is no relative may too.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY))
    # One thread of each kind, so that a call is made by the same one each time.
    sqlite.READERS = 1
    local_blobs.SYNC_HELPERS = 0
    asyncio.run(call(order))


if __name__ == "__main__":
    # SQLAlchemy imports this with the first database, by open files that fail.
    importlib.import_module("sqlalchemy.dialects.sqlite")
    serve(work)
