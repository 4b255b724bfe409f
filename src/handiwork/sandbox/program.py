"""The user's program inside its child: parsed, checked, limited, run, and its failure put into words.

Whatever is said here about a failure is description; status, files and figures are measured outside.
Runs inside the warm interpreter, so it imports the standard library only.
"""

import ast
import atexit
import contextlib
import gc
import io
import json
import linecache
import mmap
import os
import resource
import signal
import sys
import textwrap
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn, cast

from handiwork.sandbox import capture, check, kernel, signals

REFUSED_EXIT = 65
_SIGNALLED = 128
_MESSAGE_CHARACTERS = 4_000
_TRACEBACK_CHARACTERS = 16_000
_CHAIN = 3
_RESERVE_BYTES = 4 * 1024 * 1024
_DESCRIPTORS = 512


class Base(NamedTuple):
    """What the preloaded interpreter has mapped already, in bytes: private data, and all addresses."""

    data: int
    address: int


def limit_fixed() -> None:
    """Set the limits that are the same for every job."""
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 64 * 1024),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NICE, 0),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_SIGPENDING, 1024),
    ):
        _lower(kind, value)
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)


def run(order: "dict[str, Any]", *, report: mmap.mmap, beginning: int, base: Base) -> NoReturn:
    """Run the program of `order`, which is emptied, and leave the process with its exit code."""
    _limit(order["limits"], base)
    name: str = order["name"]
    _receive(name, order["inputs"])
    if os.getpid() == 1:
        signals.mind(lambda number: _leave(_SIGNALLED + number, {"signal": number}, report))
        kernel.leave_at(signal.SIGABRT)  # a C library that gives up sends it, and Python's lines are not run any more
    try:
        code = _compiled(order, report)
    except MemoryError as failure:
        _leave(1, {"error": _describe(failure, name)}, report)
    order.clear()
    main = types.ModuleType("__main__")
    main.__file__ = name
    main.__builtins__ = __builtins__  # type: ignore[attr-defined]  # what `exec` would set
    sys.modules["__main__"] = main
    _forget_ourselves()
    os.write(beginning, b"S")
    os.close(beginning)
    words: dict[str, Any] = {}
    _leave(_execute(code, main, words, name), words, report)


def rehearse(source: str) -> None:
    """Do with the program `source` what `run` does, as far as that ends no process and leaves no file."""
    tree, _violations = _read(source, set(), checked=True)
    code = compile(tree, "main.py", "exec", dont_inherit=True)
    _forget_ourselves()
    _execute(code, types.ModuleType("__main__"), {}, "main.py")


