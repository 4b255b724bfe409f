"""Who may call what: every operation of the OpenAPI document, by everybody, on what is theirs and on what is not.

What lies outside of a caller's reach must answer like what does not exist, word for word.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from api_world import (
    PROTOCOL_LISTS,
    PROTOCOL_READS,
    RULES,
    SOCKET,
    Call,
    Holding,
    Names,
    Reply,
    Rule,
    World,
    ask,
    ask_content,
    documented,
    ghost_of,
    open_world,
)
from doors import API, bearer, caller_of, key_for, open_server
from starlette.routing import BaseRoute, WebSocketRoute

from handiwork.access.policy import PERMISSIONS, PERMISSIONS_OF, Permission
from handiwork.model import Reach, Scope
from handiwork.server.app import ROUTERS, application

WEBSOCKET = f"WS {API}/sessions/{{session}}/ws"
MCP = {"POST /mcp lists": PROTOCOL_LISTS, "POST /mcp reads": PROTOCOL_READS}
EVERY: Mapping[str, Rule] = {**RULES, WEBSOCKET: SOCKET, **MCP}
OPEN = {"GET /healthz", "GET /readyz"}
# What one call may tell that another of the same kind does not.
VOLATILE = {
    "artifacts", "at", "bytes", "cacheId", "cpuMs", "createdAt", "durationMs", "executions", "expiresAt", "handle",
    "id", "links", "peakMemoryBytes", "requestId", "stderr", "stdout", "text", "token", "updatedAt", "url",
    "provenance",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Somebody who calls; an admin says for which user."""

    name: str
    headers: Callable[[Names], dict[str, str]]
    may: frozenset[Permission] = frozenset()
    own: Reach | None = None

    def __str__(self) -> str:
        return self.name

    def owns(self, scope: Scope) -> bool:
        own = self.own
        return own is not None and (
            own.tenant == scope.tenant and own.user in {None, scope.user} and own.session in {None, scope.session}
        )

    def is_allowed(self, scope: Scope, permission: Permission | None) -> bool:
        return self.owns(scope) and permission in self.may


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def everybody(world: World) -> list[Asking]:
    """All kinds of callers, as seen from the first session of `ada` at `acme`."""
    desk, session = world.desk, world.at("acme", "ada", "one").scope.session
    user, agent, all_ = PERMISSIONS_OF["user"], PERMISSIONS_OF["agent"], PERMISSIONS
    reads = frozenset[Permission]({"artifact:read"})
    of_ada, of_session = Reach(tenant="acme", user="ada"), Reach(tenant="acme", user="ada", session=session)
    other_session = world.at("acme", "ada", "two").scope.session
    of_other_session = replace(of_session, session=other_session)
    ada = await key_for(desk, tenant="acme", user="ada")
    bob = await key_for(desk, tenant="acme", user="bob")
    eve = await key_for(desk, tenant="umbr", user="eve")
    reader = await key_for(desk, tenant="acme", user="ada", permissions=["artifact:read"])
    other_agent = await key_for(desk, "agent", tenant="acme", user="ada", session=other_session)
    minter = await caller_of(desk, ada)
    agent_token = await desk.tokens.mint(minter, "agent", session=session)
    other_token = await desk.tokens.mint(minter, "user", session=other_session)
    admin, foreign_admin = await key_for(desk, "admin", tenant="acme"), await key_for(desk, "admin", tenant="umbr")

    def holder(name: str, key: str, may: frozenset[Permission], own: Reach) -> Asking:
        return Asking(name=name, headers=lambda _: bearer(key), may=may, own=own)

    def governor(name: str, key: str, own: Reach) -> Asking:
        return Asking(name=name, headers=lambda names: bearer(key, user=names.user), may=all_, own=own)

    return [
        holder("bob", bob, user, Reach(tenant="acme", user="bob")),
        holder("the agent of the other session", other_agent, agent, of_other_session),
        holder("a token for the other session", other_token.spelled, user, of_other_session),
        holder("eve of the other tenant", eve, user, Reach(tenant="umbr", user="eve")),
        governor("the admin of the other tenant", foreign_admin, Reach(tenant="umbr", user="ada")),
        # Who names a user that is another's is told so before any permission is looked at.
        Asking(name="ada for bob", headers=lambda _: bearer(ada, user="bob"), may=all_),
        holder("a key of ada that only reads", reader, reads, of_ada),
        holder("the agent of the session", agent_token.spelled, agent, of_session),
        holder("ada", ada, user, of_ada),
        governor("the admin", admin, of_ada),
    ]


