"""Clients of MCP over HTTP that take nothing, or late, while much happens: nobody waits for them, and nothing is lost.

They speak with the application itself, so that it is theirs what they take, and when.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from doors import CONTENT, PUBLIC, bearer, key_for
from protocol_clients import MODES, PATIENCE_SECONDS, VERSIONS, Mode
from starlette.types import ASGIApp
from takers import Asked, leave, taking

from handiwork import wiring
from handiwork.model import Artifact
from handiwork.server import outlets
from handiwork.server.app import application
from handiwork.server.desk import Desk, Origins
from handiwork.server.streams import Pace, Streams
from handiwork.settings import Settings

HELLO: dict[str, Any] = {
    "protocolVersion": VERSIONS["legacy"],
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}
META = {
    "io.modelcontextprotocol/protocolVersion": VERSIONS["auto"],
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}
HASTY = Pace(stall_seconds=0.05)
TOUCHES = 40


@dataclass(slots=True, eq=False)
class Client:
    """Somebody who speaks with the application in the session `s`."""

    app: ASGIApp
    desk: Desk
    asked: list[Asked] = field(default_factory=list[Asked])
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def send(self, method: str, body: object = None, *, takes: bool = True, **headers: str) -> Asked:
        sent = {"accept": "application/json, text/event-stream", **self.headers}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        asked = taking(self.app, method, "/mcp?session=s", body=body, headers=sent, takes=takes)
        self.asked.append(asked)
        return asked

    def ask(self, method: str, mode: Mode = "legacy", *, takes: bool = True, **params: Any) -> Asked:
        modern = {"mcp_protocol_version": VERSIONS["auto"], "mcp_method": method}
        if "uri" in params:
            modern["mcp_name"] = params["uri"]
        told = params if mode == "legacy" else {**params, "_meta": META}
        body = {"jsonrpc": "2.0", "id": len(self.asked), "method": method, "params": told}
        return self.send("POST", body, takes=takes, **({} if mode == "legacy" else modern))

    async def answer(self, method: str, **params: Any) -> Any:
        asked = self.ask(method, **params)
        await asked.over()
        return asked.messages[-1]["result"]

    async def begin(self) -> None:
        hello = self.ask("initialize", **HELLO)
        await hello.over()
        self.headers["mcp-session-id"] = hello.headers["mcp-session-id"]
        await self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}).over()

    async def follow(self, *uris: str) -> None:
        for uri in uris:
            await self.answer("resources/subscribe", uri=uri)

    async def make(self, content: str = "a") -> Artifact:
        return await self.desk.engine.session("s").create("file", content=content, title="a.txt")

    async def touch(self, artifact: Artifact, times: int = 1) -> None:
        for time in range(times):
            await self.desk.engine.session("s").revise(artifact.id, content=f"{time} {artifact.id}")


class Opening(AsyncExitStack):
    """What a test has opened; all that was asked has ended when it is closed."""

    async def client(self, data: Path, pace: Pace | None = None, *, is_open: bool = True) -> Client:
        settings = Settings.model_validate({"cache": data / "cache", "artifacts": {"ready_children": 0}})
        origins = Origins(public=PUBLIC, content=CONTENT)
        opened = wiring.open_desk(data, settings=settings, origins=origins, is_open=is_open)
        desk = await self.enter_async_context(opened)
        app = application(desk)
        app.state.streams = Streams(pace=pace or Pace())
        client = Client(app, desk)
        self.push_async_callback(self._end, client)
        return client

    @staticmethod
    async def _end(client: Client) -> None:
        client.desk.stopping.set()
        await leave(*client.asked)


@pytest.fixture
async def opening() -> AsyncGenerator[Opening]:
    async with Opening() as stack:
        yield stack


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


async def test_a_client_that_takes_nothing_of_its_stream_is_answered_beside_it(
    opening: Opening, tmp_path: Path
) -> None:
    client = await opening.client(tmp_path)
    artifact = await client.make()
    uris = [f"artifact://s/{artifact.id}?select=head={part + 1}" for part in range(TOUCHES)]
    await client.begin()
    await client.follow(*uris)
    stream = client.send("GET", takes=False)
    await client.touch(artifact)
    await stream.offered.wait()
    # More of it than the library keeps for a client that comes for it later.
    await client.touch(artifact)
    assert (await client.answer("tools/list"))["tools"]
    stream.takes.set()
    await stream.until_told(*uris)


async def test_what_happens_often_before_it_is_told_is_told_once(opening: Opening, tmp_path: Path) -> None:
    client = await opening.client(tmp_path)
    artifact, other = await client.make(), await client.make("b")
    uri, last = f"artifact://s/{artifact.id}", f"artifact://s/{other.id}"
    await client.begin()
    await client.follow(uri, last)
    stream = client.send("GET", takes=False)
    await client.touch(artifact, TOUCHES)
    await client.touch(other)
    stream.takes.set()
    await stream.until_told(uri, last)
    assert len(stream.told) <= 4, stream.told


async def test_what_may_be_lost_with_a_stream_is_told_again_on_the_next(opening: Opening, tmp_path: Path) -> None:
    client = await opening.client(tmp_path)
    artifact = await client.make()
    uri = f"artifact://s/{artifact.id}"
    await client.begin()
    await client.follow(uri)
    first = client.send("GET", takes=False)
    await client.touch(artifact)
    await first.offered.wait()
    first.leaves.set()
    await first.over()
    assert first.told == []
    await client.send("GET").until_told(uri)


async def test_what_happens_while_no_stream_is_open_is_told_on_the_next(opening: Opening, tmp_path: Path) -> None:
    client = await opening.client(tmp_path)
    artifact = await client.make()
    uri = f"artifact://s/{artifact.id}"
    await client.begin()
    await client.follow(uri)
    await client.touch(artifact)
    await client.send("GET").until_told(uri)


async def test_what_was_not_told_yet_is_all_that_a_new_stream_begins_with(opening: Opening, tmp_path: Path) -> None:
    client = await opening.client(tmp_path)
    artifact, other = await client.make(), await client.make("b")
    uris = [f"artifact://s/{each.id}" for each in (artifact, other)]
    await client.begin()
    await client.follow(*uris)
    first = client.send("GET")
    await client.answer("ping")
    first.leaves.set()
    await first.over()
    second = client.send("GET")
    await client.touch(other)
    await second.until_told(uris[1])
    assert second.told == [uris[1]]


async def test_an_answer_that_is_not_taken_is_given_up(opening: Opening, tmp_path: Path, mode: Mode) -> None:
    client = await opening.client(tmp_path, HASTY)
    artifact = await client.make("text " * 1000)
    if mode == "legacy":
        await client.begin()
    asked = client.ask("resources/read", mode, takes=False, uri=f"artifact://s/{artifact.id}")
    await asked.over()
    assert (asked.offered.is_set(), asked.is_whole) == (True, False)
    # The control: who takes it has it.
    taken = client.ask("resources/read", mode, uri=f"artifact://s/{artifact.id}")
    await taken.over()
    assert taken.messages[-1]["result"]["contents"][0]["text"] == "text " * 1000


async def test_a_stream_that_is_not_taken_is_given_up_and_the_next_tells_it(opening: Opening, tmp_path: Path) -> None:
    client = await opening.client(tmp_path, HASTY)
    artifact = await client.make()
    uri = f"artifact://s/{artifact.id}"
    await client.begin()
    await client.follow(uri)
    stream = client.send("GET", takes=False)
    await client.touch(artifact)
    await stream.over()
    await client.send("GET").until_told(uri)


async def test_large_answers_go_piece_by_piece(opening: Opening, tmp_path: Path, mode: Mode) -> None:
    client = await opening.client(tmp_path)
    artifact = await client.make("0123456789" * 50_000)
    if mode == "legacy":
        await client.begin()
    asked = client.ask("resources/read", mode, uri=f"artifact://s/{artifact.id}")
    await asked.over()
    assert asked.is_whole
    assert max(len(piece) for piece in asked.pieces) <= outlets.PIECE_BYTES
    assert asked.messages[-1]["result"]["contents"][0]["text"] == "0123456789" * 50_000


async def test_one_key_has_few_reads_at_a_time_and_another_does_not_wait_for_them(
    opening: Opening, tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlets, "TURN_SECONDS", 0.1)
    client = await opening.client(tmp_path, is_open=False)
    artifact = await client.make()
    own, others = [bearer(await key_for(client.desk)) for _ in range(2)]
    client.headers |= own
    if mode == "legacy":
        await client.begin()
    stuck = [
        client.ask("resources/read", mode, takes=False, uri=f"artifact://s/{artifact.id}")
        for _ in range(outlets.READS_AT_A_TIME)
    ]
    async with asyncio.timeout(PATIENCE_SECONDS):
        for each in stuck:
            await each.offered.wait()
    more = client.ask("resources/read", mode, uri=f"artifact://s/{artifact.id}")
    await more.over()
    assert (more.status, more.messages[0]["code"]) == (503, "reads_busy")
    assert more.headers["retry-after"]
    # Nothing else of the same key waits, nor does anybody else.
    listed = client.ask("resources/list", mode)
    await listed.over()
    assert listed.status == 200
    elsewhere = Client(client.app, client.desk, asked=client.asked, headers=dict(others))
    if mode == "legacy":
        await elsewhere.begin()
    read = elsewhere.ask("resources/read", mode, uri=f"artifact://s/{artifact.id}")
    await read.over()
    assert read.messages[-1]["result"]["contents"][0]["text"] == "a"
    stuck[0].takes.set()
    await stuck[0].over()
    again = client.ask("resources/read", mode, uri=f"artifact://s/{artifact.id}")
    await again.over()
    assert again.status == 200
