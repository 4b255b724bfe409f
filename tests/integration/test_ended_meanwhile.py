"""What ends while it is handed out or told: an artifact, a key, a token, a link. Nothing of it comes after that moment.

What is asked for after it is in `test_api_expiry.py`. Each end has its control, in which nothing ends.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from doors import API, Door, bearer, key_for, open_server
from protocol_clients import MODES, VERSIONS, Mode
from takers import Asked, leave, taking
from test_mcp_pace import HELLO, META

from handiwork.model import Artifact, Reach, Scope
from handiwork.server.app import guarded
from handiwork.server.content_origin import content_application
from handiwork.server.projections import Format

SCOPE = Scope(tenant="acme", user="ada", session="s")
PIECE = 1024 * 1024
SIZE = 4 * PIECE
ACCEPTED = {"accept": "application/json, text/event-stream"}


class Room:
    """A server, a key with its token, and an artifact of several pieces that lives for two hours."""

    def __init__(self, door: Door, key: str, token: str, artifact: Artifact) -> None:
        self.desk, self.clock, self.key, self.token, self.artifact = door.desk, door.clock, key, token, artifact
        self.app, self.content = guarded(door.desk), content_application(door.desk)
        self.asked: list[Asked] = []

    def take(self, method: str, target: str, *, origin: Any = None, **more: Any) -> Asked:
        self.asked.append(taking(origin or self.app, method, target, **more))
        return self.asked[-1]

    async def touch(self) -> None:
        session = self.desk.engine.session("s", user="ada", tenant="acme")
        await session.create("markdown", title="another", content="later")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncGenerator[Room]:
    settings = {"artifacts": {"ready_children": 0, "storage": {"cleanup_enabled": False}}}
    async with open_server(tmp_path, is_open=False, **settings) as door:
        key = await key_for(door.desk, tenant="acme", user="ada")
        token = await door.desk.tokens.mint(await door.desk.recognised(key), expires_in=3600)
        session = door.desk.engine.session("s", user="ada", tenant="acme")
        artifact = await session.create("file", content=bytes(SIZE), name="a.bin", retention=timedelta(hours=2))
        room = Room(door, key, token.spelled, artifact)
        yield room
        door.desk.stopping.set()
        await leave(*room.asked)


async def nothing(room: Room) -> None:
    room.clock.move(minutes=59)


async def its_time_comes(room: Room) -> None:
    room.clock.move(hours=2)


async def it_is_deleted(room: Room) -> None:
    await room.desk.engine.remove(SCOPE, room.artifact.id)


async def its_user_is_erased(room: Room) -> None:
    await room.desk.engine.erase(Reach(tenant="acme", user="ada"))


async def the_key_is_revoked(room: Room) -> None:
    await room.desk.keys.revoke("acme", room.key.split("_")[1])


async def the_token_runs_out(room: Room) -> None:
    room.clock.move(hours=1)


End = Callable[[Room], Awaitable[None]]
ENDS: list[End] = [its_time_comes, it_is_deleted, its_user_is_erased, the_key_is_revoked, the_token_runs_out]


@pytest.mark.parametrize("end", [nothing, *ENDS])
@pytest.mark.parametrize("ranged", [{}, {"range": f"bytes=1-{SIZE - 1}"}])
async def test_content_breaks_off_at_its_end(room: Room, end: End, ranged: dict[str, str]) -> None:
    path = f"{API}/artifacts/{room.artifact.id}/content"
    asked = room.take("GET", path, headers=bearer(room.token) | ranged, takes=False)
    await asked.offered.wait()
    await end(room)
    asked.takes.set()
    await asked.over()
    came = sum(map(len, asked.pieces))
    if end is nothing:
        assert (came, asked.is_whole) == (SIZE - len(ranged), True)
        return
    assert not asked.is_whole
    # What was on its way at that moment, and the piece after which it was looked at.
    assert came <= 2 * PIECE
    after = room.take("GET", path, headers=bearer(room.token))
    await after.over()
    assert after.status in {401, 404, 410}


@pytest.mark.parametrize("end", [nothing, *ENDS])
async def test_a_link_breaks_off_at_its_end(room: Room, end: End) -> None:
    body = {"disposition": "attachment", "expiresIn": "1h"}
    made = room.take("POST", f"{API}/artifacts/{room.artifact.id}/links", headers=bearer(room.key), body=body)
    await made.over()
    asked = room.take("GET", made.messages[0]["url"], origin=room.content, takes=False)
    await asked.offered.wait()
    await end(room)
    asked.takes.set()
    await asked.over()
    came = sum(map(len, asked.pieces))
    assert asked.is_whole == (end is nothing)
    assert came == SIZE if end is nothing else came <= 2 * PIECE


LAST: dict[Format, bytes] = {
    "handiwork": b"",
    "ag-ui": b'"code":"not_authenticated"',
    "ai-sdk": b"(not_authenticated)",
    "a2a": b'"type":"not_authenticated"',
}


@pytest.mark.parametrize("format_", LAST)
@pytest.mark.parametrize("end", [nothing, the_token_runs_out])
async def test_nothing_is_told_after_the_end_of_a_token(room: Room, format_: Format, end: End) -> None:
    path = f"{API}/sessions/s/events?format={format_}"
    stream = room.take("GET", path, headers=bearer(room.token))
    await stream.until(room.artifact.id)
    await end(room)
    before = len(stream.pieces)
    await room.touch()
    if end is nothing:
        await stream.until('"seq":2' if format_ == "handiwork" else "id: 2")
        return
    await stream.over()
    (last,) = stream.pieces[before:]
    assert LAST[format_] in last
    assert b"id: " not in last


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", [nothing, the_token_runs_out])
async def test_a_client_of_mcp_is_told_nothing_after_the_end_of_its_token(room: Room, mode: Mode, end: End) -> None:
    headers = bearer(room.token) | ACCEPTED
    if mode == "legacy":
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
        begun = room.take("POST", "/mcp?session=s", headers=headers, body=hello)
        await begun.over()
        headers["mcp-session-id"] = begun.headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "resources/list", "params": {}}
        await room.take("POST", "/mcp?session=s", headers=headers, body=listing).over()
        stream = room.take("GET", "/mcp?session=s", headers=headers)
        await stream.begun.wait()
        assert stream.status == 200
    else:
        headers |= {"mcp-protocol-version": VERSIONS[mode], "mcp-method": "subscriptions/listen"}
        params = {"notifications": {"resourcesListChanged": True}, "_meta": META}
        wanted = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
        stream = room.take("POST", "/mcp?session=s", headers=headers, body=wanted)
        await stream.until("acknowledged")
    await end(room)
    await room.touch()
    if end is nothing:
        await stream.until("list_changed")
        return
    await stream.over()
    assert "list_changed" not in stream.text
    if mode == "auto":
        assert "result" in stream.messages[-1]
    again = room.take("POST", "/mcp?session=s", headers=headers, body={"jsonrpc": "2.0", "id": 3, "method": "ping"})
    await again.over()
    assert again.status == 401