async def nobodies(world: World) -> list[Asking]:
    """Those who are not recognised, or not any more."""
    desk = world.desk
    revoked = await key_for(desk, tenant="acme", user="ada")
    minted_by_revoked = await desk.tokens.mint(await caller_of(desk, revoked), session="one-acme-ada")
    kept = await key_for(desk, tenant="acme", user="ada")
    expired_token = await desk.tokens.mint(await caller_of(desk, kept), expires_in=1)
    expired = await key_for(desk, tenant="acme", user="ada", expires_in=1)
    await desk.keys.revoke("acme", revoked.split("_")[1])
    world.door.clock.move(seconds=1)
    shown = {
        "an expired key": expired,
        "a revoked key": revoked,
        "an expired token": expired_token.spelled,
        "a token of a revoked key": minted_by_revoked.spelled,
        "a key that never was": "hw_" + "0" * 10 + "_" + "0" * 43,
        "something else": "nonsense",
    }
    found = [Asking(name=name, headers=lambda _, key=key: bearer(key)) for name, key in shown.items()]
    return [Asking(name="nobody", headers=lambda _: {}), *found]


def test_every_operation_has_a_rule_and_every_rule_an_operation(world: World) -> None:
    assert documented(world.document) == set(RULES)


def test_every_operation_says_which_permission_it_demands(world: World) -> None:
    demanded = {operation: world.permission(operation) for operation in RULES}
    assert set(demanded.values()) <= {*PERMISSIONS, "none"}
    assert {operation for operation, permission in demanded.items() if permission == "none"} == OPEN


def test_no_route_is_left_out_of_the_document_but_those_that_are_known(world: World) -> None:
    app = application(world.desk)
    routes = [route for router in ROUTERS for route in router.routes]
    assert [_path(route) for route in routes if isinstance(route, WebSocketRoute)] == [WEBSOCKET.removeprefix("WS ")]
    hidden = [route for route in routes if not getattr(route, "include_in_schema", True)]
    assert [_path(route) for route in hidden] == ["/mcp"]
    # Beside the routers: the document itself, and the static page with its files.
    own = [_path(route) for route in app.routes if getattr(route, "path", None)]
    assert own == ["/openapi.json"]
    assert len(app.routes) == len(ROUTERS) + len(own) + 1


@pytest.mark.parametrize("operation", EVERY)
async def test_an_operation_knows_its_own_and_no_others(operation: str, world: World) -> None:
    rule, permission = EVERY[operation], _permission(world, operation)
    home = world.at("acme", "ada", "one")
    before = await _state(world, home)
    callers = await everybody(world)
    for caller in [each for each in callers if not each.is_allowed(home.scope, permission)]:
        await asyncio.gather(*[_refused(world, caller, call, permission) for call in rule.calls])
    assert await _state(world, home) == before
    for caller in [each for each in callers if each.is_allowed(home.scope, permission)]:
        for call in rule.calls:
            await _served(world, caller, call, rule)


async def test_every_operation_demands_a_key_that_stands(world: World) -> None:
    home, strangers = world.at("acme", "ada", "one"), await nobodies(world)
    for operation in EVERY.keys() - OPEN:
        rule = EVERY[operation]
        seen = set[tuple[int, str, bytes]]()
        for caller, call in itertools.product(strangers, rule.calls):
            for names in (home.names, ghost_of(home.names)):
                reply = await ask(world, call(names), caller.headers(names))
                seen.add((reply.status, reply.headers.get("www-authenticate", ""), reply.body))
        assert len(seen) == 1, (operation, seen)
        ((status, scheme, _),) = seen
        assert (status, scheme) == ((4401, "") if rule is SOCKET else (401, "Bearer")), operation


