"""The tools of a session, called as a model calls them: what they do, what they answer, here and over HTTP."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sides import SIDES, Side, Verbs, Where, open_side

from handiwork.tools.toolbox import Toolbox


@pytest.fixture(params=SIDES)
async def side(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Side]:
    where: Where = request.param
    async with open_side(where, tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def session(side: Side) -> Verbs:
    return side.session()


@pytest.fixture
def tools(session: Verbs) -> Toolbox:
    return session.tools()


@pytest.mark.linux
async def test_a_program_makes_files_that_are_told_by_reference(tools: Toolbox, session: Verbs) -> None:
    answer = await tools.call("generate_file", {"code": "open('a.csv', 'w').write('x,y\\n1,2\\n'); print('done')"})
    (made,) = answer.artifacts
    assert not answer.is_error
    assert f'<artifact id="{made.handle}" summary="a.csv (text/csv, 8 bytes)" />' in answer.text
    assert answer.text.endswith("It printed:\ndone")
    assert await session.read(made.handle) == b"x,y\n1,2\n"


async def test_an_artifact_is_made_read_and_revised(tools: Toolbox, session: Verbs) -> None:
    written = '{"type": "markdown", "title": "Report", "content": "# Sales\\nfell"}'
    made = await tools.call("generate_artifact", written, tool_call_id="call_1")
    handle = made.artifacts[0].handle
    assert (await session.get(handle)).version.provenance.tool_call_id == "call_1"
    edits = [{"find": "fell", "replace": "rose"}]
    revised = await tools.call("revise_artifact", {"artifact_id": handle, "patch": edits, "content": None})
    assert "version 2" in revised.text
    read = await tools.call("read_artifact", {"artifactId": handle})
    assert read.text.endswith("version 2:\n# Sales\nrose")
