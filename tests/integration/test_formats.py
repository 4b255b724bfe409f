from dataclasses import dataclass

import pytest
from rooms import Room, named

from handiwork.media.formats import format_of_media_type
from handiwork.model import Artifact, Category, Disposition, Execution

pytestmark = pytest.mark.linux

OOXML = "application/vnd.openxmlformats-officedocument"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A file, the statements that make it, and what it must be taken for."""

    name: str
    code: str
    media_type: str
    category: Category
    disposition: Disposition


def row(name: str, media_type: str, category: Category, disposition: Disposition, code: str) -> Row:
    return Row(name=name, code=code, media_type=media_type, category=category, disposition=disposition)


def text(name: str, media_type: str, content: str, *, disposition: Disposition = "inline") -> Row:
    code = f"open({name!r}, 'w', encoding='utf-8').write({content!r})"
    return row(name, media_type, "text", disposition, code)


def picture(name: str, media_type: str, mode: str = "RGB") -> Row:
    return row(name, media_type, "image", "inline", f"Image.new({mode!r}, (40, 30)).save({name!r})")


def notation(name: str, media_type: str, code: str, *, disposition: Disposition = "inline") -> Row:
    return row(name, media_type, "data", disposition, code)


CHARTS = (
    row("line.png", "image/png", "image", "inline", "plt.figure(); plt.plot([1, 3, 2]); plt.savefig('line.png')"),
    row(
        "chart.svg",
        "image/svg+xml",
        "image",
        "attachment",
        "plt.figure(); plt.bar('ab', [1, 2]); plt.savefig('chart.svg')",
    ),
    row(
        "chart.pdf", "application/pdf", "document", "inline", "plt.figure(); plt.pie([1, 2]); plt.savefig('chart.pdf')"
    ),
    row("chart.jpg", "image/jpeg", "image", "inline", "plt.figure(); plt.scatter([1], [2]); plt.savefig('chart.jpg')"),
    row(
        "seaborn.png",
        "image/png",
        "image",
        "inline",
        "sns.heatmap(pd.DataFrame({'a': [1, 2], 'b': [3, 4]})).figure.savefig('seaborn.png')",
    ),
    row(
        "pandas.png",
        "image/png",
        "image",
        "inline",
        "pd.DataFrame({'a': [1, 2], 'b': [3, 4]}).plot.bar().figure.savefig('pandas.png')",
    ),
    row(
        "plotly.html",
        "text/html",
        "document",
        "attachment",
        "px.line(x=[1, 2], y=[3, 4]).write_html('plotly.html', include_plotlyjs='cdn')",
    ),
)

DOCUMENTS = (
    row(
        "report.pdf",
        "application/pdf",
        "document",
        "inline",
        """
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate
SimpleDocTemplate('report.pdf').build([Paragraph('Sales', getSampleStyleSheet()['Title'])])
""",
    ),
    row(
        "letter.docx",
        f"{OOXML}.wordprocessingml.document",
        "document",
        "attachment",
        "import docx; d = docx.Document(); d.add_heading('Letter'); d.save('letter.docx')",
    ),
    row(
        "slides.pptx",
        f"{OOXML}.presentationml.presentation",
        "document",
        "attachment",
        "import pptx; p = pptx.Presentation(); p.slides.add_slide(p.slide_layouts[0]); p.save('slides.pptx')",
    ),
    row(
        "page.html",
        "text/html",
        "document",
        "attachment",
        "open('page.html', 'w').write('<!doctype html><title>T</title><p>Hello</p>')",
    ),
)

TEXTS = (
    text("notes.md", "text/markdown", "# Notes\n\n- one\n- **two**\n"),
    text("plain.txt", "text/plain", "Just words. Just words, привет.\n"),
    text("run.log", "text/plain", "12:00 started\n"),
    text("script.py", "text/x-python", "import sys\n\nprint(sys.argv)\n"),
    text("app.js", "text/javascript", "export const a = () => 1;\n", disposition="attachment"),
    text("app.ts", "text/x-typescript", "export const a: number = 1;\n"),
    text("style.css", "text/css", "body { margin: 0 }\n", disposition="attachment"),
    text("run.sh", "text/x-shell", "#!/bin/sh\necho hi\n"),
    text("main.c", "text/x-c", "int main(void) { return 0; }\n"),
    text("Main.java", "text/x-java", "class Main {}\n"),
    text("main.go", "text/x-go", "package main\n"),
    text("lib.rs", "text/x-rust", "fn main() {}\n"),
    text("Dockerfile", "text/x-dockerfile", "FROM scratch\n"),
)

SPREADSHEETS = (
    row("rows.csv", "text/csv", "spreadsheet", "inline", "pd.DataFrame({'a': [1, 2]}).to_csv('rows.csv', index=False)"),
    row(
        "rows.tsv",
        "text/tab-separated-values",
        "spreadsheet",
        "inline",
        "pd.DataFrame({'a': [1], 'b': [2]}).to_csv('rows.tsv', sep='\\t')",
    ),
    row(
        "book.xlsx",
        f"{OOXML}.spreadsheetml.sheet",
        "spreadsheet",
        "attachment",
        "pd.DataFrame({'a': [1, 2]}).to_excel('book.xlsx', index=False)",
    ),
    row(
        "chart.xlsx",
        f"{OOXML}.spreadsheetml.sheet",
        "spreadsheet",
        "attachment",
        "import xlsxwriter; w = xlsxwriter.Workbook('chart.xlsx'); w.add_worksheet().write(0, 0, 1); w.close()",
    ),
)

DATA = (
    notation("facts.json", "application/json", "json.dump({'a': [1, None]}, open('facts.json', 'w'))"),
    notation("lines.jsonl", "application/x-ndjson", "open('lines.jsonl', 'w').write('{\"a\": 1}\\n{\"a\": 2}\\n')"),
    notation(
        "tree.xml",
        "application/xml",
        "from lxml import etree; etree.ElementTree(etree.XML('<a><b/></a>')).write('tree.xml', xml_declaration=True)",
        disposition="attachment",
    ),
    notation("config.yaml", "application/yaml", "import yaml; yaml.safe_dump({'a': [1]}, open('config.yaml', 'w'))"),
    notation("config.toml", "application/toml", "open('config.toml', 'w').write('[a]\\nb = 1\\n')"),
    notation(
        "config.ini",
        "text/x-ini",
        "import configparser; c = configparser.ConfigParser(); c['a'] = {'b': '1'}; c.write(open('config.ini', 'w'))",
    ),
    notation(
        "dump.sql",
        "application/sql",
        """
