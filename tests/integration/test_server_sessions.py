"""Sessions over HTTP: which there are, and erasure of a session, a user and a tenant."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from doors import API, Door, bearer, key_for, open_server

from handiwork.model import PrincipalKind


async def keep(door: Door, session: str, text: str, *, user: str = "local", held: bool = False) -> str:
    """Store a text and return its id."""
    kind: PrincipalKind = "user"
    inside = door.desk.engine.session(session, user=user, principal=kind)
    artifact = await inside.create("file", content=text, name=f"{session}.txt")
    if held:
        await inside.hold(artifact.id)
    return artifact.id


async def sessions(door: Door, **more: Any) -> Any:
    answer = await door.client.get(f"{API}/sessions", **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_sessions_are_listed_page_by_page_the_latest_first(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        for name in ("first", "second", "third"):
            door.clock.move(seconds=1)
            await keep(door, name, name)
        page = await sessions(door, params={"limit": 2})
        assert [each["session"] for each in page["items"]] == ["third", "second"]
        assert {"session", "createdAt", "updatedAt", "artifacts", "bytes"} == set(page["items"][0])
        rest = await sessions(door, params={"limit": 2, "cursor": page["nextCursor"]})
        assert [each["session"] for each in rest["items"]] == ["first"]
        assert rest["nextCursor"] is None
        assert rest["items"][0]["artifacts"] == 1
        assert rest["items"][0]["bytes"] == len("first")


async def test_a_page_of_no_size_or_with_a_wrong_cursor_is_422(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        for query in ({"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "nonsense"}):
            answer = await door.client.get(f"{API}/sessions", params=query)
            assert answer.status_code == 422, query


async def test_each_caller_sees_the_sessions_within_reach(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        await keep(door, "a", "of local")
        await keep(door, "b", "of local")
        await keep(door, "c", "of ada", user="ada")
        agent = await key_for(door.desk, "agent", session="a")
        absent = await key_for(door.desk, "agent", session="nothing in it")
        ada, admin = await key_for(door.desk, user="ada"), await key_for(door.desk, "admin")
        other = await key_for(door.desk, tenant="other")

        async def seen(headers: dict[str, str]) -> list[str]:
            return [each["session"] for each in (await sessions(door, headers=headers))["items"]]

        assert await seen(bearer(agent)) == ["a"]
        assert await seen(bearer(absent)) == []
        assert await seen(bearer(ada)) == ["c"]
        assert await seen(bearer(other)) == []
        assert await seen(bearer(admin, user="ada")) == ["c"]
        unnamed = await door.client.get(f"{API}/sessions", headers=bearer(admin))
        assert (unnamed.status_code, unnamed.json()["code"]) == (422, "invalid_name")


async def test_a_session_is_erased_with_what_is_held_and_nothing_else(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        await keep(door, "gone", "held", held=True)
        await keep(door, "gone", "more")
        await keep(door, "stays", "stays")
        answer = await door.client.delete(f"{API}/sessions/gone")
        assert (answer.status_code, answer.json()) == (200, {"artifacts": 2, "executions": 0, "bytes": 8})
        assert [each["session"] for each in (await sessions(door))["items"]] == ["stays"]
        again = await door.client.delete(f"{API}/sessions/gone")
        assert (again.status_code, again.json()["artifacts"]) == (200, 0)
        kept = [path.read_bytes() for path in (tmp_path / "artifacts").rglob("*.txt")]
        assert kept == [b"stays"]


async def test_an_agent_erases_nothing_and_a_user_what_is_its_own(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        await keep(door, "mine", "mine")
        await keep(door, "theirs", "theirs")
        agent = bearer(await key_for(door.desk, "agent", session="mine"))
        user = bearer(await key_for(door.desk, session="mine"))
        for headers in (agent, bearer(await key_for(door.desk, permissions=["artifact:read"]))):
            assert (await door.client.delete(f"{API}/sessions/mine", headers=headers)).status_code == 403
        foreign = await door.client.delete(f"{API}/sessions/theirs", headers=user)
        missing = await door.client.delete(f"{API}/sessions/nowhere", headers=user)
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["code"] == missing.json()["code"] == "session_not_found"
        assert (await door.client.delete(f"{API}/sessions/mine", headers=user)).json()["artifacts"] == 1


async def test_who_is_erased_while_an_upload_comes_in_stores_nothing_with_it(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        admin, carol = await key_for(door.desk, "admin"), await key_for(door.desk, user="carol")

        async def body() -> AsyncIterator[bytes]:
            yield b'{"type": "file", "name": "a.txt", '
            erased = await door.client.delete(f"{API}/users/carol", headers=bearer(admin))
            assert erased.status_code == 200
            yield b'"content": "kept?"}'

        headers = bearer(carol) | {"content-type": "application/json"}
        late = await door.client.post(f"{API}/sessions/s/artifacts", content=body(), headers=headers)
        assert late.status_code in (401, 409)
        # Nor is her key of any use afterwards, remembered or not.
        again = await door.client.post(f"{API}/sessions/s/artifacts", content=b"{}", headers=headers)
        assert again.status_code == 401
        left = await door.client.get(f"{API}/sessions", headers=bearer(admin, user="carol"))
        assert left.json()["items"] == []


async def test_without_a_key_no_byte_of_a_body_is_read(tmp_path: Path) -> None:
    async with open_server(tmp_path, is_open=False) as door:
        read: list[int] = []

        async def body() -> AsyncIterator[bytes]:
            for number in range(100):
                read.append(number)
                yield b" " * 10_000

        headers = {"content-type": "application/json"}
        for path in (f"{API}/sessions/s/executions", f"{API}/tokens", f"{API}/sessions/s/artifacts"):
            assert (await door.client.post(path, content=body(), headers=headers)).status_code == 401
        assert len(read) <= 3


async def test_an_admin_erases_a_user_with_the_keys(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        await keep(door, "a", "one", user="ada")
        await keep(door, "b", "two", user="ada")
        await keep(door, "a", "stays", user="bo")
        admin, ada, bo = (
            await key_for(door.desk, "admin"),
            await key_for(door.desk, user="ada"),
            await key_for(door.desk, user="bo"),
        )
        refused = await door.client.delete(f"{API}/users/ada", headers=bearer(ada))
        assert (refused.status_code, refused.json()["permission"]) == (403, "admin")
        answer = await door.client.delete(f"{API}/users/ada", headers=bearer(admin))
        assert answer.json() == {"artifacts": 2, "executions": 0, "bytes": 6}
        assert (await sessions(door, headers=bearer(bo)))["items"][0]["artifacts"] == 1


async def test_a_tenant_is_erased_only_when_its_name_is_said(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        await keep(door, "a", "one", user="ada")
        admin, other = await key_for(door.desk, "admin"), await key_for(door.desk, "admin", tenant="other")
        for query in ({}, {"confirm": "defaul"}, {"confirm": "other"}):
            assert (await door.client.delete(f"{API}/tenant", params=query, headers=bearer(admin))).status_code == 422
        for_ada = bearer(admin, user="ada")
        answer = await door.client.delete(f"{API}/tenant", params={"confirm": "default"}, headers=for_ada)
        assert answer.status_code == 422
        answer = await door.client.delete(f"{API}/tenant", params={"confirm": "other"}, headers=bearer(other))
        assert answer.json() == {"artifacts": 0, "executions": 0, "bytes": 0}
        answer = await door.client.delete(f"{API}/tenant", params={"confirm": "default"}, headers=bearer(admin))
        assert answer.json() == {"artifacts": 1, "executions": 0, "bytes": 3}
        assert not list((tmp_path / "artifacts").rglob("*.txt"))


async def test_a_local_user_without_a_key_is_no_admin(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        for path in ("/users/local", "/tenant?confirm=default"):
            answer = await door.client.delete(f"{API}{path}")
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


async def test_what_an_artifact_can_be_is_told_in_full(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        *_, file, result = (await door.client.get(f"{API}/artifact-types")).json()["items"]
        assert set(file) == {
            *(
                "name",
                "label",
                "icon",
                "category",
                "display",
                "streaming",
                "schema",
                "states",
                "transitions",
                "actions",
            ),
            *("cap", "mediaType"),
        }
        assert (file["name"], file["streaming"]) == ("file", False)
        assert (result["name"], result["streaming"]) == ("tool_result", False)
