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

from handiwork import settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = "<!-- not run"
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
    if not text.startswith("artifacts:"):
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
    first, second = [found[2] for found in BLOCK.finditer(readme) if found[1] == "console"]
    assert shell(first, folder=tmp_path)
    (chart,) = told("ls", "--session", "conv-42", folder=tmp_path)["items"]
    assert "chart_k3x9" in second
    assert shell(second.replace("chart_k3x9", chart["handle"]), folder=tmp_path)
    assert (tmp_path / "chart.png").read_bytes() == (tmp_path / "copy.png").read_bytes()


def shell(script: str, *, folder: Path) -> str:
    outcome = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def told(*words: str, folder: Path) -> Any:
    return json.loads(run("-m", "handiwork", *words, "--json", folder=folder))
