import inspect
import json
import logging
import math
import string
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

import httpx2
import pytest
from exchange import echo, exchange, http, websocket
from fastapi import FastAPI, Header, Query, Response, WebSocket
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from handiwork import errors
from handiwork.errors import HandiworkError
from handiwork.server import refusals
from handiwork.server.downloads import SMALL_BYTES, ContentResponse
from handiwork.server.facts import MOST_CONFLICT_BYTES
from handiwork.server.problems import INSIDE, STATUS, Backstop, headers_of, install, problem_of, problem_response
from handiwork.server.validation import MOST_FAULTS

PATH = "/srv/data/artifacts/acme/ada/secret.csv"


def kinds() -> set[type[HandiworkError]]:
    everything = [*vars(errors).values(), *vars(refusals).values()]
    return {kind for kind in everything if inspect.isclass(kind) and issubclass(kind, HandiworkError)}


def test_every_error_has_a_status() -> None:
    assert sorted(kind.__name__ for kind in kinds() ^ STATUS.keys()) == []
    assert all(400 <= status <= 599 for status in STATUS.values())


def test_a_problem_has_the_shape_of_the_rfc_and_the_facts_of_the_error() -> None:
    error = errors.QuotaExceeded("bytes", used=90, asked=20, limit=100)

    assert problem_of(error, instance="/x") == (
        429,
        {
            "type": "urn:handiwork:problem:quota_exceeded",
            "title": "A session or a user would keep more than the deployment allows; nothing was stored",
            "status": 429,
            "detail": str(error),
            "code": "quota_exceeded",
            "hint": error.hint,
            "instance": "/x",
            "quota": "bytes",
            "used": 90,
            "asked": 20,
            "limit": 100,
        },
    )


def test_facts_are_spelled_in_camel_case() -> None:
    _, problem = problem_of(errors.QueueFull("depth", limit=3, retry_after_seconds=7))

    assert (problem["retryAfterSeconds"], problem["limit"], problem["bound"]) == (7, 3, "depth")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StorageFailed(PATH, f"[Errno 5] {PATH}"), 503),
        (errors.StorageFull(PATH), 507),
        (errors.ContentDamaged(PATH), 500),
        (errors.BlobNotFound(PATH), 500),
        (errors.BlobExists(PATH), 500),
        (errors.SandboxBroken(f"cannot open {PATH}"), 503),
        (errors.InvalidSetting("artifacts.x", problem=PATH, where=PATH), 500),
        (errors.IsolationUnavailable("full", wall="landlock", why=PATH, fix="Use another kernel."), 503),
    ],
)
def test_a_client_is_not_told_where_this_server_keeps_its_things(error: HandiworkError, status: int) -> None:
    told, problem = problem_of(error)

    assert (told, problem["code"]) == (status, error.code)
    assert type(error) in INSIDE
    assert "secret" not in json.dumps(problem)
    assert problem.keys() == {"type", "title", "status", "detail", "code", "hint"}


def test_an_error_that_nobody_has_listed_tells_nothing() -> None:
    class Unlisted(HandiworkError):
        """Something of a connector."""

        code = "unlisted"

    status, problem = problem_of(Unlisted(PATH))

    assert (status, problem["detail"]) == (500, "Something of a connector.")


def test_a_kind_of_a_listed_error_is_answered_like_it() -> None:
    class OlderArtifact(errors.ArtifactNotFound):
        pass

    assert problem_of(OlderArtifact("chart"))[0] == 404


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), b"bytes", {1, 2}])
def test_facts_that_json_cannot_hold_are_left_out(value: object) -> None:
    _, problem = problem_of(errors.InvalidLimit("timeout", value, expected="a duration"))

    assert "value" not in problem
    assert problem["limit"] == "timeout"


def test_big_facts_are_cut_and_broken_text_is_sent() -> None:
    response = problem_response(errors.UnknownType("x\ud800" * 1_000_000, [f"t{n}" for n in range(1000)]))

    assert len(response.body) < 20_000
    assert len(json.loads(bytes(response.body))["known"]) == 50


