"""What has expired is served by no operation of the API, to the millisecond, whether or not a clean-up has run.

The operations and how they are called are those of the matrix. Each case has its control a millisecond before.
"""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from api_world import (
    EXPAND,
    PROTOCOL_LISTS,
    PROTOCOL_READS,
    RULES,
    SOCKET,
    Call,
    Holding,
    Reply,
    World,
    ask,
    ask_content,
    documented,
    open_world,
)
from doors import API, bearer, key_for

MILLISECOND = timedelta(milliseconds=1)
LIFE = timedelta(hours=2)
UNDOCUMENTED = {f"WS {API}/sessions/{{session}}/ws": SOCKET, "POST /mcp": PROTOCOL_LISTS}
EVERY = {**RULES, **UNDOCUMENTED}
ITSELF = [name for name, rule in EVERY.items() if rule.touches == "itself"]
AMONG_OTHERS = [name for name, rule in EVERY.items() if rule.touches == "among others"]
# What these say is about no artifact. An operation that is neither here nor has a case is one that was forgotten.
ABOUT_NONE = {
    "GET /healthz",
    "GET /readyz",
    f"GET {API}/artifact-types",
    f"POST {API}/sessions/{{session}}/artifacts",
    f"POST {API}/sessions/{{session}}/tool-results",
    f"POST {API}/sessions/{{session}}/collect",
    f"POST {API}/tokens",
    f"GET {API}/caller",
    f"GET {API}/sessions",
    f"DELETE {API}/sessions/{{session}}",
    f"DELETE {API}/users/{{user}}",
    f"DELETE {API}/tenant",
}
# What has expired cannot be promoted, and the call that it came from is no name of it.
PROMOTIONS = f"POST {API}/sessions/{{session}}/promotions"
RANGES = ({"range": "bytes=0-3"}, {"range": "bytes=-1"}, {"range": "bytes=999999-"})
CONTENT = f"GET {API}/artifacts/{{artifact}}/content"
LINKS = f"POST {API}/artifacts/{{artifact}}/links"
LIST = f"GET {API}/sessions/{{session}}/artifacts"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    # Nothing but the clock may decide.
    async with open_world(tmp_path, artifacts={"storage": {"cleanup_enabled": False}}) as opened:
        yield opened


async def aging(world: World, *, held: bool = False) -> tuple[Holding, dict[str, str]]:
    """Put an artifact that lives for two hours beside one that stays, and return it with its owner's headers."""
    home = await world.fill("acme", "ada", "one", retention=LIFE)
    inside = world.desk.engine.session(home.scope.session, user="ada", tenant="acme")
    await inside.create("file", content="stays", name="stays.txt", retention=None)
    if held:
        for each in (home.artifact, home.answer, home.proposed.artifact):
            await inside.hold(each.id)
    return home, bearer(await key_for(world.desk, tenant="acme", user="ada"))


def turn_to(world: World, home: Holding, away: timedelta) -> None:
    assert home.artifact.expires_at is not None
    world.door.clock.now = home.artifact.expires_at + away


def test_every_operation_has_a_case_or_is_about_no_artifact(world: World) -> None:
    known = {*ITSELF, *AMONG_OTHERS, *ABOUT_NONE, PROMOTIONS, EXPAND}
    assert documented(world.document) == known - UNDOCUMENTED.keys()
    assert not ABOUT_NONE.intersection(ITSELF, AMONG_OTHERS)


@pytest.mark.parametrize("operation", ITSELF)
async def test_an_expired_artifact_is_410_by_its_name(operation: str, world: World) -> None:
    rule = EVERY[operation]
    for call in rule.calls:
        home, owner = await aging(world)
        for away in (timedelta(0), MILLISECOND, timedelta(days=400)):
            turn_to(world, home, away)
            reply = await ask(world, call(home.names), owner)
            assert reply.status == 410, (call(home.names), reply.text)
            # A HEAD is answered with no words.
            assert not reply.body or reply.told["code"] == "expired", reply.text
            assert _silent(home, reply, sent=call(home.names))
        turn_to(world, home, -MILLISECOND)
        served = await ask(world, call(home.names), owner)
        assert served.status == rule.status, (call(home.names), served.text)
        turn_to(world, home, -LIFE)


