"""View pages over HTTP: how one gets to them, under which headers they come, and when they end."""

import asyncio
import base64
import html
import re
import struct
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
import pytest_asyncio
from doors import API, CONTENT, Door, bearer, key_for, open_server

from handiwork.access.links import LinkPurpose
from handiwork.model import KIB, MIB, Scope
from handiwork.server.content_origin import content_application
from handiwork.server.refusals import PagesBusy
from handiwork.server.views import FEATURES, Views
from handiwork.wiring import BLOB_FOLDER


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


DOT = b"".join(
    [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        chunk(b"IDAT", zlib.compress(b"\0\0\0\0")),
        chunk(b"IEND", b""),
    ]
)
HOSTILE = '"></iframe></title><script>alert(1)</script>\u202e&amp;'
CLOSED = (
    "connect-src 'none'; frame-src 'none'; worker-src 'none'; object-src 'none'; form-action 'none'; webrtc 'block'"
)
# Our own page under each name of this machine, and who is named in the configuration.
FRAMERS = "http://127.0.0.1:8765 http://localhost:8765 https://*.chat.example https://app.example"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class House(NamedTuple):
    """Both origins over one store."""

    door: Door
    content: httpx2.AsyncClient
    folder: Path

    async def stored(self, type: str, content: str | bytes, *, title: str = "A title", name: str | None = None) -> str:
        session = self.door.desk.engine.session("s")
        return (await session.create(type, content=content, title=title, name=name)).id

    async def address(self, artifact: str, **params: str | int) -> str:
        answer = await self.door.client.get(f"{API}/artifacts/{artifact}/view", params=params)
        assert (answer.status_code, answer.content) == (307, b""), answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.headers["location"]

    async def page(self, type: str, content: str | bytes, **more: str) -> httpx2.Response:
        answer = await self.content.get(await self.address(await self.stored(type, content, **more)))
        assert answer.status_code == 200, answer.text
        return answer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    data = tmp_path_factory.mktemp("views")
    async with open_server(
        data, server={"cors": ["https://app.example"], "embedders": ["https://*.chat.example"]}
    ) as door:
        transport = httpx2.ASGITransport(app=content_application(door.desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
        async with httpx2.AsyncClient(transport=transport, base_url=CONTENT) as content:
            yield House(door, content, data / BLOB_FOLDER)


def framed(answer: httpx2.Response) -> str:
    """The document in the frame."""
    (found,) = re.findall(r'<iframe [^>]*srcdoc="([^"]*)"></iframe></body></html>$', answer.text)
    return html.unescape(found)


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# Headers


@pytest.mark.parametrize(
    ("type", "content", "connections", "policy"),
    [
        (
            "html-sandboxed",
            "<p>Hello</p>",
            "()",
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
            f"font-src data:; media-src data: blob:; {CLOSED}; base-uri about:; sandbox allow-scripts allow-downloads",
        ),
        (
            "markdown",
            "# Hello",
            "(response-origin)",
            f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {CLOSED}; base-uri 'none'; "
            "sandbox allow-downloads",
        ),
    ],
)
async def test_a_page_comes_under_exactly_these_headers(
    house: House, type: str, content: str, connections: str, policy: str
) -> None:
    answer = await house.page(type, content)
    assert dict(answer.headers) == {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(answer.content)),
        "content-security-policy": f"{policy}; frame-ancestors {FRAMERS}",
        "connection-allowlist": connections,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "x-dns-prefetch-control": "off",
        "cross-origin-resource-policy": "cross-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": ", ".join(f"{feature}=()" for feature in FEATURES),
        "cache-control": "private, no-store",
    }


async def test_head_tells_what_get_would(house: House) -> None:
    address = await house.address(await house.stored("markdown", "# Hello"))
    got, head = await house.content.get(address), await house.content.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.keys() == got.headers.keys()
    assert head.headers["content-security-policy"] == got.headers["content-security-policy"]


# Pages


async def test_every_type_has_a_page_and_only_a_page_runs_script(house: House) -> None:
    contents = {
        "markdown": "# Hello",
        "code": "print('hello')",
        "json": '{"a": 1}',
        "csv": "a,b\n1,2\n",
        "image": DOT,
        "svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        "html-sandboxed": "<p>Hello</p>",
        "file": b"PK\3\4",
    }
    for type, content in contents.items():
        answer = await house.page(type, content)
        allowed = 'sandbox="allow-scripts"' if type == "html-sandboxed" else 'sandbox=""'
        assert answer.text.count("<iframe") == answer.text.count(allowed) == 1
        assert "<script" not in answer.text
        assert framed(answer)


async def test_hostile_words_stay_words(house: House) -> None:
    answer = await house.page("html-sandboxed", HOSTILE, title=HOSTILE)
    assert framed(answer) == f'<base href="about:srcdoc">{HOSTILE}'
    assert f"<title>{html.escape(HOSTILE)}</title>" in answer.text
    assert answer.text.count("<iframe") == answer.text.count("</iframe>") == 1
    assert "<script" not in answer.text


async def test_what_a_tool_has_answered_is_shown_and_does_nothing(house: House) -> None:
    session = house.door.desk.engine.session("s")
    shown: dict[str, httpx2.Response] = {}
    for name, result in {"json": [{"a": 1}], "text": "hello <b>", "html": "<!doctype html><p>Hello</p>"}.items():
        answer = await session.record("call_1", tool=name, result=result)
        shown[name] = await house.content.get(await house.address(answer.id))
    for page in shown.values():
        assert page.text.count('sandbox=""') == 1
        assert "<p>Tool result · " in page.text
    assert '<span class="nt">&quot;a&quot;</span>' in framed(shown["json"])
    assert "<pre>hello &lt;b&gt;</pre>" in framed(shown["text"])
    assert "<p>Hello</p>" not in framed(shown["html"])
    # The same as a file is a page.
    control = await house.page("file", "<!doctype html><p>Hello</p>", name="a.html")
    assert "<p>Hello</p>" in framed(control)


async def test_its_download_is_the_very_version_and_ends_with_the_page(house: House) -> None:
    artifact = await house.stored("markdown", "# First")
    address = await house.address(artifact)
    await house.door.desk.engine.session("s").revise(artifact, content="# Second")
    answer = await house.content.get(address)
    (link,) = re.findall(r'<a href="([^"]+)" download="[^"]+">Download</a>', answer.text)
    got = await house.content.get(link)
    assert (got.text, got.headers["content-disposition"].partition(";")[0]) == ("# First", "attachment")
    house.door.clock.move(seconds=299.999)
    assert (await house.content.get(link)).status_code == (await house.content.get(address)).status_code == 200
    house.door.clock.move(seconds=0.001)
    refused(await house.content.get(link), 404, "link_invalid")
    refused(await house.content.get(address), 404, "link_invalid")


async def test_a_page_that_may_connect_nowhere_carries_its_download(house: House) -> None:
    assert (
        '<a href="data:application/octet-stream;base64,PHA+SGVsbG88L3A+" download="'
        in (await house.page("html-sandboxed", "<p>Hello</p>")).text
    )
    large = await house.page("file", f"<!doctype html><html>{'x' * MIB}", name="large.html")
    assert "download=" not in large.text
    assert large.headers["connection-allowlist"] == "()"


async def test_a_version_has_a_page_of_its_own(house: House) -> None:
    artifact = await house.stored("markdown", "# First")
    await house.door.desk.engine.session("s").revise(artifact, content="# Second")
    for params, word in (({}, "Second"), ({"version": 1}, "First"), ({"version": 2}, "Second")):
        assert f"<h1>{word}</h1>" in framed(await house.content.get(await house.address(artifact, **params)))
    missing = await house.door.client.get(f"{API}/artifacts/{artifact}/view", params={"version": 3})
    refused(missing, 404, "version_not_found")


async def test_an_artifact_tells_where_its_page_is(house: House) -> None:
    artifact = await house.stored("markdown", "# Hello")
    told = (await house.door.client.get(f"{API}/artifacts/{artifact}")).json()
    assert told["links"]["view"] == f"{API}/artifacts/{artifact}/view?version=1"
    assert (await house.door.client.get(told["links"]["view"])).status_code == 307


async def test_an_image_by_reference_shows_the_picture_it_stands_for(house: House) -> None:
    session = house.door.desk.engine.session("s")
    picture = await session.create("image", content=DOT, name="dot.png")
    for reference in (picture.id, picture.handle):
        answer = await house.page("image", reference, title="A dot")
        shown = f'<img src="data:image/png;base64,{base64.b64encode(DOT).decode()}" alt="A dot">'
        assert shown in framed(answer)


async def test_an_image_whose_picture_is_not_to_be_had_says_so(house: House) -> None:
    session = house.door.desk.engine.session("s")
    gone = await session.create("image", content=DOT)
    document = await session.create("markdown", content="# Hello")
    itself = await session.create("image", content=document.id)
    foreign = await house.door.desk.engine.session("s", user="bob").create("image", content=DOT)
    other = await house.door.desk.engine.session("other").create("image", content=DOT)
    await session.remove(gone.id)
    for reference, why in (
        (gone.id, "which has expired"),
        (foreign.id, "which is not in this session"),
        (other.id, "which is not in this session"),
        ("nothing_k3x9", "which is not in this session"),
        (document.id, "which is no picture"),
        (itself.id, "which is no picture"),
    ):
        page = framed(await house.page("image", reference))
        assert f"It stands for artifact://{reference}, {why}" in page
        assert "<img" not in page


async def test_who_waits_for_a_turn_in_vain_is_told_so(house: House) -> None:
    found = await house.door.desk.engine.find(Scope(session="s"), await house.stored("markdown", "[" * (128 * KIB)))
    views = Views(house.door.desk, patience_seconds=0.05)
    answers = await asyncio.gather(*[views.page(found, download="") for _ in range(3)], return_exceptions=True)
    (refusal,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(refusal, PagesBusy)
    assert (await views.page(found, download="", is_head=True)).status_code == 200


async def test_large_content_is_cut_and_a_large_table_counted(house: House) -> None:
    log = await house.page("file", "a line of a log\n" * 65_536, name="large.log")
    assert '<p class="note">Only the first 256.0 KB of 1.0 MB are shown.</p>' in log.text
    assert len(log.content) < MIB
    table = await house.page("csv", "a,b\n" + "1,2\n" * 50_000)
    assert '<p class="note">The first 1,000 of 50,000 rows are shown.</p>' in table.text


async def test_damaged_content_is_not_shown(house: House) -> None:
    artifact = await house.stored("markdown", "# Hello, this is a text")
    address = await house.address(artifact)
    blob = house.folder / (await house.door.desk.engine.find(Scope(session="s"), artifact)).blob_key
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes().replace(b"text", b"test"))
    refused(await house.content.get(address), 500, "integrity_error")


# Links


async def test_a_link_that_was_changed_anywhere_is_none(house: House) -> None:
    token = (await house.address(await house.stored("markdown", "# Hello"))).rpartition("/")[2]
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        refused(await house.content.get(f"/v/{token[:at]}{other}{token[at + 1 :]}"), 404, "link_invalid")
    for path in (f"/v/{token}/", f"/v//{token}", f"/v/{token}A", f"/V/{token}", "/v/", "/v", f"/d/{token}"):
        refused(await house.content.get(path), 404, "link_invalid")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused(await house.content.request(method, f"/v/{token}"), 404, "link_invalid")
    refused(await house.door.client.get(f"/v/{token}"), 404, "not_found")


async def test_a_link_for_another_purpose_shows_nothing(house: House) -> None:
    filed = await house.door.desk.engine.find(Scope(session="s"), await house.stored("markdown", "# Hello"))
    told: tuple[tuple[LinkPurpose, int], ...] = (("view", 200), ("content", 404), ("preview", 404))
    for purpose, status in told:
        link = await house.door.desk.links.make(filed.artifact, purpose=purpose)
        assert (await house.content.get(f"/v/{link.spelled}")).status_code == status


async def test_a_page_of_what_was_removed_is_gone_and_of_what_was_erased_was_never(house: House) -> None:
    artifact = await house.stored("markdown", "# Hello")
    address = await house.address(artifact)
    await house.door.desk.engine.remove(Scope(session="s"), artifact)
    refused(await house.content.get(address), 410, "expired")
    brief = await house.door.desk.engine.session("brief").create("markdown", content="# Hello")
    address = await house.address(brief.id)
    assert (await house.door.client.delete(f"{API}/sessions/brief")).status_code == 200
    refused(await house.content.get(address), 404, "link_invalid")


async def test_a_page_ends_with_the_key_that_it_was_asked_for_with(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        artifact = await door.desk.engine.session("s").create("markdown", content="# Hello")
        key, other = await key_for(door.desk), await key_for(door.desk, user="bob")
        reader = await key_for(door.desk, permissions=["artifact:read"])
        path = f"{API}/artifacts/{artifact.id}/view"
        assert (await door.client.get(path, headers=bearer(other))).status_code == 404
        assert (await door.client.get(path, headers=bearer(reader))).status_code == 403
        assert (await door.client.get(path)).status_code == 401
        address = (await door.client.get(path, headers=bearer(key))).headers["location"]
        transport = httpx2.ASGITransport(app=content_application(door.desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
        async with httpx2.AsyncClient(transport=transport, base_url=CONTENT) as content:
            assert (await content.get(address)).status_code == 200
            await door.desk.keys.revoke("default", key.split("_")[1])
            refused(await content.get(address), 404, "link_invalid")
