"""README and the pages under `docs`: their Python, configuration and commands do what the pages say.

The reference lists are compared with the source in `test_house.py`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doors import listening_server  # pyright: ignore[reportMissingImports]  # is in `tests/integration`

from handiwork import settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SERVING = ROOT / "docs" / "guides" / "serving.md"
NOT_RUN = "<!-- not run"
OURS = tuple(f"{block}:" for block in settings.Settings.model_fields)
# As much of curl as the pages use, for machines without it; unlike curl it fails when the server refuses.
CURL = """
import argparse, urllib.request
options = argparse.ArgumentParser()
options.add_argument("url")
options.add_argument("-X", dest="method")
options.add_argument("-H", dest="headers", action="append", default=[])
options.add_argument("-d", dest="body", type=str.encode)
told = options.parse_args()
request = urllib.request.Request(told.url, told.body, dict(h.split(": ", 1) for h in told.headers), method=told.method)
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30).read()
"""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> Iterator[object]:
    """Yield the blocks of a language with what they print; those that a comment above excuses are left out."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            above = text[: found.start()].rstrip().rpartition("\n")[2]
            if found[1] == language and not above.startswith(NOT_RUN):
                yield pytest.param(found[2], found[3] or "", id=f"{page.name}:{line}")


def run(*arguments: str, folder: Path) -> str:
    outcome = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"], "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.mark.linux
@pytest.mark.parametrize(("code", "printed"), list(blocks("python")))
def test_the_python_of_a_page_prints_what_the_page_shows(code: str, printed: str, tmp_path: Path) -> None:
    assert printed
    assert run("-c", code, folder=tmp_path) == printed


def test_the_python_of_the_readme_is_as_long_as_it_says() -> None:
    first = next(found for found in BLOCK.finditer(PAGES[0].read_text(encoding="utf-8")) if found[1] == "python")
    assert len([line for line in first[2].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize(("text", "_printed"), list(blocks("yaml")))
def test_the_configuration_of_a_page_is_accepted(text: str, _printed: str, tmp_path: Path) -> None:
    if not text.startswith(OURS):
        assert text.startswith("securityContext:"), "neither ours nor that of Kubernetes"
        return
    for folder in re.findall(r"/opt/fonts/[\w-]+", text):
        (tmp_path / Path(folder).name).mkdir()
    file = tmp_path / "handiwork.yaml"
    file.write_text(text.replace("/opt/fonts", str(tmp_path)), encoding="utf-8")
    assert settings.load(file, environment={}) != settings.Settings()


@pytest.mark.linux
def test_the_commands_of_the_readme_work_as_they_are_written(tmp_path: Path) -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    first, second = consoles(readme.partition("## The server")[0])
    assert shell(first, folder=tmp_path)
    (chart,) = told("ls", "--session", "conv-42", folder=tmp_path)["items"]
    assert "chart_k3x9" in second
    assert shell(second.replace("chart_k3x9", chart["handle"]), folder=tmp_path)
    assert (tmp_path / "chart.png").read_bytes() == (tmp_path / "copy.png").read_bytes()


@pytest.mark.linux
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PAGES[0].read_text(encoding="utf-8").partition("## The server")[2], id=PAGES[0].name),
        pytest.param(SERVING.read_text(encoding="utf-8"), id=SERVING.name),
    ],
)
def test_the_server_answers_what_a_page_asks_in_the_order_of_the_page(text: str, tmp_path: Path) -> None:
    serve, *others = consoles(text)
    assert serve == "handiwork serve\n"
    assert any(script.startswith("curl ") for script in others)
    (tmp_path / "store").mkdir()
    (tmp_path / "curl").write_text(f"#!{sys.executable}\n{CURL}", encoding="utf-8")
    (tmp_path / "curl").chmod(0o755)
    with listening_server(tmp_path / "store") as server:
        # Variables that one block sets, a later one uses.
        script = "".join(others).replace("http://127.0.0.1:8765", server.url)
        shell(script, folder=tmp_path, HANDIWORK_ARTIFACTS__STORAGE__PATH=str(tmp_path / "store"))


def consoles(text: str) -> list[str]:
    return [found[2] for found in BLOCK.finditer(text) if found[1] == "console"]


def shell(script: str, *, folder: Path, **environment: str) -> str:
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    outcome = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"HOME": str(folder), "PATH": path, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def told(*words: str, folder: Path) -> Any:
    return json.loads(run("-m", "handiwork", *words, "--json", folder=folder))
