"""Attacks on the API over the network: by pages of other origins, by hostile bodies and heads, and by guessing.

The server is a process of its own that is open to its local user, which is where a page or a guess would get furthest.
None may have an effect, and none may be answered with a fault of the server. Each has its control.
"""

import asyncio
import contextlib
import gzip
import json
import re
import secrets
import socket
import statistics
import string
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from doors import API, CONTENT, PUBLIC, Listening, listening_server  # pyright: ignore[reportMissingImports]  # is in `tests/integration`
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from handiwork import wiring
from handiwork.server.desk import Origins
from handiwork.settings import Settings

SESSION = "attacked"
LIST = f"{API}/sessions/{SESSION}/artifacts"
RUN = f"{API}/sessions/{SESSION}/executions"
JSON = {"content-type": "application/json"}
GOOD = {"type": "file", "name": "good.txt", "content": "good"}
BASE62 = string.digits + string.ascii_letters
NEAR_MS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The server under attack, with an artifact of its own user and those of somebody else."""

    server: Listening
    client: httpx2.Client
    own: str
    foreign: tuple[str, ...]

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.server.url)
        return parts.hostname or "", parts.port or 0

    @property
    def host(self) -> str:
        return urlsplit(self.server.url).netloc

    def state(self) -> object:
        """All that an attack could have changed of what the local user has."""
        sessions = [each["session"] for each in self.client.get(f"{API}/sessions").json()["items"]]
        content = self.client.get(f"{API}/artifacts/{self.own}/content")
        return sessions, self.client.get(LIST).json(), content.status_code, content.content

    def said(self, request: bytes, *, seconds: float = 5.0) -> bytes:
        """Send these very bytes and return what comes back until the server is done."""
        with socket.create_connection(self.place, timeout=seconds) as end:
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                end.sendall(request)
                while piece := end.recv(65536):
                    answer += piece
            return answer


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Generator[Target]:
    data = tmp_path_factory.mktemp("attacked") / "data"
    data.mkdir()
    foreign = asyncio.run(_of_somebody_else(data))
    with listening_server(data) as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        own = client.post(LIST, json=GOOD).json()["id"]
        yield Target(server=server, client=client, own=own, foreign=foreign)
        # Whatever was sent in this module: the server still stands, and nothing happened that it did not foresee.
        assert client.get("/readyz").json()["ok"]
        assert "unforeseen" not in (data / "server.log").read_text(encoding="utf-8")


@pytest.fixture
def unharmed(target: Target) -> Generator[Target]:
    """The target, of which nothing has changed when the test ends."""
    before = target.state()
    yield target
    assert target.state() == before


async def _of_somebody_else(data: Path) -> tuple[str, ...]:
    origins = Origins(public=PUBLIC, content=CONTENT)
    async with wiring.open_desk(data, settings=Settings(), origins=origins, is_open=True) as desk:
        inside = desk.engine.session(SESSION, user="ada")
        made = [await inside.create("file", content="foreign", name="foreign.txt") for _ in range(50)]
        return tuple(artifact.id for artifact in made)


# Pages of other origins


@pytest.mark.parametrize(
    "told",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost.evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_a_foreign_page_changes_nothing(told: dict[str, str], unharmed: Target) -> None:
    client, artifact = unharmed.client, f"{API}/artifacts/{unharmed.own}"
    text = {"content-type": "text/plain"}
    attacks = [
        client.post(LIST, files={"file": ("evil.txt", b"evil")}, headers=told),
        client.post(LIST, data={"type": "file", "content": "evil"}, headers=told),
        client.post(LIST, content=json.dumps(GOOD), headers=told | text),
        client.post(RUN, content='{"code": "1"}', headers=told | text),
        client.post(RUN, content='{"code": "1"}', headers=told | JSON),
        client.post(RUN, content='{"code": "1"}', headers=told),
        client.post(LIST, content=b"mine", headers={**told, "content-type": "text/plain"}),
        client.post(f"{artifact}/versions", content=b"mine", headers={**told, "content-type": "text/plain"}),
        client.put(f"{artifact}/hold", json={}, headers=told),
        client.post(f"{artifact}/links", json={}, headers=told),
        client.post(f"{API}/tokens", json={}, headers=told),
        client.delete(artifact, headers=told),
        client.delete(f"{API}/sessions/{SESSION}", headers=told),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in attacks} == {(403, "foreign_origin")}


def test_a_body_that_a_page_may_send_unasked_is_no_json(unharmed: Target) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        headers = {"content-type": media_type}
        for path in (RUN, f"{API}/tokens", f"{API}/artifacts/{unharmed.own}/links"):
            answer = unharmed.client.post(path, content='{"code": "1"}', headers=headers)
            assert answer.status_code == 415, (media_type, path)


def test_no_page_of_another_origin_reads_an_answer(unharmed: Target) -> None:
    for origin in ("https://evil.example", "null", unharmed.server.content_url):
        for method in ("GET", "OPTIONS"):
            asked = {"origin": origin, "access-control-request-method": "GET", "sec-fetch-site": "cross-site"}
            answer = unharmed.client.request(method, LIST, headers=asked)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_of_the_server_itself_may_change_things(target: Target) -> None:
    own = {"origin": target.server.url, "sec-fetch-site": "same-origin"}
    made = target.client.post(LIST, files={"file": ("mine.txt", b"mine")}, headers=own)
    assert made.status_code == 201
    gone = target.client.delete(f"{API}/artifacts/{made.json()['items'][0]['id']}", headers=own)
    assert gone.status_code == 204


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_a_foreign_page_opens_no_websocket(origin: str, unharmed: Target) -> None:
    url = f"{unharmed.server.url.replace('http', 'ws', 1)}{API}/sessions/{SESSION}/ws"
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers={"origin": origin}):
        pass
    assert refused.value.response.status_code == 403
    with connect(url, additional_headers={"origin": unharmed.server.url}) as control:
        assert json.loads(control.recv(timeout=5))["seq"] == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "[::2]", "a, b"]
)
def test_a_name_that_points_here_does_not_open_the_server(host: str, unharmed: Target) -> None:
    _, port = unharmed.place
    for name in (host, f"{host}:{port}"):
        answer = unharmed.said(f"GET {LIST} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 ")), answer
        assert b"good.txt" not in answer
    control = unharmed.said(f"GET {LIST} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
    assert control.startswith(b"HTTP/1.1 200 ")


def test_headers_that_name_another_method_are_ignored(unharmed: Target) -> None:
    artifact = f"{API}/artifacts/{unharmed.own}"
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        got = unharmed.client.get(artifact, headers={name: "DELETE"}, params={"_method": "DELETE"})
        assert got.status_code == 200
        posted = unharmed.client.post(artifact, headers={name: "DELETE"}, params={"_method": "DELETE"})
        assert (posted.status_code, posted.headers["allow"]) == (405, "DELETE, GET")


# Heads


def test_nothing_that_is_told_back_begins_a_header(target: Target) -> None:
    session = f"split{secrets.token_hex(4)}"
    for end in ("\r\n", "\n", "\r", "\u2028", "\x85", "\u560a\u560d", "\\r\\n", "%0d%0a"):
        name = f"a{end}x-evil: 1{end}{end}<html>.txt"
        body = GOOD | {"name": name, "title": name}
        made = target.client.post(
            f"{API}/sessions/{session}/artifacts", json=body, headers={"x-request-id": "a\tx-evil: 1"}
        )
        assert made.status_code in {201, 422}, made.text
        answers = [made]
        if made.status_code == 201:
            link = target.client.post(f"{API}/artifacts/{made.json()['id']}/links", json={}).json()["url"]
            answers += [target.client.get(made.json()["links"]["content"]), httpx2.get(link)]
            assert "a" in answers[-1].headers["content-disposition"]
        for path in (f"{API}/artifacts/{quote(name)}", f"{API}/sessions/{quote(name)}/artifacts", f"/{quote(name)}"):
            answers.append(target.client.get(path, headers={"origin": quote(name), "range": quote(name)}))
        for answer in answers:
            assert "x-evil" not in answer.headers, end
            assert answer.status_code < 500


def test_a_long_head_is_cut_off_and_a_fair_one_is_not(unharmed: Target) -> None:
    def asked(size: int) -> bytes:
        lines = f"GET {LIST} HTTP/1.1\r\nHost: {unharmed.host}\r\nConnection: close\r\nX-Long: "
        return unharmed.said(lines.encode() + b"a" * size + b"\r\n\r\n")

    assert asked(10_000).startswith(b"HTTP/1.1 200 ")
    assert not asked(1_000_000).startswith(b"HTTP/1.1 2")
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(100_000))
    told = unharmed.said(f"GET {LIST} HTTP/1.1\r\nHost: {unharmed.host}\r\n".encode() + many + b"\r\n")
    assert not told.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))


SMUGGLED = f"DELETE {API}/sessions/{SESSION} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding:\x0bchunked",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: +5",
        "Content-Length: 5, 0",
        "Content-Length: 0x5",
        "Content-Length: -1",
        "Content-Length: 5\r\n Transfer-Encoding: chunked",
    ],
    ids=repr,
)
def test_a_request_whose_length_is_in_doubt_hides_no_other(framing: str, unharmed: Target) -> None:
    head = f"POST {RUN} HTTP/1.1\r\nHost: {unharmed.host}\r\nContent-Type: application/json\r\n"
    hidden = SMUGGLED.format(host=unharmed.host)
    for body in ("0\r\n\r\n", "", "1\r\nx\r\n0\r\n\r\n"):
        answer = unharmed.said(f"{head}{framing}\r\n\r\n{body}{hidden}".encode("latin-1"), seconds=2)
        # The first request may be refused; a second one was never there.
        assert answer.count(b"HTTP/1.1 ") <= 1, answer
        assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), answer


def test_two_requests_on_one_connection_are_two(target: Target) -> None:
    head = f"POST {RUN} HTTP/1.1\r\nHost: {target.host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    second = f"GET /healthz HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n\r\n"
    answer = target.said(f"{head}{{}}{second}".encode())
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"422", b"200"]


# Bodies


def _nested(opening: bytes, closing: bytes, depth: int) -> bytes:
    return b'{"type": "file", "content": ' + opening * depth + b"1" + closing * depth + b"}"


def _hostile() -> Iterator[tuple[str, bytes]]:
    yield "lists, deep", _nested(b"[", b"]", 100_000)
    yield "objects, deep", _nested(b'{"a":', b"}", 100_000)
    yield "lists without end", b"[" * 100_000
    yield "a million keys", b"{" + b",".join(b'"k%d":1' % number for number in range(1_000_000)) + b"}"
    yield "a million inputs", b'{"code": "1", "inputs": [' + b",".join([b"1"] * 1_000_000) + b"]}"
    yield "no number", b'{"type": "file", "content": NaN, "code": Infinity, "expiresIn": -Infinity}'
    yield "an int without end", b'{"expiresIn": ' + b"9" * 100_000 + b', "code": 1}'
    yield "a large exponent", b'{"expiresIn": 1e999999, "retention": 1e308, "type": "file", "content": ""}'
    yield "half a character", b'{"type": "file", "content": "\\ud800", "code": "\\ud800", "user": "\\udfff"}'
    yield "half a character in a key", b'{"\\ud800": 1}'
    yield "no UTF-8", b'{"type": "\xff\xfe", "code": "\xc0\x80"}'
    yield "nothing", b" "
    yield "NUL", b"\0" * 1000
    yield "a list", b"[]"
    yield "two", b"{}{}"


@pytest.mark.parametrize("path", [LIST, RUN, f"{API}/tokens", "links", "hold"])
def test_a_hostile_body_is_refused(path: str, unharmed: Target) -> None:
    full = path if path.startswith("/") else f"{API}/artifacts/{unharmed.own}/{path}"
    method = "PUT" if path == "hold" else "POST"
    for what, body in _hostile():
        began = time.monotonic()
        answer = unharmed.client.request(method, full, content=body, headers=JSON)
        assert answer.status_code in {400, 413, 422}, (what, answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 20_000, what
        assert time.monotonic() - began < 5, what


def test_a_key_that_comes_twice_is_refused_and_once_it_is_taken(unharmed: Target) -> None:
    # Who checks and who acts might take another one of the two.
    path = f"{API}/artifacts/{unharmed.own}/hold"
    twice = unharmed.client.put(path, content=b'{"held": true, "held": false}', headers=JSON)
    assert (twice.status_code, twice.json()["code"]) == (422, "invalid_request")
    once = unharmed.client.put(path, content=b'{"held": false}', headers=JSON)
    assert (once.status_code, once.json()["held"]) == (200, False)


def test_a_bomb_costs_no_more_than_the_limit(unharmed: Target) -> None:
    bomb = gzip.compress(b'{"code": "' + b" " * 200_000_000 + b'"}', compresslevel=9)
    for encoding in ("gzip", "deflate", "gzip, gzip", "br", "zstd"):
        for path in (RUN, LIST, f"{API}/tokens"):
            answer = unharmed.client.post(path, content=bomb, headers=JSON | {"content-encoding": encoding})
            assert answer.status_code in {400, 413, 415}, (encoding, path)


def test_a_small_compressed_body_is_taken(target: Target) -> None:
    body = gzip.compress(b'{"held": false}')
    answer = target.client.put(
        f"{API}/artifacts/{target.own}/hold", content=body, headers=JSON | {"content-encoding": "gzip"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"zz\r\n{}\r\n",
        b"-1\r\n{}\r\n",
        b"ffffffffffffffffff\r\n{}",
        b"2\r\n{}garbage",
        b"\r\n\r\n\r\n",
        b"2;" + b"x" * 200_000,
    ],
    ids=lambda garbage: repr(garbage[:20]),
)
def test_chunks_that_are_none_are_refused(garbage: bytes, unharmed: Target) -> None:
    head = f"PUT {API}/artifacts/{unharmed.own}/hold HTTP/1.1\r\nHost: {unharmed.host}\r\n"
    framing = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = unharmed.said((head + framing).encode() + garbage, seconds=2)
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), answer
    good = b'2\r\n{"\r\nd\r\nheld": false}\r\n0\r\n\r\n'
    assert unharmed.said((head + framing).encode() + good).startswith(b"HTTP/1.1 200 ")


def test_slow_senders_keep_nobody_waiting(unharmed: Target) -> None:
    head = f"POST {RUN} HTTP/1.1\r\nHost: {unharmed.host}\r\nContent-Type: application/json\r\n"
    slow = f"{head}Content-Length: 99\r\n\r\n{{"
    with contextlib.ExitStack() as stack:
        for number in range(200):
            end = stack.enter_context(socket.create_connection(unharmed.place, timeout=5))
            # Half of them are slow with the head already.
            end.sendall(slow.encode()[: None if number % 2 else 40])
        began = time.monotonic()
        assert unharmed.client.get(LIST).status_code == 200
        assert time.monotonic() - began < 2


# Names and guesses


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2fetc%2fpasswd", "%2e%2e%2fapp.py", "..\\..\\app.py", "%2e%2e", "%00", "....//", "%c0%ae%c0%ae%c0%af"],
)
def test_no_name_leads_out_of_its_folder(name: str, unharmed: Target) -> None:
    paths = (
        f"/gallery/{name}",
        f"{API}/artifacts/{name}",
        f"{API}/artifacts/{name}/content",
        f"{API}/executions/{name}",
    )
    for path in (*paths, f"/{name}", f"/gallery/../{name}"):
        answer = unharmed.said(f"GET {path} HTTP/1.1\r\nHost: {unharmed.host}\r\nConnection: close\r\n\r\n".encode())
        refused = answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 422 ", b"HTTP/1.1 400 "))
        # A slash too many leads to the same name without it, on this server.
        assert refused or f"\r\nlocation: {unharmed.server.url}/".encode() in answer, (path, answer[:200])
        assert b"root:" not in answer
    assert unharmed.client.get("/gallery/gallery.js").status_code == 200


@pytest.mark.parametrize("name", ["%00", "a%00b", "a%0ab", "%e2%80%ae", "a" * 201, ""])
def test_a_session_that_cannot_be_called_so_is_refused(name: str, unharmed: Target) -> None:
    head = f"POST {API}/sessions/{name}/artifacts HTTP/1.1\r\nHost: {unharmed.host}\r\nConnection: close\r\n"
    body = json.dumps(GOOD)
    answer = unharmed.said(
        f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode("latin-1")
    )
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ", b"HTTP/1.1 422 ")), answer


@pytest.mark.parametrize(
    "name",
    ["..", ".", "a%2fb", "%2fetc", "..%2f..%2fa", "a" * 200, "~", "CON", "%ff", "%25%32%66", "..%5c..", "é", "-rf"],
)
def test_an_odd_session_stays_within_the_store(name: str, target: Target) -> None:
    before = {path for path in target.server.data.parent.rglob("*") if target.server.data not in path.parents}
    path = f"{API}/sessions/{quote(name, safe='%')}/artifacts"
    head = f"POST {path} HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n"
    body = json.dumps(GOOD)
    answer = target.said(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    assert answer.startswith(b"HTTP/1.1 201 "), answer
    made = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert target.client.get(f"{API}/artifacts/{made['id']}/content").content == b"good"
    (kept,) = [path for path in target.server.data.rglob("good.txt") if made["id"] in path.as_posix()]
    assert (target.server.data / "artifacts").resolve() in kept.resolve().parents
    assert {path for path in target.server.data.parent.rglob("*") if target.server.data not in path.parents} == before


def test_no_changed_token_is_taken(unharmed: Target) -> None:
    token = unharmed.client.post(f"{API}/tokens", json={"session": SESSION}).json()["token"]

    def status(shown: str) -> int:
        return unharmed.client.get(LIST, headers={"authorization": f"Bearer {shown}"}).status_code

    changed = [
        token[:place] + chr(code) + token[place + 1 :]
        for place, character in enumerate(token)
        for bit in range(7)
        if 32 < (code := ord(character) ^ (1 << bit)) < 127
    ]
    assert len(changed) > 1000
    assert {status(shown) for shown in changed} == {401}
    for shown in (token[:-1], token[1:], token + "=", token + "A", token * 2, token.upper(), token.partition(".")[0]):
        assert status(shown) == 401, shown
    assert status(token) == 200


def test_a_guess_is_told_nothing_by_words_or_time(unharmed: Target) -> None:
    def asked(artifact: str) -> tuple[float, int, str]:
        began = time.perf_counter()
        answer = unharmed.client.get(f"{API}/artifacts/{artifact}")
        lapse = (time.perf_counter() - began) * 1000
        return lapse, answer.status_code, answer.text.replace(artifact, "<id>")

    guesses = ["art_" + "".join(secrets.choice(BASE62) for _ in range(22)) for _ in range(1000)]
    foreign: list[float] = []
    missing: list[float] = []
    answers: set[tuple[int, str]] = set()
    for number, guess in enumerate(guesses):
        # In turn, so that what else this machine does weighs on both.
        for artifact, lapses in ((guess, missing), (unharmed.foreign[number % len(unharmed.foreign)], foreign)):
            lapse, status, text = asked(artifact)
            lapses.append(lapse)
            answers.add((status, text))
    assert len(answers) == 1, answers
    assert next(iter(answers))[0] == 404
    assert abs(statistics.median(foreign) - statistics.median(missing)) < NEAR_MS
    assert asked(unharmed.own)[1] == 200
