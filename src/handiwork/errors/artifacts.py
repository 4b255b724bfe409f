"""What is asked for is not there: artifacts, versions, runs, cursors, or a name for them.

Who may ask at all is in `callers`.
"""

from handiwork.errors.root import HandiworkError


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


class CursorTooOld(HandiworkError):
    """The events after this cursor are no longer kept, or the session never had it; nothing is skipped in silence."""

    code = "resync"

    def __init__(self, after: int, *, oldest: int, last: int) -> None:
        super().__init__(
            f"The events after {after} are not to be had; the cursors of this session are {oldest} to {last}."
        )
        self.after, self.oldest, self.last = after, oldest, last
        self.hint = f"List the artifacts again and follow from the `seq` of that answer, or from {last}."


class HandleTaken(HandiworkError):
    """Another artifact of the session has this handle; nothing was stored, so a new handle may be tried."""

    code = "handle_taken"

    def __init__(self, handle: str) -> None:
        super().__init__(f"The handle `{handle}` is taken in this session.")
        self.handle = handle
