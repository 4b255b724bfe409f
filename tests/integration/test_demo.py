import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openpyxl
import pypdfium2

import handiwork
from handiwork.demo.conversation import ASKS, Answered, Asked, Called, play, toolbox
from handiwork.demo.scripted import Script
from handiwork.model import TOOL_RESULT, Artifact

DEMO = (sys.executable, "-m", "handiwork", "demo")
EXPECTED = {
    "weather.csv": "text/csv",
    "good-days-line.png": "image/png",
    "rain-bar.png": "image/png",
    "lost-days-pie.png": "image/png",
    "season-workbook.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "season-summary.csv": "text/csv",
    "season-report.pdf": "application/pdf",
    "Daily records of New York.json": "application/json",
    "Findings.md": "text/markdown",
    "season_summary.py": "text/x-python",
    "season-board.png": "image/png",
    "season-board-small.jpg": "image/jpeg",
    "season-calendar.svg": "image/svg+xml",
    "season-explorer.html": "text/html",
    "Month picker.html": "text/html",
    "Crew plan.csv": "text/csv",
    "Mark.svg": "image/svg+xml",
    "Note to the crews.md": "text/markdown",
    "season-bundle.zip": "application/zip",
}


async def test_the_sample_conversation_makes_every_deliverable(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        session = engine.session("demo")
        moments = [each async for each in play(session, Script())]
        called = [each for each in moments if isinstance(each, Called)]
        assert [each.answer.text for each in called if each.answer.is_error] == []
        assert sum(isinstance(each, Asked) for each in moments) == len(ASKS)
        runs = [each.execution for each in called if each.execution is not None]
        assert all(run.ok and not run.outcome.refused and not run.stderr for run in runs)

        made = {artifact.name: artifact for artifact in (await session.list()).items if artifact.type != TOOL_RESULT}
        assert {name: artifact.media_type for name, artifact in made.items()} == EXPECTED

        _has_pages_with_charts(await session.read(made["season-report.pdf"].id))
        _has_two_formatted_sheets(await session.read(made["season-workbook.xlsx"].id))
        _holds_the_others(await session.read(made["season-bundle.zip"].id), set(EXPECTED) - {"season-bundle.zip"})
        _names_its_inputs(made["season-report.pdf"], made)
        _is_told_what_the_user_did(made["Findings.md"], str(await session.context()))
        _shows_what_it_names([each for each in moments if isinstance(each, Answered)])


def test_once_it_stops_after_the_work_and_prints_what_it_made(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--json", "--data", "store"],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["gallery"] is None
    assert {made["version"]["name"] for made in told["artifacts"]} == EXPECTED.keys()
    assert all((tmp_path / made["path"]).stat().st_size == made["version"]["size"] for made in told["artifacts"])


def test_what_the_user_has_brought_along_is_not_told_as_made(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--data", "store"], capture_output=True, timeout=60, check=True, text=True, cwd=tmp_path
    )
    brought, _, made = done.stdout.partition("\nBrought along\n")[2].partition("\nMade\n")
    assert [line.split()[0] for line in brought.splitlines()[1:] if line] == ["weather.csv"]
    table = made.partition("\nThe files are in ")[0]
    assert "weather.csv" not in table
    assert all(name in table for name in EXPECTED if name != "weather.csv")


def test_after_the_work_it_serves_the_gallery_until_it_is_stopped(tmp_path: Path) -> None:
    # Somebody else may have the usual port; then it takes another one.
    with (
        _taken(8765),
        subprocess.Popen([*DEMO, "--json", "--data", "store"], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as demo,
    ):
        try:
            told = _first_object(demo)
            address, _, session = told["gallery"].partition("/#session=")
            assert (address != "http://127.0.0.1:8765", session) == (True, told["session"])
            assert "<html" in httpx2.get(f"{address}/").text
            (listed,) = httpx2.get(f"{address}/api/v1/sessions").json()["items"]
            # What the look-up of the days has answered is there too, for a while.
            assert (listed["session"], listed["artifacts"]) == (session, len(EXPECTED) + 1)
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(15) == 0


MODEL = """
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import FunctionModel

NOTE = "ARTIFACT\\nARTIFACT_SUMMARY: Note\\n\\n~~~markdown\\n# Go in May\\n~~~\\n"


def answer(messages, info):
    if not info.function_tools:
        return ModelResponse(parts=[TextPart(NOTE)])
    said = messages[-1].parts[-1]
    if isinstance(said, UserPromptPart) and "Sum up" in said.content:
        call = {"type": "markdown", "title": "Findings", "content": "# Findings\\n"}
        return ModelResponse(parts=[ToolCallPart("generate_artifact", call)])
    if isinstance(said, UserPromptPart) and "Let the writer" in said.content:
        return ModelResponse(parts=[ToolCallPart("ask_writer", {"task": "A note"})])
    if isinstance(said, UserPromptPart) and "I have added" in said.content:
        assert '<artifact_action' in said.content
    return ModelResponse(parts=[TextPart(f"Done: {getattr(said, 'content', '')[-60:]}")])


model = FunctionModel(answer)
"""


def test_with_a_model_the_same_conversation_is_held(tmp_path: Path) -> None:
    (tmp_path / "scripted.py").write_text(MODEL, encoding="utf-8")
    done = subprocess.run(
        [*DEMO, "--once", "--data", "store", "--model", "python:scripted:model"],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("user   ") == len(ASKS) + 1
    assert "tool   generate_artifact  Findings.md" in done.stdout
    assert "# Go in May" in done.stdout


async def test_what_the_writer_writes_is_told_as_the_agents(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        session = engine.session("demo")
        answer = await toolbox(session, Script()).call("ask_writer", {"task": "A note"})
        (note,) = (await session.list()).items
        assert note.handle in answer.text
        assert note.version.provenance.principal.kind == "agent"


def test_a_model_that_there_is_not_is_told(tmp_path: Path) -> None:
    command = [*DEMO, "--once", "--data", "store", "--model", "nonsense"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "`nonsense` cannot be used" in done.stderr


def test_a_model_without_the_package_that_asks_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pydantic_ai.py").write_text("raise ModuleNotFoundError('not here')", encoding="utf-8")
    done = subprocess.run(
        [*DEMO, "--once", "--data", "store", "--model", "openai:gpt-5"],
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode != 0
    assert "pip install 'handiwork[pydantic-ai]'" in done.stderr
    assert "Traceback" not in done.stderr


@contextmanager
def _taken(port: int) -> Generator[None]:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", port))
            holder.listen()
        except OSError:
            pass  # Then somebody has it already.
        yield


def _first_object(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    said = ""
    while not said.endswith("\n}\n"):
        line = process.stdout.readline()
        assert line, said
        said += line
    return json.loads(said)


def _has_pages_with_charts(data: bytes) -> None:
    document = pypdfium2.PdfDocument(data)
    texts = [page.get_textpage().get_text_range() for page in document]
    assert all(f"Page {number} of {len(texts)}" in text for number, text in enumerate(texts, 1))
    assert "София" in texts[-1]
    assert sum(len(list(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))) for page in document) >= 3


def _has_two_formatted_sheets(data: bytes) -> None:
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert len(book.worksheets) == 2
    formats = {cell.number_format for sheet in book.worksheets for row in sheet.iter_rows(max_row=5) for cell in row}
    assert {"0 %", "yyyy-mm-dd"} <= {f.replace("0%", "0 %") for f in formats}


def _holds_the_others(data: bytes, names: set[str]) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert names <= {Path(name).name for name in archive.namelist()}


def _names_its_inputs(report: Artifact, made: dict[str, Artifact]) -> None:
    inputs = set(report.version.provenance.inputs)
    assert inputs == {
        f"{made[n].id}@1" for n in ("season-summary.csv", "good-days-line.png", "rain-bar.png", "lost-days-pie.png")
    }


def _is_told_what_the_user_did(findings: Artifact, context: str) -> None:
    assert (findings.version.number, f'id="{findings.handle}"' in context) == (3, True)
    assert "<artifact_action" in context


def _shows_what_it_names(answers: list[Answered]) -> None:
    assert all("<artifact" in each.text and "<artifact" not in each.shown for each in answers)
    assert "Where to be, month by month" in answers[-2].shown
