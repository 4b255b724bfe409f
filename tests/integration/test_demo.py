import io
import zipfile
from pathlib import Path

import openpyxl
import pypdfium2

import handiwork
from handiwork.demo.conversation import STEPS, play
from handiwork.model import Artifact

EXPECTED = {
    "weather.csv": "text/csv",
    "good-days-line.png": "image/png",
    "rain-bar.png": "image/png",
    "lost-days-pie.png": "image/png",
    "season-workbook.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "season-summary.csv": "text/csv",
    "season-report.pdf": "application/pdf",
    "findings.md": "text/markdown",
    "season_summary.py": "text/x-python",
    "season-board.png": "image/png",
    "season-board-small.jpg": "image/jpeg",
    "season-calendar.svg": "image/svg+xml",
    "season-explorer.html": "text/html",
    "season-bundle.zip": "application/zip",
}


async def test_the_sample_conversation_makes_every_deliverable(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path) as engine:
        session = engine.session("demo")
        turns = [turn async for turn in play(session)]
        ends = [turn.execution for turn in turns if turn.execution is not None]
        assert [end.status for end in ends] == ["succeeded"] * len(STEPS), [end.error for end in ends]
        assert all(not end.outcome.refused and not end.stderr for end in ends)

        made = {artifact.name: artifact for artifact in (await session.list()).items}
        assert {name: artifact.media_type for name, artifact in made.items()} == EXPECTED

        _has_pages_with_charts(await session.read(made["season-report.pdf"].id))
        _has_two_formatted_sheets(await session.read(made["season-workbook.xlsx"].id))
        _holds_the_others(await session.read(made["season-bundle.zip"].id), set(EXPECTED) - {"season-bundle.zip"})
        _names_its_inputs(made["season-report.pdf"], made)


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
