"""What every request passes before a route sees it, against pages that call this server from where they should not.

Who the caller is and what it may do is not known here. The order, from the outside in: `RequestId`,
`SecurityHeaders`, `HostAllowList`, `Cors`, `Backstop` of `problems`, `OriginCheck`, `Doorkeeper`, `WholeNames` of
`path_names`, `JsonOnly`, `BodyLimit` of `intake`, then `ShortWays`.

A server on loopback is within reach of every page that the user has open, and it may be open to that user without a
key. Three rules keep pages out, on loopback too. The name in `Host` must be ours, or else a page could point its own
name to this address and be of our origin (DNS rebinding). A request that may change something must come from our own
origin, from a configured one, or from what is no browser: browsers always say where such a request comes from. And a
body is JSON, which a page cannot send elsewhere without asking first; forms and plain text it could, so for
them the check of the origin alone must stand, and it covers them.
"""

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Literal
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handiwork.errors import InvalidName
from handiwork.server.headers import has_body, header_values
from handiwork.server.problems import refuse
from handiwork.server.refusals import ForeignHost, ForeignOrigin, NotJson

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
LONGEST_REQUEST_ID = 128
PREFLIGHT_SECONDS = 600
# What a page of another origin may send and read, beside what every page may.
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Match, If-Range, "
    "Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Range, "
    "X-Handiwork-Session, X-Request-Id"
)
EXPOSED_HEADERS = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Location, Mcp-Session-Id, Retry-After, WWW-Authenticate, "
    "X-Request-Id"
)

Headers = list[tuple[bytes, bytes]]

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_JSON = re.compile(rb"application/(?:json|[a-z0-9!#$&^_.+-]+\+json)")
_REQUEST_ID = re.compile(rb"[\x20-\x7e]{1,%d}" % LONGEST_REQUEST_ID)
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_PAGE_SCHEMES = {"ws": "http", "wss": "https"}
_BEGINNINGS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


def origin_of(text: str) -> str | None:
    """Return the origin as browsers spell it, without the scheme's own port; None for `null` and what is none."""
    if (parts := _ORIGIN.fullmatch(text.lower())) is None:
        return None
    scheme, host, port = parts.groups()
    return f"{scheme}://{host}" if port in {None, _DEFAULT_PORTS.get(scheme)} else f"{scheme}://{host}:{port}"


def origins_of(names: Iterable[str]) -> frozenset[str]:
    """Parse configured origins. Raises `InvalidName`, for `*` and `null` too."""
    return frozenset(_parsed_origin(name) for name in names)


def spellings(url: str) -> tuple[str, ...]:
    """Return the origins under which a browser may know this address: on this machine it has several names.

    A policy of a page cannot name addresses of IPv6.
    """
    place = urlsplit(url)
    host, port = _parsed_host(place.netloc)
    suffix = "" if port is None else f":{port}"
    names = [name for name in LOCAL_NAMES if "[" not in name] if host in LOCAL_NAMES else [host]
    return tuple(f"{place.scheme}://{name}{suffix}" for name in names)


def names_in(url: str) -> tuple[str, ...]:
    """Return the names under which a server is called that is known by this address: with its port, and with any.

    Behind a proxy with TLS the scheme that is seen here is not the one that the port can be told from.
    """
    place = urlsplit(url).netloc
    host, port = _parsed_host(place)
    return (place,) if port is None else (place, host)


class HostAllowList:
    """Refuses every request whose `Host` is not exactly one of ours, WebSockets included.

    `names` come on top of the names of this machine; one without a port is allowed with any.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str] = ()) -> None:
        self._app = app
        allowed = [_parsed_host(name) for name in (*LOCAL_NAMES, *names)]
        self._with_any_port = frozenset(name for name, port in allowed if port is None)
        self._with_port = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            hosts = header_values(scope, b"host")
            if len(hosts) != 1 or not self._is_ours(hosts[0].decode("latin-1"), scheme=scope["scheme"]):
                told = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
                await refuse(ForeignHost(told), scope=scope, receive=receive, send=send)
                return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str, *, scheme: str) -> bool:
        if (parts := _HOST.fullmatch(host.lower())) is None:
            return False
        name, port = parts.groups()
        return name in self._with_any_port or (name, port or _DEFAULT_PORTS.get(scheme)) in self._with_port


class OriginCheck:
    """Refuses what may change something, and every WebSocket, unless our own or an allowed page asks, or no page does.

    Place it within `HostAllowList`: what our own origin is, is told by a `Host` that was found to be ours.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._origins = origins_of(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_risky = scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in SAFE_METHODS)
        if is_risky and (foreign := self._foreign(scope)) is not None:
            await refuse(ForeignOrigin(foreign), scope=scope, receive=receive, send=send)
            return
        await self._app(scope, receive, send)

    def _foreign(self, scope: Scope) -> str | None:
        """Return the origin that is refused, or None when there is nothing to refuse."""
        told = [value.decode("latin-1") for value in header_values(scope, b"origin")]
        if not told:
            sites = header_values(scope, b"sec-fetch-site")
            # Without an origin, only the page itself or the user's own hand in the address bar.
            return None if all(site in {b"same-origin", b"none"} for site in sites) else ""
        origin = origin_of(told[0]) if len(told) == 1 else None
        if origin is not None and (origin in self._origins or origin == _own_origin(scope)):
            return None
        return ", ".join(told)


