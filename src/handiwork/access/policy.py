"""What a caller may do, and whose things. How the caller was recognised is not known here.

A caller holds a reach (a tenant, one of its users or all, one session or all) and permissions within it. What lies
outside of the reach answers as if it did not exist; what lies inside and is not permitted says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from handiwork.errors import InvalidName, NotAllowed, SessionNotFound
from handiwork.model import Principal, Reach, Scope
from handiwork.store.key_records import KeyKind

Permission = Literal[
    "artifact:read",
    "artifact:write",
    "execution:run",
    "link:create",
    "token:create",
    "session:erase",
    "action:execute",
    "admin",
]

PERMISSIONS: frozenset[Permission] = frozenset(get_args(Permission))
LONGEST_SCOPE_NAME = 200

_AGENT: frozenset[Permission] = frozenset({"artifact:read", "artifact:write", "execution:run", "link:create"})
_USER: frozenset[Permission] = PERMISSIONS - {"admin"}

# The most that each kind may hold, and what it gets when nothing less is asked for. An agent proposes actions and
# never executes them, and it hands its rights to nobody.
PERMISSIONS_OF: Mapping[KeyKind, frozenset[Permission]] = {"agent": _AGENT, "user": _USER, "admin": PERMISSIONS}


def permissions_for(kind: KeyKind, names: Iterable[str] | None = None) -> frozenset[Permission]:
    """Return those of `names` that this kind may hold, or all that it may; names that mean nothing are left out."""
    most = PERMISSIONS_OF[kind]
    if names is None:
        return most
    named = frozenset(names)
    return frozenset(permission for permission in most if permission in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Someone who was recognised, with all that decides on a request.

    `user` None may name any user of the tenant, `session` None any session. `key_id` None is a caller without a key:
    the local user of a server that has none.
    """

    tenant: str
    user: str | None
    session: str | None = None
    principal: Principal
    permissions: frozenset[Permission]
    key_id: str | None = None
    expires_at: datetime | None = None

    @property
    def reach(self) -> Reach:
        return Reach(tenant=self.tenant, user=self.user, session=self.session)

    def is_over_at(self, moment: datetime) -> bool:
        return self.expires_at is not None and moment >= self.expires_at

    def require(self, permission: Permission) -> None:
        """Raises: `NotAllowed`."""
        if permission not in self.permissions:
            raise NotAllowed(permission, principal=self.principal.kind)

    def within(self, *, user: str | None = None, session: str | None = None) -> Reach:
        """Return the caller's reach, narrowed to a user and a session where they are named.

        Raises:
            SessionNotFound: the user or the session is not the caller's.
            InvalidName: no user or session can be called like this.
        """
        for what, name in (("user", user), ("session", session)):
            if name is not None:
                require_scope_name(what, name)
        if session is not None and self.session not in {None, session}:
            raise SessionNotFound(session)
        if user is not None and self.user not in {None, user}:
            # Who asks for a session learns nothing about whether its user exists.
            raise SessionNotFound(user, what="user") if session is None else SessionNotFound(session)
        return Reach(tenant=self.tenant, user=self.user or user, session=self.session or session)

    def scope(self, session: str, *, user: str | None = None) -> Scope:
        """Return the scope of one session. A caller for all users has to name one.

        Raises:
            SessionNotFound: the user or the session is not the caller's.
            InvalidName: no user was named, or none can be called like this.
        """
        reach = self.within(user=user, session=session)
        if reach.user is None:
            raise InvalidName("user", "", expected="the name of one user, since the key is for all of its tenant")
        return Scope(tenant=reach.tenant, user=reach.user, session=session)


def require_scope_name(what: str, name: str) -> None:
    """Raises: `InvalidName`."""
    if not 0 < len(name) <= LONGEST_SCOPE_NAME or not name.isprintable():
        raise InvalidName(what, name, expected=f"1 to {LONGEST_SCOPE_NAME} printable characters")


def local_caller(*, tenant: str = "default", user: str = "local") -> Caller:
    """Return the user of a server without keys, who sits at the same machine."""
    return Caller(
        tenant=tenant,
        user=user,
        principal=Principal(kind="user", id=user),
        permissions=PERMISSIONS_OF["user"],
    )
