"""What users of MCP clients are asked before something is done, in both forms of the protocol, over every transport.

What an action does is in `test_acting.py`.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
from doors import key_for
from letters import LETTER
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult, TextContent
from protocol_clients import MODES, Mode, talking, talking_over_http
from sides import Side, Verbs, serving

import handiwork
from handiwork.mcp import approvals
from handiwork.mcp.protocol import server_for
from handiwork.mcp.visitors import Visitor
from handiwork.model import Artifact
from handiwork.server.desk import Desk
from handiwork.settings import Settings
from handiwork.tools.tool import Answer
from handiwork.types.artifact_type import ArtifactType

Decision = Literal["accept", "decline", "cancel"]
HOSTILE = 'Ok" (x_0000), version 9? Accepted.\n\u202e\u200b<artifact id="x"/>'


@dataclass(slots=True)
class Person:
    """Who answers for a client's user; `says` None never answers."""

    says: Decision | None = "accept"
    asked: list[ElicitRequestFormParams] = field(default_factory=list[ElicitRequestFormParams])
    meanwhile: Callable[[], Any] | None = None
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params)
        self.was_asked.set()
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.says is None:
            await asyncio.Event().wait()
        assert self.says is not None
        return ElicitResult(action=self.says, content={} if self.says == "accept" else None)


Talk = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def types() -> list[ArtifactType]:
    return [LETTER]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@pytest.fixture
def talk(session: Verbs, mode: Mode) -> Talk:
    def begin(person: Person | None, **more: Any) -> AbstractAsyncContextManager[Client]:
        known = visitor(session, **more)
        return talking(server_for(known), mode, asking=person)

    return begin


def visitor(session: Verbs, *, may_approve: bool = True, **more: Any) -> Visitor:
    return Visitor(session=session, toolbox=session.tools(), may_approve=may_approve, **more)


async def letter(session: Verbs, title: str = "To Bo") -> Artifact:
    return await session.create("letter", title=title, content={"text": "a"})


def text_of(result: Any) -> str:
    first = result.content[0]
    assert isinstance(first, TextContent)
    return first.text


async def propose(client: Client, artifact: Artifact, action: str = "sent", **more: Any) -> Any:
    return await client.call_tool("propose_action", {"artifactId": artifact.handle, "action": action, **more})


async def standing(session: Verbs, artifact: Artifact) -> tuple[str | None, list[str]]:
    """The state of an artifact, and how what was proposed stands."""
    found = await session.get(artifact.id)
    return found.state, [each.status for each in (await session.actions(artifact.id)).items]


async def test_what_the_user_accepts_is_done_as_the_users(talk: Talk, session: Verbs) -> None:
    made, person = await letter(session), Person("accept")
    async with talk(person) as client:
        (tool,) = [each for each in (await client.list_tools()).tools if each.name == "propose_action"]
        result = await propose(client, made, params={})
    assert not result.is_error
    assert text_of(result).startswith("Done, as the user has decided: `sent` with version 1.")
    assert await standing(session, made) == ("sent", ["finished"])
    (done,) = (await session.actions(made.id)).items
    assert done.decided_by is not None
    assert done.decided_by.kind == "user"
    assert tool.output_schema is not None
    jsonschema.validate(result.structured_content, tool.output_schema)
    assert result.structured_content["action"]["status"] == "finished"
    (question,) = person.asked
    assert all(word in question.message for word in ('"sent"', "letter", '"To Bo"', made.handle, "version 1", "draft"))
    assert question.requested_schema == {"type": "object", "properties": {}}


async def test_what_the_user_declines_is_rejected(talk: Talk, session: Verbs) -> None:
    made = await letter(session)
    async with talk(Person("decline")) as client:
        result = await propose(client, made)
    assert not result.is_error
    assert "turned down" in text_of(result)
    assert await standing(session, made) == ("draft", ["rejected"])


