"""Streams of events in the formats of others, over the network: their heads, their ends, and where they go on."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ag_ui_validate.pytest_plugin import assert_valid_agui
from doors import bearer, key_for, open_server
from followers import PATIENCE_SECONDS, Served, Ws, client, serving
from other_sides import DONE, SIDES, A2ASide, AgUiSide, AiSdkSide

from handiwork.clock import utc_now
from handiwork.model import Reach
from handiwork.server.desk import API
from handiwork.server.projections import Format
from handiwork.session import Session

FORMATS = sorted(SIDES)
at_each_format = pytest.mark.parametrize("format_", FORMATS)


@pytest.fixture
async def served(data: Path) -> AsyncGenerator[Served]:
    async with serving(data) as here:
        yield here


def session_of(served: Served) -> Session:
    return served.desk.engine.session("s")


class Stream:
    """A stream as it comes: blocks of it, and the cursor by then."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.frames: list[dict[str, Any]] = []
        self.data: list[str] = []
        self.cursor = 0
        self._lines = response.aiter_lines()

    async def until(self, *, seq: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.cursor < seq or not self._is_between:
                assert await self._take(), "the stream has ended"

    async def until_a_frame(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.frames:
                assert await self._take(), "the stream has ended"

    async def until_over(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._take():
                pass

    _is_between = True

    async def _take(self) -> bool:
        line = await anext(self._lines, None)
        if line is None:
            return False
        self._is_between = not line
        name, _, value = line.partition(": ")
        if name == "id":
            self.cursor = int(value)
        if name == "data":
            self.data.append(value)
            if value != DONE:
                self.frames.append(json.loads(value))
        return True


@asynccontextmanager
async def opened(served: Served, format_: Format, *, after: int = 0, key: str | None = None) -> AsyncGenerator[Stream]:
    sent = ({"last-event-id": str(after)} if after else {}) | (bearer(key) if key else {})
    url = f"{served.url}{API}/sessions/s/events"
    async with (
        httpx2.AsyncClient(timeout=None) as caller,
        caller.stream("GET", url, params={"format": format_}, headers=sent) as response,
    ):
        yield Stream(response)


async def pieces(*parts: str) -> AsyncIterator[str]:
    for part in parts:
        await asyncio.sleep(0.01)
        yield part


@at_each_format
async def test_the_head_says_what_it_is(served: Served, format_: Format) -> None:
    async with opened(served, format_) as stream:
        head = stream.response.headers
        await stream.until_a_frame()

    assert stream.response.status_code == 200
    assert head["content-type"] == "text/event-stream; charset=utf-8"
    assert head["cache-control"] == "no-store"
    assert head.get("x-vercel-ai-ui-message-stream") == ("v1" if format_ == "ai-sdk" else None)
    first = {"ag-ui": "RUN_STARTED", "ai-sdk": "start"}
    assert stream.frames[0].get("type") == first.get(format_)


async def test_ag_ui_is_told_a_run_that_ends_when_the_server_stops(served: Served) -> None:
    session = session_of(served)
    async with opened(served, "ag-ui") as stream:
        await stream.until_a_frame()
        made = await session.create("markdown", title="Plan", content=pieces("# P", "lan\n"))
        await session.run("print('hi'); open('a.txt', 'w').write('x')")
        await stream.until(seq=4)
        served.desk.stopping.set()
        await stream.until_over()

    assert_valid_agui(stream.frames, max_warnings=0)
    assert [stream.frames[0]["type"], stream.frames[-1]["type"]] == ["RUN_STARTED", "RUN_FINISHED"]
    side = AgUiSide()
    for frame in stream.frames:
        side.take(frame)
    assert side.contents[made.id]["version"]["content"] == "# Plan\n"
    assert [each["status"] for each in side.contents.values()] == ["ready", "succeeded", "ready"]
    assert any(frame.get("name") == "execution.output" for frame in stream.frames)


async def test_the_ai_sdk_is_told_a_message_that_ends_when_the_server_stops(served: Served) -> None:
    session = session_of(served)
    async with opened(served, "ai-sdk") as stream:
        await stream.until_a_frame()
        made = await session.create("markdown", title="Plan", content=pieces("# P", "lan\n"))
        await stream.until(seq=1)
        served.desk.stopping.set()
        await stream.until_over()

    assert stream.data[-1] == DONE
    assert stream.frames[-1] == {"type": "finish"}
    side = AiSdkSide()
    for frame in stream.frames:
        side.take(frame)
    assert side.parts["data-artifact", made.id]["version"]["content"] == "# Plan\n"
    assert "".join(each["text"] for each in side.previews) == "# Plan\n"


async def test_a2a_is_told_chunks_and_then_the_last(served: Served) -> None:
    session = session_of(served)
    async with opened(served, "a2a") as stream:
        await stream.until_a_frame()
        made = await session.create("markdown", title="Plan", content=pieces("# P", "lan\n"))
        await session.revise(made.id, content="# Plan B\n")
        await stream.until(seq=2)

    side = A2ASide()
    for frame in stream.frames:
        side.take(frame)
    assert side.sealed == {made.id, f"{made.id}@2"}
    assert side.artifacts()[made.id].content == "# Plan B\n"
    url: str = side.versions[made.id]["parts"][-1]["url"]
    answer = await _content_at(served, url)
    assert answer == b"# Plan\n"


async def _content_at(served: Served, url: str) -> bytes:
    """What is at an address of the server, which is called otherwise from outside."""
    assert url.startswith(served.desk.origins.public)
    async with httpx2.AsyncClient() as caller:
        return (await caller.get(served.url + url.removeprefix(served.desk.origins.public))).content


@at_each_format
async def test_a_stream_goes_on_after_its_cursor(served: Served, format_: Format) -> None:
    session, side = session_of(served), SIDES[format_]()
    first = await session.create("markdown", content="one", title="One")
    second = await session.create("markdown", content="two", title="Two")
    for after, seq in ((0, 2), (2, 5)):
        if after:
            await session.revise(first.id, content="one more")
            await session.label(second.id, "x")
            await session.remove(second.id)
        side.connect()
        async with opened(served, format_, after=after) as stream:
            await stream.until(seq=seq)
        for frame in stream.frames:
            side.take(frame)

    assert set(side.artifacts()) == {first.id}
    assert side.artifacts()[first.id].content == "one more"


@at_each_format
async def test_what_began_before_the_log_does_is_told_from_the_list(served: Served, format_: Format) -> None:
    session, side = session_of(served), SIDES[format_]()
    made = [await session.create("markdown", content=text, title=text) for text in ("one", "two")]
    await session.revise(made[0].id, content="one more")
    await session.remove(made[1].id)
    assert await served.desk.engine.retention.log.trim(before=utc_now() + timedelta(days=1)) == 4
    side.connect()
    async with opened(served, format_) as stream:
        await stream.until(seq=4)
        last = await session.create("file", content="x", name="a.txt")
        await stream.until(seq=5)

    for frame in stream.frames:
        side.take(frame)
    assert set(side.artifacts()) == {made[0].id, last.id}
    assert side.artifacts()[made[0].id].content == "one more"


@at_each_format
async def test_a_session_without_anything_left_can_be_followed(served: Served, format_: Format) -> None:
    session = session_of(served)
    await session.remove((await session.create("markdown", content="one", title="One")).id)
    await served.desk.engine.retention.log.trim(before=utc_now() + timedelta(days=1))
    async with opened(served, format_) as stream:
        await stream.until(seq=2)
        last = await session.create("file", content="x", name="a.txt")
        await stream.until(seq=3)

    assert last.id in "".join(stream.data)


async def test_a_log_that_is_whole_is_not_told_from_the_list(served: Served) -> None:
    session = session_of(served)
    made = await session.create("markdown", content="one", title="One")
    await session.remove(made.id)
    async with opened(served, "ai-sdk") as stream:
        await stream.until(seq=2)

    assert [frame["type"] for frame in stream.frames] == ["start", "data-artifact"]
    assert stream.frames[1]["data"]["status"] == "expired"


@at_each_format
async def test_a_cursor_that_is_not_to_be_had_is_a_resync_before_the_stream(data: Path, format_: Format) -> None:
    async with open_server(data) as door:
        refused = await door.client.get(f"{API}/sessions/s/events", params={"after": 3, "format": format_})

    assert (refused.status_code, refused.json()["code"]) == (410, "resync")


@at_each_format
async def test_a_stream_of_a_session_that_is_erased_ends_and_says_so(served: Served, format_: Format) -> None:
    await session_of(served).create("file", content="x", name="a.txt")
    async with opened(served, format_) as stream:
        await stream.until(seq=1)
        await served.desk.engine.erase(Reach(tenant="default", user="local", session="s"))
        await stream.until_over()

    assert "resync" in json.dumps(stream.frames[-1])
    assert (stream.data[-1] == DONE) == (format_ == "ai-sdk")


@at_each_format
async def test_a_stream_ends_with_the_key_that_it_was_opened_with(data: Path, format_: Format) -> None:
    async with serving(data, is_open=False) as served:
        key = await key_for(served.desk)
        async with opened(served, format_, key=key) as stream:
            await stream.until_a_frame()
            (record,) = await served.desk.keys.list("default")
            await served.desk.keys.revoke("default", record.id)
            await stream.until_over()

    assert "not_authenticated" in json.dumps(stream.frames[-1])


@at_each_format
async def test_nobody_sees_in_a_format_what_is_not_theirs(data: Path, format_: Format) -> None:
    async with serving(data, is_open=False) as served:
        await served.desk.engine.session("s", user="ada").create("markdown", content="secret", title="Secret")
        mine = await served.desk.engine.session("s", user="bo").create("markdown", content="mine", title="Mine")
        key = await key_for(served.desk, user="bo")
        async with opened(served, format_, key=key) as stream:
            await stream.until(seq=1)
        async with opened(served, format_) as nobody:
            assert nobody.response.status_code == 401

    assert mine.id in "".join(stream.data)
    assert "ecret" not in "".join(stream.data)


@at_each_format
async def test_what_has_expired_is_never_told(served: Served, format_: Format) -> None:
    session = session_of(served)
    await session.create("markdown", content="secret", title="Secret", retention=timedelta(hours=1))
    served.clock.move(hours=2)
    kept = await session.create("markdown", content="kept", title="Kept")
    async with opened(served, format_) as stream:
        await stream.until(seq=2)

    assert kept.id in "".join(stream.data)
    assert "ecret" not in "".join(stream.data)


@at_each_format
async def test_no_title_breaks_out_of_its_frame(served: Served, format_: Format) -> None:
    title = "a\n\ndata: [DONE]\n\nid: 99\u2028\x85 日本"
    made = await session_of(served).create("markdown", content=title, title=title)
    side = SIDES[format_]()
    side.connect()
    async with opened(served, format_) as stream:
        await stream.until(seq=1)
    for frame in stream.frames:
        side.take(frame)

    assert stream.cursor == 1
    assert side.artifacts()[made.id].title == title
    assert side.artifacts()[made.id].content == title


async def test_damaged_content_is_left_out_and_the_stream_goes_on(served: Served, data: Path) -> None:
    session = session_of(served)
    made = await session.create("markdown", content="one", title="One")
    (blob,) = [each for each in data.rglob("*.md") if made.id in str(each)]
    blob.write_bytes(b"two")
    await session.create("markdown", content="three", title="Three")
    async with opened(served, "ag-ui") as stream:
        await stream.until(seq=2)

    contents = [frame["content"]["version"].get("content") for frame in stream.frames if "content" in frame]
    assert contents == [None, "three"]


@pytest.mark.parametrize(("format_", "code"), [("ag-ui", 4422), ("a2a", 4422), ("morse", 4422)])
async def test_a_websocket_speaks_our_own_format_only(served: Served, format_: str, code: int) -> None:
    ws = Ws(served.url, "s", 0, query=f"after=0&format={format_}")
    async with client(served.url, ws) as follower:
        await follower.until_over()

    assert (ws.close_code, ws.close_reason) == (code, "invalid_request")


async def test_a_websocket_that_names_our_own_format_is_served(served: Served) -> None:
    await session_of(served).create("file", content="x", name="a.txt")
    ws = Ws(served.url, "s", 0, query="after=0&format=handiwork")
    async with client(served.url, ws) as follower:
        assert len(await follower.until(seq=1)) == 1


async def test_pieces_are_told_without_their_settling_in_our_own_format(served: Served) -> None:
    """What ends a preview elsewhere is the event here, as it always was."""
    session = session_of(served)
    ws = Ws(served.url, "s", 0)
    async with client(served.url, ws) as follower:
        await follower.until_begun()
        made = await session.create("markdown", title="Plan", content=pieces("# P", "lan\n"))
        await session.revise(made.id, content=pieces("# P", "lan\n"))
        await session.label(made.id, "x")
        await follower.until(seq=2)

    assert {piece["type"] for piece in ws.outputs} == {"artifact-delta"}
