import asyncio
import gzip
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from typing import Annotated

import httpx2
import pytest
from exchange import Answer, body_of, echo, exchange, http
from fastapi import Body, FastAPI, Request
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handiwork.server.intake import MOST_MEMBERS, PIECE_BYTES, SLACK_BYTES, BodyLimit
from handiwork.server.problems import install

LIMIT = 100_000
CHUNKED = [("transfer-encoding", "chunked")]


def limited(app: ASGIApp = echo, *, limit: int = LIMIT, patience_seconds: float = 5.0) -> BodyLimit:
    return BodyLimit(app, limit_of=lambda _: limit, patience_seconds=patience_seconds)


def post(*headers: tuple[str, str]) -> Scope:
    return http("POST", headers=headers)


def sized(body: bytes, *headers: tuple[str, str]) -> Scope:
    return post(("content-length", str(len(body))), *headers)


def chunks(body: bytes, size: int = 10_000) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def raw_gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def assert_too_large(answer: Answer, limit: int = LIMIT) -> None:
    assert answer.status == 413
    assert answer.problem["code"] == "body_too_large"
    assert answer.problem["limit"] == limit
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("size", [0, 1, LIMIT])
async def test_a_body_up_to_the_limit_arrives(size: int) -> None:
    body = b"x" * size

    assert (await exchange(limited(), sized(body), body)).body == body
    assert (await exchange(limited(), post(*CHUNKED), *chunks(body))).body == body


async def test_a_body_that_declares_too_much_is_refused_unread() -> None:
    answer = await exchange(limited(), sized(b"x" * (LIMIT + 1)), b"x" * (LIMIT + 1))

    assert_too_large(answer)
    assert answer.read == 0


async def test_a_chunked_body_is_refused_where_it_passes_the_limit() -> None:
    answer = await exchange(limited(), post(*CHUNKED), *chunks(b"x" * 10 * LIMIT))

    assert_too_large(answer)
    assert answer.read == LIMIT // 10_000 + 1


async def test_a_body_longer_than_it_declares_is_counted_all_the_same() -> None:
    assert_too_large(await exchange(limited(), sized(b"x"), *chunks(b"x" * 10 * LIMIT)))


async def test_the_limit_depends_on_the_path() -> None:
    app = BodyLimit(echo, limit_of=lambda path: 10 if path == "/small" else 1000)

    def scope(path: str) -> Scope:
        return http("POST", path, headers=[("content-length", "11")])

    assert_too_large(await exchange(app, scope("/small"), b"x" * 11), 10)
    assert (await exchange(app, scope("/large"), b"x" * 11)).status == 200


@pytest.mark.parametrize("length", ["-1", "1.5", "abc", "1" * 60, "٣".encode().decode("latin-1")])
async def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    answer = await exchange(limited(), post(("content-length", length)), b"x")

    assert (answer.status, answer.problem["code"]) == (400, "malformed_request")


async def test_two_lengths_are_refused() -> None:
    answer = await exchange(limited(), post(("content-length", "1"), ("content-length", "2")), b"x")

    assert answer.status == 400


# Compressed bodies


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=3000), size=st.integers(1, 500), encoding=st.sampled_from(["gzip", "deflate"]))
def test_a_compressed_body_arrives_as_it_was_before(body: bytes, size: int, encoding: str) -> None:
    compressed = raw_gzip(body) if encoding == "gzip" else zlib.compress(body)
    scope = sized(compressed, ("content-encoding", encoding))

    assert asyncio.run(exchange(limited(), scope, *chunks(compressed, size))).body == body


@pytest.mark.parametrize("spelled", ["gzip", "GZIP", "x-gzip"])
async def test_a_route_sees_a_decoded_body_without_the_headers_of_the_encoded_one(spelled: str) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend(scope["headers"])
        await echo(scope, receive, send)

    compressed = raw_gzip(b"x" * 5000)
    scope = sized(compressed, ("content-encoding", spelled), ("content-type", "application/json"))

    assert (await exchange(limited(look), scope, compressed)).body == b"x" * 5000
    assert seen == [(b"content-type", b"application/json")]


