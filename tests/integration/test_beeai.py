"""Hand-off and final answers on BeeAI: real agents of the framework, whose models say what a script tells them to.

How references are found in a text, and what a reader may see, is tested beside `references` and `context`.
"""

import asyncio
import json
import sys
from typing import Any

import pytest
from beeai_framework.agents.lite import LiteAgent
from beeai_framework.agents.requirement import RequirementAgent
from beeai_framework.agents.requirement.events import RequirementAgentFinalAnswerEvent
from beeai_framework.agents.tool_calling import ToolCallingAgent
from beeai_framework.backend import (
    AnyMessage,
    AssistantMessage,
    CustomMessage,
    MessageImageContent,
    MessageTextContent,
    MessageToolCallContent,
    MessageToolResultContent,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from beeai_framework.context import Run
from beeai_framework.emitter import EmitterOptions, EventMeta
from beeai_framework.memory import UnconstrainedMemory
from beeai_framework.tools import ToolError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from scripted_beeai import REFERENCE, WHOLE, Call, ScriptedModel, Turn, answer, asked, mentioned, results, texts

from handiwork import ArtifactStore
from handiwork.adapters.beeai import ArtifactHandoffTool, ArtifactMiddleware
from handiwork.context.revealing import Reveal

DRAFT = "# Dark mode\n\nA theme \\ that is `dark`, for ☾ nights."
SUMMARY = "Add a dark theme"
REPLY = f"ARTIFACT\nARTIFACT_SUMMARY: {SUMMARY}\n\n~~~markdown\n{DRAFT}\n~~~\n"
SIZES = [None, 1, 3, 7, WHOLE]


class Team:
    """The manager with its writer and its analyst, over one store."""

    def __init__(
        self, *turns: Turn, store: ArtifactStore | None = None, size: int | None = None, reveal: Reveal = "full"
    ) -> None:
        self.store = store or ArtifactStore()
        self.writer = ScriptedModel(*[answer(REPLY)] * 2, size=size)
        self.analyst = ScriptedModel(*[answer("No duplicates.")] * 2, size=size)
        self.manager = ScriptedModel(*turns, size=size)
        self.agent = RequirementAgent(
            llm=self.manager,
            name="manager",
            tools=[
                ArtifactHandoffTool(agent("writer", self.writer), artifact_store=self.store),
                ArtifactHandoffTool(agent("analyst", self.analyst), artifact_store=self.store, reveal_policy=reveal),
            ],
            middlewares=[ArtifactMiddleware(artifact_store=self.store)],
        )


class Told:
    """What a subscriber of the final answer is told."""

    def __init__(self) -> None:
        self.deltas: list[str] = []
        self.output = ""

    @property
    def text(self) -> str:
        return "".join(self.deltas)

    def hear(self, data: RequirementAgentFinalAnswerEvent, _event: EventMeta) -> None:
        self.deltas.append(data.delta)
        self.output = data.output

    def by(self, run: Run[Any], *, priority: int = 0) -> Run[Any]:
        return run.on("final_answer", self.hear, EmitterOptions(priority=priority))


def agent(name: str, model: ScriptedModel, **more: Any) -> RequirementAgent:
    return RequirementAgent(llm=model, name=name, description=f"The {name}", **more)


def answering(store: ArtifactStore, *turns: Turn, size: int | None = None, **more: Any) -> RequirementAgent:
    """An agent of one store that answers at once."""
    model = ScriptedModel(*turns, size=size)
    return RequirementAgent(llm=model, middlewares=[ArtifactMiddleware(artifact_store=store)], **more)


def conversation(model: ScriptedModel) -> list[AnyMessage]:
    """What a model was given first, but for its instructions."""
    return [message for message in model.seen[0] if message.role != "system"]


def shown(messages: list[AnyMessage]) -> Call:
    return answer(f"Here it is:\n\n{mentioned(messages)}\n\nShall I file it?")


def checked(messages: list[AnyMessage]) -> Call:
    return asked(f"Check {mentioned(messages)} for duplicates", "analyst")


async def kept(store: ArtifactStore, reply: str = REPLY) -> str:
    """A reference to an artifact that the store keeps."""
    return REFERENCE.findall(await store.handoff(reply, created_by="writer"))[0]


# From agent to agent


@pytest.mark.parametrize("size", SIZES)
async def test_a_draft_goes_from_writer_to_analyst_to_user_and_the_manager_sees_a_reference(size: int | None) -> None:
    team, told = Team(asked("Draft an issue", "writer"), checked, shown, size=size), Told()
    outcome = await told.by(team.agent.run("Dark mode, please"))
    assert DRAFT in texts(team.analyst.seen[0])
    assert "No duplicates." in results(team.manager.seen[-1])
    assert DRAFT not in texts(team.manager.seen[-1])
    assert told.text == told.output == outcome.last_message.text
    assert told.text == f"Here it is:\n\n{DRAFT}\n\nShall I file it?"
    assert outcome.output_structured.response == told.text
    assert DRAFT not in texts(team.agent.memory.messages)
    assert SUMMARY in texts(team.agent.memory.messages)


@pytest.mark.parametrize(
    ("reveal", "has_summary", "has_content"), [("none", False, False), ("summary", True, False), ("full", True, True)]
)
async def test_the_policy_decides_what_the_target_sees_of_a_draft(
    reveal: Reveal, has_summary: bool, has_content: bool
) -> None:
    team = Team(asked("Draft an issue", "writer"), checked, shown, reveal=reveal)
    await team.agent.run("Dark mode, please")
    seen, task = conversation(team.analyst), team.analyst.seen[0][-1].text
    assert (SUMMARY in texts(seen), DRAFT in texts(seen)) == (has_summary, has_content)
    assert (SUMMARY in task, DRAFT in task) == (has_summary, False)
    assert (DRAFT in results(seen)[0]) == has_content
    assert mentioned(team.manager.seen[-1]).split('"')[1] in task
    assert "Dark mode, please" in texts(seen)


CODE = 'if a < b && c > 0: print("&amp;")\n'


async def test_what_only_the_task_refers_to_is_shown_as_it_is() -> None:
    store = ArtifactStore()
    mention = await kept(store, REPLY.replace(DRAFT, CODE))
    team = Team(asked(f"Check {mention} and {mention} for duplicates", "analyst"), answer("Done."), store=store)
    await team.agent.run("Dark mode, please")
    *_, attached, task = [message.text for message in conversation(team.analyst)]
    assert attached.startswith(mention)
    assert attached.count(CODE) == 1
    assert "for duplicates" in task
    assert "print" not in task


@pytest.mark.parametrize("reveal", ["none", "summary"])
async def test_what_the_task_refers_to_is_attached_by_no_other_policy(reveal: Reveal) -> None:
    store = ArtifactStore()
    team = Team(asked(f"Check {await kept(store)}", "analyst"), answer("Done."), store=store, reveal=reveal)
    await team.agent.run("Dark mode, please")
    assert [message.role for message in conversation(team.analyst)] == ["user", "user"]


async def test_what_the_user_refers_to_is_shown_to_the_target_though_the_framework_escapes_it() -> None:
    store = ArtifactStore()
    mention = await kept(store, REPLY.replace(DRAFT, CODE))
    team = Team(asked("Check it", "analyst"), answer("Done."), store=store)
    await team.agent.run(f"Any duplicates of {mention}, or a &lt;b&gt;?")
    assert "&lt;artifact" in texts(team.manager.seen[0])
    assert CODE in conversation(team.analyst)[0].text
    assert "or a &amp;lt;b&amp;gt;?" in conversation(team.analyst)[0].text


async def test_what_the_target_is_shown_does_not_stay_with_who_asked() -> None:
    team = Team(asked("Draft an issue", "writer"), checked, shown)
    await team.agent.run("Dark mode, please")
    assert DRAFT in texts(team.analyst.seen[0])
    assert DRAFT not in texts(team.manager.seen[-1])
    assert texts(team.agent.memory.messages).count(SUMMARY) == 3


async def test_an_earlier_call_shows_no_summary_either_when_none_is_to_be_seen() -> None:
    again = asked("Check it again", "analyst")
    team = Team(asked("Draft an issue", "writer"), checked, again, shown, reveal="none")
    await team.agent.run("Dark mode, please")
    assert SUMMARY in texts(team.manager.seen[-1])
    assert SUMMARY not in texts([m for m in team.analyst.seen[-1] if m.role != "system"])
    assert "for duplicates" in texts(team.analyst.seen[-1])


async def test_a_draft_is_kept_without_its_fence_and_a_summary_beside_it() -> None:
    team = Team(asked("Draft an issue", "writer"), shown)
    await team.agent.run("Dark mode, please")
    (mention,) = set(REFERENCE.findall("\n".join(results(team.manager.seen[-1]))))
    record = team.store.get(mention.split('"')[1])
    assert record is not None
    assert (record.content, record.summary, record.created_by) == (DRAFT, SUMMARY, "writer")


async def test_a_reply_that_holds_no_artifact_is_passed_on_as_it_is() -> None:
    team = Team(asked("Any duplicates?", "analyst"), answer("None."))
    await team.agent.run("Dark mode, please")
    assert results(team.manager.seen[-1]) == ["No duplicates."]


async def test_the_agent_that_is_handed_something_is_a_clone() -> None:
    writer = agent("writer", ScriptedModel(answer(REPLY)))
    tool = ArtifactHandoffTool(writer, artifact_store=ArtifactStore())
    memory = UnconstrainedMemory()
    await memory.add(UserMessage("Dark mode, please"))
    await tool.run({"task": "Draft an issue"}).context({"state": {"memory": memory}})
    assert writer.memory.is_empty()
    assert len(memory.messages) == 1


@pytest.mark.parametrize("context", [{}, {"state": {}}, {"state": {"memory": ["Hello"]}}, {"state": None}])
async def test_a_hand_off_without_a_conversation_says_what_it_needs(context: dict[str, Any]) -> None:
    tool = ArtifactHandoffTool(agent("writer", ScriptedModel(answer(REPLY))), artifact_store=ArtifactStore())
    with pytest.raises(ToolError, match=r"`writer` hands a conversation over, and no memory is in the context\."):
        await tool.run({"task": "Draft an issue"}).context(context)


async def test_messages_of_every_kind_are_handed_over_and_stay_as_they_were() -> None:
    store = ArtifactStore()
    mention, memory = await kept(store), UnconstrainedMemory()
    call = MessageToolCallContent(id="1", tool_name="look", args=f"{{not JSON: {mention}")
    found = MessageToolResultContent(
        tool_call_id="1", tool_name="look", result={"drafts": [mention, Found(text=mention)]}
    )
    picture = MessageImageContent(image_url={"url": "https://example.com/a.png"})
    said: list[AnyMessage] = [
        SystemMessage(f"Secret {mention}"),
        CustomMessage("developer", f"Mind {mention}"),
        UserMessage([MessageTextContent(text=mention), picture]),
        AssistantMessage(call),
        ToolMessage(found),
        AssistantMessage([MessageToolCallContent(id="2", tool_name="reader", args="{}")]),
    ]
    await memory.add_many(said)
    before = [message.to_plain() for message in memory.messages]
    reader = ScriptedModel(answer("Read."))
    tool = ArtifactHandoffTool(agent("reader", reader), artifact_store=store, reveal_policy="full")
    await tool.run({"task": "Read it"}).context({"state": {"memory": memory}})
    custom, user, called, result, task = conversation(reader)
    assert custom.role == "developer"
    assert DRAFT in custom.content[0].text
    assert user.content[1] == picture
    assert (DRAFT in user.text, called.content) == (True, [call])
    drafts = result.content[0].result["drafts"]
    assert (DRAFT in drafts[0], DRAFT in drafts[1].text) == (True, True)
    assert task.text == "Your task: Read it"
    assert [message.to_plain() for message in memory.messages] == before


@pytest.mark.parametrize(
    "arguments",
    [
        "[" * 100_000,
        "[" * 900 + "]" * 900,
        '{"a": NaN, "a": 1, "b": "\\ud83d"}',
        "",
        "\0",
        '{"task": "&lt;artifact id=&quot;x&quot; /&gt; <artifact"}',
    ],
)
async def test_arguments_of_earlier_calls_that_refer_to_nothing_stay_as_they_are(arguments: str) -> None:
    memory, reader = UnconstrainedMemory(), ScriptedModel(answer("Read."))
    call = MessageToolCallContent(id="1", tool_name="look", args=arguments)
    result = MessageToolResultContent(tool_call_id="1", tool_name="look", result=arguments)
    await memory.add_many([AssistantMessage(call), ToolMessage(result)])
    tool = ArtifactHandoffTool(agent("reader", reader), artifact_store=ArtifactStore(), reveal_policy="none")
    await tool.run({"task": "Read it"}).context({"state": {"memory": memory}})
    called, answered, _task = conversation(reader)
    assert (called.content, answered.content) == ([call], [result])


async def test_half_a_character_beside_a_reference_is_replaced() -> None:
    store, memory, reader = ArtifactStore(), UnconstrainedMemory(), ScriptedModel(answer("Read."))
    arguments = json.dumps({"task": f"{await kept(store)} \ud83d"})
    await memory.add_many([AssistantMessage(MessageToolCallContent(id="1", tool_name="look", args=arguments))])
    await memory.add(UserMessage("Go on"))
    tool = ArtifactHandoffTool(agent("reader", reader), artifact_store=store, reveal_policy="none")
    await tool.run({"task": "Read it"}).context({"state": {"memory": memory}})
    (call,) = conversation(reader)[0].content
    assert json.loads(call.args)["task"].endswith("/> \ufffd")
    assert SUMMARY not in call.args


async def test_a_name_and_a_description_can_be_given() -> None:
    writer = agent("writer", ScriptedModel())
    tool = ArtifactHandoffTool(writer, artifact_store=ArtifactStore(), name="transfer to writer", description="Writes")
    assert (tool.name, tool.description) == ("transfer_to_writer", "Writes")
    assert ArtifactHandoffTool(writer, artifact_store=ArtifactStore()).description == "The writer"


# To the user


async def test_the_answer_is_shown_to_the_user_alone() -> None:
    store = ArtifactStore()
    mention = await kept(store)
    analyst = answering(store, answer(f"I read {mention}."), name="analyst", description="Reads")
    manager = answering(
        store,
        asked("Read it", "analyst"),
        lambda messages: answer(results(messages)[-1]),
        tools=[ArtifactHandoffTool(analyst, artifact_store=store, reveal_policy="full")],
    )
    outcome = await manager.run(f"What is in {mention}?")
    assert DRAFT in outcome.last_message.text
    assert DRAFT not in texts(manager.memory.messages)
    assert f"I read {mention}." in results(manager.memory.messages)


@pytest.mark.parametrize("priority", [-1, 0, 1, 10**9, sys.maxsize])
async def test_no_subscriber_is_told_a_reference_whatever_its_priority(priority: int) -> None:
    store = ArtifactStore()
    middle, outer = answering(store, answer(f"See {await kept(store)}"), size=3), Told()
    middle.emitter.on("final_answer", outer.hear, EmitterOptions(priority=priority))
    told = Told()
    await told.by(middle.run("Hello"), priority=priority)
    assert told.text == outer.text
    assert DRAFT in told.text
    assert "<artifact" not in told.text


async def test_without_the_middleware_a_subscriber_is_told_the_reference() -> None:
    told, mention = Told(), await kept(ArtifactStore())
    await told.by(RequirementAgent(llm=ScriptedModel(answer(mention), size=3)).run("Hello"))
    assert told.text == mention


async def test_whoever_goes_over_the_events_of_a_run_is_told_the_same() -> None:
    store, deltas = ArtifactStore(), list[str]()
    async for data, event in answering(store, answer(f"See {await kept(store)}"), size=7).run("Hello"):
        if event.name == "final_answer":
            deltas.append(data.delta)
    assert "".join(deltas) == f"See {DRAFT}"


@pytest.mark.parametrize("size", SIZES)
async def test_clones_answer_at_the_same_time_and_each_for_itself(size: int | None) -> None:
    store = ArtifactStore()
    first, second = await kept(store), await kept(store, REPLY.replace("Dark mode", "Light mode"))
    one, other = answering(store, *[answer(first)] * 2, size=size), answering(store, answer(second), size=size)
    clones = [await each.clone() for each in (one, other, one)]
    heard = [Told() for _ in clones]
    for clone, told in zip(clones, heard, strict=True):
        clone.emitter.on("final_answer", told.hear)
    outcomes = await asyncio.gather(*(clone.run("Hello") for clone in clones))
    assert [told.text for told in heard] == [outcome.last_message.text for outcome in outcomes]
    assert ["Dark mode" in told.text for told in heard] == [True, False, True]


async def test_a_clone_of_the_manager_has_tools_of_the_same_store() -> None:
    team, told = Team(asked("Draft an issue", "writer"), checked, shown, size=3), Told()
    clone = await team.agent.clone()
    outcome = await told.by(clone.run("Dark mode, please"))
    assert DRAFT in told.text
    assert told.text == outcome.last_message.text
    assert DRAFT in texts(team.analyst.seen[0])
    assert DRAFT not in texts(clone.memory.messages)


@pytest.mark.parametrize("size", SIZES)
async def test_a_model_that_answers_without_the_tool_is_shown_in_full_too(size: int | None) -> None:
    store = ArtifactStore()
    mention, told = await kept(store), Told()
    tools = [ArtifactHandoffTool(agent("writer", ScriptedModel()), artifact_store=store)]
    plain = answering(store, f"Here it is: {mention}", size=size, tools=tools, final_answer_as_tool=False)
    outcome = await told.by(plain.run("Hello"))
    assert told.text == told.output == outcome.last_message.text
    assert DRAFT in told.text


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "text",
    [
        '<artifact id="draft_none" summary="Nothing" />',
        'It ends in <artifact id="dra',
        "a < b <",
        "<artifact id='draft_none' / > \\ \n\n  ",
    ],
)
async def test_what_is_no_reference_to_anything_stays_as_it_is(text: str, size: int | None) -> None:
    told = Told()
    outcome = await told.by(answering(ArtifactStore(), answer(text), size=size).run("Hello"))
    assert told.text == told.output == outcome.last_message.text == text


