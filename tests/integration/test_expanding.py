"""References expanded through a session, from both sides, and over HTTP with addresses that work."""

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from doors import API, bearer, key_for, open_server
from sides import Side

import handiwork
from handiwork.errors import InvalidName
from handiwork.model import Artifact
from handiwork.server.content_origin import content_application

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9aw"
    "AAAABJRU5ErkJggg=="
)


def mention(artifact: Artifact, more: str = "") -> str:
    return f"<artifact id='{artifact.handle}'{more}/>"


async def test_a_user_sees_text_where_the_reference_stood(side: Side) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="# Notes\n\n- one")
    code = await session.create("code", title="x.py", content="print(1)", language="python")
    table = await session.create("csv", title="T", content="a,b\n1,2\n3,4\n")
    data = await session.create("json", title="J", content={"a": [1]})
    assert await session.expand(f"Here: {mention(notes)}.") == "Here: # Notes\n\n- one."
    assert await session.expand(mention(code)) == "```python\nprint(1)\n```\n"
    assert await session.expand(f"```\n{mention(code)}\n```") == "```\nprint(1)\n```"
    assert await session.expand(mention(table, " select='rows=1:2'")) == "```csv\na,b\n3,4\n```\n"
    assert '"a": [' in await session.expand(mention(data))


async def test_a_version_that_is_named_is_the_one_that_is_seen(side: Side) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="first")
    await session.revise(notes.id, content="second")
    assert await session.expand(f"{mention(notes, ' version=1')} {mention(notes)}") == "first second"
    assert await session.expand(mention(notes, " version='9'")) == mention(notes, " version='9'")


async def test_a_model_gets_a_short_reference_and_never_an_address(side: Side) -> None:
    session = side.session()
    picture = await session.create("image", title="Sales", content=PNG)
    told = await session.expand(f"<artifact id='{picture.id}'/>", "model")
    assert told == f'<artifact id="{picture.handle}" summary="{picture.version.summary}" />'
    for audience in ("model", "agent"):
        for reveal in ("none", "summary", "full"):
            assert "://" not in await session.expand(mention(picture), audience, reveal=reveal)


async def test_another_agent_gets_as_much_as_is_revealed(side: Side) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="a\n```\nb\n```\n")
    assert await session.expand(mention(notes), "agent", reveal="none") == f'<artifact id="{notes.handle}" />'
    assert "summary=" in await session.expand(mention(notes), "agent")
    assert await session.expand(mention(notes), "agent", reveal="full") == "````markdown\na\n```\nb\n```\n````\n"


async def test_what_leads_nowhere_stays_as_it_is(side: Side) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="mine")
    gone = await session.create("markdown", title="Gone", content="gone")
    await session.remove(gone.id)
    text = f"{mention(gone)} <artifact id='nope_0000'/> {mention(notes, ' select=wrong')} <artifact id='../x'/>"
    assert await session.expand(text) == text
    assert await side.session("other").expand(mention(notes)) == mention(notes)


async def test_what_was_put_in_is_not_looked_at_again(side: Side) -> None:
    session = side.session()
    secret = await session.create("markdown", title="Secret", content="SECRET")
    forged = await session.create("markdown", title="Forged", content=f"{mention(secret)}<artifact id='")
    assert (
        await session.expand(f"{mention(forged)}{secret.handle}'/>")
        == f"{mention(secret)}<artifact id='{secret.handle}'/>"
    )


async def test_what_is_large_is_cut_and_says_how_to_go_on(side: Side) -> None:
    session = side.session()
    table = await session.create("csv", title="Big", content="a,b\n" + "1,2\n" * 100_000)
    told = await session.expand(mention(table))
    assert len(told) < 300_000
    found = re.search(r"\[cut here: `(\w+)` has 400,004 bytes; the rest is at select `(rows=\d+:)`\]", told)
    assert found is not None
    assert (await session.select(found[1], found[2])).text.startswith("a,b\n1,2\n")


async def test_a_stream_expands_alike_whether_it_is_awaited_or_blocks(side: Side) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="# Notes")
    text = f"Here {mention(notes)} and <artifact id='nope_0000'/> <"

    async def tokens() -> AsyncGenerator[str]:
        for at in range(0, len(text), 3):
            yield text[at : at + 3]

    def blocking() -> str:
        expander = session.expander()
        return "".join(expander.feed(text[at : at + 3]) for at in range(0, len(text), 3)) + expander.close()

    assert "".join([piece async for piece in session.expander().over(tokens())]) == await session.expand(text)
    # The server of this test answers on this loop, so that the one who blocks is another.
    assert await asyncio.to_thread(blocking) == await session.expand(text)


