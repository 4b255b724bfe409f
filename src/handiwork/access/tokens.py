"""Short-lived tokens, which a product's back end mints with its key and gives to its browsers.

No record of a token is kept: its claims are signed, and it ends with its time or with the key that minted it,
whichever is first. Whether the caller may do what it then asks for is the policy's affair.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, cast, get_args

from handiwork.access.expiry import milliseconds, moment_after, moment_of
from handiwork.access.keys import Keys
from handiwork.access.policy import Caller, permissions_for
from handiwork.access.signing import Signing
from handiwork.clock import Clock, utc_now
from handiwork.errors import InvalidName, NotAuthenticated
from handiwork.model import Principal

TOKEN_PREFIX = "hwt_"  # noqa: S105  # what every token begins with
DEFAULT_SECONDS = 15 * 60.0
LONGEST_SECONDS = 60 * 60.0
PURPOSE = "token"

TokenKind = Literal["user", "agent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that was just minted, and when it ends."""

    spelled: str = field(repr=False)
    expires_at: datetime


class Tokens:
    """Mints tokens and tells whose they are. Both methods may raise `StorageFailed`."""

    def __init__(self, signing: Signing, keys: Keys, *, clock: Clock = utc_now) -> None:
        self._signing, self._keys, self._clock = signing, keys, clock

    async def mint(
        self,
        caller: Caller,
        kind: TokenKind = "user",
        *,
        user: str | None = None,
        session: str | None = None,
        permissions: Iterable[str] | None = None,
        expires_in: float = DEFAULT_SECONDS,
    ) -> Token:
        """Return a token with at most the caller's own reach, rights and time, and never more than an hour.

        What is not named is the caller's own; rights that the caller or the kind cannot have are left out.

        Raises:
            NotAllowed: the caller may not mint.
            SessionNotFound: the user or the session is not the caller's.
            InvalidName: no user was named, or for an agent no session, or no one can be called like this.
            InvalidLimit: the time is not a positive number of seconds.
        """
        caller.require("token:create")
        reach = caller.within(user=user, session=session)
        if reach.user is None:
            raise InvalidName("user", "", expected="the name of the user whom the token is for")
        if kind == "agent" and reach.session is None:
            raise InvalidName("session", "", expected="the session that the agent works in")
        now = self._clock()
        ends = [moment_after(now, min(expires_in, LONGEST_SECONDS))]
        if caller.expires_at is not None:
            ends.append(caller.expires_at)
        expires_ms = milliseconds(min(ends))
        claims = {
            "tenant": reach.tenant,
            "user": reach.user,
            "session": reach.session,
            "kind": kind,
            "permissions": " ".join(sorted(permissions_for(kind, permissions) & caller.permissions)),
            "iat": milliseconds(now),
            "exp": expires_ms,
            "key": caller.key_id,
        }
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        spelled = TOKEN_PREFIX + await self._signing.sign(PURPOSE, payload)
        return Token(spelled=spelled, expires_at=moment_of(expires_ms))

    async def authenticate(self, spelled: str) -> Caller:
        """Return whom this token is for. Raises: `NotAuthenticated`."""
        if not spelled.startswith(TOKEN_PREFIX):
            raise NotAuthenticated
        payload = await self._signing.verify(PURPOSE, spelled.removeprefix(TOKEN_PREFIX))
        caller = None if payload is None else _caller(payload)
        if caller is None or caller.is_over_at(self._clock()) or not await self._keys.vouch_for(caller):
            raise NotAuthenticated
        return caller


def _caller(payload: bytes) -> Caller | None:
    """Return the claims as a caller. They are ours; other shapes are those of another release."""
    try:
        claims = cast(object, json.loads(payload))  # whatever JSON gives; looked into below
        match claims:
            case {
                "tenant": str() as tenant,
                "user": str() as user,
                "session": (str() | None) as session,
                "kind": str() as named,
                "permissions": str() as permissions,
                "exp": int() as expires_ms,
                "key": (str() | None) as key_id,
            } if kind := _kind(named):
                return Caller(
                    tenant=tenant,
                    user=user,
                    session=session,
                    principal=Principal(kind=kind, id=user),
                    permissions=permissions_for(kind, permissions.split()),
                    key_id=key_id,
                    expires_at=moment_of(expires_ms),
                )
            case _:
                return None
    except (ValueError, OverflowError, RecursionError):
        return None


def _kind(name: str) -> TokenKind | None:
    return next((kind for kind in get_args(TokenKind) if kind == name), None)
