import asyncio
import contextlib
import json
import resource
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from doors import Door, bearer, key_for, listening_server, open_server
from followers import PATIENCE_SECONDS, WIRES, Served, Sse, Told, Wire, Ws, client, following, serving
from rooms import eventually

import handiwork
from handiwork.access.keys import CACHE_SECONDS
from handiwork.clock import utc_now
from handiwork.model import MIB, Reach
from handiwork.server.desk import API
from handiwork.server.streams import Pace
from handiwork.session import Session

EVENTS = f"{API}/sessions/s/events"

at_each_wire = pytest.mark.parametrize("wire", WIRES)


@pytest.fixture
async def served(data: Path) -> AsyncGenerator[Served]:
    async with serving(data) as here:
        yield here


@pytest.fixture
async def door(data: Path) -> AsyncGenerator[Door]:
    async with open_server(data) as opened:
        yield opened


def session_of(served: Served, name: str = "s") -> Session:
    return served.desk.engine.session(name)


async def write(session: Session, count: int = 1) -> None:
    for _ in range(count):
        await session.create("file", content="x", name="a.txt")


async def written(session: Session, count: int) -> list[Told]:
    """The first events of a session as Python tells them, in short."""
    found: list[Told] = []
    async with asyncio.timeout(PATIENCE_SECONDS), contextlib.aclosing(session.watch()) as events:
        async for event in events:
            found.append({"seq": event.seq, "id": event.id, "type": event.type, "artifactId": event.artifact_id})
            if len(found) == count:
                break
    return found


def short(events: Sequence[Told]) -> list[Told]:
    return [{name: event[name] for name in ("seq", "id", "type", "artifactId")} for event in events]


@at_each_wire
async def test_a_follower_is_told_what_was_and_what_comes(served: Served, wire: Wire) -> None:
    session = session_of(served)
    await write(session, 3)

    async with client(served.url, following(wire, served.url, "s")) as follower:
        await follower.until(seq=3)
        await write(session, 2)
        told = await follower.until(seq=5)

    assert short(told) == await written(session, 5)
    assert told[0]["type"] == "artifact-created"
    assert told[0]["session"] == "s"


@at_each_wire
async def test_a_follower_goes_on_after_its_cursor(served: Served, wire: Wire) -> None:
    session = session_of(served)
    await write(session, 4)

    async with client(served.url, following(wire, served.url, "s", after=3)) as follower:
        await write(session)
        told = await follower.until(seq=5)

    assert [event["seq"] for event in told] == [4, 5]


@at_each_wire
async def test_a_session_can_be_followed_before_anything_is_in_it(served: Served, wire: Wire) -> None:
    async with client(served.url, following(wire, served.url, "s")) as follower:
        await follower.until_begun()
        await write(session_of(served, "other"))
        await write(session_of(served))
        told = await follower.until(seq=1)

    assert [event["session"] for event in told] == ["s"]


@at_each_wire
async def test_what_another_process_writes_is_told_too(served: Served, wire: Wire, data: Path) -> None:
    async with (
        client(served.url, following(wire, served.url, "s")) as follower,
        handiwork.open(data) as elsewhere,
    ):
        await follower.until_begun()
        await write(elsewhere.session("s"))

        assert len(await follower.until(seq=1)) == 1


TALKING = """
import time
for number in range(3):
    print("line", number)
    time.sleep(0.3)
print("the end", end="")
"""


@at_each_wire
async def test_what_a_program_writes_is_told_while_it_runs_and_kept_by_nobody(served: Served, wire: Wire) -> None:
    session = session_of(served)
    async with client(served.url, following(wire, served.url, "s")) as follower:
        await follower.until_begun()
        running = asyncio.create_task(session.run(TALKING))
        first = await follower.until_output("line 0")
        assert not running.done(), "it was told before the end"
        pieces = await follower.until_output("the end")
        await follower.until(seq=2)
        execution = await running

    assert "".join(piece["text"] for piece in pieces) == execution.stdout == "line 0\nline 1\nline 2\nthe end"
    assert [piece["offset"] for piece in pieces] == [execution.stdout.index(piece["text"]) for piece in pieces]
    assert {"type": "execution-output", "stream": "stdout", "executionId": execution.id}.items() <= first[0].items()
    assert not {"seq", "id"} & first[0].keys()
    async with client(served.url, following(wire, served.url, "s")) as late:
        assert [event["type"] for event in await late.until(seq=2)] == ["execution-started", "execution-finished"]
        assert late.following.outputs == []


