"""What to try next, for a program that failed: one sentence that lets a model repair its code.

Works on the facts of a failure only; the failure itself is put into words inside the child.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from handiwork.model import Limits, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The facts that a hint can rest on."""

    type: str
    message: str
    traceback: str = ""
    missing_module: str | None = None
    path: str | None = None
    errno: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the program had."""

    limits: Limits
    inputs: tuple[str, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict[str, str])


def for_status(status: Status, limits: Limits) -> str | None:
    """A hint that follows from the status alone."""
    return {
        "timed_out": f"The limit is {limits.wall_seconds:g} s of wall time: do less work, or ask for a longer `timeout`.",
        "out_of_memory": (
            f"The limit is {limits.memory_bytes // 1024**2} MB: read in chunks, load fewer columns, "
            "or ask for more `memory`."
        ),
        "output_too_large": (
            f"All files of a run together may have {limits.output_bytes:,} bytes: write fewer or smaller files, "
            "compress them, delete what is not needed, or split the work over several runs."
        ),
    }.get(status)


def for_failure(failure: Failure, surroundings: Surroundings) -> str | None:
    """A hint that follows from the exception, or None where its own words say enough."""
    for applies, advise in _ADVICE:
        if applies(failure):
            return advise(failure, surroundings)
    return None


def _missing_module(failure: Failure, surroundings: Surroundings) -> str:
    name = (failure.missing_module or "").partition(".")[0]
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in surroundings.libraries], n=3, cutoff=0.5)
    closest = f" Closest: {', '.join(near)}." if near else ""
    listed = ", ".join(f"{n} {v}" for n, v in surroundings.libraries.items())
    return f"`{name}` is not installed and nothing can be installed during a run.{closest} Available: {listed}."


def _missing_file(failure: Failure, surroundings: Surroundings) -> str:
    if not surroundings.inputs:
        return "The run has no inputs: give the file as an input, or create it in the program."
    names = ", ".join(f"`{name}`" for name in surroundings.inputs)
    return f"The inputs of this run are {names}, in the current folder and in `inputs/`."


def _read_only(_failure: Failure, _surroundings: Surroundings) -> str:
    return "Inputs and libraries are read-only; write to a new name in the current folder."


def _full_folder(_failure: Failure, surroundings: Surroundings) -> str:
    return f"The working folder is full; a run may keep {surroundings.limits.output_bytes:,} bytes of files."


def _network(_failure: Failure, _surroundings: Surroundings) -> str:
    return "There is no network in the sandbox; give the data as an input."


def _programs(_failure: Failure, _surroundings: Surroundings) -> str:
    return "No other program can be started in the sandbox; use a Python library instead."


def _plotly_image(_failure: Failure, _surroundings: Surroundings) -> str:
    return (
        "`write_image` needs a browser, and there is none in the sandbox: use `fig.write_html(...)`, "
        "or draw the chart with matplotlib for a PNG, SVG or PDF."
    )


def _processes(_failure: Failure, surroundings: Surroundings) -> str:
    return (
        f"A run may have {surroundings.limits.processes} processes and threads, and only one process at the "
        "isolation level `unprivileged`; use fewer workers, or threads."
    )


_CANNOT_START = ("BlockingIOError", "RuntimeError")
_Test = Callable[[Failure], bool]
_Advice = Callable[[Failure, Surroundings], str]
_ADVICE: tuple[tuple[_Test, _Advice], ...] = (
    (lambda f: "kaleido" in f.message.lower() or "write_image" in f.traceback, _plotly_image),
    (lambda f: f.type == "ModuleNotFoundError", _missing_module),
    (lambda f: f.type == "FileNotFoundError", _missing_file),
    (lambda f: f.errno in (28, 27) or "No space left" in f.message, _full_folder),
    (lambda f: f.errno == 97 or "gaierror" in f.type or "Address family" in f.message, _network),
    (lambda f: f.type == "PermissionError" and ("subprocess" in f.traceback or "os.exec" in f.traceback), _programs),
    (lambda f: f.type == "PermissionError" and "fork" in f.traceback, _processes),
    (lambda f: f.type in _CANNOT_START and ("fork" in f.message or "thread" in f.message), _processes),
    (lambda f: f.type == "BlockingIOError", _processes),
    (lambda f: f.errno in (30, 13) or "Read-only file system" in f.message, _read_only),
)
