"""Who may come in: keys of every kind, tokens, and the open door of a server on loopback."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from doors import API, Door, bearer, key_for, open_server

from handiwork import wiring
from handiwork.model import Reach
from handiwork.settings import Settings

SESSIONS = f"{API}/sessions"
PROGRAM = {"code": "print('hi')"}


async def status(door: Door, key: str | None, **more: Any) -> int:
    headers = {} if key is None else bearer(key)
    return (await door.client.get(SESSIONS, headers=headers | more.pop("headers", {}), **more)).status_code


async def mint(door: Door, key: str | None, *, expect: int = 201, **order: object) -> Any:
    headers = {} if key is None else bearer(key)
    answer = await door.client.post(f"{API}/tokens", json=order, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def test_a_server_on_loopback_is_open_until_the_first_key_and_never_again(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        assert await status(door, None) == 200
        record, key = await door.desk.keys.create(Reach(tenant="default", user="local"), "user")
        assert await status(door, None) == 401
        assert await status(door, key) == 200
        await door.desk.keys.revoke("default", record.id)
        assert await status(door, key) == 401
        assert await status(door, None) == 401
    async with open_server(tmp_path) as door:
        assert await status(door, None) == 401


async def test_a_server_that_is_not_open_asks_for_a_key(tmp_path: Path) -> None:
    async with open_server(tmp_path, is_open=False) as door:
        answer = await door.client.get(SESSIONS)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["code"] == "not_authenticated"
        assert (await door.client.get("/healthz")).status_code == 200
        assert (await door.client.get("/")).status_code == 200


async def test_a_wrong_key_is_refused_also_where_the_door_is_open(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        for wrong in ("hw_nonsense", "hwt_v1.x.y.z", "", "Basic eDp5"):
            answer = await door.client.get(SESSIONS, headers={"authorization": wrong})
            assert answer.status_code == 401, wrong


async def test_an_admin_acts_for_the_user_that_it_names(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        admin = await key_for(door.desk, "admin")
        made = await door.client.post(f"{SESSIONS}/s/executions", json=PROGRAM, headers=bearer(admin, user="ada"))
        assert made.status_code == 200
        unnamed = await door.client.post(f"{SESSIONS}/s/executions", json=PROGRAM, headers=bearer(admin))
        assert (unnamed.status_code, unnamed.json()["code"]) == (422, "invalid_name")
        path = made.json()["links"]["self"]
        assert (await door.client.get(path, headers=bearer(admin))).status_code == 200
        assert (await door.client.get(path, headers=bearer(admin, user="ada"))).status_code == 200
        assert (await door.client.get(path, headers=bearer(admin, user="bo"))).status_code == 404


async def test_a_user_is_that_user_and_nobody_else(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        ada, bo = await key_for(door.desk, user="ada"), await key_for(door.desk, user="bo")
        made = await door.client.post(f"{SESSIONS}/s/executions", json=PROGRAM, headers=bearer(ada))
        path = made.json()["links"]["self"]
        assert (await door.client.get(path, headers=bearer(ada))).status_code == 200
        foreign = await door.client.get(path, headers=bearer(bo))
        missing = await door.client.get(f"{API}/executions/{'exc_' + '0' * 22}", headers=bearer(bo))
        assert (foreign.status_code, foreign.json()["code"]) == (404, missing.json()["code"])
        posing = await door.client.get(SESSIONS, headers=bearer(bo, user="ada"))
        assert posing.status_code == 404


async def test_an_agent_is_confined_to_its_session(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        agent = await key_for(door.desk, "agent", user="ada", session="own")
        ada = await key_for(door.desk, user="ada")
        own = await door.client.post(f"{SESSIONS}/own/executions", json=PROGRAM, headers=bearer(agent))
        assert own.status_code == 200
        other = await door.client.post(f"{SESSIONS}/other/executions", json=PROGRAM, headers=bearer(agent))
        assert (other.status_code, other.json()["code"]) == (404, "session_not_found")
        made = await door.client.post(f"{SESSIONS}/other/executions", json=PROGRAM, headers=bearer(ada))
        path = made.json()["links"]["self"]
        assert (await door.client.get(path, headers=bearer(agent))).status_code == 404
        assert (await door.client.get(path, params={"session": "other"}, headers=bearer(agent))).status_code == 404
        assert (await door.client.get(path, headers=bearer(ada))).status_code == 200
        assert (await mint(door, agent, expect=403))["permission"] == "token:create"


async def test_a_key_that_another_process_revokes_is_refused_within_five_seconds(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        key = await key_for(door.desk)
        assert await status(door, key) == 200
        async with wiring.open_keys(tmp_path, settings=Settings()) as elsewhere:
            await elsewhere.revoke("default", key.split("_")[1])
        began = time.monotonic()
        async with asyncio.timeout(5):
            while await status(door, key) != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        print(f"refused after {time.monotonic() - began:.1f} s")


async def test_a_key_ends_at_its_time(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        key = await key_for(door.desk, expires_in=60)
        door.clock.move(seconds=59.999)
        assert await status(door, key) == 200
        door.clock.move(seconds=0.001)
        assert await status(door, key) == 401


async def test_a_token_opens_what_it_was_minted_for(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        admin = await key_for(door.desk, "admin")
        told = await mint(door, admin, user="ada", session="s", expiresIn="10m")
        assert set(told) == {"token", "expiresAt"}
        token = told["token"]
        run = await door.client.post(f"{SESSIONS}/s/executions", json=PROGRAM, headers=bearer(token))
        assert run.status_code == 200
        other = await door.client.post(f"{SESSIONS}/t/executions", json=PROGRAM, headers=bearer(token))
        assert other.status_code == 404
        assert (await door.client.delete(f"{API}/users/ada", headers=bearer(token))).status_code == 403
        door.clock.move(minutes=10)
        assert await status(door, token) == 401


async def test_a_token_ends_with_its_key(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        record, key = await door.desk.keys.create(Reach(tenant="default", user="ada"), "user")
        token = (await mint(door, key))["token"]
        assert await status(door, token) == 200
        await door.desk.keys.revoke("default", record.id)
        assert await status(door, token) == 401


async def test_a_token_of_an_open_server_ends_with_its_first_key(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        token = (await mint(door, None, session="s"))["token"]
        assert await status(door, token) == 200
        await key_for(door.desk)
        assert await status(door, token) == 401


@pytest.mark.parametrize(
    ("order", "expect", "code"),
    [
        ({"user": "bo"}, 404, "session_not_found"),
        ({"principal": "agent"}, 422, "invalid_name"),
        ({"principal": "admin"}, 422, "invalid_request"),
        ({"expiresIn": 0}, 422, "invalid_request"),
        ({"expires_in": "1 fortnight"}, 422, "invalid_request"),
        ({"session": ""}, 422, "invalid_name"),
    ],
)
async def test_a_token_that_cannot_be_minted(tmp_path: Path, order: dict[str, object], expect: int, code: str) -> None:
    async with open_server(tmp_path) as door:
        assert (await mint(door, await key_for(door.desk, user="ada"), expect=expect, **order))["code"] == code