async def test_the_head_of_a_stream_says_that_it_is_live(served: Served) -> None:
    sse = Sse(served.url, "s", 0)
    async with client(served.url, sse) as follower:
        await follower.until_begun()

    assert sse.status == 200
    assert sse.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert sse.headers["cache-control"] == "no-store"
    assert sse.headers["x-accel-buffering"] == "no"


async def test_a_quiet_stream_beats(data: Path) -> None:
    async with serving(data, pace=Pace(heartbeat_seconds=0.02)) as served:
        sse = Sse(served.url, "s", 0)
        async with client(served.url, sse) as follower, asyncio.timeout(PATIENCE_SECONDS):
            while sse.comments < 3:
                assert await follower.take()

    assert sse.events == []


async def test_the_header_wins_over_the_query(served: Served) -> None:
    await write(session_of(served), 3)
    sse = Sse(served.url, "s", 2)
    sse.first = sse.first.replace(b"/events ", b"/events?after=0 ")

    async with client(served.url, sse) as follower:
        told = await follower.until(seq=3)

    assert [event["seq"] for event in told] == [3]


async def test_the_query_counts_without_the_header(served: Served) -> None:
    await write(session_of(served), 3)
    sse = Sse(served.url, "s", 0)
    sse.first = sse.first.replace(b"/events ", b"/events?after=2 ")

    async with client(served.url, sse) as follower:
        told = await follower.until(seq=3)

    assert [event["seq"] for event in told] == [3]


@pytest.mark.parametrize("cursor", ["-1", "x", "", "1.5", "1e3", "9" * 30, "nan", "0x10"])
async def test_a_cursor_that_is_none_is_refused(door: Door, cursor: str) -> None:
    by_header = await door.client.get(EVENTS, headers={"last-event-id": cursor})
    by_query = await door.client.get(EVENTS, params={"after": cursor})

    assert [by_header.status_code, by_query.status_code] == [422, 422]
    assert by_header.json()["code"] == by_query.json()["code"] == "invalid_request"


async def test_another_format_is_refused_and_told_which_there_are(door: Door) -> None:
    refused = await door.client.get(EVENTS, params={"format": "morse"})

    assert refused.status_code == 422
    assert "handiwork" in refused.json()["errors"][0]["expected"]


@pytest.mark.parametrize("cursor", ["-1", "x", "", "1.5", "9" * 30, "%D9%A3"])
async def test_a_websocket_with_a_cursor_that_is_none_is_closed(served: Served, cursor: str) -> None:
    ws = Ws(served.url, "s", 0, query=f"after={cursor}")
    async with client(served.url, ws) as follower:
        await follower.until_over()

    assert (ws.close_code, ws.close_reason) == (4422, "invalid_request")


async def test_a_cursor_ahead_of_the_session_is_a_resync_before_the_stream(door: Door) -> None:
    await write(door.desk.engine.session("s"), 2)

    refused = await door.client.get(EVENTS, params={"after": 3})

    assert refused.status_code == 410
    problem = refused.json()
    assert (problem["code"], problem["oldest"], problem["last"]) == ("resync", 0, 2)


async def test_a_cursor_whose_events_are_gone_is_a_resync_before_the_stream(door: Door) -> None:
    await write(door.desk.engine.session("s"), 2)
    await door.desk.engine.retention.log.trim(before=door.clock() + timedelta(seconds=1))

    refused = await door.client.get(EVENTS, headers={"last-event-id": "1"})

    assert refused.status_code == 410
    assert (refused.json()["oldest"], refused.json()["last"]) == (2, 2)


