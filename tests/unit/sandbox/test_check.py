"""What the check refuses, where it points, and what it says."""

import ast
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.sandbox import check as module
from handiwork.sandbox.check import MOST_VIOLATIONS, check
from handiwork.sandbox.imports import DEFAULT_ALLOWED, REFUSED_IMPORTS, RUNTIME_IMPORTS

ALLOWED = DEFAULT_ALLOWED.union(*RUNTIME_IMPORTS.values())


def found(source: str) -> list[tuple[object, object, object]]:
    return [(v["line"], v["column"], v["rule"]) for v in check(source, allowed_imports=ALLOWED)]


def message(source: str) -> str:
    (violation,) = check(source, allowed_imports=ALLOWED)
    return str(violation["message"])


REFUSED_IMPORT_STATEMENTS = [
    "import subprocess",
    "import subprocess as s",
    "from subprocess import run",
    "import pty",
    "import ctypes",
    "from ctypes import CDLL",
    "import _ctypes",
    "import cffi",
    "import socket",
    "import _socket",
    "import ssl",
    "import urllib",
    "import urllib.request",
    "from urllib import request",
    "from urllib.request import urlopen",
    "from urllib.error import URLError",
    "import http",
    "import http.client",
    "from http import server",
    "import ftplib",
    "import smtplib",
    "import telnetlib",
    "import xmlrpc.client",
    "import webbrowser",
    "import requests",
    "import httpx",
    "import aiohttp",
    "import urllib3",
    "import websockets",
    "import paramiko",
    "import tkinter as tk",
    "import turtle",
    "import pip",
    "import asyncio.subprocess",
    "from asyncio import subprocess",
    "from asyncio import create_subprocess_exec",
    "from os import system",
    "from os import popen as p",
    "from os import execv",
    "from os import *",
    "from posix import system",
    "from builtins import eval",
    "from . import secrets",
    "from .. import x",
    "from .tools import x",
    "import sklearn",
    "import nowhere.at.all",
]


@pytest.mark.parametrize("statement", REFUSED_IMPORT_STATEMENTS)
def test_an_import_that_cannot_work_is_refused_where_it_stands(statement: str) -> None:
    assert found(f"print(1)\nif True:\n    {statement}\n") == [(3, 4, "import")]


REFUSED_USES = [
    ("import os\nos.system('rm -rf /')", [(2, 0, "call")]),
    ("import os as o\no.system('ls')", [(2, 0, "call")]),
    ("import os\no = os\no.popen('ls')", [(3, 0, "call")]),
    ("import os\nos.execvp('ls', ['ls'])", [(2, 0, "call")]),
    ("import os\nos.spawnl(os.P_WAIT, 'ls')", [(2, 0, "call")]),
    ("import os\nos.posix_spawn('ls', [], {})", [(2, 0, "call")]),
    ("import os\nf = os.system", [(2, 4, "attribute")]),
    ("import os\nlist(map(os.system, ['ls']))", [(2, 9, "attribute")]),
    ("import os\ngetattr(os, 'system')('ls')", [(2, 0, "attribute")]),
    ("def f():\n    import os\n    os.system('ls')", [(3, 4, "call")]),
    ("import os\nclass A:\n    x = 1\n    def f(self):\n        os.system('ls')", [(5, 8, "call")]),
    ("import random\nrandom._os.system('ls')", [(2, 0, "call")]),
    ("import sys\nsys.modules['os'].system('ls')", [(2, 0, "call")]),
    ("import sys\nsys.modules['subprocess'].run('ls')", [(2, 0, "call")]),
    ("import os\nos.__dict__['system']('ls')", [(2, 0, "attribute")]),
    ("import asyncio\nasyncio.create_subprocess_shell('ls')", [(2, 0, "call")]),
    ("import asyncio as a\nx = [a.create_subprocess_exec]", [(2, 5, "attribute")]),
    ("import urllib.parse\nurllib.request.urlopen('x')", [(2, 0, "call")]),
    ("import importlib\nimportlib.import_module('subprocess')", [(2, 0, "import")]),
    ("from importlib import import_module\nx = import_module('os').system('ls')", [(2, 4, "call")]),
    ("import importlib\nimportlib.import_module('nowhere')", [(2, 0, "import")]),
    ("x = eval('1')", [(1, 4, "call")]),
    ("exec('x = 1')", [(1, 0, "call")]),
    ("exec(compile('x', 'y', 'exec'))", [(1, 0, "call"), (1, 5, "call")]),
    ("__import__('numpy')", [(1, 0, "call")]),
    ("__import__('os').system('ls')", [(1, 0, "call"), (1, 0, "call")]),
    ("f = eval\nf('1')", [(1, 4, "call")]),
    ("list(map(eval, ['1']))", [(1, 9, "call")]),
    ("import builtins\nbuiltins.eval('1')", [(2, 0, "call")]),
    ("import builtins as b\nb.exec('1')", [(2, 0, "call")]),
    ("__builtins__['exec']('1')", [(1, 0, "attribute")]),
    ("__builtins__.eval('1')", [(1, 0, "call")]),
    ("getattr(__builtins__, 'eval')('1')", [(1, 0, "attribute")]),
    ("class M:\n    def eval(self): return 1\nprint(eval('1'))", [(3, 6, "call")]),
    ("def f(eval): return eval(1)\neval('1')", [(2, 0, "call")]),
    ("try:\n    import subprocess\nexcept ImportError:\n    pass", [(2, 4, "import")]),
    ("try:\n    import nowhere\nfinally:\n    pass", [(2, 4, "import")]),
    ("@eval\ndef f(): pass", [(1, 1, "call")]),
]


