"""What the machine, the disk or the database cannot do, or not now.

Of most of these a client over HTTP is told kind and hint only.
"""

from collections.abc import Sequence
from typing import Literal

from handiwork.errors.root import HandiworkError


class IsolationUnavailable(HandiworkError):
    """A wall that the isolation level asks for cannot stand on this machine, so nothing was run."""

    code = "isolation_unavailable"

    def __init__(self, level: str, *, wall: str, why: str, fix: str) -> None:
        super().__init__(f"Isolation level `{level}` is not to be had here: the wall `{wall}` fails ({why}).")
        self.level, self.wall, self.why = level, wall, why
        self.hint = f"{fix} `handiwork doctor` shows every wall."


class SandboxBroken(HandiworkError):
    """The sandbox itself failed; the user's program is not to blame."""

    code = "sandbox_broken"

    def __init__(self, problem: str) -> None:
        super().__init__(f"The sandbox failed: {problem}.")
        self.problem = problem
        self.hint = "Try again; if it stays, `handiwork doctor` says what is missing."


class RuntimeMissing(HandiworkError):
    """The libraries for agent code are not installed."""

    code = "runtime_missing"

    def __init__(self, libraries: Sequence[str]) -> None:
        super().__init__(f"Libraries for agent code are missing: {', '.join(libraries)}.")
        self.libraries = tuple(libraries)
        self.hint = "Install them with `pip install 'handiwork[runtime]'`."


class ExtraMissing(HandiworkError):
    """An optional part of Handiwork that this needs is not installed."""

    code = "extra_missing"

    def __init__(self, extra: str, *, why: str) -> None:
        super().__init__(f"`{extra}` is not installed: {why}.")
        self.extra, self.why = extra, why
        self.hint = f"Install it with `pip install 'handiwork[{extra}]'`."


class StorageFull(HandiworkError):
    """The disk or quota is full; nothing was stored and nothing was damaged."""

    code = "storage_full"

    def __init__(self, where: str) -> None:
        super().__init__(f"No space is left in `{where}`; nothing was stored.")
        self.where = where
        self.hint = "Free space, or remove artifacts that are no longer needed."


class StorageFailed(HandiworkError):
    """The operating system refused to store or to read; nothing was acknowledged."""

    code = "storage_failed"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"`{where}` cannot be written or read: {why}.")
        self.where, self.why = where, why


class BlobNotFound(HandiworkError):
    """No bytes are stored under this key."""

    code = "blob_not_found"

    def __init__(self, key: str) -> None:
        super().__init__(f"No content is stored under `{key}`.")
        self.key = key


class ContentDamaged(HandiworkError):
    """Stored bytes differ from their recorded hash or size; they are not served."""

    code = "integrity_error"

    def __init__(self, key: str) -> None:
        super().__init__(f"The stored content `{key}` is damaged: its hash differs from the record.")
        self.key = key
        self.hint = "Restore the file from a backup, or make the artifact again."


class StoreVersionMismatch(HandiworkError):
    """The store was written by a newer release and cannot be opened by this one."""

    code = "store_version_mismatch"

    def __init__(self, *, found: str, expected: str) -> None:
        super().__init__(f"The store has revision `{found}`; this release expects `{expected}`.")
        self.found, self.expected = found, expected
        self.hint = "A newer release wrote it: use that one, or another folder."


class BlobExists(HandiworkError):
    """Bytes are stored under this key already; stored content is never overwritten."""

    code = "blob_exists"

    def __init__(self, key: str) -> None:
        super().__init__(f"Content is stored under `{key}` already, and it is never overwritten.")
        self.key = key


class QueueFull(HandiworkError):
    """Too many wait for a turn already, in all or of this tenant; nothing was begun."""

    code = "queue_full"

    def __init__(self, bound: Literal["depth", "per_tenant"], *, limit: int, retry_after_seconds: int) -> None:
        whose = "in all" if bound == "depth" else "of this tenant"
        super().__init__(f"The queue is full: {limit:,} wait already, which is the limit {whose}.")
        self.bound, self.limit, self.retry_after_seconds = bound, limit, retry_after_seconds
        self.hint = f"Try again in {retry_after_seconds} s."


class ShuttingDown(HandiworkError):
    """The engine is about to stop and begins nothing new."""

    code = "shutting_down"
    hint = "Try again in a moment."
    _said = "This server is shutting down and begins nothing new."

    def __init__(self) -> None:
        super().__init__(self._said)


class EngineClosed(ShuttingDown):
    """The engine, or the connection to a server, was closed; its sessions can do nothing any more."""

    code = "engine_closed"
    hint = "Use a session inside of the `with` that opened its engine, or open the store again."
    _said = "This engine or connection is closed, and with it all its sessions."
