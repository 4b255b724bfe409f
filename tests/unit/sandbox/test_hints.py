import errno

import pytest

from handiwork.model import MIB, Limits
from handiwork.sandbox.hints import Failure, Surroundings, for_failure, for_status

SURROUNDINGS = Surroundings(
    limits=Limits(processes=8, output_bytes=MIB),
    inputs=("sales.csv", "notes.txt"),
    libraries={"matplotlib": "3.11", "pandas": "3.1", "pillow": "13.0", "python-docx": "1.2", "seaborn": "0.13"},
)


def hint(kind: str, message: str = "", **facts: object) -> str | None:
    return for_failure(Failure(type=kind, message=message, **facts), SURROUNDINGS)  # pyright: ignore[reportArgumentType]  # facts of several types


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("pandass", "`pandas`"),
        ("seabron", "`seaborn`"),
        ("pillow", "`PIL`"),
        ("python_docx", "`docx`"),
        ("sklearn", "scipy or statsmodels"),
        ("bokeh.plotting", "plotly or matplotlib"),
    ],
)
def test_a_missing_module_leads_to_the_closest_that_is_there(module: str, expected: str) -> None:
    told = hint("ModuleNotFoundError", f"No module named '{module}'", missing_module=module)
    assert told is not None
    assert f"`{module.partition('.')[0]}` is not installed" in told
    assert expected in told.partition("Available")[0]
    assert "pandas 3.1, pillow 13.0 (`PIL`), python-docx 1.2 (`docx`)" in told


def test_a_module_like_no_other_gets_the_list_alone() -> None:
    told = hint("ModuleNotFoundError", missing_module="qqqq")
    assert told is not None
    assert "Did you mean" not in told
    assert "seaborn 0.13" in told


def test_a_part_that_a_library_does_not_have_is_told_so() -> None:
    assert hint("ModuleNotFoundError", missing_module="pandas.plots") == "pandas 3.1 has no module `pandas.plots`."


def test_a_library_that_another_one_misses_is_named() -> None:
    message = "Missing optional dependency 'pyarrow'. Use pip or conda to install pyarrow."
    told = hint("ImportError", message, missing_module=None)
    assert told is not None
    assert told.startswith("`pyarrow` is not installed")
    assert "pandas or openpyxl" in told


def test_a_name_that_a_module_does_not_have_needs_no_hint() -> None:
    assert hint("ImportError", "cannot import name 'x' from 'json'") is None


def test_a_missing_file_leads_to_the_inputs() -> None:
    told = hint("FileNotFoundError", errno=errno.ENOENT, path="gone.csv")
    assert told is not None
    assert "`sales.csv`, `notes.txt`" in told
    without = for_failure(Failure(type="FileNotFoundError", message=""), Surroundings(limits=Limits()))
    assert without is not None
    assert "no inputs" in without


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(type="OSError", message="", errno=errno.EAFNOSUPPORT), "no network"),
        (Failure(type="socket.gaierror", message="[Errno -3] Temporary failure in name resolution"), "no network"),
        (Failure(type="urllib.error.URLError", message="<urlopen error … name resolution>"), "no network"),
        (Failure(type="EOFError", message="EOF when reading a line"), "Nobody can type"),
        (Failure(type="OSError", message="", errno=errno.ENOSPC), "1,048,576"),
        (Failure(type="OSError", message="", errno=errno.EFBIG), "1,048,576"),
        (Failure(type="OSError", message="", errno=errno.EROFS, path="/usr"), "read-only"),
        (Failure(type="PermissionError", message="", errno=errno.EACCES, path="sales.csv"), "read-only"),
        (Failure(type="PermissionError", message="", errno=errno.EPERM, path="ls"), "No other program"),
        (
            Failure(type="PermissionError", message="", errno=errno.EPERM, traceback="subprocess.run(['ls'])"),
            "No other program",
        ),
        (Failure(type="PermissionError", message="", errno=errno.EPERM, traceback="os.fork()"), "8 processes"),
        (Failure(type="PermissionError", message="", errno=errno.EACCES, traceback="Pool(2)"), "8 processes"),
        (Failure(type="RuntimeError", message="can't start new thread"), "8 processes"),
        (Failure(type="BlockingIOError", message="Resource temporarily unavailable"), "8 processes"),
        (Failure(type="RuntimeError", message='pip install "kaleido>=1"'), "write_html"),
        (Failure(type="ValueError", message="", traceback="fig.write_image('a.png')"), "matplotlib"),
    ],
)
def test_a_failure_that_the_sandbox_causes_says_what_to_do(failure: Failure, expected: str) -> None:
    told = for_failure(failure, SURROUNDINGS)
    assert told is not None
    assert expected in told


@pytest.mark.parametrize(
    "failure",
    [
        Failure(type="ZeroDivisionError", message="division by zero"),
        Failure(type="RuntimeError", message="dictionary changed size during iteration"),
        Failure(type="EOFError", message="Ran out of input"),
        Failure(type="ValueError", message="unknown thread"),
    ],
)
def test_a_failure_of_the_programs_own_needs_no_hint(failure: Failure) -> None:
    assert for_failure(failure, SURROUNDINGS) is None


def test_a_status_of_its_own_names_the_limit() -> None:
    limits = Limits(wall_seconds=2.5, memory_bytes=64 * MIB, output_bytes=1000)
    assert "2.5 s" in (for_status("timed_out", limits) or "")
    assert "64 MB" in (for_status("out_of_memory", limits) or "")
    assert "1,000 bytes" in (for_status("output_too_large", limits) or "")
    assert for_status("failed", limits) is None
