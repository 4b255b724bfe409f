"""An Autopilot with a session: its tools are the model's, and what is collected is kept in the store."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sides import SIDES, Side, Where, open_side

import handiwork
from handiwork import Autopilot, Goal, ToolOutput
from scripted_models import Script, call

FIB = "```py\ndef fib(n): ...\n```"
GOAL = Goal("Write it.")


@pytest.fixture(params=SIDES)
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Side]:
    where: Where = request.param
    async with open_side(where, tmp_path) as opened:
        yield opened


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
    assert "content='Surveyed.'" in script.asked[1]
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