@pytest.mark.parametrize("after", [0, 3])
async def test_a_websocket_that_cannot_go_on_is_told_where_the_log_stands(served: Served, after: int) -> None:
    await write(session_of(served), 2)
    if after == 0:
        await served.desk.engine.retention.log.trim(before=utc_now() + timedelta(seconds=1))
    ws = Ws(served.url, "s", after)

    async with client(served.url, ws) as follower:
        await follower.until_over()

    assert ws.close_code == 4410
    assert json.loads(ws.close_reason) == {"code": "resync", "oldest": 2 if after == 0 else 0, "last": 2}


async def test_a_stream_of_a_session_that_is_erased_ends_with_a_resync(served: Served) -> None:
    await write(session_of(served), 2)
    sse, ws = Sse(served.url, "s", 0), Ws(served.url, "s", 0)
    async with client(served.url, sse) as one, client(served.url, ws) as other:
        await one.until(seq=2)
        await other.until(seq=2)
        await served.desk.engine.erase(Reach(tenant="default", user="local", session="s"))
        await one.until_over()
        await other.until_over()

    assert sse.names[-1] == "resync"
    assert json.loads(sse.body) == {"code": "resync", "oldest": 0, "last": 0}
    assert ws.close_code == 4410
    assert json.loads(ws.close_reason) == {"code": "resync", "oldest": 0, "last": 0}


@at_each_wire
async def test_a_client_that_goes_away_leaves_nothing_behind(served: Served, wire: Wire) -> None:
    for _ in range(10):
        async with client(served.url, following(wire, served.url, "s")) as follower:
            await follower.until_begun()
            assert await eventually(lambda: served.followers == 1)

        assert await eventually(lambda: served.followers == 0)


async def test_the_end_of_the_server_is_told(data: Path) -> None:
    async with serving(data) as served:
        sse, ws = Sse(served.url, "s", 0), Ws(served.url, "s", 0)
        async with client(served.url, sse) as one, client(served.url, ws) as other:
            await one.until_begun()
            await other.until_begun()
            served.desk.stopping.set()
            await one.until_over()
            await other.until_over()

            assert (ws.close_code, ws.close_reason) == (1012, "stopping")
            assert sse.is_over
            assert sse.names == []


async def test_what_a_client_says_is_passed_over(served: Served) -> None:
    ws = Ws(served.url, "s", 0)
    async with client(served.url, ws) as follower:
        await follower.until_begun()
        for _ in range(20):
            follower.writer.write(ws.say("x" * 4096))
        await write(session_of(served))

        assert len(await follower.until(seq=1)) == 1


async def test_a_client_that_says_too_much_is_sent_away(served: Served) -> None:
    ws = Ws(served.url, "s", 0)
    async with client(served.url, ws) as follower:
        await follower.until_begun()
        follower.writer.write(ws.say("x" * 4097))
        await follower.until_over()

    assert ws.close_code == 1009
    assert await eventually(lambda: served.followers == 0)


# Who may follow.


async def refused(served: Served, **asked: Any) -> tuple[int | None, str]:
    ws = Ws(served.url, asked.pop("session", "s"), 0, **asked)
    async with client(served.url, ws) as follower:
        await follower.until_over()
    return ws.close_code, ws.close_reason


async def test_without_a_key_nobody_follows(data: Path) -> None:
    async with serving(data, is_open=False) as served:
        wrong = "hw_" + "a" * 10 + "_" + "b" * 43
        assert await refused(served) == (4401, "not_authenticated")
        assert await refused(served, subprotocols=["handiwork", f"bearer.{wrong}"]) == (4401, "not_authenticated")
        assert await refused(served, subprotocols=["handiwork", "bearer."]) == (4401, "not_authenticated")
        assert await refused(served, headers=[("Authorization", f"Bearer {wrong}")]) == (4401, "not_authenticated")
        assert served.followers == 0


@pytest.mark.parametrize("way", ["subprotocol", "header"])
async def test_a_key_is_shown_by_subprotocol_or_header_and_never_said_back(data: Path, way: str) -> None:
    async with serving(data, is_open=False) as served:
        key = await key_for(served.desk)
        await write(session_of(served))
        ws = (
            Ws(served.url, "s", 0, subprotocols=["handiwork", f"bearer.{key}"])
            if way == "subprotocol"
            else Ws(served.url, "s", 0, [("Authorization", f"Bearer {key}")], subprotocols=())
        )
        async with client(served.url, ws) as follower:
            await follower.until(seq=1)

    assert ws.subprotocol == ("handiwork" if way == "subprotocol" else None)


