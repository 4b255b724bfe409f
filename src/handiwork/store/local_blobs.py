"""Blobs in a folder of the local disk. Whose they are, and whether they may be read, is not known here.

The order of `put` is the promise: the bytes go to a draft, the draft gets its name in one step that never replaces
anything, then the bytes and every folder up to the root are synced. Only then is it acknowledged. A sync that fails is
final: the kernel may drop the data and report success on a second try, so the file is removed instead.

Content of up to 1 MiB is collected first, so that storing or reading it is one visit to a thread at most. What is at
hand and not long gets its name where `put_bytes` is called: the calls up to there are short, and each of them would be
a fight for the interpreter with the thread that writes the record meanwhile. The disk is waited for elsewhere.
"""

import contextlib
import errno
import itertools
import os
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from handiwork.errors import BlobExists, EngineClosed, InvalidName
from handiwork.ids import BASE36, nanoid
from handiwork.store.blobs import CHUNK_BYTES, Stored
from handiwork.store.drafts import Draft, Place
from handiwork.store.failures import system_failure
from handiwork.store.file_operations import FileOperations, OperatingSystem
from handiwork.store.folders import Folders, remove_tree, sync_folder
from handiwork.store.keys import BlobKey, BlobPrefix, is_safe_part
from handiwork.store.local_reader import Lately, Reader
from handiwork.store.pieces import Measure
from handiwork.store.projection import FILE_NAME
from handiwork.store.syncs import HELPERS, Syncs
from handiwork.tasks import in_thread

# No part of a key begins with a dot, so no tenant can be called like this.
DRAFTS = ".tmp"
LISTED_AT_ONCE = 256
# Writing so much takes no longer than to ask a thread to, and to wait for the interpreter with it.
PUT_HERE_BYTES = 256 * 1024
# Each has a few open files; those that come meanwhile wait for a thread, and it for the disk.
PUT_BESIDE = 16
PUT_AT_ONCE = 4
SYNC_HELPERS = HELPERS
# As many processes may clean up at once, each of them a step ahead of the others at some place.
REMOVAL_ATTEMPTS = 100
_PARTS_OF_AN_ARTIFACT = 4


def _draft_name() -> str:
    return nanoid(alphabet=BASE36, below=secrets.randbelow)


