"""What comes in over HTTP: files of forms, and artifacts as JSON."""

import asyncio
import base64
import gzip
import hashlib
import json
import random
import re
import tempfile
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
import pytest_asyncio
from doors import API, Door, open_server

from handiwork.media.names import clean_name
from handiwork.model import KIB, MIB
from handiwork.server.uploads import LONGEST_FIELD_BYTES, MOST_FIELDS, MOST_FILES

ARTIFACTS = f"{API}/sessions/s/artifacts"
BOUNDARY = "a-boundary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
CAP = 256 * KIB

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Door]:
    """A server that takes files of 256 KiB and bodies of 4 MiB."""
    data = tmp_path_factory.mktemp("uploads")
    async with open_server(data, artifacts={"max_file_size": CAP}, server={"body_limit": 4 * MIB}) as opened:
        yield opened


def part(content: bytes, name: str | None = None, *, field: str = "file") -> bytes:
    """One part of a form as clients write it, whatever is in the name."""
    quoted = "" if name is None else '; filename="{}"'.format(name.replace("\\", "\\\\").replace('"', '\\"'))
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{quoted}\r\n\r\n'
    return head.encode("utf-8") + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def send(door: Door, body: Any, *, path: str = ARTIFACTS, headers: Mapping[str, str] = FORM) -> httpx2.Response:
    return await door.client.post(path, content=body, headers=dict(headers))


async def send_json(door: Door, told: object, *, path: str = ARTIFACTS) -> httpx2.Response:
    return await door.client.post(path, json=told)


async def content_of(door: Door, artifact: Mapping[str, Any]) -> bytes:
    answer = await door.client.get(artifact["links"]["content"])
    assert answer.status_code == 200
    return answer.content


async def count(door: Door, session: str) -> int:
    return len((await door.client.get(f"{API}/sessions/{session}/artifacts?limit=1000")).json()["items"])


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    told = answer.json()
    assert told["code"] == code
    return told


async def pieces(body: bytes, size: int = 7_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


# Forms


async def test_a_file_of_a_form_becomes_an_artifact(door: Door) -> None:
    answer = await send(door, form(part(b"a,b\n1,2\n", "Q3 sales.csv")))
    assert answer.status_code == 201
    (made,) = answer.json()["items"]
    assert answer.headers["location"] == f"{API}/artifacts/{made['id']}" == made["links"]["self"]
    assert (made["title"], made["version"]["name"], made["version"]["mediaType"]) == (
        "Q3 sales.csv", "Q3 sales.csv", "text/csv",
    )  # fmt: skip
    assert made["version"]["provenance"]["requestId"] == answer.headers["x-request-id"]
    assert await content_of(door, made) == b"a,b\n1,2\n"


async def test_several_files_become_several_artifacts_in_their_order(door: Door) -> None:
    body = form(
        part(b"3d", field="retention"), *(part(b"%d" % i, f"{i}.txt") for i in range(5)), part(b"T", field="title")
    )
    answer = await send(door, body)
    items = answer.json()["items"]
    assert [item["version"]["name"] for item in items] == [f"{i}.txt" for i in range(5)]
    assert {item["title"] for item in items} == {"T"}
    assert {(item["createdAt"][:10] < item["expiresAt"][:10]) for item in items} == {True}
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("second", "status", "code"),
    [
        (part(b"x" * (CAP + 1), "b.txt"), 413, "content_too_large"),
        (part(b"x", "a\x07b.txt"), 422, "invalid_name"),
        (part(b"\x7fELF\x02\x01\x01" + bytes(64), "b.so"), 415, "unsupported_format"),
    ],
)
async def test_of_several_files_all_are_stored_or_none(door: Door, second: bytes, status: int, code: str) -> None:
    answer = await send(door, form(part(b"fine", "a.txt"), second), path=f"{API}/sessions/none/artifacts")
    problem(answer, status, code)
    assert await count(door, "none") == 0


