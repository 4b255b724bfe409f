"""What goes wrong between a client and its server. What the server itself refuses has the errors of everybody else."""

from collections.abc import Mapping

from handiwork.errors.root import HandiworkError


class ServerUnreachable(HandiworkError):
    """No answer came from the server, and nothing was changed there."""

    code = "server_unreachable"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"The server at `{url}` does not answer: {why}.")
        self.url, self.why = url, why
        self.hint = "Look whether `handiwork serve` runs there, under this address and scheme, and try again."


class ConnectionBroken(HandiworkError):
    """The connection ended before the answer had come, so that nobody here knows what was done."""

    code = "connection_broken"

    def __init__(self, request: str, why: str) -> None:
        super().__init__(f"`{request}` was sent, and its answer did not come: {why}. It may have been carried out.")
        self.request, self.why = request, why
        self.hint = "Look at what is there before you send it again; `list` and `watch` show it."


class UnexpectedAnswer(HandiworkError):
    """What answers is no Handiwork server, or something between it and this client."""

    code = "unexpected_answer"

    def __init__(self, url: str, *, expected: str, got: str, answer_status: int | None = None) -> None:
        super().__init__(f"What `{url}` answers is not from a Handiwork server: expected {expected}, got {got}.")
        self.url, self.expected, self.got, self.answer_status = url, expected, got, answer_status
        self.hint = "Use the address that `handiwork serve` prints, and let proxies pass on what it answers as it is."


class RequestRefused(HandiworkError):
    """The server refuses a request for a reason that has no class of its own here; `code` and `facts` tell which."""

    code = "request_refused"

    def __init__(
        self, code: str, detail: str, *, status: int, hint: str | None = None, facts: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.status, self.hint = code, detail, status, hint
        self.facts = dict(facts or {})
