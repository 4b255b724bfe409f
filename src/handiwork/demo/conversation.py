"""The sample conversation: what a user asks, the program an agent writes for it, and the files that come of it.

It uses the same calls as any user of the engine. How it is shown is the command line's.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from handiwork.model import Artifact, Execution
from handiwork.session import Session

_HERE = Path(__file__).parent
DATA = _HERE / "data" / "weather.csv"
_CHARTS = ("good-days-line.png", "rain-bar.png", "lost-days-pie.png")
_SUMMARY = "season-summary.csv"
EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request and the program for it; `takes` are names of files made before, or everything."""

    ask: str
    program: str
    takes: tuple[str, ...]

    @property
    def code(self) -> str:
        return (_HERE / "steps" / self.program).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A moment of the conversation: `execution` is None while the program runs."""

    number: int
    total: int
    step: Step
    execution: Execution | None


STEPS = (
    Step(
        ask="When can we work outdoors in Seattle and New York? Show me a line, a bar and a pie chart.",
        program="01_charts.py",
        takes=(DATA.name,),
    ),
    Step(
        ask="Put the monthly numbers and the daily data into an Excel workbook, and the summary into a CSV.",
        program="02_workbook.py",
        takes=(DATA.name,),
    ),
    Step(
        ask="Write a PDF report with those charts and page numbers.",
        program="03_report.py",
        takes=(_SUMMARY, *_CHARTS),
    ),
    Step(ask="Sum up the findings in Markdown.", program="04_findings.py", takes=(_SUMMARY,)),
    Step(ask="Give me a script that computes the summary again next year.", program="05_script.py", takes=()),
    Step(
        ask="Compose the charts into one picture for the wall, and a small one for mail.",
        program="06_board.py",
        takes=(_SUMMARY, *_CHARTS),
    ),
    Step(ask="Draw the year as an SVG calendar.", program="07_calendar.py", takes=(_SUMMARY,)),
    Step(ask="Let me explore the days in an interactive chart.", program="08_explorer.py", takes=(DATA.name,)),
    Step(ask="Pack everything into one ZIP.", program="09_bundle.py", takes=(EVERYTHING,)),
)


async def play(session: Session) -> AsyncGenerator[Turn]:
    """Hold the conversation, yielding each step before and after its program; it ends early when a program fails."""
    made: dict[str, Artifact] = {}
    data = await session.create("file", content=DATA, title="Daily weather, Seattle and New York, 2012 to 2015")
    made[data.name] = data
    for number, step in enumerate(STEPS, 1):
        yield Turn(number=number, total=len(STEPS), step=step, execution=None)
        names = tuple(made) if step.takes == (EVERYTHING,) else step.takes
        execution = await session.run(step.code, inputs=[made[name].handle for name in names], name=step.program)
        made |= {artifact.name: artifact for artifact in execution.artifacts}
        yield Turn(number=number, total=len(STEPS), step=step, execution=execution)
        if not execution.ok:
            return