@pytest.mark.parametrize("size", [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, CAP])
async def test_files_of_every_size_come_back_as_they_were(door: Door, size: int) -> None:
    content = random.Random(size).randbytes(size)
    (made,) = (await send(door, pieces(form(part(content, "a.bin"))))).json()["items"]
    assert made["version"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert await content_of(door, made) == content


async def test_content_that_looks_like_a_boundary_is_content(door: Door) -> None:
    content = (
        f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n--{BOUNDARY}x\r\n".replace(f"--{BOUNDARY}x", f"-{BOUNDARY}").encode() * 50
    )
    (made,) = (await send(door, pieces(form(part(content, "a.bin")), 3))).json()["items"]
    assert await content_of(door, made) == content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        form(part(b"x", "a.txt"))[:-6],
        form(part(b"x" * 1000, "a.txt"))[:500],
        form(*(part(b"x", f"{i}.txt") for i in range(MOST_FILES + 1))),
        form(*(part(b"x", field=f"f{i}") for i in range(MOST_FIELDS + 1)), part(b"x", "a.txt")),
        form(part(b"x" * (LONGEST_FIELD_BYTES + 1), field="title"), part(b"x", "a.txt")),
        form(part(b"x", "n" * 100_000)),
        f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(),
    ],
)  # fmt: skip
async def test_a_form_that_is_not_whole_or_too_much_is_refused(door: Door, body: bytes) -> None:
    path = f"{API}/sessions/broken/artifacts"
    if body:
        problem(await send(door, body, path=path), 400, "malformed_request")
    else:
        assert (await send(door, body, path=path)).status_code == 400
    assert await count(door, "broken") == 0


@pytest.mark.parametrize("charset", ["idna", "undefined", "zlib", "no-such", "utf-16", "../../etc"])
async def test_the_charset_of_a_form_is_no_way_in(door: Door, charset: str) -> None:
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"}
    body = form(part(b"x", "xn--\xff.txt"), part(b"\xff\xfe.", field="title"))
    assert (await send(door, body, headers=headers)).status_code < 500


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ([part(b"x", field="title")], "body.file"),
        ([part(b"x", field="file")], "body.file"),
        ([part(b"x", "a.txt", field="other")], "body.other"),
        ([part(b"x", "a.txt"), part(b"1", field="nonsense")], "body.nonsense"),
        ([part(b"x", "a.txt"), part(b"1", field="title"), part(b"2", field="title")], "body.title"),
        ([part(b"x", "a.txt"), part(b"soon", field="retention")], "body.retention"),
        ([part(b"x", "a.txt"), part(b"0s", field="retention")], "body.retention"),
        ([part(b"x", "a.txt"), part(b"999999999d", field="retention")], "body.retention"),
    ],
)
async def test_a_form_with_other_parts_than_it_should_have_says_which(
    door: Door, parts: Iterable[bytes], where: str
) -> None:
    told = problem(await send(door, form(*parts)), 422, "invalid_request")
    assert [fault["where"] for fault in told["errors"]] == [where]


BUILT_IN = ("code", "csv", "file", "html-sandboxed", "image", "json", "markdown", "svg", "tool_result")


async def test_a_type_that_is_not_known_is_named_with_those_that_are(door: Door) -> None:
    for answer in (
        await send(door, form(part(b"x", "a.txt"), part(b"poem", field="type"))),
        await send_json(door, {"type": "poem", "content": "x"}),
    ):
        assert problem(answer, 422, "unknown_type")["known"] == sorted(BUILT_IN)


# Limits


async def test_a_file_over_the_cap_is_refused_while_it_comes_and_the_limit_named(door: Door) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield part(b"", "a.bin").removesuffix(b"\r\n")
        while True:
            sent += 16 * KIB
            yield bytes(16 * KIB)

    told = problem(await send(door, endless()), 413, "content_too_large")
    assert told["limit"] == CAP
    assert CAP < sent <= CAP + 64 * KIB


async def test_the_body_as_a_whole_has_a_limit_too(door: Door) -> None:
    body = form(*(part(bytes(CAP), f"{i}.bin") for i in range(17)))
    for chunked in (body, pieces(body, 64 * KIB)):
        assert problem(await send(door, chunked), 413, "body_too_large")["limit"] == 4 * MIB


