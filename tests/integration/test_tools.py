"""The tools of a session, called as a model calls them: what they do and what they answer, here and over HTTP.

Tools of one's own are in `test_own_tools.py`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from rooms import Room
from sides import Side, Verbs, open_side

from handiwork.model import KIB, TOOL_RESULT
from handiwork.store.records import Page
from handiwork.tools import answers
from handiwork.tools.arguments import GenerateArtifact, ReviseArtifact
from handiwork.tools.calls import MOST_LISTED, READ_BYTES
from handiwork.tools.tool import Answer
from handiwork.tools.toolbox import Toolbox
from handiwork.versions.arguments import Arguments
from handiwork.versions.calls import parsed_call, said_in

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"


@pytest.fixture
def tools(session: Verbs) -> Toolbox:
    return session.tools()


async def written(tools: Toolbox, content: str = "# Sales\nfell") -> str:
    answer = await tools.call("generate_artifact", {"type": "markdown", "title": "Report", "content": content})
    return answer.artifacts[0].handle


def refused(answer: Answer, *words: str) -> bool:
    error: Any = answer.structured["error"]
    assert answer.is_error
    assert error["code"]
    assert [word for word in words if word not in answer.text] == []
    return True


# Making


@pytest.mark.linux
async def test_a_program_makes_files_that_are_told_by_reference(tools: Toolbox, session: Verbs) -> None:
    call = {"code": "open('a.csv', 'w').write('x,y\\n1,2\\n'); print('done')", "title": "Sales"}
    answer = await tools.call("generate_file", call, tool_call_id="call_1")
    (made,) = answer.artifacts
    assert (made.title, made.version.provenance.tool_call_id) == ("Sales", "call_1")
    assert not answer.is_error
    assert f'<artifact id="{made.handle}" summary="a.csv (text/csv, 8 bytes)" />' in answer.text
    assert answer.text.endswith("It printed:\ndone")
    assert await session.read(made.handle) == b"x,y\n1,2\n"
    assert made.version.provenance.execution_id == answer.structured["execution"]["id"]  # pyright: ignore[reportIndexIssue]  # JSON


async def test_a_title_that_cannot_be_is_told_and_nothing_is_run(tools: Toolbox, session: Verbs) -> None:
    answer = await tools.call("generate_file", {"code": "open('a.csv', 'w').write('x')", "title": "x" * 301})
    assert refused(answer, "title", "300")
    # The first event of a session would be that of the run.
    assert (await session.list()).seq == 0


@pytest.mark.linux
def test_a_program_that_fails_is_told_with_its_line_and_what_it_printed(room: Room) -> None:
    answer = room.session.tools().call("generate_file", {"code": "print('so far')\nwidth = 1 / 0"})
    assert answer.is_error
    for words in ("line 2", "ZeroDivisionError", "width = 1 / 0", "so far"):
        assert words in answer.text


@pytest.mark.linux
@pytest.mark.parametrize(
    "code", ["print({!r})", "raise ValueError({!r})", "import sys\nsys.stderr.write({!r})\nsys.exit(3)"]
)
def test_what_a_program_says_hides_and_turns_nothing(room: Room, code: str) -> None:
    said = "one\0 \u202e\x1b[31mtwo\x1b[0m\u200b\n  three"
    answer = room.session.tools().call("generate_file", {"code": code.format(said)})
    assert "one two\n  three" in answer.text
    assert answer.text.replace("\n", "").isprintable()


@pytest.mark.linux
def test_the_errors_of_a_program_that_ends_itself_are_told_once(room: Room) -> None:
    tools = room.session.tools()
    wrote = tools.call("generate_file", {"code": "import sys\nprint('no column b', file=sys.stderr)\nsys.exit(3)"})
    assert wrote.text.endswith("exit code 3.\nIts errors:\nno column b")
    left = tools.call("generate_file", {"code": "import sys\nsys.exit('no column b')"})
    assert left.text == "The program failed with SystemExit: no column b."


@pytest.mark.linux
def test_a_program_that_is_refused_is_told_every_place(room: Room) -> None:
    answer = room.session.tools().call("generate_file", {"code": "import socket\nimport subprocess"})
    assert answer.is_error
    assert "line 1: Import not allowed: socket" in answer.text
    assert "line 2: Import not allowed: subprocess" in answer.text


@pytest.mark.linux
def test_an_artifact_is_an_input_by_its_id_or_by_the_whole_reference(room: Room) -> None:
    tools = room.session.tools()
    made = tools.call("generate_artifact", {"type": "markdown", "title": "Report", "content": "text"})
    handle = made.artifacts[0].handle
    for name in ([handle], handle, [f'<artifact id="{handle}" summary="a &quot;b&quot;" />']):
        answer = tools.call("generate_file", {"code": "print(open('Report.md').read())", "inputs": name})
        assert answer.text.endswith("It printed:\ntext")
    tools.call("revise_artifact", {"artifactId": handle, "content": "other"})
    earlier = {"code": "print(open('Report.md').read())", "inputs": f'<artifact id="{handle}" version="1"/>'}
    assert tools.call("generate_file", earlier).text.endswith("It printed:\ntext")


@pytest.mark.linux
def test_a_path_of_this_machine_is_no_input(room: Room, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    answer = room.session.tools().call("generate_file", {"code": "1", "inputs": [str(tmp_path / "secret.txt")]})
    assert refused(answer, "cannot be used")


async def test_an_artifact_is_made_read_and_revised(tools: Toolbox, session: Verbs) -> None:
    whole = '{"type": "markdown", "title": "Report", "content": "# Sales\\nfell"}'
    made = await tools.call("generate_artifact", whole, tool_call_id="call_1")
    handle = made.artifacts[0].handle
    assert f'<artifact id="{handle}"' in made.text
    assert (await session.get(handle)).version.provenance.tool_call_id == "call_1"
    edits = [{"find": "fell", "replace": "rose"}]
    revised = await tools.call("revise_artifact", {"artifactId": handle, "patch": edits, "baseVersion": 1})
    assert "version 2" in revised.text
    read = await tools.call("read_artifact", {"artifactId": handle})
    assert read.text.endswith("version 2:\n# Sales\nrose")
    earlier = await tools.call("read_artifact", {"artifactId": handle, "version": 1})
    assert earlier.text.endswith("version 1:\n# Sales\nfell")


async def test_structured_content_is_an_object_or_its_text(tools: Toolbox, session: Verbs) -> None:
    for content in ({"a": [1, None]}, '{"a": [1, null]}'):
        made = await tools.call("generate_artifact", {"type": "json", "title": "A", "content": content})
        assert json.loads(await session.read(made.artifacts[0].id)) == {"a": [1, None]}


async def test_names_are_understood_in_either_spelling(tools: Toolbox) -> None:
    for media_type in ("mediaType", "media_type", "mimeType", "mime_type"):
        call = {"type": "file", "title": "page", "content": "a,b\n", media_type: "text/csv"}
        assert (await tools.call("generate_artifact", call)).artifacts[0].name == "page.csv"
    handle = await written(tools)
    for artifact_id, base in (("artifactId", "baseVersion"), ("artifact_id", "base_version")):
        answer = await tools.call("revise_artifact", {artifact_id: handle, base: 1, "content": "# Sales\nrose"})
        assert not answer.is_error


async def test_what_is_null_was_left_out(tools: Toolbox) -> None:
    handle = await written(tools)
    edits = [{"find": "fell", "replace": "rose"}]
    call = {"artifactId": handle, "patch": edits, "content": None, "baseVersion": None}
    assert not (await tools.call("revise_artifact", call)).is_error
    assert not (await tools.call("list_artifacts", {"type": None, "query": None})).is_error


async def test_tools_act_as_the_agent(side: Side, tools: Toolbox) -> None:
    handle = await written(tools)
    made = await side.session().get(handle)
    # Over HTTP the key says who acts, and this server takes everybody for its user.
    assert made.version.provenance.principal.kind == ("agent" if side.where == "here" else "user")


async def test_a_result_is_no_type_to_make(tools: Toolbox, session: Verbs) -> None:
    answer = await tools.call("generate_artifact", {"type": TOOL_RESULT, "title": "A", "content": "{}"})
    assert refused(answer, "`markdown`")
    assert (await session.list()).items == ()


# Reading


async def test_a_long_text_comes_in_parts_and_says_how_to_go_on(tools: Toolbox) -> None:
    lines = [f"line {number}" for number in range(5000)]
    handle, select, seen = await written(tools, "\n".join(lines)), None, list[str]()
    while True:
        answer = await tools.call("read_artifact", {"artifactId": handle, "select": select})
        head, _, shown = answer.text.partition(":\n")
        assert len(answer.text.encode()) <= READ_BYTES + KIB
        seen += shown.splitlines()
        select = answer.structured.get("continuation")
        if select is None:
            break
        assert f'go on with select "{select}"' in head
    assert seen == lines


async def test_a_part_is_read_by_a_selector(tools: Toolbox) -> None:
    handle = await written(tools, "one\ntwo\nthree")
    assert (await tools.call("read_artifact", {"artifactId": handle, "select": "lines=2:2"})).text.endswith(":\ntwo\n")
    assert refused(await tools.call("read_artifact", {"artifactId": handle, "select": "line=2"}), "`lines=1:50`")


async def test_a_whole_reference_says_which_version_and_which_part(tools: Toolbox) -> None:
    handle = await written(tools, "one\ntwo\nthree")
    await tools.call("revise_artifact", {"artifactId": handle, "content": "one\nTWO\nthree"})
    whole = f'<artifact id="{handle}" version="1" select="lines=2:2" summary="s"/>'
    for name in ("artifactId", "artifact_id"):
        read = await tools.call("read_artifact", {name: whole})
        assert " version 1, only a part" in read.text
        assert read.text.endswith(":\ntwo\n")
    # What the model says itself counts.
    own = await tools.call("read_artifact", {"artifactId": whole, "version": 2, "select": "lines=3:3"})
    assert own.structured["artifacts"][0]["version"] == 2  # pyright: ignore[reportIndexIssue]  # JSON
    assert own.text.endswith(":\nthree")
    # Both sides have changed the same line since that version.
    revised = await tools.call("revise_artifact", {"artifactId": whole, "content": "one\n2\nthree"})
    assert refused(revised, "TWO")
    own = await tools.call("revise_artifact", {"artifactId": whole, "content": "one\n2\nthree", "baseVersion": 2})
    assert not own.is_error


async def test_a_whole_reference_to_a_result_says_which_part(tools: Toolbox, session: Verbs) -> None:
    kept = await session.record("call_1", tool="search", result=[1, 2, 3])
    for name in ("cacheId", "cache_id"):
        answer = await tools.call("get_cached_result", {name: f"<artifact id='{kept.handle}' select='path=$[1]'/>"})
        assert answer.text.endswith(":\n2")


async def test_what_is_no_text_says_how_its_inside_is_to_be_had(tools: Toolbox, session: Verbs) -> None:
    image = await session.create("file", content=PNG, name="dot.png")
    answer = await tools.call("read_artifact", {"artifactId": image.handle})
    for words in ("image/png", "generate_file", f'["{image.handle}"]', "`dot.png`"):
        assert words in answer.text
    assert "PNG\r" not in answer.text


async def test_the_artifacts_are_listed_and_results_of_tools_where_they_are_asked_for(
    tools: Toolbox, session: Verbs
) -> None:
    assert (await tools.call("list_artifacts", "")).text == "There is none."
    handle = await written(tools)
    result = await session.record("call_1", tool="search", result=[1])
    listed = await tools.call("list_artifacts", {})
    assert [each.handle for each in listed.artifacts] == [handle]
    assert f'<artifact id="{handle}"' in listed.text
    assert 'markdown "Report", version 1' in listed.text
    assert [each.id for each in (await tools.call("list_artifacts", {"type": TOOL_RESULT})).artifacts] == [result.id]
    assert (await tools.call("list_artifacts", {"query": "nothing"})).text == "There is none."


async def test_who_lists_a_type_that_there_is_not_is_told_which_there_are(tools: Toolbox) -> None:
    told = (await tools.call("list_artifacts", {"type": "pdf"})).text
    assert told.startswith("There is none. The types are ")
    assert all(name in told for name in ("markdown", "csv", "file", TOOL_RESULT))
    assert (await tools.call("list_artifacts", {"type": "csv"})).text == "There is none."


async def test_a_type_may_be_listed_by_another_name_of_it(tools: Toolbox) -> None:
    page = {"type": "html", "title": "Page", "content": "<p>Hello</p>"}
    made = (await tools.call("generate_artifact", page)).artifacts[0]
    listed = await tools.call("list_artifacts", {"type": "html"})
    assert [(each.id, each.type) for each in listed.artifacts] == [(made.id, "html-sandboxed")]


async def test_what_there_is_is_listed_however_much_tools_have_answered_since(tools: Toolbox, session: Verbs) -> None:
    handle = await written(tools)
    for number in range(MOST_LISTED + 1):
        await session.record(f"call_{number}", tool="search", result=[number])
    assert [each.handle for each in (await tools.call("list_artifacts", {})).artifacts] == [handle]
    found = await tools.call("list_artifacts", {"query": "report"})
    assert [each.handle for each in found.artifacts] == [handle]
    results = await tools.call("list_artifacts", {"type": TOOL_RESULT})
    assert len(results.artifacts) == MOST_LISTED
    assert results.text.endswith("There are more: narrow it by type or query.")


def test_nobody_is_told_that_nothing_is_there_while_there_is_more() -> None:
    assert answers.listed(Page(items=(), next_cursor="next")).text == "There are more: narrow it by type or query."
    assert answers.listed(Page(items=(), next_cursor=None)).text == "There is none."


async def test_a_result_is_read_by_its_cache_id_and_promoted(tools: Toolbox, session: Verbs) -> None:
    kept = await session.record("call_1", tool="search", result=[{"n": n} for n in range(100)])
    for name in ("cacheId", "cache_id"):
        answer = await tools.call("get_cached_result", {name: kept.handle, "select": "rows=3:5"})
        assert answer.text.endswith(':\n[{"n":3},{"n":4}]')
    found = await tools.call("get_cached_result", {"cache_id": kept.id, "select": "path=$[7].n"})
    assert found.text.endswith(":\n7")
    promoted = await tools.call("promote_to_artifact", {"toolCallId": "call_1", "type": "csv", "title": "Numbers"})
    assert (await session.read(promoted.artifacts[0].id)).startswith(b'"n"\n"0"\n"1"\n')


async def test_a_result_that_is_not_kept_is_told_apart_from_one_that_is_kept_no_longer(
    tools: Toolbox, side: Side
) -> None:
    session = side.session()
    kept = await session.record("call_1", tool="search", result=[1])
    assert refused(await tools.call("get_cached_result", {"cache_id": "none_k3x9"}), "no stored result", "again")
    # Another artifact is no result, whoever asks for it.
    handle = await written(tools)
    assert refused(await tools.call("get_cached_result", {"cache_id": handle}), "no stored result")
    side.clock.move(minutes=31)
    assert refused(await tools.call("get_cached_result", {"cache_id": kept.handle}), "no longer", "again")


async def test_what_lies_in_another_session_is_not_there(side: Side, tools: Toolbox) -> None:
    other = side.session("other")
    foreign = await other.create("markdown", content="secret", title="Foreign")
    result = await other.record("call_1", tool="search", result="secret")
    calls: list[tuple[str, dict[str, object]]] = [
        ("read_artifact", {"artifactId": foreign.id}),
        ("read_artifact", {"artifactId": foreign.handle}),
        ("revise_artifact", {"artifactId": foreign.id, "content": "mine"}),
        ("generate_file", {"code": "1", "inputs": [foreign.id]}),
        ("get_cached_result", {"cache_id": result.id}),
        ("promote_to_artifact", {"toolCallId": "call_1", "type": "markdown"}),
    ]
    for name, arguments in calls:
        answer = await tools.call(name, arguments)
        assert refused(answer)
        assert "secret" not in answer.text
    assert (await tools.call("list_artifacts", {})).artifacts == ()
    # In its own session each of them works.
    own = other.tools()
    for name, arguments in calls:
        if name != "generate_file":
            assert not (await own.call(name, arguments)).is_error, name


# Mistakes


async def test_a_mistake_names_the_argument_and_what_was_expected(tools: Toolbox) -> None:
    assert refused(await tools.call("read_artifact", {}), "`artifactId`", "nothing")
    assert refused(await tools.call("read_artifact", {"artifactId": 7}), "`artifactId`", "string", "`int`")
    assert refused(await tools.call("read_artifact", {"id": "a"}), "`artifactId`")
    unknown = await tools.call("read_artifact", {"artifactId": "a", "page": 2})
    assert refused(unknown, "`page`", "`artifactId`, `version`, `select`")
    assert refused(await tools.call("read_artifact", {"artifactId": "a", "version": 0}), "`version`", "greater")
    assert refused(await tools.call("generate_artifact", {"type": "poem", "title": "A", "content": ""}), "`markdown`")
    assert refused(await tools.call("paint", {}), "generate_file", "read_artifact")
    assert refused(await tools.call("list_artifacts", "[]"), "one JSON object", "`list`")
    assert refused(await tools.call("list_artifacts", "{'a': 1}"), "`arguments`")
    assert refused(await tools.call("read_artifact", {"artifactId": "none_k3x9"}), "`none_k3x9`", "list_artifacts")


async def test_a_truth_is_no_number_of_a_version(tools: Toolbox) -> None:
    handle = await written(tools)
    for name, argument in (("read_artifact", "version"), ("revise_artifact", "baseVersion")):
        answer = await tools.call(name, {"artifactId": handle, argument: True})
        assert refused(answer, f"`{argument}`", "a number", "`bool`")


async def test_content_that_was_read_is_neither_copied_nor_written_and_read_again() -> None:
    content = {"rows": [[1, None], "x"]}
    for model, given in (
        (GenerateArtifact, {"type": "json", "title": "A", "content": content}),
        (ReviseArtifact, {"artifactId": "a_k3x9", "patch": content, "baseVersion": 1}),
    ):
        said = said_in(parsed_call(model, given))
        assert said == given
        whole = await Arguments.read(said).whole()
        assert whole == given
        assert content is whole.get("content", whole.get("patch"))


async def test_an_edit_that_misses_is_shown_the_nearest_text(tools: Toolbox) -> None:
    handle = await written(tools, "The sales of March fell by four per cent.\n")
    edits = [{"find": "The sales of March rose by four per cent.", "replace": "x"}]
    answer = await tools.call("revise_artifact", {"artifactId": handle, "patch": edits})
    assert refused(answer, "nothing was changed", "The sales of March fell by four per cent.")


async def test_a_conflict_shows_both_sides(tools: Toolbox, session: Verbs) -> None:
    handle = await written(tools, "one\n")
    await session.revise(handle, content="theirs\n")
    answer = await tools.call("revise_artifact", {"artifactId": handle, "content": "mine\n", "baseVersion": 1})
    assert refused(answer, "version 2", "theirs", "mine")


HOSTILE = {
    "deep text": '{"artifactId": ' + "[" * 100_000,
    "deep and whole": '{"content": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a name twice": '{"artifactId": "a", "artifactId": "b"}',
    "half a character": '{"artifactId": "\\ud800"}',
    "half a character as it is": '{"artifactId": "\ud800"}',
    "NUL": '{"artifactId": "\\u0000"}',
    "no number": '{"version": NaN}',
    "a huge number": '{"version": 1' + "0" * 5000 + "}",
    "no JSON": "read the report",
    "a list": "[1]",
    "null": "null",
    "a long name": json.dumps({"x" * 100_000: 1}),
    "a long value": json.dumps({"artifactId": "x" * 1_000_000}),
}


@pytest.mark.parametrize("arguments", HOSTILE.values(), ids=HOSTILE.keys())
async def test_hostile_arguments_are_a_short_answer_and_store_nothing(
    tools: Toolbox, session: Verbs, arguments: str
) -> None:
    for tool in tools:
        answer = await tools.call(tool.name, arguments)
        assert answer.is_error
        assert len(answer.text) < 3000
        answer.text.encode()
        json.dumps(answer.structured, allow_nan=False).encode()
    assert (await session.list()).items == ()


async def test_a_value_that_is_no_json_is_refused_where_arguments_are_a_mapping(tools: Toolbox) -> None:
    endless: list[object] = []
    endless.append(endless)
    for value in (endless, {1, 2}, object(), float("inf"), b"bytes", {1: 2}, "\ud800"):
        answer = await tools.call("generate_artifact", {"type": "json", "title": "A", "content": value})
        assert refused(answer, "`arguments`")
    for arguments in (7, [1], object(), b"\xff", 1.5):
        assert refused(await tools.call("list_artifacts", arguments))


async def test_a_name_of_a_tool_may_be_anything(tools: Toolbox) -> None:
    for name in ("", "x" * 10_000, "\0", "\ud800", None, 7, ["read_artifact"]):
        answer = await tools.call(name, {})  # pyright: ignore[reportArgumentType]  # what a framework may hand on
        assert refused(answer, "generate_file")
        answer.text.encode()


async def test_an_id_of_a_call_that_cannot_be_is_told(tools: Toolbox, session: Verbs) -> None:
    call = {"type": "markdown", "title": "A", "content": "a"}
    assert refused(await tools.call("generate_artifact", call, tool_call_id="x" * 500), "tool call id", "200")
    assert (await session.list()).items == ()


async def test_content_over_the_cap_is_told_with_the_limit(tools: Toolbox, session: Verbs) -> None:
    call = {"type": "markdown", "title": "A", "content": "x" * 300 * KIB}
    assert refused(await tools.call("generate_artifact", call), "262,144")
    assert (await session.list()).items == ()


async def test_what_goes_wrong_inside_is_told_without_the_place(tmp_path: Path) -> None:
    async with open_side("here", tmp_path / "data") as side:
        session = side.session()
        tools = session.tools()
        handle = await written(tools, "text")
        (stored,) = [path for path in (tmp_path / "data").rglob("Report.md") if path.is_file()]
        stored.write_bytes(b"other")
        answer = await tools.call("read_artifact", {"artifactId": handle})
        assert refused(answer, "Stored bytes differ")
        assert str(tmp_path) not in answer.text


async def test_the_descriptions_are_the_same_on_both_sides(tools: Toolbox, side: Side) -> None:
    inside = side.inside.session("s").tools()
    assert tools.openai() == inside.openai()
    assert "Installed: " in tools.openai()[0]["description"]