@pytest.mark.parametrize("size", SIZES)
async def test_half_a_character_in_an_answer_can_be_sent_all_the_same(size: int | None) -> None:
    told, said = Told(), Call("final_answer", {}, raw='{"response": "A face \\ud83d\\ude00 and half \\ud83d of one"}')
    outcome = await told.by(answering(ArtifactStore(), said, size=size).run("Hello"))
    assert told.text == told.output == outcome.last_message.text == "A face 😀 and half \ufffd of one"


async def test_what_an_artifact_says_is_not_looked_at_again() -> None:
    store = ArtifactStore()
    inner = await kept(store)
    outer = await kept(store, REPLY.replace(DRAFT, f"Not {inner}"))
    outcome = await answering(store, answer(outer), size=3).run("Hello")
    assert f"Not {inner}" in outcome.last_message.text
    assert DRAFT not in outcome.last_message.text


async def test_a_second_middleware_changes_nothing() -> None:
    store = ArtifactStore()
    inner = await kept(store)
    outer, told = await kept(store, REPLY.replace(DRAFT, f"Not {inner}")), Told()
    run = answering(store, answer(outer), size=3).run("Hello").middleware(ArtifactMiddleware(store))
    assert (await told.by(run)).last_message.text == told.text == f"Not {inner}"