@pytest.mark.parametrize("operation", AMONG_OTHERS)
async def test_an_expired_artifact_is_not_among_others(operation: str, world: World) -> None:
    rule = EVERY[operation]
    home, owner = await aging(world)
    is_stream = "event" in operation or operation.startswith("WS")
    for call in rule.calls:
        turn_to(world, home, -MILLISECOND)
        control = await ask(world, call(home.names), owner)
        assert control.status == rule.status
        names = (home.artifact.id, home.artifact.handle)
        assert any(name in control.text for name in names) or call(home.names).params.get("limit") == "1", control.text
        for away in (timedelta(0), MILLISECOND):
            turn_to(world, home, away)
            reply = await ask(world, call(home.names), owner)
            assert reply.status == rule.status, reply.text
            # An event tells that something was there once, by its id, and never what.
            told = {home.word, home.artifact.version.sha256} if is_stream else {home.artifact.id, home.artifact.handle}
            assert not any(word in _told(home, reply) for word in told), reply.text


async def test_an_expired_artifact_is_told_of_as_such_by_mcp(world: World) -> None:
    read, call_tool = PROTOCOL_READS.calls
    home, owner = await aging(world)
    turn_to(world, home, -MILLISECOND)
    for each in (read, call_tool):
        assert home.artifact.id in (await ask(world, each(home.names), owner)).text
    for away in (timedelta(0), MILLISECOND):
        turn_to(world, home, away)
        refused = (await ask(world, read(home.names), owner)).told["error"]
        assert refused["data"]["code"] == "expired"
        result = (await ask(world, call_tool(home.names), owner)).told["result"]
        assert (result["isError"], result["structuredContent"]["error"]["code"]) == (True, "expired")
        assert all(home.word not in str(each) for each in (refused, result))


async def test_an_expired_answer_is_promoted_to_nothing(world: World) -> None:
    home, owner = await aging(world)
    for away in (timedelta(0), MILLISECOND, -MILLISECOND):
        turn_to(world, home, away)
        reply = await ask(world, EVERY[PROMOTIONS].call(home.names), owner)
        expected = (201, None) if away < timedelta(0) else (404, "tool_result_not_found")
        assert (reply.status, reply.told.get("code")) == expected, reply.text


async def test_a_reference_to_what_has_expired_stays_as_it_is(world: World) -> None:
    home, owner = await aging(world)
    for call in EVERY[EXPAND].calls:
        sent = call(home.names)
        for away in (timedelta(0), MILLISECOND, -MILLISECOND):
            turn_to(world, home, away)
            reply = await ask(world, sent, owner)
            assert isinstance(sent.body, dict)
            assert (reply.status, reply.told["text"] == sent.body["text"]) == (200, away >= timedelta(0)), reply.text
        turn_to(world, home, -LIFE)


async def test_no_condition_and_no_range_gets_at_expired_content(world: World) -> None:
    home, owner = await aging(world)
    etag = home.names.etag
    asked = [*RANGES, {"if-none-match": etag}, {"if-none-match": "*"}, {"if-match": etag}, {"if-match": '"x"'}]
    asked += [{"range": "bytes=0-3", "if-range": etag}, {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}]
    for method, headers in [(method, headers) for method in ("GET", "HEAD") for headers in asked]:
        call = replace(EVERY[CONTENT].call(home.names), method=method, headers=headers)
        turn_to(world, home, -MILLISECOND)
        assert (await ask(world, call, owner)).status in {200, 206, 304, 412, 416}
        for away in (timedelta(0), MILLISECOND):
            turn_to(world, home, away)
            reply = await ask(world, call, owner)
            assert (reply.status, "etag" in reply.headers) == (410, False), (method, headers)


