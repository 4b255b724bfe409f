"""Why an action comes to nothing: it is none, it cannot be now, or what was approved is not what is there any more.

What may be proposed by whom is known to `actions`, and how an action is carried out to nobody here.
"""

from collections.abc import Sequence

from handiwork.errors.root import HandiworkError


class ActionNotFound(HandiworkError):
    """No action has this id."""

    code = "action_not_found"

    def __init__(self, action_id: str) -> None:
        super().__init__(f"No action `{action_id}`.")
        self.action_id = action_id
        self.hint = "The actions of an artifact are listed with their ids."


class ActionImpossible(HandiworkError):
    """The type of the artifact has no such action, or not in the state that the artifact is in."""

    code = "action_impossible"

    def __init__(self, reference: str, action: str, *, state: str | None, possible: Sequence[str]) -> None:
        ways = ", ".join(f"`{each}`" for each in possible) or "none"
        where = "" if state is None else f" in state `{state}`"
        super().__init__(f"Artifact `{reference}`{where} has no action `{action[:100]}`; possible now: {ways}.")
        self.reference, self.action, self.state, self.possible = reference, action, state, tuple(possible)


class ActionVoid(HandiworkError):
    """The action is for a version that is not the newest any more, so that it holds no longer."""

    code = "action_void"

    def __init__(self, reference: str, action: str, *, version: int, head: int) -> None:
        super().__init__(
            f"`{action}` was asked for version {version} of artifact `{reference}`, which is at version {head} by now; "
            "nothing was done."
        )
        self.reference, self.action, self.version, self.head = reference, action, version, head
        self.hint = f"Read version {head}, and ask again for that one."


class ActionStale(HandiworkError):
    """The proposal is too old to be approved."""

    code = "action_stale"

    def __init__(self, action_id: str, *, expired_at: str) -> None:
        super().__init__(f"The proposal `{action_id}` could be approved until {expired_at}; nothing was done.")
        self.action_id, self.expired_at = action_id, expired_at
        self.hint = "Look at the artifact, and propose it anew."


class ActionDecided(HandiworkError):
    """The action was decided the other way before."""

    code = "action_decided"

    def __init__(self, action_id: str, *, action_status: str) -> None:
        super().__init__(f"The action `{action_id}` is {action_status} already; that stays so.")
        self.action_id, self.action_status = action_id, action_status
        self.hint = "Propose it anew where it is still wanted." if action_status == "rejected" else None


class IdempotencyKeyReused(HandiworkError):
    """Another action of the artifact was asked for with this key."""

    code = "idempotency_key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"The idempotency key `{key[:100]}` was used for another action of this artifact.")
        self.key = key
        self.hint = "Repeat the same request with the same key, or make a new key for a new one."