async def test_a_compressed_form_is_taken_and_a_bomb_is_not(door: Door) -> None:
    headers = {**FORM, "content-encoding": "gzip"}
    (made,) = (await send(door, gzip.compress(form(part(b"z" * 1000, "a.txt"))), headers=headers)).json()["items"]
    assert await content_of(door, made) == b"z" * 1000
    bomb = gzip.compress(form(part(bytes(64 * MIB), "a.bin")))
    assert len(bomb) < 128 * KIB
    assert problem(await send(door, bomb, headers=headers), 413, "content_too_large")["limit"] == CAP
    many = gzip.compress(form(*(part(bytes(CAP), f"{i}.bin") for i in range(60))))
    assert problem(await send(door, many, headers=headers), 413, "body_too_large")["limit"] == 4 * MIB


async def test_files_do_not_lie_in_memory_while_they_come(door: Door) -> None:
    content = bytes(CAP)

    async def many() -> AsyncIterator[bytes]:
        for i in range(15):
            yield part(content, f"{i}.bin")
        yield form()

    tracemalloc.start()
    try:
        answer = await send(door, many())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(answer.json()["items"]) == 15
    # Of 3.75 MiB: what is in hand at one time, and what is kept of each in memory.
    assert peak < 2.5 * MIB


async def test_nothing_of_an_upload_is_left_on_disk(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert (await send(door, form(part(bytes(CAP), "a.bin")))).status_code == 201
    assert (await send(door, form(part(bytes(CAP), "a.bin"))[:-4])).status_code == 400
    assert list(tmp_path.iterdir()) == []


async def test_without_a_place_for_temporary_files_nothing_is_stored(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    told = problem(await send(door, form(part(bytes(CAP), "a.bin"))), 503, "storage_failed")
    assert str(tmp_path) not in json.dumps(told)


# JSON


@pytest.mark.parametrize(
    ("told", "content"),
    [
        ({"content": "grüße"}, "grüße".encode()),
        ({"content": "AAEC/w==", "encoding": "base64"}, b"\x00\x01\x02\xff"),
        ({"content": ""}, b""),
    ],
)
async def test_an_artifact_comes_as_json(door: Door, told: dict[str, str], content: bytes) -> None:
    answer = await send_json(door, {"type": "file", "title": "Q3/Q4", **told})
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{API}/artifacts/{made['id']}")
    assert (made["title"], made["version"]["name"]) == ("Q3/Q4", "Q3Q4")
    assert await content_of(door, made) == content


async def test_an_artifact_has_the_shape_of_the_contract(door: Door) -> None:
    answer = await send_json(door, {"type": "file", "name": "a.md", "content": "# A", "retention": "1h"})
    made = answer.json()
    assert made.keys() == {
        "id", "handle", "type", "title", "state", "facts", "session", "user", "createdAt", "updatedAt", "expiresAt",
        "held", "labels", "version", "links",
    }  # fmt: skip
    assert (made["held"], made["session"], made["user"], made["labels"]) == (False, "s", "local", [])
    assert made["links"] == {
        "self": f"{API}/artifacts/{made['id']}",
        "content": f"{API}/artifacts/{made['id']}/content?version=1",
        "view": f"{API}/artifacts/{made['id']}/view?version=1",
        "thumbnail": None,
    }
    assert "content" not in made["version"], "it is a file"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 100_000, "body"),
        (b"[]", "body"),
        (b"{}", "body.type"),
        (b'{"type": "file", "content": "x", "colour": "red"}', "body.colour"),
        (b'{"type": "file", "content": "x", "retention": "soon"}', "body.retention"),
        (b'{"type": "file", "content": "x", "retention": 0}', "body.retention"),
        (b'{"type": "file", "content": "x", "retention": 1e300}', "body.retention"),
        (b'{"type": "file", "content": "x", "encoding": "utf-16"}', "body.encoding"),
    ],
)
async def test_json_that_is_not_what_it_should_be_says_where(door: Door, raw: bytes, where: str) -> None:
    answer = await send(door, raw, headers={"content-type": "application/json"})
    assert problem(answer, 422, "invalid_request")["errors"][0]["where"] == where


async def test_half_a_character_is_refused(door: Door) -> None:
    answer = await send(door, b'{"type": "file", "content": "\\ud800"}', headers={"content-type": "application/json"})
    problem(answer, 422, "invalid_request")


