"""Artifacts over HTTP: listed, looked at, held, removed and expired, with their pictures."""

import hashlib
import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from doors import API, Door, bearer, key_for, open_server
from PIL import Image

from handiwork.model import Scope
from handiwork.store.keys import preview_key
from handiwork.wiring import BLOB_FOLDER

pytestmark = pytest.mark.asyncio(loop_scope="module")

GONE = ("expired", 410)
ROUTES = (
    ("GET", ""),
    ("GET", "?version=1"),
    ("GET", "/content"),
    ("HEAD", "/content"),
    ("GET", "/versions"),
    ("GET", "/thumbnail"),
    ("PUT", "/hold"),
    ("POST", "/links"),
    ("DELETE", ""),
)
MISSING = "art_0000000000000000000000"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Door]:
    async with open_server(tmp_path_factory.mktemp("artifacts")) as opened:
        yield opened


async def made(door: Door, *, session: str = "s", **told: object) -> dict[str, Any]:
    answer = await door.client.post(
        f"{API}/sessions/{session}/artifacts", json={"type": "file", "name": "a.txt", "content": "x", **told}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(door: Door, session: str, **query: Any) -> Any:
    answer = await door.client.get(f"{API}/sessions/{session}/artifacts", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ask(door: Door, method: str, path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    body = {"PUT": {"held": False}, "POST": {}}.get(method)
    return await door.client.request(method, path, json=body, headers=headers)


def picture(colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (900, 600), colour).save(out, "PNG")
    return out.getvalue()


async def uploaded(door: Door, content: bytes, name: str) -> dict[str, Any]:
    answer = await door.client.post(f"{API}/sessions/s/artifacts", files={"file": (name, content)})
    (item,) = answer.json()["items"]
    return item


def refused(answer: httpx2.Response, code: str, status: int) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


# Listing


async def test_the_newest_come_first_a_page_at_a_time(door: Door) -> None:
    wanted: list[str] = []
    for i in range(5):
        wanted.append((await made(door, session="many", name=f"{i}.txt"))["id"])
        door.clock.move(milliseconds=1)
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await listed(door, "many", **query)
        found += [item["id"] for item in page["items"]]
        assert page["seq"] == 5
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
    assert found == wanted[::-1]


async def test_a_list_can_be_searched(door: Door) -> None:
    sales = await made(door, session="search", name="sales.csv", title="Q3")
    await made(door, session="search", name="costs.csv")
    for query, expected in (({"q": "SALES"}, 1), ({"q": "q3"}, 1), ({"q": "%"}, 0), ({"type": "file"}, 2),
                            ({"type": "poem"}, 0), ({"state": "draft"}, 0), ({}, 2)):  # fmt: skip
        items = (await listed(door, "search", **query))["items"]
        assert len(items) == expected
        if expected == 1:
            assert items == [sales]


async def test_of_a_session_in_which_nothing_is_there_is_nothing(door: Door) -> None:
    assert await listed(door, "nobody was here") == {"items": [], "nextCursor": None, "seq": 0}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"cursor": "nonsense"}, {"q": "x" * 201}]
)
async def test_a_page_that_cannot_be_is_refused(door: Door, query: dict[str, Any]) -> None:
    answer = await door.client.get(f"{API}/sessions/s/artifacts", params=query)
    assert answer.status_code == 422


# One artifact


async def test_an_artifact_is_found_by_id_and_in_its_session_by_handle(door: Door) -> None:
    told = await made(door)
    by_id = await door.client.get(f"{API}/artifacts/{told['id']}")
    assert by_id.json() == told
    by_handle = await door.client.get(f"{API}/artifacts/{told['handle']}?session=s")
    assert by_handle.json() == told
    for path in (told["handle"], f"{told['handle']}?session=other", f"{told['id']}?session=other", MISSING):
        refused(await door.client.get(f"{API}/artifacts/{path}"), "artifact_not_found", 404)