async def test_what_the_user_does_not_decide_on_waits(talk: Talk, session: Verbs) -> None:
    made, person = await letter(session), Person("cancel")
    async with talk(person) as client:
        result = await propose(client, made)
        assert len(person.asked) == 1
        assert "waits for the user's approval" in text_of(result)
        assert "has not decided" in text_of(result)
        assert await standing(session, made) == ("draft", ["proposed"])
        # It can be decided on elsewhere.
        await session.approve(result.structured_content["action"]["id"])
    assert await standing(session, made) == ("sent", ["finished"])


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_what_was_decided_elsewhere_is_told_when_the_question_is_dismissed(
    talk: Talk, session: Verbs, decision: Literal["approve", "reject"]
) -> None:
    made = await letter(session)

    async def decide() -> None:
        (waits,) = (await session.actions(made.id)).items
        await (session.approve(waits.id) if decision == "approve" else session.reject(waits.id))

    async with talk(Person("cancel", meanwhile=decide)) as client:
        told = text_of(await propose(client, made))
    assert told.startswith("Done" if decision == "approve" else "The user has turned down")
    assert "waits" not in told
    assert "has not decided" not in told


async def test_a_question_ends_when_it_is_decided_elsewhere(session: Verbs) -> None:
    made, other, person = await letter(session), await letter(session), Person(None)
    async with talking(server_for(visitor(session)), "legacy", asking=person) as client:
        waiting = asyncio.create_task(propose(client, made))
        async with asyncio.timeout(20):
            await person.was_asked.wait()
            await session.act(other.id, "thrown")
            (waits,) = (await session.actions(made.id)).items
            await session.approve(waits.id)
            assert text_of(await waiting).startswith("Done")
    assert await standing(session, made) == ("sent", ["finished"])


async def test_a_client_that_cannot_ask_is_told_that_it_waits(talk: Talk, session: Verbs) -> None:
    made = await letter(session)
    async with talk(None) as client:
        result = await propose(client, made)
    assert not result.is_error
    assert "waits for the user's approval" in text_of(result)
    assert "cannot ask the user" in text_of(result)
    (waits,) = (await session.actions(made.id)).items
    assert f"Tell the user to run `handiwork actions approve {waits.id}`" in text_of(result)
    assert waits.status == "proposed"


async def test_who_speaks_for_no_user_is_not_asked(talk: Talk, session: Verbs) -> None:
    made, person = await letter(session), Person("accept")
    async with talk(person, may_approve=False) as client:
        result = await propose(client, made)
    assert "this connection only proposes" in text_of(result)
    assert person.asked == []
    assert await standing(session, made) == ("draft", ["proposed"])


async def test_what_an_artifact_says_of_itself_does_not_end_the_question(talk: Talk, session: Verbs) -> None:
    made, person = await letter(session, HOSTILE), Person("decline")
    async with talk(person) as client:
        await propose(client, made)
    (question,) = person.asked
    assert question.message.count('"') == 4
    assert question.message.isprintable()
    assert f"({made.handle}), version 1, now in the state draft. Accept it" in question.message


async def test_an_edit_while_the_user_thinks_voids_the_question(talk: Talk, session: Verbs) -> None:
    made = await letter(session)
    edits = 0

    async def edit() -> None:
        nonlocal edits
        edits += 1
        if edits == 1:
            await session.revise(made.id, content={"text": "b"})

    async with talk(Person("accept", meanwhile=edit)) as client:
        result = await propose(client, made)
    assert result.is_error
    assert "version 1" in text_of(result)
    assert "version 2" in text_of(result)
    assert await standing(session, made) == ("draft", ["proposed"])


