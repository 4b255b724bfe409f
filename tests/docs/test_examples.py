"""The examples, run as a user runs them; what they print is what they promise."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
LONGEST = 60

PRINTED = {
    "quickstart.py": """\
succeeded - total: 358
sales.csv text/csv spreadsheet
sales.png image/png image
""",
    "beeai_handoff.py": """\
task for writer, knowing nothing
response for final_answer, knowing nothing
task for analyst, knowing <artifact
response for final_answer, knowing the draft
response for final_answer, knowing <artifact
# Dark mode

A theme for the night.
kept: Add a dark theme
""",
    "hand_on.py": """\
# Best customers

| customer   |   amount |
|:-----------|---------:|
| Bo         |     24.5 |
| Ada        |     12.5 |
| Cy         |      7   |

report.md comes from totals.csv True
""",
    "follow.py": """\
queued
1 execution-started
2 artifact-created visits.csv text/csv
3 artifact-created visits.xlsx application/vnd.openxmlformats-officedocument.spreadsheetml.sheet
4 execution-finished succeeded
seen up to 4 - succeeded
""",
    "tools.py": """\
8 tools go to the model
page_views ['page_views.json'] done True
get_cached_result ['page_views.json'] done True
generate_file ['visits.png'] done True
""",
    "deep_agent.py": """\
['sales.csv', '47'] - The regions sold 47 in all.
sales.csv text/csv has 2 versions
""",
    "adk_agent.py": """\
The report is saved.
q3.md text/markdown has 2 versions
""",
    "langchain_agent.py": """\
success ['Tide.md']
Here it is: **High** at 9:40 Anything else?
""",
    "openai_agent.py": """\
critic - Good: it names the number.
['Draft.md']
""",
    "pydantic_agent.py": """\
`rainfall` answered 16,684 bytes, kept for 30 minutes. In short:
As asked: It rained on **every** day.

""",
    "repair.py": """\
rejected: line 1: Import not allowed: subprocess. Other programs cannot be run here; do it in Python.
rejected: line 1: Import not allowed: polars. Use pandas or openpyxl instead.
failed: FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'
The run has no inputs: give the file as an input, or create it in the program.
made numbers.csv
""",
}


def test_every_example_is_run() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == sorted(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_is_short_and_says_what_it_shows(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.linux
@pytest.mark.parametrize(("name", "printed"), PRINTED.items())
def test_an_example_prints_what_it_promises(name: str, printed: str, tmp_path: Path) -> None:
    outcome = subprocess.run(
        [sys.executable, str(EXAMPLES / name), str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == printed
