"""What is answered before the framework looks for its route is answered as by that route, good and bad."""

import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from doors import API, PUBLIC, Door, bearer, key_for, open_server

from handiwork.server import app

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
MAKE = ("POST", f"{API}/sessions/{{session}}/artifacts")
RUN = ("POST", f"{API}/sessions/{{session}}/executions")
READ = ("GET", f"{API}/artifacts/{{artifact}}/content")
REVISE = ("POST", f"{API}/artifacts/{{artifact}}/versions")
# What differs from one call to the next, however it is answered.
VOLATILE = (
    (r"\b(art|exc|req)_\w+", r"\1"),
    (r'"(handle|createdAt|updatedAt|expiresAt|durationMs|cpuMs|peakMemoryBytes)": ?("[^"]*"|[\d.]+)', r"\1"),
    (r"plan_\w{4}", "handle"),
    (r"in [\d.]+ s\b", "at once"),
)

ASKED: Mapping[str, tuple[tuple[str, str], dict[str, Any]]] = {
    "made": (MAKE, {"json": {"type": "markdown", "title": "Plan", "content": "# Plan"}}),
    "made in a session with a slash": (
        (MAKE[0], MAKE[1].replace("{session}", "{session}%2Fb")),
        {"json": {"type": "json", "content": {"a": [1, None]}}},
    ),
    "a form": (MAKE, {"files": {"file": ("plan.txt", b"x")}}),
    "plain text": (MAKE, {"content": b"# Plan", "headers": {"content-type": "text/plain"}, "params": {"type": "code"}}),
    "no JSON": (MAKE, {"content": b"{", "headers": JSON}),
    "no object": (MAKE, {"content": b"[]", "headers": JSON}),
    "twice": (MAKE, {"content": b'{"type": "code", "type": "code", "content": ""}', "headers": JSON}),
    "no such type": (MAKE, {"json": {"type": "poem", "content": "x"}}),
    "refused content": (MAKE, {"json": {"type": "svg", "content": "<svg"}}),
    "an empty body": (MAKE, {"content": b"", "headers": JSON}),
    "no body": (MAKE, {}),
    "a path that goes on": ((MAKE[0], f"{MAKE[1]}/"), {"json": {"type": "markdown", "content": "x"}}),
    "a name that cannot be": ((MAKE[0], f"{API}/sessions/{'x' * 300}/artifacts"), {"json": {"type": "code"}}),
    "another method": (("PUT", MAKE[1]), {"json": {}}),
    "read": (READ, {}),
    "read of a version": (READ, {"params": {"version": "1"}}),
    "read of a version that is none": (READ, {"params": {"version": "7"}}),
    "read of a number that is none": (READ, {"params": {"version": "x"}}),
    "read in part": (READ, {"headers": {"range": "bytes=2-3"}}),
    "read beyond its end": (READ, {"headers": {"range": "bytes=99-"}}),
    "read of a part": (READ, {"params": {"select": "lines=1"}}),
    "read of what is missing": (("GET", f"{API}/artifacts/art_0000000000000000000000/content"), {}),
    "its headers": (("HEAD", READ[1]), {}),
    "what may be done with it": (("OPTIONS", READ[1]), {}),
    "revised": (REVISE, {"json": {"patch": [{"find": "Plan", "replace": "Aim"}]}}),
    "revised by a handle": (
        (REVISE[0], f"{API}/artifacts/{{handle}}/versions"),
        {"params": {"session": "{session}"}, "json": {"content": "# Other"}},
    ),
    "a patch that misses": (REVISE, {"json": {"patch": [{"find": "Nothing", "replace": ""}]}}),
    "neither content nor patch": (REVISE, {"json": {"title": "x"}}),
    "a condition that fails": (REVISE, {"json": {"content": "x"}, "headers": {"if-match": '"other"'}}),
    "run": (RUN, {"json": {"code": "print(1)"}}),
    "run later": (RUN, {"json": {"code": "print(1)", "wait": False}}),
    "run without code": (RUN, {"json": {}}),
    "run of what is no text": (RUN, {"json": {"code": 1, "wait": "perhaps"}}),
    "run with limits that cannot be": (RUN, {"json": {"code": "", "limits": {"memory": "9 TB"}}}),
    "run with files": (RUN, {"json": {"code": "print(1)"}, "params": {"files": "base64"}}),
    **{
        f"run of {body.decode()}": (RUN, {"content": body, "headers": JSON})
        for body in (
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"1",
            b"NaN",
            b'{"inputs": "x"}',
            b'{"code": 1, "code": 2}',
            b'{"x": 1, "x": 2}',
            b'{"code": "print(2)", "inputs": []}',
        )
    },
    "run of nothing at all": (RUN, {}),
    "run of no JSON": (RUN, {"content": b'{"code": NaN}', "headers": JSON}),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ways(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[tuple[Door, Mapping[str, httpx2.AsyncClient]]]:
    """A server, and clients that go the short ways to it, and the usual ones alone."""
    async with open_server(tmp_path_factory.mktemp("ways"), is_open=False) as door:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, "SHORT_WAYS", ())
            usual = httpx2.ASGITransport(app=app.guarded(door.desk))  # pyright: ignore[reportArgumentType]  # as in `doors`
        async with httpx2.AsyncClient(transport=usual, base_url=PUBLIC) as client:
            yield door, {"short": door.client, "usual": client}


def told(answer: httpx2.Response, *, session: str) -> tuple[int, dict[str, str], str]:
    def masked(text: str) -> str:
        text = text.replace(session, "<session>")
        for pattern, name in VOLATILE:
            text = re.sub(pattern, name, text)
        return text

    headers = {name: masked(value) for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, headers, masked(answer.text)


@pytest.mark.parametrize("asking", ["its user", "a reader", "nobody", "an admin", "an admin for a user"])
@pytest.mark.parametrize("what", ASKED)
async def test_both_ways_come_to_the_same(
    ways: tuple[Door, Mapping[str, httpx2.AsyncClient]], what: str, asking: str, tmp_path: Path
) -> None:
    door, clients = ways
    owner = bearer(await key_for(door.desk))
    headers = {
        "its user": owner,
        "a reader": bearer(await key_for(door.desk, "agent", session="elsewhere")),
        "nobody": {},
        "an admin": bearer(await key_for(door.desk, "admin")),
        "an admin for a user": bearer(await key_for(door.desk, "admin"), user="local"),
    }[asking]
    (method, path), said = ASKED[what]
    answers: dict[str, tuple[int, dict[str, str], str]] = {}
    for way, client in clients.items():
        session = f"{way}-{tmp_path.name}"[-60:]
        made = await client.post(
            f"{API}/sessions/{session}/artifacts",
            json={"type": "markdown", "title": "Plan", "name": "plan.md", "content": "# Plan\n"},
            headers=owner,
        )
        names = {"session": session, "artifact": made.json()["id"], "handle": made.json()["handle"]}
        params = {name: value.format(**names) for name, value in said.get("params", {}).items()}
        call: dict[str, Any] = {**said, "params": params, "headers": {**headers, **said.get("headers", {})}}
        answers[way] = told(await client.request(method, path.format(**names), **call), session=session)
    assert answers["short"] == answers["usual"]