async def test_gzip_in_several_members_is_one_body() -> None:
    compressed = b"".join(raw_gzip(part) for part in (b"one ", b"", b"two ", b"three"))

    answer = await exchange(limited(), sized(compressed, ("content-encoding", "gzip")), *chunks(compressed, 7))

    assert answer.body == b"one two three"


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_what_counts_is_the_size_after_decoding(encoding: str, size: int) -> None:
    body = b"x" * size
    compressed = raw_gzip(body) if encoding == "gzip" else zlib.compress(body)

    answer = await exchange(limited(), sized(compressed, ("content-encoding", encoding)), compressed)

    if size > LIMIT:
        assert_too_large(answer)
    else:
        assert answer.body == body


async def test_what_cannot_be_compressed_may_be_a_little_longer_on_the_wire() -> None:
    body = random.Random(1).randbytes(LIMIT)
    compressed = raw_gzip(body)
    assert len(compressed) > LIMIT

    assert (await exchange(limited(), sized(compressed, ("content-encoding", "gzip")), compressed)).body == body


async def test_a_bomb_is_never_inflated_past_the_limit() -> None:
    bomb = raw_gzip(b"\0" * 30 * 1024 * 1024)
    handed_out = largest = 0

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal handed_out, largest
        async for piece in body_of(receive):
            handed_out, largest = handed_out + len(piece), max(largest, len(piece))

    app, scope = limited(count, limit=1024 * 1024), sized(bomb, ("content-encoding", "gzip"))
    tracemalloc.start()
    try:
        answer = await exchange(app, scope, *chunks(bomb))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert_too_large(answer, 1024 * 1024)
    assert handed_out <= 1024 * 1024
    assert largest <= PIECE_BYTES
    assert peak < 1024 * 1024


async def test_a_compressed_body_that_goes_on_and_holds_nothing_is_refused() -> None:
    # A deflate stream of empty stored blocks never ends and never yields a byte.
    endless = zlib.compress(b"")[:2] + b"\x00\x00\x00\xff\xff" * LIMIT

    answer = await exchange(limited(), post(("content-encoding", "deflate"), *CHUNKED), *chunks(endless))

    assert_too_large(answer)
    assert answer.read <= (LIMIT + SLACK_BYTES) // 10_000 + 1


async def test_a_gzip_body_of_very_many_members_is_refused() -> None:
    scope, few = post(("content-encoding", "gzip"), *CHUNKED), raw_gzip(b"") * MOST_MEMBERS

    assert (await exchange(limited(), scope, few)).status == 200
    scope = post(("content-encoding", "gzip"), *CHUNKED)
    assert (await exchange(limited(), scope, few + raw_gzip(b""))).status == 400


