"""Tools of one's own in a session: called as a model calls them, their large answers kept, their failures told."""

import asyncio
import contextvars
import dataclasses
import itertools
import json
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import Side, Verbs

import handiwork
from handiwork.errors import InvalidTool
from handiwork.model import KIB, MIB, TOOL_RESULT
from handiwork.portal import SyncToolbox
from handiwork.tools.marks import Mark
from handiwork.tools.results import Results
from handiwork.tools.threads import Threads
from handiwork.tools.tool import Answer, Offer
from handiwork.tools.toolbox import Toolbox

RECORDS = [{"id": number, "name": f"Record {number}", "note": "x" * 100} for number in range(500)]


@handiwork.tool(cache_ref=True, category="crm_records")
def search_records(query: str, limit: int = 500) -> dict[str, Any]:
    """Search the records."""
    return {"query": query, "records": RECORDS[:limit]}


def answering(result: object, **traits: Any) -> Callable[[], object]:
    @handiwork.tool(name="answering", **traits)
    def tool() -> object:
        """Answer."""
        return result

    return tool


def saying(summary: dict[str, object]) -> Callable[[dict[str, Any], str], dict[str, object]]:
    def summarize(result: dict[str, Any], tool: str) -> dict[str, object]:
        return summary

    return summarize


async def answer_of(session: Verbs, result: object, **traits: Any) -> Answer:
    return await session.tools(extra=[answering(result, **traits)]).call("answering", {}, tool_call_id="call_1")


async def results(session: Verbs) -> list[handiwork.Artifact]:
    return list((await session.list(type=TOOL_RESULT)).items)


def code_of(answer: Answer) -> object:
    error: Any = answer.structured["error"]
    return error["code"]


# What it declares


@pytest.mark.parametrize(("length", "is_kept"), [(10, False), (5000, True)])
async def test_of_a_tool_output_the_model_gets_the_text_and_the_program_what_it_declares(
    session: Verbs, length: int, is_kept: bool
) -> None:
    declared = {"artifact": True, "name": "a.txt", "content": "a"}
    answer = await answer_of(session, handiwork.ToolOutput("x" * length, declared), cache_ref=True, threshold="1KB")
    assert answer.metadata == declared
    assert [each.name for each in answer.artifacts][-1] == "a.txt"
    assert (len(answer.artifacts), answer.text.startswith("x" * length)) == ((2, False) if is_kept else (1, True))


# Large answers


async def test_a_large_answer_is_replaced_by_a_summary_and_a_reference(session: Verbs) -> None:
    tools = session.tools(extra=[search_records])
    answer = await tools.call("search_records", {"query": "a"}, tool_call_id="call_1")
    (kept,) = answer.artifacts
    assert not answer.is_error
    assert len(answer.text.encode()) < 2 * KIB
    summary: Any = answer.structured["summary"]
    assert (summary["total_count"], summary["fields"]) == (500, ["id", "name", "note"])
    assert summary["preview"] == RECORDS[:3]
    for words in ('"total_count": 500', f"cache_id: {kept.handle}", "30 minutes", f'<artifact id="{kept.handle}"'):
        assert words in answer.text
    assert answer.result == {**summary, "cache_id": kept.handle}
    assert json.loads(await session.read(kept.id)) == {"query": "a", "records": RECORDS}


async def test_what_is_kept_says_in_short_what_the_summarizer_has_said(session: Verbs) -> None:
    answer = await session.tools(extra=[search_records]).call("search_records", {"query": "a"})
    (kept,) = answer.artifacts
    assert kept.version.summary_data == answer.structured["summary"] != {}
    assert (await session.get(kept.id)).version.summary_data == kept.version.summary_data
    (own,) = (await answer_of(session, "x" * 9000, summarizer=saying({"a": {"b": [1, None]}}))).artifacts
    assert own.version.summary_data == {"a": {"b": [1, None]}}
    (data,) = (await answer_of(session, b"abc")).artifacts
    assert data.version.summary_data == {}


