"""Typed artifacts over HTTP: made, revised, compared, restored, marked, and read in parts."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from doors import API, Door, open_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

SALES = "month,sales\n" + "".join(f"m{n},{n}\n" for n in range(1000))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Door]:
    async with open_server(tmp_path_factory.mktemp("revisions")) as opened:
        yield opened


async def made(door: Door, type_: str, content: Any, **told: Any) -> dict[str, Any]:
    body = {"type": type_, "title": "It", "content": content, **told}
    answer = await door.client.post(f"{API}/sessions/s/artifacts", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def revised(door: Door, id: str, status: int = 201, headers: dict[str, str] | None = None, **told: Any) -> Any:
    answer = await door.client.post(f"{API}/artifacts/{id}/versions", json=told, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def selected(door: Door, id: str, select: str) -> httpx2.Response:
    return await door.client.get(f"{API}/artifacts/{id}/content", params={"select": select})


async def test_every_type_is_listed_with_what_a_client_needs(door: Door) -> None:
    items = (await door.client.get(f"{API}/artifact-types")).json()["items"]
    known = {item["name"]: item for item in items}
    assert {"markdown", "code", "html-sandboxed", "json", "csv", "svg", "image", "file"} <= set(known)
    for item in items:
        assert {"label", "icon", "category", "display", "streaming", "schema", "states", "actions", "cap"} <= set(item)
    assert known["csv"]["mediaType"] == "text/csv"


async def test_an_artifact_comes_with_its_content_where_that_is_short(door: Door) -> None:
    facts = await made(door, "json", {"a": [1, None]})
    notes = await made(door, "markdown", "# Hello\n")
    file = await made(door, "file", "text", name="a.txt")
    shown = [(await door.client.get(f"{API}/artifacts/{each['id']}")).json() for each in (facts, notes, file)]
    assert [each["version"]["content"] for each in shown[:2]] == [{"a": [1, None]}, "# Hello\n"]
    assert [each["version"]["content"] for each in (facts, notes)] == [{"a": [1, None]}, "# Hello\n"]
    assert "content" not in shown[2]["version"]


@pytest.mark.parametrize("content", ["null", "{}", '{"b": 1.50}'])
async def test_null_is_content_and_content_that_is_not_told_has_no_name(door: Door, content: str) -> None:
    one = await made(door, "json", content)
    shown = (await door.client.get(f"{API}/artifacts/{one['id']}")).json()
    assert one["version"]["content"] == shown["version"]["content"] == json.loads(content)
    large = await made(door, "json", ["x" * 100_000])
    listed = (await door.client.get(f"{API}/sessions/s/artifacts")).json()["items"]
    history = (await door.client.get(f"{API}/artifacts/{one['id']}/versions")).json()["items"]
    for version in (large["version"], *history, *(each["version"] for each in listed)):
        assert "content" not in version


async def test_a_refused_content_says_where_and_what_was_expected(door: Door) -> None:
    body = {"type": "csv", "title": "x", "content": "a,b\n1,2\n3\n"}
    answer = await door.client.post(f"{API}/sessions/empty/artifacts", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "content_refused")
    assert {"artifactType", "where", "expected", "got"} <= set(problem)
    assert (await door.client.get(f"{API}/sessions/empty/artifacts")).json()["items"] == []


async def test_a_revision_by_patch_is_answered_with_the_new_head(door: Door) -> None:
    one = await made(door, "markdown", "Q3 was good.\n")
    two = await revised(door, one["id"], patch=[{"find": "Q3", "replace": "Q4"}], baseVersion=1, reason="later")
    assert (two["version"]["number"], two["version"]["content"]) == (2, "Q4 was good.\n")
    assert two["version"]["provenance"]["reason"] == "later"
    old = await door.client.get(f"{API}/artifacts/{one['id']}/content", params={"version": 1})
    assert old.text == "Q3 was good.\n"


async def test_a_missed_edit_shows_the_nearest_text(door: Door) -> None:
    one = await made(door, "code", "def area(width, height):\n    return width * height\n", language="python")
    patch = [{"find": "return width*height", "replace": "return 0"}]
    problem = await revised(door, one["id"], 422, patch=patch)
    assert problem["code"] == "edit_missed"
    assert "width * height" in str(problem["nearest"])


async def test_what_is_nearest_can_be_copied_into_the_next_try(door: Door) -> None:
    line = "The quick brown fox jumps over the lazy dog. " * 40
    one = await made(door, "markdown", f"# Title\n\n{line}\n")
    missed = await revised(door, one["id"], 422, patch=[{"find": line.upper(), "replace": "short"}])
    near = "\n".join(missed["nearest"]["lines"])
    assert len(near) > 1000
    assert (await revised(door, one["id"], patch=[{"find": near, "replace": "short"}]))["version"]["number"] == 2


async def test_all_conflicts_are_told_with_both_sides(door: Door) -> None:
    base = {f"k{n}": "a" for n in range(80)}
    one = await made(door, "json", base)
    await revised(door, one["id"], content=dict.fromkeys(base, "b" * 1500))
    problem = await revised(door, one["id"], 409, content=dict.fromkeys(base, "c" * 1500), baseVersion=1)
    assert problem["conflictsLeftOut"] == 0
    assert [each["theirs"] for each in problem["conflicts"]] == ["b" * 1500] * 80


async def test_the_place_of_a_conflict_can_be_selected(door: Door) -> None:
    def rows(value: str, *more: Any) -> Any:
        return {"a 'b'\\\n": [{"id": "x\\'\n]", "v": value}, {"id": "y", "v": "same"}, *more]}

    one = await made(door, "json", rows("was"))
    await revised(door, one["id"], content=rows("theirs", {"id": "z", "v": ""}))
    problem = await revised(door, one["id"], 409, content=rows("ours"), baseVersion=1)
    (conflict,) = problem["conflicts"]
    answer = await selected(door, one["id"], f"path={conflict['where']}")
    assert (answer.status_code, answer.json()) == (200, "theirs")


async def test_a_conflict_shows_both_sides(door: Door) -> None:
    one = await made(door, "json", {"a": 1})
    await revised(door, one["id"], patch={"a": 2})
    problem = await revised(door, one["id"], 409, patch={"a": 3}, baseVersion=1)
    assert (problem["code"], problem["head"]) == ("version_conflict", 2)
    assert problem["conflicts"] == [{"where": "$.a", "base": 1, "ours": 3, "theirs": 2}]


async def test_if_match_names_the_content_that_was_seen(door: Door) -> None:
    one = await made(door, "markdown", "a\n")
    seen = (await door.client.get(f"{API}/artifacts/{one['id']}/content")).headers["etag"]
    await revised(door, one["id"], headers={"if-match": seen}, content="b\n")
    problem = await revised(door, one["id"], 412, headers={"if-match": seen}, content="c\n")
    assert problem["code"] == "precondition_failed"


async def test_of_all_who_name_the_same_content_one_makes_the_next_version(door: Door) -> None:
    one = await made(door, "json", {"a": 1})
    etag = (await door.client.get(f"{API}/artifacts/{one['id']}/content")).headers["etag"]
    address, headers = f"{API}/artifacts/{one['id']}", {"if-match": etag}
    revising = [
        door.client.post(f"{address}/versions", json={"patch": {f"k{n}": n}}, headers=headers) for n in range(10)
    ]
    editing = [door.client.patch(f"{address}/content", json={f"e{n}": n}, headers=headers) for n in range(10)]
    answers = await asyncio.gather(*revising, *editing)
    assert sorted(answer.status_code for answer in answers)[1:] == [412] * 19
    assert (await door.client.get(address)).json()["version"]["number"] == 2


async def test_a_title_that_both_changed_is_a_conflict(door: Door) -> None:
    one = await made(door, "json", {"a": 1}, metadata={"by": "ada", "of": "x"}, title="T1")
    await revised(door, one["id"], content={"a": 2}, title="T2", metadata={"by": "bo", "of": "x"})
    meanwhile: dict[str, Any] = {
        "content": {"a": 1},
        "baseVersion": 1,
        "title": "T3",
        "metadata": {"by": "cy", "of": "x", "new": 1},
    }
    problem = await revised(door, one["id"], 409, **meanwhile)
    assert problem["conflicts"] == [
        {"where": "title", "base": "T1", "ours": "T3", "theirs": "T2"},
        {"where": "metadata.by", "base": "ada", "ours": "cy", "theirs": "bo"},
    ]
    meanwhile |= {"title": "T1", "metadata": {"by": "ada", "new": 1}}
    merged = await revised(door, one["id"], **meanwhile)
    assert (merged["title"], merged["version"]["content"]) == ("T2", {"a": 2})
    assert merged["version"]["metadata"] == {"by": "bo", "new": 1}


async def test_structured_content_is_edited_in_place(door: Door) -> None:
    one = await made(door, "json", {"to": ["a"], "draft": True})
    path = f"{API}/artifacts/{one['id']}/content"
    edited = await door.client.patch(path, json={"draft": None, "subject": "Hello"})
    assert edited.status_code == 200, edited.text
    assert edited.json()["version"]["content"] == {"to": ["a"], "subject": "Hello"}
    text = await made(door, "markdown", "a")
    refused = await door.client.patch(f"{API}/artifacts/{text['id']}/content", json={"a": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "patch_refused")


async def test_bytes_are_revised_as_base64(door: Door) -> None:
    one = await made(door, "file", base64.b64encode(b"\x00\x01").decode(), name="a.bin", encoding="base64")
    two = await revised(door, one["id"], content=base64.b64encode(b"\x00\x02").decode(), encoding="base64")
    assert two["version"]["number"] == 2
    assert (await door.client.get(f"{API}/artifacts/{one['id']}/content")).content == b"\x00\x02"
    problem = await revised(door, one["id"], 422, patch=[{"find": "a", "replace": "b"}])
    assert problem["code"] == "invalid_content"


async def test_history_diff_and_restore(door: Door) -> None:
    one = await made(door, "markdown", "a\nb\nc\n")
    await revised(door, one["id"], content="a\nB\nc\n")
    path = f"{API}/artifacts/{one['id']}"
    difference = (await door.client.get(f"{path}/diff", params={"from": 1, "to": 2})).json()
    assert (difference["start"], difference["end"], difference["isSame"]) == (1, 2, False)
    assert "-b\n+B\n" in difference["text"]
    back = await door.client.post(f"{path}/restore", json={"version": 1})
    assert (back.status_code, back.json()["version"]["number"]) == (201, 3)
    versions = (await door.client.get(f"{path}/versions")).json()
    assert [each["number"] for each in versions["items"]] == [3, 2, 1]
    missing = await door.client.post(f"{path}/restore", json={"version": 9})
    assert (missing.status_code, missing.json()["code"]) == (404, "version_not_found")


async def test_labels_and_states(door: Door) -> None:
    one = await made(door, "markdown", "a")
    path = f"{API}/artifacts/{one['id']}"
    labelled = await door.client.put(f"{path}/labels", json={"labels": ["b", "a", "b"]})
    assert labelled.json()["labels"] == ["b", "a"]
    noted = await door.client.patch(f"{path}/state", json={"facts": {"sent": 1}})
    assert noted.json()["facts"] == {"sent": 1}
    nowhere = await door.client.patch(f"{path}/state", json={"state": "flying"})
    assert (nowhere.status_code, nowhere.json()["code"]) == (409, "illegal_transition")
    assert nowhere.json()["legal"] == []


async def test_fifty_clients_revise_at_once_and_nothing_is_lost(door: Door) -> None:
    one = await made(door, "json", {})
    await asyncio.gather(*(revised(door, one["id"], patch={f"k{n}": n}) for n in range(50)))
    shown = (await door.client.get(f"{API}/artifacts/{one['id']}")).json()
    assert shown["version"]["number"] == 51
    assert shown["version"]["content"] == {f"k{n}": n for n in range(50)}


async def test_parts_of_content_are_selected(door: Door) -> None:
    table = await made(door, "csv", SALES)
    rows = await selected(door, table["id"], "rows=10:12")
    assert rows.text == "month,sales\nm10,10\nm11,11\n"
    assert rows.headers["content-type"] == "text/plain; charset=utf-8"
    assert rows.headers["content-disposition"] == "attachment"
    assert int(rows.headers["x-tokens"]) > 0
    facts = await made(door, "json", {"a": [{"b": 1}, {"b": 2}]})
    assert (await selected(door, facts["id"], "path=$.a[1].b")).text == "2"
    notes = await made(door, "markdown", "one\ntwo\nthree\n")
    assert (await selected(door, notes["id"], "lines=2:3")).text == "two\nthree\n"
    assert "two" in (await selected(door, notes["id"], "grep=tw")).text


async def test_pages_of_a_selection_come_one_after_the_other(door: Door) -> None:
    long = await made(door, "csv", "a,b\n" + "".join(f"{n},{'x' * 50}\n" for n in range(3000)))
    select: str | None = "rows=0:"
    seen: list[str] = []
    while select is not None:
        answer = await selected(door, long["id"], select)
        assert len(answer.content) <= 32 * 1024
        seen += [line.partition(",")[0] for line in answer.text.splitlines()[1:]]
        select = answer.headers.get("x-continuation")
    assert seen == [str(n) for n in range(3000)]


@pytest.mark.parametrize("select", ["", "rows", "rows=-1:2", "rows=a:b", "path=$[", "frob=1", "rows=1:2&lines=1:2"])
async def test_a_selector_that_is_none_is_refused_with_the_right_forms(door: Door, select: str) -> None:
    table = await made(door, "csv", SALES)
    answer = await selected(door, table["id"], select)
    assert (answer.status_code, answer.json()["code"]) == (422, "selector_refused")
    assert "rows=10:20" in answer.json()["hint"]


async def test_a_selector_that_does_not_fit_is_refused(door: Door) -> None:
    notes = await made(door, "markdown", "a")
    answer = await selected(door, notes["id"], "path=$.a")
    assert (answer.status_code, answer.json()["code"]) == (422, "selector_misfit")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": "a", "patch": {"a": 1}},
        {"content": "a", "baseVersion": 0},
        {"content": "a", "baseVersion": "x"},
        {"content": "a", "unknown": 1},
        {"patch": [{"find": "", "replace": "x"}]},
        {"patch": [[]]},
        {"patch": 7},
        {"content": "a", "encoding": "base64", "patch": None},
    ],
)
async def test_a_revision_that_makes_no_sense_changes_nothing(door: Door, body: dict[str, Any]) -> None:
    one = await made(door, "markdown", "text\n")
    await revised(door, one["id"], 422, **body)
    assert (await door.client.get(f"{API}/artifacts/{one['id']}")).json()["version"]["number"] == 1


async def test_a_base_version_counts_also_where_if_match_holds(door: Door) -> None:
    one = await made(door, "json", {"a": 1})
    await revised(door, one["id"], patch={"b": 2})
    merged = await revised(door, one["id"], headers={"if-match": "*"}, content={"a": 7}, baseVersion=1)
    assert merged["version"]["content"] == {"a": 7, "b": 2}
    problem = await revised(door, one["id"], 409, headers={"if-match": "*"}, content={"a": 8}, baseVersion=1)
    assert problem["code"] == "version_conflict"


async def test_every_reviser_is_answered_with_its_own_version(door: Door) -> None:
    one = await made(door, "json", {})
    answers = await asyncio.gather(*(revised(door, one["id"], patch={f"k{n}": n}) for n in range(20)))
    assert sorted(each["version"]["number"] for each in answers) == list(range(2, 22))
    assert all(f"k{n}" in each["version"]["content"] for n, each in enumerate(answers))


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("POST", "artifacts/{id}/versions", '{"content": [%s]}'),
        ("POST", "artifacts/{id}/versions", '{"content": 1, "unknown": [%s]}'),
        ("PATCH", "artifacts/{id}/content", '{"a": [%s]}'),
        ("POST", "sessions/s/artifacts", '{"type": "json", "title": "x", "content": [%s]}'),
    ],
)
async def test_a_body_of_a_million_values_is_refused_before_any_is_built(
    door: Door, method: str, path: str, text: str
) -> None:
    one = await made(door, "json", {"a": 1})
    body = (text % ",".join(["[[[]]]"] * 300_000)).encode()
    address, headers = f"{API}/{path.format(id=one['id'])}", {"content-type": "application/json"}
    answer = await door.client.request(method, address, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert "262,144 values" in answer.json()["detail"]


async def test_a_text_full_of_commas_is_one_value(door: Door) -> None:
    table = "a,b,c\n" + '1,"2",\\\n' * 400_000
    one = await made(door, "file", table, name="a.txt")
    two = await revised(door, one["id"], content=table + "1,2,3\n")
    assert two["version"]["size"] == len(table) + 6


@pytest.mark.parametrize(
    ("content", "why"), [("[" * 100_000, "recursion limit"), ("1" * 5000, "number"), ('"\\ud800"', "hex escape")]
)
async def test_json_that_cannot_be_read_is_refused_with_the_place(door: Door, content: str, why: str) -> None:
    one = await made(door, "json", {"a": 1})
    body, headers = f'{{"content": {content}}}'.encode(), {"content-type": "application/json"}
    answer = await door.client.post(f"{API}/artifacts/{one['id']}/versions", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert why in answer.json()["detail"]
    assert "line 1 column" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("spelled", "status"),
    [("*", 201), ("{etag}", 201), ('"x", {etag}', 201), ("W/{etag}", 412), ('"x"', 412), ("", 412), ('"', 412)],
)
async def test_if_match_is_read_as_rfc_9110_says(door: Door, spelled: str, status: int) -> None:
    one = await made(door, "markdown", "a\n")
    etag = (await door.client.get(f"{API}/artifacts/{one['id']}/content")).headers["etag"]
    await revised(door, one["id"], status, headers={"if-match": spelled.format(etag=etag)}, content="b\n")
