"""An Autopilot with a session: its tools are the model's, and what is collected is kept in the store."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from sides import Side

import handiwork
from handiwork import Autopilot, Goal, ToolOutput
from handiwork.errors import InvalidContent, InvalidTool
from scripted_models import Script, call

FIB = "```py\ndef fib(n): ...\n```"
GOAL = Goal("Write it.")


async def kept(side: Side) -> dict[str, str]:
    return {each.name: each.type for each in (await side.session().list()).items}


async def test_what_the_tools_of_the_session_make_is_collected_with_its_content(side: Side) -> None:
    notes = call("generate_artifact", type="markdown", title="Notes", content="# Notes\n")
    autopilot = Autopilot(llm=Script(notes, "Done.").model, goal=GOAL, artifacts=True, session=side.session())
    result = await autopilot.arun()
    made = result.artifacts[0]
    assert (result.status, made["kind"], made["name"], made["content"]) == (
        "completed",
        "markdown",
        "Notes.md",
        "# Notes\n",
    )
    found = await side.session().get(made["metadata"]["handle"])
    assert (found.id, found.version.number) == (made["metadata"]["id"], made["metadata"]["version"])
    assert found.version.provenance.tool_call_id is not None


async def test_text_what_tools_declare_and_the_answer_are_kept(side: Side) -> None:
    def table() -> ToolOutput:
        """Make a table."""
        return ToolOutput("Made.", {"artifact": True, "kind": "table", "name": "t.csv", "content": "a,b\n1,2\n"})

    script = Script(call("table"), FIB)
    await Autopilot(llm=script.model, goal=GOAL, artifacts=True, tools=[table], session=side.session()).arun()
    assert "generate_file" in script.tools
    assert await kept(side) == {"t.csv": "csv", "iter1-block1.py": "code", "iter1-answer.md": "markdown"}


async def test_an_output_that_is_a_document_is_kept_once_and_collected_as_both(side: Side) -> None:
    document = "# Doubling\n\n" + "It doubles, and then it doubles again. " * 10 + "The end."
    result = await Autopilot(llm=Script(document).model, goal=GOAL, artifacts=True, session=side.session()).arun()
    assert [each["kind"] for each in result.artifacts] == ["markdown", "answer"]
    assert await kept(side) == {"iter1-doubling.md": "markdown"}


async def test_what_a_run_makes_is_told_as_the_agents(side: Side) -> None:
    def table() -> ToolOutput:
        """Make a table."""
        return ToolOutput("Made.", {"artifact": True, "kind": "table", "name": "t.csv", "content": "a,b\n1,2\n"})

    notes = call("generate_artifact", type="markdown", title="Notes", content="# Notes\n")
    script = Script(notes, call("table"), FIB)
    await Autopilot(llm=script.model, goal=GOAL, artifacts=True, tools=[table], session=side.session()).arun()
    page = await side.session().list()
    assert len(page.items) == 4
    # On a server the key says it, and there is none here.
    expected = "agent" if side.where == "here" else "user"
    assert {each.name: each.version.provenance.principal.kind for each in page.items} == {
        each.name: expected for each in page.items
    }


async def test_a_marked_function_is_a_tool_of_the_session(side: Side) -> None:
    @handiwork.tool(name="survey", description="Survey it.", threshold="1KB")
    def function() -> ToolOutput:
        table = {"artifact": True, "kind": "table", "name": "t.csv", "content": "a,b\n1,2\n"}
        return ToolOutput("x" * 5000, table)

    script = Script(call("survey"), "Done.")
    result = await Autopilot(
        llm=script.model, goal=GOAL, artifacts=True, tools=[function], session=side.session()
    ).arun()
    assert "cache_id: " in script.asked[1]
    assert "x" * 1000 not in script.asked[1]
    assert [each["name"] for each in result.artifacts] == ["t.csv", "iter1-answer.md"]
    assert (await kept(side))["t.csv"] == "csv"


async def test_what_a_tool_of_a_toolbox_declares_is_collected(side: Side) -> None:
    @handiwork.tool
    def survey() -> ToolOutput:
        return ToolOutput("Surveyed.", {"artifact": True, "name": "t.txt", "content": "a"})

    script = Script(call("survey"), "Done.")
    toolbox = side.session().tools(extra=[survey])
    result = await Autopilot(llm=script.model, goal=GOAL, artifacts=True, tools=[toolbox]).arun()
    assert "content='Surveyed." in script.asked[1]
    assert '"artifact"' not in script.asked[1]
    assert [each["name"] for each in result.artifacts] == ["t.txt", "iter1-answer.md"]


async def test_what_the_store_refuses_is_a_problem_and_the_run_goes_on(side: Side) -> None:
    script = Script("```py\n\0\n```")
    autopilot = Autopilot(llm=script.model, goal=GOAL, artifacts=True, session=side.session())
    events = [event async for event in autopilot.astream()]
    problems = [event for event in events if event["kind"] == "autopilot.problem"]
    assert [event["what"] for event in problems] == ["keep", "keep"]
    assert "iter1-block1.py" in problems[0]["why"]
    assert events[-1]["status"] == "completed"
    assert await kept(side) == {}


async def test_what_a_tool_only_reads_is_not_collected(side: Side) -> None:
    there = await side.session().create("markdown", content="# There\n", title="There")
    script = Script(call("read_artifact", artifactId=there.handle), call("list_artifacts"), "Read.")
    result = await Autopilot(llm=script.model, goal=GOAL, artifacts=True, session=side.session()).arun()
    assert "# There" in script.asked[1]
    assert [each["kind"] for each in result.artifacts] == ["answer"]


@pytest.mark.linux
async def test_a_file_of_a_program_is_collected_as_a_reference(side: Side) -> None:
    picture = "from PIL import Image\nImage.new('RGB', (2, 2)).save('a.png')\n"
    code = picture + "open('b.csv', 'w').write('a,b\\n')"
    script = Script(call("generate_file", code=code), "Done.")
    result = await Autopilot(llm=script.model, goal=GOAL, artifacts=True, session=side.session()).arun()
    files = {each["name"]: each["content"] for each in result.artifacts if each["kind"] == "file"}
    assert files["b.csv"] == "a,b\n"
    assert re.match(r'<artifact id="a_\w{4}"', files["a.png"])


async def test_a_large_answer_of_a_marked_tool_is_kept_and_not_told_whole(side: Side) -> None:
    @handiwork.tool(cache_ref=True, name="search")
    def found() -> list[dict[str, int]]:
        """Search."""
        return [{"number": number} for number in range(2000)]

    script = Script(call("search"), "Done.")
    autopilot = Autopilot(llm=script.model, goal=GOAL, artifacts=True, tools=[found], session=side.session())
    result = await autopilot.arun()
    assert (result.status, [made["kind"] for made in result.artifacts]) == ("completed", ["answer"])
    assert "cache_id: " in script.asked[-1]
    assert "'number': 1999" not in script.asked[-1]
    assert [each.type for each in (await side.session().list(type="tool_result")).items] == ["tool_result"]


async def test_what_a_tool_declares_beside_a_large_answer_is_collected(side: Side) -> None:
    @handiwork.tool(cache_ref=True)
    def report() -> ToolOutput:
        """Report."""
        return ToolOutput("x" * 20_000, {"artifact": True, "kind": "note", "name": "n.md", "content": "# N"})

    script = Script(call("report"), "Done.")
    result = await Autopilot(llm=script.model, goal=GOAL, artifacts=True, tools=[report], session=side.session()).arun()
    assert [(made["kind"], made["name"], made["content"]) for made in result.artifacts] == [
        ("note", "n.md", "# N"),
        ("answer", "iter1-answer.md", "Done."),
    ]


def test_a_session_without_await_is_for_run_and_stream(tmp_path: Path) -> None:
    notes = call("generate_artifact", type="markdown", title="Notes", content="# Notes\n")
    with handiwork.open_sync(tmp_path / "data") as engine:
        session = engine.session("s")
        result = Autopilot(llm=Script(notes, "Done.").model, goal=GOAL, artifacts=True, session=session).run()
        assert (result.status, [made["name"] for made in result.artifacts]) == (
            "completed",
            ["Notes.md", "iter1-answer.md"],
        )
        streaming = Autopilot(llm=Script(notes, "Done.").model, goal=GOAL, artifacts=True, session=session)
        kinds = [event["kind"] for event in streaming.stream()]
        assert (kinds[0], kinds[-1]) == ("autopilot.run_started", "autopilot.result")
        assert len(session.list().items) == 3


async def test_a_session_without_await_is_refused_where_it_would_be_awaited(tmp_path: Path) -> None:
    def refused() -> str:
        with handiwork.open_sync(tmp_path / "data") as engine:
            autopilot = Autopilot(llm=Script("Done.").model, goal=GOAL, session=engine.session("s"))
            with pytest.raises(InvalidContent) as caught:
                asyncio.run(autopilot.arun())
            return str(caught.value)

    told = await asyncio.to_thread(refused)
    assert "`session` is not valid: expected one of `handiwork.open` or `handiwork.connect` for `arun`" in told


def test_a_tool_that_is_no_function_is_refused_at_once() -> None:
    tools: Any = [3]
    with pytest.raises(InvalidTool, match="The tool `3` cannot be used: expected a function or a `Toolbox`"):
        Autopilot(llm=Script("Done.").model, goal=GOAL, tools=tools)