def test_conflicts_are_told_whole_and_those_without_room_are_counted() -> None:
    told = [{"where": f"$.a{n}", "base": "b" * 3000, "ours": {"o": [n]}, "theirs": "t"} for n in range(70)]
    large = {"where": "$.large", "base": "", "ours": "x" * MOST_CONFLICT_BYTES, "theirs": "y"}
    _, problem = problem_of(errors.VersionConflict("art_1", base=1, head=2, conflicts=[*told[:3], large, *told[3:]]))

    assert problem["conflicts"] == told
    assert (problem["conflictsLeftOut"], problem["leftOutAt"]) == (1, ["$.large"])


def test_an_answer_with_conflicts_is_bounded() -> None:
    many = [{"where": f"$.a{n}", "base": "b" * 1000, "ours": "o", "theirs": "t"} for n in range(5000)]
    response = problem_response(errors.VersionConflict("art_1", base=1, head=2, conflicts=many))
    problem = json.loads(bytes(response.body))

    assert len(response.body) < MOST_CONFLICT_BYTES + 20_000
    assert len(problem["conflicts"]) + problem["conflictsLeftOut"] == 5000


def test_the_nearest_text_is_told_whole() -> None:
    near = {"line": 3, "lines": ["x" * 1900, *("y" for _ in range(60))]}

    assert problem_of(errors.EditMissed(0, found=0, nearest=near))[1]["nearest"] == near


def test_a_fact_never_takes_the_place_of_a_member_of_the_problem() -> None:
    class Typed(errors.ArtifactNotFound):
        def __init__(self) -> None:
            super().__init__("x")
            self.status, self.type, self.title, self.detail = 200, "t", "t", "d"

    _, problem = problem_of(Typed())

    assert (problem["status"], problem["type"]) == (404, "urn:handiwork:problem:artifact_not_found")


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.NotAuthenticated(), {"www-authenticate": "Bearer"}),
        (errors.QueueFull("depth", limit=1, retry_after_seconds=9), {"retry-after": "9"}),
        (errors.ShuttingDown(), {"retry-after": "1"}),
        (refusals.RangeNotSatisfiable(10), {"content-range": "bytes */10", "accept-ranges": "bytes"}),
        (refusals.UnsupportedEncoding("br", accepted=["gzip"]), {"accept-encoding": "gzip"}),
        (refusals.BodyTooLarge(1), {"connection": "close"}),
        (errors.ArtifactNotFound("x"), {}),
    ],
)
def test_some_problems_have_headers_of_their_own(error: HandiworkError, headers: dict[str, str]) -> None:
    assert headers_of(error) == headers


REFUSALS: list[tuple[HandiworkError, int, str]] = [
    (refusals.NoPreview("art_1"), 404, "`art_1`"),
    (refusals.ForeignHost("evil.example"), 421, "`evil.example`"),
    (refusals.ForeignHost(""), 421, "one host"),
    (refusals.ForeignOrigin("null"), 403, "`null`"),
    (refusals.ForeignOrigin(""), 403, "`unknown`"),
    (refusals.NotJson("text/plain", expected="`application/json`"), 415, "`text/plain`"),
    (refusals.UnsupportedEncoding("br", accepted=["gzip", "deflate"]), 415, "`br`"),
    (refusals.BodyTooLarge(1_000_000), 413, "1,000,000"),
    (refusals.BodyStalled(30.0), 408, "30 s"),
    (refusals.TooManyConnections(6000), 503, "All 6,000 connections"),
    (refusals.TooManyConversations(1000), 503, "All 1,000 conversations"),
    (refusals.ConversationNotFound(), 404, "No conversation"),
    (refusals.PagesBusy(20.0), 503, "within 20 s"),
    (refusals.ReadsBusy(4, seconds=8.0), 503, "4 at a time"),
    (refusals.MalformedRequest("body", expected="JSON"), 400, "JSON"),
    (refusals.RangeNotSatisfiable(10), 416, "10 bytes"),
    (refusals.PreconditionFailed("If-Match"), 412, "`If-Match`"),
]


