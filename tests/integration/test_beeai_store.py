"""Hand-off on BeeAI over the sessions of a store, in this process and over HTTP: what is handed over is an artifact."""

from beeai_framework.agents.requirement import RequirementAgent
from scripted_beeai import REFERENCE, ScriptedModel, Turn, answer, asked, mentioned, results, texts
from sides import Side, Verbs

from handiwork import ArtifactStore
from handiwork.adapters.beeai import ArtifactHandoffTool, ArtifactMiddleware

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9aw"
    "AAAABJRU5ErkJggg=="
)
DRAFT = "# Dark mode\n\nA theme for ☾ nights."
TABLE = "theme,votes\ndark,7\nlight,3"


def marked(content: str, *, summary: str = "Add a dark theme", info: str = "markdown") -> str:
    return f"ARTIFACT\nARTIFACT_SUMMARY: {summary}\n\n~~~{info}\n{content}\n~~~\n"


def manager(
    session: Verbs, replies: list[str], *turns: Turn, size: int | None = 3
) -> tuple[RequirementAgent, ScriptedModel]:
    store = ArtifactStore.over(session)
    writer = RequirementAgent(llm=ScriptedModel(*map(answer, replies)), name="writer", description="Writes")
    model = ScriptedModel(*turns, size=size)
    tool = ArtifactHandoffTool(writer, artifact_store=store)
    return RequirementAgent(llm=model, tools=[tool], middlewares=[ArtifactMiddleware(store)]), model


async def test_what_an_agent_hands_over_is_an_artifact_of_the_session(side: Side) -> None:
    session = side.session()
    agent, model = manager(
        session,
        [marked(DRAFT)],
        asked("Draft it", "writer"),
        lambda messages: answer(f"Here:\n\n{mentioned(messages)}"),
    )
    outcome = await agent.run("Dark mode, please")
    (artifact,) = (await session.list()).items
    assert (artifact.type, artifact.title, artifact.version.summary) == (
        "markdown",
        "Add a dark theme",
        "Add a dark theme",
    )
    assert await session.read(artifact.id) == DRAFT.encode()
    assert artifact.handle in mentioned(model.seen[-1])
    assert outcome.last_message.text.startswith(f"Here:\n\n{DRAFT}")
    assert DRAFT not in texts(agent.memory.messages)
    assert (await side.session("other").list()).items == ()


async def test_several_artifacts_are_of_the_types_that_they_name_and_are_all_shown(side: Side) -> None:
    session = side.session()
    agent, model = manager(
        session,
        [
            marked(DRAFT),
            marked(TABLE, summary="Votes", info="csv"),
            marked("print(1)", summary="A program", info="python"),
        ],
        *[asked(f"Make {number}", "writer") for number in range(3)],
        lambda messages: answer(" and ".join(REFERENCE.findall("\n".join(results(messages))))),
    )
    outcome = await agent.run("Dark mode, please")
    assert sorted(artifact.type for artifact in (await session.list()).items) == ["code", "csv", "markdown"]
    assert all(content in outcome.last_message.text for content in (DRAFT, TABLE, "print(1)"))
    assert "<artifact" not in outcome.last_message.text
    assert not any(content in texts(model.seen[-1]) for content in (DRAFT, TABLE, "print(1)"))


async def test_what_another_session_has_is_not_shown(side: Side) -> None:
    foreign = await side.session("other").create("markdown", title="Secret", content="Nobody else's")
    agent, _model = manager(
        side.session(), [], answer(f"See <artifact id='{foreign.id}'/> <artifact id='{foreign.handle}'/>")
    )
    outcome = await agent.run("Show me")
    assert outcome.last_message.text == f"See <artifact id='{foreign.id}'/> <artifact id='{foreign.handle}'/>"


async def test_a_picture_is_shown_by_its_address_to_the_user_alone(side: Side) -> None:
    session = side.session()
    picture = await session.create("image", title="Chart", content=PNG)
    agent, _model = manager(session, [], answer(f"See <artifact id='{picture.handle}'/>."))
    text = (await agent.run("Show me")).last_message.text
    assert "Chart.png](" in text
    assert text.startswith("See ![" if side.where == "afar" else "See [")
    assert "Chart.png" not in texts(agent.memory.messages)


async def test_what_cannot_be_stored_is_an_error_that_the_manager_can_act_on(side: Side) -> None:
    session = side.session()
    agent, model = manager(
        session, [marked("x" * 300 * 1024)], asked("Draft it", "writer"), answer("It was too long."), size=None
    )
    outcome = await agent.run("Dark mode, please")
    (result,) = results(model.seen[-1])
    assert "What `writer` made was not stored" in result
    assert "262,144" in result or "256 KiB" in result
    assert outcome.last_message.text == "It was too long."
    assert (await session.list()).items == ()


async def test_a_reply_of_several_artifacts_is_as_many_references(side: Side) -> None:
    session = side.session()
    reply = f"{marked(DRAFT)}\n{marked(TABLE, summary='Votes', info='csv')}"
    agent, model = manager(
        session, [reply], asked("Draft it", "writer"), lambda messages: answer("\n".join(results(messages)))
    )
    outcome = await agent.run("Dark mode, please")
    references = [each.split('"')[1] for each in REFERENCE.findall(results(model.seen[-1])[0])]
    assert [(await session.get(each)).type for each in references] == ["markdown", "csv"]
    assert len((await session.list()).items) == 2
    assert outcome.last_message.text.startswith(DRAFT)
    assert TABLE in outcome.last_message.text


async def test_of_several_artifacts_the_error_names_what_was_stored_before(side: Side) -> None:
    session = side.session()
    reply = f"{marked(DRAFT)}\n{marked('x' * 300 * 1024)}"
    agent, model = manager(session, [reply], asked("Draft it", "writer"), answer("One was too long."), size=None)
    await agent.run("Dark mode, please")
    (kept,) = (await session.list()).items
    assert f'Before it was stored: <artifact id="{kept.handle}"' in results(model.seen[-1])[0]
