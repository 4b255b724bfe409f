"""The file of secrets that signatures are made with. What is signed is not known here.

One line a key, `id:secret in base64`: the first signs, all verify, so a key that was replaced still vouches for what
it signed until it is dropped. Several processes share the file. It is only ever replaced as a whole and under a
lock, so that whoever reads it sees all of one state, and two processes that make it at once end with one secret.
"""

import base64
import binascii
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from handiwork.errors import StorageFailed
from handiwork.ids import RandomBelow, nanoid
from handiwork.store.failures import system_failure
from handiwork.store.file_operations import FileOperations, OperatingSystem
from handiwork.store.folders import make_folders, sync_folder

FILE_NAME = "signing-keys"
LIVE_KEYS = 2
SECRET_BYTES = 32
MAX_FILE_BYTES = 4096
LOCK_SECONDS = 10.0

_KEY_ID_LENGTH = 8
_LOCK_POLL_SECONDS = 0.02
_LINE = re.compile(r"([0-9A-Za-z]{1,16}):([0-9A-Za-z+/]+={0,2})", re.ASCII)
_OPEN_TO_OTHERS = stat.S_IRWXO | stat.S_IWGRP

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A secret with the public id that names it."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """The live keys, the one that signs first, as they stood when the file looked like `stamp`."""

    keys: tuple[SigningKey, ...]
    stamp: tuple[int, ...]


class SigningKeyFile:
    """The file `signing-keys` in a folder. Its methods block: call them in a thread."""

    def __init__(
        self,
        folder: Path,
        *,
        files: FileOperations | None = None,
        random_bytes: RandomBytes = secrets.token_bytes,
        below: RandomBelow = secrets.randbelow,
    ) -> None:
        self._path = folder.absolute() / FILE_NAME
        self._lock_path = self._path.with_name(f"{FILE_NAME}.lock")
        self._draft_path = self._path.with_name(f"{FILE_NAME}.draft")
        self._files = files or OperatingSystem()
        self._random_bytes, self._below = random_bytes, below

    def read(self, known: Ring | None = None) -> Ring:
        """Return the keys; with no file there is one afterwards. `known` comes back when the file has not changed.

        Raises:
            StorageFailed, StorageFull: the file cannot be read or made, is damaged, or is open to others.
        """
        with self._os_errors_as_ours():
            with suppress(FileNotFoundError):
                return self._read(known)
            make_folders(self._path.parent, self._files)
            with self._locked():
                # Another process may have been faster.
                with suppress(FileNotFoundError):
                    return self._read(None)
                self._replace((self._new_key(),))
                return self._read(None)

    def rotate(self) -> Ring:
        """Sign with a new key from now on. Of the others the newest still verifies; what is older ends here.

        Raises:
            StorageFailed, StorageFull: the file is as it was, or the new key may not survive a loss of power.
        """
        with self._os_errors_as_ours():
            make_folders(self._path.parent, self._files)
            with self._locked():
                kept: tuple[SigningKey, ...] = ()
                with suppress(FileNotFoundError):
                    kept = self._read(None).keys[: LIVE_KEYS - 1]
                self._replace((self._new_key(), *kept))
                return self._read(None)

    def _new_key(self) -> SigningKey:
        return SigningKey(id=nanoid(_KEY_ID_LENGTH, below=self._below), secret=self._random_bytes(SECRET_BYTES))

    def _read(self, known: Ring | None) -> Ring:
        if known is not None and _stamp(self._path.stat()) == known.stamp:
            return known
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  # by descriptor: what is looked at is what is read
            status = os.fstat(descriptor)
            if status.st_mode & _OPEN_TO_OTHERS:
                raise self._damaged("others can read or change it; `chmod 600` closes it")
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise self._damaged(f"it has more than {MAX_FILE_BYTES:,} bytes")
        return Ring(keys=self._parsed(content), stamp=_stamp(status))

    def _parsed(self, content: bytes) -> tuple[SigningKey, ...]:
        keys: dict[str, SigningKey] = {}
        for number, line in enumerate(content.decode("ascii", "replace").splitlines(), 1):
            key = _parsed_line(line)
            if key is None or key.id in keys:
                raise self._damaged(f"line {number} is not an id of its own and {SECRET_BYTES} bytes in base64")
            keys[key.id] = key
        if not keys:
            raise self._damaged("it is empty; remove it to have a new key made")
        return tuple(keys.values())

    def _replace(self, keys: tuple[SigningKey, ...]) -> None:
        text = "".join(f"{key.id}:{base64.b64encode(key.secret).decode('ascii')}\n" for key in keys)
        # Under the lock, so a draft that is there was left by a process that died.
        self._draft_path.unlink(missing_ok=True)
        descriptor = self._files.create(self._draft_path)
        try:
            try:
                data = memoryview(text.encode("ascii"))
                while data:
                    data = data[self._files.write(descriptor, data) :]
                self._files.sync(descriptor)
            finally:
                os.close(descriptor)
            self._draft_path.replace(self._path)
        except BaseException:
            with suppress(OSError):
                self._draft_path.unlink(missing_ok=True)
            raise
        sync_folder(self._path.parent, self._files)

    @contextmanager
    def _locked(self) -> Generator[None]:
        descriptor = os.open(self._lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _is_locked(descriptor):
                if time.monotonic() > deadline:
                    raise StorageFailed(FILE_NAME, f"another process has held its lock for {LOCK_SECONDS:g} s")
                time.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _os_errors_as_ours(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise system_failure(error, where=FILE_NAME) from error

    def _damaged(self, why: str) -> StorageFailed:
        return StorageFailed(FILE_NAME, why)


def _parsed_line(line: str) -> SigningKey | None:
    matched = _LINE.fullmatch(line)
    if matched is None:
        return None
    try:
        secret = base64.b64decode(matched[2], validate=True)
    except binascii.Error:
        return None
    return SigningKey(id=matched[1], secret=secret) if len(secret) == SECRET_BYTES else None


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