@pytest.mark.parametrize("version", [0, -1, "x", 2**31, 10**30])
async def test_a_version_is_a_number(door: Door, version: object) -> None:
    told = await made(door)
    for route in ("", "/content", "/thumbnail"):
        answer = await door.client.get(f"{API}/artifacts/{told['id']}{route}?version={version}")
        refused(answer, "invalid_request", 422)
    answer = await door.client.post(f"{API}/artifacts/{told['id']}/links", json={"version": version})
    refused(answer, "invalid_request", 422)


async def test_a_version_that_is_not_there_is_not_found(door: Door) -> None:
    told = await made(door)
    for route in ("", "/content", "/thumbnail"):
        answer = await door.client.get(f"{API}/artifacts/{told['id']}{route}?version=2")
        refused(answer, "version_not_found", 404)


async def test_versions_are_listed(door: Door) -> None:
    told = await made(door)
    answer = await door.client.get(f"{API}/artifacts/{told['id']}/versions")
    assert answer.json() == {
        "items": [{**told["version"], "artifactId": told["id"]}],
        "nextCursor": None,
    }
    for cursor in ("0", "-1", "x", "²", "9" * 20):
        refused(await door.client.get(f"{API}/artifacts/{told['id']}/versions?cursor={cursor}"), "invalid_name", 422)


@pytest.mark.parametrize("path", ["%00", "art_%ff", "..%2f..", "a" * 5_000, "%f0%9f%99%82", "%ed%a0%80"])
@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_an_id_that_cannot_be_is_not_found(door: Door, method: str, route: str, path: str) -> None:
    assert (await ask(door, method, f"{API}/artifacts/{path}{route}")).status_code == 404


# Hold, removal, expiry


async def test_a_held_artifact_stays_until_it_is_let_go(door: Door) -> None:
    told = await made(door, session="held", retention="60s")
    path = f"{API}/artifacts/{told['id']}"
    held = await door.client.put(f"{path}/hold", json={"held": True})
    assert held.json() == told | {"held": True, "updatedAt": held.json()["updatedAt"]}
    refused(await door.client.delete(path), "artifact_held", 409)
    door.clock.move(seconds=61)
    assert (await door.client.get(path)).status_code == 200
    assert (await door.client.put(f"{path}/hold", json={"held": False})).json()["held"] is False
    refused(await door.client.get(path), *GONE)


async def test_what_was_removed_is_gone_for_every_route(door: Door) -> None:
    told = await made(door, session="removed")
    path = f"{API}/artifacts/{told['id']}"
    etag = (await door.client.get(f"{path}/content")).headers["etag"]
    removed = await door.client.delete(path)
    assert (removed.status_code, removed.content) == (204, b"")
    for method, route in ROUTES:
        answer = await ask(door, method, path + route, {"if-none-match": etag})
        assert answer.status_code == 410
        assert method == "HEAD" or answer.json()["code"] == "expired"
    assert (await listed(door, "removed"))["items"] == []


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_to_the_millisecond_nothing_expired_is_served(door: Door, method: str, route: str) -> None:
    content = picture() if route == "/thumbnail" else b"x"
    answer = await door.client.post(
        f"{API}/sessions/expiring/artifacts", files={"file": ("a.png", content)}, data={"retention": "60s"}
    )
    (told,) = answer.json()["items"]
    path = f"{API}/artifacts/{told['id']}"
    etag = (await door.client.get(f"{path}{route}" if route == "/thumbnail" else f"{path}/content")).headers["etag"]
    door.clock.move(milliseconds=59_999)
    if method != "DELETE":
        before = await ask(door, method, path + route)
        assert before.status_code in {200, 201}
        same = await ask(door, method, path + route, {"if-none-match": etag})
        assert same.status_code == (304 if route in {"/content", "/thumbnail"} else before.status_code)
    assert [item["id"] for item in (await listed(door, "expiring"))["items"]] == [told["id"]]
    for _ in range(2):
        door.clock.move(milliseconds=1)
        for headers in ({}, {"if-none-match": etag}, {"if-none-match": "*"}, {"range": "bytes=0-0"}):
            after = await ask(door, method, path + route, headers)
            assert after.status_code == 410
        assert (await listed(door, "expiring"))["items"] == []


# Pictures


