"""Errors as RFC 9457 problems: the one table of statuses, and the handlers that answer with them.

When an error is raised is not decided here. A client learns the facts of an error, but never where this server
keeps its things: of errors about its inside it is told the kind and the next step, and the log is told the rest.
"""

import json
import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from handiwork import errors
from handiwork.errors import HandiworkError
from handiwork.errors.telling import INSIDE, title_of
from handiwork.server import refusals
from handiwork.server.facts import facts_of, short
from handiwork.server.headers import has_body
from handiwork.server.validation import faults_of

MEDIA_TYPE = "application/problem+json"
# WebSocket close codes for a reason of our own are 4000 to 4999; the rest is the status that HTTP would have.
CLOSE_CODE_BASE = 4000

Problem = dict[str, object]

logger = logging.getLogger(__name__)

STATUS: Mapping[type[HandiworkError], int] = MappingProxyType(
    {
        HandiworkError: 500,
        errors.ArtifactNotFound: 404,
        errors.VersionNotFound: 404,
        errors.ArtifactExpired: 410,
        errors.ArtifactHeld: 409,
        errors.ExecutionNotFound: 404,
        errors.UnknownType: 422,
        errors.ContentTooLarge: 413,
        errors.InvalidContent: 422,
        errors.UnsupportedFormat: 415,
        errors.InvalidName: 422,
        errors.InputNotFound: 404,
        errors.LimitExceeded: 422,
        errors.QuotaExceeded: 429,
        errors.ScopeErased: 409,
        errors.TookTooLong: 503,
        errors.ToolResultNotFound: 404,
        errors.AlreadyPromoted: 409,
        errors.CursorTooOld: 410,
        errors.InvalidLimit: 422,
        errors.InvalidSetting: 500,
        errors.IsolationUnavailable: 503,
        errors.SandboxBroken: 503,
        errors.RuntimeMissing: 503,
        errors.ExtraMissing: 503,
        # What runs an Autopilot runs into, were it used in here.
        errors.ModelUnusable: 503,
        errors.LoopRunning: 500,
        errors.StorageFull: 507,
        errors.StorageFailed: 503,
        errors.BlobNotFound: 500,
        errors.ContentDamaged: 500,
        errors.StoreVersionMismatch: 503,
        errors.EncryptionChanged: 503,
        errors.EncryptionKeyMissing: 503,
        errors.EncryptionKeyWrong: 503,
        errors.BlobExists: 500,
        errors.HandleTaken: 409,
        errors.HeadMoved: 409,
        errors.MarksMoved: 409,
        errors.IllegalTransition: 409,
        errors.ActionNotFound: 404,
        errors.ActionImpossible: 409,
        errors.ActionDecided: 409,
        errors.ActionVoid: 412,
        errors.ActionStale: 412,
        errors.IdempotencyKeyReused: 422,
        errors.VersionConflict: 409,
        errors.ContentRefused: 422,
        errors.NotCollected: 422,
        errors.PatchRefused: 422,
        errors.EditMissed: 422,
        errors.OperationFailed: 422,
        errors.SelectorRefused: 422,
        errors.SelectorMisfit: 422,
        errors.ExportInvalid: 422,
        errors.InvalidTool: 500,
        errors.InvalidType: 500,
        errors.SessionNotFound: 404,
        errors.KeyNotFound: 404,
        errors.NotAuthenticated: 401,
        errors.NotAllowed: 403,
        errors.ApprovalNeeded: 403,
        errors.ProducingDisabled: 403,
        # Like a link that was never made: whether it once was good is nobody's business.
        errors.LinkInvalid: 404,
        errors.QueueFull: 429,
        errors.ShuttingDown: 503,
        errors.EngineClosed: 503,
        # What a client of another server runs into, were it used in here.
        errors.ServerUnreachable: 502,
        errors.ConnectionBroken: 502,
        errors.UnexpectedAnswer: 502,
        errors.RequestRefused: 502,
        refusals.ForeignHost: 421,
        refusals.ForeignOrigin: 403,
        refusals.NotJson: 415,
        refusals.UnsupportedEncoding: 415,
        refusals.BodyTooLarge: 413,
        refusals.BodyStalled: 408,
        refusals.MalformedRequest: 400,
        refusals.TooManyConnections: 503,
        refusals.TooManyConversations: 503,
        refusals.ConversationNotFound: 404,
        refusals.PagesBusy: 503,
        refusals.ReadsBusy: 503,
        refusals.RangeNotSatisfiable: 416,
        refusals.PreconditionFailed: 412,
        refusals.NoPreview: 404,
    }
)


