"""Content as bodies of requests: what is sent is what was given, and what cannot be sent is refused before."""

import asyncio
import email
import email.policy
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.client.contents import Body, Given, body_of, form_of, object_of
from handiwork.client.place import segment_of
from handiwork.errors import ContentTooLarge, InputNotFound, InvalidContent
from handiwork.server.path_names import WholeNames, name_in_path
from handiwork.versions.content import Bytes, HostFile


async def sent(body: Body) -> bytes:
    assert body.content is not None
    return b"".join([chunk async for chunk in body.content()])


@given(st.binary(max_size=2000), st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_form_holds_the_file_and_its_length_is_the_one_it_says(content: bytes, title: str) -> None:
    body = form_of(Bytes(content), {"type": "file", "title": title, "metadata": {"é": 1}})
    data = asyncio.run(sent(body))
    assert len(data) == int(body.headers["content-length"])
    boundary = body.headers["content-type"].partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in data.split(b"--" + boundary)[1:-1]]
    assert parts == [b"file", title.encode(), '{"é":1}'.encode(), content]


def test_a_form_is_one_to_those_who_know_forms() -> None:
    body = form_of(Bytes(b"a,b\n"), {"type": "csv"})
    head = f"Content-Type: {body.headers['content-type']}\r\n\r\n".encode()
    form: Any = email.message_from_bytes(head + asyncio.run(sent(body)), policy=email.policy.HTTP)
    fields = {part.get_param("name", header="content-disposition"): part.get_payload() for part in form.iter_parts()}
    assert fields == {"type": "csv", "file": "a,b\n"}


def test_a_file_that_shrinks_while_it_is_sent_does_not_come_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "shrinks.txt"
    path.write_bytes(b"x" * 1000)
    with pytest.raises(InputNotFound, match="changed"):
        asyncio.run(sent(form_of(HostFile(path, 5000), {})))


async def test_pieces_end_with_the_one_that_is_too_many() -> None:
    async def pieces() -> AsyncIterator[str]:
        for _ in range(10):
            yield "é"
            yield ""

    given_ = Given(pieces(), subject="N")
    given_.demand_within(5, type_name="markdown")
    data = await sent(body_of(given_, {"title": "N", "name": None}, type_name="markdown"))
    assert (len(data), given_.size > 5) == (6, True)


@pytest.mark.parametrize("piece", ["\ud800", b"x", None])
async def test_pieces_that_are_no_text_are_refused(piece: Any) -> None:
    async def pieces() -> AsyncIterator[Any]:
        yield piece

    with pytest.raises(InvalidContent):
        await sent(body_of(Given(pieces(), subject="N"), {}, type_name="markdown"))


def test_a_cap_is_demanded_of_what_has_a_size(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"12345678")
    for content in (b"12345678", "1234567é", tmp_path / "a.txt"):
        Given(content, subject="N").demand_within(9, type_name="file")
        with pytest.raises(ContentTooLarge, match="`N`"):
            Given(content, subject="N").demand_within(7, type_name="file")


@given(st.dictionaries(st.text(), st.floats() | st.binary() | st.text()))
def test_an_object_is_sent_as_json_or_refused(value: dict[str, Any]) -> None:
    texts = [*value, *(each for each in value.values() if isinstance(each, str))]
    are_plain = all(
        isinstance(each, str) or (isinstance(each, float) and math.isfinite(each)) for each in value.values()
    )
    if are_plain and not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in "".join(texts)):
        assert object_of(value, "facts") == value
        return
    with pytest.raises(InvalidContent):
        object_of(value, "facts")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_name_comes_out_of_a_path_as_it_went_in(name: str) -> None:
    segment = segment_of(name)
    assert not set(segment) & set("/?#")
    assert segment not in {".", ".."}
    raw = f"/api/v1/sessions/{segment}/artifacts".encode("ascii")
    seen: dict[str, Any] = {}

    async def route(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    scope: Any = {"type": "http", "path": unquote(raw.decode()), "raw_path": raw}
    asyncio.run(WholeNames(route)(scope, None, None))  # pyright: ignore[reportArgumentType]  # nothing is received or sent
    found = seen["path"].removeprefix("/api/v1/sessions/").removesuffix("/artifacts")
    assert "/" not in found
    assert name_in_path(found) == name
