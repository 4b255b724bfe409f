"""The agent of the sample conversation when there is no model: what it calls and says is written down here.

It works like a model: it sees what its calls answer, and knows artifacts by the handles that it was told.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from handiwork.demo.conversation import Called, Calling, Use
from handiwork.tools.toolbox import Toolbox

_HERE = Path(__file__).parent
_NAMED = re.compile(r"@\[([^\]]+)\]")
_CHARTS = ("good-days-line.png", "rain-bar.png", "lost-days-pie.png")
_SUMMARY = "season-summary.csv"
_DAYS = "call_days"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call of a tool; `@[name]` in its arguments is the handle of the artifact of that name, `@[*]` each of them."""

    tool: str
    arguments: Mapping[str, object]
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is done and said when the user has asked."""

    steps: tuple[Step, ...]
    text: str


def _program(name: str, *inputs: str) -> Step:
    code = (_HERE / "steps" / name).read_text(encoding="utf-8")
    handles = [f"@[{each}]" for each in inputs]
    return Step(tool="generate_file", arguments={"code": code, "inputs": handles})


def _written(type: str, file: str, title: str) -> Step:
    return Step(tool="generate_artifact", arguments={"type": type, "title": title, "content": text_of(file)})


def text_of(file: str) -> str:
    """Return a text that the agent, or the writer, writes."""
    return (_HERE / "texts" / file).read_text(encoding="utf-8")


REPLIES = (
    Reply(
        steps=(Step(tool="list_artifacts", arguments={}), _program("01_charts.py", "weather.csv")),
        text="Both cities have about as many good days a year, 189 and 183, but in other months. "
        '<artifact id="@[good-days-line.png]" /> shows the year, <artifact id="@[rain-bar.png]" /> the rain, and '
        '<artifact id="@[lost-days-pie.png]" /> what the other days are lost to.',
    ),
    Reply(
        steps=(_program("02_workbook.py", "weather.csv"),),
        text='The workbook has two sheets: <artifact id="@[season-workbook.xlsx]" />. The summary alone is '
        '<artifact id="@[season-summary.csv]" />.',
    ),
    Reply(
        steps=(
            Step(tool="daily_weather", arguments={"city": "New York"}, id=_DAYS),
            Step(tool="get_cached_result", arguments={"cache_id": "@[cache_id]", "select": "grep=snow"}),
            Step(
                tool="promote_to_artifact",
                arguments={"toolCallId": _DAYS, "type": "json", "title": "Daily records of New York"},
            ),
        ),
        text="It hardly does: snow falls on cold days, which are lost anyway. This is how the records begin:\n\n"
        '<artifact id="@[Daily records of New York]" select="rows=0:1" />',
    ),
    Reply(
        steps=(_program("03_report.py", _SUMMARY, *_CHARTS),),
        text='Here it is: <artifact id="@[season-report.pdf]" />.',
    ),
    Reply(
        steps=(_written("markdown", "findings.md", "Findings"),),
        text='What I found:\n\n<artifact id="@[Findings]" select="lines=8:16" />',
    ),
    Reply(
        steps=(
            Step(tool="read_artifact", arguments={"artifactId": "@[Findings]", "select": "grep=[ ]"}),
            Step(
                tool="revise_artifact",
                arguments={
                    "artifactId": "@[Findings]",
                    "patch": [
                        {"find": "- [ ] Agree the limits", "replace": "- [x] Agree the limits"},
                        {"find": "- [ ] Add wind, once its unit is settled", "replace": "- [x] Settle the wind's unit"},
                    ],
                },
            ),
        ),
        text='Both are ticked off:\n\n<artifact id="@[Findings]" select="grep=[x]" />',
    ),
    Reply(
        steps=(_program("04_script.py"),),
        text='It needs nothing but Python:\n\n<artifact id="@[season_summary.py]" select="lines=1:7" />',
    ),
    Reply(
        steps=(
            _program("05_board.py", _SUMMARY, *_CHARTS),
            _program("06_calendar.py", _SUMMARY),
        ),
        text='The picture is <artifact id="@[season-board.png]" />, a small one for mail '
        '<artifact id="@[season-board-small.jpg]" />, and the year <artifact id="@[season-calendar.svg]" />.',
    ),
    Reply(
        steps=(
            _program("07_explorer.py", "weather.csv"),
            _written("html-sandboxed", "month-picker.html", "Month picker"),
        ),
        text='You have <artifact id="@[season-explorer.html]" />, and the crews <artifact id="@[Month picker]" />.',
    ),
    Reply(
        steps=(_written("csv", "crew-plan.csv", "Crew plan"), _written("svg", "mark.svg", "Mark")),
        text='New York is better in April and from October on:\n\n<artifact id="@[Crew plan]" />',
    ),
    Reply(
        steps=(Step(tool="ask_writer", arguments={"task": "A note to the crews: where to be in which month."}),),
        text='The writer has written it:\n\n<artifact id="@[ask_writer]" />',
    ),
    Reply(
        steps=(Step(tool="list_artifacts", arguments={}), _program("08_bundle.py", "*")),
        text='All of it is in <artifact id="@[season-bundle.zip]" />.',
    ),
)


@dataclass(slots=True)
class Script:
    """An agent that says and does what is written down; it stops at the first call that fails."""

    handles: dict[str, str] = field(default_factory=dict[str, str])
    _next: int = 0

    async def write(self, task: str) -> str:
        return text_of("note.md")

    async def answer(self, message: str, use: Use, tools: Toolbox) -> AsyncGenerator[Calling | Called | str]:
        reply = REPLIES[self._next]
        self._next += 1
        for step in reply.steps:
            yield Calling(tool=step.tool)
            called = await use(step.tool, self._filled(step.arguments), tool_call_id=step.id)
            self._learn(called)
            yield called
            if called.answer.is_error:
                return
        yield cast("str", self._filled(reply.text))

    def _learn(self, called: Called) -> None:
        """Note how what a call has made is named."""
        told: Any = called.answer.structured
        for reference in told.get("artifacts", ()):
            self.handles |= {reference["name"]: reference["handle"], reference["title"] or "": reference["handle"]}
        if "cacheId" in told:
            self.handles["cache_id"] = told["cacheId"]
        if found := re.search(r'<artifact id="([^"]+)"', called.answer.text):
            self.handles[called.tool] = found[1]

    def _filled(self, value: object) -> object:
        match value:
            case str():
                return _NAMED.sub(lambda found: self.handles[found[1]], value)
            case dict():
                return {name: self._filled(each) for name, each in cast("dict[str, object]", value).items()}
            case ["@[*]"]:
                return sorted(set(self.handles.values()) - {self.handles["cache_id"]})
            case list():
                return [self._filled(each) for each in cast("list[object]", value)]
            case _:
                return value
