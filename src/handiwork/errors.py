"""Every error of Handiwork, each built from facts. How a transport spells them is not decided here.

`code` is stable and for programs, the message is for people and models, `hint` names the next step.
"""

from collections.abc import Sequence
from typing import Literal


class HandiworkError(Exception):
    """The root: catch this to catch everything that Handiwork raises on purpose."""

    code = "error"
    hint: str | None = None


class ArtifactNotFound(HandiworkError):
    """No artifact in this scope has this id or handle."""

    code = "artifact_not_found"

    def __init__(self, reference: str) -> None:
        super().__init__(f"No artifact `{reference}` in this session.")
        self.reference = reference
        self.hint = "`session.list()` and `handiwork ls` show the artifacts of a session with their handles."


class VersionNotFound(HandiworkError):
    """The artifact has no version of this number."""

    code = "version_not_found"

    def __init__(self, reference: str, number: int, *, head: int) -> None:
        super().__init__(f"Artifact `{reference}` has no version {number}; its versions are 1 to {head}.")
        self.reference, self.number, self.head = reference, number, head


class ArtifactExpired(HandiworkError):
    """The artifact's retention has ended, or it was removed."""

    code = "expired"

    def __init__(self, reference: str, expired_at: str) -> None:
        super().__init__(f"Artifact `{reference}` is gone: its retention ended, or it was removed, at {expired_at}.")
        self.reference, self.expired_at = reference, expired_at
        self.hint = "Make it again, or set a longer `artifact_retention`."


class ArtifactHeld(HandiworkError):
    """The artifact is held, so it cannot be removed."""

    code = "artifact_held"

    def __init__(self, reference: str) -> None:
        super().__init__(f"Artifact `{reference}` is held and stays until it is let go.")
        self.reference = reference
        self.hint = "Let it go first: `hold` with `held: false`."


class ExecutionNotFound(HandiworkError):
    """No execution in this scope has this id."""

    code = "execution_not_found"

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"No execution `{execution_id}` in this session.")
        self.execution_id = execution_id


class UnknownType(HandiworkError):
    """No artifact type has this name."""

    code = "unknown_type"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"No artifact type `{name}`; the types are {', '.join(f'`{k}`' for k in known)}.")
        self.name, self.known = name, tuple(known)


class ContentTooLarge(HandiworkError):
    """The content is over the cap of its type."""

    code = "content_too_large"

    def __init__(self, name: str, *, size: int, limit: int) -> None:
        super().__init__(f"`{name}` has {size:,} bytes; the limit is {limit:,} bytes.")
        self.name, self.size, self.limit = name, size, limit
        self.hint = "Make it smaller, compress it, or split it into parts below the limit."


class InvalidContent(HandiworkError):
    """The content is not what its type or format demands."""

    code = "invalid_content"

    def __init__(self, subject: str, *, expected: str, got: str, hint: str | None = None) -> None:
        super().__init__(f"`{subject}` is not valid: expected {expected}, got {got}.")
        self.subject, self.expected, self.got, self.hint = subject, expected, got, hint


class UnsupportedFormat(HandiworkError):
    """The format is not one that Handiwork delivers, or not one that this deployment allows."""

    code = "unsupported_format"

    def __init__(self, name: str, *, media_type: str, hint: str) -> None:
        super().__init__(f"`{name}` is {media_type}, which is not delivered.")
        self.name, self.media_type, self.hint = name, media_type, hint


class InvalidName(HandiworkError):
    """A session, user, tenant or file name cannot be used."""

    code = "invalid_name"

    def __init__(self, what: str, value: str, *, expected: str) -> None:
        super().__init__(f"The {what} {value!r} cannot be used: expected {expected}.")
        self.what, self.value, self.expected = what, value, expected


class InputNotFound(HandiworkError):
    """An input is neither a readable file nor an artifact of the session."""

    code = "input_not_found"

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"The input `{reference}` cannot be used: {why}.")
        self.reference, self.why = reference, why
        self.hint = (
            "Name an artifact of this session by id or handle: upload the file first, or in Python pass its `Path`."
        )


class LimitExceeded(HandiworkError):
    """A call asks for more than the deployment allows."""

    code = "limit_exceeded"

    def __init__(self, limit: str, *, asked: str, maximum: str) -> None:
        super().__init__(f"`{limit}` of {asked} was asked for; the maximum here is {maximum}.")
        self.limit, self.asked, self.maximum = limit, asked, maximum
        self.hint = f"Ask for at most {maximum}, or raise `artifacts.maximum` in the configuration."


