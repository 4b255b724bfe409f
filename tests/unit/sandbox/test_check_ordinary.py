"""Ordinary code, as models write it, passes the check untouched."""

import pytest

from handiwork.sandbox.check import check
from handiwork.sandbox.imports import DEFAULT_ALLOWED, RUNTIME_IMPORTS

ALLOWED = DEFAULT_ALLOWED.union(*RUNTIME_IMPORTS.values())

PROGRAMS = {
    "a bar chart": """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(8, 5))
ax.bar(["A", "B"], [1, 2], color="#4c72b0")
ax.set_xlabel("/path")
ax.set_title("Share / total ../")
for spine in ("top", "right"):
    ax.spines[spine].set_visible(False)
plt.tight_layout()
plt.savefig("chart.png", dpi=150)
plt.close(fig)
""",
    "several charts in a folder": """
import os
import numpy as np
import matplotlib.pyplot as plt
from cycler import cycler
from mpl_toolkits.mplot3d import Axes3D

os.makedirs("output", exist_ok=True)
plt.rcParams["axes.prop_cycle"] = cycler(color=["r", "g"])
rng = np.random.default_rng(0)
for i in range(3):
    plt.figure()
    plt.plot(rng.normal(size=100).cumsum())
    plt.savefig(os.path.join("output", f"chart_{i}.png"))
print(os.listdir("."), os.getcwd(), os.environ.get("HOME"), os.cpu_count())
""",
    "a pandas pipeline": """
import pandas as pd

df = pd.read_csv("inputs/sales.csv", parse_dates=["date"])
df["total"] = df.eval("price * quantity")
top = df.query("total > 100").groupby("region").agg(total=("total", "sum")).reset_index()
pivot = df.pivot_table(index="region", columns=df["date"].dt.month, values="total", aggfunc="sum")
pd.eval("1 + 2")
top.to_csv("/mnt/data/top.csv", index=False)
pivot.to_json("pivot.json")
print(top.to_markdown())
""",
    "a workbook by pandas": """
import pandas as pd
df = pd.DataFrame({"a": [1, 2]})
with pd.ExcelWriter("report.xlsx", engine="xlsxwriter") as writer:
    df.to_excel(writer, sheet_name="Data", index=False)
    writer.sheets["Data"].set_column("A:A", 20)
""",
    "a workbook by openpyxl": """
from openpyxl import Workbook, load_workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter

wb = Workbook()
ws = wb.active
ws.append(["Region", "Sales"])
for cell in ws[1]:
    cell.font = Font(bold=True)
ws["B5"] = "=SUM(B2:B4)"
chart = BarChart()
chart.add_data(Reference(ws, min_col=2, min_row=1, max_row=4), titles_from_data=True)
ws.add_chart(chart, "D2")
wb.save("report.xlsx")
load_workbook("report.xlsx").sheetnames
""",
    "a workbook by xlsxwriter": """
import xlsxwriter
workbook = xlsxwriter.Workbook("out.xlsx")
sheet = workbook.add_worksheet()
sheet.write_formula("A1", "=1+1")
sheet.insert_image("B2", "chart.png")
workbook.close()
""",
    "a PDF with platypus": """
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

doc = SimpleDocTemplate("report.pdf", pagesize=A4)
styles = getSampleStyleSheet()
story = [Paragraph("Report <b>2025</b> and/or", styles["Title"]), Spacer(1, 12)]
story.append(Table([["a", "b"]], style=TableStyle([("GRID", (0, 0), (-1, -1), 1, colors.black)])))
doc.build(story)
""",
    "a PDF with fonts": """
from reportlab.pdfgen import canvas
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
pdfmetrics.registerFont(TTFont("DejaVu", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"))
c = canvas.Canvas("x.pdf")
c.drawString(100, 700, "/tmp/x is text")
c.drawImage("chart.png", 0, 0)
c.save()
""",
    "a Word document": """
from docx import Document
from docx.shared import Inches, Pt
document = Document()
document.add_heading("Title", 0)
document.add_picture("chart.png", width=Inches(5))
document.add_paragraph("See http://example.com/../a", style="List Bullet")
document.save("report.docx")
""",
    "slides": """
from pptx import Presentation
from pptx.util import Inches
prs = Presentation()
slide = prs.slides.add_slide(prs.slide_layouts[5])
slide.shapes.title.text = "Title"
prs.save("deck.pptx")
""",
    "an image": """
from PIL import Image, ImageDraw, ImageFont
img = Image.new("RGB", (200, 100), "white")
draw = ImageDraw.Draw(img)
try:
    font = ImageFont.truetype("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 20)
except OSError:
    font = ImageFont.load_default()
draw.text((10, 10), "hello", font=font, fill=(0, 0, 0))
img.save("image.png", optimize=True)
""",
    "a QR code": "import qrcode\nqrcode.make('https://example.com/a/../b').save('qr.png')",
    "a zip": """
import io
import zipfile
from pathlib import Path
buffer = io.BytesIO()
with zipfile.ZipFile("all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for path in Path("out").rglob("*.csv"):
        archive.write(path, arcname=path.relative_to("out"))
    archive.writestr("/inside/readme.txt", "text")
with zipfile.ZipFile(buffer, "w") as archive, archive.open("a.txt", "w") as handle:
    handle.write(b"x")
""",
    "a database": """
import sqlite3
connection = sqlite3.connect("x.db")
connection.execute("CREATE TABLE t (a INTEGER)")
connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
connection.commit()
sqlite3.connect(":memory:").executescript("select 1")
""",
    "plotly": """
import plotly.express as px
import plotly.graph_objects as go
fig = go.Figure(go.Bar(x=[1], y=[2]))
fig.update_layout(title="a/b")
fig.write_html("chart.html", include_plotlyjs="cdn")
px.line(x=[1], y=[2]).show()
""",
    "statistics": """
import numpy as np
import scipy.stats as stats
import seaborn as sns
import statsmodels.api as sm
from scipy import optimize
sns.set_theme()
model = sm.OLS(np.ones(3), np.ones(3)).fit()
print(model.summary(), stats.norm.cdf(0), optimize.minimize(lambda v: v[0] ** 2, [1.0]))
np.save("x.npy", np.ones(3))
np.array([1.0]).ctypes
""",
    "files and folders": """
import csv, glob, json, shutil, tempfile
from pathlib import Path
import yaml
out = Path("out")
out.mkdir(exist_ok=True)
target = out / "x" / ".."
with open("data/x.csv", newline="") as f, open(out / "y.json", "w") as g:
    json.dump(list(csv.DictReader(f)), g)
with open(f"{out}/a.txt", "w") as f:
    f.write("../ and /etc/passwd")
open("./a.txt"), open("a..b.txt"), open("...txt"), open("/mnt/data/a.txt"), open("/mnt/data")
open(f"/mnt/data/{out}.txt"), open("/mnt/data/" + "x")
shutil.copy("a.txt", "b.txt")
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "x").write_text("/")
glob.glob("*.csv"), yaml.safe_load("a: 1")
""",
    "text": """
import re, string, textwrap
from re import compile
pattern = compile("a")
other = re.compile(r"\\d+")
s = "a/b"
print("../" in s, re.sub("/", "-", s), "/".join(["a", "b"]), s.split("/"), s.startswith("/"), s.replace("../", ""))
print("os.system('x')", "eval(1)", "import subprocess", 'open("/etc/passwd")')  # os.system, eval, exec
""",
    "introspection": """
import sys, types, inspect
class A:
    kind = "a"
    def __init__(self, **given):
        self.__dict__.update(given)
        for key, value in given.items():
            setattr(self, key, value)
    def __repr__(self):
        return f"{self.__class__.__name__}({vars(self)})"
a = A(x=1)
print(hasattr(a, "x"), getattr(a, "x", None), vars(), globals(), locals(), dir(a), type(a).__mro__)
print(getattr(a, "system"), A.__subclasses__(), sys.modules["re"], sys.modules["os"].sep, sys.path, sys.argv)
delattr(a, "x")
if __name__ == "__main__":
    sys.exit(0)
""",
    "names that look refused": """
import multiprocessing, os
def eval_model(model): return model.eval()
def run(eval, socket=None, *compile, **exec):
    socket = eval
    return socket.recv, eval(1), compile[0], exec["a"]
class Runner:
    def exec(self, code): return code
    def system(self, name): return name
    def eval(self): return self.exec("x")
runner = Runner()
runner.exec("a"), runner.eval(), runner.system("x"), runner.open("/a"), runner.load("/b")
system = popen = run
system("x"), popen("y")
requests = [1, 2]
for request in requests:
    print(requests.index(request))
http = urllib = subprocess = {}
subprocess.update(a=1), http.get("x"), urllib.items()
[eval(2) for eval in [abs]]
print(os.getpid(), os.path.join("a", ".."), os.sep, os.kill, os.fork, os.name, os.urandom(8))
""",
    "builtins of its own": """
def compile(source):
    return source
def build():
    return compile("x")
class Language:
    compile = staticmethod(compile)
    def run(self):
        exec = lambda text: text
        return exec("y")
print(compile("y"), build(), Language.compile("z"))
""",
    "scopes": """
from __future__ import annotations
total = 0
def outer():
    count = 0
    def inner():
        global total
        nonlocal count
        total += 1
        count += 1
        return lambda *a, key=None, **k: (a, key, k)
    return inner
def numbers(n):
    yield from (x * y for x in range(n) for y in range(x) if x != y)
    received = yield 1
    return (size := len(str(received)))
print({k: v for k, v in zip("ab", numbers(3))}, [*numbers(2)], {**{}})
""",
    "decorators and data classes": """
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
if TYPE_CHECKING:
    from _typeshed import SupportsRead
@dataclass(frozen=True)
class Point:
    x: float = 0
    tags: list[str] = field(default_factory=list)
@functools.lru_cache(maxsize=None)
def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def deco(f):
    @functools.wraps(f)
    def inner(*args: Any, **kwargs: Any): return f(*args, **kwargs)
    return inner
""",
    "async code": """
import asyncio
async def work(n):
    async with asyncio.Semaphore(1):
        await asyncio.sleep(0)
    return n
async def main():
    async for x in source(): print(x)
    print(await asyncio.gather(*(work(i) for i in range(3))), [y async for y in source()])
async def source():
    yield 1
asyncio.run(main())
""",
    "syntax of 3.11": """
def read(value):
    match value:
        case {"a": [first, *others], **rest}: return first, others, rest
        case int(n) | float(n) if n > 0: return n
        case str() as text: return text
        case _: return None
try:
    read(1)
except* ValueError as group:
    print(group.exceptions)
try:
    pass
except (OSError, KeyError) as error:
    raise RuntimeError("x") from error
else:
    pass
finally:
    pass
""",
    "threads and processes": """
import logging, multiprocessing, pickle, threading, time, queue, signal, gc, resource
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
logging.basicConfig(level=logging.INFO)
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(str, range(4))))
thread = threading.Thread(target=time.sleep, args=(0,))
thread.start()
multiprocessing.Process(target=print).start()
pickle.loads(pickle.dumps({"a": 1}))
""",
    "optional modules": """
try:
    import polars as pl
    from sklearn.linear_model import LinearRegression
except ImportError:
    pl = None
try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib
import contextlib, importlib.util
with contextlib.suppress(ImportError):
    import rich
if importlib.util.find_spec("networkx"):
    import networkx as nx
""",
    "addresses as text": """
import html, urllib.parse, importlib.resources, importlib.metadata
import xml.etree.ElementTree as ET
from http import HTTPStatus
from urllib import parse
from urllib.parse import quote, urlencode
from email.message import EmailMessage
import urllib.parse as up
print(quote("/a b"), urllib.parse.urlparse("https://example.com"), up.quote("x"), parse.quote("y"), HTTPStatus.OK)
print(html.escape("<a>"), importlib.metadata.version("numpy"), ET.fromstring("<a/>").tag)
""",
    "an address with a fallback": """
import pandas as pd
try:
    df = pd.read_csv("https://example.com/x.csv")
except Exception:
    df = pd.DataFrame({"a": [1]})
df.to_csv("x.csv")
""",
    "text in the place of a path": """
import json, pandas as pd
from io import StringIO
pd.read_csv(StringIO("a,b\\n/x,../y"))
pd.read_json('{"a": [1]}')
json.load(open("x.json")), json.loads('{"path": "/etc"}')
pd.read_xml("<a>\\n/../\\n</a>")
print("a", file=open("x.txt", "w"))
""",
    "html and svg": """
from jinja2 import Template
from lxml import html
from string import Template as T
page = Template("<a href='/x'>{{ name }}</a>").render(name="n")
with open("page.html", "w", encoding="utf-8") as f:
    f.write(f"<script>eval('1'); fetch('/api')</script>{page!r:>10}")
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_ordinary_code_passes(program: str) -> None:
    assert check(program, allowed_imports=ALLOWED) == []


def test_every_ordinary_program_is_python() -> None:
    for program in PROGRAMS.values():
        compile(program, "program.py", "exec")