@pytest.mark.parametrize("operation", sorted(OPEN))
async def test_what_is_open_to_all_tells_nothing_of_anybody(operation: str, world: World) -> None:
    reply = await ask(world, RULES[operation].call(world.at("acme", "ada", "one").names))
    assert reply.status == 200
    assert _leaks(world, reply.text, but=set()) == []


async def test_a_link_opens_its_own_artifact_and_only_as_long_as_its_key_stands(world: World) -> None:
    home, desk = world.at("acme", "ada", "one"), world.desk
    ada, bob = await key_for(desk, tenant="acme", user="ada"), await key_for(desk, tenant="acme", user="bob")
    call = RULES[f"POST {API}/artifacts/{{artifact}}/links"].call(home.names)
    url = (await ask(world, call, bearer(ada))).told["url"]
    opened = await ask_content(world, url)
    assert (opened.status, home.word in opened.text) == (200, True)
    assert _leaks(world, opened.text, but=home.canaries) == []
    # Who holds another key, or names another artifact beside it, opens nothing else.
    assert (
        await ask_content(world, f"{url}?artifact={world.at('umbr', 'eve', 'one').names.artifact}")
    ).body == opened.body
    missing = await ask_content(world, url[:-8] + "AAAAAAAA")
    assert missing.status == 404
    revoked = await ask_content(world, url)
    assert revoked.status == 200
    await desk.keys.revoke("acme", ada.split("_")[1])
    revoked = await ask_content(world, url, authorization=f"Bearer {bob}")
    assert (revoked.status, revoked.body) == (404, missing.body)


async def test_the_second_origin_has_no_api_for_any_key(world: World) -> None:
    home = world.at("acme", "ada", "one")
    ada = await key_for(world.desk, tenant="acme", user="ada")
    origin = world.desk.origins.content
    for rule in RULES.values():
        reply = await ask_content(world, f"{origin}{rule.call(home.names).path}", authorization=f"Bearer {ada}")
        assert reply.status == 404
        assert _leaks(world, reply.text, but=set()) == []


async def test_sessions_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        for tenant, user in (("acme", "ada"), ("acme", "bob"), ("umbr", "ada")):
            inside = door.desk.engine.session("same", user=user, tenant=tenant)
            await inside.create("file", content=f"{tenant} {user}", name="same.txt", title=f"only {tenant} {user}")
        for tenant, user in (("acme", "ada"), ("acme", "bob"), ("umbr", "ada")):
            key = bearer(await key_for(door.desk, tenant=tenant, user=user))
            listed = (await door.client.get(f"{API}/sessions/same/artifacts", headers=key)).json()
            assert [each["title"] for each in listed["items"]] == [f"only {tenant} {user}"]


async def test_an_admin_reaches_every_id_of_the_tenant_and_lists_for_a_user_alone(world: World) -> None:
    admin = bearer(await key_for(world.desk, "admin", tenant="acme"))
    for user in ("ada", "bob"):
        names = world.at("acme", user, "two").names
        assert (await ask(world, RULES[f"GET {API}/artifacts/{{artifact}}"].call(names), admin)).status == 200
        unnamed = await ask(world, RULES[f"GET {API}/sessions/{{session}}/artifacts"].call(names), admin)
        assert unnamed.status == 422
        assert _leaks(world, unnamed.text, but={names.session}) == []


