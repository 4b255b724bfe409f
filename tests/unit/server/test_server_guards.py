from collections.abc import Sequence

import pytest
from exchange import Answer, echo, exchange, http, websocket
from starlette.types import ASGIApp, Receive, Scope, Send

from handiwork.errors import InvalidName
from handiwork.server.guards import (
    Cors,
    HostAllowList,
    JsonOnly,
    OriginCheck,
    RequestId,
    SecurityHeaders,
    origin_of,
)

OWN = ("host", "localhost:8765")
APP = "https://app.example"
JSON = ("content-type", "application/json")
Told = tuple[str, str]


async def get(app: ASGIApp, *headers: Told) -> Answer:
    return await exchange(app, http(headers=headers))


async def post(app: ASGIApp, *headers: Told, body: bytes = b"", path: str = "/", method: str = "POST") -> Answer:
    length = [("content-length", str(len(body)))]
    return await exchange(app, http(method, path, headers=[*length, *headers]), body)


async def upgrade(app: ASGIApp, *headers: Told) -> Answer:
    return await exchange(app, websocket(headers=headers))


# Hosts


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8765",
        "LocalHost:1",
        "127.0.0.1",
        "127.0.0.1:65535",
        "[::1]",
        "[::1]:8765",
        "box.example:1",
        "app.example:8443",
        "short.example",
        "short.example:80",
    ],
)
async def test_a_request_to_one_of_our_names_goes_on(host: str) -> None:
    app = HostAllowList(echo, names=["box.example", "app.example:8443", "short.example:80"])

    assert (await get(app, ("host", host))).status == 200
    assert (await upgrade(app, ("host", host))).status == 101


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("",),
        ("evil.example",),
        ("localhost.evil.example",),
        ("evil.example:8765",),
        ("app.example",),
        ("app.example:443",),
        ("localhost.",),
        ("localhost:",),
        ("localhost:80x",),
        ("localhost:8765:1",),
        ("localhost, evil.example",),
        ("evil.example@localhost",),
        ("localhost/evil",),
        ("localhost evil",),
        ("127.0.0.2",),
        ("127.1",),
        ("2130706433",),
        ("0.0.0.0",),
        ("::1",),
        ("[::1",),
        ("[::ffff:127.0.0.1]",),
        ("localhost", "localhost"),
        ("localhost", "evil.example"),
    ],
)
async def test_a_request_to_any_other_name_is_misdirected(hosts: Sequence[str]) -> None:
    app = HostAllowList(echo, names=["app.example:8443"])
    headers = [("host", host) for host in hosts]

    for answer in (await get(app, *headers), await upgrade(app, *headers)):
        assert (answer.status, answer.problem["code"]) == (421, "foreign_host")


async def test_a_handshake_is_refused_also_where_the_web_server_knows_no_denial() -> None:
    scope = websocket(headers=[("host", "evil.example")], knows_denial=False)

    assert (await exchange(HostAllowList(echo), scope)).status == 4421


@pytest.mark.parametrize("name", ["", "*", "https://app.example", "a b", "::1", "app.example:x"])
def test_a_configured_name_that_is_none_is_an_error(name: str) -> None:
    with pytest.raises(InvalidName):
        HostAllowList(echo, names=[name])


# Origins

OWN_ORIGIN = ("origin", "http://localhost:8765")


def checked() -> ASGIApp:
    return HostAllowList(OriginCheck(echo, origins=[APP, "vscode-webview://abc"]))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (OWN_ORIGIN,),
        (("origin", APP),),
        (("origin", APP + ":443"),),
        (("origin", "vscode-webview://abc"),),
        (("origin", APP), ("sec-fetch-site", "cross-site")),
        (OWN_ORIGIN, ("sec-fetch-site", "same-origin")),
        (("sec-fetch-site", "same-origin"),),
        (("sec-fetch-site", "none"),),
    ],
)
async def test_our_own_and_allowed_pages_and_what_is_no_page_may_change_things(headers: Sequence[Told]) -> None:
    assert (await post(checked(), OWN, *headers)).status == 200
    assert (await upgrade(checked(), OWN, *headers)).status == 101


