"""The reference pages beside the code: signatures, fields, defaults and the JSON of the commands.

Commands, settings and errors are compared in `test_house.py`; what the pages run is in `test_pages.py`.
"""

import inspect
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import handiwork
from handiwork import model
from handiwork.actions.ledger import ActionList
from handiwork.autopilot.goal import BudgetPolicy, Goal
from handiwork.autopilot.pilot import Autopilot
from handiwork.autopilot.result import AutopilotResult, Judged, Used
from handiwork.client.engine import RemoteEngine
from handiwork.collect.collector import ArtifactCollector
from handiwork.context.artifact_store import ArtifactStore, Record, SessionArtifacts
from handiwork.context.turn import Part, TurnContext
from handiwork.engine import Engine
from handiwork.events import Event
from handiwork.export.bundle import Exported
from handiwork.portal import SyncEngine, SyncSession
from handiwork.retention import Cleaned
from handiwork.session import Session
from handiwork.store.expiry import Erased
from handiwork.store.records import Filed, Page, SessionPage
from handiwork.store.revisions import VersionPage
from handiwork.tools.tool import Answer, Tool
from handiwork.tools.toolbox import Toolbox
from handiwork.types.action_type import ActionType
from handiwork.versions.selection import Selection
from handiwork.versions.texts import Difference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PYTHON = (REFERENCE / "python.md").read_text(encoding="utf-8")
COMMANDS = (REFERENCE / "commands.md").read_text(encoding="utf-8")
VALUES = (
    model.Execution,
    model.Outcome,
    model.ProgramError,
    model.Violation,
    model.Refused,
    model.Isolation,
    model.Artifact,
    model.Acted,
    model.Action,
    ActionList,
    ActionType,
    model.Version,
    model.Provenance,
    Event,
    model.Reach,
    Page,
    SessionPage,
    model.SessionSummary,
    Filed,
    Cleaned,
    Erased,
    VersionPage,
    Difference,
    Selection,
    Exported,
    Tool,
    Answer,
    TurnContext,
    Part,
    Record,
    AutopilotResult,
    Judged,
    Used,
)
# Their keys are names of things, and each page shows one or two of them.
MAPS = {"walls", "libraries", "covers", "metadata", "facts", "summaryData"}

PROGRAM = """
import os
os.mkdir("north")
open("north/sales.csv", "w").write("a,b\\n1,2\\n")
os.symlink("north/sales.csv", "link.csv")
1 / 0
"""


def section(page: str, heading: str) -> str:
    level = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^#{{2,{len(level)}}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def first_cells(text: str) -> list[str]:
    return [line.strip("|").split(" | ")[0].strip() for line in text.splitlines() if line.startswith("| `")]


def verbs(kind: type) -> dict[str, str]:
    """The public methods of a class, each as a call without its types."""
    found: dict[str, str] = {}
    for name, function in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            is_bound = not isinstance(inspect.getattr_static(kind, name), staticmethod)
            parameters = list(inspect.signature(function).parameters.values())[is_bound:]
            plain = inspect.Signature([p.replace(annotation=inspect.Parameter.empty) for p in parameters])
            found[name] = f"{name}{plain}"
    return found


@pytest.mark.parametrize(
    "kind",
    [Engine, Session, RemoteEngine, Toolbox, ArtifactStore, ArtifactCollector, Autopilot],
    ids=lambda kind: kind.__name__,
)
def test_every_verb_is_documented_with_its_signature(kind: type) -> None:
    documented = [cell.strip("`") for cell in first_cells(section(PYTHON, f"## {kind.__name__}"))]
    assert sorted(documented) == sorted(verbs(kind).values())


def test_a_store_over_a_session_has_the_calls_that_the_page_says() -> None:
    assert verbs(SessionArtifacts) == {name: call for name, call in verbs(ArtifactStore).items() if name != "over"}


