"""Why a change of an artifact comes to nothing: somebody was faster, or no step leads there.

What is wrong with a patch itself is in `patches`.
"""

from collections.abc import Mapping, Sequence

from handiwork.errors.root import HandiworkError


class HeadMoved(HandiworkError):
    """Somebody else has made a newer version meanwhile."""

    code = "head_moved"

    def __init__(self, reference: str, head: int) -> None:
        super().__init__(f"Artifact `{reference}` is at version {head} by now; nothing was changed.")
        self.reference, self.head = reference, head
        self.hint = f"Read version {head} and try again on it."


class MarksMoved(HandiworkError):
    """Somebody else has changed state or facts meanwhile."""

    code = "state_moved"

    def __init__(self, reference: str) -> None:
        super().__init__(f"The state of artifact `{reference}` was changed meanwhile; nothing was changed here.")
        self.reference = reference
        self.hint = "Read the artifact and decide again."


class IllegalTransition(HandiworkError):
    """The type of the artifact knows no such step from its state."""

    code = "illegal_transition"

    def __init__(self, reference: str, *, state: str | None, asked: str, legal: Sequence[str]) -> None:
        ways = ", ".join(f"`{each}`" for each in legal) or "none"
        super().__init__(f"Artifact `{reference}` cannot go from state `{state}` to `{asked}`; it can go to: {ways}.")
        self.reference, self.state, self.asked, self.legal = reference, state, asked, tuple(legal)


class VersionConflict(HandiworkError):
    """What was changed was changed by somebody else too, at the same places."""

    code = "version_conflict"

    def __init__(self, reference: str, *, base: int, head: int, conflicts: Sequence[Mapping[str, object]]) -> None:
        where = ", ".join(str(each["where"]) for each in conflicts[:3])
        super().__init__(
            f"Artifact `{reference}` went from version {base} to {head} meanwhile, and both changed {where}"
            f"{' and more' if len(conflicts) > 3 else ''}; nothing was changed."
        )
        self.reference, self.base, self.head, self.conflicts = reference, base, head, list(conflicts)
        self.hint = f"Decide for each conflict, and revise version {head} with the outcome."
