"""Runs over HTTP: in process, with the real sandbox."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from doors import API, Door, bearer, key_for, open_server
from protocol_clients import PATIENCE_SECONDS
from takers import leave, taking

from handiwork.model import Reach
from handiwork.server import executions, outlets
from handiwork.server.app import guarded

RUNS = f"{API}/sessions/s/executions"
HELLO = "open('hello.txt', 'w').write('hello')\nprint('done')"
FOREVER = "while True: pass"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Door]:
    async with open_server(tmp_path_factory.mktemp("runs")) as opened:
        yield opened


async def order(door: Door, code: str, *, expect: int = 200, **more: object) -> Any:
    answer = await door.client.post(RUNS, json={"code": code, **more})
    assert answer.status_code == expect, answer.text
    return answer.json()


async def ended(door: Door, path: str) -> Any:
    async with asyncio.timeout(10):
        while (told := (await door.client.get(path)).json())["status"] in {"queued", "running"}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return told


async def test_a_run_is_answered_with_what_it_made(door: Door) -> None:
    told = await order(door, HELLO)
    assert (told["status"], told["exitCode"], told["stdout"], told["session"]) == ("succeeded", 0, "done\n", "s")
    assert told["isolation"]["level"] in {"full", "unprivileged"}
    (made,) = told["artifacts"]
    assert (made["name"], made["mediaType"], made["size"]) == ("hello.txt", "text/plain", 5)
    assert made["links"]["content"] == f"{API}/artifacts/{made['id']}/content?version=1"
    assert told["links"]["gallery"] == "http://127.0.0.1:8765/#session=s"
    assert f"It made 1 file: `hello.txt` (text/plain, 5 bytes, {made['handle']})." in told["text"]
    assert "files" not in told
    looked_up = (await door.client.get(told["links"]["self"])).json()
    assert looked_up == told


@pytest.mark.parametrize("where", ["body", "query"])
async def test_files_come_along_when_they_are_asked_for(door: Door, where: str) -> None:
    code = "open('a.bin', 'wb').write(bytes(range(256)) * 4000)"
    if where == "body":
        told = await order(door, code, files="base64")
    else:
        told = (await door.client.post(RUNS, params={"files": "base64"}, json={"code": code})).json()
    # Bytes that are no known format are not delivered, so the file tells what they are.
    assert told["files"] == [] or base64.b64decode(told["files"][0]["data"]) == bytes(range(256)) * 4000
    told = await order(door, HELLO, files="base64")
    assert told["files"] == [{"name": "hello.txt", "mediaType": "text/plain", "data": "aGVsbG8="}]


async def test_a_program_that_fails_is_an_answer(door: Door) -> None:
    told = await order(door, "x = 1\n1 / 0")
    assert (told["status"], told["exitCode"]) == ("failed", 1)
    assert told["error"]["type"] == "ZeroDivisionError"
    assert told["text"] == "The program failed on line 2 with ZeroDivisionError: division by zero."


async def test_what_the_check_refuses_is_an_answer_and_the_check_can_be_left_out(door: Door) -> None:
    code = "import subprocess\nprint('past it')"
    refused = await order(door, code)
    assert refused["status"] == "rejected"
    assert refused["violations"][0]["line"] == 1
    assert refused["text"].startswith("The check refused the program at line 1: ")
    assert (await order(door, code, check=False))["status"] != "rejected"


async def test_a_run_without_waiting_is_found_at_its_location(door: Door) -> None:
    answer = await door.client.post(RUNS, json={"code": HELLO, "wait": False})
    assert answer.status_code == 202
    told = answer.json()
    assert told["status"] == "queued"
    assert answer.headers["location"] == f"{API}/executions/{told['id']}"
    last = await ended(door, answer.headers["location"])
    assert (last["status"], last["artifacts"][0]["name"]) == ("succeeded", "hello.txt")


async def test_a_run_is_cancelled(door: Door) -> None:
    told = await order(door, FOREVER, wait=False, expect=202)
    path = f"{API}/executions/{told['id']}"
    answer = await door.client.post(f"{path}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = await door.client.post(f"{path}/cancel")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert (await door.client.get(path)).json()["text"] == "The run was cancelled."


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"timeout": "200s"}, "limit_exceeded"),
        ({"memory": "100GB"}, "limit_exceeded"),
        ({"processes": 100_000}, "limit_exceeded"),
        ({"timeout": "soon"}, "invalid_request"),
        ({"timeout": -1}, "invalid_request"),
        ({"time": "1s"}, "invalid_request"),
    ],
)
async def test_limits_that_cannot_be_had_are_422(door: Door, limits: dict[str, object], code: str) -> None:
    assert (await order(door, HELLO, limits=limits, expect=422))["code"] == code


async def test_limits_that_can_be_had_hold(door: Door) -> None:
    told = await order(door, FOREVER, limits={"timeout": "500ms"})
    assert told["status"] == "timed_out"
    assert "time limit" in told["text"]


async def test_snake_case_and_unknown_fields(door: Door) -> None:
    assert (await order(door, HELLO, unknown=1, expect=422))["errors"][0]["where"] == "body.unknown"
    assert (await order(door, HELLO, inputs=["nothing_0000"], expect=404))["code"] == "artifact_not_found"
    assert (await order(door, HELLO, inputs=["/etc/passwd"], expect=404))["code"] == "input_not_found"


async def test_an_input_is_found_by_its_handle(door: Door) -> None:
    handle = (await order(door, HELLO))["artifacts"][0]["handle"]
    assert (await order(door, "print(open('hello.txt').read())", inputs=[handle]))["stdout"] == "hello\n"


async def test_what_was_made_names_its_request_and_its_maker(door: Door) -> None:
    answer = await door.client.post(RUNS, json={"code": HELLO}, headers={"x-request-id": "order 66"})
    assert answer.headers["x-request-id"] == "order 66"
    reach = Reach(tenant="default", user="local")
    filed = await door.desk.engine.find(reach, answer.json()["artifacts"][0]["id"])
    provenance = filed.artifact.version.provenance
    assert (provenance.request_id, provenance.principal.kind) == ("order 66", "user")
    assert provenance.execution_id == answer.json()["id"]


async def test_a_client_that_goes_away_does_not_stop_the_run(door: Door) -> None:
    code = "import time; time.sleep(0.5); open('late.txt', 'w').write('late')"
    waiting = asyncio.create_task(door.client.post(f"{API}/sessions/left/executions", json={"code": code}))
    while not door.desk.engine.runs.turns.running:  # noqa: ASYNC110  # nothing announces it
        await asyncio.sleep(0.01)
    waiting.cancel()
    session = door.desk.engine.session("left")
    async with asyncio.timeout(10):
        while not (found := (await session.list()).items):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert found[0].name == "late.txt"


async def test_a_run_of_another_session_is_not_found_in_this_one(door: Door) -> None:
    path = (await order(door, HELLO))["links"]["self"]
    assert (await door.client.get(path, params={"session": "s"})).status_code == 200
    foreign = await door.client.get(path, params={"session": "other"})
    missing = await door.client.get(f"{API}/executions/exc_0000000000000000000000", params={"session": "other"})
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.json()["code"] == missing.json()["code"] == "execution_not_found"
    cancelled = await door.client.post(f"{path}/cancel", params={"session": "other"})
    assert cancelled.status_code == 404


async def test_a_name_is_harmless_in_the_text(door: Door) -> None:
    code = "open('a\\u202e.txt', 'w').write('x'); open('x' * 150 + '.txt', 'w').write('y')"
    text = (await order(door, code))["text"]
    assert text.isprintable()
    assert "x" * 121 not in text


async def test_a_full_queue_is_429_with_the_time_to_wait(tmp_path: Path) -> None:
    queue = {"depth": 1, "per_tenant": 1}
    async with open_server(tmp_path, artifacts={"queue": queue}) as door:
        assert (await order(door, HELLO))["status"] == "succeeded"
        turns = door.desk.engine.runs.turns
        busy: list[str] = []
        answer: httpx2.Response | None = None
        while answer is None or answer.status_code == 202:
            answer = await door.client.post(RUNS, json={"code": FOREVER, "wait": False})
            if answer.status_code == 202:
                busy.append(answer.json()["id"])
                # It has left the door once it runs or waits.
                while turns.running + turns.waiting < len(busy):  # noqa: ASYNC110  # nothing announces it
                    await asyncio.sleep(0.005)
        assert answer.status_code == 429
        assert answer.json()["code"] == "queue_full"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        waiting = await door.client.post(RUNS, json={"code": HELLO})
        assert (waiting.status_code, waiting.json()["code"]) == (429, "queue_full")
        for each in busy:
            await door.client.post(f"{API}/executions/{each}/cancel")
        assert (await door.client.post(RUNS, json={"code": HELLO})).json()["status"] == "succeeded"


async def test_who_may_not_run_is_told_the_permission(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        reader = bearer(await key_for(door.desk, permissions=["artifact:read"]))
        answer = await door.client.post(RUNS, json={"code": HELLO}, headers=reader)
        assert (answer.status_code, answer.json()["permission"]) == (403, "execution:run")


async def test_every_answer_is_as_the_document_says(door: Door) -> None:
    document = (await door.client.get("/openapi.json")).json()
    told = document["components"]["schemas"]["RunAnswer"]
    answer = await order(door, "open('b.txt', 'w').write('b'); 1 / 0", files="base64")
    assert set(answer) == set(told["properties"])
    operation = document["paths"][f"{API}/sessions/{{session}}/executions"]["post"]
    assert operation["x-handiwork-permission"] == "execution:run"
    assert {"200", "202", "404", "413", "422", "429", "503", "507", "default"} == set(operation["responses"])
    assert json.dumps(operation["responses"]["429"]).count("application/problem+json") == 1


async def test_a_file_that_is_too_large_or_has_gone_is_left_out_and_named(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions, "MOST_FILE_BYTES", 6)
    told = await order(door, "for n in 'ab': open(n + '.txt', 'w').write('hello')", files="base64")
    assert ([each["name"] for each in told["files"]], told["filesLeftOut"]) == (["a.txt"], ["b.txt"])
    gone = told["artifacts"][0]
    await door.client.delete(f"{API}/artifacts/{gone['id']}")
    again = await door.client.get(told["links"]["self"], params={"files": "base64"})
    assert again.status_code == 200
    assert "a.txt" not in [each["name"] for each in again.json()["files"]]


async def test_one_key_takes_few_answers_with_files_at_a_time_and_the_rest_wait_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlets, "TURN_SECONDS", 0.1)
    async with open_server(tmp_path, is_open=False) as door:
        app, key, other = guarded(door.desk), bearer(await key_for(door.desk)), bearer(await key_for(door.desk))
        answer = await door.client.post(RUNS, json={"code": "open('a.txt', 'w').write('a' * 300_000)"}, headers=key)
        path, with_files = answer.json()["links"]["self"], {"files": "base64"}
        stuck = [
            taking(app, "GET", f"{path}?files=base64", headers=key, takes=False) for _ in range(outlets.READS_AT_A_TIME)
        ]
        async with asyncio.timeout(PATIENCE_SECONDS):
            for each in stuck:
                await each.offered.wait()
        busy = await door.client.get(path, params=with_files, headers=key)
        assert (busy.status_code, busy.json()["code"]) == (503, "reads_busy")
        assert busy.headers["retry-after"]
        # What was run is told all the same, and all that holds no files.
        ran = await door.client.post(RUNS, json={"code": HELLO, "files": "base64"}, headers=key)
        assert (ran.status_code, ran.json()["files"], ran.json()["filesLeftOut"]) == (200, [], ["hello.txt"])
        assert (await door.client.get(path, headers=key)).status_code == 200
        assert (await door.client.get(path, params=with_files, headers=other)).json()["filesLeftOut"] == []
        stuck[0].takes.set()
        await stuck[0].over()
        assert max(map(len, stuck[0].pieces)) <= outlets.PIECE_BYTES
        assert len(base64.b64decode(json.loads(stuck[0].text)["files"][0]["data"])) == 300_000
        assert (await door.client.get(path, params=with_files, headers=key)).status_code == 200
        await leave(*stuck)


async def test_an_answer_with_files_that_is_not_taken_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "STALL_SECONDS", 0.1)
    told = await order(door, HELLO)
    stuck = taking(guarded(door.desk), "GET", f"{told['links']['self']}?files=base64", takes=False)
    await stuck.over()
    assert (stuck.offered.is_set(), stuck.is_whole) == (True, False)