@pytest.mark.parametrize(("source", "expected"), REFUSED_USES)
def test_a_use_that_cannot_work_is_refused(source: str, expected: list[tuple[int, int, str]]) -> None:
    assert found(source) == expected


REFUSED_PATHS = [
    "open('/etc/passwd')",
    "open('../secret.txt')",
    "open('a/../../b')",
    "open('..\\\\b')",
    "open('/mnt/database.csv')",
    "open('/mnt/data/../x')",
    "open('/tmp/x', 'w')",
    "open(file='/etc/passwd')",
    "open(f'/home/{1}/x')",
    "open('/tmp/' + 'x')",
    "open('/tmp/%s' % 1)",
    "io.open('/etc/passwd')",
    "pathlib.Path('/etc')",
    "Path('../x').read_text()",
    "pd.read_csv('/data/x.csv')",
    "pd.DataFrame().to_csv('/out.csv')",
    "df.to_excel(excel_writer='/out.xlsx')",
    "plt.savefig('/tmp/x.png')",
    "fig.savefig(fname='../x.png')",
    "np.load('/x.npy')",
    "Image.open('/x.png')",
    "sqlite3.connect('/x.db')",
    "zipfile.ZipFile('/x.zip')",
    "os.makedirs('/output')",
    "open(os.path.join('/tmp', 'x'))",
    "pd.read_csv('https://example.com/x.csv')",
]
HEAD = """import io, os, pathlib, sqlite3, zipfile
from pathlib import Path
import numpy as np, pandas as pd, matplotlib.pyplot as plt
from PIL import Image
df, fig = pd.DataFrame(), plt.figure()
"""


@pytest.mark.parametrize("call", REFUSED_PATHS)
def test_a_written_path_outside_the_work_folder_is_refused(call: str) -> None:
    assert found(f"{HEAD}{call}") == [(6, 0, "path")]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\n\n",
        "# only a comment",
        '"""A docstring."""',
        "import os",
        "from math import pi",
        "pass",
        "...",
        '"""Doc."""\nimport os\n# more\n...\npass\n42',
        "from __future__ import annotations",
    ],
)
def test_code_that_does_nothing_is_refused(source: str) -> None:
    assert found(source) == [(1, 0, "empty")]
    assert "no executable statements" in message(source)