async def test_an_agent_follows_its_own_session_and_no_other(data: Path) -> None:
    async with serving(data, is_open=False) as served:
        agent = await key_for(served.desk, "agent", session="s")
        shown = ["handiwork", f"bearer.{agent}"]
        await write(session_of(served))
        await write(session_of(served, "other"))

        async with client(served.url, Ws(served.url, "s", 0, subprotocols=shown)) as follower:
            await follower.until(seq=1)

        assert await refused(served, session="other", subprotocols=shown) == (4404, "session_not_found")
        assert await refused(served, session="none", subprotocols=shown) == (4404, "session_not_found")


async def test_over_http_the_same_callers_are_refused(data: Path) -> None:
    async with open_server(data, is_open=False) as (asking, desk, _clock):
        agent = await key_for(desk, "agent", session="s")
        blind = await key_for(desk, permissions=["artifact:write"])
        answers = [
            await asking.get(EVENTS),
            await asking.get(EVENTS, headers=bearer(blind)),
            await asking.get(EVENTS.replace("/s/", "/other/"), headers=bearer(agent)),
        ]

    assert [answer.status_code for answer in answers] == [401, 403, 404]


async def test_a_key_without_the_permission_is_refused(data: Path) -> None:
    async with serving(data, is_open=False) as served:
        blind = await key_for(served.desk, permissions=["artifact:write"])

        assert await refused(served, subprotocols=["handiwork", f"bearer.{blind}"]) == (4403, "not_allowed")


async def test_an_admin_follows_for_the_user_that_it_names(data: Path) -> None:
    async with serving(data, is_open=False) as served:
        admin = await key_for(served.desk, "admin")
        await write(served.desk.engine.session("s", user="ada"))
        headers = [("Authorization", f"Bearer {admin}")]
        ws = Ws(served.url, "s", 0, [*headers, ("X-Handiwork-User", "ada")])
        async with client(served.url, ws) as follower:
            await follower.until(seq=1)

        assert (await refused(served, headers=headers))[0] == 4422


async def test_a_revoked_key_ends_its_streams_and_no_others(data: Path) -> None:
    async with serving(data, is_open=False) as served:
        record, key = await served.desk.keys.create(Reach(tenant="default", user="local"), "user")
        other_key = await key_for(served.desk)
        sse = Sse(served.url, "s", 0, [("Authorization", f"Bearer {key}")])
        ws = Ws(served.url, "s", 0, subprotocols=["handiwork", f"bearer.{key}"])
        stays = Ws(served.url, "s", 0, subprotocols=["handiwork", f"bearer.{other_key}"])
        async with client(served.url, sse) as one, client(served.url, ws) as two, client(served.url, stays) as three:
            for each in (one, two, three):
                await each.until_begun()
            await served.desk.keys.revoke("default", record.id)
            began = time.monotonic()
            await one.until_over()
            await two.until_over()
            lapse = time.monotonic() - began
            await write(session_of(served))
            await three.until(seq=1)

    assert (ws.close_code, ws.close_reason) == (4401, "not_authenticated")
    assert sse.is_over
    assert lapse < 5


def test_a_key_that_another_process_revokes_ends_its_streams_within_five_seconds() -> None:
    assert CACHE_SECONDS + Pace().confirm_seconds < 5


async def test_a_token_that_runs_out_ends_its_stream(data: Path) -> None:
    async with serving(data, is_open=False, pace=Pace(confirm_seconds=0.05)) as served:
        caller = await served.desk.recognised(await key_for(served.desk))
        token = await served.desk.tokens.mint(caller, expires_in=60)
        ws = Ws(served.url, "s", 0, subprotocols=["handiwork", f"bearer.{token.spelled}"])
        async with client(served.url, ws) as follower:
            await follower.until_begun()
            served.clock.move(seconds=61)
            await follower.until_over()

    assert ws.close_code == 4401


# Who is slow.