@pytest.mark.parametrize(
    ("said", "kept"),
    [({"a\0b": "c\0d"}, {"a\ufffdb": "c\ufffdd"}), (json.loads('{"a":' * 300 + "1" + "}" * 300), {})],
)
async def test_a_summary_that_no_store_takes_does_not_lose_the_answer(
    session: Verbs, said: dict[str, object], kept: object
) -> None:
    answer = await answer_of(session, "x" * 9000, summarizer=saying(said))
    (artifact,) = answer.artifacts
    assert artifact.version.summary_data == kept
    assert await session.read(artifact.id) == b"x" * 9000


async def test_what_was_kept_is_read_as_the_answer_says(session: Verbs) -> None:
    tools = session.tools(extra=[search_records])
    answer = await tools.call("search_records", {"query": "a"})
    assert "path=$.records[0:20]" in answer.text
    cache_id = answer.structured["cacheId"]
    read = await tools.call("get_cached_result", {"cache_id": cache_id, "select": "path=$.records[7:9]"})
    assert json.loads(read.text.partition(":\n")[2]) == RECORDS[7:9]
    found = await tools.call("get_cached_result", {"cache_id": cache_id, "select": 'grep=Record 42"'})
    assert "Record 42" in found.text


async def test_what_was_kept_is_shown_as_a_panel_with_the_name_of_the_tool(side: Side) -> None:
    session = side.session()
    await session.tools(extra=[search_records]).call("search_records", {"query": "a"}, tool_call_id="call_1")
    (kept,) = await results(session)
    assert (kept.title, kept.version.metadata) == (
        "search_records", {"tool": "search_records", "category": "crm_records"},
    )  # fmt: skip
    assert kept.version.provenance.tool_call_id == "call_1"
    assert side.inside.types.named(kept.type).display == "panel"


async def test_a_small_answer_passes_as_it_is_and_nothing_is_kept(session: Verbs) -> None:
    for result, text in (
        ({"a": [1, 2]}, '{"a":[1,2]}'), ("text", "text"), (None, "null"), (7, "7"), ([], "[]"),
    ):  # fmt: skip
        answer = await answer_of(session, result, cache_ref=True)
        assert answer.result is result
        assert answer.text == text
    assert await results(session) == []


@pytest.mark.parametrize("over", [0, 1])
async def test_the_threshold_is_exact(session: Verbs, over: int) -> None:
    answer = await answer_of(session, "x" * (2 * KIB + over), threshold="2KB")
    assert len(answer.artifacts) == over


async def test_a_tool_that_does_not_want_it_keeps_nothing(session: Verbs) -> None:
    answer = await answer_of(session, "x" * 100 * KIB)
    assert answer.text == "x" * 100 * KIB
    assert await results(session) == []