@pytest.mark.parametrize("kind", [ArtifactCollector, Autopilot, Goal, BudgetPolicy], ids=lambda kind: kind.__name__)
def test_what_is_made_by_its_name_is_documented_with_what_it_takes(kind: type) -> None:
    parameters = [
        each.replace(annotation=inspect.Parameter.empty) for each in inspect.signature(kind).parameters.values()
    ]
    # A default that is a function has no spelling.
    spelled = [each for each in parameters if not callable(each.default) or each.default is inspect.Parameter.empty]
    where = section(PYTHON, f"## {'ArtifactCollector' if kind is ArtifactCollector else 'Autopilot'}")
    call = str(inspect.Signature(spelled)).removeprefix("(*, ").removeprefix("(")
    assert f"{kind.__name__}({call}" in where.replace("*, ", "")
    assert all(f"`{each.name}`" in where for each in parameters if each not in spelled)


def test_the_kinds_of_events_of_an_autopilot_are_those_that_the_page_lists() -> None:
    documented = set(re.findall(r"`(autopilot\.\w+)`", section(PYTHON, "## Autopilot")))
    assert documented == set(re.findall(r"`(autopilot\.\w+)`", inspect.getdoc(Autopilot.astream) or ""))
    assert section(PYTHON, "## ArtifactCollector").count(f"{ArtifactCollector.MAX_CONTENT_CHARS:,}") == 1


def test_the_engine_without_await_has_the_verbs_that_the_page_says() -> None:
    assert verbs(SyncSession) == verbs(Session)
    takes_reach = {name for name, call in verbs(Engine).items() if re.search(r"\((reach|filed)\b", call)}
    assert verbs(SyncEngine).items() <= verbs(Engine).items()
    assert verbs(Engine).keys() - verbs(SyncEngine).keys() == takes_reach - {"erase"}


def test_the_public_names_are_those_that_the_page_lists() -> None:
    first = PYTHON.partition("\n\n")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", first)) == handiwork.__all__


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_field_of_a_value_is_documented(kind: Any) -> None:
    cells = first_cells(section(PYTHON, f"### `{kind.__name__}`"))
    properties = [name for name, value in vars(kind).items() if isinstance(value, property)]
    documented = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(documented) == sorted([each.name for each in fields(kind)] + properties)


def test_documented_limits_are_the_limits() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section(PYTHON, "## Limits"), re.MULTILINE)
    defaults = model.Limits()
    assert rows == [(each.name, str(getattr(defaults, each.name))) for each in fields(defaults)]


@pytest.mark.linux
def test_the_json_of_a_run_and_of_what_it_made_has_the_documented_keys(tmp_path: Path) -> None:
    (tmp_path / "divide.py").write_text(PROGRAM, encoding="utf-8")
    made = printed("run", "divide.py", "--session", "default", folder=tmp_path, code=1)
    assert made["artifacts"][0]["path"] == "north/sales.csv"
    assert keys(made) == keys(documented("run"))
    shown = printed("show", made["artifacts"][0]["handle"], folder=tmp_path)
    assert keys(shown) == keys(documented("show"))
    assert shown["version"]["metadata"] == documented("show")["version"]["metadata"]
    listed = printed("ls", folder=tmp_path)
    assert listed == {"session": "default", "items": [shown]}


@pytest.mark.linux
def test_the_json_of_doctor_has_the_documented_keys(tmp_path: Path) -> None:
    # At the lower level walls are missing, so that the report shows how it tells of one.
    (tmp_path / "handiwork.yaml").write_text("artifacts: {isolation: unprivileged}", encoding="utf-8")
    report = printed("doctor", folder=tmp_path)
    assert report["isolation"]["missing"]
    assert keys(report) == keys(documented("doctor"))


def documented(command: str) -> Any:
    text = re.search(r"^```json\n(.*?)^```$", section(COMMANDS, f"## `handiwork {command}`"), re.MULTILINE | re.DOTALL)
    assert text
    return json.loads(text[1])


def keys(shape: Any) -> Any:
    """The keys at every depth; a list stands for its first item, if it has one."""
    if not isinstance(shape, dict):
        return None
    found: dict[str, Any] = {}
    for key, value in shape.items():
        inner = value[0] if isinstance(value, list) and value else value
        found[key] = None if key in MAPS else keys(inner)
    return found


def printed(*words: str, folder: Path, code: int = 0) -> Any:
    outcome = subprocess.run(
        [sys.executable, "-m", "handiwork", *words, "--json"],
        cwd=folder,
        env={"HOME": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == code, outcome.stderr
    return json.loads(outcome.stdout)
