"""Where an export goes: to a path, which gets it when it is whole, or into something open. What is in it is `bundle`'s.

Nothing that is there is ever replaced.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, Protocol

from handiwork.errors import InvalidName
from handiwork.export.bundle import Bundle, Exported, Verbs
from handiwork.store.failures import system_failure
from handiwork.tasks import in_thread

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Sink(Protocol):
    """Something open that takes bytes, such as a file."""

    def write(self, data: bytes, /) -> object: ...


Target = str | os.PathLike[str] | Sink


async def export(session: Verbs, target: Target, references: Sequence[str] | None = None) -> Exported:
    """Write an export to a path where nothing is yet, which it gets when it is whole, or into something open.

    Raises:
        InvalidName: something is at the path.
        StorageFull, StorageFailed: the system refused to write there; nothing is left.
    """
    bundle = Bundle(session, references)
    if not isinstance(target, (str, os.PathLike)):
        await _pour(bundle, target)
        return bundle.exported
    path = Path(target)
    with _refusals(path):
        await in_thread(_refuse_taken, path)
        draft = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with os.fdopen(await in_thread(os.open, draft, _NEW, 0o666), "wb") as file:
                await _pour(bundle, file)
                await in_thread(_settle, file)
            await in_thread(_give_name, draft, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)  # noqa: PTH108  # at once: the task may be ending
    return bundle.exported


async def _pour(bundle: Bundle, sink: Sink) -> None:
    async with aclosing(bundle.pieces()) as pieces:
        async for piece in pieces:
            await in_thread(sink.write, piece)


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _give_name(draft: Path, path: Path) -> None:
    """Give a draft its name, which must be free: a link replaces nothing."""
    try:
        path.hardlink_to(draft)
    except OSError as refused:
        if refused.errno not in _NO_LINKS:
            raise
        _refuse_taken(path)
        draft.rename(path)


@contextlib.contextmanager
def _refusals(path: Path) -> Generator[None]:
    try:
        yield
    except FileExistsError as taken:
        raise InvalidName("file", str(path), expected="a path where nothing is yet") from taken
    except OSError as refused:
        raise system_failure(refused, where=str(path)) from refused