async def test_an_image_has_a_thumbnail(door: Door) -> None:
    told = await uploaded(door, picture(), "a.png")
    answer = await door.client.get(told["links"]["thumbnail"])
    assert answer.status_code == 200, answer.text
    told_headers = ("content-type", "cache-control", "etag", "content-disposition")
    assert {name: answer.headers[name] for name in told_headers} == {
        "content-type": "image/png",
        "cache-control": "private, no-cache",
        "etag": f'"{hashlib.sha256(answer.content).hexdigest()}"',
        "content-disposition": 'inline; filename="a.png.png"',
    }  # fmt: skip
    with Image.open(io.BytesIO(answer.content), formats=["PNG"]) as image:
        assert image.size == (480, 320)
    again = await door.client.get(told["links"]["thumbnail"], headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_what_only_looks_like_an_image_has_none(door: Door) -> None:
    told = await uploaded(door, picture()[:200], "a.png")
    for _ in range(2):
        refused(await door.client.get(told["links"]["thumbnail"]), "no_preview", 404)


async def test_text_has_none_and_no_link_to_one(door: Door) -> None:
    told = await made(door)
    assert told["links"]["thumbnail"] is None
    refused(await door.client.get(f"{told['links']['self']}/thumbnail"), "no_preview", 404)


async def test_a_picture_is_kept_beside_the_version_and_goes_with_it(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        told = await uploaded(door, picture(), "a.png")
        shown = await door.client.get(told["links"]["thumbnail"])
        file = tmp_path / BLOB_FOLDER / preview_key(Scope(session="s"), told["id"], 1)
        assert file.read_bytes() == shown.content
    async with open_server(tmp_path) as door:
        assert (await door.client.get(told["links"]["thumbnail"])).content == shown.content
        file.chmod(0o600)
        file.write_bytes(b"something else")
        assert (await door.client.get(told["links"]["thumbnail"])).content == shown.content
        assert file.read_bytes() == shown.content
        assert (await door.client.delete(told["links"]["self"])).status_code == 204
        assert not file.exists()
        refused(await door.client.get(told["links"]["thumbnail"]), *GONE)


# Whose it is


async def test_what_is_foreign_looks_like_what_is_missing(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        own = bearer(await key_for(door.desk, user="ada"))
        strangers = [
            bearer(await key_for(door.desk, user="bob")),
            bearer(await key_for(door.desk, user="ada", tenant="other")),
            bearer(await key_for(door.desk, "agent", user="ada", session="elsewhere")),
        ]
        body = {"type": "file", "content": "x"}
        told = (await door.client.post(f"{API}/sessions/s/artifacts", json=body, headers=own)).json()
        for method, route in ROUTES:
            for stranger in strangers:
                foreign = await ask(door, method, f"{API}/artifacts/{told['id']}{route}", stranger)
                missing = await ask(door, method, f"{API}/artifacts/{MISSING}{route}", stranger)
                assert (foreign.status_code, missing.status_code) == (404, 404)
                assert foreign.text.replace(told["id"], MISSING) == missing.text
        for stranger in strangers[:2]:
            page = await door.client.get(f"{API}/sessions/s/artifacts", headers=stranger)
            assert page.json()["items"] == []
        for method in ("GET", "POST"):
            answer = await door.client.request(
                method, f"{API}/sessions/s/artifacts", json=body if method == "POST" else None, headers=strangers[2]
            )
            refused(answer, "session_not_found", 404)
        assert (await door.client.get(f"{API}/artifacts/{told['id']}", headers=own)).status_code == 200


async def test_a_key_that_may_only_read_changes_nothing(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        own = bearer(await key_for(door.desk))
        reader = bearer(await key_for(door.desk, permissions=["artifact:read"]))
        body = {"type": "file", "content": "x"}
        told = (await door.client.post(f"{API}/sessions/s/artifacts", json=body, headers=own)).json()
        refused(await door.client.post(f"{API}/sessions/s/artifacts", json=body, headers=reader), "not_allowed", 403)
        for method, route in ROUTES:
            answer = await ask(door, method, f"{API}/artifacts/{told['id']}{route}", reader)
            is_reading = method in {"GET", "HEAD"}
            expected = 404 if route == "/thumbnail" else 200
            assert answer.status_code == (expected if is_reading else 403)