async def test_without_keys_the_local_user_sees_what_is_local_alone(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        own = await door.desk.engine.session("s").create("file", content="own", name="own.txt")
        elsewhere = [
            await door.desk.engine.session("s", user=user, tenant=tenant).create("file", content="x", name="x.txt")
            for tenant, user in (("default", "ada"), ("acme", "local"))
        ]
        listed = (await door.client.get(f"{API}/sessions/s/artifacts")).json()["items"]
        assert [each["id"] for each in listed] == [own.id]
        for artifact in elsewhere:
            assert (await door.client.get(f"{API}/artifacts/{artifact.id}")).status_code == 404
        for user in ("ada", "local"):
            answer = await door.client.get(f"{API}/sessions", headers={"x-handiwork-user": user})
            assert answer.status_code == (200 if user == "local" else 404)
        # The first key ends it.
        await key_for(door.desk)
        assert (await door.client.get(f"{API}/artifacts/{own.id}")).status_code == 401


async def _refused(world: World, caller: Asking, call: Callable[[Names], Call], permission: Permission | None) -> None:
    """Require that the caller cannot tell what is there from what is not, and reads no canary."""
    home = world.at("acme", "ada", "one")
    names, ghost = home.names, ghost_of(home.names)
    there = await ask(world, call(names), caller.headers(names))
    not_there = await ask(world, call(ghost), caller.headers(ghost))
    case = f"{caller}: {call(names)}"
    if call(names).path == f"{API}/caller":
        # Whoever asks is told of itself, and may be called like what it asks for.
        there, not_there = (
            replace(each, body=ghost.masked(names.masked(each.body.decode())).encode()) for each in (there, not_there)
        )
    assert _comparable(there, names) == _comparable(not_there, ghost), case
    if permission is not None and permission not in caller.may:
        assert there.status in {403, 4403}, case
    else:
        assert there.status not in {401, 403, 4401, 4403}, case
        assert there.status < 500 or there.status > 4000, case
    assert _leaks(world, there.text, but=_sent(call(names)) | _owned(world, caller)) == [], case


async def _served(world: World, caller: Asking, call: Callable[[Names], Call], rule: Rule) -> None:
    home = await world.fill("acme", "ada", "one")
    sent, headers = call(home.names), caller.headers(home.names)
    if sent.path == f"{API}/tenant":
        del headers["x-handiwork-user"]
    reply = await ask(world, sent, headers)
    case = f"{caller}: {sent}"
    assert reply.status == rule.status, f"{case}: {reply.text}"
    own = home.canaries | {
        canary for held in world.holdings.values() if caller.owns(held.scope) for canary in held.canaries
    }
    # Older ones of this session are of no other scope.
    assert _leaks(world, reply.text, but=own) == [], case
    if (
        rule.touches != "nothing"
        and sent.method not in {"HEAD", "DELETE"}
        and not sent.path.endswith(("/thumbnail", "/links", "/view"))
    ):
        assert any(canary in reply.text for canary in home.canaries - {home.scope.session}), f"{case}: {reply.text}"


def _permission(world: World, operation: str) -> Any:
    if operation in {WEBSOCKET, *MCP}:
        return "artifact:read"
    permission = world.permission(operation)
    return None if permission == "none" else permission


def _comparable(reply: Reply, names: Names) -> tuple[int, dict[str, str], object]:
    """What a caller can tell one answer from another by."""
    headers = {name: names.masked(value) for name, value in reply.headers.items() if name != "x-request-id"}
    text = names.masked(reply.body.decode("utf-8", "replace"))
    # Each connection in the words of AG-UI is a run of its own.
    text = re.sub(r"\brun_[0-9A-Za-z]{22}\b", "<run>", text)
    if reply.status >= 300:
        return reply.status, headers, text
    # What was made by the caller for itself is never the same twice.
    kept = {name: value for name, value in headers.items() if name not in {"content-length", "location"}}
    is_json = headers.get("content-type") == "application/json" and text
    return reply.status, kept, _settled(json.loads(text)) if is_json else text


def _settled(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: None if key in VOLATILE else _settled(value) for key, value in told.items()}
    return [_settled(each) for each in told] if isinstance(told, list) else told


def _owned(world: World, caller: Asking) -> set[str]:
    return {canary for held in world.holdings.values() if caller.owns(held.scope) for canary in held.canaries}


def _leaks(world: World, text: str, *, but: set[str]) -> list[str]:
    return [
        canary
        for held in world.holdings.values()
        for canary in held.canaries
        if canary in text and not any(canary in allowed for allowed in but)
    ]


def _sent(call: Call) -> set[str]:
    return {call.path, *call.params.values(), json.dumps(call.body)}


async def _state(world: World, held: Holding) -> tuple[object, ...]:
    """All of a scope that somebody could have changed."""
    engine = world.desk.engine
    page = await engine.session(held.scope.session, user=held.scope.user, tenant=held.scope.tenant).list()
    filed = await engine.find(held.scope, held.artifact.id)
    content = b"".join([chunk async for chunk in engine.content(filed)])
    return page.items, page.seq, content, await engine.execution(held.scope, held.execution.id)


def _path(route: BaseRoute) -> str:
    return getattr(route, "path", "")