def settle(folder: str, environment: "dict[str, str]") -> None:
    """Make the child a place of its own, before it knows what for: folder, environment, randomness."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for scratch in (environment["TMPDIR"], environment["MPLCONFIGDIR"]):
        os.makedirs(scratch, exist_ok=True)
    sys.path.insert(0, folder)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Who looks on sees each line when it is written.
    cast("io.TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)


def _compiled(order: "dict[str, Any]", report: mmap.mmap) -> types.CodeType:
    """Parse, check and compile the program; what the check refuses ends the process."""
    source: str = order["code"]
    name: str = order["name"]
    allowed = _own_modules(order["inputs"]).union(order["allowed_imports"])
    tree, violations = _read(source, allowed, checked=order["check"])
    if violations:
        _leave(REFUSED_EXIT, {"violations": violations}, report)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        return compile(_moved(tree, order["folder"]), name, "exec", dont_inherit=True)
    except MemoryError:
        raise
    except check.UNPARSABLE as failure:
        if order["check"]:
            _leave(REFUSED_EXIT, {"violations": [check.syntax_violation(failure, source)]}, report)
        _leave(1, {"error": _describe(failure, name)}, report)


def _execute(code: types.CodeType, main: types.ModuleType, words: "dict[str, Any]", name: str) -> int:
    exit_code = 0
    # A MemoryError needs memory to be put into words: taken in advance, and touched by nobody.
    reserve = mmap.mmap(-1, _RESERVE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        exec(code, main.__dict__)  # noqa: S102  # this is the product
    except SystemExit as leaving:
        exit_code = _exit_code(leaving, words)
    except BaseException as failure:  # noqa: BLE001  # whatever the program raises is its result
        reserve.close()
        exit_code = 1
        _fail(failure, words, name)
    try:
        if exit_code == 0:
            capture.save_open_figures()
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # nothing public runs them
        capture.flush_open_files()
        main.__dict__.clear()
        gc.collect()
    except BaseException as failure:  # noqa: BLE001
        exit_code = exit_code or 1
        _fail(failure, words, name)
    return exit_code


def _fail(failure: BaseException, words: "dict[str, Any]", name: str) -> None:
    if "error" in words:
        return
    with contextlib.suppress(BaseException):  # a hostile exception may fail at everything
        words["error"] = _describe(failure, name)
        sys.stderr.write(words["error"]["traceback"])


def _exit_code(leaving: SystemExit, words: "dict[str, Any]") -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    with contextlib.suppress(BaseException):
        said = str(leaving.code)
        words["error"] = {
            "type": "SystemExit",
            "message": _cut(said, _MESSAGE_CHARACTERS),
            "line": None,
            "traceback": "",
        }
        sys.stderr.write(f"{said}\n")
    return 1


def _leave(exit_code: int, words: "dict[str, Any]", report: mmap.mmap) -> NoReturn:
    with contextlib.suppress(BaseException):
        data = json.dumps(words).encode()[: len(report) - 4]
        report[4 : 4 + len(data)] = data
        report[:4] = len(data).to_bytes(4, "big")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    # Their end tells the supervisor that it may look whether this process has ended.
    os.closerange(1, 3)
    os._exit(exit_code)


def _read(source: str, allowed: "set[str]", *, checked: bool) -> "tuple[ast.Module | str, list[dict[str, Any]]]":
    if not checked:
        return source, []
    try:
        tree = check.parse(source)
    except MemoryError:
        raise
    except check.UNPARSABLE as failure:
        return source, [check.syntax_violation(failure, source)]
    return tree, _violations(tree, source, allowed | _own_modules([text.value for text in _texts(tree)]))


def _violations(tree: ast.Module, source: str, allowed: "set[str]") -> "list[dict[str, Any]]":
    """What the check says of the program, and with lines of their own of the texts that it executes in `_executed`."""
    executed = list(_executed(tree))
    for statement, call, _text in executed:
        statement.value = call.args[1]  # what remains to be judged
    found = check.check_tree(tree, source, allowed_imports=frozenset(allowed))
    for statement, call, text in executed:
        statement.value = call
        try:
            inner = check.parse(text)
        except MemoryError:
            raise
        except check.UNPARSABLE as failure:
            found.append(check.syntax_violation(failure, text))
            continue
        known = frozenset(allowed | _own_modules([each.value for each in _texts(inner)]))
        told = check.check_tree(inner, text, allowed_imports=known)
        found += [each for each in told if each["rule"] != "empty"]
    return found[: check.MOST_VIOLATIONS]


def _executed(tree: ast.Module) -> "Iterator[tuple[ast.Expr, ast.Call, str]]":
    """Texts that are written out in the one way to execute one: `exec(compile("…", "name", "exec"), namespace)`."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Name(id="exec"),
                    args=[
                        ast.Call(
                            func=ast.Name(id="compile"),
                            args=[ast.Constant(value=str(text)), ast.Constant(value=str()), ast.Constant(value="exec")],
                            keywords=[],
                        ),
                        _namespace,
                    ],
                    keywords=[],
                ) as call
            ):
                yield node, call, text
            case _:
                pass


def _own_modules(paths: "list[str]") -> "set[str]":
    """What can be imported from files that the program is given, or names because it writes them itself."""
    parts = {part.removesuffix(".py") for path in paths if path.endswith(".py") for part in path.split("/")}
    return {part for part in parts if part.isidentifier()} - check.REFUSED_IMPORTS.keys()


def _moved(tree: "ast.Module | str", folder: str) -> "ast.Module | str":
    """Let literal paths below `/mnt/data` mean the work folder, where no link of that name leads there."""
    if os.path.realpath(check.WORK_FOLDER) == folder:
        return tree
    tree = check.parse(tree) if isinstance(tree, str) else tree
    for text in _texts(tree):
        if f"{text.value}/".startswith(f"{check.WORK_FOLDER}/"):
            text.value = folder + text.value.removeprefix(check.WORK_FOLDER)
    return tree


