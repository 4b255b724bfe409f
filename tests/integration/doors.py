"""Servers to knock at: in this process without a network, or as a process on loopback. Nothing is asserted here."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from handiwork import wiring
from handiwork.access.policy import Caller
from handiwork.clock import utc_now
from handiwork.model import Reach
from handiwork.server.app import guarded
from handiwork.server.desk import Desk, Origins
from handiwork.settings import Settings
from handiwork.store.key_records import KeyKind

PUBLIC = "http://127.0.0.1:8765"
CONTENT = "http://127.0.0.1:8766"
API = "/api/v1"


@dataclass(slots=True)
class Hands:
    """The hands of a clock: it starts at the real time and goes on only when it is moved."""

    now: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **lapse: float) -> None:
        self.now += timedelta(**lapse)


class Door(NamedTuple):
    """What a test of the server needs."""

    client: httpx2.AsyncClient
    desk: Desk
    clock: Hands


@contextlib.asynccontextmanager
async def open_server(
    data: Path, *, is_open: bool = True, types: Iterable[object] = (), **settings: Any
) -> AsyncGenerator[Door]:
    """Open a server over a real store; `settings` are blocks, as in the configuration, `types` those of one's own.

    What the server fails to catch comes out of the client's call.
    """
    chosen = Settings.model_validate({"cache": data / "cache", **settings})
    hands, server = Hands(), chosen.server
    origins = Origins(
        public=PUBLIC, content=CONTENT, hosts=server.allowed_hosts, cors=server.cors, embedders=server.embedders
    )
    async with wiring.open_desk(
        data, settings=chosen, origins=origins, is_open=is_open, types=types, clock=hands
    ) as desk:
        transport = httpx2.ASGITransport(app=guarded(desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
        async with httpx2.AsyncClient(transport=transport, base_url=PUBLIC) as client:
            yield Door(client, desk, hands)


async def key_for(
    desk: Desk,
    kind: KeyKind = "user",
    *,
    tenant: str = "default",
    user: str | None = "local",
    session: str | None = None,
    **more: Any,
) -> str:
    """Make a key and return it; for an admin `user` means nothing."""
    reach = Reach(tenant=tenant, user=None if kind == "admin" else user, session=session)
    _record, key = await desk.keys.create(reach, kind, **more)
    return key


def bearer(key: str, *, user: str | None = None) -> dict[str, str]:
    """The headers of who holds a key; an admin says for which user."""
    return {"authorization": f"Bearer {key}"} | ({} if user is None else {"x-handiwork-user": user})


async def caller_of(desk: Desk, key: str) -> Caller:
    return await desk.recognised(f"Bearer {key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A server that is a process of its own."""

    process: subprocess.Popen[str]
    url: str
    content_url: str
    data: Path


@contextlib.contextmanager
def listening_server(data: Path, *flags: str, **environment: str) -> Generator[Listening]:
    """Start `handiwork serve` on free ports of loopback and wait until it answers; kill it at the end."""
    command = [sys.executable, "-m", "handiwork", "serve", "--data", str(data), "--port", "0", "--content-port", "0"]
    with (data / "server.log").open("a+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, "--json", *flags],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
            cwd=data,
        )
        try:
            assert process.stdout is not None
            if not (told := process.stdout.readline()):
                log.seek(0)
                raise AssertionError(log.read())
            addresses = json.loads(told)
            yield Listening(process=process, url=addresses["url"], content_url=addresses["contentUrl"], data=data)
        finally:
            process.kill()
            process.communicate(timeout=10)