async def test_what_is_handed_over_twice_is_the_same_artifact_for_all() -> None:
    store = ArtifactStore()
    writer = agent("writer", ScriptedModel(answer(REPLY)))
    writing = ArtifactHandoffTool(writer, artifact_store=store)
    model = ScriptedModel(asked("Draft it", "writer"), lambda messages: answer(f"Done: {mentioned(messages)}"))
    lead = agent("lead", model, tools=[writing], middlewares=[ArtifactMiddleware(store)])
    leading = ArtifactHandoffTool(lead, artifact_store=store)
    manager = answering(store, asked("Have it drafted", "lead"), shown, size=3, tools=[leading])
    outcome = await manager.run("Dark mode, please")
    assert outcome.last_message.text == f"Here it is:\n\n{DRAFT}\n\nShall I file it?"
    assert DRAFT not in texts(manager.memory.messages)
    assert DRAFT not in texts(model.seen[-1])


PIECES = st.sampled_from(["§", '"', "'", "{", "}", "\n", " ", "<", "/>", "é", "😀", "a", "```", "<artifact ", "\u2028"])


@example(text="}```", is_ascii=False, size=1)
@settings(max_examples=25, deadline=None)
@given(text=st.lists(PIECES, max_size=20).map("".join), is_ascii=st.booleans(), size=st.integers(1, 9))
def test_the_stream_is_the_answer_wherever_it_is_cut(text: str, is_ascii: bool, size: int) -> None:
    async def run() -> tuple[str, str, str]:
        store, told = ArtifactStore(), Told()
        said = answer(text.replace("§", await kept(store)))
        call = said._replace(raw=said.json_of(is_ascii=is_ascii))
        outcome = await told.by(answering(store, call, size=size).run("Hello"))
        return told.text, told.output, outcome.last_message.text

    streamed, output, returned = asyncio.run(run())
    assert streamed == returned
    assert not streamed or output == returned
    assert returned.count("# Dark mode") == text.count("§")


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_an_escape_that_the_framework_misreads_on_the_way_does_not_make_the_rest_come_twice(size: int) -> None:
    store, told = ArtifactStore(), Told()
    text = f"A path: C:\\\\u00e9, and more of it. {await kept(store)} That is all there was to say."
    outcome = await told.by(answering(store, answer(text), size=size).run("Hello"))
    assert told.output == outcome.last_message.text
    assert "C:\\\\u00e9, " in told.output
    assert told.text.count("A path") == told.text.count("# Dark mode") == told.text.count("That is all") == 1