@pytest.mark.parametrize(
    "headers",
    [
        (("origin", "null"),),
        (("origin", ""),),
        (("origin", "https://evil.example"),),
        (("origin", "http://app.example"),),
        (("origin", APP + ":8443"),),
        (("origin", APP + ".evil.example"),),
        (("origin", "https://localhost:8765"),),
        (("origin", "http://localhost"),),
        (("origin", "http://localhost:3000"),),
        (("origin", "http://127.0.0.1:8765"),),
        (("origin", "file://"),),
        (("origin", "http://localhost:8765/"),),
        (("origin", f"{APP} https://evil.example"),),
        (("origin", APP), ("origin", "https://evil.example")),
        (OWN_ORIGIN, OWN_ORIGIN),
        (("sec-fetch-site", "cross-site"),),
        (("sec-fetch-site", "same-site"),),
        (("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")),
        (("sec-fetch-site", "unheard-of"),),
    ],
)
async def test_another_page_may_neither_change_things_nor_open_a_websocket(headers: Sequence[Told]) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND"):
        answer = await post(checked(), OWN, *headers, method=method)
        assert (answer.status, answer.problem["code"]) == (403, "foreign_origin")
    assert (await upgrade(checked(), OWN, *headers)).status == 403
    # Reading is left to CORS, which lets no other page see the answer.
    assert (await get(checked(), OWN, *headers)).status == 200


async def test_our_own_origin_over_tls_is_https() -> None:
    app = HostAllowList(OriginCheck(echo), names=["box.example"])
    headers = [("host", "box.example"), ("origin", "https://box.example")]

    assert (await exchange(app, http("POST", headers=headers, scheme="https"))).status == 200
    assert (await exchange(app, websocket(headers=headers, scheme="wss"))).status == 101
    assert (await exchange(app, http("POST", headers=headers))).status == 403


async def test_a_form_of_another_page_does_not_reach_an_upload() -> None:
    app = HostAllowList(OriginCheck(JsonOnly(echo, takes_upload=lambda _: True)))
    form = ("content-type", "multipart/form-data; boundary=b")

    assert (await post(app, OWN, form, ("origin", "https://evil.example"), body=b"x")).status == 403
    assert (await post(app, OWN, form, OWN_ORIGIN, body=b"x")).status == 200


@pytest.mark.parametrize("name", ["*", "null", "app.example", "https://app.example/", "https://a b", ""])
def test_a_configured_origin_that_is_none_is_an_error(name: str) -> None:
    for guard in (OriginCheck, Cors):
        with pytest.raises(InvalidName):
            guard(echo, origins=[name])


@pytest.mark.parametrize(
    ("spelled", "origin"),
    [
        ("HTTPS://App.Example:443", "https://app.example"),
        ("http://[::1]:8765", "http://[::1]:8765"),
        ("http://a:80", "http://a"),
        ("https://a:80", "https://a:80"),
        ("null", None),
    ],
)
def test_origins_are_compared_as_browsers_spell_them(spelled: str, origin: str | None) -> None:
    assert origin_of(spelled) == origin


# Bodies


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json", "application/json ;x=y"],
)
async def test_json_is_taken(media_type: str) -> None:
    for method in ("POST", "PUT", "PATCH"):
        answer = await post(JsonOnly(echo), ("content-type", media_type), body=b"{}", method=method)
        assert answer.status == 200


@pytest.mark.parametrize(
    "types",
    [
        (),
        ("",),
        ("text/plain",),
        ("application/x-www-form-urlencoded",),
        ("multipart/form-data; boundary=b",),
        ("text/plain, application/json",),
        ("text/plain; application/json",),
        ("application/jsonp",),
        ("application/+json",),
        ("application/json", "text/plain"),
    ],
)
async def test_any_other_body_is_not(types: Sequence[str]) -> None:
    headers = [("content-type", media_type) for media_type in types]

    answer = await post(JsonOnly(echo), *headers, body=b"{}")
    chunked = await exchange(JsonOnly(echo), http("POST", headers=[("transfer-encoding", "chunked"), *headers]), b"{}")

    assert (answer.status, answer.problem["code"]) == (415, "unsupported_media_type")
    assert answer.headers["connection"] == "close"
    assert answer.read == 0
    assert chunked.status == 415


