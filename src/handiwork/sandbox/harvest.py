"""Collecting what a job left behind, through a folder descriptor, after every process of it is dead.

Nothing here follows a link, opens anything but a regular file, or reads a file whole.
"""

import asyncio
import errno
import os
import re
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from handiwork.model import Limits, Refused
from handiwork.sandbox.trees import give_rights, open_folder

CHUNK_BYTES = 1024 * 1024
MOST_FILES = 1_000
MOST_REFUSALS = 100
DEEPEST = 32
LONGEST_NAME_BYTES = 255
# Pages for which the library is put in; more would let a small job make gigabytes.
MOST_PAGES = 10

# How Plotly itself writes a reference to its library; another version of it is left alone.
_REFERENCE = re.compile(
    rb'<script[^>]{0,200}src="https://cdn\.plot\.ly/plotly-([0-9.]{1,20})\.min\.js"[^>]{0,200}></script>'
)
_LONGEST_REFERENCE = 500
_VERSION = re.compile(rb"plotly\.js v([0-9.]+)")

_PAGES = (".html", ".htm")
_OURS = ("inputs", ".tmp")
_NOT_FILES = ((stat.S_ISLNK, "symlink"), (stat.S_ISFIFO, "fifo"), (stat.S_ISSOCK, "socket"))
_HINTS = {
    "bad_name": f"Name it with printable characters, no backslash, at most {LONGEST_NAME_BYTES} bytes in UTF-8.",
    "symlink": "Write a copy of the file instead of a link.",
    "hard_link": "Write a copy of the file instead of a link.",
    "too_deep": f"Nest at most {DEEPEST} folders.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One regular file that the job left, at `path` below its folder. Readable while the harvest is open."""

    path: str
    size: int
    _folder: int
    _inode: int
    _replaced: "_Replaced | None" = None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def inserted_bytes(self) -> int:
        """How many of its bytes the harvest has put in, and do not count against a limit."""
        return 0 if self._replaced is None else len(self._replaced.extra)

    def read_at(self, offset: int, length: int) -> bytes:
        with _opened(self._folder, self.path, self._inode) as file:
            return _spliced(file, self._replaced, offset, length)

    async def chunks(self) -> AsyncIterator[bytes]:
        for offset in range(0, self.size, CHUNK_BYTES):
            yield await asyncio.to_thread(self.read_at, offset, CHUNK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """The files that are kept, those that are not, and how many bytes all of them came to."""

    outputs: tuple[Output, ...]
    refused: tuple[Refused, ...]
    total_bytes: int
    is_too_large: bool
    has_pages: bool = False


def harvest(folder: int, *, limits: Limits, given: frozenset[str], plotly: bytes | None) -> Harvest:
    """List the files below the descriptor `folder`. `given` are the names that the supervisor put there itself."""
    outputs: list[Output] = []
    refused: list[Refused] = []
    total = pages = 0
    for path, found in _walk(folder, given):
        if isinstance(found, str):
            refused.append(Refused(name=escaped(path), reason=found, hint=_HINTS.get(found)))
            continue
        total += found.st_size
        output = Output(path=path, size=found.st_size, _folder=folder, _inode=found.st_ino)
        if len(outputs) >= MOST_FILES:
            refused.append(Refused(name=escaped(path), reason="too_many_files", hint=f"At most {MOST_FILES} a run."))
        elif found.st_size > limits.file_bytes:
            hint = (
                f"{found.st_size:,} bytes; `artifacts.max_file_size` allows {limits.file_bytes:,} bytes for one file."
            )
            refused.append(Refused(name=escaped(path), reason="too_large", hint=hint))
        else:
            completed = _completed(output, plotly) if plotly is not None and pages < MOST_PAGES else output
            pages += completed is not output
            outputs.append(completed)
    is_too_large = total > limits.output_bytes
    return Harvest(
        outputs=() if is_too_large else tuple(outputs),
        refused=_shortened(refused),
        total_bytes=total,
        is_too_large=is_too_large,
        has_pages=any(output.path.lower().endswith(_PAGES) for output in outputs),
    )


def escaped(path: str) -> str:
    """Return a name that can be shown anywhere: no control, direction or undecodable characters."""
    return "".join(c if _is_plain(c) else c.encode("unicode_escape", "backslashreplace").decode() for c in path)[:300]


def is_good_name(name: str) -> bool:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= LONGEST_NAME_BYTES and all(map(_is_plain, name)) and name.strip(" .") != ""


def _is_plain(character: str) -> bool:
    # No control or direction, nothing unassigned, and no space but the ordinary one.
    return character.isprintable() and character != "\\"


def _walk(folder: int, given: frozenset[str]) -> Iterator[tuple[str, os.stat_result | str]]:
    """Yield every entry that is no folder, with its status or why it is refused: in order, a folder after its files."""
    waiting = [""]
    while waiting:
        base = waiting.pop()
        try:
            descriptor = open_folder(folder, base)
        except OSError:
            yield base, "unreadable"
            continue
        try:
            folders: list[str] = []
            for name in sorted(os.listdir(descriptor)):  # noqa: PTH208  # by descriptor
                path = f"{base}{name}"
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                is_link = stat.S_ISLNK(status.st_mode)
                if not base and name in given and (is_link or (name in _OURS and stat.S_ISDIR(status.st_mode))):
                    continue  # anything else under such a name has taken the place of what was there
                if stat.S_ISDIR(status.st_mode) and is_good_name(name):
                    if path.count("/") < DEEPEST:
                        folders.append(f"{path}/")
                    else:
                        yield path, "too_deep"
                else:
                    yield path, _refusal(name, status) or status
            waiting += reversed(folders)
        finally:
            os.close(descriptor)


def _refusal(name: str, status: os.stat_result) -> str | None:
    for matches, reason in _NOT_FILES:
        if matches(status.st_mode):
            return reason
    if not is_good_name(name):
        return "bad_name"
    if not stat.S_ISREG(status.st_mode):
        return "device"
    return "hard_link" if status.st_nlink > 1 else None


class _opened:  # noqa: N801  # reads as the verb it is
    """A regular file below a folder, opened without following anything and proved to be the one that was listed."""

    def __init__(self, folder: int, path: str, inode: int) -> None:
        self._folder, self._path, self._inode = folder, path, inode
        self._file = -1

    def __enter__(self) -> int:
        base, _, name = self._path.rpartition("/")
        parent = open_folder(self._folder, base)
        try:
            self._file = _open_file(parent, name)
        finally:
            os.close(parent)
        status = os.fstat(self._file)
        if status.st_ino != self._inode or not stat.S_ISREG(status.st_mode):
            os.close(self._file)
            raise OSError(errno.ESTALE, f"{escaped(self._path)} changed during the harvest")
        return self._file

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _open_file(parent: int, name: str) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=parent)
    except PermissionError:
        give_rights(parent, name, 0o600)
        return os.open(name, flags, dir_fd=parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replaced:
    """Bytes that stand for `length` bytes of the file from `start`."""

    start: int
    length: int
    extra: bytes


def _completed(output: Output, plotly: bytes) -> Output:
    """Give a page that refers to Plotly elsewhere its own copy, which does not count against the limit."""
    version = _VERSION.search(plotly, 0, 400)
    if version is None or not output.path.lower().endswith(_PAGES):
        return output
    found = _reference(output, version[1])
    if found is None:
        return output
    start, length = found
    extra = b'<script charset="utf-8">' + plotly + b"</script>"
    replaced = _Replaced(start=start, length=length, extra=extra)
    return replace(output, size=output.size - length + len(extra), _replaced=replaced)


def _reference(output: Output, version: bytes) -> tuple[int, int] | None:
    for offset in range(0, output.size, CHUNK_BYTES):
        window = output.read_at(offset, CHUNK_BYTES + _LONGEST_REFERENCE)
        for found in _REFERENCE.finditer(window):
            if found[1] == version:
                return offset + found.start(), found.end() - found.start()
    return None


def _spliced(file: int, replaced: _Replaced | None, offset: int, length: int) -> bytes:
    if replaced is None:
        return os.pread(file, length, offset)
    start, end = replaced.start, replaced.start + len(replaced.extra)
    parts: list[bytes] = []
    if offset < start:
        parts.append(os.pread(file, min(length, start - offset), offset))
    parts.append(replaced.extra[max(0, offset - start) : max(0, offset + length - start)])
    tail = max(offset, end)
    if tail < offset + length:
        parts.append(os.pread(file, offset + length - tail, tail - len(replaced.extra) + replaced.length))
    return b"".join(parts)


def _shortened(refused: list[Refused]) -> tuple[Refused, ...]:
    if len(refused) <= MOST_REFUSALS:
        return tuple(refused)
    rest = len(refused) - MOST_REFUSALS
    return (*refused[:MOST_REFUSALS], Refused(name=f"… and {rest:,} more", reason=refused[-1].reason))