class LocalBlobs:
    """Keeps `Blobs`' promises in `root`, which is made with the first `put` and may be shared between processes.

    `drafts` is where content is written before it has its name: on the same file system, and best a folder of this
    process alone, as `owners` gives it.
    """

    def __init__(
        self,
        root: Path,
        *,
        drafts: Path | None = None,
        files: FileOperations | None = None,
        draft_name: Callable[[], str] = _draft_name,
    ) -> None:
        self._root = root.absolute()
        self._files = files or OperatingSystem()
        folder = drafts.absolute() if drafts is not None else self._root / DRAFTS
        self._syncs = Syncs(self._files, helpers=SYNC_HELPERS)
        folders = Folders(self._root, self._files, syncs=self._syncs)
        self._place = Place(folder=folder, folders=folders, files=self._files, new_name=draft_name)
        self._putting = ThreadPoolExecutor(PUT_AT_ONCE, thread_name_prefix="handiwork-put")
        self._beside = threading.BoundedSemaphore(PUT_BESIDE)
        self._lately = Lately()
        self._is_closed = False

    def close(self) -> None:
        """Wait for what is being put, and let go of what is kept open."""
        self._is_closed = True
        self._putting.shutdown()
        self._syncs.close()
        self._place.close()

    async def put(self, key: BlobKey, chunks: AsyncIterable[bytes]) -> Stored:
        self._demand_open()
        target = self._path(key)
        draft, measure = Draft(self._place), Measure()
        held = bytearray()
        try:
            async for chunk in chunks:
                if len(held) + len(chunk) <= CHUNK_BYTES:
                    held += chunk
                    continue
                with _os_errors_as_ours(key):
                    await in_thread(_written, draft, measure, held, chunk)
                held = bytearray()
            with _os_errors_as_ours(key):
                stored = await in_thread(_ended, draft, measure, held, target, key)
        except BaseException:
            await in_thread(draft.withdraw)
            raise
        self._lately.note(key, size=stored.size)
        return stored

    def put_bytes(self, key: BlobKey, data: bytes) -> "Future[None]":
        self._demand_open()
        putting: Future[None] = Future()
        target = self._path(key)
        self._lately.note(key, size=len(data))
        if len(data) <= PUT_HERE_BYTES and self._beside.acquire(blocking=False):
            putting.set_running_or_notify_cancel()
            putting.add_done_callback(lambda _ended: self._beside.release())
            self._begin_to_put(target, data, key, putting)
            return putting
        try:
            self._putting.submit(self._put_bytes, target, data, key, putting)
        except RuntimeError:
            # No thread is to be had. It may stand in their queue yet, where it must be found cancelled.
            if putting.cancel():
                putting = Future()
                self._put_bytes(target, data, key, putting)
        return putting

    def _demand_open(self) -> None:
        if self._is_closed:
            raise EngineClosed

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        reader = Reader(self._path(key), key=key, offset=offset, length=length, lately=self._lately)
        try:
            while not reader.is_through:
                with _os_errors_as_ours(key):
                    chunk = reader.read_at_hand()
                    if chunk is None:
                        chunk = await in_thread(reader.read)
                if chunk:
                    yield chunk
        finally:
            reader.close()

    async def delete(self, key: BlobKey) -> None:
        path = self._path(key)
        with _os_errors_as_ours(key):
            await in_thread(self._delete, path)

    async def delete_prefix(self, prefix: BlobPrefix) -> None:
        folder = self._path(prefix.removesuffix("/"))
        with _os_errors_as_ours(prefix):
            await in_thread(self._delete_tree, folder)

    async def listing(self, *, before: datetime) -> AsyncGenerator[BlobKey, None]:
        found = _keys_below(self._root, (), before.timestamp())
        try:
            while True:
                with _os_errors_as_ours(str(self._root)):
                    batch = await in_thread(_taken, found, LISTED_AT_ONCE)
                for key in batch:
                    yield key
                if len(batch) < LISTED_AT_ONCE:
                    return
        finally:
            found.close()

    def _begin_to_put(self, target: Path, data: bytes, key: BlobKey, putting: "Future[None]") -> None:
        draft = Draft(self._place)

        def ended(failure: BaseException | None) -> None:
            if failure is None:
                try:
                    draft.end()
                except BaseException as last:  # noqa: BLE001  # whoever waits is told
                    failure = last
            if failure is None:
                putting.set_result(None)
            else:
                draft.withdraw()
                putting.set_exception(_as_ours(failure, key))
            # Nobody waits any more.
            self._place.make_ahead()

        try:
            with _os_errors_as_ours(key):
                draft.write(data)
                with _names_as_ours(key):
                    draft.begin_to_commit(target, ended)
        except BaseException as failure:  # noqa: BLE001  # whoever waits is told
            ended(failure)

    def _put_bytes(self, target: Path, data: bytes, key: BlobKey, putting: "Future[None]") -> None:
        if not putting.set_running_or_notify_cancel():
            return
        draft = Draft(self._place)
        try:
            with _os_errors_as_ours(key):
                draft.write(data)
                _committed(draft, target, key)
        except BaseException as failure:  # noqa: BLE001  # the thread's edge: whoever waits is told
            draft.withdraw()
            putting.set_exception(failure)
        else:
            putting.set_result(None)
        # Nobody waits any more.
        self._place.make_ahead()

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(is_safe_part(part) for part in parts):
            raise InvalidName("key", key, expected="parts as `blob_key` makes them")
        return self._root.joinpath(*parts)

    def _delete(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._files.remove(path)
        self._sync_nearest(path.parent)
        # The folder of the version goes too when nothing else is in it; `put` copes when that meets a writer.
        with contextlib.suppress(OSError):
            self._files.remove_folder(path.parent)

    def _delete_tree(self, folder: Path) -> None:
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "it is a symbolic link")
        attempt = 0
        while folder.is_dir():
            attempt += 1
            try:
                remove_tree(folder, self._files)
            except OSError as error:
                # Other processes may be removing the same files, or a writer was in the middle of it.
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY) or attempt >= REMOVAL_ATTEMPTS:
                    raise
        self._sync_nearest(folder.parent)

    def _sync_nearest(self, folder: Path) -> None:
        """Sync also when nothing was there: an earlier attempt may have been stopped before its sync."""
        for existing in (folder, *folder.parents):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                sync_folder(existing, self._files)
                return


def _written(draft: Draft, measure: Measure, *parts: bytes | bytearray) -> None:
    draft.write(*parts)
    for part in parts:
        measure.take(part)


def _ended(draft: Draft, measure: Measure, rest: bytearray, target: Path, key: BlobKey) -> Stored:
    _written(draft, measure, rest)
    _committed(draft, target, key)
    return measure.stored


def _committed(draft: Draft, target: Path, key: BlobKey) -> None:
    with _names_as_ours(key):
        draft.commit(target)


def _keys_below(folder: Path, parts: tuple[str, ...], before: float) -> Generator[BlobKey]:
    # What is being deleted meanwhile is no key any more.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if not is_safe_part(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _keys_below(folder / entry.name, (*parts, entry.name), before)
            elif _is_blob(entry, parts) and _changed_before(entry, before):
                yield BlobKey("/".join((*parts, entry.name)))


def _is_blob(entry: os.DirEntry[str], parts: tuple[str, ...]) -> bool:
    is_projection = len(parts) == _PARTS_OF_AN_ARTIFACT and entry.name == FILE_NAME
    return entry.is_file(follow_symlinks=False) and not is_projection


def _changed_before(entry: os.DirEntry[str], moment: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < moment
    except FileNotFoundError:
        return False


def _taken(keys: Generator[BlobKey], most: int) -> list[BlobKey]:
    return list(itertools.islice(keys, most))


def _as_ours(failure: BaseException | None, key: str) -> BaseException | None:
    if not isinstance(failure, OSError):
        return failure
    ours = system_failure(failure, where=key)
    ours.__cause__ = failure
    return ours


@contextlib.contextmanager
def _names_as_ours(key: BlobKey) -> Generator[None]:
    try:
        yield
    except FileExistsError as error:
        raise BlobExists(key) from error


@contextlib.contextmanager
def _os_errors_as_ours(key: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise system_failure(error, where=key) from error