@pytest.mark.parametrize("source", ["def f(): pass", "x = 1", "print", "class A: ...", "if 1: pass"])
def test_a_single_statement_is_not_empty(source: str) -> None:
    assert found(source) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import subprocess", "Import not allowed: subprocess. Other programs cannot be run here; do it in Python."),
        ("import requests", "Import not allowed: requests. There is no network here; pass the data as an input."),
        ("import urllib.request", "Import not allowed: urllib.request. There is no network"),
        ("from os import system", "Import not allowed: os.system. Other programs"),
        ("eval('1')", "Function not allowed: eval. Use `ast.literal_eval`"),
        ("import os\nos.system('x')", "Function not allowed: os.system. Other programs cannot be run here"),
        ("import os\nf = os.system", "Attribute access not allowed: os.system. Other programs"),
        ("open('/etc/passwd')", "Path not allowed: /etc/passwd. Use a path in the current folder"),
        ("import sklearn.linear_model", "Import not allowed: sklearn.linear_model. Use scipy or statsmodels instead."),
        ("import bokeh", "Use plotly or matplotlib instead."),
        ("import fpdf", "Use reportlab instead."),
        ("import cv2", "Use PIL instead."),
        ("import tkinter", "There is no display here"),
        ("import pip", "Nothing can be installed here"),
        ("import matplotlb", "Did you mean `matplotlib`"),
        ("import python_docx", "Did you mean `docx`?"),
        ("import Pillow", "Did you mean `PIL`?"),
        ("import Pandas", "Did you mean `pandas`"),
        ("import qqqqqqq", "It is not available and nothing can be installed"),
        ("from . import x", "Import not allowed: .. The program is one file"),
    ],
)
def test_a_message_names_what_was_refused_and_the_way_out(source: str, words: str) -> None:
    assert words in message(source)


def test_both_samples_of_the_documentation_are_judged_as_it_says() -> None:
    rejected = 'import os\nos.system("rm -rf /")'
    allowed = "import matplotlib.pyplot as plt\nplt.bar(['A', 'B', 'C'], [10, 20, 15])\nplt.savefig('chart.png')"

    assert found(rejected) == [(2, 0, "call")]
    assert found(allowed) == []


def test_all_violations_are_reported_at_once_in_order() -> None:
    source = """import subprocess, os
import requests

def load(path):
    text = open("/etc/hosts").read(); os.system("id")
    return eval(text)

é = [eval("1"), "ü", __import__("os")]
"""

    assert found(source) == [
        (1, 0, "import"),
        (2, 0, "import"),
        (5, 11, "path"),
        (5, 38, "call"),
        (6, 11, "call"),
        (8, 5, "call"),
        (8, 21, "call"),
    ]


def test_a_long_list_ends_with_how_many_more_there_are() -> None:
    violations = check("eval('1')\n" * 80, allowed_imports=ALLOWED)

    assert len(violations) == MOST_VIOLATIONS
    assert violations[-1]["line"] == MOST_VIOLATIONS
    assert violations[-1]["message"] == "31 more violations are not listed."


def test_exactly_the_most_violations_are_all_listed() -> None:
    violations = check("eval('1')\n" * MOST_VIOLATIONS, allowed_imports=ALLOWED)

    assert {v["message"] for v in violations} == {violations[0]["message"]}


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("x = 1\nprint((1", 2, 6),
        ("def f(:\n", 1, 6),
        ("if True:\nx = 1", 2, 0),
        ("x = 'abc\n", 1, 4),
        ("x = 1\n\ty = 2", 2, 0),
        ("a\0b", 1, 0),
        ("(" * 5000, 1, 200),
    ],
)
def test_code_that_does_not_parse_is_one_violation(source: str, line: int, column: int) -> None:
    (violation,) = check(source, allowed_imports=ALLOWED)

    assert (violation["line"], violation["rule"]) == (line, "syntax")
    assert str(violation["message"]).startswith("Syntax error: ")
    assert violation["column"] == column


def test_a_syntax_error_shows_the_place() -> None:
    assert message("x = 1\nprint((1") == "Syntax error: '(' was never closed\n    print((1\n          ^"


