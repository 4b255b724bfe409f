"""What is refused at every door alike: JSON that says a thing twice or too deeply, and notes that cannot be kept."""

import json
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from doors import API, Door, open_server
from pydantic import BaseModel, model_validator

import handiwork
from handiwork.errors import InvalidContent
from handiwork.model import Artifact
from handiwork.server.strict_bodies import MOST_VALUES, is_quickly_parsed
from handiwork.session import Session
from handiwork.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
DEEP = "[" * 10_000
NOTES: list[dict[str, Any]] = [
    {"metadata": {"a": float("nan")}},
    {"metadata": {"a": "b\0"}},
    {"metadata": {"a\ud800": 1}},
    {"metadata": {"a": "x" * 20_000}},
    {"language": "py\0thon"},
]
DOORS = [
    ("POST", "sessions/s/artifacts", '{"type": "json", "title": "x", "content": %s}'),
    ("POST", "sessions/s/executions", '{"code": "pass", "inputs": %s}'),
    ("POST", "artifacts/{id}/versions", '{"content": %s}'),
    ("POST", "artifacts/{id}/versions", '{"patch": %s}'),
    ("PATCH", "artifacts/{id}/content", '{"a": %s}'),
    ("PATCH", "artifacts/{id}/state", '{"facts": {"a": %s}}'),
    ("PUT", "artifacts/{id}/labels", '{"labels": %s}'),
    ("POST", "artifacts/{id}/restore", '{"version": %s}'),
    ("PUT", "artifacts/{id}/hold", '{"held": %s}'),
    ("POST", "artifacts/{id}/links", '{"version": %s}'),
    ("POST", "tokens", '{"user": %s}'),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Door]:
    async with open_server(tmp_path_factory.mktemp("strict")) as opened:
        yield opened


@pytest.fixture
def session(door: Door) -> Session:
    return door.desk.engine.session("s")


@pytest.fixture
async def facts(session: Session) -> Artifact:
    return await session.create("json", title="Facts", content={"a": 1})


async def sent(door: Door, facts: Artifact, method: str, path: str, body: str) -> dict[str, Any]:
    address = f"{API}/{path.format(id=facts.id)}"
    answer = await door.client.request(method, address, content=body, headers=JSON)
    return {"status": answer.status_code, **answer.json()}


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
@pytest.mark.parametrize(
    ("value", "got"),
    [('{"b": 1, "b": 2}', 'the name "b" twice in one object'), (DEEP, "recursion limit"), ("[1", "expected")],
)
async def test_a_body_that_is_no_strict_json_gets_the_same_problem_everywhere(
    door: Door, facts: Artifact, method: str, path: str, body: str, value: str, got: str
) -> None:
    problem = await sent(door, facts, method, path, body % value)
    assert (problem["status"], problem["code"]) == (422, "invalid_request")
    assert problem["errors"][0]["where"] == "body"
    assert got in problem["errors"][0]["got"]
    assert (await door.desk.engine.find(facts.scope, facts.id)).artifact == facts


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_a_body_of_nested_lists_is_refused_in_few_words(
    door: Door, facts: Artifact, method: str, path: str, body: str
) -> None:
    nested = "[" + ",".join(["[[]]"] * 40_000) + "]"
    answer = await door.client.request(method, f"{API}/{path.format(id=facts.id)}", content=body % nested, headers=JSON)
    assert 400 <= answer.status_code < 500, answer.text[:200]
    assert len(answer.text) < 4_000