def problem_of(error: HandiworkError, *, instance: str | None = None) -> tuple[int, Problem]:
    """Return the status and the problem that a client is told."""
    kind = _kind(error)
    title = title_of(type(error))
    told: Problem = {} if kind in INSIDE else facts_of(error)
    problem = _problem(error.code, title, STATUS[kind], f"{title}." if kind in INSIDE else str(error), error.hint)
    if instance is not None:
        problem["instance"] = instance
    # What the shape of a problem means wins over a fact of the same name.
    return STATUS[kind], problem | {name: fact for name, fact in told.items() if name not in problem}


def headers_of(error: HandiworkError) -> dict[str, str]:
    """Return the headers that belong to the answer beside the problem."""
    headers: dict[str, str] = {}
    match error:
        case errors.NotAuthenticated():
            headers["www-authenticate"] = "Bearer"
        case errors.QueueFull():
            headers["retry-after"] = str(error.retry_after_seconds)
        case errors.ShuttingDown() | refusals.PagesBusy() | refusals.ReadsBusy():
            headers["retry-after"] = "1"
        case refusals.TooManyConnections():
            headers |= {"retry-after": "1", "connection": "close"}
        case refusals.UnsupportedEncoding():
            headers["accept-encoding"] = ", ".join(error.accepted)
        case refusals.RangeNotSatisfiable():
            headers |= {"content-range": f"bytes */{error.size}", "accept-ranges": "bytes"}
        case refusals.BodyTooLarge() | refusals.BodyStalled():
            # The rest of the body shall not be read as the next request, nor at all.
            headers["connection"] = "close"
        case _:
            pass
    return headers


def problem_response(error: HandiworkError, *, instance: str | None = None, is_last: bool = False) -> Response:
    """Return the answer; `is_last` closes the connection, for a request whose body is not read."""
    status, problem = problem_of(error, instance=instance)
    headers = headers_of(error)
    if is_last:
        headers["connection"] = "close"
    return _response(status, problem, headers)