GOOD = raw_gzip(b"hello world " * 100)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", GOOD[:-1]),
        ("gzip", GOOD[:10]),
        ("gzip", GOOD[:-8] + b"\0\0\0\0" + GOOD[-4:]),
        ("gzip", GOOD + b"trailing"),
        ("gzip", GOOD + GOOD[:15]),
        ("gzip", b"not compressed at all"),
        ("gzip", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")[:-1]),
        ("deflate", zlib.compress(b"hello") + b"x"),
        ("deflate", GOOD),
    ],
)
async def test_a_damaged_or_broken_off_body_is_malformed(encoding: str, body: bytes) -> None:
    answer = await exchange(limited(), sized(body, ("content-encoding", encoding)), *chunks(body, 11))

    assert (answer.status, answer.problem["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "nonsense"])
async def test_another_encoding_is_refused_with_those_that_are_taken(encoding: str) -> None:
    answer = await exchange(limited(), sized(b"x", ("content-encoding", encoding)), b"x")

    assert (answer.status, answer.problem["code"]) == (415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert answer.read == 0


@pytest.mark.parametrize("encoding", ["identity", "", " Identity "])
async def test_no_encoding_may_be_spelled_out(encoding: str) -> None:
    assert (await exchange(limited(), sized(b"x", ("content-encoding", encoding)), b"x")).body == b"x"


# Time and connection


async def test_a_body_that_stops_coming_is_refused() -> None:
    answer = Answer()

    async def receive() -> Message:
        answer.read += 1
        if answer.read == 1:
            return {"type": "http.request", "body": b"x", "more_body": True}
        return await asyncio.Event().wait() and {}

    async def send(message: Message) -> None:
        answer.status = message.get("status", answer.status)

    await limited(patience_seconds=0.02)(post(*CHUNKED), receive, send)

    assert answer.status == 408


async def test_a_route_may_wait_for_the_end_of_the_connection_as_long_as_it_likes() -> None:
    has_waited = False

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal has_waited
        assert (await receive())["more_body"] is False
        assert (await receive())["type"] == "http.disconnect"
        has_waited = True

    async def receive() -> Message:
        if not parts:
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}
        return parts.pop()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    parts: list[Message] = [{"type": "http.request", "body": b"x", "more_body": False}]
    await limited(stream, patience_seconds=0.02)(sized(b"x"), receive, send)

    assert has_waited


async def refuse_unread(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_the_connection_closes_when_a_route_leaves_a_body_unread() -> None:
    assert (await exchange(limited(refuse_unread), post(*CHUNKED), b"x", b"y")).headers == {"connection": "close"}


async def test_the_connection_stays_when_the_rest_is_small() -> None:
    assert (await exchange(limited(refuse_unread), sized(b"x"), b"x")).headers == {}


async def test_a_client_that_leaves_is_told_to_the_route() -> None:
    seen: list[str] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            seen.append(message["type"])
        seen.append(message["type"])

    await exchange(limited(look), post(*CHUNKED), b"x", disconnects=True)
    await exchange(limited(look), post(("content-encoding", "gzip"), *CHUNKED), GOOD[:50], disconnects=True)

    assert seen[1] == seen[-1] == "http.disconnect"


async def test_an_answer_that_has_begun_is_cut_off() -> None:
    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for piece in body_of(receive):
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    with pytest.raises(Exception, match="over the limit"):
        await exchange(limited(hasty), post(*CHUNKED), *chunks(b"x" * 10 * LIMIT))


# With the framework that will sit inside


def application() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.post("/json")
    async def take_json(value: Annotated[list[int], Body()]) -> int:  # pyright: ignore[reportUnusedFunction]
        return len(value)

    @app.post("/form")
    async def take_form(request: Request) -> int:  # pyright: ignore[reportUnusedFunction]
        async with request.form() as form:
            return len(form)

    app.add_middleware(BodyLimit, limit_of=lambda _: 1000)
    return app


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=application()), base_url="http://localhost")


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for piece in chunks(body, 100):
        yield piece


@pytest.mark.parametrize("path", ["/json", "/form"])
async def test_whatever_the_framework_makes_of_it_the_answer_names_the_limit(path: str) -> None:
    form = b"".join(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n%d\r\n' % n for n in range(100)) + b"--b--"
    body = form if path == "/form" else b"[" + b"1," * 1000 + b"1]"
    kind = "multipart/form-data; boundary=b" if path == "/form" else "application/json"
    async with client() as http_client:
        for headers, content in [
            ({}, pieces(body)),
            ({"content-encoding": "gzip"}, pieces(raw_gzip(body + b" " * 5000))),
        ]:
            answer = await http_client.post(path, content=content, headers={"content-type": kind, **headers})

            assert (answer.status_code, answer.json()["limit"]) == (413, 1000)


async def test_the_framework_reads_what_is_within_the_limit() -> None:
    json = {"content-type": "application/json"}
    async with client() as http_client:
        plain = await http_client.post("/json", content=b"[1,2,3]", headers=json)
        zipped = await http_client.post(
            "/json", content=raw_gzip(b"[1,2]"), headers=json | {"content-encoding": "gzip"}
        )
        broken = await http_client.post("/json", content=b"nonsense", headers=json | {"content-encoding": "gzip"})
        form = await http_client.post("/form", files={"f": b"x"})

    assert (plain.json(), zipped.json(), broken.status_code, form.json()) == (3, 2, 400, 1)


async def test_a_body_that_never_ends_is_408_however_patiently_it_comes() -> None:
    async def dripping() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": True}

    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    app = BodyLimit(echo, limit_of=lambda _: LIMIT, patience_seconds=5.0, whole_seconds=0.05)
    async with asyncio.timeout(5):
        await app(post(*CHUNKED), dripping, send)

    assert told[0]["status"] == 408
    assert b"did not come within 0.05 s" in told[1]["body"]