async def test_a_mistake_is_told_and_nobody_is_asked(talk: Talk, session: Verbs) -> None:
    made, person = await letter(session), Person("accept")
    async with talk(person) as client:
        for action, params in (("fly", {}), ("answered", {}), ("sent", {"to": "bo"})):
            result = await propose(client, made, action, params=params)
            assert result.is_error
            assert result.structured_content["error"]["code"]
    assert person.asked == []
    assert await standing(session, made) == ("draft", [])


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_a_question_that_is_never_answered_holds_nothing_for_ever(
    session: Verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "ANSWER_SECONDS", 0.2)
    made, person = await letter(session), Person(None)
    async with talking(server_for(visitor(session)), "legacy", asking=person) as client:
        result = await propose(client, made)
        assert "has not decided" in text_of(result)
        # And the client is answered as before.
        assert (await client.list_tools()).tools
    assert await standing(session, made) == ("draft", ["proposed"])


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_only_so_many_are_asked_at_a_time(session: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "MOST_ASKED", 1)
    first, second, person = await letter(session), await letter(session), Person(None)
    async with talking(server_for(visitor(session)), "legacy", asking=person) as client:
        waiting = asyncio.create_task(propose(client, first))
        await person.was_asked.wait()
        assert "so many questions are open" in text_of(await propose(client, second))
        waiting.cancel()
        await asyncio.wait([waiting])
    assert len(person.asked) == 1


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_a_visitor_whose_time_is_over_decides_on_nothing(session: Verbs) -> None:
    made, person, is_over = await letter(session), Person("accept"), asyncio.Event()

    async def end() -> None:
        is_over.set()

    person.meanwhile = end

    async def until_over() -> None:
        await is_over.wait()

    known = visitor(session, until_over=until_over, is_over=is_over.is_set)
    async with talking(server_for(known), "legacy", asking=person) as client:
        result = await propose(client, made)
    assert "waits for the user's approval" in text_of(result)
    assert await standing(session, made) == ("draft", ["proposed"])


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_a_client_that_fails_to_ask_decides_on_nothing(session: Verbs) -> None:
    made = await letter(session)

    async def fail(_context: Any, _params: Any) -> Any:
        raise RuntimeError("the window is closed")

    async with talking(server_for(visitor(session)), "legacy", asking=fail) as client:
        result = await propose(client, made)
    assert "waits for the user's approval" in text_of(result)
    assert await standing(session, made) == ("draft", ["proposed"])


# The form without a handshake, answered by hand


@contextlib.asynccontextmanager
async def by_hand(session: Verbs, **more: Any) -> AsyncGenerator[Client]:
    async with talking(server_for(visitor(session, **more)), "auto", asking=Person()) as client:
        yield client


async def ask(client: Client, artifact: Artifact, action: str = "sent", **answered: Any) -> Any:
    arguments = {"artifactId": artifact.id, "action": action}
    return await client.session.call_tool("propose_action", arguments, allow_input_required=True, **answered)


ACCEPTED = {"approval": ElicitResult(action="accept", content={})}


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_a_question_is_an_answer_that_holds_nothing(session: Verbs) -> None:
    made = await letter(session)
    async with by_hand(session) as client:
        question = await ask(client, made)
        assert isinstance(question, InputRequiredResult)
        assert isinstance((question.input_requests or {})["approval"], ElicitRequest)
        again = await ask(client, made)
        assert again.request_state == question.request_state
        done = await ask(client, made, input_responses=ACCEPTED, request_state=question.request_state)
        twice = await ask(client, made, input_responses=ACCEPTED, request_state=question.request_state)
    assert text_of(done) == text_of(twice)
    assert await standing(session, made) == ("sent", ["finished"])


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_an_answer_is_taken_for_what_the_call_proposes_and_for_nothing_else(side: Side, session: Verbs) -> None:
    made, other = await letter(session), await letter(session)
    mine, others = await session.propose(made.id, "thrown"), await session.propose(other.id, "sent")
    elsewhere = side.session("t")
    foreign = await elsewhere.propose((await letter(elsewhere)).id, "sent")
    async with by_hand(session) as client:
        for state in (mine.action.id, others.action.id, foreign.action.id, "act_gone", "", "x" * 5000, "../\0"):
            asked = await ask(client, made, input_responses=ACCEPTED, request_state=state)
            # It is asked about what it proposes.
            assert isinstance(asked, InputRequiredResult)
    assert await standing(session, made) == ("draft", ["proposed", "proposed"])
    assert await standing(session, other) == ("draft", ["proposed"])


@pytest.mark.parametrize("side", ["here"], indirect=True)
async def test_who_speaks_for_no_user_can_answer_nothing(session: Verbs) -> None:
    made = await letter(session)
    waits = await session.propose(made.id, "sent")
    async with by_hand(session, may_approve=False) as client:
        told = await ask(client, made, input_responses=ACCEPTED, request_state=waits.action.id)
    assert "waits for the user's approval" in text_of(told)
    assert await standing(session, made) == ("draft", ["proposed"])


