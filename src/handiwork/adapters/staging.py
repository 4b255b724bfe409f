"""A program of an agent among the files of its session: what is put around it so that it finds and keeps them.

The program around it runs in the sandbox and nowhere else; which files there are is known to `commands`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

REMOVED = "handiwork-removed.json"
"""The file in which a program tells which of the files that it was given it has removed."""
COPIED_BYTES = 256 * 1024
"""What is larger is a link that cannot be written to: copies count against the limits of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One file that a program finds, at `path` below its folder, given as the input `name`."""

    path: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A program with all that it was called with; `folder` is below the one where it starts, or empty."""

    code: str
    name: str
    arguments: Sequence[str] = ()
    folder: str = ""
    standard_input: str | None = None
    files: Sequence[Staged] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that were given to this program beside those that every one has."""


def program(asked: Invocation) -> str:
    """Return what the sandbox is to run."""
    files = [(each.path, each.name, each.sha256, each.size <= COPIED_BYTES) for each in asked.files]
    # Written out once more where it is executed, for the check of the sandbox to judge it as any program.
    around = _PROGRAM.replace(_COMPILED, f"compile({asked.code!r}, {asked.name!r}, 'exec')")
    facts = (asked.code, asked.name, list(asked.arguments), asked.folder, asked.standard_input, files, REMOVED)
    told = f"_CODE, _NAME, _ARGUMENTS, _FOLDER, _INPUT, _FILES, _REMOVED = {facts!r}"
    return f"{told}\n_ENVIRONMENT = {dict(asked.environment)!r}\n{around}"


_COMPILED = 'compile(_CODE, _NAME, "exec")'
_PROGRAM = """
try:  # so the check lets them pass where a deployment allows an agent's own code fewer
    import hashlib as _hashlib, io as _io, json as _json, linecache as _linecache, os as _os, shutil as _shutil
    import sys as _sys, traceback as _traceback
except ImportError:
    raise

_HOME = _os.getcwd()


def _put():
    for path, name, _sha256, is_copied in _FILES:
        given = _os.path.join(_HOME, "inputs", name)
        if _os.path.lexists(path):
            _os.unlink(path)
        _os.makedirs(_os.path.dirname(path) or ".", exist_ok=True)
        if is_copied:
            _shutil.copyfile(given, path)
        else:
            _os.symlink(given, path)
    _os.makedirs(_FOLDER or ".", exist_ok=True)
    _os.chdir(_FOLDER or ".")


def _take_away():
    _os.chdir(_HOME)
    removed = [path for path, *_rest in _FILES if not _os.path.lexists(path)]
    for path, _name, sha256, _is_copied in _FILES:
        if _os.path.islink(path):
            _os.unlink(path)
        elif _os.path.isfile(path):
            with open(path, "rb") as file:
                is_same = _hashlib.file_digest(file, "sha256").hexdigest() == sha256
            if is_same:
                _os.unlink(path)
    if removed:
        with open(_REMOVED, "w", encoding="utf-8") as file:
            _json.dump(removed, file)


def _run():
    _sys.argv = [_NAME, *_ARGUMENTS]
    _os.environ.update(_ENVIRONMENT)
    found = [_os.path.abspath(each) for each in _ENVIRONMENT.get("PYTHONPATH", "").split(":") if each]
    _sys.path[:0] = [_os.path.join(_os.getcwd(), _os.path.dirname(_NAME)), *found]
    if _INPUT is not None:
        _sys.stdin = _io.TextIOWrapper(_io.BytesIO(_INPUT.encode("utf-8", "surrogateescape")), encoding="utf-8")
    _linecache.cache[_NAME] = (len(_CODE), None, _CODE.splitlines(True), _NAME)
    try:
        exec(compile(_CODE, _NAME, "exec"), vars(_sys.modules["__main__"]))
    except SystemExit:
        raise
    except BaseException as failed:
        is_ours = isinstance(failed, SyntaxError) and failed.filename == _NAME
        inner = failed.__traceback__.tb_next
        _traceback.print_exception(type(failed), failed, None if is_ours and inner is None else inner)
        _sys.exit(1)


_put()
try:
    _run()
finally:
    _take_away()
"""