SLOW = Pace(stall_seconds=0.3)
SMALL = 4096


async def flood(served: Served, *, until: Callable[[], bool]) -> int:
    """Write until something has come about; return how many events there are."""
    count = 0
    async with asyncio.timeout(30):
        while not until():
            await asyncio.gather(*(write(session_of(served)) for _ in range(40)))
            count += 40
    return count


@at_each_wire
async def test_a_client_that_never_reads_is_sent_away_and_can_resume_and_holds_nobody_up(
    data: Path, wire: Wire
) -> None:
    async with serving(data, pace=SLOW, send_buffer=SMALL) as served:
        stuck, brisk = following(wire, served.url, "s"), following(wire, served.url, "s")
        async with client(served.url, stuck, receive_buffer=SMALL) as sleeper, client(served.url, brisk) as reader:
            await sleeper.until_begun()
            await reader.until_begun()
            assert await eventually(lambda: served.followers == 2)
            reading = asyncio.create_task(reader.take_all())
            memory = resident_bytes()
            last = await flood(served, until=lambda: served.followers == 1)
            assert await eventually(lambda: len(brisk.events) == last, within=20)
            grown = resident_bytes() - memory
            reading.cancel()
            with contextlib.suppress(ConnectionError):
                await sleeper.until_over()
        seen = stuck.events[-1]["seq"]
        async with client(served.url, following(wire, served.url, "s", after=seen)) as again:
            rest = await again.until(seq=last)

    assert seen < last
    assert [event["seq"] for event in [*stuck.events, *rest]] == list(range(1, last + 1))
    assert [event["seq"] for event in brisk.events] == list(range(1, last + 1))
    assert grown < 30 * MIB
    assert not isinstance(stuck, Ws) or (stuck.close_code, stuck.close_reason) == (1013, "stalled")


async def test_a_websocket_that_is_never_read_is_cut_off_after_a_while(data: Path) -> None:
    async with serving(data, pace=SLOW, send_buffer=SMALL, close_seconds=0.1) as served:
        stuck = Ws(served.url, "s", 0)
        async with client(served.url, stuck, receive_buffer=SMALL) as sleeper:
            await sleeper.until_begun()
            assert await eventually(lambda: served.followers == served.connections == 1)
            await flood(served, until=lambda: served.followers == 0)

            assert await eventually(lambda: served.connections == 0)


# Servers that come and go.


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


@at_each_wire
async def test_a_follower_goes_on_at_a_server_that_was_killed_and_started_again(data: Path, wire: Wire) -> None:
    async with handiwork.open(data) as engine:
        session = engine.session("s")
        with listening_server(data) as first:
            begun = following(wire, first.url, "s")
            async with client(first.url, begun) as follower:
                await write(session, 3)
                await follower.until(seq=3)
                first.process.kill()
                with contextlib.suppress(ConnectionError):
                    await follower.until_over()
        await write(session, 2)
        with listening_server(data) as second:
            async with client(second.url, following(wire, second.url, "s", after=3)) as follower:
                await write(session, 1)
                rest = await follower.until(seq=6)

        assert short([*begun.events, *rest]) == await written(session, 6)


async def test_a_server_that_is_told_to_stop_tells_its_followers(data: Path) -> None:
    with listening_server(data) as server:
        sse, ws = Sse(server.url, "s", 0), Ws(server.url, "s", 0)
        async with client(server.url, sse) as one, client(server.url, ws) as other:
            await one.until_begun()
            await other.until_begun()
            server.process.terminate()
            await one.until_over()
            await other.until_over()
        code = await asyncio.to_thread(server.process.wait, PATIENCE_SECONDS)

    assert sse.is_over
    assert ws.close_code == 1012
    assert code == 0


async def test_a_page_of_another_origin_cannot_follow(data: Path) -> None:
    with listening_server(data) as server:
        foreign = Ws(server.url, "s", 0, [("Origin", "https://elsewhere.example")])
        own = Ws(server.url, "s", 0, [("Origin", server.url)])
        async with client(server.url, foreign) as one, client(server.url, own) as other:
            await one.until_begun()
            await other.until_begun()

    assert (foreign.status, own.status) == (403, 101)