class Found(BaseModel):
    text: str


class Review(BaseModel):
    model_config = ConfigDict(frozen=True)

    response: str
    score: int = 0
    drafts: tuple[str, ...] = ()
    notes: dict[str, list[str]] = {}
    inner: "Review | None" = None


class Summary(BaseModel):
    model_config = ConfigDict(extra="allow")

    body: str


@pytest.mark.parametrize("size", SIZES)
async def test_a_structured_answer_is_shown_in_full_wherever_it_is_a_text(size: int | None) -> None:
    store, told = ArtifactStore(), Told()
    mention = await kept(store)
    said = {
        "response": mention,
        "drafts": [mention],
        "notes": {mention: [mention, "x"]},
        "inner": {"response": mention},
    }
    outcome = await told.by(
        answering(store, Call("final_answer", said), size=size).run("Hello", expected_output=Review)
    )
    review = outcome.output_structured
    assert isinstance(review, Review)
    assert review.inner is not None
    for text in (review.response, *review.drafts, review.notes[mention][0], review.inner.response, told.text):
        assert text == DRAFT
    assert review.notes[mention][1] == "x"
    assert Review.model_validate_json(outcome.last_message.text) == review
    assert told.text == told.output == review.response


async def test_a_structured_answer_of_other_fields_is_shown_in_full_too() -> None:
    store, told = ArtifactStore(), Told()
    said = {"body": await kept(store), "more": [await kept(store)]}
    outcome = await told.by(answering(store, Call("final_answer", said)).run("Hello", expected_output=Summary))
    assert outcome.output_structured.body == DRAFT
    assert outcome.output_structured.more[0] == DRAFT
    assert told.text == ""