async def test_without_a_body_there_is_nothing_to_declare() -> None:
    assert (await post(JsonOnly(echo))).status == 200
    assert (await get(JsonOnly(echo))).status == 200


async def test_forms_are_taken_only_where_files_are_uploaded() -> None:
    app = JsonOnly(echo, takes_upload=lambda path: path == "/artifacts")
    form = ("content-type", "multipart/form-data; boundary=b")

    assert (await post(app, form, body=b"x", path="/artifacts")).status == 200
    assert (await post(app, JSON, body=b"{}", path="/artifacts")).status == 200
    assert (await post(app, form, body=b"x", path="/tokens")).status == 415
    assert (await post(app, ("content-type", "text/plain"), body=b"x", path="/artifacts")).status == 415


# Cross-origin reading


def preflight(*headers: Told) -> Scope:
    return http("OPTIONS", headers=[("access-control-request-method", "POST"), *headers])


async def test_a_page_of_a_configured_origin_may_read_the_answer() -> None:
    answer = await get(Cors(echo, origins=[APP]), ("origin", APP))

    assert answer.headers["access-control-allow-origin"] == APP
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://app.example", APP + ".evil.example", "*"])
async def test_no_other_page_may(origin: str) -> None:
    answer = await get(Cors(echo, origins=[APP]), ("origin", origin))
    asked = await exchange(Cors(echo, origins=[APP]), preflight(("origin", origin)))

    assert [name for name in answer.headers if name.startswith("access-control")] == []
    # An answer from a cache must not serve the next origin.
    assert answer.headers["vary"] == "Origin"
    assert asked.status == 403
    assert [name for name in asked.headers if name.startswith("access-control")] == []


async def test_a_browser_that_asks_first_is_told_what_it_may_send() -> None:
    answer = await exchange(Cors(echo, origins=[APP]), preflight(("origin", APP)))

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == APP
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-private-network" not in answer.headers


async def test_without_configured_origins_nothing_is_added() -> None:
    answer = await get(Cors(echo), ("origin", APP))

    assert answer.headers == {"content-type": "text/plain"}


# What every answer carries


async def test_a_request_gets_an_id_of_its_own() -> None:
    states: list[str] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        states.append(scope["state"]["request_id"])
        await echo(scope, receive, send)

    first, second = await get(RequestId(look)), await upgrade(RequestId(look))

    assert [first.headers["x-request-id"], second.headers["x-request-id"]] == states
    assert len(set(states)) == 2
    assert all(request_id.startswith("req_") for request_id in states)


@pytest.mark.parametrize("told", ["abc-123", "x" * 128, "a b;c=d"])
async def test_a_good_id_of_the_caller_is_kept(told: str) -> None:
    assert (await get(RequestId(echo), ("x-request-id", told))).headers["x-request-id"] == told


@pytest.mark.parametrize("told", [("",), ("x" * 129,), ("a\x1bb",), ("\xe9",), ("a\r\nb",), ("a", "b")])
async def test_another_id_is_replaced(told: Sequence[str]) -> None:
    app = RequestId(echo, new_id=lambda: "made")

    assert (await get(app, *[("x-request-id", one) for one in told])).headers["x-request-id"] == "made"


async def test_an_answer_is_neither_sniffed_nor_kept_nor_shared() -> None:
    answer = await get(SecurityHeaders(echo))

    assert answer.headers == {
        "content-type": "text/plain",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }


async def test_what_a_route_has_set_stays() -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Cache-Control", b"private, no-cache"), (b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    answer = await get(SecurityHeaders(page))

    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "cache-control" not in answer.headers
    assert answer.headers["x-frame-options"] == "DENY"


async def test_every_guard_lets_the_start_and_the_end_of_the_server_through() -> None:
    seen: list[str] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    guarded = RequestId(SecurityHeaders(HostAllowList(Cors(OriginCheck(JsonOnly(look)), origins=[APP]))))
    await exchange(guarded, {"type": "lifespan"})

    assert seen == ["lifespan"]
