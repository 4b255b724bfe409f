"""What to try next, for a program that failed: one sentence that lets a model repair its code.

Works on the facts of a failure only; the failure itself is put into words inside the child.
"""

import difflib
import errno
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from handiwork.model import Limits, Status
from handiwork.quantities import counted
from handiwork.sandbox.imports import IMPORT_NAMES, REMEDIES, RUNTIME_IMPORTS


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
        "timed_out": (
            f"The limit is {limits.wall_seconds:g} s of wall time: see that every loop ends, do less work, "
            "or split it over several runs."
        ),
        "out_of_memory": (
            f"The limit is {limits.memory_bytes // 1024**2} MB: see that nothing grows without end, read in chunks, "
            "load fewer columns, or split the work over several runs."
        ),
        "output_too_large": (
            f"All files of a run together may have {counted(limits.output_bytes, 'byte')}: write fewer or smaller "
            "files, compress them, delete what is not needed, or split the work over several runs."
        ),
    }.get(status)


def for_pages() -> str:
    """What makes pages small, for a run that is too large and wrote some."""
    return 'A Plotly page written with `include_plotlyjs="cdn"` counts without the library, which is put in later.'


def for_failure(failure: Failure, surroundings: Surroundings) -> str | None:
    """A hint that follows from the exception, or None where its own words say enough."""
    for applies, advise in _ADVICE:
        if applies(failure):
            return advise(failure, surroundings)
    return None


def _missing_module(failure: Failure, surroundings: Surroundings) -> str:
    wanted = failure.missing_module or _named_in(failure.message)
    top = wanted.partition(".")[0]
    for library, version in surroundings.libraries.items():
        if top in _imported_as(library) and wanted != top:
            return f"{library} {version} has no module `{wanted}`."
    remedy = f"{REMEDIES[top]} " if top in REMEDIES else _closest(top, surroundings)
    listed = ", ".join(_listed(name, version) for name, version in surroundings.libraries.items())
    return f"`{top}` is not installed and nothing can be installed during a run. {remedy}Available: {listed}."


def _named_in(message: str) -> str:
    """The library that another one misses, from its words; they name it in quotes."""
    quoted = re.search(r"[`']+([A-Za-z_][\w.]*)", message)
    return quoted[1] if quoted else "The library"


def _closest(module: str, surroundings: Surroundings) -> str:
    known = {name.lower(): name for library in surroundings.libraries for name in (*_imported_as(library), library)}
    near = difflib.get_close_matches(module.lower(), known, n=3, cutoff=0.6)
    names = dict.fromkeys(IMPORT_NAMES.get(name.replace("-", "_"), known[name]) for name in near)
    return f"Did you mean {' or '.join(f'`{name}`' for name in names)}? " if names else ""


def _imported_as(library: str) -> tuple[str, ...]:
    return RUNTIME_IMPORTS.get(library, (library,))


def _listed(library: str, version: str) -> str:
    imported = _imported_as(library)[0]
    return f"{library} {version}" if imported.lower() == library.lower() else f"{library} {version} (`{imported}`)"


def _missing_file(failure: Failure, surroundings: Surroundings) -> str:
    if not surroundings.inputs:
        return "The run has no inputs: give the file as an input, or create it in the program."
    names = ", ".join(f"`{name}`" for name in surroundings.inputs)
    return f"The inputs of this run are {names}, in the current folder and in `inputs/`."


def _no_input(_failure: Failure, _surroundings: Surroundings) -> str:
    return "Nobody can type here: set the value in the program, or give a file as an input and read that."


def _read_only(_failure: Failure, _surroundings: Surroundings) -> str:
    return "Inputs and libraries are read-only; write to a new name in the current folder."


def _outside(_failure: Failure, _surroundings: Surroundings) -> str:
    return (
        "A program reads its own folder, its inputs, which are read-only, and the libraries, and nothing else "
        "of the machine; write to a new name in the current folder."
    )


def _font(_failure: Failure, _surroundings: Surroundings) -> str:
    return 'No such font here: `ImageFont.truetype("DejaVuSans.ttf", 24)` is there, and `ImageFont.load_default(24)`.'


def _undefined(_failure: Failure, _surroundings: Surroundings) -> str:
    return "Every run starts empty: define or import it in this program, and read what earlier runs made as an input."


def _full_folder(_failure: Failure, surroundings: Surroundings) -> str:
    return (
        "The working folder is full, in bytes or in files; "
        f"a run may keep {counted(surroundings.limits.output_bytes, 'byte')} of files."
    )


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


def _is_optional_library(failure: Failure) -> bool:
    return failure.type == "ImportError" and ("optional dependency" in failure.message or "pip" in failure.message)


def _is_network(failure: Failure) -> bool:
    return (
        failure.errno == errno.EAFNOSUPPORT
        or "gaierror" in failure.type
        or "name resolution" in failure.message
        or "Address family not supported" in failure.message
    )


def _is_program(failure: Failure) -> bool:
    # Files answer EACCES or EROFS; EPERM with a path, or beside one of these names, comes from starting a program.
    words = ("subprocess", "Popen", "check_output", "check_call", "os.exec", "os.spawn", "posix_spawn", "shell")
    return (
        failure.type == "PermissionError"
        and failure.errno == errno.EPERM
        and "fork" not in failure.traceback
        and (failure.path is not None or any(word in failure.traceback for word in words))
    )


def _is_process(failure: Failure) -> bool:
    # A lock between processes is refused without a path where a job is one process.
    return (failure.type == "PermissionError" and (failure.path is None or "fork" in failure.traceback)) or (
        failure.type in ("BlockingIOError", "RuntimeError")
        and any(word in failure.message for word in ("fork", "thread", "temporarily unavailable"))
    )


_Test = Callable[[Failure], bool]
_Advice = Callable[[Failure, Surroundings], str]
_ADVICE: tuple[tuple[_Test, _Advice], ...] = (
    (lambda f: "kaleido" in f.message.lower() or "write_image" in f.traceback, _plotly_image),
    (lambda f: f.type == "ModuleNotFoundError" or _is_optional_library(f), _missing_module),
    (lambda f: f.type == "FileNotFoundError", _missing_file),
    (lambda f: f.type == "EOFError" and "reading a line" in f.message, _no_input),
    (lambda f: f.errno in (errno.ENOSPC, errno.EFBIG) or "No space left" in f.message, _full_folder),
    (_is_network, _network),
    (_is_program, _programs),
    (_is_process, _processes),
    (lambda f: f.type == "OSError" and "cannot open resource" in f.message, _font),
    (lambda f: f.type == "NameError", _undefined),
    (lambda f: f.errno == errno.EACCES, _outside),
    (lambda f: f.errno == errno.EROFS or "Read-only file system" in f.message, _read_only),
)
