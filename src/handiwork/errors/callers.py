"""Who asks is not known here, or may not: keys, links, sessions, and places that were erased meanwhile.

What they asked for is in `artifacts`.
"""

from typing import Literal

from handiwork.errors.root import HandiworkError


class ScopeErased(HandiworkError):
    """The session, its user or its tenant was erased, or is being erased; what was to be stored in it was not."""

    code = "erased"

    def __init__(self, session: str) -> None:
        super().__init__(f"Session `{session}` was erased meanwhile, or is being erased; nothing of this was stored.")
        self.session = session
        self.hint = "Send it again in a while if the session shall begin anew."


class TookTooLong(HandiworkError):
    """So much time went by between the first byte and the record that nothing was stored."""

    code = "took_too_long"

    def __init__(self, limit_seconds: int) -> None:
        super().__init__(f"Storing took longer than {limit_seconds:,} seconds by the clock; nothing was stored.")
        self.limit_seconds = limit_seconds
        self.hint = "Send it again, in smaller parts if the connection is slow."


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


class ApprovalNeeded(NotAllowed):
    """This is for users to decide, and who asks may only propose it."""

    code = "approval_needed"
    permission = "action:execute"

    def __init__(self, asked: Literal["decision", "state"], *, principal: str) -> None:
        match asked:
            case "decision":
                message = f"Approving and rejecting is up to users; this {principal} may only propose."
                hint = "Tell the user to run `handiwork actions approve ID`, or to approve it in the application."
            case "state":
                message = f"To go on to another state takes a user's approval, which this {principal} cannot give."
                hint = "Propose it: an action that leads to the state is called like it, and a user approves it."
        # The words of the other are about keys, which there are none of in this process.
        super(NotAllowed, self).__init__(message)
        self.asked, self.principal, self.hint = asked, principal, hint


class LinkInvalid(HandiworkError):
    """The signed link is not one that was made here, or its time is over."""

    code = "link_invalid"

    def __init__(self) -> None:
        super().__init__("The link is not valid, or not any more.")
        self.hint = "Ask for a new link."
