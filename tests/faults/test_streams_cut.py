"""Followers that are cut off at random bytes while two processes write: nothing is missed, repeated or out of order."""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

import handiwork
from handiwork.engine import Engine
from handiwork.model import Scope
from integration.doors import listening_server
from integration.followers import WIRES, Client, Told, Wire, following

CUTS = 1000
FOLLOWERS = 20
MOST_BYTES = 2500
SESSION = "cut"
WRITER = """
import asyncio, sys
import handiwork

async def write(data, pause):
    async with handiwork.open(data) as engine:
        session = engine.session("cut")
        while True:
            await session.create("file", content="x", name="a.txt")
            print("written", flush=True)
            await asyncio.sleep(pause)

asyncio.run(write(sys.argv[1], 0.002))
"""


@contextlib.contextmanager
def writer(data: Path) -> Generator[None]:
    """Write from a process of its own, which is killed at the end."""
    running = subprocess.Popen([sys.executable, "-c", WRITER, str(data)], stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"written\n"
        yield
    finally:
        running.kill()
        running.communicate(timeout=10)


async def follow_until_cut(url: str, wire: Wire, after: int, *, most_bytes: int) -> list[Told]:
    """Take so many bytes, or what comes in a second, and return the events that were whole."""
    client = await Client.connect(url, following(wire, url, SESSION, after=after))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while client.taken < most_bytes and await client.take(most_bytes - client.taken):
                    pass
    finally:
        client.cut()
    return client.following.events


async def follow_to_the_end(url: str, wire: Wire, after: int, *, last: int) -> list[Told]:
    client = await Client.connect(url, following(wire, url, SESSION, after=after))
    try:
        return await client.until(seq=last) if after < last else []
    finally:
        client.cut()


async def logged(engine: Engine) -> list[str]:
    """The ids of all events in the order of the log, read without anything that follows."""
    ids: list[str] = []
    while True:
        stretch = await engine.retention.log.after(Scope(session=SESSION), len(ids), limit=500)
        ids += [event.id for event in stretch.events]
        if len(ids) >= stretch.last:
            return ids


@pytest.mark.timeout(240)
async def test_followers_that_are_cut_off_a_thousand_times_see_the_log_as_it_is(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    began = time.monotonic()
    seen: list[list[Told]] = [[] for _ in range(FOLLOWERS)]

    with listening_server(tmp_path) as one, listening_server(tmp_path) as other:
        urls = (one.url, other.url)

        async def be_cut_off(number: int) -> None:
            told = seen[number]
            for cut in range(CUTS // FOLLOWERS):
                after = told[-1]["seq"] if told else 0
                url, wire = urls[chance.randrange(2)], WIRES[(number + cut) % 2]
                told += await follow_until_cut(url, wire, after, most_bytes=chance.randrange(MOST_BYTES))

        async with handiwork.open(tmp_path) as engine:
            with writer(tmp_path):
                writing = asyncio.create_task(write_on(engine))
                await asyncio.gather(*(be_cut_off(number) for number in range(FOLLOWERS)))
                writing.cancel()
                await asyncio.wait([writing])
            log = await logged(engine)
            for number, told in enumerate(seen):
                after = told[-1]["seq"] if told else 0
                told += await follow_to_the_end(urls[number % 2], WIRES[number % 2], after, last=len(log))

    for told in seen:
        assert [event["seq"] for event in told] == list(range(1, len(log) + 1))
        assert [event["id"] for event in told] == log
    assert len(log) > 100
    print(f"{CUTS} cuts, {FOLLOWERS} followers, {len(log)} events, {time.monotonic() - began:.1f} s")


async def write_on(engine: Engine) -> None:
    while True:
        await engine.session(SESSION).create("file", content="x", name="a.txt")
        await asyncio.sleep(0.002)