@pytest.mark.parametrize(("error", "status", "words"), REFUSALS)
def test_a_refusal_names_what_was_wrong_and_keeps_its_facts(error: HandiworkError, status: int, words: str) -> None:
    assert STATUS[type(error)] == status
    assert words in str(error)
    assert vars(error).keys() - {"hint"} == inspect.signature(type(error)).parameters.keys()
    for sentence in filter(None, (str(error), error.hint)):
        assert sentence[0] in string.ascii_uppercase + "`"
        assert sentence.endswith(".")


def test_every_refusal_was_looked_at() -> None:
    assert {type(error) for error, _, _ in REFUSALS} == {
        kind for kind in kinds() if kind.__module__ == refusals.__name__
    }


# With the framework


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seconds: int = 1
    level: Literal["full", "none"] = "full"


class Asked(BaseModel):
    code: str
    limits: list[Limits] = []


def application() -> FastAPI:
    app = FastAPI()
    install(app)

    @app.post("/ask")
    async def ask(  # pyright: ignore[reportUnusedFunction]
        asked: Asked, size: Annotated[int, Query()] = 0, if_match: Annotated[str, Header(max_length=5)] = ""
    ) -> str:
        return asked.code

    @app.get("/fail/{how}")
    async def fail(how: str) -> None:  # pyright: ignore[reportUnusedFunction]
        raised: dict[str, Exception] = {
            "key": errors.NotAuthenticated(),
            "damaged": errors.ContentDamaged(PATH),
            "teapot": HTTPException(418, "short and stout", headers={"x-tea": "1"}),
            "unmodified": HTTPException(304),
            "odd": HTTPException(499),
            "bug": ZeroDivisionError("the words of a secret"),
        }
        raise raised[how]

    @app.websocket("/ws/{when}")
    async def stream(connection: WebSocket, when: str) -> None:  # pyright: ignore[reportUnusedFunction]
        if when == "late":
            await connection.accept()
        raise errors.CursorTooOld(1, oldest=5, last=9)

    @app.websocket("/numbers/{number}")
    async def numbers(connection: WebSocket, number: int) -> None:  # pyright: ignore[reportUnusedFunction]
        await connection.accept()

    return app


def client(app: Any = None) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app or application(), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost")


async def told(method: str, path: str, **request: Any) -> tuple[httpx2.Response, dict[str, Any]]:
    async with client() as http_client:
        answer = await http_client.request(method, path, **request)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "code", "hint"}
    assert problem["status"] == answer.status_code
    return answer, problem


async def test_an_error_of_a_route_is_a_problem() -> None:
    answer, problem = await told("GET", "/fail/key")

    assert (answer.status_code, problem["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_error_about_the_inside_is_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    answer, problem = await told("GET", "/fail/damaged")

    assert (answer.status_code, problem["code"]) == (500, "integrity_error")
    assert PATH not in answer.text
    assert PATH in caplog.text


async def test_an_invalid_request_is_told_so_that_it_can_be_repaired() -> None:
    asked = {"limits": [{"seconds": "soon"}, {"level": "half", "colour": "red"}]}
    _, problem = await told("POST", "/ask?size=big", json=asked, headers={"if-match": "too long"})

    assert (problem["status"], problem["code"]) == (422, "invalid_request")
    assert problem["errors"] == [
        {"where": "query.size", "expected": "a valid integer, unable to parse string as an integer", "got": '"big"'},
        {"where": "header.if-match", "expected": "String should have at most 5 characters", "got": '"too long"'},
        {"where": "body.code", "expected": "a value", "got": "nothing"},
        {
            "where": "body.limits[0].seconds",
            "expected": "a valid integer, unable to parse string as an integer",
            "got": '"soon"',
        },
        {"where": "body.limits[1].level", "expected": "'full' or 'none'", "got": '"half"'},
        {"where": "body.limits[1].colour", "expected": "no field of this name", "got": '"red"'},
    ]
    assert problem["detail"].startswith("`query.size`: expected a valid integer")
    assert problem["detail"].endswith("5 more are wrong.")


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (b'{"code": null}', "null"),
        (b'{"code": true}', "true"),
        (b'{"code": 1.5}', "1.5"),
        (b'{"code": 12345678901234567890123}', "a number of many digits"),
        (b'{"code": [1, 2]}', "a list of 2"),
        (b'{"code": {"a": 1}}', "an object of 1 fields"),
        (b"[1]", "a list of 1"),
        (b'{"code": ', "Expecting value at character 9"),
    ],
)
async def test_what_was_got_is_told_by_its_kind(body: bytes, got: str) -> None:
    _, problem = await told("POST", "/ask", content=body, headers={"content-type": "application/json"})

    assert problem["errors"][0]["got"] == got


