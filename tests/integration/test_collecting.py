"""Outputs of agents kept as artifacts, in Python and over HTTP: all or none, and the same only once."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from doors import API, Door, bearer, key_for, open_server
from sides import Side

import handiwork
from handiwork.errors import HandiworkError, InvalidContent, InvalidLimit, InvalidName, NotCollected, ProducingDisabled
from handiwork.model import Artifact
from handiwork.settings import Settings

OUTPUT = (
    """# Doubling, explained
Here it is:
```py title=double
def double(x):
    return 2 * x
```
"""
    + "It doubles. " * 20
)
NUL = "```py\n\0\n```"


def told(artifacts: tuple[Artifact, ...]) -> list[tuple[str, str, str, str | None]]:
    return [(each.type, each.name, each.title, each.version.language) for each in artifacts]


def declared(kind: str, name: str, content: object, **more: object) -> dict[str, object]:
    return {"artifact": True, "kind": kind, "name": name, "content": content, **more}


async def kept(side: Side) -> int:
    return len((await side.session().list()).items)


async def test_blocks_and_the_document_are_artifacts_that_say_where_they_come_from(side: Side) -> None:
    made = await side.session().collect(OUTPUT, iteration=3, tool_call_id="call_1")
    assert told(made) == [
        ("code", "iter3-block1.py", "iter3-block1.py", "py"),
        ("markdown", "iter3-doubling-explained.md", "Doubling, explained", None),
    ]
    assert made[0].version.metadata == {"source": "collect", "kind": "code", "iteration": 3, "info": "title=double"}
    assert made[0].version.provenance.tool_call_id == "call_1"
    assert await side.session().read(made[0].id) == b"def double(x):\n    return 2 * x"


async def test_each_kind_that_a_tool_declares_has_its_type(side: Side) -> None:
    kinds = [
        declared("code", "a.ts", "let a", language="ts"),
        declared("answer", "answer.md", "Yes."),
        declared("table", "a.csv", "a,b\n1,2\n"),
        declared("file", "../../notes.txt", "noted"),
        declared("chart", "chart.json", {"bars": [1]}, dpi=90),
        {"artifact": False},
        "no declaration",
    ]
    made = await side.session().collect(metadata=kinds)
    assert told(made) == [
        ("code", "a.ts", "a.ts", "ts"),
        ("markdown", "answer.md", "answer.md", None),
        ("csv", "a.csv", "a.csv", None),
        ("file", "notes.txt", "notes.txt", None),
        ("file", "chart.json", "chart.json", "json"),
    ]
    assert made[-1].version.metadata == {"source": "collect", "kind": "chart", "iteration": 0, "dpi": 90}


async def test_what_was_kept_before_is_returned_as_it_is_now(side: Side) -> None:
    session = side.session()
    block, document = await session.collect(OUTPUT, iteration=1)
    await session.revise(block.id, content="mended")
    again = await session.collect(OUTPUT + "\n```sh\nls\n```", iteration=2)
    assert [each.id for each in again[:1]] == [block.id]
    assert again[0].version.number == 2
    assert [each.name for each in again[1:]] == ["iter2-block2.sh", document.name]
    assert await session.collect(OUTPUT, iteration=3) == (again[0], document)


async def test_what_was_removed_is_kept_anew(side: Side) -> None:
    session = side.session()
    (block,) = await session.collect("```py\nx\n```")
    await session.remove(block.id)
    (anew,) = await session.collect("```py\nx\n```")
    assert anew.id != block.id


@pytest.mark.parametrize(
    ("info", "language", "remark"),
    [
        ("py\0thon", "python", None),
        ("\ud800", None, "\ufffd"),
        ("py\udfff title=x", None, "py\ufffd title=x"),
        ("python title=\ud800", "python", "title=\ufffd"),
        ("\u202e", None, None),
        ("\x07", None, None),
    ],
)
async def test_a_block_whose_language_cannot_be_read_loses_that_alone(
    side: Side, info: str, language: str | None, remark: str | None
) -> None:
    session = side.session()
    text = f"# Title\n\n```{info}\nprint(1)\n```\n\n```python\nprint(2)\n```\n"
    kept = await session.collect(text)
    assert [await session.read(each.id) for each in kept] == [b"print(1)", b"print(2)"]
    first, second = kept
    assert (first.version.language, first.version.metadata.get("info")) == (language, remark)
    assert second.version.language == "python"
    assert [each.id for each in await session.collect(text)] == [each.id for each in kept]


async def test_half_a_character_costs_no_more_than_itself(side: Side) -> None:
    kept = await side.session().collect("```py\na = '\ud800'\n```\n```py\nb = '\ud83d\ude00'\n```\n")
    assert [(await side.session().read(each.id)).decode() for each in kept] == ["a = '\ufffd'", "b = '\U0001f600'"]


async def test_a_tool_that_declares_a_language_that_cannot_be_read_loses_that_alone(side: Side) -> None:
    told = {"artifact": True, "kind": "code", "name": "a.py", "content": "print(1)", "language": "py\0thon"}
    (kept,) = await side.session().collect(metadata=told)
    assert kept.version.language is None


async def test_the_same_twice_in_one_output_is_one_artifact(side: Side) -> None:
    made = await side.session().collect("```py\nx\n```\n" * 2)
    assert [each.name for each in made] == ["iter0-block1.py"]
    assert await kept(side) == 1


async def test_an_answer_that_is_a_kept_document_is_that_document(side: Side) -> None:
    document = "# Doubling\n\n" + "It doubles, and then it doubles again. " * 10 + "The end."
    (made,) = await side.session().collect(document, iteration=1)
    (answer,) = await side.session().collect(metadata=declared("answer", "iter1-answer.md", document), iteration=1)
    assert (answer.id, answer.version.number, await kept(side)) == (made.id, 1, 1)
    (other,) = await side.session().collect(metadata=declared("answer", "iter1-answer.md", document + "!"))
    assert (other.name, await kept(side)) == ("iter1-answer.md", 2)


async def test_another_session_keeps_its_own(side: Side) -> None:
    (mine,) = await side.session("a").collect("```py\nx\n```")
    (others,) = await side.session("b").collect("```py\nx\n```")
    assert mine.id != others.id


async def test_an_output_without_anything_to_keep_is_no_error(side: Side) -> None:
    assert await side.session().collect("Nothing.") == ()


@pytest.mark.parametrize(
    ("text", "metadata", "name", "number", "reason"),
    [
        (f"```py\nx\n```\n{NUL}", None, "iter0-block2.py", 2, "content_refused"),
        ("```py\nx\n```", declared("table", "t.csv", "a,b\n1\n"), "t.csv", 2, "content_refused"),
        (f"```\n{'x' * 300_000}\n```", None, "iter0-block1.txt", 1, "content_too_large"),
        ("", declared("file", "a.txt", "a", more="x" * 20_000), "a.txt", 1, "invalid_content"),
    ],
    ids=["NUL", "table", "size", "metadata"],
)
async def test_one_that_cannot_be_kept_is_named_and_nothing_is_kept(
    side: Side, text: str, metadata: object, name: str, number: int, reason: str
) -> None:
    with pytest.raises(NotCollected, match="Nothing was stored") as caught:
        await side.session().collect(text, metadata=metadata)
    assert (caught.value.name, caught.value.number, caught.value.reason) == (name, number, reason)
    assert await kept(side) == 0


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"text": "```py\nx\n```\n" * 201}, InvalidContent),
        ({"text": "", "iteration": -1}, InvalidLimit),
        ({"text": "", "iteration": 10**9}, InvalidLimit),
        ({"text": "", "tool_call_id": "a\nb"}, InvalidName),
    ],
    ids=["many", "before", "far", "call"],
)
async def test_what_is_no_output_is_refused(
    side: Side, arguments: dict[str, object], kind: type[HandiworkError]
) -> None:
    with pytest.raises(kind):
        await side.session().collect(**arguments)  # pyright: ignore[reportArgumentType]  # the point


async def test_twenty_at_once_keep_one(side: Side) -> None:
    session = side.session()
    made = await asyncio.gather(*(session.collect(OUTPUT, iteration=n) for n in range(20)))
    assert len({tuple(each.id for each in artifacts) for artifacts in made}) <= 20
    assert len({artifacts[0].id for artifacts in made}) == 1
    assert await kept(side) == 2


async def test_where_nothing_may_be_made_nothing_is_kept(tmp_path: Path) -> None:
    settings = Settings.model_validate({"artifacts": {"enabled": False}})
    async with handiwork.open(tmp_path, settings=settings) as engine:
        with pytest.raises(ProducingDisabled):
            await engine.session("s").collect(OUTPUT)
        assert await engine.session("s").collect("Nothing.") == ()


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def test_metadata_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        with pytest.raises(InvalidContent, match="metadata 1"):
            await engine.session("s").collect(metadata=declared("file", "a", Unspeakable()))


# Over HTTP


@pytest.fixture
async def door(tmp_path: Path) -> AsyncGenerator[Door]:
    async with open_server(tmp_path) as opened:
        yield opened


async def test_new_is_201_and_kept_before_is_200(door: Door) -> None:
    for status in (201, 200):
        answer = await door.client.post(f"{API}/sessions/s/collect", json={"text": OUTPUT, "iteration": 2})
        assert answer.status_code == status
        assert [each["version"]["name"] for each in answer.json()["items"]] == [
            "iter2-block1.py",
            "iter2-doubling-explained.md",
        ]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"metadata": {"artifact": true, "content": "a", "more": NaN}}',
        b'{"metadata": {"artifact": true, "content": "a", "more": "\\u0000"}}',
        b'{"text": "\\ud800"}',
        b'{"text": 1}',
        b'{"iteration": "1"}',
        b'{"iteration": true}',
        b'{"text": "a", "text": "b"}',
        b'{"other": 1}',
    ],
)
async def test_hostile_bodies_are_told_what_is_wrong(door: Door, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await door.client.post(f"{API}/sessions/s/collect", content=body, headers=headers)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["code"]
    assert (await door.client.get(f"{API}/sessions/s/artifacts")).json()["items"] == []


async def test_who_may_only_read_collects_nothing(door: Door) -> None:
    headers = bearer(await key_for(door.desk, permissions=["artifact:read"]))
    answer = await door.client.post(f"{API}/sessions/s/collect", json={"text": OUTPUT}, headers=headers)
    assert answer.status_code == 403


async def test_a_session_with_a_slash_in_its_name_takes_outputs_too(side: Side) -> None:
    session = side.session("team/plan")
    (made, _) = await session.collect(OUTPUT)
    assert (await session.get(made.id)).scope.session == "team/plan"