async def test_an_answer_that_is_refused_and_made_again_is_told_from_its_beginning() -> None:
    store, told = ArtifactStore(), Told()
    mention = await kept(store)
    wrong = Call("final_answer", {"response": f"First {mention} <artifact id='dr", "score": "high"})
    right = Call("final_answer", {"response": f"Second {mention}", "score": 3})
    outcome = await told.by(answering(store, wrong, right, size=4).run("Hello", expected_output=Review))
    second = told.deltas.index("Se") if "Se" in told.deltas else next(i for i, d in enumerate(told.deltas) if "Se" in d)
    assert "".join(told.deltas[second:]) == told.output == outcome.output_structured.response
    assert told.text.startswith("First ")


@pytest.mark.filterwarnings("ignore:Call to deprecated class ToolCallingAgent:DeprecationWarning")  # it is still used
@pytest.mark.parametrize("kind", [ToolCallingAgent, LiteAgent])
async def test_other_agents_return_what_their_references_lead_to(kind: Any) -> None:
    store = ArtifactStore()
    mention = await kept(store)
    said: Turn = f"Here: {mention}" if kind is LiteAgent else answer(f"Here: {mention}")
    memory = UnconstrainedMemory()
    other = kind(llm=ScriptedModel(said), memory=memory, tools=[])
    outcome = await other.run("Hello").middleware(ArtifactMiddleware(store))
    assert outcome.last_message.text.startswith("Here:")
    assert DRAFT in outcome.last_message.text
    assert SUMMARY in texts(memory.messages)
    assert DRAFT not in texts(memory.messages)