async def test_a_picture_that_was_drawn_before_is_gone_too(world: World) -> None:
    home, owner = await aging(world)
    call = EVERY[f"GET {API}/artifacts/{{artifact}}/thumbnail"].call(home.names)
    drawn = await ask(world, call, owner)
    assert drawn.status == 200
    known = replace(call, headers={"if-none-match": drawn.headers["etag"]})
    assert (await ask(world, known, owner)).status == 304
    for away in (timedelta(0), MILLISECOND):
        turn_to(world, home, away)
        assert (await ask(world, call, owner)).status == 410
        assert (await ask(world, known, owner)).status == 410


@pytest.mark.parametrize("held", [False, True])
async def test_a_link_ends_with_the_artifact(held: bool, world: World) -> None:
    home, owner = await aging(world)
    order = replace(EVERY[LINKS].call(home.names), body={"expiresIn": "1d"})
    if held:
        # Made while it was held, the link lives on; let go, the row wins over it.
        await world.desk.engine.hold(home.scope, home.artifact.id)
    url = (await ask(world, order, owner)).told["url"]
    turn_to(world, home, -MILLISECOND)
    assert (await ask_content(world, url)).status == 200
    if held:
        turn_to(world, home, MILLISECOND)
        assert (await ask_content(world, url)).status == 200
        await world.desk.engine.hold(home.scope, home.artifact.id, held=False)
    for away in (timedelta(0), MILLISECOND):
        turn_to(world, home, away)
        for headers in ({}, {"if_none_match": home.names.etag}, {"range": "bytes=0-3"}):
            reply = await ask_content(world, url, **headers)
            assert reply.status == (410 if held else 404), reply.text
            assert home.word not in reply.text
            assert "etag" not in reply.headers


@pytest.mark.parametrize("operation", [*ITSELF, *AMONG_OTHERS])
async def test_what_is_held_is_served_past_its_time(operation: str, world: World) -> None:
    rule = EVERY[operation]
    home, owner = await aging(world, held=True)
    # A proposal is good for a day.
    turn_to(world, home, timedelta(hours=20))
    reply = await ask(world, rule.call(home.names), owner)
    if operation.startswith("DELETE"):
        assert (reply.status, reply.told["code"]) == (409, "artifact_held")
        return
    assert reply.status == rule.status, reply.text
    if rule.touches == "among others":
        assert any(name in reply.text for name in (home.artifact.id, home.artifact.handle))


async def test_a_deleted_artifact_answers_like_one_whose_time_has_come(world: World) -> None:
    home, owner = await aging(world)
    deleted = await ask(world, EVERY[f"DELETE {API}/artifacts/{{artifact}}"].call(home.names), owner)
    assert deleted.status == 204
    for other in (home.answer, home.proposed.artifact):
        await world.desk.engine.remove(home.scope, other.id)
    replies = {name: await ask(world, EVERY[name].call(home.names), owner) for name in ITSELF}
    # What was proposed has gone with the bytes.
    gone = {name for name in ITSELF if name.startswith(f"POST {API}/actions/")}
    assert {name: reply.status for name, reply in replies.items()} == {n: 404 if n in gone else 410 for n in ITSELF}
    assert home.artifact.id not in (await ask(world, EVERY[LIST].call(home.names), owner)).text


async def test_somebody_else_is_not_told_that_anything_has_expired(world: World) -> None:
    home, _ = await aging(world)
    turn_to(world, home, timedelta(0))
    bob = bearer(await key_for(world.desk, tenant="acme", user="bob"))
    for name in ITSELF:
        assert (await ask(world, EVERY[name].call(home.names), bob)).status == 404, name


def _told(home: Holding, reply: Reply) -> str:
    return reply.text.replace(home.execution.outcome.stdout, "")


def _silent(home: Holding, reply: Reply, *, sent: Call) -> bool:
    told = _told(home, reply)
    own = f"{sent.path} {sent.params} {sent.body}"
    if home.names.action in own:
        # Which artifact it is that the action was for, nobody else is told.
        own += home.names.letter
    return not any(canary in told and canary not in own for canary in home.canaries)