c = sqlite3.connect(':memory:'); c.execute('create table t (a)'); c.execute('insert into t values (1)')
open('dump.sql', 'w').write('\\n'.join(c.iterdump()))
""",
    ),
    notation(
        "store.sqlite",
        "application/vnd.sqlite3",
        "c = sqlite3.connect('store.sqlite'); c.execute('create table t (a)'); c.commit(); c.close()",
        disposition="attachment",
    ),
    notation(
        "mystery.bin",
        "application/octet-stream",
        "open('mystery.bin', 'wb').write(b'\\0\\x80\\xfe\\3')",
        disposition="attachment",
    ),
)

IMAGES = (
    picture("image.png", "image/png", "RGBA"),
    picture("image.jpg", "image/jpeg"),
    picture("image.gif", "image/gif", "P"),
    picture("image.webp", "image/webp"),
    row(
        "drawn.svg",
        "image/svg+xml",
        "image",
        "attachment",
        "open('drawn.svg', 'w').write('<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0\"/></svg>')",
    ),
    row("code.png", "image/png", "image", "inline", "import qrcode; qrcode.make('handiwork').save('code.png')"),
)

ARCHIVES = (
    row(
        "bundle.zip",
        "application/zip",
        "archive",
        "attachment",
        "zipfile.ZipFile('bundle.zip', 'w').writestr('a.txt', 'a')",
    ),
    row(
        "bundle.tar",
        "application/x-tar",
        "archive",
        "attachment",
        "t = tarfile.open('bundle.tar', 'w'); t.add('plain.txt'); t.close()",
    ),
    row(
        "bundle.tar.gz",
        "application/gzip",
        "archive",
        "attachment",
        "t = tarfile.open('bundle.tar.gz', 'w:gz'); t.add('plain.txt'); t.close()",
    ),
)

ROWS = (*CHARTS, *DOCUMENTS, *TEXTS, *SPREADSHEETS, *DATA, *IMAGES, *ARCHIVES)

PROLOGUE = """
import json, sqlite3, tarfile, zipfile
import matplotlib.pyplot as plt
import pandas as pd
import plotly.express as px
import seaborn as sns
from PIL import Image
"""


@pytest.fixture(scope="module")
def everything(room: Room) -> Execution:
    """One run that makes every file of the table."""
    execution = room.run(PROLOGUE + "\n".join(each.code for each in ROWS))
    assert execution.ok, execution.error
    return execution


def test_one_run_keeps_every_file_of_the_table_and_no_other(everything: Execution) -> None:
    assert set(named(everything)) == {each.name for each in ROWS}
    assert everything.outcome.refused == ()


@pytest.mark.parametrize("each", ROWS, ids=lambda each: each.name)
def test_a_format_that_users_ask_for_is_recognised(everything: Execution, each: Row) -> None:
    artifact = named(everything)[each.name]
    assert (artifact.media_type, artifact.category, disposition_of(artifact)) == (
        each.media_type,
        each.category,
        each.disposition,
    )


def test_the_name_does_not_decide_what_a_binary_file_is(room: Room) -> None:
    execution = room.run("""
        from PIL import Image
        Image.new("RGB", (4, 4)).save("picture.txt", format="png")
        Image.new("RGB", (4, 4)).save("picture", format="jpeg")
    """)
    assert {n: a.media_type for n, a in named(execution).items()} == {
        "picture": "image/jpeg",
        "picture.txt": "image/png",
    }


@pytest.mark.parametrize(
    ("name", "content", "workaround"),
    [
        ("film.mp4", b"\0\0\0\x18ftypmp42" + bytes(50), "frames as images"),
        ("film.webm", b"\x1a\x45\xdf\xa3" + bytes(50), "frames as images"),
        ("tone.wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "sound"),
        ("song.mp3", b"ID3\x04" + bytes(60), "sound"),
        ("program", b"\x7fELF\2\1\1" + bytes(60), "source code"),
        ("program.exe", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(40), "source code"),
        ("module.wasm", b"\0asm\1\0\0\0", "source code"),
        ("Main.class", b"\xca\xfe\xba\xbe\0\0\0\x41" + bytes(20), "source code"),
        # A name cannot hide it.
        ("report.pdf", b"\x7fELF\2\1\1" + bytes(60), "source code"),
    ],
)
def test_video_audio_and_compiled_code_are_refused_with_a_way_round(
    room: Room, name: str, content: bytes, workaround: str
) -> None:
    execution = room.run(f"open({name!r}, 'wb').write({content!r})\nopen('kept.txt', 'w').write('kept')")
    assert execution.ok
    assert list(named(execution)) == ["kept.txt"]
    (refused,) = execution.outcome.refused
    assert (refused.name, refused.reason) == (name, "unsupported_format")
    assert workaround in (refused.hint or "")


def test_a_sound_made_with_the_standard_library_is_refused_too(room: Room) -> None:
    execution = room.run("""
        import wave
        with wave.open("tone.wav", "wb") as tone:
            tone.setnchannels(1); tone.setsampwidth(2); tone.setframerate(8000); tone.writeframes(bytes(800))
    """)
    assert [refused.reason for refused in execution.outcome.refused] == ["unsupported_format"]


def disposition_of(artifact: Artifact) -> Disposition:
    found = format_of_media_type(artifact.media_type)
    assert found is not None
    return found.disposition
