"""What `run` makes of its words before anything runs."""

import io
import sys
from pathlib import Path

import pytest

from handiwork.cli.failures import ScriptUnusable
from handiwork.cli.run import Program, Request, asked_limits, read_program
from handiwork.errors import InvalidLimit
from handiwork.executions.runs import LONGEST_CODE_BYTES
from handiwork.model import Limits


def test_a_program_carries_the_name_of_its_file(tmp_path: Path) -> None:
    script = tmp_path / "chart.py"
    script.write_text("print('é')\n", encoding="utf-8")
    assert read_program(str(script)) == Program(name="chart.py", code="print('é')\n")


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfprint(1)\n")))
    assert read_program("-") == Program(name="main.py", code="print(1)\n")


def test_a_declared_encoding_is_obeyed(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    script.write_bytes(b"# coding: latin-1\nx = '\xe9'\n")
    assert read_program(str(script)).code.endswith("x = 'é'\n")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x7fELF\x02\x01\x00\x00", "binary"),
        (b"x = '\xff\xfe'", "not text"),
        (b"# coding: klingon\n", "not text"),
    ],
)
def test_what_is_no_python_source_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    script = tmp_path / "x"
    script.write_bytes(content)
    with pytest.raises(ScriptUnusable, match=why):
        read_program(str(script))


def test_a_folder_or_a_missing_file_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(ScriptUnusable, match="is a directory"):
        read_program(str(tmp_path))
    with pytest.raises(ScriptUnusable, match="no such file"):
        read_program(str(tmp_path / "missing.py"))


def test_a_script_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ScriptUnusable):
        read_program("/dev/zero")


def test_a_script_at_the_limit_is_read(tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_bytes(b"#" * LONGEST_CODE_BYTES)
    assert len(read_program(str(script)).code) == LONGEST_CODE_BYTES


def test_flags_replace_the_usual_limits_one_by_one() -> None:
    usual = Limits(processes=3, stdout_bytes=5)
    asked = asked_limits(Request(script="-", timeout="2m", memory="1GB", output_limit="5MB"), usual)
    assert asked == Limits(
        wall_seconds=120, memory_bytes=1024**3, output_bytes=5 * 1024**2, processes=3, stdout_bytes=5
    )
    assert asked_limits(Request(script="-"), usual) == usual


@pytest.mark.parametrize(
    ("request_", "flag"),
    [
        (Request(script="-", timeout="-1"), "--timeout"),
        (Request(script="-", memory="lots"), "--memory"),
        (Request(script="-", output_limit="10 parsecs"), "--output-limit"),
    ],
)
def test_a_limit_that_is_none_is_told_by_its_flag(request_: Request, flag: str) -> None:
    with pytest.raises(InvalidLimit, match=f"`{flag}`"):
        asked_limits(request_, Limits())
