"""The protocol at `/mcp` of a real server: who may come, into which session, and how conversations end.

What a session answers is in `test_mcp.py`, and who may see what is in the matrix of the API as well.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from doors import bearer, key_for
from mcp import MCPError
from protocol_clients import MODES, PATIENCE_SECONDS, Mode, News, following, subscribe, talking, talking_over_http
from sides import serving

from handiwork.server import mcp_conversations, mcp_exchange
from handiwork.server.desk import Desk
from handiwork.server.mcp_conversations import Conversations
from handiwork.settings import Settings

Server = tuple[str, Desk]

ACCEPTED = {"accept": "application/json, text/event-stream"}
HANDSHAKE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Server]:
    settings = Settings.model_validate({"cache": tmp_path / "cache", "artifacts": {"ready_children": 0}})
    async with serving(tmp_path / "store", settings) as (url, desk):
        yield f"{url}/mcp", desk


@pytest.fixture
async def http() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Conversations]:
    """What the server holds conversations in, once somebody has asked it for something; there is room for few."""
    held: list[Conversations] = []

    def open_few() -> Conversations:
        held.append(Conversations(most=5, most_of_one=3))
        return held[-1]

    monkeypatch.setattr(mcp_exchange, "Conversations", open_few)
    return held


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


async def names(desk: Desk, session: str, user: str = "local", tenant: str = "default") -> list[str]:
    page = await desk.engine.session(session, user=user, tenant=tenant).list()
    return [artifact.title for artifact in page.items]


def note(title: str) -> dict[str, Any]:
    return {"type": "markdown", "title": title, "content": f"# {title}"}


@pytest.mark.linux
async def test_a_client_makes_lists_and_reads(server: Server, mode: Mode) -> None:
    url, desk = server
    async with talking(f"{url}?session=s", mode) as client:
        made = await client.call_tool("generate_file", {"code": "open('a.csv', 'w').write('x,y\\n1,2\\n')"})
        assert not made.is_error, made.content
        (listed,) = (await client.list_resources()).resources
        (content,) = (await client.read_resource(listed.uri)).contents
    assert (listed.name, content.model_dump()["text"]) == ("a.csv", "x,y\n1,2\n")
    assert await names(desk, "s") == ["a.csv"]


async def test_the_session_is_named_in_the_address_or_in_a_header(server: Server, mode: Mode) -> None:
    url, desk = server
    async with talking(f"{url}?session=team%2Fone", mode) as client:
        await client.call_tool("generate_artifact", note("first"))
    async with talking_over_http(url, mode, x_handiwork_session="two") as client:
        await client.call_tool("generate_artifact", note("second"))
    assert [await names(desk, each) for each in ("team/one", "two")] == [["first"], ["second"]]


async def test_who_names_no_session_is_told_how(server: Server, http: httpx2.AsyncClient) -> None:
    url, _desk = server
    answer = await http.post(url, json=HANDSHAKE, headers=ACCEPTED)
    assert answer.status_code == 422
    assert "`?session=NAME`" in answer.json()["detail"]


async def test_the_session_of_a_key_needs_no_name_and_another_is_not_there(
    server: Server, http: httpx2.AsyncClient, mode: Mode
) -> None:
    url, desk = server
    key = await key_for(desk, "agent", tenant="acme", user="ada", session="own")
    async with talking_over_http(url, mode, authorization=f"Bearer {key}") as client:
        await client.call_tool("generate_artifact", note("mine"))
    assert await names(desk, "own", "ada", "acme") == ["mine"]
    answer = await http.post(f"{url}?session=other", json=HANDSHAKE, headers=ACCEPTED | bearer(key))
    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")


async def test_an_admin_says_for_which_user(server: Server, mode: Mode) -> None:
    url, desk = server
    key = await key_for(desk, "admin", tenant="acme")
    who = {"authorization": f"Bearer {key}", "x_handiwork_user": "ada"}
    async with talking_over_http(f"{url}?session=s", mode, **who) as client:
        await client.call_tool("generate_artifact", note("for ada"))
    assert await names(desk, "s", "ada", "acme") == ["for ada"]


async def test_a_key_that_only_reads_is_shown_what_reads(server: Server, mode: Mode) -> None:
    url, desk = server
    key = await key_for(desk, permissions=["artifact:read"])
    async with talking_over_http(f"{url}?session=s", mode, authorization=f"Bearer {key}") as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("generate_artifact", note("no"))
    assert listed == {"read_artifact", "list_artifacts", "get_cached_result"}
    assert refused.is_error
    assert await names(desk, "s") == []


async def test_a_key_without_runs_is_shown_no_programs(server: Server, mode: Mode) -> None:
    url, desk = server
    key = await key_for(desk, permissions=["artifact:read", "artifact:write"])
    async with talking_over_http(f"{url}?session=s", mode, authorization=f"Bearer {key}") as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("generate_file", {"code": "open('a.txt', 'w').write('x')"})
    assert "generate_artifact" in listed
    assert "generate_file" not in listed
    assert refused.is_error


async def test_what_another_process_changes_is_told(server: Server, mode: Mode) -> None:
    url, desk = server
    session, news = desk.engine.session("s"), News()
    artifact = await session.create("markdown", title="a", content="a")
    uri = f"artifact://s/{artifact.id}"
    async with talking(f"{url}?session=s", mode, news) as client, following(client, uri, news=news):
        await session.revise(artifact.id, content="b")
        await news.until(uri)
        await session.create("markdown", title="b", content="b")
        await news.until("list")


async def begun(http: httpx2.AsyncClient, url: str, **headers: str) -> dict[str, str]:
    """Begin a conversation; return the headers with which it goes on."""
    answer = await http.post(url, json=HANDSHAKE, headers=ACCEPTED | headers)
    assert answer.status_code == 200, answer.text
    return {**ACCEPTED, **headers, "mcp-session-id": answer.headers["mcp-session-id"]}


async def test_a_conversation_is_its_own_clients_alone(server: Server, http: httpx2.AsyncClient) -> None:
    url, desk = server
    ada, bob = [await key_for(desk, user=user) for user in ("ada", "bob")]
    reader = await key_for(desk, user="ada", permissions=["artifact:read"])
    own = await begun(http, f"{url}?session=s", **bearer(ada))
    gone = await http.post(f"{url}?session=s", json=PING, headers=ACCEPTED | bearer(ada) | {"mcp-session-id": "x" * 32})
    for place, key in ((f"{url}?session=s", bob), (f"{url}?session=s", reader), (f"{url}?session=t", ada)):
        for method in ("POST", "GET", "DELETE"):
            content = json.dumps(PING) if method == "POST" else None
            headers = own | bearer(key) | ({"content-type": "application/json"} if content else {})
            foreign = await http.request(method, place, content=content, headers=headers)
            assert (foreign.status_code, foreign.content) == (404, gone.content)
    # The control: it is still there for its own.
    assert (await http.post(f"{url}?session=s", json=PING, headers=own)).status_code == 200
    assert (await http.delete(f"{url}?session=s", headers=own)).status_code == 200
    assert (await http.post(f"{url}?session=s", json=PING, headers=own)).status_code == 404


async def test_a_key_that_is_revoked_ends_what_it_follows(server: Server, mode: Mode) -> None:
    url, desk = server
    key = await key_for(desk)
    kept = await key_for(desk)
    async with talking_over_http(f"{url}?session=s", mode, authorization=f"Bearer {kept}") as other:
        if mode == "legacy":
            async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as http:
                headers = await begun(http, f"{url}?session=s", **bearer(key))
                async with http.stream("GET", f"{url}?session=s", headers=headers) as stream:
                    assert stream.status_code == 200
                    await desk.keys.revoke("default", key.split("_")[1])
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await stream.aread()
        else:
            async with (
                talking_over_http(f"{url}?session=s", mode, authorization=f"Bearer {key}") as client,
                client.listen(resources_list_changed=True) as changes,
            ):
                await desk.keys.revoke("default", key.split("_")[1])
                async with asyncio.timeout(PATIENCE_SECONDS):
                    assert [change async for change in changes] == []
        # Who holds another key goes on.
        assert not (await other.call_tool("list_artifacts", {})).is_error


async def test_a_server_that_stops_ends_what_is_followed_and_forgets_conversations(tmp_path: Path, mode: Mode) -> None:
    settings = Settings.model_validate({"cache": tmp_path / "cache", "artifacts": {"ready_children": 0}})
    serving_it = serving(tmp_path / "store", settings)
    url, _desk = await serving_it.__aenter__()
    place = f"{url}/mcp?session=s"
    async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        if mode == "legacy":
            headers = await begun(http, place)
            async with http.stream("GET", place, headers=headers) as stream:
                assert stream.status_code == 200
                async with asyncio.timeout(8):
                    await serving_it.__aexit__(None, None, None)
                    await stream.aread()
        else:
            async with talking(place, mode) as client, client.listen(resources_list_changed=True) as changes:
                async with asyncio.timeout(8):
                    await serving_it.__aexit__(None, None, None)
                    assert [change async for change in changes] == []


async def test_a_client_that_always_begins_anew_has_room(
    server: Server, http: httpx2.AsyncClient, opened: list[Conversations]
) -> None:
    url, desk = server
    ada, bob, eve = [bearer(await key_for(desk, user=user)) for user in ("ada", "bob", "eve")]
    begins = [await begun(http, f"{url}?session=s", **ada) for _ in range(10)]
    assert len(opened[0]) == 3
    states = [(await http.post(f"{url}?session=s", json=PING, headers=each)).status_code for each in begins]
    assert states == [404] * 7 + [200] * 3
    # Nobody loses one to somebody else.
    for _ in range(2):
        await begun(http, f"{url}?session=s", **bob)
    refused = await http.post(f"{url}?session=s", json=HANDSHAKE, headers=ACCEPTED | eve)
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_conversations")


async def test_what_begins_no_conversation_leaves_none(
    server: Server, http: httpx2.AsyncClient, opened: list[Conversations]
) -> None:
    url, _desk = server
    for body in (PING, {"jsonrpc": "2.0", "method": "notifications/initialized"}, [], {}, "x", HANDSHAKE | {"id": []}):
        answer = await http.post(f"{url}?session=s", json=body, headers=ACCEPTED)
        assert answer.status_code == 400, answer.text
    for method in ("GET", "DELETE"):
        assert (await http.request(method, f"{url}?session=s", headers=ACCEPTED)).status_code == 400
    assert len(opened[0]) == 0


HOSTILE = {
    "deep": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "unclosed": b"[" * 100_000,
    "nothing": b"",
    "half": b'{"jsonrpc":"2.0","id":1,"method":"ping"',
    "twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    "not a number": b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    "no text": b"\xff\xfe\x00",
    "half a character": b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    "many values": b"[" + b"[]," * 400_000 + b"[]]",
    "a batch": b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
}


async def test_a_body_that_is_no_message_is_refused(server: Server, http: httpx2.AsyncClient) -> None:
    url, _desk = server
    for version in ("2025-11-25", "2026-07-28", "nonsense"):
        headers = ACCEPTED | {"content-type": "application/json", "mcp-protocol-version": version}
        for what, body in HOSTILE.items():
            answer = await http.post(f"{url}?session=s", content=body, headers=headers)
            assert answer.status_code == 400, (what, answer.text)
            assert len(answer.content) < 2000
    assert (await http.post(f"{url}?session=s", json=HANDSHAKE, headers=ACCEPTED)).status_code == 200


async def test_a_body_over_the_limit_is_refused_before_it_is_read(server: Server) -> None:
    place = urlsplit(server[0])
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = [
        f"POST /mcp?session=s HTTP/1.1\r\nHost: {place.netloc}",
        "Content-Type: application/json",
        "Content-Length: 1000000000",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body_too_large" in answer


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}]
)
async def test_a_page_from_elsewhere_reaches_no_tools(
    server: Server, http: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    url, _desk = server
    answer = await http.post(f"{url}?session=s", json=HANDSHAKE, headers=ACCEPTED | headers)
    assert answer.status_code in {403, 421}


async def test_a_conversation_that_is_quiet_for_long_is_over(
    server: Server, http: httpx2.AsyncClient, opened: list[Conversations], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _desk = server
    monkeypatch.setattr(mcp_conversations, "QUIET_SECONDS", 0.05)
    headers = await begun(http, f"{url}?session=s")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(opened[0]):  # noqa: ASYNC110  # nothing tells it
            await asyncio.sleep(0.01)
    assert (await http.post(f"{url}?session=s", json=PING, headers=headers)).status_code == 404


async def test_too_many_subscriptions_are_refused(server: Server) -> None:
    url, desk = server
    artifact = await desk.engine.session("s").create("markdown", title="a", content="a")
    async with talking(f"{url}?session=s", "legacy") as client:
        await subscribe(client, f"artifact://s/{artifact.id}")
        for part in range(199):
            await subscribe(client, f"artifact://s/{artifact.id}?select=head={part + 1}")
        with pytest.raises(MCPError, match="At most 200"):
            await subscribe(client, f"artifact://s/{artifact.handle}")


@pytest.mark.linux
async def test_a_call_that_is_given_up_ends_its_program(server: Server, mode: Mode) -> None:
    url, desk = server
    session = desk.engine.session("s")
    async with talking(f"{url}?session=s", mode) as client:
        call = asyncio.create_task(client.call_tool("generate_file", {"code": "import time; time.sleep(25)"}))
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(session.watch()) as events:
            async for event in events:
                if event.type == "execution-started":
                    call.cancel()
                if event.type == "execution-finished":
                    assert event.facts["status"] == "cancelled"
                    break
        # The conversation goes on.
        assert not (await client.call_tool("list_artifacts", {})).is_error
    assert call.cancelled()


@pytest.mark.linux
async def test_what_runs_when_the_server_stops_is_answered_to_its_end(tmp_path: Path, mode: Mode) -> None:
    settings = Settings.model_validate({"cache": tmp_path / "cache", "artifacts": {"ready_children": 0}})
    serving_it = serving(tmp_path / "store", settings)
    url, desk = await serving_it.__aenter__()
    async with talking(f"{url}/mcp?session=s", mode) as client:
        # Against which the client checks the answer, for which there is nobody to ask then.
        await client.list_tools()
        code = "import time; time.sleep(1); open('a.txt', 'w').write('done')"
        call = asyncio.create_task(client.call_tool("generate_file", {"code": code}))
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(desk.engine.session("s").watch()) as events:
            async for event in events:
                if event.type == "execution-started":
                    break
        await serving_it.__aexit__(None, None, None)
        result = await call
    assert not result.is_error, result.content
    assert result.structured_content["artifacts"][0]["name"] == "a.txt"
