import textwrap
from importlib.metadata import requires
from pathlib import Path

import matplotlib as mpl
import pypdfium2
import pytest
from fontTools.ttLib import TTFont
from packaging.requirements import Requirement
from rooms import LEVELS, Room, at_each_level, names, open_room

from handiwork.model import Level
from handiwork.sandbox.libraries import installed

pytestmark = pytest.mark.linux

WORDS = "Weiß Žluťoučký Ελληνικά Кириллица € „“"

# Distribution, a small real thing done with it, and what it says.
WORKS = {
    "numpy": ("import numpy as np\nprint(np.linalg.det(np.eye(3) * 2).round())", "8.0"),
    "pandas": (
        "import pandas as pd\nprint(pd.DataFrame({'k': list('aab'), 'v': [1, 2, 3]}).groupby('k').v.sum().to_dict())",
        "{'a': 3, 'b': 3}",
    ),
    "matplotlib": ("import matplotlib.pyplot as plt\nprint(len(plt.hist([1, 1, 2])[0]))", "10"),
    "seaborn": ("import seaborn as sns\nprint(sns.violinplot(x=[1, 2, 3]).get_ylim()[0] is not None)", "True"),
    "plotly": ("import plotly.express as px\nprint(px.bar(x=['a'], y=[1]).data[0].type)", "bar"),
    "pillow": (
        "from PIL import Image, ImageFilter\nprint(Image.new('L', (8, 8)).filter(ImageFilter.BLUR).size)",
        "(8, 8)",
    ),
    "openpyxl": (
        "import openpyxl\nb = openpyxl.Workbook()\nb.active['A1'] = 42\nb.save('a.xlsx')\n"
        "print(openpyxl.load_workbook('a.xlsx').active['A1'].value)",
        "42",
    ),
    "XlsxWriter": (
        "import xlsxwriter, zipfile\nb = xlsxwriter.Workbook('a.xlsx')\nb.add_worksheet('S').write(0, 0, 1)\n"
        "b.add_chart({'type': 'bar'})\nb.close()\nprint('xl/workbook.xml' in zipfile.ZipFile('a.xlsx').namelist())",
        "True",
    ),
    "reportlab": (
        "from reportlab.pdfgen.canvas import Canvas\nc = Canvas('a.pdf')\nc.drawString(9, 9, 'x')\nc.save()\n"
        "print(open('a.pdf', 'rb').read(5))",
        "b'%PDF-'",
    ),
    "python-docx": (
        "import docx\nd = docx.Document()\nd.add_table(2, 3)\nd.save('a.docx')\n"
        "print(len(docx.Document('a.docx').tables))",
        "1",
    ),
    "python-pptx": (
        "import pptx\np = pptx.Presentation()\np.slides.add_slide(p.slide_layouts[1])\np.save('a.pptx')\n"
        "print(len(pptx.Presentation('a.pptx').slides))",
        "1",
    ),
    "PyYAML": ("import yaml\nprint(yaml.safe_load(yaml.safe_dump({'a': [1]})))", "{'a': [1]}"),
    "lxml": ("from lxml import etree\nprint(etree.XML('<a><b c=\"1\"/></a>').xpath('//@c'))", "['1']"),
    "qrcode": ("import qrcode\nqrcode.make('x').save('a.png')\nprint(open('a.png', 'rb').read(4))", r"b'\x89PNG'"),
    "scipy": ("from scipy import optimize\nprint(round(optimize.brentq(lambda x: x * x - 4, 0, 9), 6))", "2.0"),
    "statsmodels": (
        "import statsmodels.api as sm\nprint(sm.OLS([1, 2, 3], [1, 2, 3]).fit().params.round(6))",
        "[1.]",
    ),
    "jinja2": ("import jinja2\nprint(jinja2.Template('{{ a }}!').render(a=1))", "1!"),
    "tabulate": ("from tabulate import tabulate\nprint(tabulate([[1]], tablefmt='plain'))", "1"),
    "tzdata": (
        "from zoneinfo import ZoneInfo\nimport pandas as pd\n"
        "print(pd.Timestamp('2026-07-01', tz=ZoneInfo('Asia/Tokyo')).utcoffset())",
        "9:00:00",
    ),
    "pypdfium2": ("import pypdfium2\nprint(len(pypdfium2.PdfDocument.new()))", "0"),
}


