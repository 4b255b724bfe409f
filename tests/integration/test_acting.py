"""Actions on artifacts: proposed by agents, decided by users, done once with the version that was named.

From both sides: an engine in this process, and a server behind a socket. Over HTTP itself it is in
`test_server_actions.py`, and what clients of MCP are asked in `test_mcp_approvals.py`.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from letters import LETTER
from sides import Side, Verbs, open_side

import handiwork
from handiwork.errors import (
    ActionDecided,
    ActionImpossible,
    ActionNotFound,
    ActionStale,
    ActionVoid,
    ApprovalNeeded,
    ArtifactExpired,
    ArtifactNotFound,
    HandiworkError,
    IdempotencyKeyReused,
    InvalidContent,
    InvalidLimit,
    InvalidName,
)
from handiwork.events import Event
from handiwork.model import Acted, Artifact
from handiwork.session import Session
from handiwork.types.artifact_type import ArtifactType

SOON = 15.0


@pytest.fixture
def types() -> list[ArtifactType]:
    return [LETTER]


@pytest.fixture
def agent(side: Side) -> Session:
    """The agent of the same session, where the work is done."""
    return side.inside.session("s").as_agent()


async def letter(session: Verbs, **content: str) -> Artifact:
    return await session.create("letter", title="To Bo", content={"text": "a", **content})


async def happened(session: Verbs, *, until: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(SOON), aclosing(session.watch()) as events:
        async for event in events:
            found.append(event)
            if len(found) == until:
                break
    return found


async def test_what_an_agent_proposes_is_done_when_a_user_approves_it(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.act(made.id, "sent", version=1)
    assert (asked.is_done, asked.action.status, asked.artifact.state) == (False, "proposed", "draft")
    (listed,) = (await session.actions(made.handle)).items
    assert (listed.id, listed.status, listed.sha256) == (asked.action.id, "proposed", made.sha256)
    assert [each.name for each in (await session.actions(made.id)).possible] == ["sent", "thrown"]
    done = await session.approve(asked.action.id)
    assert (done.is_done, done.artifact.state, done.action.outcome) == (True, "sent", {"state": "sent"})
    assert done.action.principal.kind == "agent"
    assert done.action.decided_by is not None
    assert done.action.decided_by.kind == "user"
    assert done.artifact == await session.get(made.id)
    events = await happened(session, until=4)
    assert [(each.type, each.facts.get("status")) for each in events] == [
        ("artifact-created", None), ("artifact-action", "proposed"),
        ("artifact-state-changed", None), ("artifact-action", "finished"),
    ]  # fmt: skip
    for event in events[1::2]:
        assert event.facts.keys() <= {"actionId", "action", "status", "version", "principal", "proposedBy"}


async def test_what_a_user_rejects_is_not_done(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    rejected = await session.reject(asked.action.id)
    assert (rejected.action.status, rejected.artifact.state) == ("rejected", "draft")
    assert (await session.reject(asked.action.id)).action == rejected.action
    with pytest.raises(ActionDecided, match="rejected"):
        await session.approve(asked.action.id)
    # It was this one that was turned down: it may be asked again.
    assert (await agent.propose(made.id, "sent")).action.id != asked.action.id


async def test_a_user_needs_nobodys_approval(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    proposed = await agent.propose(made.id, "sent")
    done = await session.act(made.id, "sent")
    assert (done.is_done, done.artifact.state) == (True, "sent")
    assert done.action.expires_at is not None
    # What was proposed alike is what was done, and does not wait for ever.
    assert done.action.id == proposed.action.id
    at_once = await session.act(made.id, "answered")
    assert (at_once.artifact.state, at_once.action.expires_at) == ("answered", None)
    assert at_once.action in (await session.actions(made.id)).items


async def test_a_user_may_leave_it_for_later(session: Verbs) -> None:
    made = await letter(session)
    asked = await session.propose(made.id, "sent")
    assert (asked.is_done, asked.artifact.state) == (False, "draft")
    assert (await session.approve(asked.action.id)).artifact.state == "sent"


async def test_an_agent_decides_on_nothing(session: Verbs) -> None:
    made, agent = await letter(session), session.as_agent()
    mine, users = await agent.act(made.id, "sent"), await session.propose(made.id, "thrown")
    assert not mine.is_done
    for asked in (mine, users):
        for decide in (agent.approve, agent.reject):
            with pytest.raises(ApprovalNeeded, match=r"up to users.*agent") as refused:
                await decide(asked.action.id)
            assert "handiwork actions approve" in str(refused.value.hint)
    assert (await session.get(made.id)).state == "draft"
    assert {each.status for each in (await session.actions(made.id)).items} == {"proposed"}


async def test_an_agent_moves_no_state_by_itself(session: Verbs) -> None:
    made, agent = await letter(session), session.as_agent()
    with pytest.raises(ApprovalNeeded) as refused:
        await agent.step(made.id, state="sent", facts={"seen": 1})
    assert "Propose it" in str(refused.value.hint)
    for words in (str(refused.value), str(refused.value.hint)):
        assert not {"key", "token", "action:execute"} & set(words.replace("`", "").split())
    assert await session.get(made.id) == made
    assert (await agent.step(made.id, facts={"seen": 1})).facts == {"seen": 1}
    assert (await session.step(made.id, state="sent")).state == "sent"


async def test_an_edit_voids_what_was_proposed(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    await session.revise(made.id, content={"text": "b"})
    with pytest.raises(ActionVoid, match=r"version 1.*version 2") as void:
        await session.approve(asked.action.id)
    assert (void.value.version, void.value.head) == (1, 2)
    with pytest.raises(ActionVoid):
        await session.act(made.id, "sent", version=1)
    # Also when it says again what it said then.
    await session.restore(made.id, 1)
    with pytest.raises(ActionVoid):
        await session.approve(asked.action.id)
    assert (await session.get(made.id)).state == "draft"
    anew = await agent.propose(made.id, "sent")
    assert anew.action.version == 3
    assert (await session.approve(anew.action.id)).artifact.state == "sent"


async def test_a_proposal_is_good_for_a_day(side: Side, session: Verbs, agent: Session) -> None:
    made = await letter(session)
    late, early = await agent.propose(made.id, "sent"), await agent.propose(made.id, "thrown")
    side.clock.move(hours=23, minutes=59)
    assert (await session.reject(early.action.id)).action.status == "rejected"
    side.clock.move(minutes=1)
    with pytest.raises(ActionStale, match=late.action.id):
        await session.approve(late.action.id)
    assert (await session.get(made.id)).state == "draft"
    anew = await agent.propose(made.id, "sent")
    assert anew.action.id != late.action.id
    assert (await session.approve(anew.action.id)).is_done


async def test_a_state_that_was_left_meanwhile_is_told(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    await session.step(made.id, state="thrown")
    with pytest.raises(ActionImpossible, match=r"`thrown`.*none"):
        await session.approve(asked.action.id)
    assert (await session.get(made.id)).state == "thrown"


async def test_it_is_done_once_however_many_approve_it(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    done = await asyncio.gather(*(session.approve(asked.action.id) for _ in range(10)))
    assert len({each.action.finished_at for each in done}) == 1
    kinds = [each.type for each in await happened(session, until=4)]
    assert kinds.count("artifact-state-changed") == 1
    assert (await session.list()).seq == 4


async def test_of_approving_and_rejecting_at_once_one_holds(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    ways = (session.approve(asked.action.id), session.reject(asked.action.id))
    ended = await asyncio.gather(*ways, return_exceptions=True)
    assert sum(isinstance(each, ActionDecided) for each in ended) == 1
    (listed,) = (await session.actions(made.id)).items
    state = (await session.get(made.id)).state
    assert (listed.status, state) in {("finished", "sent"), ("rejected", "draft")}


async def test_two_processes_do_it_once(tmp_path: Path) -> None:
    opened = handiwork.open(tmp_path, types=[LETTER]), handiwork.open(tmp_path, types=[LETTER])
    async with opened[0] as one, opened[1] as other:
        sessions = one.session("s"), other.session("s")
        made = await letter(sessions[0])
        asked = await sessions[1].as_agent().propose(made.id, "sent")
        ways = [each.approve(asked.action.id) for each in sessions * 5]
        done = await asyncio.gather(*ways)
        assert len({each.action.finished_at for each in done}) == 1
        kinds = [each.type for each in await happened(sessions[1], until=4)]
        assert kinds.count("artifact-state-changed") == 1


async def test_the_same_request_with_a_key_is_done_once(session: Verbs) -> None:
    made = await letter(session)
    first = await session.act(made.id, "sent", idempotency_key="k-1")
    await session.revise(made.id, content={"text": "later"})
    again = await session.act(made.id, "sent", idempotency_key="k-1")
    assert again.action == first.action
    for other in ({"version": 2}, {"params": {"a": 1}}):
        with pytest.raises(IdempotencyKeyReused, match="k-1"):
            await session.act(made.id, "sent", idempotency_key="k-1", **other)  # pyright: ignore[reportArgumentType]  # one or the other
    with pytest.raises(IdempotencyKeyReused):
        await session.act(made.id, "answered", idempotency_key="k-1")
    # A key is one artifact's.
    assert (await session.act((await letter(session)).id, "sent", idempotency_key="k-1")).is_done


async def test_a_request_with_a_key_that_can_come_to_nothing_more_is_told_why(
    side: Side, session: Verbs, agent: Session
) -> None:
    made = await letter(session)

    async def again(key: str, asking: Verbs) -> Acted:
        return await asking.propose(made.id, "sent", idempotency_key=key)

    for asking in (agent, session):
        rejected = await again("k-1", asking)
        assert (await again("k-1", asking)).action == rejected.action
        await session.reject(rejected.action.id)
        with pytest.raises(ActionDecided, match="rejected") as decided:
            await again("k-1", asking)
        assert "anew" in str(decided.value.hint)
        stale = await again("k-2", asking)
        side.clock.move(hours=24)
        with pytest.raises(ActionStale, match=stale.action.id):
            await again("k-2", asking)
        void = await again("k-3", asking)
        await session.revise(made.id, content={"text": void.action.id})
        with pytest.raises(ActionVoid, match=f"version {void.action.version} ") as told:
            await again("k-3", asking)
        assert "ask again for that one" in str(told.value.hint)
    done = await again("k-4", agent)
    await session.approve(done.action.id)
    assert (await again("k-4", agent)).is_done


WRONG: dict[str, tuple[type[HandiworkError], Callable[[Verbs, Artifact], Awaitable[object]]]] = {
    "no such action": (ActionImpossible, lambda s, a: s.act(a.id, "fly")),
    "not in this state": (ActionImpossible, lambda s, a: s.propose(a.id, "answered")),
    "no name": (InvalidName, lambda s, a: s.act(a.id, "")),
    "half a character": (InvalidContent, lambda s, a: s.act(a.id, "\ud800")),
    "a way up": (ActionImpossible, lambda s, a: s.act(a.id, "..")),
    "a path": (ActionImpossible, lambda s, a: s.act(a.id, "a/../b?c#d")),
    "arguments": (InvalidContent, lambda s, a: s.act(a.id, "sent", params={"to": "bo"})),
    "arguments that are none": (InvalidContent, lambda s, a: s.act(a.id, "sent", params=[1])),  # pyright: ignore[reportArgumentType]  # callers without types
    "version 0": (InvalidLimit, lambda s, a: s.act(a.id, "sent", version=0)),
    "a vast version": (InvalidLimit, lambda s, a: s.act(a.id, "sent", version=2**63)),
    "a version to come": (ActionVoid, lambda s, a: s.act(a.id, "sent", version=2)),
    "a key with a line": (InvalidName, lambda s, a: s.act(a.id, "sent", idempotency_key="a\r\nb: c")),
    "a long key": (InvalidName, lambda s, a: s.act(a.id, "sent", idempotency_key="k" * 201)),
    "an artifact that is not there": (ArtifactNotFound, lambda s, _: s.propose("gone_0000", "sent")),
    "an action that is not there": (ActionNotFound, lambda s, _: s.approve("act_" + "0" * 22)),
    "an action that can be none": (ActionNotFound, lambda s, _: s.reject("../x\0")),
    "a long action id": (ActionNotFound, lambda s, _: s.approve("a" * 5000)),
    "a page of none": (InvalidLimit, lambda s, a: s.actions(a.id, limit=0)),
}


@pytest.mark.parametrize("what", WRONG)
async def test_bad_input_does_nothing_and_says_what_to_do(what: str, session: Verbs) -> None:
    made = await letter(session)
    error, ask = WRONG[what]
    with pytest.raises(error) as told:
        await ask(session, made)
    assert str(told.value)
    assert (await session.get(made.id)).state == "draft"
    assert (await session.actions(made.id)).items == ()


async def test_nothing_can_be_done_with_what_has_no_states(session: Verbs) -> None:
    made = await session.create("markdown", content="a")
    with pytest.raises(ActionImpossible, match="possible now: none"):
        await session.act(made.id, "sent")
    assert (await session.actions(made.id)).possible == ()


async def test_others_see_and_decide_nothing_of_it(side: Side, session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    for other in (side.inside.session("s", user="bo"), side.inside.session("t"), side.inside.session("s", tenant="x")):
        for ask in (other.approve, other.reject):
            with pytest.raises(ActionNotFound):
                await ask(asked.action.id)
        with pytest.raises(ArtifactNotFound):
            await other.actions(made.id)
    assert (await session.approve(asked.action.id)).is_done


async def test_with_the_artifact_it_ends(side: Side, session: Verbs, agent: Session) -> None:
    made = await letter(session)
    asked = await agent.propose(made.id, "sent")
    await session.remove(made.id)
    with pytest.raises((ArtifactExpired, ActionNotFound)):
        await session.approve(asked.action.id)


async def test_an_agent_is_told_of_what_a_user_has_decided(session: Verbs, agent: Session) -> None:
    first, second, third = [await letter(session, number=number) for number in "123"]
    await session.approve((await agent.propose(first.id, "sent")).action.id)
    await session.reject((await agent.propose(second.id, "thrown")).action.id)
    await session.act(third.id, "thrown")
    await agent.propose(first.id, "answered")
    told = [part.text for part in (await agent.context()).parts if part.kind == "artifact_action"]
    assert told == [
        f'<artifact_action by="user" id="{first.handle}" action="approved" what="sent" version="1" />',
        f'<artifact_action by="user" id="{second.handle}" action="rejected" what="thrown" version="1" />',
        f'<artifact_action by="user" id="{third.handle}" action="done" what="thrown" version="1" />',
    ]


async def test_the_ledger_is_listed_in_part(session: Verbs, agent: Session) -> None:
    made = await letter(session)
    for name in ("sent", "thrown"):
        await agent.propose(made.id, name)
    part, whole = await session.actions(made.id, limit=1), await session.actions(made.id)
    assert (len(part.items), part.has_more, len(whole.items), whole.has_more) == (1, True, 2, False)


async def test_a_model_proposes_with_its_tool(session: Verbs) -> None:
    made = await letter(session)
    tools = session.tools()
    (tool,) = [each for each in tools if each.name == "propose_action"]
    assert tool.parameters["properties"]["action"]["enum"] == ["sent", "thrown", "answered"]  # pyright: ignore[reportIndexIssue, reportUnknownVariableType]  # JSON
    answer = await tools.call("propose_action", {"artifactId": made.handle, "action": "sent", "params": "{}"})
    (action,) = (await session.actions(made.id)).items
    assert not answer.is_error
    assert action.id in answer.text
    assert "waits for the user's approval" in answer.text
    assert f'<artifact id="{made.handle}"' in answer.text
    assert answer.structured["action"] == {"id": action.id, "action": "sent", "status": "proposed", "version": 1}
    assert (await session.get(made.id)).state == "draft"


async def test_a_model_that_is_mistaken_is_told_what_is_possible(session: Verbs) -> None:
    made = await letter(session)
    tools = session.tools()
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({"action": "fly"}, "`sent`, `thrown`"),
        ({"action": "answered"}, "`sent`, `thrown`"),
        ({"action": "sent", "params": {"to": "bo"}}, "takes no arguments"),
        ({"action": "sent", "params": "[1]"}, "one JSON object"),
        ({"action": "sent", "params": "{"}, "`params`"),
        ({}, "`action`"),
        ({"action": "sent", "artifactId": "gone_0000"}, "list_artifacts"),
    ]
    for more, words in mistakes:
        answer = await tools.call("propose_action", {"artifactId": made.id, **more})
        assert answer.is_error
        assert words in answer.text
    assert (await session.actions(made.id)).items == ()


async def test_where_no_type_has_actions_models_are_not_told_of_them(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        assert "propose_action" not in {tool.name for tool in engine.session("s").tools()}


def test_a_program_without_a_loop_acts_too(tmp_path: Path) -> None:
    with handiwork.open_sync(tmp_path, types=[LETTER]) as engine:
        session = engine.session("s")
        made = session.create("letter", content={"text": "a"})
        asked = session.as_agent().propose(made.id, "sent", version=1)
        assert session.actions(made.id).items == (asked.action,)
        assert session.approve(asked.action.id).artifact.state == "sent"
        assert session.act(made.id, "answered").is_done
        other = session.create("letter", content={"text": "b"})
        assert session.reject(session.propose(other.id, "sent").action.id).action.status == "rejected"


async def test_a_store_from_before_gets_its_ledger(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path, types=[LETTER]) as engine:
        made = await letter(engine.session("s"))
    with contextlib.closing(sqlite3.connect(tmp_path / "handiwork.db")) as database:
        database.execute("DROP TABLE action_keys")
        database.execute("DROP TABLE actions")
        database.execute("UPDATE alembic_version SET version_num = '0002'")
        database.commit()
    async with handiwork.open(tmp_path, types=[LETTER]) as engine:
        session = engine.session("s")
        asked = await session.as_agent().propose(made.id, "sent")
        assert (await session.approve(asked.action.id)).artifact.state == "sent"


# What may happen between a proposal and its approval, in any order.
DEEDS = st.lists(
    st.sampled_from(("revise", "propose sent", "propose thrown", "approve", "reject", "restore", "late", "act")),
    min_size=2,
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(deeds=DEEDS, which=st.randoms(use_true_random=False))
async def test_an_approval_never_acts_on_another_version_than_it_names(
    tmp_path: Path, deeds: list[str], which: Any
) -> None:
    async with open_side("here", tmp_path / str(which.random()), types=[LETTER]) as side:
        session, agent = side.inside.session("s"), side.inside.session("s").as_agent()
        made = await letter(session)
        proposed: list[str] = []
        for number, deed in enumerate(deeds):
            before = await session.get(made.id)
            try:
                match deed.split():
                    case ["revise"]:
                        await session.revise(made.id, content={"text": str(number)})
                    case ["restore"]:
                        await session.restore(made.id, 1)
                    case ["late"]:
                        side.clock.move(hours=13)
                    case ["propose", name]:
                        proposed.append((await agent.propose(made.id, name)).action.id)
                    case ["act"]:
                        await session.act(made.id, "sent", version=which.randint(1, before.version.number))
                    case [decision] if proposed:
                        id = which.choice(proposed)
                        await (session.approve(id) if decision == "approve" else session.reject(id))
                    case _:
                        pass
            except (ActionVoid, ActionStale, ActionDecided, ActionImpossible):
                # Whatever was refused has changed nothing.
                assert await session.get(made.id) == before
            after = await session.get(made.id)
            if after.state != before.state:
                assert deed in {"approve", "act"}
                (done,) = [
                    each
                    for each in (await session.actions(made.id)).items
                    if each.status == "finished" and each.name == after.state
                ]
                assert (done.version, done.sha256) == (before.version.number, before.sha256)
                assert done.expires_at is None or done.expires_at > side.clock()