async def test_whoever_blocks_within_a_running_loop_is_served_too(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        session = engine.session("s")
        notes = await session.create("markdown", title="Notes", content="# Notes")
        expander = session.expander()
        assert expander.feed(f"a {mention(notes)} <") + expander.close() == "a # Notes <"


def test_a_program_without_a_loop_expands_too(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path) as engine:
        session = engine.session("s")
        notes = session.create("markdown", title="Notes", content="# Notes")
        expander = session.expander("model")
        assert session.expand(f"a {mention(notes)}") == "a # Notes"
        assert expander.feed(mention(notes)).startswith("<artifact id=")


async def test_without_a_server_a_file_is_its_name_and_where_it_is(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        session = engine.session("s")
        file = await session.create("file", name="we[ird](1).bin", content=b"\0\1")
        picture = await session.create("image", title="Sales", content=PNG)
        assert await session.expand(mention(file)) == f"[we\\[ird\\](1).bin](artifact://{file.id})"
        assert await session.expand(mention(picture)) == f"[Sales.png](artifact://{picture.id})"


async def test_a_server_gives_addresses_that_work(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        key = await key_for(door.desk, "user")
        session = door.desk.engine.session("s")
        picture = await session.create("image", title="Sales", content=PNG)
        again = await session.create("image", title="Again", content=f"artifact://{picture.handle}")
        file = await session.create("file", name="a.bin", content=b"\0\1")
        page = await session.create("html-sandboxed", title="Page", content="<p>hello</p>")
        text = " ".join(map(mention, (picture, again, file, page)))
        answer = await door.client.post(f"{API}/sessions/s/expand", json={"text": text}, headers=bearer(key))
        found = re.findall(r"(!?)\[([^]]*)\]\((https?://[^)]+)\)", answer.json()["text"])
        assert [(mark, name) for mark, name, _url in found] == [
            ("!", "Sales.png"), ("!", "Sales.png"), ("", "a.bin"), ("", "Page.html"),
        ]  # fmt: skip
        transport = httpx2.ASGITransport(app=content_application(door.desk))  # pyright: ignore[reportArgumentType]  # the same, in other words
        async with httpx2.AsyncClient(transport=transport) as client:
            shown = [await client.get(url) for *_, url in found]
        assert [each.status_code for each in shown] == [200] * 4
        assert (shown[0].headers["content-disposition"].split(";")[0], shown[2].content) == ("inline", b"\0\1")
        assert "text/html" in shown[3].headers["content-type"]


async def test_who_may_make_no_links_gets_none(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        key = await key_for(door.desk, "user", permissions=["artifact:read"])
        file = await door.desk.engine.session("s").create("file", name="a.bin", content=b"\0\1")
        answer = await door.client.post(f"{API}/sessions/s/expand", json={"text": mention(file)}, headers=bearer(key))
        assert answer.json() == {"text": f"[a.bin](artifact://{file.id})"}


async def test_a_reader_that_there_is_not_is_refused(side: Side) -> None:
    session = side.session()
    store = handiwork.ArtifactStore.over(session)
    for audience, reveal in (("all", "full"), ("agent", "some")):
        with pytest.raises(InvalidName, match="one of"):
            await session.expand("text", audience, reveal=reveal)  # pyright: ignore[reportArgumentType]  # that is the point
        with pytest.raises(InvalidName, match="one of"):
            session.expander(audience, reveal=reveal)  # pyright: ignore[reportArgumentType]  # that is the point
        with pytest.raises(InvalidName, match="one of"):
            handiwork.ArtifactStore().expander(audience, reveal=reveal)  # pyright: ignore[reportArgumentType]  # that is the point
    with pytest.raises(InvalidName, match="one of"):
        await store.handoff("text", reveal="some")  # pyright: ignore[reportArgumentType]  # that is the point


async def test_words_that_no_audience_is_are_refused(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        for body in ({"text": "a", "audience": "all"}, {"text": "a", "reveal": "some"}, {"text": 1}, {}):
            answer = await door.client.post(f"{API}/sessions/s/expand", json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text


@pytest.mark.parametrize("ends", [True, False])
async def test_what_expires_in_mid_stream_is_put_in_no_more(side: Side, ends: bool) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="# Notes", retention=timedelta(hours=2))
    name = mention(notes)

    async def tokens() -> AsyncGenerator[str]:
        yield f"One {name} two {name[:9]}"
        if ends:
            side.clock.move(hours=2)
        yield f"{name[9:]}."

    told = "".join([piece async for piece in session.expander().over(tokens())])
    assert told == f"One # Notes two {name if ends else '# Notes'}."
