"""The sample conversation: what a user asks and does, and what an agent makes of it with the tools of a session.

Who the agent is, a script or a model, is not known here. How the conversation is shown is the command line's.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from handiwork.demo.days import daily_weather
from handiwork.model import Artifact, Execution
from handiwork.session import Session
from handiwork.tools.marks import tool
from handiwork.tools.tool import Answer
from handiwork.tools.toolbox import Toolbox

_HERE = Path(__file__).parent
DATA = _HERE / "data" / "weather.csv"
INSTRUCTIONS = f"""You plan outdoor work. The file `{DATA.name}` of this conversation holds the daily weather of Seattle
and New York, 2012 to 2015. A good day has less than 1 mm of rain or snow and a high of 10 to 30 °C. Make what the user
asks for with your tools, and name what you made by its tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the user says; before it, the user may add a line to the newest artifact of a type."""

    text: str
    edits: str | None = None
    line: str = ""


ASKS = (
    Ask(text="When can we work outdoors in Seattle and New York? Show me a line, a bar and a pie chart."),
    Ask(text="Put the monthly numbers and the daily data into an Excel workbook, and the summary into a CSV."),
    Ask(text="Does snow matter? Look at the daily records of New York, and keep them with the rest."),
    Ask(text="Write a PDF report with those charts and page numbers."),
    Ask(text="Sum up the findings in Markdown."),
    Ask(
        text="I have added what we agreed. Now tick off the two steps that are done.",
        edits="markdown",
        line="The crews agreed to these limits, and the unit of the wind is m/s.",
    ),
    Ask(text="Give me a script that computes the summary again next year."),
    Ask(text="Compose the charts into one picture for the wall, and draw the year as an SVG calendar."),
    Ask(text="Let me explore the days in an interactive chart, and the crews pick a month on a small page."),
    Ask(text="Make a table of which city is better in which month, and a mark for the plan."),
    Ask(text="Let the writer write the note to the crews, and show it to me."),
    Ask(text="Pack everything into one ZIP."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The user has said something."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The user has changed an artifact."""

    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """The agent is about to use a tool."""

    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """The agent has used a tool; `execution` is the run, where it was one."""

    tool: str
    answer: Answer
    seconds: float
    execution: Execution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The agent has answered: `text` as it wrote it, with references, and `shown` as the user reads it."""

    text: str
    shown: str


Moment = Asked | Edited | Calling | Called | Answered


class Agent(Protocol):
    """Who answers. What it has made and heard so far it remembers by itself."""

    def answer(self, message: str, use: "Use", tools: Toolbox) -> AsyncGenerator[Calling | Called | str]:
        """Yield each call before and after it is made with `use`, and at last the text of the answer."""
        ...

    async def write(self, task: str) -> str:
        """Have somebody else write a text; it may mark what is to be handed over by reference."""
        ...


class Use(Protocol):
    """Carries out a call of a tool."""

    async def __call__(self, name: str, arguments: object, *, tool_call_id: str | None = None) -> Called: ...


def toolbox(session: Session, agent: Agent) -> Toolbox:
    """Return what the agent of the conversation can use: the tools of every session, and two of its own."""

    @tool
    async def ask_writer(task: str) -> str:
        """Have the writer write a text. Answers with a reference to it."""
        return await session.as_agent().handoff(await agent.write(task))

    return session.tools(extra=[daily_weather, ask_writer])


async def play(session: Session, agent: Agent) -> AsyncGenerator[Moment]:
    """Hold the conversation, yielding each moment of it; it ends when the agent has no answer."""
    tools = toolbox(session, agent)

    async def use(name: str, arguments: object, *, tool_call_id: str | None = None) -> Called:
        begun = time.perf_counter()
        answer = await tools.call(name, arguments, tool_call_id=tool_call_id)
        seconds = time.perf_counter() - begun
        return Called(tool=name, answer=answer, seconds=seconds, execution=await _execution(session, answer))

    await session.create("file", content=DATA, title="Daily weather, Seattle and New York, 2012 to 2015")
    for number, ask in enumerate(ASKS, 1):
        if ask.edits is not None and (edited := await _edited(session, ask.edits, ask.line)):
            yield Edited(artifact=edited)
        yield Asked(number=number, text=ask.text)
        context, answer = await session.context(), None
        async with aclosing(agent.answer(f"{context}\n\n{ask.text}", use, tools)) as moments:
            async for moment in moments:
                if isinstance(moment, str):
                    answer = Answered(text=moment, shown=await session.expand(moment))
                    yield answer
                else:
                    yield moment
        if answer is None:
            return


async def _edited(session: Session, type: str, line: str) -> Artifact | None:
    """Add a line to the newest artifact of a type, as the user does in the gallery."""
    page = await session.list(type=type, limit=1)
    if not page.items:
        return None
    text = (await session.read(page.items[0].id)).decode()
    return await session.revise(page.items[0].id, content=f"{text.rstrip()}\n\n{line}\n")


async def _execution(session: Session, answer: Answer) -> Execution | None:
    match answer.structured.get("execution"):
        case {"id": str(id)}:
            return await session.execution(id)
        case _:
            return None