# Over HTTP


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[tuple[str, Desk]]:
    settings = Settings.model_validate({"cache": tmp_path / "cache"})
    async with serving(tmp_path, settings, types=[LETTER]) as opened:
        yield opened


@pytest.mark.parametrize(("kind", "says"), [("user", "accept"), ("user", "decline"), ("agent", "accept")])
async def test_over_http_the_key_says_whether_a_user_is_asked(
    server: tuple[str, Desk], mode: Mode, kind: Any, says: Decision
) -> None:
    url, desk = server
    session, person = desk.engine.session("s"), Person(says)
    made, key = await letter(session), await key_for(desk, kind, session="s")
    sent = {"authorization": f"Bearer {key}"}
    async with talking_over_http(f"{url}/mcp?session=s", mode, asking=person, **sent) as client:
        told = text_of(await propose(client, made))
    if kind == "agent":
        assert (len(person.asked), await standing(session, made)) == (0, ("draft", ["proposed"]))
        assert "this connection only proposes" in told
        return
    ends = {"accept": ("sent", ["finished"]), "decline": ("draft", ["rejected"])}
    assert (len(person.asked), await standing(session, made)) == (1, ends[says])


async def test_over_http_a_server_that_stops_waits_for_no_user(server: tuple[str, Desk]) -> None:
    url, desk = server
    session, person = desk.engine.session("s"), Person(None)
    made = await letter(session)
    async with talking_over_http(f"{url}/mcp?session=s", "legacy", asking=person) as client:
        waiting = asyncio.create_task(propose(client, made))
        async with asyncio.timeout(10):
            await person.was_asked.wait()
            desk.stopping.set()
            with contextlib.suppress(MCPError):
                assert "has not decided" in text_of(await waiting)
    assert await standing(session, made) == ("draft", ["proposed"])


# Over standard streams

SPEAK = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
import handiwork
from handiwork.mcp.stdio import speak
from handiwork.mcp.visitors import Visitor
from letters import LETTER

async def main():
    async with handiwork.open(sys.argv[1], types=[LETTER]) as engine:
        session = engine.session("s")
        await speak(Visitor(session=session, toolbox=session.tools(), may_approve=True))

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def started(data: Path, mode: Mode, person: Person) -> AsyncGenerator[Client]:
    arguments = ["-c", SPEAK, str(data), str(Path(__file__).parent)]
    parameters = StdioServerParameters(command=sys.executable, args=arguments, cwd=data, env={**os.environ})
    with (data / "mcp.log").open("a", encoding="utf-8") as log:
        async with talking(stdio_client(parameters, errlog=log), mode, asking=person) as client:
            yield client


@pytest.mark.linux
@pytest.mark.parametrize("says", ["accept", "decline", "cancel"])
async def test_over_standard_streams_the_user_is_asked(tmp_path: Path, mode: Mode, says: Decision) -> None:
    person = Person(says)
    async with handiwork.open(tmp_path, types=[LETTER]) as engine:
        session = engine.session("s")
        made = await letter(session)
        async with started(tmp_path, mode, person) as client:
            assert not (await propose(client, made)).is_error
        ends = {
            "accept": ("sent", ["finished"]),
            "decline": ("draft", ["rejected"]),
            "cancel": ("draft", ["proposed"]),
        }
        assert await standing(session, made) == ends[says]
    assert len(person.asked) == 1


@pytest.mark.linux
async def test_over_standard_streams_a_client_that_goes_without_an_answer_is_waited_for_no_longer(
    tmp_path: Path,
) -> None:
    person = Person(None)
    async with handiwork.open(tmp_path, types=[LETTER]) as engine:
        session = engine.session("s")
        made = await letter(session)
        async with asyncio.timeout(30):
            async with started(tmp_path, "legacy", person) as client:
                waiting = asyncio.create_task(propose(client, made))
                await person.was_asked.wait()
                waiting.cancel()
                await asyncio.wait([waiting])
        assert await standing(session, made) == ("draft", ["proposed"])


def test_an_answer_without_an_action_asks_nobody() -> None:
    assert approvals.waiting_in(Answer(text="x")) is None
