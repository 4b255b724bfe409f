"""Names that are made to get out of where they stand, on every way out: headers, links, pages and exports.

Whatever an artifact is called: a header has one line and one name, and an export only files of its own folders.
"""

import io
import zipfile
from collections.abc import AsyncGenerator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import pytest_asyncio
from doors import API, CONTENT, Door, open_server

from handiwork.export.verify import verify
from handiwork.media.names import clean_name
from handiwork.server.content_origin import content_application

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What a store takes as the name of a file: all of it is printable and has no slash.
TAKEN = [
    'a"; filename="evil.exe',
    "a'; filename*=UTF-8''evil.exe; x='.txt",
    "a;b=c,d.txt",
    "%0d%0aSet-Cookie: a=b%0d%0a.txt",
    "%0D%0A%0D%0A<script>alert(1)<script>.html",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..\\..\\windows\\system.ini",
    "C:evil.txt",
    "...",
    " . . ",
    "CON",
    "nul.txt",
    "-rf",
    "$(id).txt",
    "=cmd|' C calc'!A0.csv",
    "<img src=x onerror=alert(1)>.svg",
    "]]>--><b>.md",
    "=?utf-8?q?a=0d=0ab?=.txt",
    "żółć 日本語 🙂.txt",
    "e\u0301" * 60 + ".txt",
    "n" * 251 + ".txt",
    "🙂" * 62 + ".txt",
]
# What it refuses: it would end a line, lead out of its folder, turn the direction of writing, or be too long.
REFUSED = [
    "a\r\nSet-Cookie: b=c.txt",
    "a\rb",
    "a\nb",
    "a\0b",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "invoice\u202efdp.exe",
    "a\u2066b",
    "a\u200fb",
    "\ufeffa",
    "../a",
    "a/b",
    ".",
    "..",
    "n" * 256,
    "é" * 128,
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Door]:
    async with open_server(tmp_path_factory.mktemp("names")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def content(door: Door) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=content_application(door.desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
    async with httpx2.AsyncClient(transport=transport, base_url=CONTENT) as client:
        yield client


async def made(door: Door, session: str, name: str, **told: Any) -> dict[str, Any]:
    body = {"type": "file", "name": name, "content": "text", **told}
    answer = await door.client.post(f"{API}/sessions/{session}/artifacts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def form(head: bytes) -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + head + b"\r\n\r\ntext\r\n--x--\r\n"


def assert_one_name(headers: httpx2.Headers, name: str, disposition: str) -> None:
    (header,) = headers.get_list("content-disposition")
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith(f'{disposition}; filename="')
    plain, _, rest = header.partition('filename="')[2].partition('"')
    assert rest == "" or rest.startswith("; filename*=UTF-8''")
    assert not set(rest[2:]) & set('";, ')
    assert not set(plain) & set('"\\/%')
    assert plain.strip(". ")
    assert "set-cookie" not in headers
    assert rest or plain == clean_name(name)


@pytest.mark.parametrize("name", TAKEN, ids=ascii)
async def test_no_name_gets_out_of_a_header(door: Door, content: httpx2.AsyncClient, name: str) -> None:
    one = await made(door, "headers", name, title=name)
    assert one["version"]["name"] == name
    answer = await door.client.get(one["links"]["content"])
    assert answer.text == "text"
    assert_one_name(answer.headers, name, "attachment")
    for disposition in ("attachment", "inline"):
        link = await door.client.post(f"{API}/artifacts/{one['id']}/links", json={"disposition": disposition})
        assert link.json()["url"].isascii()
        shown = await content.get(link.json()["url"])
        assert shown.status_code == 200
        # What a browser might run is never shown, however it is linked to.
        (header,) = shown.headers.get_list("content-disposition")
        assert_one_name(shown.headers, name, header.partition(";")[0])
        assert disposition == "inline" or header.startswith("attachment")
    page = await door.client.get(one["links"]["view"])
    assert page.headers["location"].isascii()
    shown = await content.get(page.headers["location"])
    assert shown.status_code == 200
    # Neither the title nor the name begins an element of the page.
    assert all(mark not in shown.text for mark in ("<img src=x", "<b>.md", "<script>alert"))


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
async def test_a_name_that_no_header_can_hold_is_refused_at_every_door(door: Door, name: str) -> None:
    body = {"type": "file", "name": name, "content": "text"}
    answer = await door.client.post(f"{API}/sessions/refused/artifacts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_name")
    answer = await door.client.post(f"{API}/sessions/refused/artifacts", files={"file": (name, b"text")})
    # Some clients escape what they are given, and what is escaped is a name like others.
    if answer.status_code == 201:
        (made,) = answer.json()["items"]
        assert made["version"]["name"] != name
        assert made["version"]["name"].isprintable()
    else:
        assert answer.json()["code"] in ("invalid_name", "malformed_request")
    assert (await door.client.get(f"{API}/sessions/refused%0d%0aX:y/artifacts")).status_code == 422


@pytest.mark.parametrize(
    "head",
    [
        b'name="file"; filename="a\r\nX-Evil: 1\r\n\r\n.txt"',
        b'name="file"; filename="a\nContent-Type: text/html\n.txt"',
        b'name="file"; filename="../../a.txt"',
        b"name=\"file\"; filename*=UTF-8''..%2f..%2fa.txt",
        b"name=\"file\"; filename*=UTF-8''a%0d%0aX-Evil%3a%201.txt",
        b'name="file"; filename="\xff\xfe.txt"',
        b'name="file"; filename="' + b"n" * 300 + b'"',
        b'name="file"; filename=""',
        b'name="file\r\nX-Evil: 1"; filename="a.txt"',
    ],
)
async def test_no_part_of_a_form_names_more_than_a_file(door: Door, head: bytes) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = await door.client.post(f"{API}/sessions/form/artifacts", content=form(head), headers=kind)
    assert answer.status_code in (201, 400, 422), answer.text
    for each in answer.json().get("items", ()):
        name = each["version"]["name"]
        assert name.isprintable()
        assert "/" not in name
        assert_one_name((await door.client.get(each["links"]["content"])).headers, name, "attachment")
    plain = await door.client.post(
        f"{API}/sessions/form/artifacts", content=form(b'name="file"; filename="a.txt"'), headers=kind
    )
    assert plain.json()["items"][0]["version"]["name"] == "a.txt", "control: an ordinary part is taken"


async def test_a_title_or_reason_of_many_lines_stays_in_its_field(door: Door) -> None:
    evil = "a\r\nSet-Cookie: b=c\r\n\r\n<b>"
    one = await made(door, "titles", "a.txt")
    answer = await door.client.post(
        f"{API}/artifacts/{one['id']}/versions", json={"content": "more", "title": evil, "reason": evil}
    )
    assert answer.status_code == 201
    assert (answer.json()["title"], answer.json()["version"]["provenance"]["reason"]) == (evil, evil)
    answer = await door.client.get(one["links"]["content"])
    assert not any("\r" in value or "\n" in value for value in answer.headers.values())
    assert "set-cookie" not in answer.headers


async def test_an_export_holds_only_files_in_folders_of_its_own(door: Door, tmp_path: Path) -> None:
    session = 'a"; filename="evil.exe'
    for name in TAKEN:
        await made(door, session, name, title=name)
    answer = await door.client.get(f"{API}/sessions/{quote(session, safe='')}/export")
    assert answer.status_code == 200, answer.text
    assert_one_name(answer.headers, f"{session}.zip", "attachment")
    file = tmp_path / "out.zip"
    file.write_bytes(answer.content)
    assert verify(file).is_whole
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        paths = archive.namelist()
        assert len({path.casefold() for path in paths}) == len(paths)
        for path in paths:
            assert path.isprintable()
            assert not set(path) & set('\\:*?"<>|')
            assert not PurePosixPath(path).is_absolute()
            for part in path.split("/"):
                assert part == part.strip(". ")
                assert part
                assert not PureWindowsPath(part).is_reserved()
                assert len(part.encode()) <= 255
        page = archive.read("index.html").decode()
        archive.extractall(tmp_path / "out")
    assert all(mark not in page for mark in ("<img src=x", "<b>.md", "<script>alert"))
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == set(paths), "control: they are all there, under their own names"
