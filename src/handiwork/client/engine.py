"""The engine over HTTP: a server at an address, and what a key may ask it for. The verbs of a session are in `session`.

Whose things are seen is decided by the key; the server says so when the connection is opened.
"""

import re
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from handiwork.access.policy import Caller, require_scope_name
from handiwork.client import answers
from handiwork.client.answers import Misread, read_as
from handiwork.client.connection import KEPT_OPEN_SECONDS, MOST_CONNECTIONS, Call, Connection, Patience
from handiwork.client.place import Place, segment_of
from handiwork.client.session import RemoteSession
from handiwork.errors import InvalidName, NotAuthenticated
from handiwork.model import Reach, Scope
from handiwork.store.expiry import Erased
from handiwork.store.records import SessionPage
from handiwork.tools.tool import Offer
from handiwork.verbs import page_size

ADDRESS = "`http://` or `https://` with a host, such as `http://127.0.0.1:8765`, and neither user, query nor fragment"
USER_HEADER = "x-handiwork-user"

Value = TypeVar("Value")


@asynccontextmanager
async def connect(
    url: str, *, key: str | None = None, patience: Patience | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator["RemoteEngine"]:
    """Connect to a server that `handiwork serve` has started, and give an engine with the same verbs.

    `key` is an API key or a token; a server on loopback without keys needs none. `tls` replaces the usual trust in
    certificates.

    Raises:
        InvalidName: the address is none.
        ServerUnreachable, UnexpectedAnswer: no Handiwork server answers there.
        NotAuthenticated: the key is not valid there.
    """
    address, chosen = _address(url), patience or Patience()
    headers = {"accept-encoding": "identity", "user-agent": "handiwork", **_authorization(key)}
    limits = httpx2.Limits(
        max_connections=MOST_CONNECTIONS, max_keepalive_connections=20, keepalive_expiry=KEPT_OPEN_SECONDS
    )
    # Reading all certificates takes a while, and is for nothing where there are none.
    verify = tls or address.startswith("https:")
    # What the environment says about proxies is not for a library to read.
    new_client = partial(httpx2.AsyncClient, headers=headers, limits=limits, verify=verify, trust_env=False)
    async with Connection(new_client, url=address, patience=chosen) as connection:
        asked = Call(method="GET", path="/caller")
        caller, offer = await _asked(connection, asked, lambda told: (answers.caller(told), answers.offer(told)))
        yield RemoteEngine(connection=connection, caller=caller, offer=offer)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEngine:
    """A server, as far as a key sees it. `handiwork.connect` makes it and closes it.

    `caller` tells the tenant of the key and its user; None is a key for all users of its tenant, and then each session
    names one. `offer` tells what the tools of its sessions can be used for.
    """

    connection: Connection
    caller: Caller
    offer: Offer = field(default_factory=Offer, repr=False)

    def session(self, name: str, *, user: str | None = None) -> RemoteSession:
        """Return the session of this name; it exists as soon as something is in it.

        `user` is needed where the key is for all users of its tenant. Raises `InvalidName`.
        """
        require_scope_name("session", name)
        whose, headers = self._user(user)
        scope = Scope(tenant=self.caller.tenant, user=whose, session=name)
        place = Place(connection=self.connection, scope=scope, headers=headers)
        return RemoteSession(place=place, principal=self.caller.principal, offer=self.offer)

    async def sessions(self, *, user: str | None = None, limit: int = 100, cursor: str | None = None) -> SessionPage:
        """Return a user's sessions, the one that was active last first."""
        _whose, headers = self._user(user)
        query = {"limit": page_size(limit), "cursor": cursor}
        call = Call(method="GET", path="/sessions", query=query, headers=headers)
        return await _asked(self.connection, call, answers.session_page)

    async def erase(self, reach: Reach) -> Erased:
        """Take everything of a session, a user or the tenant out of the store, held or not, for good."""
        headers: Mapping[str, str] = {}
        query: dict[str, str | int | None] = {}
        if reach.tenant != self.caller.tenant:
            raise InvalidName("tenant", reach.tenant, expected=f"`{self.caller.tenant}`, which the key is for")
        if reach.session is not None and reach.user is None:
            raise InvalidName("user", "", expected="the user whose session it is")
        if reach.session is not None:
            path = f"/sessions/{segment_of(reach.session)}"
            _whose, headers = self._user(reach.user)
        elif reach.user is not None:
            path = f"/users/{segment_of(reach.user)}"
        else:
            path = "/tenant"
            query["confirm"] = reach.tenant
        call = Call(method="DELETE", path=path, query=query, headers=headers)
        return await _asked(self.connection, call, answers.erased)

    def _user(self, user: str | None) -> tuple[str, Mapping[str, str]]:
        whose = self.caller.user if user is None else user
        if whose is None:
            raise InvalidName("user", "", expected="the name of one user, since the key is for all of its tenant")
        require_scope_name("user", whose)
        if whose == self.caller.user:
            return whose, {}
        try:
            whose.encode("latin-1")
        except UnicodeEncodeError as wrong:
            expected = "characters that a header can hold, or a key of this user's own"
            raise InvalidName("user", whose, expected=expected) from wrong
        return whose, {USER_HEADER: whose}


def _address(url: str) -> str:
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise InvalidName("address", f"a {type(url).__name__}", expected=ADDRESS)
    # What stands before `@` or after `?` may be a secret.
    told = re.split(r"[?#]", url.rpartition("@")[2])[0][:100]
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise InvalidName("address", told, expected=ADDRESS) from None
    is_odd = parts.username is not None or parts.query or parts.fragment or port == 0
    is_odd = is_odd or not (url.isascii() and url.isprintable()) or " " in url
    if parts.scheme not in {"http", "https"} or not host or is_odd:
        raise InvalidName("address", told, expected=ADDRESS)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _authorization(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    # It is told to nobody, also not by an error.
    if not isinstance(key, str) or not (key.isascii() and key.isprintable()) or " " in key or not key:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise NotAuthenticated
    return {"authorization": f"Bearer {key}"}


async def _asked(connection: Connection, call: Call, read: Callable[[Any], Value]) -> Value:
    try:
        return read_as(read, await connection.ask(call))
    except Misread as wrong:
        raise connection.unexpected(call, expected="what this request asks for", got=str(wrong)) from wrong
