"""Cutting off an answer that must not go on, so that its client sees that the rest is missing.

Whoever makes an answer asks for it here, by an extension of ASGI, and knows nothing of the web server. How a connection
is closed is known to `connections`.
"""

from starlette.types import Scope

EXTENSION = "handiwork.cutting_off"


def cut_off(scope: Scope) -> None:
    """Close the connection before its answer has ended; where no web server of ours listens this does nothing."""
    extension = scope.get("extensions", {}).get(EXTENSION)
    if extension is not None:
        extension["now"]()
