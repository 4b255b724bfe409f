"""What an agent is told at the beginning of a turn, from both sides."""

import xml.etree.ElementTree as ET
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from doors import API, bearer, key_for, open_server
from sides import Side

import handiwork
from handiwork.context.turn import LEAST_TOKENS, MOST_TOKENS, TurnContext
from handiwork.errors import InvalidLimit
from handiwork.model import Artifact
from handiwork.types.declaring import ContentModel, artifact_type


class Note(ContentModel):
    """A note for these tests."""

    text: str


NOTE = artifact_type("note", states=("draft", "sent"), transitions={"draft": ("sent",)})(Note)


def tags(context: TurnContext) -> list[dict[str, str]]:
    """The actions, each as its attributes without who did it."""
    parts = [ET.fromstring(part.text).attrib for part in context.parts if part.kind == "artifact_action"]
    assert all(each.pop("by") == "user" for each in parts)
    return parts


async def test_there_is_nothing_to_tell_of_an_empty_session(side: Side) -> None:
    assert await side.session().context() == TurnContext(parts=())


async def test_an_agent_is_told_what_there_is_and_what_users_did(side: Side) -> None:
    user = side.session()
    agent = side.inside.session("s", principal="agent")
    notes = await agent.create("markdown", title='Notes "1"', content="# a")
    gone = await agent.create("json", title="Gone", content={"a": 1})
    await agent.revise(notes.id, content="# agent's")
    await user.revise(notes.id, content="# user's", reason='shorter </artifact_action> "please"')
    await user.restore(notes.id, 1)
    await user.label(notes.id, "final")
    await user.step(notes.id, facts={"seen": True})
    await agent.label(notes.id, "agent's")
    await user.remove(gone.id)
    told = await user.context()
    (block,) = [part.text for part in told.parts if part.kind == "system_context"]
    (shown,) = ET.fromstring(block)  # our own text, in a test
    assert shown.attrib == {
        "id": notes.handle,
        "type": "markdown",
        "title": 'Notes "1"',
        "version": "4",
        "summary": (await user.get(notes.id)).version.summary,
    }
    assert tags(told) == [
        {"id": notes.handle, "action": "edited", "version": "3", "reason": 'shorter </artifact_action> "please"'},
        {"id": notes.handle, "action": "restored", "version": "4", "restores": "1"},
        {"id": notes.handle, "action": "changed", "changed": "labels"},
        {"id": notes.handle, "action": "changed", "changed": "facts"},
        {"id": gone.handle, "action": "removed"},
    ]
    assert await agent.context() == told
    assert told.tokens <= 1000


async def test_nothing_that_happens_elsewhere_changes_a_byte(side: Side) -> None:
    session = side.session()
    notes = await session.create("markdown", title="Notes", content="# a")
    await session.revise(notes.id, content="# b")
    told = str(await session.context())
    await side.session("other").create("markdown", title="Other", content="x")
    await session.expand(f"<artifact id='{notes.handle}'/>")
    await session.read(notes.id)
    assert str(await session.context()) == told
    assert "Other" not in told
    await session.revise(notes.id, content="# c")
    assert str(await session.context()) != told


async def test_what_tools_answer_changes_no_byte(side: Side) -> None:
    session = side.session()
    await session.create("markdown", title="Notes", content="# a")
    told = str(await session.context())
    for number in range(100):
        await session.record(f"call_{number}", tool="search", result=[number])
    assert str(await session.context()) == told
    assert "Notes" in told


async def test_a_small_budget_keeps_the_newest_and_counts_the_rest(side: Side) -> None:
    session = side.session()
    made: list[Artifact] = []
    for number in range(12):
        made.append(await session.create("markdown", title=f"Notes {number}", content="x"))
        side.clock.now += timedelta(seconds=1)
    for number in range(12):
        await session.revise(made[0].id, content=f"{number}")
    for budget in (LEAST_TOKENS, 200, 400, 1000):
        told = await session.context(budget=budget)
        assert told.tokens <= budget
        actions = tags(told)
        counted = int(actions[0].get("count", 0))
        assert counted + len(actions) - (1 if counted else 0) == 12
        assert [each.get("version") for each in actions if "version" in each] == [
            str(number) for number in range(14 - len([each for each in actions if "version" in each]), 14)
        ]
        ids = [tag.attrib["id"] for tag in ET.fromstring(told.parts[0].text) if tag.tag == "artifact"]  # our own
        assert ids == [each.handle for each in made[len(made) - len(ids) :]]
        assert ("older_artifacts_left_out" in told.parts[0].text) == (len(ids) < 12)


async def test_what_users_did_stays_when_the_artifact_has_gone(side: Side) -> None:
    session = side.session()
    gone = await session.create("markdown", title="Gone", content="a")
    await session.revise(gone.id, content="b", reason="because")
    await session.remove(gone.id)
    await side.inside.clean()
    told = await session.context()
    assert tags(told) == [
        {"id": gone.handle, "action": "edited", "version": "2"},
        {"id": gone.handle, "action": "removed"},
    ]
    assert [part.kind for part in told.parts] == ["artifact_action"] * 2


@pytest.mark.parametrize(
    "budget", [0, -1, LEAST_TOKENS - 1, MOST_TOKENS + 1, float("nan"), 100.5, "200", None, True], ids=repr
)
async def test_a_budget_beyond_the_bounds_is_refused(budget: Any, side: Side) -> None:
    with pytest.raises(InvalidLimit, match="from 100 to 100,000"):
        await side.session().context(budget=budget)


async def test_a_state_is_told_and_so_is_a_step_of_a_user(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, types=[NOTE]) as engine:
        session = engine.session("s")
        note = await session.create("note", title="N", content={"text": "a"})
        await session.step(note.id, state="sent")
        told = await session.context()
        assert 'state="sent"' in told.parts[0].text
        assert tags(told) == [{"id": note.handle, "action": "changed", "changed": "state", "state": "sent"}]


def test_a_program_without_a_loop_is_told_too(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path) as engine:
        session = engine.session("s")
        session.create("markdown", title="Notes", content="a")
        assert str(session.context()).startswith("<system_context>\n")


async def test_over_http_it_has_kinds_texts_and_its_size(tmp_path: Path) -> None:
    async with open_server(tmp_path) as door:
        agent = bearer(await key_for(door.desk, "agent", session="s"))
        session = door.desk.engine.session("s")
        notes = await session.create("markdown", title="Notes", content="a")
        edit = {"content": "b"}
        for headers in (agent, bearer(await key_for(door.desk, "user"))):
            await door.client.post(f"{API}/artifacts/{notes.id}/versions", json=edit, headers=headers)
            edit = {"content": "c"}
        answer = (await door.client.get(f"{API}/sessions/s/context", headers=agent)).json()
        assert [part["kind"] for part in answer["parts"]] == ["system_context", "artifact_action"]
        assert 'action="edited" version="3"' in answer["parts"][1]["text"]
        assert 0 < answer["tokens"] <= 1000
        small = await door.client.get(f"{API}/sessions/s/context", params={"budget": "1"}, headers=agent)
        assert (small.status_code, small.json()["code"]) == (422, "invalid_request")
