"""What tools have answered: recorded, read in parts, and promoted once, in Python and over HTTP, on a real store."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from doors import API, Door, bearer, key_for, open_server

import handiwork
from handiwork.errors import (
    ArtifactExpired,
    ContentRefused,
    ContentTooLarge,
    HandiworkError,
    InvalidLimit,
    InvalidName,
    ProducingDisabled,
    QuotaExceeded,
    ToolResultNotFound,
    UnknownType,
    UnsupportedFormat,
)
from handiwork.model import MIB, Artifact, Reach
from handiwork.session import Session
from handiwork.settings import Artifacts, Quotas, Settings

ROWS = [{"region": "north", "sales": 7}, {"region": "south, west", "sales": None}]
TABLE = 'region,sales\nnorth,7\n"south, west",\n'
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
async def session(tmp_path: Path) -> AsyncGenerator[Session]:
    async with handiwork.open(tmp_path / "store", settings=Settings()) as engine:
        yield engine.session("s")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncGenerator[Door]:
    async with open_server(tmp_path / "server") as opened:
        yield opened


async def types(session: Session) -> list[str]:
    return sorted(artifact.type for artifact in (await session.list()).items)


async def post(door: Door, path: str, status: int, **body: Any) -> dict[str, Any]:
    answer = await door.client.post(f"{API}/sessions/s/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def recorded(door: Door, status: int = 201, call: str = "call_1", **told: Any) -> dict[str, Any]:
    return await post(door, "tool-results", status, **{"toolCallId": call, "tool": "crm.search", **told})


async def promoted(door: Door, status: int = 201, call: str = "call_1", type: str = "json", **told: Any) -> Any:
    return await post(door, "promotions", status, toolCallId=call, type=type, **told)


async def sent(door: Door, body: bytes, path: str = "tool-results") -> httpx2.Response:
    headers = {"content-type": "application/json"}
    return await door.client.post(f"{API}/sessions/s/{path}", content=body, headers=headers)


async def kept(door: Door) -> list[Any]:
    return (await door.client.get(f"{API}/sessions/s/artifacts")).json()["items"]


# Record


async def test_an_answer_is_an_artifact_that_says_where_it_comes_from(session: Session) -> None:
    made = await session.record("call_1", tool="crm.search", result=ROWS, category="crm_records")
    assert (made.type, made.title, made.name, made.media_type) == (
        "tool_result",
        "crm.search",
        "crm.search.json",
        "application/json",
    )
    assert made.version.provenance.tool_call_id == "call_1"
    assert made.version.metadata == {"tool": "crm.search", "category": "crm_records"}
    assert made.expires_at == made.created_at + timedelta(minutes=30)
    assert json.loads(await session.read(made.id)) == ROWS


async def test_a_session_with_a_slash_in_its_name_keeps_answers_too(door: Door) -> None:
    place = f"{API}/sessions/team%2Fplan"
    told = {"toolCallId": "call_1", "tool": "crm.search", "result": {"a": 1}}
    kept = await door.client.post(f"{place}/tool-results", json=told)
    assert (kept.status_code, kept.json()["session"]) == (201, "team/plan")
    assert (await door.client.get(f"{place}/tool-results/{kept.json()['handle']}")).status_code == 200
    promotion = {"toolCallId": "call_1", "type": "json"}
    assert (await door.client.post(f"{place}/promotions", json=promotion)).status_code == 201


async def test_text_and_bytes_are_kept_as_they_are(session: Session) -> None:
    text = await session.record("call_1", tool="fetch", result="a,b\n1,2\n", media_type="text/csv")
    pdf = await session.record("call_1", tool="report/maker", result=PDF)
    assert [(each.name, each.media_type) for each in (text, pdf)] == [
        ("fetch.csv", "text/csv"),
        ("reportmaker.pdf", "application/pdf"),
    ]
    assert [await session.read(each.id) for each in (text, pdf)] == [b"a,b\n1,2\n", PDF]


async def test_one_event_tells_of_an_answer_and_not_what_it_is(session: Session) -> None:
    made = await session.record("call_1", tool="secret-tool", result="secret-words")
    async for event in session.watch():
        assert (event.seq, event.type, event.artifact_id) == (1, "tool-result-cached", made.id)
        assert event.facts == {"artifactType": "tool_result", "version": 1}
        break
    assert (await session.list()).seq == 1


@pytest.mark.parametrize("ttl", [timedelta(seconds=1), timedelta(hours=24)])
async def test_an_answer_is_kept_as_long_as_it_says(session: Session, ttl: timedelta) -> None:
    made = await session.record("call_1", tool="t", result=1, ttl=ttl)
    assert made.expires_at == made.created_at + ttl


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1), timedelta(hours=24, microseconds=1)])
async def test_no_answer_is_kept_longer_than_a_day(session: Session, ttl: timedelta) -> None:
    with pytest.raises(InvalidLimit, match="24 hours at most"):
        await session.record("call_1", tool="t", result=1, ttl=ttl)
    assert await types(session) == []


@pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "\ud800", "\u202e", "x" * 201, "x" * MIB])
async def test_a_name_that_cannot_be_is_refused_shortly(session: Session, name: str) -> None:
    for asked in (
        session.record(name, tool="t", result=1),
        session.record("call_1", tool=name, result=1),
        session.record("call_1", tool="t", result=1, category=name),
        session.promote(name, "json"),
    ):
        with pytest.raises(InvalidName, match="printable characters") as caught:
            await asked
        assert len(str(caught.value)) < 300
    assert await types(session) == []


@pytest.mark.parametrize("name", ["x" * 200, "call:1/ü 図", "' OR 1=1 --", "../../etc"])
async def test_any_printable_name_will_do(session: Session, name: str) -> None:
    made = await session.record(name, tool=name, result={"a": 1})
    assert (made.title, made.version.provenance.tool_call_id) == (name, name)
    assert json.loads(await session.read((await session.promote(name, "json")).id)) == {"a": 1}


async def test_an_answer_that_json_does_not_have_or_that_is_too_large_stores_nothing(session: Session) -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for bad in (float("nan"), {"a": float("-inf")}, deep, {1: 2}, "\udfff", object()):
        with pytest.raises(ContentRefused):
            await session.record("call_1", tool="t", result=bad)
    for large in ("x" * (10 * MIB + 1), bytes(10 * MIB + 1), ["x" * 1000] * 11_000):
        with pytest.raises(ContentTooLarge):
            await session.record("call_1", tool="t", result=large)
    assert await types(session) == []


async def test_where_few_formats_are_delivered_an_answer_may_be_anything_and_what_it_becomes_not(
    tmp_path: Path,
) -> None:
    settings = Settings.model_validate({"artifacts": {"allowed_formats": ["json"]}})
    async with handiwork.open(tmp_path / "store", settings=settings) as engine:
        session = engine.session("s")
        await session.record("call_1", tool="search", result="plain text")
        with pytest.raises(UnsupportedFormat):
            await session.promote("call_1", "file")
        await session.record("call_2", tool="search", result={"a": 1})
        assert (await session.promote("call_2", "json")).media_type == "application/json"


async def test_answers_count_towards_quotas_and_are_refused_where_nothing_is_made(tmp_path: Path) -> None:
    few = Artifacts(quotas=Quotas.model_validate({"session": {"artifacts": 1}}))
    async with handiwork.open(tmp_path, settings=Settings(artifacts=few)) as engine:
        session = engine.session("s")
        await session.record("call_1", tool="t", result=1)
        with pytest.raises(QuotaExceeded):
            await session.record("call_2", tool="t", result=1)
        with pytest.raises(QuotaExceeded):
            await session.promote("call_1", "json")
    async with handiwork.open(tmp_path, settings=Settings(artifacts=Artifacts(enabled=False))) as engine:
        session = engine.session("s")
        for refused in (session.record("call_1", tool="t", result=1), session.promote("call_1", "json")):
            with pytest.raises(ProducingDisabled):
                await refused
        assert await types(session) == ["tool_result"]


# Promote


@pytest.mark.parametrize(
    ("result", "type", "name", "content"),
    [
        (ROWS, "csv", "crm.search.csv", TABLE.encode()),
        (json.dumps(ROWS), "csv", "crm.search.csv", TABLE.encode()),
        ("a,b\n1,2\n", "csv", "crm.search.csv", b"a,b\n1,2\n"),
        ({"a": [1]}, "json", "crm.search.json", b'{\n  "a": [\n    1\n  ]\n}'),
        ('{"a":1}', "json", "crm.search.json", b'{"a":1}'),
        ({"a": 1}, "markdown", "crm.search.md", b'{\n  "a": 1\n}'),
        ("# Title", "markdown", "crm.search.md", b"# Title"),
        ({"a": 1}, "code", "crm.search.json", b'{\n  "a": 1\n}'),
        ("<p>x</p>", "html", "crm.search.html", b"<p>x</p>"),
        (PDF, "file", "crm.search.pdf", PDF),
        ("hello", "file", "crm.search.txt", b"hello"),
        ({"a": 1}, "file", "crm.search.json", b'{\n  "a": 1\n}'),
        (PNG, "image", "crm.search.png", PNG),
        (f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "image", "crm.search.png", PNG),
    ],
)
async def test_an_answer_becomes_content_of_the_type(
    session: Session, result: object, type: str, name: str, content: bytes
) -> None:
    await session.record("call_1", tool="crm.search", result=result)
    made = await session.promote("call_1", type)
    assert (made.name, made.title, await session.read(made.id)) == (name, "crm.search", content)


async def test_what_was_promoted_stays_and_says_what_it_was(session: Session) -> None:
    answer = await session.record("call_1", tool="crm.search", result=ROWS)
    made = await session.promote("call_1", "json", title="Sales")
    assert (made.title, made.name) == ("Sales", "Sales.json")
    assert made.version.metadata == {"source": "tool", "tool": "crm.search"}
    assert made.version.provenance.tool_call_id == "call_1"
    assert made.version.provenance.inputs == (f"{answer.id}@1",)
    assert made.expires_at == made.created_at + timedelta(days=7)
    await session.remove(answer.id)
    assert json.loads(await session.read(made.id)) == ROWS


async def test_promoting_again_returns_the_artifact_as_it_is_now(session: Session) -> None:
    await session.record("call_1", tool="t", result={"a": 1})
    first = await session.promote("call_1", "json", title="One")
    revised = await session.revise(first.id, patch={"a": 2})
    await session.record("call_1", tool="t", result={"a": 3})
    assert await session.promote("call_1", "json", title="Two") == revised
    assert (await session.promote("call_1", "markdown")).id != first.id
    assert await types(session) == ["json", "markdown", "tool_result", "tool_result"]


async def test_a_type_and_its_alias_are_one(session: Session) -> None:
    await session.record("call_1", tool="t", result="<p>x</p>")
    assert await session.promote("call_1", "html") == await session.promote("call_1", "html-sandboxed")


async def test_the_last_answer_that_is_no_failure_is_promoted(session: Session) -> None:
    for result, failed in (({"n": 1}, False), ({"n": 2}, False), ({"n": 3}, True)):
        await session.record("call_1", tool="t", result=result, failed=failed)
    made = await session.promote("call_1", "json")
    assert json.loads(await session.read(made.id)) == {"n": 2}


async def test_an_answer_that_was_revised_is_promoted_as_it_was_given(session: Session) -> None:
    answer = await session.record("call_1", tool="t", result="given")
    await session.revise(answer.id, content="changed")
    assert await session.read((await session.promote("call_1", "markdown")).id) == b"given"


async def test_what_was_said_in_short_of_an_answer_is_not_said_of_other_content(session: Session) -> None:
    answer = await session.record("call_1", tool="t", result="given", summary_data={"lines": 1})
    same = await session.revise(answer.id, content="given", metadata={"tool": "u"})
    assert (same.version.number, same.version.summary_data) == (2, {"lines": 1})
    assert (await session.revise(answer.id, content="changed")).version.summary_data == {}


async def test_what_was_never_recorded_or_only_failed_is_not_found(session: Session) -> None:
    with pytest.raises(ToolResultNotFound, match="`call_1`") as never:
        await session.promote("call_1", "json")
    await session.record("call_1", tool="t", result="no", failed=True)
    with pytest.raises(ToolResultNotFound, match="1 that failed") as failed:
        await session.promote("call_1", "json")
    assert (never.value.failed, failed.value.failed) == (0, 1)
    assert await types(session) == ["tool_result"]


async def test_a_type_refuses_what_is_not_its_content_and_says_what_to_do(session: Session) -> None:
    await session.record("call_1", tool="t", result={"a": {"b": 1}})
    await session.record("call_2", tool="t", result=PDF)
    await session.record("call_3", tool="t", result="x" * (300 * 1024))
    refusals = {("call_1", "csv"): "list of objects", ("call_2", "markdown"): "UTF-8", ("call_2", "image"): "picture"}
    for (call, type), expected in refusals.items():
        with pytest.raises(ContentRefused, match=expected) as refused:
            await session.promote(call, type)
        assert refused.value.hint
    with pytest.raises(ContentTooLarge, match="262,144"):
        await session.promote("call_3", "markdown")
    with pytest.raises(UnknownType):
        await session.promote("call_1", "poem")
    with pytest.raises(InvalidName, match="deliverable"):
        await session.promote("call_1", "tool_result")
    with pytest.raises(InvalidName, match="300"):
        await session.promote("call_1", "json", title="x" * 301)
    assert await types(session) == ["tool_result"] * 3


async def test_another_session_does_not_see_an_answer(session: Session) -> None:
    await session.record("call_1", tool="t", result=1)
    for other in (
        session.engine.session("other"),
        session.engine.session("s", user="bo"),
        session.engine.session("s", tenant="umbr"),
    ):
        with pytest.raises(ToolResultNotFound):
            await other.promote("call_1", "json")


async def test_twenty_promotions_at_once_in_two_engines_make_one_artifact(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as one, handiwork.open(tmp_path) as two:
        sessions = [one.session("s"), two.session("s")]
        await sessions[0].record("call_1", tool="t", result=ROWS)
        made = await asyncio.gather(*[sessions[n % 2].promote("call_1", "csv") for n in range(20)])
        assert len({artifact.id for artifact in made}) == 1
        assert await types(sessions[1]) == ["csv", "tool_result"]
        assert await sessions[1].read(made[0].id) == TABLE.encode()
        # Of those who came too late no bytes are left.
        assert len(list((tmp_path / "artifacts").rglob("t.csv"))) == 1


async def test_what_was_removed_or_erased_is_promoted_anew(session: Session) -> None:
    await session.record("call_1", tool="t", result=1)
    first = await session.promote("call_1", "json")
    await session.remove(first.id)
    second = await session.promote("call_1", "json")
    assert second.id != first.id
    await session.engine.erase(Reach(tenant="default", user="local", session="s"))
    with pytest.raises(ToolResultNotFound):
        await session.promote("call_1", "json")
    await session.record("call_1", tool="t", result=2)
    assert await session.read((await session.promote("call_1", "json")).id) == b"2"


def test_the_verbs_are_there_without_await(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path) as engine:
        session = engine.session("s")
        session.record("call_1", tool="t", result=ROWS)
        made: list[Artifact] = [session.promote("call_1", "csv") for _ in range(2)]
        assert made[0] == made[1]
        assert session.read(made[0].id) == TABLE.encode()


# Over HTTP


async def test_an_answer_comes_with_its_cache_id(door: Door) -> None:
    told = await recorded(door, result=ROWS, category="crm_records", ttl="1h")
    assert told["cacheId"] == told["id"]
    assert (told["type"], told["title"]) == ("tool_result", "crm.search")
    assert told["version"]["metadata"] == {"tool": "crm.search", "category": "crm_records"}
    provenance = told["version"]["provenance"]
    assert provenance["toolCallId"] == "call_1"
    assert provenance["requestId"]
    assert (await door.client.get(told["links"]["content"])).json() == ROWS


async def test_an_answer_is_read_in_parts_and_goes_on_where_it_was_cut(door: Door) -> None:
    many = [{"n": n, "text": "x" * 100} for n in range(1000)]
    cache_id = (await recorded(door, result=many))["cacheId"]
    address = f"{API}/sessions/s/tool-results/{cache_id}"
    first = await door.client.get(address)
    assert 0 < len(first.content) <= 32 * 1024
    following = await door.client.get(address, params={"select": first.headers["x-continuation"]})
    assert following.status_code == 200
    assert following.text != first.text
    part = await door.client.get(address, params={"select": "rows=10:12"})
    assert [row["n"] for row in json.loads(part.text)] == [10, 11]
    assert part.headers["x-tokens"]
    same = await door.client.get(f"{API}/artifacts/{cache_id}/content", params={"select": "rows=10:12"})
    assert same.text == part.text
    at_path = await door.client.get(address, params={"select": "path=$[3].n"})
    assert at_path.text.strip() == "3"
    assert (await door.client.get(address, params={"select": "row=1"})).json()["code"] == "selector_refused"


async def test_bytes_come_in_base64_and_are_promoted_to_a_file(door: Door) -> None:
    told = await recorded(door, bytes=base64.b64encode(PDF).decode(), mediaType="application/pdf")
    made = await promoted(door, type="file", title="Report")
    assert (told["version"]["name"], made["version"]["name"]) == ("crm.search.pdf", "Report.pdf")
    assert (await door.client.get(made["links"]["content"])).content == PDF
    unreadable = await door.client.get(f"{API}/sessions/s/tool-results/{told['cacheId']}")
    assert (unreadable.status_code, unreadable.json()["code"]) == (422, "selector_misfit")


async def test_a_promotion_is_created_once(door: Door) -> None:
    await recorded(door, result=ROWS)
    first = await door.client.post(f"{API}/sessions/s/promotions", json={"toolCallId": "call_1", "type": "csv"})
    again = await door.client.post(f"{API}/sessions/s/promotions", json={"tool_call_id": "call_1", "type": "csv"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"] == first.json()["links"]["self"]
    assert (await door.client.get(f"{first.headers['location']}/content")).text == TABLE


async def test_what_is_no_answer_is_missing_and_what_was_one_is_gone(door: Door) -> None:
    note = await door.desk.engine.session("s").create("markdown", content="# Note", title="Note")
    answer = await recorded(door, result="hello")
    address = f"{API}/sessions/{{}}/tool-results/{{}}"
    for session, reference in (
        ("s", note.id),
        ("s", note.handle),
        ("s", "art_" + "0" * 22),
        ("other", answer["cacheId"]),
    ):
        told = await door.client.get(address.format(session, reference))
        assert (told.status_code, told.json()["code"]) == (404, "artifact_not_found")
    for reference in (answer["cacheId"], answer["handle"]):
        assert (await door.client.get(address.format("s", reference))).text == "hello"
    door.clock.move(minutes=30)
    gone = await door.client.get(address.format("s", answer["cacheId"]))
    assert (gone.status_code, gone.json()["code"]) == (410, "expired")
    assert (await promoted(door, 404))["code"] == "tool_result_not_found"


async def test_who_may_only_read_neither_records_nor_promotes(door: Door) -> None:
    key = bearer(await key_for(door.desk, permissions=["artifact:read"]))
    for path, body in (
        ("tool-results", {"toolCallId": "c", "tool": "t", "result": 1}),
        ("promotions", {"toolCallId": "c", "type": "json"}),
    ):
        answer = await door.client.post(f"{API}/sessions/s/{path}", json=body, headers=key)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        ({}, "invalid_request", "exactly one of `result` and `bytes`"),
        ({"result": 1, "bytes": "AA=="}, "invalid_request", "exactly one of `result` and `bytes`"),
        ({"bytes": None}, "invalid_request", "bytes"),
        ({"bytes": "no base64!"}, "invalid_content", "base64"),
        ({"bytes": "AAA"}, "invalid_content", "base64"),
        ({"result": 1, "ttl": "25h"}, "invalid_limit", "24 hours"),
        ({"result": 1, "ttl": "-1s"}, "invalid_request", "ttl"),
        ({"result": 1, "failed": "yes"}, "invalid_request", "failed"),
        ({"result": 1, "summaryData": {"a": "x" * 16_384}}, "invalid_request", "summaryData"),
        ({"result": 1, "summaryData": {"a": "\0"}}, "invalid_content", "summary data"),
        ({"result": 1, "toolCallId": "a\nb"}, "invalid_name", "tool call id"),
        ({"result": 1, "toolCallId": "x" * MIB}, "invalid_name", "200"),
        ({"result": 1, "tool": ""}, "invalid_name", "tool"),
        ({"result": 1, "unheard": 1}, "invalid_request", "unheard"),
    ],
)
async def test_a_body_that_cannot_be_says_what_was_expected(
    door: Door, told: dict[str, Any], code: str, words: str
) -> None:
    problem = await recorded(door, 422, **told)
    assert problem["code"] == code
    assert words in json.dumps(problem)
    assert len(json.dumps(problem)) < 4_000
    assert await kept(door) == []


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (DEEP, "brackets"),
        ('{"a":1,"a":2}', "every name once"),
        ("NaN", "a number, a text or `null`"),
        ("1e999", "1.8e308"),
        ('"\\ud800"', "whole characters"),
        ("9" * 5_000, "1,000 characters"),
        ("[1", "closing bracket"),
        ('"\0"', "NUL"),
    ],
)
async def test_json_that_is_none_is_refused_with_its_place(door: Door, result: str, expected: str) -> None:
    body = f'{{"toolCallId":"call_1","tool":"t","result":{result}}}'.encode()
    answer = await sent(door, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "content_refused"), answer.text
    assert expected in answer.json()["detail"]
    assert await kept(door) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"toolCallId":"a","toolCallId":"b"}', b"[" * 100_000])
async def test_no_body_is_too_strange(door: Door, body: bytes) -> None:
    for path in ("tool-results", "promotions"):
        answer = await sent(door, body, path)
        assert answer.status_code in {400, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert await kept(door) == []


async def test_as_much_as_a_file_comes_in_and_not_more(door: Door) -> None:
    most = base64.b64encode(bytes(10 * MIB)).decode()
    assert (await recorded(door, bytes=most))["version"]["size"] == 10 * MIB
    more = base64.b64encode(bytes(10 * MIB + 1)).decode()
    assert (await recorded(door, 413, bytes=more))["code"] == "content_too_large"
    assert (await recorded(door, 400, result=[0] * 300_000))["code"] == "malformed_request"
    assert len(await kept(door)) == 1


async def test_an_erasure_while_an_answer_comes_in_keeps_it_out(door: Door) -> None:
    reach = Reach(tenant="default", user="local", session="s")

    async def slowly() -> AsyncGenerator[bytes]:
        yield b'{"toolCallId":"call_1","tool":"t",'
        door.clock.move(seconds=1)
        await door.desk.engine.erase(reach)
        yield b'"result":1}'

    headers = {"content-type": "application/json"}
    answer = await door.client.post(f"{API}/sessions/s/tool-results", content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "erased")
    assert await kept(door) == []


async def test_an_answer_that_expires_while_it_is_promoted_makes_nothing(door: Door) -> None:
    session = door.desk.engine.session("s")
    answer = await session.record("call_1", tool="t", result=1)
    await session.remove(answer.id)
    with pytest.raises(HandiworkError) as gone:
        await session.promote("call_1", "json")
    assert isinstance(gone.value, ToolResultNotFound | ArtifactExpired)
    assert await kept(door) == []
