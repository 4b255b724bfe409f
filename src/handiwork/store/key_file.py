"""The file of the key that everything else is encrypted under: 32 bytes on one line, in base64 or hexadecimal.

What the key is used for is known to `vault`. Its bytes are in no error, log or `repr`.
"""

import base64
import binascii
import logging
import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from handiwork.errors import InvalidSetting, StorageFailed
from handiwork.store.failures import system_failure

KEY_BYTES = 32
LONGEST_FILE_BYTES = 1024
SETTING = "artifacts.storage.encryption"

_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]{64}")
_FOR_ITS_OWNER = 0o600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The key of a deployment, those that it had before, and whether what is new is to be encrypted."""

    current: bytes = field(repr=False)
    previous: tuple[bytes, ...] = field(default=(), repr=False)
    is_enabled: bool = True

    @classmethod
    def read(cls, key_file: Path, previous: Sequence[Path] = (), *, is_enabled: bool = True) -> "KeyRing":
        """Read the files. Raises `InvalidSetting`, which names the setting, when one of them holds no key."""
        return cls(
            current=_read(key_file, f"{SETTING}.key_file"),
            previous=tuple(_read(path, f"{SETTING}.previous") for path in previous),
            is_enabled=is_enabled,
        )


def make_key(path: Path, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
    """Write a new key into a new file, readable for its owner alone. It must never be lost: nothing opens without it.

    Raises:
        StorageFailed, StorageFull: the file is there already, or cannot be written.
    """
    line = base64.b64encode(random_bytes(KEY_BYTES)) + b"\n"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FOR_ITS_OWNER)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # by descriptor: it was made with its mode
            file.write(line)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise StorageFailed(str(path), "there is a file already, and a key is never overwritten") from error
    except OSError as error:
        raise system_failure(error, where=str(path)) from error


def _read(path: Path, setting: str) -> bytes:
    try:
        # What is no regular file may never end.
        if not path.is_file():
            problem = "it is not a regular file" if path.exists() else "there is no such file"
            raise InvalidSetting(setting, problem=problem, where=f"`{path}`")
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(LONGEST_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidSetting(setting, problem=error.strerror or "it cannot be read", where=f"`{path}`") from error
    except ValueError as error:
        raise InvalidSetting(setting, problem="no file can have this name", where=repr(str(path))) from error
    key = _parsed(content)
    if key is None:
        problem = f"expected one line with {KEY_BYTES} bytes in base64 or hexadecimal, as `handiwork db new-key` writes"
        raise InvalidSetting(setting, problem=problem, where=f"`{path}`")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warning("Others than its owner can read or change the key file `%s`; `chmod 600` closes it.", path)
    return key


def _parsed(content: bytes) -> bytes | None:
    line = content.strip()
    if _HEXADECIMAL.fullmatch(line):
        return bytes.fromhex(line.decode("ascii"))
    try:
        key = base64.b64decode(line, validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None
