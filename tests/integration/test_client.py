"""What a connection can do to a client: break off, be slow, lead to something else; and what the client makes of it.

The verbs themselves are in `test_verbs.py`.
"""

import asyncio
import hashlib
import json
import random
import socket
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doors import key_for, listening_server
from sides import HASTE, cutting, serving

import handiwork
from handiwork.client.connection import LARGEST_ANSWER_BYTES
from handiwork.client.following import LARGEST_FRAME_BYTES
from handiwork.errors import (
    ArtifactNotFound,
    ConnectionBroken,
    ContentDamaged,
    HandiworkError,
    InvalidName,
    NotAllowed,
    NotAuthenticated,
    RequestRefused,
    ServerUnreachable,
    SessionNotFound,
    UnexpectedAnswer,
)
from handiwork.events import Event
from handiwork.model import Reach
from handiwork.server.desk import Desk
from handiwork.settings import Settings
from loopback import listening

SOON = 30.0
WHO = {
    "tenant": "default", "user": "local", "session": None, "principal": "user", "permissions": [], "expiresAt": None
}  # fmt: skip
MINE = 4 * 1024 * 1024


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[tuple[str, Desk]]:
    settings = Settings.model_validate({"cache": tmp_path / "cache", "artifacts": {"ready_children": 0}})
    async with serving(tmp_path / "store", settings) as opened:
        yield opened


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Scripted:
    """A server that says what it was told to, once it was told who it shall say is calling."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            self.asked.append(head.split(b"\r\n")[0].decode())
            writer.write(http(json.dumps(WHO).encode()) if "/caller" in self.asked[-1] else self.answers.pop(0))
            await writer.drain()


def http(body: bytes, *headers: str, status: str = "200 OK", media_type: str = "application/json") -> bytes:
    told = [f"HTTP/1.1 {status}", f"content-type: {media_type}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*told, "", ""]).encode() + body


async def refusal(url: str, **how: Any) -> HandiworkError:
    with pytest.raises(HandiworkError) as refused:
        async with handiwork.connect(url, patience=HASTE, **how) as engine:
            await engine.session("s").list()
    return refused.value


# What answers


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://a", "http://", "http://a:0", "http://a:99999", "http://[::1", "http://a/?q=1", "//a", "http://u:secret@a",
     "http://a b", "http://a\n", "http://é"],
)  # fmt: skip
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    refused = await refusal(url)
    assert isinstance(refused, InvalidName)
    assert "`http://127.0.0.1:8765`" in str(refused)
    assert "secret" not in str(refused)


async def test_a_server_that_is_not_there_is_told_with_what_to_do() -> None:
    refused = await refusal(f"http://127.0.0.1:{free_port()}")
    assert isinstance(refused, ServerUnreachable)
    assert "handiwork serve" in (refused.hint or "")


async def test_tls_with_what_has_none_is_told(server: tuple[str, Desk]) -> None:
    refused = await refusal(server[0].replace("http:", "https:"))
    assert isinstance(refused, ServerUnreachable)
    assert "ssl" in str(refused).lower()


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html>hello</html>", media_type="text/html"),
        http(b"", status="301 Moved", media_type="text/html").replace(b"\r\n\r\n", b"\r\nlocation: http://evil/\r\n\r\n"),
        http(b"bad gateway", status="502 Bad Gateway", media_type="text/html"),
        http(b"{}"),
        http(b"[" * 100_000),
        http(b'{"items": 1, "nextCursor": null, "seq": 1}'),
        http(b'{"items": [{}], "nextCursor": null, "seq": "x"}'),
        http(b"\xff\xfe"),
        http(b"1" * 10_000),
        http(b"{}", "content-encoding: gzip"),
        http(b"{}", status="418 Teapot", media_type="application/problem+json"),
        http(b"[1]", status="404 Not Found", media_type="application/problem+json"),
    ],
    ids=range(12),
)  # fmt: skip
async def test_what_is_no_handiwork_server_is_told(answer: bytes) -> None:
    async with listening(Scripted(answer).serve) as url:
        assert isinstance(await refusal(url), UnexpectedAnswer)


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            writer.write(b" " * 2**20)
            sent += 2**20
            await writer.drain()

    async with listening(endless) as url, asyncio.timeout(SOON):
        assert isinstance(await refusal(url), UnexpectedAnswer)
    assert sent < 2 * LARGEST_ANSWER_BYTES


async def test_an_answer_that_does_not_come_is_not_waited_for_without_end() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as url, asyncio.timeout(SOON):
        hasty = replace(HASTE, answer_seconds=0.1)
        with pytest.raises(ServerUnreachable):
            async with handiwork.connect(url, patience=hasty):
                pass


async def test_a_refusal_that_nobody_knows_here_keeps_its_code_and_facts() -> None:
    problem = {"code": "new_thing", "detail": "Not today.", "hint": "Come later.", "status": 418, "someFact": 3}
    answer = http(json.dumps(problem).encode(), status="418 Teapot", media_type="application/problem+json")
    async with listening(Scripted(answer).serve) as url:
        refused = await refusal(url)
    assert isinstance(refused, RequestRefused)
    assert (refused.code, refused.detail, refused.hint, refused.status) == (
        "new_thing",
        "Not today.",
        "Come later.",
        418,
    )
    assert (str(refused), refused.facts) == ("Not today.", {"some_fact": 3})


async def test_an_error_whose_facts_the_server_keeps_to_itself_is_that_error(
    server: tuple[str, Desk], tmp_path: Path
) -> None:
    async with handiwork.connect(server[0], patience=HASTE) as engine:
        made = await engine.session("s").create("markdown", title="N", content="right")
        (blob,) = [each for each in (tmp_path / "store").rglob("N.md") if each.is_file()]
        blob.write_bytes(b"wrong")
        with pytest.raises(ContentDamaged) as damaged:
            await engine.session("s").read(made.id)
    assert (damaged.value.code, damaged.value.key) == ("integrity_error", None)


# Who calls


@pytest.mark.parametrize("key", ["", "hw_wrong", "hw a", "hw_\r\nx: y", "hw_é", "\ud800"])
async def test_a_key_that_is_none_is_refused_and_not_repeated(server: tuple[str, Desk], key: str) -> None:
    refused = await refusal(server[0], key=key)
    assert isinstance(refused, NotAuthenticated)
    assert not key or key not in f"{refused} {refused.hint} {vars(refused)}"


async def test_whose_things_are_seen_is_decided_by_the_key(server: tuple[str, Desk]) -> None:
    url, desk = server
    ada = await key_for(desk, tenant="acme", user="ada")
    agent = await key_for(desk, "agent", tenant="acme", user="ada", session="one")
    async with handiwork.connect(url, key=ada) as engine, handiwork.connect(url, key=agent) as bound:
        made = await engine.session("one").create("markdown", title="N", content="x")
        assert (made.scope.tenant, made.scope.user) == ("acme", "ada")
        assert await bound.session("one").read(made.id) == b"x"
        assert bound.session("one").principal.kind == "agent"
        with pytest.raises(SessionNotFound):
            await bound.session("two").list()
        with pytest.raises(ArtifactNotFound):
            await engine.session("two").get(made.id)
        with pytest.raises(NotAllowed):
            await bound.erase(Reach(tenant="acme", user="ada", session="one"))


async def test_a_key_of_a_whole_tenant_names_the_user(server: tuple[str, Desk]) -> None:
    url, desk = server
    async with handiwork.connect(url, key=await key_for(desk, "admin", tenant="acme")) as engine:
        with pytest.raises(InvalidName, match="one user"):
            engine.session("one")
        with pytest.raises(InvalidName, match="header"):
            engine.session("one", user="日本")
        for user in ("ada", "zoé"):
            made = await engine.session("a/b", user=user).create("markdown", title="N", content="x")
            assert made.scope.user == user
            assert [each.session for each in (await engine.sessions(user=user)).items] == ["a/b"]
        with pytest.raises(InvalidName, match="tenant"):
            await engine.erase(Reach(tenant="umbr"))
        assert (await engine.erase(Reach(tenant="acme", user="zoé", session="a/b"))).artifacts == 1
        assert (await engine.erase(Reach(tenant="acme", user="ada"))).artifacts == 1
        assert (await engine.sessions(user="ada")).items == ()


# Connections that break


async def test_what_changes_nothing_is_tried_again_and_what_may_is_not(server: tuple[str, Desk]) -> None:
    url, desk = server
    async with cutting(url) as proxy, handiwork.connect(proxy.url, patience=HASTE) as engine:
        session = engine.session("s")
        made = await session.create("markdown", title="N", content="x")
        # The connection that is open is cut at its next answer, as are the next two.
        await proxy.drop()
        proxy.cuts[:] = [0, 10]
        assert (await session.get(made.id)).id == made.id
        await proxy.drop()
        proxy.taken.clear()
        proxy.cuts[:] = [0]
        with pytest.raises(ConnectionBroken) as broken:
            await session.create("markdown", title="N", content="once")
        assert proxy.taken.count(b"POST ") == 1
        assert "POST /sessions/s/artifacts" in broken.value.request
        assert len((await desk.engine.session("s").list()).items) == 2


@pytest.mark.timeout(120)
async def test_what_was_never_sent_is_sent_when_the_server_is_there(tmp_path: Path) -> None:
    """A refused connection has taken nothing, so that a server that is just coming up is waited for."""
    port = free_port()
    with listening_server(tmp_path, "--port", str(port)) as first:
        patient = replace(HASTE, tries=2000, longest_pause_seconds=0.1)
        async with handiwork.connect(first.url, patience=patient) as engine:
            session = engine.session("s")
            events = session.watch()
            one = await session.create("markdown", title="N", content="1")
            assert (await anext(events)).artifact_id == one.id
            first.process.kill()
            first.process.wait(timeout=10)
            making = asyncio.ensure_future(session.create("markdown", title="N", content="2"))
            with listening_server(tmp_path, "--port", str(port)) as again:
                assert again.url == first.url
                two = await making
                async with asyncio.timeout(SOON):
                    assert (await anext(events)).artifact_id == two.id
            await events.aclose()


async def test_events_are_neither_missed_nor_repeated_over_a_connection_that_is_cut(server: tuple[str, Desk]) -> None:
    url, desk = server
    chance = random.Random(20261121)
    inside = desk.engine.session("s")
    async with cutting(url) as proxy, handiwork.connect(proxy.url, patience=HASTE) as engine:
        await proxy.drop()
        proxy.cuts[:] = [chance.randrange(200, 1500) for _ in range(60)]

        async def write() -> None:
            for _ in range(120):
                await inside.create("markdown", title="N", content="x")

        writing = asyncio.create_task(write())
        seen: list[Event] = []
        async with asyncio.timeout(60), aclosing(engine.session("s").watch()) as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 120:
                    break
        await writing
        assert proxy.connections > 20
    log = (await desk.engine.retention.log.after(inside.scope, 0, limit=500)).events
    assert [each.seq for each in seen] == list(range(1, 121))
    assert [each.id for each in seen] == [each.id for each in log]


async def test_content_is_read_on_where_the_connection_broke(server: tuple[str, Desk], tmp_path: Path) -> None:
    url, desk = server
    content = b"PK\3\4" + random.Random(1).randbytes(MINE)
    (tmp_path / "big.zip").write_bytes(content)
    async with cutting(url) as proxy, handiwork.connect(proxy.url, patience=HASTE) as engine:
        session = engine.session("s")
        made = await session.create("file", content=tmp_path / "big.zip")
        await proxy.drop()
        proxy.cuts[:] = [10, 1_000_000, 700, 1_500_000, 0, 2_000]
        digest, newer = hashlib.sha256(), False
        async with aclosing(session.stream(made.handle)) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
                if not newer:
                    # What is made meanwhile is of another version.
                    newer = bool(await desk.engine.session("s").revise(made.id, content=b"PK\3\4" + b"other" * 100_000))
        assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
        assert proxy.taken.lower().count(b"range: bytes=") >= 3
        assert (await session.get(made.id)).version.number == 2


async def test_content_that_is_not_what_its_hash_says_is_never_whole() -> None:
    told = ["x-version: 1", f'etag: "{hashlib.sha256(b"right").hexdigest()}"']
    answer = http(b"wrong", *told, media_type="text/plain")
    async with listening(Scripted(answer).serve) as url, handiwork.connect(url, patience=HASTE) as engine:
        with pytest.raises(ContentDamaged):
            await engine.session("s").read("a_1234")


async def test_a_part_that_does_not_fit_is_no_part() -> None:
    told = ["x-version: 1", f'etag: "{hashlib.sha256(b"0123456789").hexdigest()}"']
    cut = http(b"0123456789", *told, media_type="text/plain")[:-5]
    shifted = http(b"56789", *told, "content-range: bytes 4-8/10", status="206 Partial", media_type="text/plain")

    class Cut(Scripted):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/caller" in head:
                writer.write(http(json.dumps(WHO).encode(), "connection: close"))
            else:
                writer.write(self.answers.pop(0))
            await writer.drain()
            writer.close()

    async with listening(Cut(cut, shifted).serve) as url, handiwork.connect(url, patience=HASTE) as engine:
        with pytest.raises(UnexpectedAnswer, match="bytes 5-9/10"):
            await engine.session("s").read("a_1234")


@pytest.mark.parametrize(
    "frames",
    [b"id: 1\ndata: {}\n\n", b"id: 1\ndata: [\n\n", b"data: " + b"x" * LARGEST_FRAME_BYTES * 2, b"data: x\n" * 300_000],
    ids=["empty", "no JSON", "long line", "many lines"],
)  # fmt: skip
async def test_events_that_are_none_end_the_stream(frames: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    async with listening(Scripted(head + frames).serve) as url, handiwork.connect(url, patience=HASTE) as engine:
        with pytest.raises(UnexpectedAnswer):
            async with asyncio.timeout(SOON), aclosing(engine.session("s").watch()) as events:
                await anext(events)


async def test_a_server_that_stays_away_is_given_up(server: tuple[str, Desk]) -> None:
    hasty = replace(HASTE, outage_seconds=0.2)
    async with cutting(server[0]) as proxy, handiwork.connect(proxy.url, patience=hasty) as engine:
        await proxy.drop()
        proxy.cuts[:] = [300] * 1000
        with pytest.raises(ServerUnreachable):
            async with asyncio.timeout(SOON), aclosing(engine.session("s").watch()) as events:
                await anext(events)


# Without await


def test_the_same_verbs_without_await(tmp_path: Path) -> None:
    with listening_server(tmp_path) as server, handiwork.connect_sync(server.url) as engine:
        session = engine.session("conv-42")
        made = session.create("markdown", title="N", content="# N\n")
        assert session.read(made.handle) == b"# N\n"
        assert [each.id for each in session.list().items] == [made.id]
        events = session.watch()
        assert next(events).artifact_id == made.id
        events.close()
        assert [each.session for each in engine.sessions().items] == ["conv-42"]


@pytest.mark.parametrize(("length", "is_here"), [(100, True), (12_000, False)])
async def test_a_long_answer_is_read_beside_the_event_loop(
    server: tuple[str, Desk], length: int, is_here: bool
) -> None:
    async with handiwork.connect(server[0], patience=HASTE) as engine:
        session = engine.session("s")
        for number in range(8):
            await session.create("markdown", content=f"{number}", metadata={"note": "x" * length})
        call = session.place.call("GET", "/sessions/s/artifacts")
        told, read_in = await session.place.ask(call, lambda told, _scope: (told, threading.get_ident()))
    assert len(told["items"]) == 8
    assert (read_in == threading.get_ident()) is is_here
