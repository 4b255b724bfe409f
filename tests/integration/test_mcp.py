"""A session as clients of MCP see it, in both forms of the protocol, from a store and from a server.

What goes over the wire is in `test_mcp_http.py` and `test_mcp_stdio.py`.
"""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import BlobResourceContents, ResourceLink, TextContent, TextResourceContents
from protocol_clients import MODES, PATIENCE_SECONDS, VERSIONS, Mode, News, following, subscribe, talking
from sides import Side, Verbs, open_side

from handiwork.mcp import calls, shelf
from handiwork.mcp.backlog import Backlog, OpenStreams
from handiwork.mcp.protocol import server_for
from handiwork.mcp.visitors import Visitor
from handiwork.model import Artifact
from handiwork.tools.tool import Tool

Talk = Callable[[], AbstractAsyncContextManager[Client]]

READING = {"read_artifact", "list_artifacts", "get_cached_result"}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.fixture
def session(side: Side) -> Verbs:
    return side.session("my notes/1")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@pytest.fixture
def talk(session: Verbs, mode: Mode) -> Talk:
    return lambda: talking(server_for(visitor(session)), mode)


def visitor(session: Verbs, **more: Any) -> Visitor:
    return Visitor(session=session, toolbox=session.tools(), **more)


def text_of(result: Any) -> str:
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


async def test_the_table_of_tools_is_that_of_the_session(talk: Talk, session: Verbs, mode: Mode) -> None:
    async with talk() as client:
        assert client.protocol_version == VERSIONS[mode]
        listed = (await client.list_tools()).tools
    told = [tool.model_dump(by_alias=True, exclude_none=True) for tool in listed]
    assert [{name: tool[name] for name in entry} for tool, entry in zip(told, session.tools().mcp(), strict=True)] == (
        session.tools().mcp()
    )
    hints = {tool.name: tool.annotations for tool in listed}
    assert {name for name, hint in hints.items() if hint is not None and hint.read_only_hint} == READING
    assert all(hint is not None and hint.destructive_hint is False for hint in hints.values())


async def test_an_answer_is_text_a_link_and_the_same_for_programs(talk: Talk, session: Verbs) -> None:
    async with talk() as client:
        (tool,) = [each for each in (await client.list_tools()).tools if each.name == "generate_artifact"]
        result = await client.call_tool(
            "generate_artifact", {"type": "markdown", "title": "Q3", "content": "# Sales\nrose"}
        )
    (made,) = (await session.list()).items
    _text, link = result.content
    assert f'<artifact id="{made.handle}"' in text_of(result)
    assert isinstance(link, ResourceLink)
    assert link.uri == f"artifact://my%20notes%2F1/{made.id}"
    assert (link.name, link.title, link.mime_type, link.size) == (made.name, "Q3", "text/markdown", 12)
    assert link.description == made.version.summary
    assert link.annotations is not None
    assert link.annotations.audience == ["user", "assistant"]
    assert link.annotations.last_modified is not None
    structured = result.structured_content
    assert structured["artifacts"][0] | {"uri": link.uri, "id": made.id, "version": 1} == structured["artifacts"][0]
    assert tool.output_schema is not None
    jsonschema.validate(structured, tool.output_schema)
    assert made.version.provenance.principal.kind == ("agent" if hasattr(session, "engine") else "user")


@pytest.mark.linux
async def test_a_program_that_runs_for_long_is_told_of_meanwhile(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PROGRESS_SECONDS", 0.1)
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append(message)

    code = "import time; time.sleep(0.3); open('a.csv', 'w').write('x,y\\n1,2\\n')"
    async with talk() as client:
        result = await client.call_tool("generate_file", {"code": code}, progress_callback=note)
    assert not result.is_error, text_of(result)
    assert told[0] == "generate_file is at work, 0 s so far"
    assert len(result.content) == 2


MISTAKES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("generate_artifact", {"type": "pie", "title": "x", "content": "y"}, ("pie", "markdown")),
    ("generate_artifact", {"type": "json", "title": "x", "content": "{"}, ("JSON",)),
    ("generate_artifact", {}, ("`type`",)),
    ("generate_file", {"code": 7}, ("code",)),
    ("read_artifact", {"artifactId": "gone_0000"}, ("gone_0000", "list_artifacts")),
    ("read_artifact", {"artifactId": "x" * 5000}, ("list_artifacts",)),
    ("get_cached_result", {"cache_id": "\0"}, ("Call the tool again",)),
    ("no_such_tool", {}, ("no_such_tool", "generate_file")),
]


async def test_a_mistake_is_an_answer_that_says_what_to_change(talk: Talk, session: Verbs) -> None:
    async with talk() as client:
        for name, arguments, words in MISTAKES:
            result = await client.call_tool(name, arguments)
            assert result.is_error, name
            assert all(word in text_of(result) for word in words), text_of(result)
            assert result.structured_content["error"]["code"]
    assert (await session.list()).items == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("type", "title", "content", "patch", "artifactId", "cacheId", "select", "version", "toolCallId", "query")


