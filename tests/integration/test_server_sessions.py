"""Sessions over HTTP: which there are, and erasure of a session, a user and a tenant."""

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


async def test_an_agent_erases_its_own_session_alone(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        await keep(door, "mine", "mine")
        await keep(door, "theirs", "theirs")
        agent = bearer(await key_for(door.desk, "agent", session="mine"))
        foreign = await door.client.delete(f"{API}/sessions/theirs", headers=agent)
        missing = await door.client.delete(f"{API}/sessions/nowhere", headers=agent)
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["code"] == missing.json()["code"] == "session_not_found"
        assert (await door.client.delete(f"{API}/sessions/mine", headers=agent)).json()["artifacts"] == 1
        reader = bearer(await key_for(door.desk, permissions=["artifact:read"]))
        assert (await door.client.delete(f"{API}/sessions/theirs", headers=reader)).status_code == 403


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