def _texts(tree: ast.Module) -> "list[Any]":
    return [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _limit(limits: "dict[str, Any]", base: Base) -> None:
    _lower(resource.RLIMIT_DATA, base.data + int(limits["memory_bytes"]) + _RESERVE_BYTES)
    if limits["address_bytes"] is not None:
        _lower(resource.RLIMIT_AS, base.address + int(limits["address_bytes"]))
    _lower(resource.RLIMIT_FSIZE, int(limits["work_bytes"]))
    cpu_seconds = int(limits["cpu_seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))  # SIGXCPU first, which says why
    if limits["processes"] is not None:
        _lower(resource.RLIMIT_NPROC, int(limits["processes"]))


def _lower(kind: int, value: int) -> None:
    _soft, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _receive(name: str, inputs: "list[str]") -> None:
    sys.argv = [name]
    for given in inputs:
        if not os.path.lexists(given):  # an input may be called `inputs`, and is found in there alone
            os.symlink(f"inputs/{given}", given)


def _forget_ourselves() -> None:
    # Not by a look at all modules: that would write to each of their names, and every page of them be copied.
    package, _, _name = __name__.rpartition(".")
    room = sys.modules.pop(package)
    for neighbour in list(vars(room)):
        sys.modules.pop(f"{package}.{neighbour}", None)
    del sys.modules[package.partition(".")[0]]


def _describe(failure: BaseException, name: str) -> "dict[str, Any]":
    kind = type(failure)
    label = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    alone = traceback.TracebackException(kind, failure, None, compact=True)
    alone.__notes__ = []  # they are told in the traceback, and would stand behind the message
    message = list(alone.format_exception_only())[-1].strip().partition(": ")[2]
    return {
        "type": label[:200],
        "message": _cut(message, _MESSAGE_CHARACTERS),
        "line": _line(failure, name),
        "traceback": _cut("".join(_story(failure, name)), _TRACEBACK_CHARACTERS),
        "missing": getattr(failure, "name", None) if isinstance(failure, ImportError) else None,
        "errno": failure.errno if isinstance(failure, OSError) else None,
        "path": str(failure.filename)[:500] if isinstance(failure, OSError) and failure.filename else None,
    }


def _story(failure: "BaseException | None", name: str, depth: int = 0) -> "list[str]":
    """The traceback with the program's own lines only, causes first, at most three of a chain and of a group."""
    chain: list[tuple[BaseException, str]] = []
    link = ""
    while failure is not None and len(chain) < _CHAIN and all(failure is not known for known, _ in chain):
        chain.append((failure, link))
        if failure.__cause__ is not None:
            failure, link = failure.__cause__, "\nThe above exception was the direct cause of the following:\n\n"
        elif failure.__context__ is not None and not failure.__suppress_context__:
            failure, link = failure.__context__, "\nDuring its handling another exception occurred:\n\n"
        else:
            failure = None
    told: list[str] = []
    for each, after in reversed(chain):
        frames = _own_frames(each, name)
        told += ["Traceback (most recent call last):\n", *frames] if frames else []
        told += traceback.format_exception_only(type(each), each)
        told += [textwrap.indent("".join(_story(m, name, depth + 1)), "  | ") for m in _members(each) if depth < _CHAIN]
        told.append(after)
    return told


def _members(failure: BaseException) -> "tuple[BaseException, ...]":
    if not isinstance(failure, BaseExceptionGroup):
        return ()
    return cast("BaseExceptionGroup[BaseException]", failure).exceptions[:_CHAIN]  # isinstance leaves them unknown


def _own_frames(failure: BaseException, name: str) -> "list[str]":
    """The frames of the program and of modules that it wrote itself."""
    own = sys.path[0] + "/"
    frames = traceback.extract_tb(failure.__traceback__, limit=-200)
    return traceback.format_list([f for f in frames if f.filename == name or f.filename.startswith(own)][-20:])


def _line(failure: BaseException, name: str) -> "int | None":
    if isinstance(failure, SyntaxError) and failure.filename == name:
        return failure.lineno
    lines = [number for frame, number in traceback.walk_tb(failure.__traceback__) if frame.f_code.co_filename == name]
    return lines[-1] if lines else None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}\n[cut: {len(text):,} characters in all]\n"
