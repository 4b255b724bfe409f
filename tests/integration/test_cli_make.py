"""`handiwork make` with a scripted model of a module, from the words of the command to the files in the folder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODEL = '''
import re
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

CODE = """
import csv
rows = list(csv.DictReader(open("sales.csv")))
total = sum(int(row["sales"]) for row in rows)
open("total.txt", "w").write(str(total))
"""


def answer(messages, info):
    asked = str(messages)
    if len(messages) > 1:
        assert "total.txt" in str(messages[-1])
        return ModelResponse(parts=[TextPart("The total is in total.txt.")])
    handle = re.search(r"- (sales_\\w{4}): sales.csv", asked)[1]
    return ModelResponse(parts=[ToolCallPart("generate_file", {"code": CODE, "inputs": [handle]})])


def name(messages, info):
    if len(messages) > 1:
        made = re.findall(r'<artifact id="(\\w+)"', str(messages[-1]))
        given = re.search(r"- (sales_\\w{4}): sales.csv", str(messages))[1]
        tags = [f'<artifact id="{handle}" summary="s" />' for handle in (made[0], given, "gone_1234")]
        part = f'<artifact id="{made[0]}" select="head=1" />'
        return ModelResponse(parts=[TextPart(" and ".join(tags) + f". It begins: {part}")])
    call = {"type": "markdown", "title": "Note", "content": "# Go in May\\n\\nAnd June.\\n"}
    return ModelResponse(parts=[ToolCallPart("generate_artifact", call)])


def fail(messages, info):
    raise RuntimeError("no line to the model")


model, naming, failing = FunctionModel(answer), FunctionModel(name), FunctionModel(fail)
'''

pytestmark = pytest.mark.linux


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "scripted.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "sales.csv").write_text("region,sales\nnorth,7\nsouth,35\n", encoding="utf-8")
    return tmp_path


def make(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "handiwork", "make", *words],
        cwd=folder,
        env={"HOME": str(folder), "PATH": "", "PYTHONPATH": str(folder / "modules"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_model_makes_a_file_of_an_input(folder: Path) -> None:
    done = make(folder, "the total", "--input", "sales.csv", "--model", "python:scripted:model", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "total.txt").read_text(encoding="utf-8") == "42"
    assert done.stdout.startswith("The total is in total.txt.\n")
    assert "out/total.txt" in done.stdout
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["modules", "out", "sales.csv"]


def test_the_environment_names_the_model_and_json_is_one_object(folder: Path) -> None:
    (folder / "total.txt").write_text("mine", encoding="utf-8")
    done = make(folder, "it", "--input", "sales.csv", "--json", HANDIWORK_MODEL="python:scripted:model")
    told: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, told["status"], told["iterations"]) == (0, "completed", 1)
    assert set(told) == {"status", "output", "error", "iterations", "usage", "stopReason", "artifacts"}
    assert [artifact["path"] for artifact in told["artifacts"]] == ["total-2.txt"]
    assert (folder / "total.txt").read_text(encoding="utf-8") == "mine"


def test_what_the_answer_refers_to_is_said_as_paths_and_content(folder: Path) -> None:
    words = ["a note", "--input", "sales.csv", "--model", "python:scripted:naming", "--out", "out"]
    expected = 'out/Note.md and sales.csv and <artifact id="gone_1234" summary="s" />. It begins: # Go in May\n'
    done = make(folder, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(expected)
    told: dict[str, Any] = json.loads(make(folder, *words, "--json").stdout)
    assert told["output"] == expected.replace("Note.md", "Note-2.md")


def test_a_model_that_fails_is_exit_code_1(folder: Path) -> None:
    done = make(folder, "it", "--model", "python:scripted:failing")
    assert done.returncode == 1
    assert "no line to the model" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["it"], 2, ("`--model`", "`HANDIWORK_MODEL`", "`handiwork demo`")),
        (["it", "--model", "nonsense"], 2, ("`nonsense` cannot be used", "`python:MODULE:NAME`")),
        (["it", "--model", "test", "--input", "gone.csv"], 4, ("gone.csv", "no such file", "a file by its path")),
        (["it", "--model", "test", "--out", "sales.csv/x"], 1, ("not a folder",)),
        ([" ", "--model", "test"], 2, ("WHAT TO MAKE",)),
    ],
    ids=["no model", "model", "input", "out", "nothing"],
)
def test_what_is_missing_is_told_with_what_to_do(
    folder: Path, words: list[str], code: int, told: tuple[str, ...]
) -> None:
    done = make(folder, *words)
    assert done.returncode == code, done.stderr
    assert [word for word in told if word not in done.stderr] == []
    assert "Traceback" not in done.stderr


def test_a_model_of_a_module_in_this_folder_is_found_and_that_nothing_was_made_is_told(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "from pydantic_ai.models.test import TestModel\nmodel = TestModel(call_tools=[], custom_output_text='Hm.')\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("handiwork")), "make", "it", "--model", "python:mine:model"],
        cwd=folder,
        env={"HOME": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "Hm.\n"), done.stderr
    assert "No file was made." in done.stderr