class JsonOnly:
    """Refuses bodies that are not declared as JSON; `takes_upload` says which paths take multipart forms too.

    `takes_text` says which take plain text.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        takes_upload: Callable[[str], bool] = lambda _: False,
        takes_text: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._app = app
        self._takes = {"multipart/form-data": takes_upload, "text/plain": takes_text}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in METHODS_WITH_BODY and has_body(scope):
            types = header_values(scope, b"content-type")
            essence = types[0].partition(b";")[0].strip().lower() if len(types) == 1 else b""
            others = [name for name, takes in self._takes.items() if takes(scope["path"])]
            if not _JSON.fullmatch(essence) and essence.decode("latin-1") not in others:
                told = b", ".join(types).decode("latin-1")
                expected = " or ".join(f"`{name}`" for name in ("application/json", *others))
                await refuse(NotJson(told, expected=expected), scope=scope, receive=receive, send=send)
                return
        await self._app(scope, receive, send)


class Cors:
    """Lets pages of the configured origins read what they asked for, and answers when their browsers ask first.

    An origin is named only when it is on the list, and nobody is offered to send credentials of the browser: whoever
    calls holds a token. Without a list nothing is added.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._origins = origins_of(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins:
            await self._app(scope, receive, send)
            return
        told = header_values(scope, b"origin")
        origin = origin_of(told[0].decode("latin-1")) if len(told) == 1 else None
        allowed = origin.encode("ascii") if origin is not None and origin in self._origins else None
        if scope["method"] == "OPTIONS" and told and header_values(scope, b"access-control-request-method"):
            if allowed is None:
                spelled = b", ".join(told).decode("latin-1")
                await refuse(ForeignOrigin(spelled), scope=scope, receive=receive, send=send)
                return
            await send({"type": "http.response.start", "status": 204, "headers": _preflight(allowed)})
            await send({"type": "http.response.body"})
            return
        added: Headers = [(b"vary", b"Origin")]
        if allowed is not None:
            added += [
                (b"access-control-allow-origin", allowed),
                (b"access-control-expose-headers", EXPOSED_HEADERS.encode("ascii")),
            ]

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, marked)


class RequestId:
    """Gives every request an id, in `state` and in the answer: the one that it came with, if that is a good one."""

    def __init__(self, app: ASGIApp, *, new_id: Callable[[], str] = lambda: f"req_{secrets.token_hex(16)}") -> None:
        self._app, self._new_id = app, new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        told = header_values(scope, b"x-request-id")
        is_good = len(told) == 1 and _REQUEST_ID.fullmatch(told[0]) is not None
        request_id = told[0] if is_good else self._new_id().encode("ascii")
        scope.setdefault("state", {})["request_id"] = request_id.decode("ascii")

        async def marked(message: Message) -> None:
            if message["type"] in _BEGINNINGS:
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id)]}
            await send(message)

        await self._app(scope, receive, marked)


class SecurityHeaders:
    """Adds to the answers of the application's origin what a route has not set: no sniffing, framing, keeping, leaking.

    The origin for user content sends headers of its own, from `downloads` and the view pages.
    """

    def __init__(
        self, app: ASGIApp, *, resource_policy: Literal["same-origin", "same-site", "cross-origin"] = "same-origin"
    ) -> None:
        self._app = app
        self._defaults: Headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", resource_policy.encode("ascii")),
            (b"cache-control", b"no-store"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def covered(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._completed(message.get("headers", ()))}
            await send(message)

        await self._app(scope, receive, covered)

    def _completed(self, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
        completed = list(headers)
        present = {name.lower(): value for name, value in completed}
        completed += [default for default in self._defaults if default[0] not in present]
        if present.get(b"content-type", b"").startswith(b"text/html") and b"x-frame-options" not in present:
            completed.append((b"x-frame-options", b"DENY"))
        return completed


def _own_origin(scope: Scope) -> str | None:
    hosts = header_values(scope, b"host")
    host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
    return origin_of(f"{_PAGE_SCHEMES.get(scope['scheme'], scope['scheme'])}://{host}")


def _preflight(origin: bytes) -> Headers:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", ALLOWED_METHODS.encode("ascii")),
        (b"access-control-allow-headers", ALLOWED_HEADERS.encode("ascii")),
        (b"access-control-max-age", b"%d" % PREFLIGHT_SECONDS),
        (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]


def _parsed_host(name: str) -> tuple[str, str | None]:
    if (parts := _HOST.fullmatch(name.lower())) is None:
        raise InvalidName("host", name, expected="a name or address, with or without a port: `app.example`, `[::1]:80`")
    host, port = parts.groups()
    return host, port


def _parsed_origin(name: str) -> str:
    if (origin := origin_of(name)) is None:
        raise InvalidName(
            "origin", name, expected="scheme and host, and a port if it is another: `https://app.example`"
        )
    return origin
