"""Files that the command line writes into a person's folders: under safe names, over nothing, through no link.

Where content comes from is the callers'.
"""

import asyncio
import contextlib
import os
import secrets
import stat
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

from handiwork.cli.failures import TargetRefused

LONGEST_NAME_BYTES = 240
_MOST_TRIES = 10_000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def safe_name(name: str) -> str:
    """Return a file name that is no way out, no hidden file, no flag of a command, and short enough for a disk."""
    kept = "".join("_" if c in "/\\\0" or not c.isprintable() else c for c in name) or "file"
    if kept[0] in ".-":
        kept = f"_{kept[1:]}"
    stem, suffix = _parted(kept)
    return _cut(stem, LONGEST_NAME_BYTES - len(os.fsencode(suffix))) + suffix


def demand_folder(folder: Path) -> None:
    """Refuse a folder in which nothing can be written, before any work is done."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise TargetRefused(str(folder), f"`{place}` is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise TargetRefused(str(folder), "the folder is not writable")


async def write_new(folder: Path, name: str, chunks: AsyncIterator[bytes]) -> Path:
    """Write a new file in `folder`, which is made if it is missing; a taken name becomes `name-2.ext`.

    Raises:
        TargetRefused: the file cannot be written; nothing of it is left.
    """
    with _refusals(folder / name):
        path, descriptor = await asyncio.to_thread(_opened_anew, folder, name)
        await _fill(path, descriptor, chunks)
    return path


async def write_over(path: Path, chunks: AsyncIterator[bytes]) -> Path:
    """Write the file that was named; one that is there is replaced once the new one is complete.

    Raises:
        TargetRefused: it cannot be written, or is a link, a device or a folder; what was there is left.
    """
    with _refusals(path):
        await asyncio.to_thread(_refuse_irregular, path)
        draft = path.with_name(f".{secrets.token_hex(8)}.part")
        await _fill(draft, os.open(draft, _NEW, 0o666), chunks)
        await asyncio.to_thread(_put, draft, path)
    return path


def _refuse_irregular(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise TargetRefused(str(path), "it is there and is not a regular file")


def _put(draft: Path, path: Path) -> None:
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise


def _opened_anew(folder: Path, name: str) -> tuple[Path, int]:
    folder.mkdir(parents=True, exist_ok=True)
    for candidate in _names(safe_name(name)):
        path = folder / candidate
        with contextlib.suppress(FileExistsError):
            return path, os.open(path, _NEW, 0o666)
    raise TargetRefused(str(folder / name), f"{_MOST_TRIES:,} files of this name are there")


def _names(name: str) -> Iterator[str]:
    yield name
    stem, suffix = _parted(name)
    for number in range(2, _MOST_TRIES + 1):
        yield f"{stem}-{number}{suffix}"


def _parted(name: str) -> tuple[str, str]:
    path = Path(name)
    return (path.stem, path.suffix) if len(os.fsencode(path.suffix)) < LONGEST_NAME_BYTES // 2 else (name, "")


def _cut(text: str, most_bytes: int) -> str:
    while len(os.fsencode(text)) > most_bytes:
        text = text[:-1]
    return text


async def _fill(path: Path, descriptor: int, chunks: AsyncIterator[bytes]) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
    except BaseException:
        os.unlink(path)  # noqa: PTH108  # at once: the task may be ending
        raise


@contextlib.contextmanager
def _refusals(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as refused:
        raise TargetRefused(str(path), refused.strerror or str(refused)) from refused