async def test_nothing_big_that_was_sent_comes_back() -> None:
    many = [{"seconds": "x" * 10_000, "y" * 10_000: 1} for _ in range(100)]

    answer, problem = await told("POST", "/ask", json={"code": ["z" * 100_000], "limits": many})

    assert len(answer.content) < 20_000
    assert len(problem["errors"]) == MOST_FAULTS
    assert problem["detail"].endswith("200 more are wrong.")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/ask", 405, "method_not_allowed"),
        ("GET", "/fail/teapot", 418, "http_418"),
        ("GET", "/fail/odd", 499, "http_499"),
    ],
)
async def test_what_the_framework_refuses_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    answer, problem = await told(method, path)

    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers.get("allow") == ("POST" if status == 405 else None)
    assert answer.headers.get("x-tea") == ("1" if status == 418 else None)


async def test_a_status_without_a_body_has_none() -> None:
    async with client() as http_client:
        answer = await http_client.get("/fail/unmodified")

    assert (answer.status_code, answer.content) == (304, b"")


async def test_what_nobody_foresaw_is_a_problem_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with client(Backstop(application())) as http_client:
        answer = await http_client.get("/fail/bug")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "ZeroDivisionError" not in answer.text
    assert caplog.text.count("unforeseen ZeroDivisionError") == 1
    # The words of an exception may quote what a user stores.
    assert "secret" not in answer.text + caplog.text


async def test_the_backstop_answers_and_leaves_nothing_for_the_web_server(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("the words of a secret")

    answer = await exchange(Backstop(broken), http())

    assert (answer.status, answer.problem["code"]) == (500, "internal")
    assert "KeyError" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


async def test_an_answer_that_had_begun_is_cut_off_without_the_words() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("the words of a secret")

    with pytest.raises(RuntimeError, match="cut off") as raised:
        await exchange(Backstop(broken), http())

    assert raised.value.__suppress_context__


async def test_content_that_proves_damaged_midway_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = application()

    @app.get("/content")
    async def content() -> Response:  # pyright: ignore[reportUnusedFunction]
        async def source() -> AsyncGenerator[bytes, None]:
            yield b"a" * SMALL_BYTES
            yield b"b"
            yield b"c"
            raise errors.ContentDamaged(PATH)

        return ContentResponse(source(), size=SMALL_BYTES + 2, headers={})

    with pytest.raises(RuntimeError, match="cut off"):
        await exchange(Backstop(app), http(path="/content"))

    assert [record.getMessage() for record in caplog.records] == [
        f"integrity_error: {str(errors.ContentDamaged(PATH))!r}"
    ]


async def test_the_backstop_leaves_what_goes_well_alone() -> None:
    assert (await exchange(Backstop(echo), http("POST"), b"x")).body == b"x"


@pytest.mark.parametrize(("path", "code"), [("/ws/early", 4410), ("/ws/late", 4410), ("/numbers/x", 4422)])
async def test_a_websocket_is_closed_with_the_status_of_the_error(path: str, code: int) -> None:
    assert (await exchange(application(), websocket(path, knows_denial=False))).status == code


@pytest.mark.parametrize(("path", "status"), [("/ws/early", 410), ("/numbers/x", 422)])
async def test_a_handshake_that_fails_is_answered_with_the_problem(path: str, status: int) -> None:
    answer = await exchange(application(), websocket(path))

    assert (answer.status, answer.problem["status"]) == (status, status)


def test_without_docstrings_the_code_is_the_title() -> None:
    class Undocumented(HandiworkError):
        code = "odd_thing"

    assert problem_of(Undocumented("x"))[1]["title"] == "Odd thing"