async def test_what_is_no_base64_is_refused(door: Door) -> None:
    for content in ("AAE", "A A=", "é", "AAEC/w==\n"):
        answer = await send_json(door, {"type": "file", "content": content, "encoding": "base64"})
        problem(answer, 422, "invalid_content")


@pytest.mark.parametrize("over", [0, 1])
async def test_json_content_up_to_the_cap_is_stored(door: Door, over: int) -> None:
    data = base64.b64encode(bytes(CAP + over)).decode()
    answer = await send_json(door, {"type": "file", "name": "a.bin", "content": data, "encoding": "base64"})
    if over:
        assert problem(answer, 413, "content_too_large")["limit"] == CAP
    else:
        assert answer.status_code == 201


async def test_json_of_any_length_is_not_read_to_its_end(door: Door) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"type": "file", "content": "' + b"x" * (7 * CAP)
    for chunked in (body, pieces(body)):
        problem(await send(door, chunked, headers=headers), 413, "body_too_large")


@pytest.mark.parametrize("kind", ["text/html", "application/x-www-form-urlencoded", "multipart/mixed", ""])
async def test_other_bodies_are_refused(door: Door, kind: str) -> None:
    problem(await send(door, b"x", headers={"content-type": kind}), 415, "unsupported_media_type")


async def test_plain_text_is_stored_with_what_the_query_says_of_it(door: Door) -> None:
    said = {"type": "markdown", "title": "Plan é", "retention": "forever", "metadata": '{"k": ["ü"]}'}
    headers = {"content-type": "text/plain; charset=utf-8"}
    answer = await door.client.post(ARTIFACTS, params=said, content=pieces("# é\n".encode()), headers=headers)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["title"], told["expiresAt"], told["version"]["metadata"]) == ("Plan é", None, {"k": ["ü"]})
    assert await content_of(door, told) == "# é\n".encode()
    versions = f"{told['links']['self']}/versions"
    revised = await door.client.post(versions, params={"reason": "why é"}, content=b"two", headers=headers)
    assert (revised.status_code, revised.json()["version"]["provenance"]["reason"]) == (201, "why é")
    stale = await door.client.post(versions, params={"baseVersion": "1"}, content=b"# other\n", headers=headers)
    problem(stale, 409, "version_conflict")


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("type=markdown&title=N", b"\xff", 422, "invalid_content"),
        ("type=markdown&title=N", b"cut \xc3", 422, "invalid_content"),
        ("type=json&title=N", b"[" * 100_000, 422, "content_refused"),
        ("type=markdown&title=N", b"x" * 300_000, 413, "content_too_large"),
        ("type=pie", b"x", 422, "unknown_type"),
        ("type=markdown&colour=red", b"x", 422, "invalid_request"),
        ("type=markdown&metadata=" + "[" * 10_000, b"x", 422, "invalid_request"),
        ("type=markdown&retention=0", b"x", 422, "invalid_request"),
    ],
)
async def test_plain_text_that_is_wrong_is_refused_and_not_stored(
    door: Door, query: str, body: bytes, status: int, code: str
) -> None:
    path = f"{API}/sessions/refused/artifacts"
    answer = await send(door, body, headers={"content-type": "text/plain"}, path=f"{path}?{query}")
    told = problem(answer, status, code)
    assert code != "invalid_request" or told["errors"][0]["where"].startswith("query.")
    assert await count(door, "refused") == 0


async def test_a_name_beside_several_files_is_refused(door: Door) -> None:
    one = form(part(b"x", "a.txt"), part(b"b.txt", field="name"))
    several = form(part(b"x", "a.txt"), part(b"y", "c.txt"), part(b"b.txt", field="name"))
    problem(await send(door, several, headers=FORM), 422, "invalid_request")
    assert (await send(door, one, headers=FORM)).json()["items"][0]["version"]["name"] == "b.txt"


async def test_a_page_of_another_origin_cannot_upload(door: Door) -> None:
    headers = {**FORM, "origin": "https://evil.example"}
    problem(await send(door, form(part(b"x", "a.txt")), headers=headers), 403, "foreign_origin")


# Names