async def test_what_holds_content_may_have_many_values_and_what_holds_none_few(door: Door, facts: Artifact) -> None:
    many = "[" + ",".join(["1"] * 20_000) + "]"
    made = await door.client.post(
        f"{API}/sessions/s/artifacts", content=f'{{"type": "json", "title": "x", "content": {many}}}', headers=JSON
    )
    assert made.status_code == 201
    kept = await door.client.post(
        f"{API}/sessions/s/collect",
        content=f'{{"metadata": {{"artifact": true, "kind": "file", "name": "n.json", "content": {many}}}}}',
        headers=JSON,
    )
    assert kept.status_code == 201
    refused = await door.client.put(f"{API}/artifacts/{facts.id}/labels", content=f'{{"labels": {many}}}', headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_request")
    assert f"{MOST_VALUES:,} values" in refused.json()["detail"]


async def test_the_place_of_a_fault_in_a_body_of_many_values_is_named(door: Door) -> None:
    nested = "[" + ",".join(["[]"] * 10_000) + "]"
    answer = await door.client.post(
        f"{API}/sessions/s/artifacts", content=f'{{"type": {nested}, "content": "x"}}', headers=JSON
    )
    assert answer.status_code == 422
    assert "`body.type`: expected a valid string" in answer.json()["detail"]


@pytest.mark.parametrize(("count", "is_here"), [(100, True), (10_000, False)])
async def test_a_body_of_many_values_is_read_in_a_thread(count: int, is_here: bool) -> None:
    assert is_quickly_parsed(json.dumps({"type": [[]] * count}).encode()) is is_here


@pytest.mark.parametrize(("method", "path", "body"), DOORS)
async def test_a_field_that_is_there_twice_is_refused_and_once_it_is_taken(
    door: Door, facts: Artifact, method: str, path: str, body: str
) -> None:
    once = body % '"x"'
    name = once[2:].partition('"')[0]
    twice = f'{{"{name}": 1, {once[1:]}'
    problem = await sent(door, facts, method, path, twice)
    assert f'the name "{name}" twice' in str(problem), "the attack"
    assert "twice" not in str(await sent(door, facts, method, path, once)), "its control"


async def test_json_may_become_null_and_a_text_may_not(door: Door, facts: Artifact, session: Session) -> None:
    path = "artifacts/{id}/versions"
    made = await sent(door, facts, "POST", path, '{"content": null}')
    assert (made["status"], made["version"]["number"]) == (201, 2)
    assert await session.read(facts.id) == b"null"
    assert (await sent(door, facts, "POST", path, '{"content": null, "patch": {"a": 1}}'))["status"] == 201
    assert (await sent(door, facts, "POST", path, "{}"))["code"] == "invalid_content"
    notes = await session.create("markdown", content="text")
    assert (await sent(door, notes, "POST", path, '{"content": null}'))["code"] == "content_refused"
    assert (await session.get(notes.id)).version.number == 1


@pytest.mark.parametrize("said", NOTES, ids=lambda said: repr(said)[:40])
async def test_notes_that_cannot_be_kept_are_refused_and_nothing_changes(
    session: Session, facts: Artifact, said: dict[str, Any]
) -> None:
    before = (await session.list(limit=1000)).items
    with pytest.raises(InvalidContent, match=f"`{next(iter(said))}` is not valid"):
        await session.create("markdown", content="text", **said)
    with pytest.raises(InvalidContent):
        await session.revise(facts.id, content={"a": 2}, **said)
    assert (await session.list(limit=1000)).items == before


async def test_notes_that_can_be_kept_are_kept(session: Session) -> None:
    said = {"a": [1, "é𝄞\x01", None, {"b": 0.5}]}
    made = await session.create("code", content="pass", language="python", metadata=said)
    made = await session.revise(made.id, content="pass\n", reason="it ended\nwithout a line")
    made = await session.step(made.id, facts=said)
    found = await session.get(made.id)
    assert (found.version.metadata, found.facts) == (said, said)
    assert found.version.provenance.reason == "it ended\nwithout a line"


@pytest.mark.parametrize("value", [float("inf"), "b\0", "\ud800", {"c\0": 1}, [[b"x"]]])
async def test_facts_and_reasons_that_cannot_be_kept_are_refused(
    session: Session, facts: Artifact, value: object
) -> None:
    with pytest.raises(InvalidContent, match="`facts` is not valid"):
        await session.step(facts.id, facts={"a": value})
    if isinstance(value, str):
        with pytest.raises(InvalidContent, match="`reason` is not valid"):
            await session.revise(facts.id, content={"a": 2}, reason=value)
    assert await session.get(facts.id) == facts


async def test_nul_is_refused_over_http_too(door: Door, facts: Artifact) -> None:
    for method, path, body in (
        ("PATCH", "artifacts/{id}/state", '{"facts": {"a": "\\u0000"}}'),
        ("POST", "artifacts/{id}/versions", '{"content": 2, "reason": "\\u0000"}'),
        ("POST", "artifacts/{id}/versions", '{"content": 2, "metadata": {"\\u0000": 1}}'),
        ("POST", "sessions/s/artifacts", '{"type": "json", "content": 2, "language": "\\u0000"}'),
    ):
        problem = await sent(door, facts, method, path, body)
        assert (problem["status"], problem["code"]) == (422, "invalid_content"), problem
    assert (await door.client.get(f"{API}/sessions/s/artifacts", params={"q": "\0", "type": "\0"})).json()[
        "items"
    ] == []


class Threads(BaseModel):
    """Numbers by name; it notes in which thread it is checked."""

    numbers: dict[str, int]

    @model_validator(mode="before")
    @classmethod
    def _note(cls, value: object) -> object:
        SEEN.append(threading.get_ident())
        return value


SEEN: list[int] = []


@pytest.mark.parametrize(
    ("patch", "is_here"),
    [
        ({"numbers": {"a": 2}}, True),
        ({"numbers": {f"n{n}": n for n in range(8_000)}}, False),
        ([{"op": "add", "path": "/numbers", "value": {f"n{n}": n for n in range(8_000)}}], False),
        ([{"find": '"a": 1', "replace": '"a": 2' + " " * 20_000}], False),
    ],
)
async def test_a_long_patch_keeps_nobody_waiting(patch: Any, is_here: bool, tmp_path: Path) -> None:
    mark: Callable[[type[Threads]], type[Threads]] = handiwork.artifact_type("numbers")
    async with handiwork.open(tmp_path, settings=Settings(), types=[mark(Threads)]) as engine:
        session = engine.session("s")
        made = await session.create("numbers", content={"numbers": {"a": 1}})
        SEEN.clear()
        assert (await session.revise(made.id, patch=patch)).version.number == 2
    # A version that is small is decided on where it was asked for, since a hand-over would take as long.
    assert ({*SEEN} == {threading.get_ident()}) == is_here
    assert (threading.get_ident() in SEEN) == is_here