async def refuse(error: HandiworkError, *, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request or a WebSocket handshake with a problem, from within a middleware."""
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": _close_code(error), "reason": error.code})
            return
        await problem_response(error)(scope, receive, send)
        return
    # The body would be read to its end for the sake of the next request.
    await problem_response(error, is_last=has_body(scope))(scope, receive, send)


def install(app: FastAPI) -> None:
    """Let every error that a route raises be answered with a problem."""
    app.add_exception_handler(HandiworkError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(WebSocketRequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_anything_else)


class Backstop:
    """Answers what nobody else caught, within the middlewares that set headers; place it right inside of them.

    The log gets the kind of the exception and its lines, but not its words: they may quote what users store. An
    answer that has begun is cut off, so that it cannot be taken for whole.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        has_begun = scope["type"] == "websocket"

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001  # the last boundary before the web server
            _log_unforeseen(error)
            if has_begun:
                raise RuntimeError("The answer was cut off; the line before in the log says by what.") from None
            await _internal()(scope, receive, send)


async def _on_error(connection: Request | WebSocket, error: Exception) -> Response:
    assert isinstance(error, HandiworkError)
    if _kind(error) in INSIDE or STATUS[_kind(error)] == HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s: %r", error.code, str(error))
    return _to(connection, problem_response(error), reason=error.code)


async def _on_invalid_request(connection: Request | WebSocket, error: Exception) -> Response:
    assert isinstance(error, (RequestValidationError, WebSocketRequestValidationError))
    status = HTTPStatus.UNPROCESSABLE_ENTITY.value
    faults, left_out = faults_of(error.errors())
    first = faults[0] if faults else {"where": "request", "expected": "a valid request", "got": "another"}
    more = len(faults) + left_out - 1
    detail = f"`{first['where']}`: expected {first['expected']}; got {first['got']}."
    problem = _problem(
        "invalid_request",
        "The request is not what this route takes",
        status,
        detail + (f" {more} more are wrong." if more > 0 else ""),
        "Mend each of `errors` and send it again; `/openapi.json` describes what every route takes.",
    )
    return _to(connection, _response(status, problem | {"errors": faults}, {}), reason="invalid_request")


async def _on_http_exception(connection: Request | WebSocket, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = ", ".join(_methods_at(connection))
    if error.status_code < HTTPStatus.OK or error.status_code in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return Response(status_code=error.status_code, headers=headers)
    status = error.status_code
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Refused"
    told = error.detail or phrase
    code = _CODES.get(status, f"http_{status}")
    return _to(connection, _response(status, _problem(code, phrase, status, told, None), headers), reason=code)


async def _on_anything_else(_: Request, __: Exception) -> Response:
    # The exception goes on from here, to be logged by `Backstop`.
    return _internal()


def _methods_at(connection: Request | WebSocket) -> list[str]:
    """Return what all routes of this path take; the router tells those of the first alone."""
    path: str = connection.scope["path"]
    methods: set[str] = set()
    for route in iter_route_contexts(connection.app.routes):
        if route.path and route.methods and compile_path(route.path)[0].match(path):
            methods |= route.methods
    return sorted(methods)


# Spelled out, since the names in `HTTPStatus` change between releases of Python.
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 406: "not_acceptable"}


def _internal() -> Response:
    title = "This server has a fault"
    detail = "The fault is not in the request, and it is in the log."
    return _response(
        500, _problem("internal", title, 500, detail, "Try again; if it stays, tell who runs the server."), {}
    )


def _to(connection: Request | WebSocket, response: Response, *, reason: str) -> Response:
    return _Close(connection, response, reason=reason) if isinstance(connection, WebSocket) else response


class _Close(Response):
    """The end of a WebSocket: a problem instead of the handshake, a close code after it, and nothing after the end."""

    def __init__(self, connection: WebSocket, problem: Response, *, reason: str) -> None:
        super().__init__()
        self._connection, self._problem, self._reason = connection, problem, reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        states = {self._connection.application_state, self._connection.client_state}
        if WebSocketState.DISCONNECTED in states:
            return
        is_handshake = self._connection.application_state is WebSocketState.CONNECTING
        if is_handshake and "websocket.http.response" in scope.get("extensions", {}):
            await self._problem(scope, receive, send)
            return
        code = CLOSE_CODE_BASE + self._problem.status_code
        await send({"type": "websocket.close", "code": code, "reason": self._reason})


def _close_code(error: HandiworkError) -> int:
    return CLOSE_CODE_BASE + STATUS[_kind(error)]


def _log_unforeseen(error: Exception) -> None:
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    if isinstance(first, HandiworkError):
        # One that came when the answer had begun.
        logger.error("%s: %r", first.code, str(first))
        return
    logger.error("unforeseen %s\n%s", type(first).__name__, "".join(traceback.format_tb(first.__traceback__)))


def _kind(error: HandiworkError) -> type[HandiworkError]:
    return next(kind for kind in type(error).__mro__ if kind in STATUS)


def _problem(code: str, title: str, status: int, detail: str, hint: str | None) -> Problem:
    return {
        "type": f"urn:handiwork:problem:{code}",
        "title": title,
        "status": status,
        "detail": short(detail),
        "code": code,
        "hint": None if hint is None else short(hint),
    }


def _response(status: int, problem: Problem, headers: Mapping[str, str]) -> Response:
    # Characters beyond ASCII are escaped, since a lone surrogate of a request has no bytes of its own.
    body = json.dumps(problem, allow_nan=False).encode("ascii")
    return Response(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)
