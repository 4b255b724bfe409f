"""The server against the least that could do the same: store, read and list over HTTP, medians of rounds in one run.

The rival to storing is a FastAPI route with one durable SQLite insert and one fsynced file, the rival to reading one
with a file response. Machines differ and are shared, so read the ratios. Nothing here is asserted.
"""

import asyncio
import contextlib
import functools
import json
import os
import platform
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from wire import Client, free_port, process

import handiwork
from handiwork.ids import new_artifact_id, new_handle
from handiwork.store.keys import blob_key
from handiwork.store.records import Filed

ROUNDS = 7
REQUESTS = 60
CLIENTS = 8
CONTENT = secrets.token_hex(2048)
LARGE = 100_000
RIVAL = """
import os, secrets, sqlite3, sys, threading
from fastapi import FastAPI
from fastapi.responses import FileResponse
from pydantic import BaseModel
import uvicorn
folder = sys.argv[1]
local = threading.local()
def database():
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(folder + "/rival.db", timeout=10)
        local.connection.execute("PRAGMA journal_mode=WAL"); local.connection.execute("PRAGMA synchronous=FULL")
        local.connection.execute("CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, title TEXT, size INTEGER)")
    return local.connection
class File(BaseModel):
    title: str
    content: str
app = FastAPI()
@app.post("/files", status_code=201)
def store(file: File):
    id, data = secrets.token_hex(11), file.content.encode()
    descriptor = os.open(f"{folder}/{id}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(descriptor, data); os.fsync(descriptor); os.close(descriptor)
    with database() as connection:
        connection.execute("INSERT INTO files VALUES (?, ?, ?)", (id, file.title, len(data)))
    return {"id": id}
@app.get("/files/{id}")
def read(id: str):
    return FileResponse(f"{folder}/{id}")
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


async def rate(port: int, clients: int, request: Callable[[Client, int], Awaitable[object]]) -> float:
    """Requests per second of so many connections, each with its share."""

    async def work(client: Client, numbers: range) -> None:
        for number in numbers:
            await request(client, number)

    async with contextlib.AsyncExitStack() as stack:
        connected = [await stack.enter_async_context(Client(port)) for _ in range(clients)]
        began = time.perf_counter()
        await asyncio.gather(*(work(c, range(i, REQUESTS, clients)) for i, c in enumerate(connected)))
        return REQUESTS / (time.perf_counter() - began)


async def compare(folder: Path) -> None:
    rival_port, port, content_port = free_port(), free_port(), free_port()
    (folder / "rival").mkdir()
    (folder / "rival.py").write_text(RIVAL, encoding="utf-8")
    serve = ("-m", "handiwork", "serve", "--data", str(folder / "ours"), "--port", str(port))
    async with (
        process(str(folder / "rival.py"), str(folder / "rival"), str(rival_port), port=rival_port),
        process(*serve, "--content-port", str(content_port), port=port),
    ):
        base = "/api/v1"
        theirs = json.dumps({"title": "a", "content": CONTENT}).encode()
        ours = json.dumps({"type": "file", "name": "a.txt", "title": "a", "content": CONTENT}).encode()

        async def store_there(client: Client, _number: int) -> bytes:
            return await client.ask("POST", "/files", theirs)

        async def store_here(client: Client, _number: int) -> bytes:
            return await client.ask("POST", f"{base}/sessions/bench/artifacts", ours)

        async def write_here(client: Client, _number: int) -> bytes:
            return await client.ask("POST", f"{base}/sessions/bench/artifacts", markdown)

        markdown = json.dumps({"type": "markdown", "title": "a", "content": CONTENT}).encode()

        async with Client(rival_port) as there, Client(port) as here:
            their_id = json.loads(await store_there(there, 0))["id"]
            our_id = json.loads(await store_here(here, 0))["id"]

        async def read_there(client: Client, _number: int) -> bytes:
            return await client.ask("GET", f"/files/{their_id}")

        async def read_here(client: Client, _number: int) -> bytes:
            return await client.ask("GET", f"{base}/artifacts/{our_id}/content")

        for what, aim, there_request, here_request in (
            ("store 4 KB", 0.4, store_there, store_here),
            ("markdown", 0.4, store_there, write_here),
            ("read 4 KB", 0.7, read_there, read_here),
        ):
            for clients in (1, CLIENTS):
                pairs = [
                    (await rate(rival_port, clients, there_request), await rate(port, clients, here_request))
                    for _ in range(ROUNDS)
                ]
                their, our = (statistics.median(each) for each in zip(*pairs, strict=True))
                ratio = statistics.median(here / there for there, here in pairs)
                rates = f"rival {their:7.0f}/s  ours {our:7.0f}/s"
                print(f"{what:12} {clients} client(s)  {rates}  {ratio:5.2f}x  (aim {aim})")


async def revise(folder: Path) -> None:
    """One line of a text of 200 KB by find and replace, against making an artifact of 4 KB."""
    port = free_port()
    base = "/api/v1"
    lines = [f"line {number} {secrets.token_hex(20)}" for number in range(4000)]
    serve = ("-m", "handiwork", "serve", "--data", str(folder / "revised"), "--port", str(port), "--content-port", "0")
    async with process(*serve, port=port), Client(port) as client:
        small = json.dumps({"type": "markdown", "title": "a", "content": CONTENT}).encode()
        large = json.dumps({"type": "markdown", "title": "a", "content": "\n".join(lines)[:200_000]}).encode()
        made = json.loads(await client.ask("POST", f"{base}/sessions/bench/artifacts", large))
        path = f"{base}/artifacts/{made['id']}/versions"
        ratios: list[float] = []
        for number in range(ROUNDS * 10):
            old, new = (lines[2000], f"{lines[2000]}!")[:: 1 if number % 2 == 0 else -1]
            patch = json.dumps({"patch": [{"find": f"\n{old}\n", "replace": f"\n{new}\n"}]})
            begin = time.perf_counter()
            await client.ask("POST", f"{base}/sessions/bench/artifacts", small)
            middle = time.perf_counter()
            await client.ask("POST", path, patch.encode())
            ratios.append((time.perf_counter() - middle) / (middle - begin))
        print(f"revise one line of 200 KB against a create of 4 KB: {statistics.median(ratios):.2f}x  (aim 1.5)")


async def grow(folder: Path) -> None:
    """Listing and reading with few artifacts and with many, in the same session."""
    async with handiwork.open(folder / "many") as engine:
        session = engine.session("many")
        first = await session.create("file", content=CONTENT, name="first.txt")
        filed = await engine.find(session.scope, first.id)
        timings: dict[int, dict[str, float]] = {}
        count = 1
        for size in (1_000, LARGE):
            while count < size:
                some = min(1_000, size - count)
                await engine.records.add([copy_of(filed, number) for number in range(count, count + some)])
                count += some
            made = await session.create("file", content=CONTENT, name="read.txt")
            timings[size] = {
                "list 50": await milliseconds(functools.partial(session.list, limit=50)),
                "read 4 KB": await milliseconds(functools.partial(session.read, made.id)),
            }
        for what, small in timings[1_000].items():
            large = timings[LARGE][what]
            print(
                f"{what:12} at 1,000: {small:.2f} ms   at {LARGE:,}: {large:.2f} ms   {large / small:.2f}x  (aim 1.5)"
            )


def copy_of(filed: Filed, number: int) -> Filed:
    artifact_id = new_artifact_id()
    at = filed.artifact.created_at + timedelta(microseconds=number)
    version = replace(filed.artifact.version, artifact_id=artifact_id, created_at=at)
    handle = new_handle(f"n{number}.txt")
    artifact = replace(filed.artifact, id=artifact_id, handle=handle, version=version, created_at=at, updated_at=at)
    return Filed(artifact=artifact, blob_key=blob_key(artifact.scope, artifact_id, 1, version.name))


async def milliseconds(work: Callable[[], Awaitable[object]], *, times: int = 200) -> float:
    spent: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)


async def main() -> None:
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; medians of {ROUNDS} rounds"
    )
    with tempfile.TemporaryDirectory() as folder:
        await compare(Path(folder))
        await revise(Path(folder))
        await grow(Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
