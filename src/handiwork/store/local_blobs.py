"""Blobs in a folder of the local disk. Whose they are, and whether they may be read, is not known here.

The order of `put` is the promise: the bytes go to a draft and are synced, the draft gets its name in one step that
never replaces anything, then every folder up to the root is synced. Only then is it acknowledged. A sync that fails
is final: the kernel may drop the data and report success on a second try, so the file is removed instead.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterator
from io import FileIO
from pathlib import Path

from handiwork.errors import BlobExists, BlobNotFound, InvalidName
from handiwork.ids import BASE36, nanoid
from handiwork.store.blobs import CHUNK_BYTES, Stored
from handiwork.store.failures import system_failure
from handiwork.store.file_operations import FileOperations, OperatingSystem
from handiwork.store.folders import make_folders, sync_folder, sync_up
from handiwork.store.keys import BlobKey, BlobPrefix, is_safe_part
from handiwork.store.threads import in_thread

# No part of a key begins with a dot, so no tenant can be called like this.
DRAFTS = ".tmp"
PUBLISH_ATTEMPTS = 3


def _draft_name() -> str:
    return nanoid(alphabet=BASE36, below=secrets.randbelow)


class LocalBlobs:
    """Keeps `Blobs`' promises in `root`, which is made with the first `put` and may be shared between processes."""

    def __init__(
        self, root: Path, *, files: FileOperations | None = None, draft_name: Callable[[], str] = _draft_name
    ) -> None:
        self._root = root.absolute()
        self._files = files or OperatingSystem()
        self._draft_name = draft_name

    async def put(self, key: BlobKey, chunks: AsyncIterable[bytes]) -> Stored:
        target = self._path(key)
        draft = _Draft(self._root / DRAFTS / self._draft_name(), key=key, files=self._files)
        try:
            with _os_errors_as_ours(key):
                await in_thread(draft.begin)
            async for chunk in chunks:
                for piece in _pieces(chunk):
                    with _os_errors_as_ours(key):
                        await in_thread(draft.write, piece)
            with _os_errors_as_ours(key):
                await in_thread(draft.commit, target, self._root)
        except BaseException:
            await in_thread(draft.withdraw)
            raise
        return draft.stored()

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        path = self._path(key)
        with _os_errors_as_ours(key):
            file = await in_thread(_opened, path, offset, key)
        try:
            left = length
            while left is None or left > 0:
                with _os_errors_as_ours(key):
                    chunk = await in_thread(file.read, CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            file.close()

    async def delete(self, key: BlobKey) -> None:
        path = self._path(key)
        with _os_errors_as_ours(key):
            await in_thread(self._delete, path)

    async def delete_prefix(self, prefix: BlobPrefix) -> None:
        folder = self._path(prefix.removesuffix("/"))
        with _os_errors_as_ours(prefix):
            await in_thread(self._delete_tree, folder)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(is_safe_part(part) for part in parts):
            raise InvalidName("key", key, expected="parts as `blob_key` makes them")
        return self._root.joinpath(*parts)

    def _delete(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        self._sync_nearest(path.parent)
        # The folder of the version goes too when nothing else is in it; `put` copes when that meets a writer.
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def _delete_tree(self, folder: Path) -> None:
        while folder.is_dir():
            # Another process may be removing the same files.
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
        self._sync_nearest(folder.parent)

    def _sync_nearest(self, folder: Path) -> None:
        """Sync also when nothing was there: an earlier attempt may have been stopped before its sync."""
        for existing in (folder, *folder.parents):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                sync_folder(existing, self._files)
                return


class _Draft:
    """One `put` on its way: a file under a temporary name, until `commit` gives it its own."""

    def __init__(self, path: Path, *, key: BlobKey, files: FileOperations) -> None:
        self._path, self._key, self._files = path, key, files
        self._descriptor: int | None = None
        self._published: Path | None = None
        self._hash = hashlib.sha256()
        self._size = 0

    def begin(self) -> None:
        make_folders(self._path.parent, self._files)
        self._descriptor = self._files.create(self._path)

    def write(self, data: memoryview) -> None:
        assert self._descriptor is not None
        self._hash.update(data)
        self._size += len(data)
        while data:
            data = data[self._files.write(self._descriptor, data) :]

    def commit(self, target: Path, root: Path) -> None:
        assert self._descriptor is not None
        self._files.sync(self._descriptor)
        self._close()
        self._publish(target)
        self._forget_name()
        sync_up(target.parent, root, self._files)

    def withdraw(self) -> None:
        """Remove what was written, as far as the system lets us; the error that led here is the one that counts."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._forget_name()
        if self._published is not None:
            with contextlib.suppress(OSError):
                self._published.unlink()

    def stored(self) -> Stored:
        return Stored(size=self._size, sha256=self._hash.hexdigest())

    def _publish(self, target: Path) -> None:
        for attempt in range(1, PUBLISH_ATTEMPTS + 1):
            try:
                make_folders(target.parent, self._files)
                self._files.publish(self._path, target)
            except FileExistsError as error:
                raise BlobExists(self._key) from error
            except FileNotFoundError:
                # Someone removed the folder between the two calls.
                if attempt == PUBLISH_ATTEMPTS:
                    raise
            else:
                self._published = target
                return

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _forget_name(self) -> None:
        self._path.unlink(missing_ok=True)


def _opened(path: Path, offset: int, key: BlobKey) -> FileIO:
    try:
        file = FileIO(path, "r")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise BlobNotFound(key) from error
    try:
        file.seek(offset)
    except BaseException:
        file.close()
        raise
    return file


def _pieces(chunk: bytes) -> Iterator[memoryview]:
    view = memoryview(chunk)
    for start in range(0, len(view), CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]


@contextlib.contextmanager
def _os_errors_as_ours(key: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise system_failure(error, where=key) from error
