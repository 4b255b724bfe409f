"""Actions over HTTP: statuses, keys, who may what. What an action does is in `test_acting.py`."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from doors import API, Door, bearer, key_for, open_server
from letters import LETTER
from sides import serving

from handiwork.settings import Settings

Headers = dict[str, str]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncGenerator[Door]:
    async with open_server(tmp_path, is_open=False, types=[LETTER]) as opened:
        yield opened


@pytest.fixture
async def user(door: Door) -> Headers:
    return bearer(await key_for(door.desk))


@pytest.fixture
async def agent(door: Door) -> Headers:
    return bearer(await key_for(door.desk, "agent", session="s"))


async def letter(door: Door) -> str:
    return (await door.desk.engine.session("s").create("letter", title="To Bo", content={"text": "a"})).id


async def act(door: Door, id: str, action: str, headers: Headers, *, key: str | None = None, **body: Any) -> Any:
    sent = headers if key is None else {**headers, "idempotency-key": key}
    return await door.client.post(f"{API}/artifacts/{id}/actions/{action}", headers=sent, json=body)


async def decide(door: Door, action: str, decision: str, headers: Headers) -> httpx2.Response:
    return await door.client.post(f"{API}/actions/{action}/{decision}", headers=headers)


async def test_what_an_agent_asks_for_waits_and_what_a_user_asks_for_is_done(
    door: Door, user: Headers, agent: Headers
) -> None:
    id = await letter(door)
    waits = await act(door, id, "sent", agent, version=1)
    assert waits.status_code == 202
    told = waits.json()
    assert (told["artifact"]["state"], told["result"], told["action"]["status"]) == ("draft", None, "proposed")
    assert (told["action"]["principal"], told["action"]["decidedBy"]) == ("agent", None)
    done = await decide(door, told["action"]["id"], "approve", user)
    assert done.status_code == 200
    assert (done.json()["artifact"]["state"], done.json()["result"]) == ("sent", {"state": "sent"})
    assert done.json()["action"]["decidedBy"] == "user"
    door.clock.move(seconds=1)
    at_once = await act(door, id, "answered", user)
    assert (at_once.status_code, at_once.json()["result"]) == (200, {"state": "answered"})
    listed = (await door.client.get(f"{API}/artifacts/{id}/actions", headers=agent)).json()
    assert [(each["action"], each["status"]) for each in listed["items"]] == [
        ("answered", "finished"), ("sent", "finished"),
    ]  # fmt: skip
    assert (listed["possible"], listed["hasMore"]) == ([], False)


async def test_a_user_may_ask_to_be_asked(door: Door, user: Headers) -> None:
    id = await letter(door)
    assert (await act(door, id, "sent", user, propose=True)).status_code == 202
    assert (await door.desk.engine.session("s").get(id)).state == "draft"


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_key_that_only_proposes_decides_on_nothing(door: Door, agent: Headers, decision: str) -> None:
    id = await letter(door)
    writer = bearer(await key_for(door.desk, permissions=["artifact:read", "artifact:write"]))
    for headers in (agent, writer):
        waits = await act(door, id, "sent", headers)
        assert waits.status_code == 202
        refused = await decide(door, waits.json()["action"]["id"], decision, headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert refused.json()["permission"] == "action:execute"
    assert (await door.desk.engine.session("s").get(id)).state == "draft"


async def test_no_other_way_leads_around_the_approval(door: Door, user: Headers, agent: Headers) -> None:
    id = await letter(door)
    writer = bearer(await key_for(door.desk, permissions=["artifact:read", "artifact:write"]))
    path = f"{API}/artifacts/{id}/state"
    for headers in (agent, writer):
        refused = await door.client.patch(path, headers=headers, json={"state": "sent"})
        assert (refused.status_code, refused.json()["code"]) == (403, "approval_needed")
        assert "Propose it" in refused.json()["hint"]
        # Facts are no states.
        assert (await door.client.patch(path, headers=headers, json={"facts": {"seen": 1}})).status_code == 200
    assert (await door.desk.engine.session("s").get(id)).state == "draft"
    assert (await door.client.patch(path, headers=user, json={"state": "sent"})).json()["state"] == "sent"


async def test_an_admin_decides_for_a_user(door: Door, agent: Headers) -> None:
    id = await letter(door)
    waits = await act(door, id, "sent", agent)
    admin = await key_for(door.desk, "admin")
    done = await decide(door, waits.json()["action"]["id"], "approve", bearer(admin, user="local"))
    assert (done.status_code, done.json()["action"]["decidedBy"]) == (200, "admin")
    told = (await door.client.get(f"{API}/sessions/s/context", headers=agent)).json()["parts"]
    handle = done.json()["artifact"]["handle"]
    assert [each["text"] for each in told if each["kind"] == "artifact_action"] == [
        f'<artifact_action by="admin" id="{handle}" action="approved" what="sent" version="1" />'
    ]
    # For another user there is no such action.
    other = await decide(door, waits.json()["action"]["id"], "reject", bearer(admin, user="bo"))
    assert (other.status_code, other.json()["code"]) == (404, "action_not_found")


async def test_refusals_have_their_statuses(door: Door, user: Headers, agent: Headers) -> None:
    id = await letter(door)
    waits = (await act(door, id, "sent", agent)).json()["action"]["id"]
    refusals = [
        (await act(door, id, "fly", user), 409, "action_impossible"),
        (await act(door, id, "answered", user), 409, "action_impossible"),
        (await act(door, id, "sent", user, version=2), 412, "action_void"),
        (await act(door, id, "sent", user, params={"to": "bo"}), 422, "invalid_content"),
        (await act(door, id, "sent", user, params=[1]), 422, "invalid_request"),
        (await act(door, id, "sent", user, version=0), 422, "invalid_request"),
        (await act(door, id, "sent", user, other=1), 422, "invalid_request"),
        (await act(door, id, "sent", user, key="a b"), 422, "invalid_name"),
        (await act(door, "gone_0000", "sent", user), 404, "artifact_not_found"),
        (await decide(door, "act_gone", "approve", user), 404, "action_not_found"),
    ]
    for answer, status, code in refusals:
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert refusals[0][0].json()["possible"] == ["sent", "thrown"]
    await door.desk.engine.session("s").revise(id, content={"text": "b"})
    void = await decide(door, waits, "approve", user)
    assert (void.status_code, void.json()["version"], void.json()["head"]) == (412, 1, 2)
    anew = (await act(door, id, "sent", agent)).json()["action"]["id"]
    door.clock.move(hours=24)
    stale = await decide(door, anew, "approve", user)
    assert (stale.status_code, stale.json()["code"]) == (412, "action_stale")
    assert (await decide(door, anew, "reject", user)).status_code == 200
    assert (await decide(door, anew, "approve", user)).json()["code"] == "action_decided"
    assert (await door.desk.engine.session("s").get(id)).state == "draft"


async def test_a_request_that_is_sent_twice_is_carried_out_once(door: Door, user: Headers) -> None:
    id = await letter(door)
    answers = await asyncio.gather(*(act(door, id, "sent", user, key="k-1") for _ in range(5)))
    assert {each.status_code for each in answers} == {200}
    assert len({each.json()["action"]["id"] for each in answers}) == 1
    reused = await act(door, id, "answered", user, key="k-1")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await door.desk.engine.session("s").list()).seq == 3


async def test_a_request_that_is_sent_again_is_not_told_that_what_was_rejected_is_done(
    door: Door, user: Headers, agent: Headers
) -> None:
    id = await letter(door)
    waits = await act(door, id, "sent", agent, key="k-1")
    again = await act(door, id, "sent", agent, key="k-1")
    assert (again.status_code, again.json()["action"]) == (202, waits.json()["action"])
    await decide(door, waits.json()["action"]["id"], "reject", user)
    refused = await act(door, id, "sent", agent, key="k-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "action_decided")
    late = await act(door, id, "sent", agent, key="k-2")
    assert late.status_code == 202
    door.clock.move(hours=24)
    stale = await act(door, id, "sent", agent, key="k-2")
    assert (stale.status_code, stale.json()["code"]) == (412, "action_stale")


async def test_types_tell_their_actions_with_a_schema(door: Door, user: Headers) -> None:
    types = (await door.client.get(f"{API}/artifact-types", headers=user)).json()["items"]
    actions = {each["name"]: each["actions"] for each in types}
    assert actions["markdown"] == []
    assert [each["name"] for each in actions["letter"]] == ["sent", "thrown", "answered"]
    assert all(each["schema"]["type"] == "object" for each in actions["letter"])


@pytest.mark.parametrize(
    ("format_", "words"),
    [
        ("handiwork", "event: artifact-action"),
        ("ag-ui", '"name": "artifact.action"'),
        ("a2a", '"statusUpdate"'),
        ("ai-sdk", '"type": "data-artifact-action"'),
    ],
)
async def test_it_is_told_on_the_wires(tmp_path: Path, format_: str, words: str) -> None:
    settings = Settings.model_validate({"cache": tmp_path / "cache"})
    async with serving(tmp_path, settings, types=[LETTER]) as (url, desk), httpx2.AsyncClient() as client:
        session = desk.engine.session("s")
        made = await session.create("letter", title="To Bo", content={"text": "a"})
        await session.as_agent().propose(made.id, "sent")
        said, path = "", f"{url}{API}/sessions/s/events"
        async with asyncio.timeout(15), client.stream("GET", path, params={"format": format_}) as sent:
            async for chunk in sent.aiter_text():
                said += chunk
                if "actionId" in said and said.endswith("\n\n"):
                    break
    assert words.replace(" ", "") in said.replace(" ", "")
    assert "To Bo" not in said[said.rindex("\n\n", 0, said.index("actionId")) :]