@pytest.mark.parametrize(
    "source",
    ["-" * 100_000 + "1", "1" + "+1" * 100_000, "x" + ".a" * 100_000, "x" + "()" * 100_000, "not " * 50_000 + "x"],
)
def test_nesting_that_is_too_deep_is_a_violation(source: str) -> None:
    assert [rule for _, _, rule in found(source)] == ["syntax"]


@pytest.mark.parametrize(
    "source",
    [
        "x = 1" + "+1" * 900,
        "import os\nos" + ".a" * 900,
        "f" + "()" * 900,
        "[" * 90 + "]" * 90,
        "x=" + "lambda:" * 90 + "1",
    ],
)
def test_nesting_that_parses_is_read(source: str) -> None:
    assert found(source) == []


def test_what_compile_finds_can_be_reported_like_what_parse_finds() -> None:
    source = "x = 1\nreturn x"
    tree = module.parse(source)
    with pytest.raises(SyntaxError) as caught:
        compile(tree, "program.py", "exec")

    violation = module.syntax_violation(caught.value, source)

    assert (violation["line"], violation["column"], violation["rule"]) == (2, 0, "syntax")


def test_a_byte_order_mark_is_no_error() -> None:
    assert found("\ufeffprint(1)") == []
    assert found("\ufeffeval('1')") == [(1, 0, "call")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_python_counts_them(ending: str) -> None:
    assert found(ending.join(["x = 'a\x0cb\u2028c'", "y = 1", "é = eval('1')"])) == [(3, 4, "call")]


def test_an_escape_that_python_warns_of_passes_in_silence() -> None:
    assert found(r"print('\d')") == []


def test_a_module_that_the_deployment_took_away_is_refused() -> None:
    assert [v["rule"] for v in check("import os\nx = 1", allowed_imports=ALLOWED - {"os"})] == ["import"]


def test_a_module_that_the_deployment_added_passes() -> None:
    source = "import requests, secretlib.deep\nrequests.get('x')"

    assert check(source, allowed_imports=ALLOWED | {"requests", "secretlib"}) == []


def test_the_default_list_is_the_standard_library_without_what_is_refused() -> None:
    assert {"os", "json", "re", "sqlite3", "multiprocessing", "__future__"} <= DEFAULT_ALLOWED
    assert DEFAULT_ALLOWED.isdisjoint(REFUSED_IMPORTS)


def test_the_tree_is_read_without_parsing_again() -> None:
    tree = ast.parse("eval('1')")

    assert module.check_tree(tree, "eval('1')", allowed_imports=ALLOWED) == check("eval('1')", allowed_imports=ALLOWED)


PIECES = st.sampled_from(
    [
        "import os",
        "import subprocess as s",
        "from os import system",
        "x = eval('é')",
        "os.system('é'); eval('2')",
        "def f(a, *b, eval=1, **c): return eval(a)",
        "class A:\n    compile = 1\n    def g(self): return compile('x')",
        "try:\n    import nowhere\nexcept ImportError as error:\n    pass",
        "match x:\n    case [a, *b] | {'k': a, **b}: eval(a)",
        "y = [eval(z) for z in 'é']",
        "open('/é')",
        "async def g():\n    async with a as b: await b",
        "lambda eval: eval(1)",
        "import nowhere, nowhere2",
        "getattr(os, 'system')",
        "f = f.f\nf.f()",
        "é = 1; exec('')",
        "with open('../x') as f: pass",
    ]
)


@given(st.lists(PIECES, max_size=12).map("\n".join) | st.text())
def test_the_answer_is_sorted_and_lies_within_the_text(source: str) -> None:
    violations = check(source, allowed_imports=ALLOWED)

    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    positions = [(int(str(v["line"])), int(str(v["column"]))) for v in violations]
    assert all(a <= b for a, b in pairwise(positions))
    assert all(1 <= line <= len(lines) and 0 <= column <= len(lines[line - 1]) for line, column in positions)
    assert {v["rule"] for v in violations} <= {"import", "call", "attribute", "path", "empty", "syntax"}
    assert all(v["message"] for v in violations)