SPICE = "\"';=%*.,: <>&?#()[]{}|^~`$!@+é日\U0001f600\u00f1\u0301aZ9_-"


def names(number: int) -> list[str]:
    """Names that a store takes: printable, without a slash, at most 255 bytes."""
    dice = random.Random(20261121)
    made = [
        '"; filename=evil.exe; x="', "%0d%0aSet-Cookie: a=b", "%22%0A", "..", "...txt", "a.exe.txt", "utf-8''x",
        "=?utf-8?q?x?=", "'", '"', '""', "a;b", "a=b", "filename*=x", "con", "-rf", "~", "日本語", "🙂" * 30,
    ]  # fmt: skip
    while len(made) < number:
        length = dice.randint(1, 60)
        made.append("".join(dice.choice(SPICE) for _ in range(length)))
    return [f"{name}.txt" for name in made]


def told_name(header: str) -> str:
    """The name as a client reads it that knows RFC 6266."""
    matched = re.fullmatch(r"attachment; filename=\"([^\"\\]*)\"(?:; filename\*=UTF-8''([!-~]+))?", header)
    assert matched is not None, header
    plain, true = matched.groups()
    return unquote(true, errors="strict") if true is not None else plain


@pytest.mark.timeout(180)
async def test_a_thousand_names_come_back_and_none_of_them_gets_out_of_its_header(door: Door) -> None:
    wanted = names(1_000)
    for start in range(0, len(wanted), MOST_FILES):
        some = wanted[start : start + MOST_FILES]
        answer = await send(door, form(*(part(b"x", name) for name in some)))
        assert answer.status_code == 201, answer.text
        made = answer.json()["items"]
        assert [each["version"]["name"] for each in made] == some
        heads = await asyncio.gather(*(door.client.head(each["links"]["content"]) for each in made))
        for name, head in zip(some, heads, strict=True):
            (header,) = head.headers.get_list("content-disposition")
            assert not set(header) & set("\r\n\0")
            assert header.isascii()
            assert told_name(header) == clean_name(name)
            assert "set-cookie" not in head.headers


@pytest.mark.parametrize(
    "bad", ["a\rb", "a\nb", "a\x00b", "a\x1bb", "a/b", "..", ".", "a\u2028b", "a\u202eb", "n" * 256]
)
async def test_a_name_that_could_do_harm_is_refused(door: Door, bad: str) -> None:
    problem(await send_json(door, {"type": "file", "name": bad, "content": "x"}), 422, "invalid_name")


@pytest.mark.parametrize("bad", ["a\x00b", "a\x1bb", "a\u2028b", "a\u202eb", "a/b", "..", "", "n" * 256])
async def test_in_a_form_too(door: Door, bad: str) -> None:
    assert (await send(door, form(part(b"x", bad)))).status_code in {400, 422}


async def test_language_and_metadata_are_kept_and_the_bytes_decide_the_media_type(door: Door) -> None:
    said = {"mediaType": "image/png", "language": "klingon", "metadata": {"from": ["a", 1, None]}}
    answer = await send_json(door, {"type": "file", "name": "a.py", "content": "x = 1\n", **said})
    assert answer.status_code == 201, answer.text
    version = answer.json()["version"]
    assert (version["language"], version["metadata"]) == ("klingon", {"from": ["a", 1, None]})
    plain = (await send_json(door, {"type": "file", "name": "a.py", "content": "x = 1\n"})).json()["version"]
    assert version["mediaType"] == plain["mediaType"]
    assert (plain["language"], plain["metadata"]) == ("python", {})


@pytest.mark.parametrize("metadata", [{"a": "b" * 16 * KIB}, ["a"], "a", {"a": "\ud800"}])
async def test_metadata_that_is_large_or_no_object_is_refused(door: Door, metadata: object) -> None:
    body = json.dumps({"type": "file", "content": "a", "metadata": metadata})
    answer = await send(door, body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_file_up_to_the_cap_may_be_escaped_to_the_last_character(door: Door) -> None:
    spelled = '{"type": "file", "name": "a.txt", "content": "' + "\\u0061" * CAP + '"}'
    answer = await send(door, spelled, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["version"]["size"]) == (201, CAP)
