"""Why the edge of the server turns a request away, before any part of the engine hears of it.

Each is an error like those of `errors`, built from facts. Which status it has on the wire is in `problems`.
"""

from collections.abc import Sequence
from typing import Literal

from handiwork.errors import HandiworkError


class ForeignHost(HandiworkError):
    """The request names a host that is not this server."""

    code = "foreign_host"

    def __init__(self, host: str) -> None:
        super().__init__(f"This server is not `{host}`." if host else "The request does not name one host.")
        self.host = host
        self.hint = "Use the address that the server printed, or add the name to the hosts in its configuration."


class ForeignOrigin(HandiworkError):
    """The request comes from a page of another origin."""

    code = "foreign_origin"

    def __init__(self, origin: str) -> None:
        super().__init__(f"Requests from the origin `{origin or 'unknown'}` are not taken.")
        self.origin = origin
        self.hint = "Add the origin to those in the configuration if its pages shall call this server."


class NotJson(HandiworkError):
    """The body is of another media type than the route takes."""

    code = "unsupported_media_type"

    def __init__(self, media_type: str, *, expected: str) -> None:
        super().__init__(f"The body is declared as `{media_type or 'nothing'}`; expected {expected}.")
        self.media_type, self.expected = media_type, expected
        self.hint = "Say what the body is in `Content-Type`."


class UnsupportedEncoding(HandiworkError):
    """The body is encoded in a way that is not decoded here."""

    code = "unsupported_encoding"

    def __init__(self, encoding: str, *, accepted: Sequence[str]) -> None:
        super().__init__(f"A body in the encoding `{encoding}` is not decoded here.")
        self.encoding, self.accepted = encoding, tuple(accepted)
        self.hint = f"Send it as it is, or as {' or '.join(f'`{name}`' for name in accepted)}."


class BodyTooLarge(HandiworkError):
    """The body of the request is over the limit, decoded or as it came; the rest was not read."""

    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body of the request is over the limit of {limit:,} bytes.")
        self.limit = limit
        self.hint = "Send less, or in several requests."


class BodyStalled(HandiworkError):
    """The body of the request stopped coming, or came too slowly."""

    code = "body_stalled"

    def __init__(self, seconds: float, *, missed: Literal["more", "end"] = "more") -> None:
        match missed:
            case "more":
                super().__init__(f"Nothing of the body came for {seconds:g} s.")
            case "end":
                super().__init__(f"The end of the body did not come within {seconds:g} s.")
        self.seconds, self.missed = seconds, missed
        self.hint = "Send the request again."


class MalformedRequest(HandiworkError):
    """A part of the request cannot be read as what it claims to be."""

    code = "malformed_request"

    def __init__(self, part: str, *, expected: str) -> None:
        super().__init__(f"The {part} cannot be read: expected {expected}.")
        self.part, self.expected = part, expected


class TooManyConnections(HandiworkError):
    """As many connections are open as this server can serve."""

    code = "too_many_connections"
    hint = "Try again in a moment, and close connections that are not needed."

    def __init__(self, limit: int) -> None:
        super().__init__(f"All {limit:,} connections that this server can serve are open.")
        self.limit = limit


class TooManyConversations(HandiworkError):
    """As many conversations of MCP go on as this server, or one key, may hold."""

    code = "too_many_conversations"
    hint = "End some with DELETE, or use the newest form of the protocol, which holds none."

    def __init__(self, limit: int) -> None:
        super().__init__(f"All {limit:,} conversations that may go on at a time do.")
        self.limit = limit


class ConversationNotFound(HandiworkError):
    """No conversation of MCP has this id, or it has ended."""

    code = "conversation_not_found"
    hint = "Begin a new one with `initialize`, without `Mcp-Session-Id`."

    def __init__(self) -> None:
        super().__init__("No conversation of this id goes on.")


class PagesBusy(HandiworkError):
    """So many pages are being made that this one did not get its turn."""

    code = "pages_busy"
    hint = "Try again in a moment."

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Other pages are being made, and this one did not get its turn within {seconds:g} s.")
        self.seconds = seconds


class ReadsBusy(HandiworkError):
    """Other answers to the same user, each with the content of an artifact, are still being taken."""

    code = "reads_busy"
    hint = "Take the answers that were asked for before, and try again; a part of one, by `?select=`, is soon taken."

    def __init__(self, limit: int, *, seconds: float) -> None:
        super().__init__(
            f"Reads of one user are answered {limit} at a time; this one had no turn within {seconds:g} s."
        )
        self.limit, self.seconds = limit, seconds


class RangeNotSatisfiable(HandiworkError):
    """The range lies outside of the content."""

    code = "range_not_satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(f"The range lies outside of the content, which has {size:,} bytes.")
        self.size = size


class PreconditionFailed(HandiworkError):
    """The content is not the one that the request makes a condition of."""

    code = "precondition_failed"

    def __init__(self, header: str) -> None:
        super().__init__(f"What `{header}` asks for is not so.")
        self.header = header
        self.hint = "Read it again, look at what has changed, and send the new ETag."


class NoPreview(HandiworkError):
    """No picture can be made of this version."""

    code = "no_preview"

    def __init__(self, reference: str) -> None:
        super().__init__(f"No picture can be made of `{reference}`.")
        self.reference = reference
        self.hint = "Show its name and category instead, or get the content itself."
