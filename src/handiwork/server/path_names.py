"""Names in paths: a slash within a name stays apart from those between names. Which names are good is not known here.

A web server decodes a path before anybody splits it, so that `team%2Fplan` would be two names. The slash of a name
travels through the routing as a character that no path can hold, and is a slash again where the route takes the name.
"""

import re
from typing import Annotated
from urllib.parse import unquote

from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

# Half of a surrogate pair: decoding never gives one.
_SLASH = "\udc2f"
_ENCODED = re.compile(rb"%2[Ff]")


class WholeNames:
    """Lets routes see a name with an encoded slash as one segment of the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b""
        if _ENCODED.search(raw):
            # Servers differ in whether the query is a part of it.
            parts = _ENCODED.split(raw.partition(b"?")[0])
            scope = {**scope, "path": _SLASH.join(unquote(part.decode("latin-1")) for part in parts)}
        await self._app(scope, receive, send)


def name_in_path(segment: str) -> str:
    """Return the name that a segment of a path stands for."""
    return segment.replace(_SLASH, "/")


def _whole(segment: object) -> object:
    return name_in_path(segment) if isinstance(segment, str) else segment


PathName = Annotated[str, BeforeValidator(_whole)]
"""A name of a session or a user, as a route takes it from its path."""