# A store is opened for each example, and one example is many calls.
SLOW = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
CALLS = st.tuples(
    st.sampled_from(("generate_artifact", "revise_artifact", "read_artifact", "list_artifacts", "promote_to_artifact")),
    st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5),
)


@given(made=st.lists(CALLS, min_size=20, max_size=20))
@settings(max_examples=3, suppress_health_check=SLOW, deadline=None)
async def test_no_arguments_are_an_error_of_the_protocol(
    made: list[tuple[str, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory, mode: Mode
) -> None:
    async with open_side("here", tmp_path_factory.mktemp("store")) as side:
        session = side.session()
        async with talking(server_for(visitor(session)), mode) as client:
            for tool, arguments in made:
                before = (await session.list()).seq
                result = await client.call_tool(tool, arguments)
                assert text_of(result)
                # Nothing is stored half.
                assert not result.is_error or (await session.list()).seq == before


async def test_what_a_key_does_not_permit_is_neither_listed_nor_done(session: Verbs, mode: Mode) -> None:
    def may_use(tool: Tool) -> bool:
        return tool.name in READING

    async with talking(server_for(visitor(session, may_use=may_use)), mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING
        result = await client.call_tool("generate_artifact", {"type": "markdown", "title": "x", "content": "y"})
        assert result.is_error
        assert "not permitted" in text_of(result)
        assert not (await client.call_tool("list_artifacts", {})).is_error
    assert (await session.list()).items == ()


async def test_resources_are_listed_newest_first_page_by_page(
    talk: Talk, side: Side, session: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "ON_A_PAGE", 2)
    made: list[Artifact] = []
    for number in range(5):
        side.clock.move(milliseconds=1)
        made.append(await session.create("markdown", title=f"n{number}", content=f"text {number}"))
    found: list[str] = []
    async with talk() as client:
        cursor = None
        while True:
            page = await client.list_resources(cursor=cursor)
            assert len(page.resources) <= 2
            found += [each.uri for each in page.resources]
            if (cursor := page.next_cursor) is None:
                break
        with pytest.raises(MCPError) as refused:
            await client.list_resources(cursor="nonsense")
    assert found == [f"artifact://my%20notes%2F1/{each.id}" for each in reversed(made)]
    assert refused.value.code == -32602


async def test_a_resource_is_read_as_text_or_as_bytes_at_its_head_or_at_a_version(talk: Talk, session: Verbs) -> None:
    note = await session.create("markdown", title="Note", content="one\ntwo\nthree\n")
    await session.revise(note.id, content="four\n")
    picture = await session.create("file", name="dot.png", content=PNG)
    place = "artifact://my%20notes%2F1"
    async with talk() as client:

        async def read(rest: str) -> TextResourceContents | BlobResourceContents:
            (found,) = (await client.read_resource(f"{place}/{rest}")).contents
            assert found.uri == f"{place}/{rest}"
            return found

        head, first, part = (
            await read(note.id),
            await read(f"{note.handle}/1"),
            await read(f"{note.id}/1?select=head=1"),
        )
        blob = await read(picture.id)
        templates = (await client.list_resource_templates()).resource_templates
    assert isinstance(head, TextResourceContents)
    assert (head.text, head.mime_type) == ("four\n", "text/markdown")
    assert isinstance(first, TextResourceContents)
    assert first.text == "one\ntwo\nthree\n"
    assert isinstance(part, TextResourceContents)
    assert part.text == "one\n"
    assert isinstance(blob, BlobResourceContents)
    assert (base64.b64decode(blob.blob), blob.mime_type) == (PNG, "image/png")
    assert [each.uri_template for each in templates] == [
        f"{place}/{{id}}{{?select}}",
        f"{place}/{{id}}/{{version}}{{?select}}",
    ]


async def test_what_is_too_large_for_one_message_names_the_way_to_a_part(
    talk: Talk, session: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "LARGEST_TEXT_BYTES", 100)
    monkeypatch.setattr(shelf, "LARGEST_BLOB_BYTES", len(PNG) - 1)
    long = await session.create("markdown", title="Long", content="a line\n" * 15)
    picture = await session.create("file", name="dot.png", content=PNG)
    async with talk() as client:
        with pytest.raises(MCPError, match="100 bytes") as refused:
            await client.read_resource(f"artifact://my%20notes%2F1/{long.id}")
        part = f"artifact://my%20notes%2F1/{long.id}?select=lines=1:200"
        assert part in refused.value.message
        (found,) = (await client.read_resource(part)).contents
        assert isinstance(found, TextResourceContents)
        assert found.text == "a line\n" * 15
        with pytest.raises(MCPError, match="no text"):
            await client.read_resource(f"artifact://my%20notes%2F1/{picture.id}")


async def test_what_is_elsewhere_answers_like_what_is_not_there(talk: Talk, side: Side, session: Verbs) -> None:
    own = await session.create("markdown", title="Own", content="own")
    other = await side.session("other").create("markdown", title="Other", content="secret")
    ghost = f"{'0' * 22}"
    messages = set[str]()
    async with talk() as client:
        for place in ("my%20notes%2F1", "other", "gone"):
            for reference in (other.id, other.handle, f"art_{ghost}"):
                with pytest.raises(MCPError) as refused:
                    await client.read_resource(f"artifact://{place}/{reference}")
                messages.add(refused.value.message.replace(reference, "ID"))
                assert refused.value.data["code"] == "artifact_not_found"
        # Its own is not to be had under the name of another session either.
        with pytest.raises(MCPError):
            await client.read_resource(f"artifact://other/{own.id}")
        result = await client.call_tool("read_artifact", {"artifactId": other.id})
    assert len(messages) == 1
    assert all(message.endswith("list_artifacts shows what there is.") for message in messages)
    assert result.is_error
    assert "secret" not in json.dumps(result.model_dump(mode="json"))


async def test_what_is_no_address_is_refused_with_how_one_looks(talk: Talk) -> None:
    async with talk() as client:
        for uri in ("nonsense", "file:///etc/passwd", "artifact://s/../x", "artifact://s/a\0", "x" * 9000):
            with pytest.raises(MCPError, match="artifact://SESSION/ID") as refused:
                await client.read_resource(uri)
            assert refused.value.code == -32602


async def test_a_client_that_follows_a_head_is_told_of_it_and_of_nothing_else(session: Verbs, mode: Mode) -> None:
    news = News()
    followed = await session.create("markdown", title="a", content="a")
    other = await session.create("markdown", title="b", content="b")
    place = "artifact://my%20notes%2F1"
    async with talking(server_for(visitor(session)), mode, news) as client:
        async with following(client, f"{place}/{followed.handle}", news=news):
            await session.revise(other.id, content="b2")
            await session.revise(followed.id, content="a2")
            await news.until(f"{place}/{followed.handle}")
            assert news.told == [f"{place}/{followed.handle}"]
            made = await client.call_tool("generate_artifact", {"type": "markdown", "title": "c", "content": "c"})
            await news.until("list")
            assert not made.is_error
            news.told.clear()
            await session.remove(followed.id)
            await news.until(f"{place}/{followed.handle}")
        # Nobody follows what has come to be there no more.
        if mode == "legacy":
            with pytest.raises(MCPError, match="is gone"):
                await subscribe(client, f"{place}/{followed.handle}")


async def test_what_is_not_there_is_not_followed(session: Verbs) -> None:
    note = await session.create("markdown", title="a", content="a")
    there, gone = f"artifact://my%20notes%2F1/{note.id}", "artifact://my%20notes%2F1/gone_0000"
    async with talking(server_for(visitor(session)), "auto") as client:
        async with client.listen(resource_subscriptions=[there, gone]) as changes:
            assert changes.honored.resource_subscriptions == [there]
        with pytest.raises(MCPError, match="At most 200"):
            async with client.listen(resource_subscriptions=[f"{there}/{n}" for n in range(1, 300)]):
                pass


async def test_open_streams_take_no_places_of_calls_and_one_too_many_is_refused(session: Verbs) -> None:
    talker = visitor(session, backlog=Backlog(2), streams=OpenStreams(3))
    async with talking(server_for(talker), "auto") as client, AsyncExitStack() as streams:
        first, *_ = [await streams.enter_async_context(listening(client)) for _ in range(3)]
        await asyncio.wait_for(talker.backlog.until_room(), 5)
        assert not (await client.call_tool("list_artifacts", {})).is_error
        with pytest.raises(MCPError, match=r"At most 3 streams can be open at a time\. Close one of them"):
            await streams.enter_async_context(listening(client))
        await first.aclose()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await until_room(talker.streams)
        await streams.enter_async_context(listening(client))


async def until_room(streams: OpenStreams) -> None:
    """Return when the server has heard that a stream was closed."""
    while True:
        await asyncio.sleep(0)
        with suppress(MCPError), streams.one_more():
            return


async def test_calls_that_go_on_take_the_places_of_calls() -> None:
    backlog = Backlog(2)
    with backlog.one_more(), backlog.one_more():
        waiting = asyncio.ensure_future(backlog.until_room())
        await asyncio.sleep(0)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 5)


@asynccontextmanager
async def listening(client: Client) -> AsyncGenerator[AsyncExitStack]:
    """Listen, until the context ends or what it yields is closed."""
    async with AsyncExitStack() as stream:
        await stream.enter_async_context(client.listen(resources_list_changed=True))
        yield stream