def test_every_library_that_is_promised_is_installed_and_tried() -> None:
    asked = [Requirement(line) for line in requires("handiwork") or []]
    promised = {each.name.lower() for each in asked if each.marker and each.marker.evaluate({"extra": "runtime"})}
    assert promised - {each.name.lower() for each in asked if not each.marker} <= {name.lower() for name in WORKS}
    assert {name.lower() for name in WORKS} <= {name.lower() for name in installed()}


@at_each_level
@pytest.mark.parametrize("library", WORKS)
def test_a_library_does_its_work_in_the_sandbox(room: Room, library: str) -> None:
    code, said = WORKS[library]
    execution = room.run(code)
    assert execution.ok, execution.error
    assert (execution.stdout.strip(), execution.stderr) == (said, "")


def test_the_engine_lists_the_libraries_with_their_versions() -> None:
    assert installed()["matplotlib"] == mpl.__version__


# Text without boxes: a letter without a glyph is drawn as the same box as any other.

LETTERS = "AßŽΩλЖя€"


def drawing(draw: str, letters: str) -> str:
    """A program that says whether every letter, and one that no font has, is drawn as something of its own."""
    ask = f"drawn = [draw(letter) for letter in {letters!r} + chr(0xE0FF)]\nprint(len(set(drawn)) == len(drawn))"
    return f"{textwrap.dedent(draw)}\n{ask}"


BY_MATPLOTLIB = """
    import io, warnings
    import matplotlib.pyplot as plt
    warnings.simplefilter("ignore")
    def draw(letter):
        figure = plt.figure(figsize=(1, 1))
        figure.text(0.5, 0.5, letter)
        kept = io.BytesIO()
        figure.savefig(kept, format="raw")
        plt.close(figure)
        return kept.getvalue()
"""

BY_PILLOW = """
    from PIL import Image, ImageDraw, ImageFont
    font = FONT
    def draw(letter):
        image = Image.new("L", (40, 40))
        ImageDraw.Draw(image).text((4, 4), letter, fill=255, font=font)
        return image.tobytes()
"""


@at_each_level
def test_matplotlib_draws_latin_greek_and_cyrillic(room: Room) -> None:
    assert room.run(drawing(BY_MATPLOTLIB, LETTERS)).stdout == "True\n"
    assert room.run(drawing(BY_MATPLOTLIB, "中国")).stdout == "False\n"


@at_each_level
def test_matplotlib_does_not_warn_of_missing_glyphs(room: Room) -> None:
    execution = room.run(
        f"import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title({WORDS!r})\nplt.savefig('a.png')"
    )
    assert (execution.ok, execution.stderr) == (True, "")
    missing = room.run("import matplotlib.pyplot as plt\nplt.title('\\u4e2d')\nplt.savefig('a.png')")
    assert "missing from font" in missing.stderr


@at_each_level
@pytest.mark.parametrize(
    "font",
    ["ImageFont.load_default()", "ImageFont.load_default(24)", "ImageFont.truetype('DejaVuSans-Bold.ttf', 24)", "None"],
)
def test_pillow_draws_latin_greek_and_cyrillic(room: Room, font: str) -> None:
    by_pillow = BY_PILLOW.replace("FONT", font)
    assert room.run(drawing(by_pillow, LETTERS)).stdout == "True\n"
    assert room.run(drawing(by_pillow, "中国")).stdout == "False\n"


@at_each_level
@pytest.mark.parametrize(
    "build",
    [
        "[Paragraph(WORDS, styles[name]) for name in ('Normal', 'Title', 'Heading2', 'BodyText', 'Italic')]",
        "[Paragraph(f'<b>{WORDS}</b> <i>{WORDS}</i>', styles['Normal'])]",
        "[Table([[WORDS, Paragraph(WORDS)]], colWidths=240)]",
        "[Table([[WORDS]], style=[('FONTNAME', (0, 0), (-1, -1), 'Helvetica-Bold')])]",
        "[Paragraph(WORDS, styles['Code'])]",
        "[Paragraph(f'<font name=\"Times-Roman\">{WORDS}</font>', styles['Normal'])]",
    ],
)
def test_the_text_of_a_pdf_can_be_read_back(room: Room, build: str) -> None:
    execution = room.run(f"""
        from reportlab.lib.styles import getSampleStyleSheet
        from reportlab.platypus import Paragraph, SimpleDocTemplate, Table
        WORDS = {WORDS!r}
        styles = getSampleStyleSheet()
        SimpleDocTemplate("a.pdf").build({build})
    """)
    assert execution.ok, execution.error
    (page,) = pypdfium2.PdfDocument(room.content(execution, "a.pdf"))
    text = " ".join(page.get_textpage().get_text_range().split())
    assert text.count("Ελληνικά") == text.count("Кириллица") == text.count("Žluťoučký") > 0
    assert "\ufffd" not in text
    assert "■" not in text