async def test_bytes_never_reach_the_model(session: Verbs) -> None:
    answer = await answer_of(session, b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    assert "58 bytes" in answer.text
    assert "PNG" not in answer.text
    assert await session.read(answer.artifacts[0].id) == b"\x89PNG\r\n\x1a\n" + b"\0" * 50
    assert "3 bytes" in (await answer_of(session, memoryview(b"abc"))).text


async def test_what_was_answered_has_one_size_everywhere(session: Verbs) -> None:
    for result, told in ({"items": list(range(3000))}, "bytes"), (b"a", "1 byte, kept"):
        answer = await answer_of(session, result, cache_ref=True)
        (kept,) = answer.artifacts
        size = "1 byte" if kept.size == 1 else f"{kept.size:,} bytes"
        assert told in answer.text
        assert answer.text.count(size) == 2, "in words, and in the summary of the reference"


async def test_a_large_answer_is_kept_as_long_as_the_mark_says(side: Side) -> None:
    session = side.session()
    tools = session.tools(extra=[answering("x" * 9000, ttl="2h")])
    answer = await tools.call("answering", {})
    assert "2 hours" in answer.text
    cache_id = answer.structured["cacheId"]
    side.clock.move(minutes=119)
    assert not (await tools.call("get_cached_result", {"cache_id": cache_id})).is_error
    side.clock.move(minutes=2)
    gone = await tools.call("get_cached_result", {"cache_id": cache_id})
    assert code_of(gone) == "expired"
    assert "Call the tool again" in gone.text


async def test_a_summarizer_of_ones_own_is_used_and_one_that_raises_replaced(session: Verbs) -> None:
    def summarize(result: dict[str, Any], tool: str) -> dict[str, object]:
        return {"by": tool, "names": [each["name"] for each in result["items"][:2]]}

    used = await answer_of(session, RECORDS, summarizer=summarize)
    assert used.structured["summary"] == {"by": "answering", "names": ["Record 0", "Record 1"]}
    replaced = await answer_of(session, {"other": RECORDS}, summarizer=summarize)
    summary: Any = replaced.structured["summary"]
    assert summary["total_count"] == 500


async def test_a_summarizer_that_takes_for_ever_is_replaced_too(session: Verbs) -> None:
    release = threading.Event()

    def waits(_result: dict[str, Any], _tool: str) -> dict[str, object]:
        release.wait()
        return {"late": True}

    mark = Mark(is_cached=True, summarize=waits, threshold_bytes=1)
    results_of = Results(verbs=session, tool="wait", mark=mark, summary_seconds=0.01)
    answer = await results_of.answer(RECORDS, "call_1")
    release.set()
    told: Any = answer.structured["summary"]
    assert told["total_count"] == len(RECORDS)


async def test_a_summarizer_that_always_hangs_is_soon_waited_for_no_more(session: Verbs) -> None:
    release, threads = threading.Event(), Threads(most_of_one=2)

    def hangs(_result: dict[str, Any], _tool: str) -> dict[str, object]:
        release.wait()
        return {"late": True}

    mark = Mark(is_cached=True, summarize=hangs, threshold_bytes=1)
    before = threading.enumerate()
    for call, seconds in enumerate((0.01, 0.01, 3600, 3600, 3600)):
        results_of = Results(verbs=session, tool="hang", mark=mark, summary_seconds=seconds, threads=threads)
        answer = await asyncio.wait_for(results_of.answer(RECORDS, f"call_{call}"), 5)
        told: Any = answer.structured["summary"]
        assert told["total_count"] == len(RECORDS)
    hanging = [each for each in threading.enumerate() if each.name == "handiwork-apart" and each not in before]
    release.set()
    assert len(hanging) == 2


async def test_an_answer_that_cannot_be_kept_is_told_in_short(session: Verbs) -> None:
    answer = await answer_of(session, ["x" * MIB] * 11, cache_ref=True)
    assert not answer.is_error
    assert "could not be kept" in answer.text
    assert "limit" in answer.text
    assert '"total_count": 11' in answer.text
    assert await results(session) == []


class Point(pydantic.BaseModel):
    x: int
    at: datetime


@dataclasses.dataclass
class Line:
    start: Point
    seen: set[int]


async def test_values_of_python_are_answers_too(session: Verbs) -> None:
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    answer = await answer_of(session, Line(Point(x=1, at=noon), {3}))
    assert json.loads(answer.text) == {"start": {"x": 1, "at": "2026-03-04T12:00:00Z"}, "seen": [3]}
    assert json.loads((await answer_of(session, timedelta(hours=1))).text) == "PT1H"


async def test_an_answer_that_nothing_can_hold_is_a_failure(session: Verbs) -> None:
    endless: list[object] = []
    endless.append(endless)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for result in (endless, deep):
        answer = await answer_of(session, result, cache_ref=True)
        assert code_of(answer) == "tool_failed"


class Crooked(list[int]):
    def __iter__(self) -> Generator[int]:
        raise KeyError("first")


class Unreadable:
    def __str__(self) -> str:
        raise KeyError("text")


async def test_an_answer_that_fails_when_it_is_read_is_a_failure(session: Verbs) -> None:
    def breaks_off() -> Generator[int]:
        yield 1
        raise KeyError("second")

    async def yields() -> AsyncGenerator[int]:
        yield 1

    endless = (each for each in itertools.repeat(1))
    for result in (Unreadable(), {"a": [Unreadable()]}, breaks_off(), endless, itertools.count(), yields()):
        answer = await answer_of(session, result)
        assert code_of(answer) == "tool_failed"
        assert " at 0x" not in answer.text


class Leaving:
    def __str__(self) -> str:
        raise SystemExit(3)


class Unfinished(str):
    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        raise KeyError(encoding)


async def test_an_answer_cannot_take_its_caller_with_it_either(session: Verbs) -> None:
    def leaves() -> Generator[int]:
        yield 1
        raise SystemExit(3)

    for result in (Leaving(), {"a": Leaving()}, leaves()):
        assert code_of(await answer_of(session, result, cache_ref=True)) == "tool_failed"
    assert (await answer_of(session, Unfinished("a"))).text == "a"


async def test_numbers_that_json_does_not_have_are_told_in_words(session: Verbs) -> None:
    answer = await answer_of(session, {"a": [float("nan"), float("-inf"), 1.5]})
    assert answer.text == '{"a":["NaN","-Infinity",1.5]}'


@pytest.mark.parametrize("told", [Leaving(), {"artifact": True, "name": Leaving()}, Crooked([1])])
async def test_what_is_declared_in_any_way_cannot_make_a_call_raise(session: Verbs, told: object) -> None:
    answer = await answer_of(session, handiwork.ToolOutput("Done.", told))
    assert answer.text.startswith("Done.")
    assert (await session.list()).items == ()


async def test_what_yields_within_an_answer_is_a_list_too(session: Verbs) -> None:
    answer = await answer_of(session, {"rows": (number for number in range(3)), "more": [iter("ab")]})
    assert answer.result == {"rows": [0, 1, 2], "more": [["a", "b"]]}
    endless = await answer_of(session, {"rows": [itertools.count()]})
    assert endless.is_error
    assert "yields more than" in endless.text


async def test_what_a_tool_yields_is_a_list(session: Verbs) -> None:
    for yielded in ((number for number in range(3)), iter([0, 1, 2]), map(abs, [0, -1, 2])):
        answer = await answer_of(session, yielded)
        assert (answer.text, answer.result) == ("[0,1,2]", [0, 1, 2])


def half_a_character(_result: dict[str, Any], _tool: str) -> dict[str, object]:
    return {"a": "\ud800"}


async def test_half_a_character_does_not_break_an_answer(session: Verbs) -> None:
    for result in ("\ud800", {"a": "\ud800"}, "\ud800" * 9000):
        answer = await answer_of(session, result, cache_ref=True, summarizer=half_a_character)
        assert not answer.is_error
        answer.text.encode()


# Failures


async def test_a_tool_that_raises_is_an_error_that_is_kept_as_a_failure(session: Verbs) -> None:
    @handiwork.tool
    def explode(x: int) -> None:
        """Explode."""
        raise ValueError(f"no {x}")

    answer = await session.tools(extra=[explode]).call("explode", {"x": 3}, tool_call_id="call_1")
    assert answer.is_error
    assert answer.text == "`explode` failed: ValueError: no 3"
    (kept,) = await results(session)
    assert kept.version.metadata == {"tool": "explode", "failed": True}


@pytest.mark.parametrize(
    "failure", [StopIteration(), KeyError("x" * 100_000), TimeoutError(), RecursionError("\ud800")]
)
async def test_any_exception_is_an_error(session: Verbs, failure: Exception) -> None:
    @handiwork.tool
    def fails() -> None:
        """Fail."""
        raise failure

    @handiwork.tool
    async def fails_later() -> None:
        """Fail."""
        await asyncio.sleep(0)
        raise failure

    tools = session.tools(extra=[fails, fails_later])
    for name in ("fails", "fails_later"):
        answer = await tools.call(name, {})
        assert answer.is_error
        assert len(answer.text) < 3000
        answer.text.encode("utf-8", "surrogatepass")


class Mute(Exception):
    def __str__(self) -> str:
        raise KeyError("message")


class Own(BaseException):
    pass


@pytest.mark.parametrize("failure", [Mute(), SystemExit(3), asyncio.CancelledError(), Own("x")])
async def test_a_tool_cannot_take_its_caller_with_it(session: Verbs, failure: BaseException) -> None:
    @handiwork.tool
    def fails() -> None:
        """Fail."""
        raise failure

    @handiwork.tool
    async def fails_later() -> None:
        """Fail."""
        await asyncio.sleep(0)
        raise failure

    tools = session.tools(extra=[fails, fails_later])
    for name in ("fails", "fails_later"):
        answer = await tools.call(name, {})
        assert answer.text.startswith(f"`{name}` failed: {type(failure).__name__}")


async def test_an_error_of_ours_keeps_its_hint(session: Verbs) -> None:
    @handiwork.tool
    async def read_report() -> bytes:
        """Read the report."""
        return await session.read("none_k3x9")

    answer = await session.tools(extra=[read_report]).call("read_report", {})
    assert code_of(answer) == "artifact_not_found"
    assert "`none_k3x9`" in answer.text


async def test_a_call_that_is_given_up_is_given_up() -> None:
    @handiwork.tool
    async def wait() -> None:
        """Wait."""
        await asyncio.Event().wait()

    tools = Toolbox(None, Offer(), [wait])  # pyright: ignore[reportArgumentType]  # nothing is kept
    call = asyncio.create_task(tools.call("wait", {}))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# Arguments


async def test_arguments_are_read_as_the_function_declares_them(session: Verbs) -> None:
    seen: list[object] = []

    @handiwork.tool
    def book(at_time: datetime, people: list[Point], note: str | None, kind: str = "lunch") -> str:
        """Book a table."""
        seen.extend([at_time, people, note, kind])
        return "booked"

    tools = session.tools(extra=[book])
    noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
    call = {"atTime": noon.isoformat(), "people": [{"x": "1", "at": 0}], "note": None, "kind": None}
    assert (await tools.call("book", call)).text == "booked"
    assert seen == [noon, [Point(x=1, at=datetime(1970, 1, 1, tzinfo=UTC))], None, "lunch"]


async def test_wrong_arguments_are_told_and_the_function_is_not_called(session: Verbs) -> None:
    tools = session.tools(extra=[search_records])
    for call, words in (
        ({}, "`query`"), ({"query": 1}, "string"), ({"query": "a", "page": 1}, "`query`, `limit`"),
        ({"query": "a", "limit": "many"}, "`limit`"), ("[" * 100_000, "brackets"),
    ):  # fmt: skip
        answer = await tools.call("search_records", call)
        assert code_of(answer) == "invalid_content"
        assert words in answer.text
    assert await results(session) == []


# Where they run


PLACE = contextvars.ContextVar("PLACE", default="nowhere")


class Window(pydantic.BaseModel):
    kind: Literal["window"] = "window"
    first: int
    most: int = 20
    fields: list[int] = [1, 2]
    title: str | None


class Everything(pydantic.BaseModel):
    kind: Literal["everything"] = "everything"


@handiwork.tool
def look(part: Window | Everything, order: Literal["up", "down"] = "up") -> str:
    """Look."""
    return f"{part!r} {order}"


async def test_what_the_strict_form_makes_null_is_left_out_within_an_argument_too(session: Verbs) -> None:
    tools = session.tools(extra=[look])
    window = {"kind": "window", "first": 3, "most": None, "fields": None, "title": None}
    answer = await tools.call("look", {"part": window, "order": None})
    assert answer.text == "Window(kind='window', first=3, most=20, fields=[1, 2], title=None) up"
    (strict,) = [dict[str, Any](tool.strict_parameters or {}) for tool in tools if tool.name == "look"]
    assert strict["$defs"]["Everything"]["properties"] == {"kind": {"type": "string", "const": "everything"}}


@pytest.mark.parametrize(
    "wrong", [{"first": None, "title": None}, {"first": 3}, {"first": 3, "title": None, "fields": [1, None]}]
)
async def test_a_null_that_may_not_be_left_out_is_wrong(session: Verbs, wrong: dict[str, object]) -> None:
    answer = await session.tools(extra=[look]).call("look", {"part": {"kind": "window", **wrong}})
    assert code_of(answer) == "invalid_content"


async def test_a_sync_tool_runs_in_a_thread_with_the_context_of_the_call(session: Verbs) -> None:
    @handiwork.tool
    def where() -> list[object]:
        """Say where."""
        return [threading.current_thread() is threading.main_thread(), PLACE.get()]

    PLACE.set("here")
    assert (await session.tools(extra=[where]).call("where", {})).result == [False, "here"]


async def test_names_of_tools_are_different(session: Verbs) -> None:
    @handiwork.tool
    def read_artifact() -> None: ...

    for extra in ([read_artifact], [search_records, search_records]):
        with pytest.raises(InvalidTool, match="another tool has this name"):
            session.tools(extra=extra)
    with pytest.raises(InvalidTool, match="marked"):
        session.tools(extra=[json.dumps])


def test_without_await_tools_are_called_just_so(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path / "data") as engine:
        tools = engine.session("s").tools(extra=[search_records])
        assert isinstance(tools, SyncToolbox)
        assert [tool.name for tool in tools][-1] == "search_records"
        assert len(tools) == len(tools.openai()) == len(tools.openai_chat()) == len(tools.anthropic())
        answer = tools.call("search_records", {"query": "a"})
        read = tools.call("get_cached_result", {"cache_id": answer.structured["cacheId"], "select": "path=$.query"})
        assert read.text.endswith(':\n"a"')


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["code", "inputs", "title", "type", "content", "language", "mediaType", "artifactId", "artifact_id", "patch",
     "baseVersion", "version", "select", "query", "toolCallId", "cache_id", "limit"]
)  # fmt: skip
CONTENTS = st.sampled_from(["markdown", "json", "csv", "svg", "code", "html-sandboxed", "image", "file", "tool_result"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = handiwork.Settings.model_validate({"artifacts": {"ready_children": 0}})
    with handiwork.open_sync(tmp_path_factory.mktemp("hostile") / "data", settings=settings) as engine:
        yield engine.session("s").tools(extra=[search_records])


@given(
    name=st.sampled_from(
        ["generate_artifact", "revise_artifact", "read_artifact", "list_artifacts", "promote_to_artifact",
         "get_cached_result", "search_records", "generate_file"]
    ),
    arguments=st.dictionaries(NAMES | st.text(max_size=5), CONTENTS | ANYTHING, max_size=5) | ANYTHING,
    is_text=st.booleans(),
)  # fmt: skip
def test_no_arguments_make_a_call_raise(hostile: SyncToolbox, name: str, arguments: Any, is_text: bool) -> None:
    if isinstance(arguments, dict) and name == "generate_file":
        # What a program may do is tested elsewhere, and takes longer.
        arguments = {key: value for key, value in arguments.items() if key != "code"}
    if is_text:
        try:
            arguments = json.dumps(arguments)
        except (TypeError, ValueError):
            arguments = repr(arguments)
    answer = hostile.call(name, arguments)
    assert answer.text or not answer.is_error
    answer.text.encode()
    json.dumps(answer.structured, allow_nan=False).encode()


async def test_of_an_output_the_model_reads_the_text_and_the_declared_artifacts_are_kept(session: Verbs) -> None:
    declared = {"artifact": True, "kind": "file", "name": "a.md", "content": "# Never told"}
    answer = await answer_of(session, handiwork.ToolOutput("Written.", declared))
    (kept,) = (await session.list()).items
    assert (kept.name, kept.version.provenance.tool_call_id) == ("a.md", "call_1")
    assert answer.text.splitlines()[0] == "Written."
    assert kept.handle in answer.text
    assert "Never told" not in answer.text
    assert ([each.id for each in answer.artifacts], answer.result) == ([kept.id], "Written.")


async def test_an_output_that_declares_nothing_is_its_text(session: Verbs) -> None:
    answer = await answer_of(session, handiwork.ToolOutput("Seen.", {"seconds": 3}))
    assert (answer.text, answer.artifacts, answer.is_error) == ("Seen.", (), False)


async def test_a_declared_artifact_that_cannot_be_kept_is_told_with_the_text(session: Verbs) -> None:
    declared = {"artifact": True, "kind": "markdown", "name": "a.md", "content": "x" * (257 * KIB)}
    answer = await answer_of(session, handiwork.ToolOutput("Written.", declared))
    assert answer.text.startswith("Written.\nWhat the tool has made could not be kept (")
    assert "a.md" in answer.text
    assert (await session.list()).items == ()
