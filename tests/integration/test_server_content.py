"""How content goes out, on the application's origin and on the one for content."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio
from doors import API, CONTENT, PUBLIC, Door, bearer, key_for, listening_server, open_server
from starlette.types import ASGIApp, Message
from starlette.types import Scope as Connection

from handiwork.access.links import LinkPurpose
from handiwork.model import MIB, Scope
from handiwork.server.app import guarded
from handiwork.server.content_origin import content_application
from handiwork.server.desk import Desk
from handiwork.wiring import BLOB_FOLDER

SCOPE = Scope(session="s")
TEXT = b"0123456789"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
HTML = b"<!doctype html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
XML = b'<?xml version="1.0"?><a xmlns:h="http://www.w3.org/1999/xhtml"><h:script>alert(1)</h:script></a>'
LARGE = 3 * MIB

pytestmark = pytest.mark.asyncio(loop_scope="module")


class House(NamedTuple):
    """Both origins over one store."""

    door: Door
    content: httpx2.AsyncClient
    folder: Path

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.door.client

    @property
    def desk(self) -> Desk:
        return self.door.desk


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    data = tmp_path_factory.mktemp("content")
    async with open_server(data) as door:
        transport = httpx2.ASGITransport(app=content_application(door.desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
        async with httpx2.AsyncClient(transport=transport, base_url=CONTENT) as content:
            yield House(door, content, data / BLOB_FOLDER)


async def stored(house: House, content: bytes = TEXT, name: str = "a.txt") -> str:
    """Store content and return its id."""
    session = house.desk.engine.session("s")
    return (await session.create("file", content=content, name=name)).id


def path_of(artifact: str) -> str:
    return f"{API}/artifacts/{artifact}/content"


async def link_to(house: House, artifact: str, disposition: str = "attachment", **more: Any) -> str:
    answer = await house.client.post(f"{API}/artifacts/{artifact}/links", json={"disposition": disposition, **more})
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    assert url.startswith(f"{CONTENT}/d/v1.")
    return url


async def damage(house: House, artifact: str) -> None:
    """Flip one bit in the middle of the stored bytes."""
    filed = await house.desk.engine.find(SCOPE, artifact)
    flip(house.folder / filed.blob_key)


def flip(file: Path) -> None:
    stored = bytearray(file.read_bytes())
    stored[len(stored) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(stored)


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# Ranges and conditions


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-100", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-100", 206, TEXT, "bytes 0-9/10"),
        ("Bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=99999999999999999999999-", 416, None, "bytes */10"),
        ("bytes=4-2", 200, TEXT, None),
        ("bytes=0-1,3-4", 200, TEXT, None),
        ("bytes=a-b", 200, TEXT, None),
        ("bytes=-", 200, TEXT, None),
        ("lines=1-2", 200, TEXT, None),
        ("bytes=-1-", 200, TEXT, None),
    ],
)
@pytest.mark.parametrize("origin", ["application", "content"])
async def test_a_range_is_answered_with_just_that(
    house: House, origin: str, asked: str, status: int, body: bytes | None, told: str | None
) -> None:
    artifact = await stored(house)
    client, url = (house.client, path_of(artifact)) if origin == "application" else (
        house.content, await link_to(house, artifact),
    )  # fmt: skip
    answer = await client.get(url, headers={"range": asked})
    assert (answer.status_code, answer.headers.get("content-range")) == (status, told)
    if body is None:
        refused(answer, 416, "range_not_satisfiable")
    else:
        assert (answer.content, answer.headers["content-length"]) == (body, str(len(body)))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"if-none-match": "{etag}"}, 304),
        ({"if-none-match": 'W/{etag}, "x"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, 200),
        ({"if-match": "{etag}"}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-match": "W/{etag}"}, 412),
        ({"if-modified-since": "{changed}"}, 304),
        ({"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200),
        ({"if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412),
        ({"if-none-match": '"x"', "if-modified-since": "{changed}"}, 200),
        ({"range": "bytes=0-1", "if-range": "{etag}"}, 206),
        ({"range": "bytes=0-1", "if-range": '"x"'}, 200),
        ({"range": "bytes=0-1", "if-range": "W/{etag}"}, 200),
        ({"range": "bytes=0-1", "if-none-match": "{etag}"}, 304),
        ({"range": "bytes=99-", "if-range": '"x"'}, 200),
        ({"range": "bytes=99-", "if-match": '"x"'}, 412),
    ],
)
async def test_conditions_are_looked_at_in_their_order(house: House, headers: dict[str, str], status: int) -> None:
    path = path_of(await stored(house))
    plain = await house.client.get(path)
    known = {"etag": plain.headers["etag"], "changed": plain.headers["last-modified"]}
    answer = await house.client.get(path, headers={name: value.format(**known) for name, value in headers.items()})
    assert answer.status_code == status
    if status == 304:
        assert (answer.content, answer.headers["etag"]) == (b"", known["etag"])
    if status == 412:
        refused(answer, 412, "precondition_failed")


async def test_head_tells_what_get_would(house: House) -> None:
    artifact = await stored(house)
    for client, url in ((house.client, path_of(artifact)), (house.content, await link_to(house, artifact))):
        got, head = await client.get(url), await client.head(url, headers={"range": "bytes=0-1"})
        assert (head.status_code, head.content) == (200, b"")
        assert _without_ids(head) == _without_ids(got)


def _without_ids(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


async def test_empty_content_is_content(house: House) -> None:
    path = path_of(await stored(house, b""))
    answer = await house.client.get(path)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await house.client.get(path, headers={"range": "bytes=0-"})).status_code == 416


# Headers


@pytest.mark.parametrize(
    ("name", "content", "sent", "on_request"),
    [
        ("a.png", PNG, "image/png", "inline"),
        ("a.pdf", PDF, "application/pdf", "inline"),
        ("a.html", HTML, "text/html; charset=utf-8", "attachment"),
        ("a.svg", SVG, "image/svg+xml", "attachment"),
        ("a.xml", XML, "application/xml", "attachment"),
        ("a.txt", TEXT, "text/plain; charset=utf-8", "attachment"),
        ("a.js", b"alert(1)", "application/octet-stream", "attachment"),
        ("a.css", b"a { color: red }", "application/octet-stream", "attachment"),
    ],
)
async def test_a_link_shows_only_what_does_no_harm(
    house: House, name: str, content: bytes, sent: str, on_request: str
) -> None:
    artifact = await stored(house, content, name)
    for disposition, expected in (("inline", on_request), ("attachment", "attachment")):
        answer = await house.content.get(await link_to(house, artifact, disposition))
        assert answer.content == content
        is_picture = expected == "inline" and sent.startswith("image/")
        assert dict(answer.headers) == ({"x-frame-options": "DENY"} if sent.startswith("text/html") else {}) | {
            "content-type": sent,
            "content-disposition": f'{expected}; filename="{name}"',
            "content-length": str(len(content)),
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "cross-origin-resource-policy": "cross-origin" if is_picture else "same-origin",
            "referrer-policy": "no-referrer",
            "cache-control": "private, no-store",
            "etag": answer.headers["etag"],
            "last-modified": answer.headers["last-modified"],
            "accept-ranges": "bytes",
        }
    own = await house.client.get(path_of(artifact))
    assert own.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert own.headers["cache-control"] == "private, no-cache"


# Links


async def test_the_content_origin_answers_links_and_nothing_else(house: House) -> None:
    artifact = await stored(house)
    url = await link_to(house, artifact)
    token = url.removeprefix(f"{CONTENT}/d/")
    assert (await house.content.get(url)).content == TEXT
    near = ("/", "/d", "/d/", f"/{token}", f"/d/{token}/", f"/d//{token}", f"/D/{token}", "/v/x")
    elsewhere = ("/healthz", "/openapi.json", path_of(artifact), f"{API}/sessions", "/gallery/gallery.js")
    for path in near + elsewhere:
        refused(await house.content.get(path), 404, "link_invalid")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
        refused(await house.content.request(method, url), 404, "link_invalid")
    refused(await house.client.get(f"/d/{token}"), 404, "not_found")


async def test_its_problems_are_harmless_too(house: House) -> None:
    answer = await house.content.get("/d/nonsense")
    assert {
        name: answer.headers[name] for name in ("x-content-type-options", "content-security-policy", "cache-control")
    } == {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "cache-control": "no-store",
    }
    assert not {"server", "set-cookie", "access-control-allow-origin"} & set(answer.headers)


async def test_it_answers_under_its_own_name_only(house: House) -> None:
    url = await link_to(house, await stored(house))
    refused(await house.content.get(url, headers={"host": "evil.example"}), 421, "foreign_host")
    refused(await house.content.get(url, headers={"host": ""}), 421, "foreign_host")


async def test_it_takes_no_websocket(house: House) -> None:
    host = (b"host", urlsplit(CONTENT).netloc.encode())
    scope: Connection = {"type": "websocket", "scheme": "ws", "path": "/d/x", "headers": [host], "extensions": {}}
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    await content_application(house.desk)(scope, nothing_more, send)
    assert said == [{"type": "websocket.close", "code": 4404, "reason": "link_invalid"}]


async def test_a_key_opens_nothing_there(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        key = bearer(await key_for(door.desk))
        made = await door.client.post(f"{API}/sessions/s/artifacts", json={"type": "file", "content": "x"}, headers=key)
        path = made.json()["links"]["content"]
        assert (await door.client.get(path, headers=key)).status_code == 200
        transport = httpx2.ASGITransport(app=content_application(door.desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
        async with httpx2.AsyncClient(transport=transport, base_url=CONTENT) as content:
            refused(await content.get(path, headers=key), 404, "link_invalid")


async def test_a_link_that_was_changed_anywhere_is_none(house: House) -> None:
    token = (await link_to(house, await stored(house))).rpartition("/")[2]
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        refused(await house.content.get(f"/d/{token[:at]}{other}{token[at + 1 :]}"), 404, "link_invalid")
    for other in (token[:-1], token + "A", token.upper(), f"{token}%00", f"{token}%0d%0aX: y"):
        refused(await house.content.get(f"/d/{other}"), 404, "link_invalid")


async def test_claims_of_another_link_do_not_fit_its_signature(house: House) -> None:
    one, other = await stored(house), await stored(house, b"other")
    tokens = [
        (await link_to(house, each, disposition)).rpartition("/")[2].split(".")
        for each in (one, other) for disposition in ("inline", "attachment")
    ]  # fmt: skip
    for claims in tokens:
        for signature in tokens:
            mixed = ".".join([*claims[:3], signature[3]])
            assert (await house.content.get(f"/d/{mixed}")).status_code == (200 if claims is signature else 404)


async def test_a_link_for_another_purpose_opens_nothing(house: House) -> None:
    filed = await house.desk.engine.find(SCOPE, await stored(house))
    told: tuple[tuple[LinkPurpose, int], ...] = (("content", 200), ("preview", 404), ("view", 404))
    for purpose, status in told:
        link = await house.desk.links.make(filed.artifact, purpose=purpose)
        assert (await house.content.get(f"/d/{link.spelled}")).status_code == status


async def test_a_link_ends_when_it_said(house: House) -> None:
    artifact = await stored(house)
    url = await link_to(house, artifact, expiresIn="10s")
    for lapse, status in ((9.999, 200), (0.001, 404), (0.001, 404)):
        house.door.clock.move(seconds=lapse)
        assert (await house.content.get(url)).status_code == status


async def test_a_link_to_what_was_removed_says_that_it_is_gone(house: House) -> None:
    artifact = await stored(house)
    url = await link_to(house, artifact)
    etag = (await house.content.get(url)).headers["etag"]
    assert (await house.client.delete(f"{API}/artifacts/{artifact}")).status_code == 204
    refused(await house.content.get(url), 410, "expired")
    refused(await house.content.get(url, headers={"if-none-match": etag}), 410, "expired")


async def test_a_link_to_what_was_erased_is_none(house: House) -> None:
    session = house.desk.engine.session("short")
    artifact = await session.create("file", content=TEXT, name="a.txt")
    url = await link_to(house, artifact.id)
    assert (await house.client.delete(f"{API}/sessions/short")).status_code == 200
    refused(await house.content.get(url), 404, "link_invalid")


async def test_a_link_to_what_expires_lasts_no_longer(house: House) -> None:
    made = await house.client.post(
        f"{API}/sessions/s/artifacts", json={"type": "file", "content": "x", "retention": "60s"}
    )
    url = await link_to(house, made.json()["id"], expiresIn="1h")
    for lapse, status in ((59.999, 200), (0.001, 404), (0.001, 404)):
        house.door.clock.move(seconds=lapse)
        assert (await house.content.get(url)).status_code == status


# Damage


async def test_small_content_that_is_damaged_is_a_problem(house: House) -> None:
    artifact = await stored(house, b"x" * 1000)
    url = await link_to(house, artifact)
    await damage(house, artifact)
    for client, path in ((house.client, path_of(artifact)), (house.content, url)):
        for headers in ({}, {"range": "bytes=0-9"}):
            answer = await client.get(path, headers=headers)
            refused(answer, 500, "integrity_error")
            assert str(house.folder) not in answer.text


@pytest.mark.parametrize("origin", ["application", "content"])
@pytest.mark.parametrize(
    "asked", [None, "bytes=99-", f"bytes={LARGE // 2 + 9}-{LARGE // 2 + 19}", f"bytes=-{LARGE - 9}"]
)
async def test_large_content_that_is_damaged_is_never_served_whole(
    house: House, origin: str, asked: str | None
) -> None:
    artifact = await stored(house, bytes(LARGE), "a.bin")
    url = await link_to(house, artifact)
    app, address = guarded(house.desk), PUBLIC + path_of(artifact)
    if origin == "content":
        app, address = content_application(house.desk), url
    whole = await got(app, address, asked)
    assert whole.is_complete
    await damage(house, artifact)
    broken = await got(app, address, asked)
    if broken.status == 500:
        assert asked is not None
    else:
        assert not broken.is_complete
        assert len(broken.body) < len(whole.body)


@pytest.mark.parametrize("asked", ["bytes=0-99", "bytes=-99"])
async def test_a_part_of_large_content_is_served_though_another_is_damaged(house: House, asked: str) -> None:
    artifact = await stored(house, b"begin" + bytes(LARGE) + b"end", "a.bin")
    app, address = guarded(house.desk), PUBLIC + path_of(artifact)
    whole = await got(app, address, asked)
    await damage(house, artifact)
    assert whole == await got(app, address, asked)
    assert whole.body.strip(b"\0") == (b"end" if asked == "bytes=-99" else b"begin")


@dataclass(slots=True)
class Got:
    """What came of an answer."""

    status: int = 0
    body: bytes = b""
    is_complete: bool = False


async def got(app: ASGIApp, address: str, asked: str | None) -> Got:
    """Ask for an address, and return the answer as far as it came."""
    parts, answer = urlsplit(address), Got()
    headers = [(b"host", parts.netloc.encode())] + ([] if asked is None else [(b"range", asked.encode())])
    scope: Connection = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": b"",
        "headers": headers,
    }

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
        else:
            answer.body += message.get("body", b"")
            answer.is_complete = not message.get("more_body", False)

    with contextlib.suppress(RuntimeError):
        await app(scope, nothing_more, send)
    return answer


async def nothing_more() -> Message:
    """What a client sends that has asked and now waits."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_over_the_network_a_damaged_file_breaks_off(tmp_path: Path) -> None:
    await asyncio.to_thread(_break_off, tmp_path)


def _break_off(data: Path) -> None:
    with listening_server(data) as server:
        with httpx2.Client(base_url=server.url) as client:
            form = {"file": ("a.bin", bytes(LARGE))}
            (made,) = client.post(f"{API}/sessions/s/artifacts", files=form).json()["items"]
            url = client.post(f"{API}/artifacts/{made['id']}/links", json={}).json()["url"]
        (blob,) = (data / BLOB_FOLDER).rglob("a.bin")
        for address in (f"{server.url}{made['links']['content']}", url):
            assert len(_raw(address).partition(b"\r\n\r\n")[2]) == LARGE
        flip(blob)
        for address in (f"{server.url}{made['links']['content']}", url):
            head, _, body = _raw(address).partition(b"\r\n\r\n")
            assert f"content-length: {LARGE}".encode() in head.lower()
            assert len(body) < LARGE
            assert b"\r\nserver:" not in head.lower()


def _raw(address: str) -> bytes:
    """Everything that comes until the connection ends."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        lines = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(lines.encode("ascii"))
        got: list[bytes] = []
        while some := connection.recv(1 << 16):
            got.append(some)
    return b"".join(got)