class QuotaExceeded(HandiworkError):
    """A session or a user would keep more than the deployment allows; nothing was stored."""

    code = "quota_exceeded"

    def __init__(self, quota: str, *, used: int, asked: int, limit: int) -> None:
        super().__init__(f"The quota of {limit:,} {quota} does not allow {asked:,} more: {used:,} are used.")
        self.quota, self.used, self.asked, self.limit = quota, used, asked, limit
        self.hint = "Remove artifacts that are no longer needed, or wait until some expire."


class ScopeErased(HandiworkError):
    """The session, its user or its tenant was erased while something was being stored in it; nothing was stored."""

    code = "erased"

    def __init__(self, session: str) -> None:
        super().__init__(f"Session `{session}` was erased while this was being stored; nothing of it was kept.")
        self.session = session
        self.hint = "Send it again if the session shall begin anew."


class TookTooLong(HandiworkError):
    """So much time went by between the first byte and the record that nothing was stored."""

    code = "took_too_long"

    def __init__(self, limit_seconds: int) -> None:
        super().__init__(f"Storing took longer than {limit_seconds:,} seconds by the clock; nothing was stored.")
        self.limit_seconds = limit_seconds
        self.hint = "Send it again, in smaller parts if the connection is slow."


class CursorTooOld(HandiworkError):
    """The events after this cursor are no longer kept, or the session never had it; nothing is skipped in silence."""

    code = "resync"

    def __init__(self, after: int, *, oldest: int, last: int) -> None:
        super().__init__(
            f"The events after {after} are not to be had; the cursors of this session are {oldest} to {last}."
        )
        self.after, self.oldest, self.last = after, oldest, last
        self.hint = f"List the artifacts again and follow from the `seq` of that answer, or from {last}."


class InvalidLimit(HandiworkError):
    """A limit is not a positive number of its unit."""

    code = "invalid_limit"

    def __init__(self, limit: str, value: object, *, expected: str) -> None:
        super().__init__(f"`{limit}` is {value!r}: expected {expected}.")
        self.limit, self.value, self.expected = limit, value, expected


class InvalidSetting(HandiworkError):
    """A configuration key is unknown or has a value that cannot be used."""

    code = "invalid_setting"

    def __init__(self, key: str, *, problem: str, where: str) -> None:
        super().__init__(f"`{key}` in {where}: {problem}.")
        self.key, self.problem, self.where = key, problem, where


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


class HandleTaken(HandiworkError):
    """Another artifact of the session has this handle; nothing was stored, so a new handle may be tried."""

    code = "handle_taken"

    def __init__(self, handle: str) -> None:
        super().__init__(f"The handle `{handle}` is taken in this session.")
        self.handle = handle


class SessionNotFound(HandiworkError):
    """The caller has no session, or no user, of this name; those of others look the same."""

    code = "session_not_found"

    def __init__(self, name: str, *, what: str = "session") -> None:
        super().__init__(f"No {what} `{name}` here.")
        self.name, self.what = name, what


class KeyNotFound(HandiworkError):
    """The tenant has no key of this id."""

    code = "key_not_found"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"No key `{key_id}` here.")
        self.key_id = key_id
        self.hint = "`handiwork keys list` shows the keys with their ids."


class NotAuthenticated(HandiworkError):
    """The request carries no key or token that is valid here; why it is not is told to nobody."""

    code = "not_authenticated"

    def __init__(self) -> None:
        super().__init__("The request carries no key or token that is valid here.")
        self.hint = "Send `Authorization: Bearer hw_…`; keys and tokens expire and can be revoked."


class NotAllowed(HandiworkError):
    """The caller is known, and lacks the permission for this."""

    code = "not_allowed"

    def __init__(self, permission: str, *, principal: str) -> None:
        super().__init__(f"This takes the permission `{permission}`, which this {principal} does not have.")
        self.permission, self.principal = permission, principal
        self.hint = f"Use a key or token with `{permission}`."


class LinkInvalid(HandiworkError):
    """The signed link is not one that was made here, or its time is over."""

    code = "link_invalid"

    def __init__(self) -> None:
        super().__init__("The link is not valid, or not any more.")
        self.hint = "Ask for a new link."


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

    def __init__(self) -> None:
        super().__init__("This server is shutting down and begins nothing new.")
        self.hint = "Try again in a moment."
