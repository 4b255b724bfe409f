"""Headers of a request as ASGI hands them over, repeated ones told apart. What they are good for is not known here."""

from starlette.types import Scope


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of a header, one for each time that it was sent; `name` is in lower case."""
    return [value for key, value in scope["headers"] if key == name]


def has_body(scope: Scope) -> bool:
    """Whether a body comes with the request; one of no bytes is none."""
    lengths = header_values(scope, b"content-length")
    return any(length.strip(b"0") for length in lengths) or bool(header_values(scope, b"transfer-encoding"))
