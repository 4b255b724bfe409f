"""Why content or a type is turned away, before anything of it is stored.

Which rules there are is known to the types.
"""

from handiwork.errors.root import HandiworkError


class ContentRefused(HandiworkError):
    """The content is not what its type demands; the first fault is named with its place."""

    code = "content_refused"

    def __init__(
        self,
        artifact_type: str,
        *,
        expected: str,
        got: str,
        where: str | None = None,
        limit: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = "" if where is None else f" at {where}"
        super().__init__(f"The content is not valid `{artifact_type}`{place}: expected {expected}; got {got}.")
        # Not `type`, which in a problem is the kind of the problem.
        self.artifact_type, self.where, self.expected, self.got, self.limit = artifact_type, where, expected, got, limit
        self.hint = hint or "Mend this place and send the whole content again."


class NotCollected(HandiworkError):
    """One of the things that were found in an output cannot be kept, so that none of them was."""

    code = "not_collected"

    def __init__(self, name: str, *, number: int, of: int, problem: str, reason: str, hint: str | None = None) -> None:
        """Take the place of it among all that was found, from 1, and message and code of the error that it led to."""
        super().__init__(
            f"`{name}`, which is number {number:,} of {of:,} found, cannot be kept: {problem} Nothing was stored."
        )
        self.name, self.number, self.of, self.problem, self.reason = name, number, of, problem, reason
        self.hint = f"{hint or 'Mend it.'} Then send the whole output again."


class InvalidType(HandiworkError):
    """An artifact type cannot be registered as it is declared."""

    code = "invalid_type"

    def __init__(self, name: str, *, problem: str) -> None:
        super().__init__(f"The artifact type `{name}` cannot be registered: {problem}.")
        self.name, self.problem = name, problem
        self.hint = "Mend the declaration, or leave the type out of `types` or out of the installed packages."