@at_each_level
@pytest.mark.parametrize(
    "font", ["", "Helvetica", "Helvetica-BoldOblique", "Times-Roman", "Courier-Bold", "DejaVuSans"]
)
def test_text_drawn_on_a_canvas_can_be_read_back(room: Room, font: str) -> None:
    execution = room.run(f"""
        from reportlab.pdfgen.canvas import Canvas
        canvas = Canvas("a.pdf")
        if {font!r}:
            canvas.setFont({font!r}, 14)
        canvas.drawString(50, 700, {WORDS!r})
        canvas.drawString(50, 650, "plain again")
        canvas.drawRightString(500, 600, {WORDS!r})
        canvas.save()
    """)
    assert execution.ok, execution.error
    (page,) = pypdfium2.PdfDocument(room.content(execution, "a.pdf"))
    assert page.get_textpage().get_text_range().splitlines() == [WORDS, "plain again", WORDS]


def test_a_built_in_font_keeps_its_own_shapes_for_the_letters_that_it_has(room: Room) -> None:
    execution = room.run("""
        from reportlab.pdfbase.pdfmetrics import stringWidth
        from reportlab.pdfgen.canvas import Canvas
        canvas = Canvas("a.pdf")
        canvas.setFont("Helvetica", 14)
        canvas.drawString(50, 700, "Café €")
        canvas.save()
        print(round(stringWidth("Café", "Helvetica", 10), 2), stringWidth("Ж", "Helvetica", 10) > 9)
    """)
    assert execution.stdout == "21.12 True\n", execution.error
    assert b"DejaVu" not in room.content(execution, "a.pdf")


def test_a_picture_by_matplotlib_in_a_pdf_keeps_its_letters(room: Room) -> None:
    execution = room.run(
        f"import matplotlib.pyplot as plt\nplt.title({WORDS!r})\nplt.plot([1, 2])\nplt.savefig('a.pdf')"
    )
    (page,) = pypdfium2.PdfDocument(room.content(execution, "a.pdf"))
    assert "Ελληνικά Кириллица" in page.get_textpage().get_text_range()


# Fonts of the deployment


@pytest.fixture
def fonts(data: Path) -> Path:
    """A folder with a family of its own, which no machine has."""
    folder = data / "fonts" / "deep"
    folder.mkdir(parents=True)
    font = TTFont(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSerif.ttf")
    for record in list(font["name"].names):
        if record.nameID in (1, 4, 16):
            font["name"].setName("Handfont", record.nameID, record.platformID, record.platEncID, record.langID)
    font.save(folder / "Handfont-Regular.ttf")
    for above in (data.parent, data.parent.parent, data.parent.parent.parent):
        above.chmod(0o755)
    return data / "fonts"


@pytest.mark.parametrize("level", LEVELS)
def test_a_font_folder_of_the_deployment_is_found_by_family_and_by_file_name(
    fonts: Path, data: Path, level: Level
) -> None:
    code = """
        import matplotlib.pyplot as plt
        from matplotlib import font_manager
        from PIL import ImageFont
        plt.rcParams["font.family"] = "Handfont"
        print(font_manager.findfont("Handfont", fallback_to_default=False).rsplit("/", 1)[1])
        plt.title("Ω Ж")
        plt.savefig("a.png")
        print(ImageFont.truetype("Handfont-Regular.ttf", 20).getname()[0])
    """
    with open_room(level, data, fonts=[fonts]) as room:
        execution = room.run(code)
        assert (execution.stdout, execution.stderr) == ("Handfont-Regular.ttf\nHandfont\n", "")
        assert names(execution) == ["a.png"]


def test_a_font_that_nobody_has_is_an_error(room: Room) -> None:
    execution = room.run("from PIL import ImageFont\nImageFont.truetype('Handfont-Regular.ttf', 20)")
    assert execution.status == "failed"
    assert execution.error is not None
    assert execution.error.type == "OSError"
