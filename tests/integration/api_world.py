"""A server with two tenants, two users and two sessions each, and how every operation of its API is called.

Each scope holds a canary: an artifact and a run whose names and words are nowhere else. Nothing is asserted here.
"""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
from doors import API, Door, open_server
from letters import LETTER
from starlette.types import ASGIApp, Message

from handiwork.ids import ExecutionId
from handiwork.model import Acted, Artifact, Execution, Outcome, Principal, Provenance, Scope
from handiwork.server.app import application, guarded
from handiwork.server.content_origin import content_application
from handiwork.server.desk import Desk
from handiwork.versions.content import Bytes
from handiwork.versions.drafts import Draft

SETTLED_SECONDS = 0.1
USERS = {"acme": ("ada", "bob"), "umbr": ("eve", "zed")}
SESSIONS = ("one", "two")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a client may name in one scope; nothing has to be there."""

    tenant: str
    user: str
    session: str
    artifact: str
    handle: str
    execution: str
    title: str
    etag: str = '"0"'
    answer: str = "art_" + "9" * 22
    """What a tool has answered, and below the call in which it did."""
    call: str = "call_gone"
    letter: str = "art_" + "8" * 22
    """What can be sent, and below that it was proposed to send it."""
    action: str = "act_" + "0" * 22

    def masked(self, text: str) -> str:
        """The text with each of these names replaced by what it is the name of, since a client is told what it sent."""
        for what in (
            "artifact",
            "answer",
            "letter",
            "action",
            "call",
            "handle",
            "execution",
            "title",
            "session",
            "user",
            "tenant",
        ):
            text = re.sub(rf"(?<![A-Za-z-]){re.escape(getattr(self, what))}(?![A-Za-z-])", f"<{what}>", text)
        return text


GHOST = Names(
    tenant="gone",
    user="zoe",
    session="non-gone-zoe",
    artifact="art_" + "0" * 22,
    handle="gone_0000",
    execution="exc_" + "0" * 22,
    title="gone gone gone",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One scope with its canary."""

    scope: Scope
    artifact: Artifact
    execution: Execution
    word: str
    answer: Artifact
    proposed: Acted

    @property
    def names(self) -> Names:
        return Names(
            tenant=self.scope.tenant,
            user=self.scope.user,
            session=self.scope.session,
            artifact=self.artifact.id,
            handle=self.artifact.handle,
            execution=self.execution.id,
            title=self.artifact.title,
            etag=f'"{self.artifact.version.sha256}"',
            answer=self.answer.id,
            call=f"call-of-{self.word}",
            letter=self.proposed.artifact.id,
            action=self.proposed.action.id,
        )

    @property
    def canaries(self) -> set[str]:
        """What nobody outside of the scope may ever read, in no answer."""
        names = self.names
        hashes = {held.version.sha256 for held in (self.artifact, self.answer)}
        ids = {names.artifact, names.handle, names.execution, names.answer, names.letter, names.action}
        return {self.word, names.session, *ids, *hashes}


def ghost_of(names: Names) -> Names:
    """Names of the same lengths behind which there is nothing."""
    return replace(GHOST, handle=f"{names.handle[:-4]}0000", call=GHOST.call.ljust(len(names.call), "x"))


def picture(word: str) -> bytes:
    """A PNG of one pixel that has a word in it."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"tEXt", b"Comment\0" + word.encode()),
        (b"IDAT", zlib.compress(b"\0\0")),
        (b"IEND", b""),
    )
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


async def hold(
    desk: Desk, scope: Scope, word: str, *, retention: timedelta | Literal["default"] = "default"
) -> Holding:
    """Put a run, and a picture that it made, into a scope."""
    execution = Execution(
        id=ExecutionId(f"exc_{hashlib.sha256(word.encode()).hexdigest()[:22]}"),
        scope=scope,
        created_at=desk.clock(),
        outcome=Outcome(status="succeeded", stdout=f"{word} was printed"),
    )
    draft = Draft(
        type=desk.engine.types.named("file"),
        name=f"{word}.png",
        content=Bytes(picture(word)),
        title=f"title {word} title",
        retention=retention,
        provenance=Provenance(principal=Principal(kind="user", id=scope.user), execution_id=execution.id),
    )
    (artifact,) = await desk.engine.creation.file(scope, [draft], execution=execution)
    inside = desk.engine.session(scope.session, user=scope.user, tenant=scope.tenant)
    ttl = retention if isinstance(retention, timedelta) else None
    answer = await inside.record(f"call-of-{word}", tool=f"tool {word}", result=f"{word} was answered", ttl=ttl)
    letter = await inside.create("letter", title=f"letter {word}", content={"text": word}, retention=retention)
    proposed = await inside.as_agent().propose(letter.id, "sent")
    return Holding(scope=scope, artifact=artifact, execution=execution, word=word, answer=answer, proposed=proposed)


@dataclass(slots=True, kw_only=True)
class World:
    """The server, and what each scope holds."""

    door: Door
    holdings: dict[tuple[str, str, str], Holding] = field(default_factory=dict[tuple[str, str, str], Holding])
    app: ASGIApp
    content: ASGIApp
    document: Mapping[str, Any]
    _count: int = 0

    @property
    def desk(self) -> Desk:
        return self.door.desk

    def at(self, tenant: str, user: str, session: str) -> Holding:
        return self.holdings[tenant, user, session]

    async def fill(
        self, tenant: str, user: str, session: str, *, retention: timedelta | Literal["default"] = "default"
    ) -> Holding:
        """Put a new canary into a scope; it is the one that the scope holds from now on."""
        self._count += 1
        self.door.clock.move(milliseconds=1)
        scope = Scope(tenant=tenant, user=user, session=f"{session}-{tenant}-{user}")
        held = await hold(self.desk, scope, f"canary{self._count:04}x{tenant}{user}{session}", retention=retention)
        self.holdings[tenant, user, session] = held
        return held

    def permission(self, operation: str) -> str:
        method, _, path = operation.partition(" ")
        return self.document["paths"][path][method.lower()]["x-handiwork-permission"]


@contextlib.asynccontextmanager
async def open_world(data: Path, **settings: Any) -> AsyncGenerator[World]:
    async with open_server(data, types=[LETTER], **settings) as door:
        inner = application(door.desk)
        world = World(
            door=door,
            app=guarded(door.desk),
            content=content_application(door.desk),
            document=inner.openapi(),
        )
        for tenant, users in USERS.items():
            for user in users:
                for session in SESSIONS:
                    await world.fill(tenant, user, session)
        yield world


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, but for who sends it."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back; of a stream, what came until it had nothing more to say, and of a ZIP, what is in it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """All that a client can read, the headers with it."""
        told = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{told}\n\n{self.body.decode('utf-8', 'replace')}"

    @property
    def told(self) -> Any:
        return json.loads(self.body)


async def ask(world: World, call: Call, headers: Mapping[str, str] | None = None) -> Reply:
    """Send a request, as a client without a network does."""
    sent = {**call.headers, **(headers or {})}
    if call.path.endswith("/events"):
        return await _followed(world.app, call, sent)
    if call.method == "WS":
        return await _socketed(world.app, call, sent)
    answer = await world.door.client.request(
        call.method,
        call.path,
        params=dict(call.params),
        headers=sent,
        json=call.body,
    )
    return _reply(answer)


async def ask_content(world: World, url: str, **headers: str) -> Reply:
    """Open a signed link."""
    transport = httpx2.ASGITransport(app=world.content)  # pyright: ignore[reportArgumentType]  # the same, in other words
    async with httpx2.AsyncClient(transport=transport) as client:
        return _reply(await client.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()}))


def _reply(answer: httpx2.Response) -> Reply:
    is_zip = answer.headers.get("content-type") == "application/zip"
    body = _unpacked(answer.content) if is_zip else answer.content
    return Reply(status=answer.status_code, headers=dict(answer.headers), body=body)


def _unpacked(data: bytes) -> bytes:
    """All that can be read in an export; the hash of its page, which is there itself, tells nothing more."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    whole = b"\n".join(name.encode() + b"\n" + content for name, content in files.items())
    return whole.replace(hashlib.sha256(files["index.html"]).hexdigest().encode(), b"")


async def _followed(app: ASGIApp, call: Call, headers: Mapping[str, str]) -> Reply:
    return await _raw(app, _scope("http", call, headers), ({"type": "http.request", "body": b""},), "http.disconnect")


async def _socketed(app: ASGIApp, call: Call, headers: Mapping[str, str]) -> Reply:
    end: Literal["websocket.disconnect"] = "websocket.disconnect"
    return await _raw(app, _scope("websocket", call, headers), ({"type": "websocket.connect"},), end)


async def _raw(app: ASGIApp, scope: Message, messages: tuple[Message, ...], end: str) -> Reply:
    """Talk to the application until it ends, or has said nothing for a while."""
    waiting, said = list(messages), asyncio.Event()
    status, told, body = 0, dict[str, str](), b""

    async def receive() -> Message:
        if waiting:
            return waiting.pop(0)
        while True:
            said.clear()
            try:
                async with asyncio.timeout(SETTLED_SECONDS):
                    await said.wait()
            except TimeoutError:
                return {"type": end, "code": 1000}

    async def send(message: Message) -> None:
        nonlocal status, body
        said.set()
        status = message.get("status", message.get("code", status)) or status
        for name, value in message.get("headers", ()):
            told[name.decode()] = value.decode("latin-1")
        body += message.get("body", b"") or (message.get("text") or message.get("reason") or "").encode()

    async with asyncio.timeout(10):
        await app(scope, receive, send)
    return Reply(status=status or 101, headers=told, body=body)


def _scope(kind: str, call: Call, headers: Mapping[str, str]) -> Message:
    query = str(httpx2.QueryParams(dict(call.params))).encode()
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in {"host": "127.0.0.1", **headers}.items()]
    scope: Message = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "path": call.path,
        "raw_path": call.path.encode(),
        "root_path": "",
        "query_string": query,
        "scheme": "http" if kind == "http" else "ws",
        "headers": raw,
        "extensions": {},
    }
    return scope | ({"method": call.method} if kind == "http" else {"subprotocols": []})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an operation is called on what a client names, and what those get who may.

    `others` are further ways to call it, with which one could try to get at the same thing. `touches` says whether an
    artifact that has expired must be out of its reach: `itself`, `among others`, or `nothing` of one is told there.
    """

    call: Callable[[Names], Call]
    status: int = 200
    others: tuple[Callable[[Names], Call], ...] = ()
    touches: Literal["itself", "among others", "nothing"] = "nothing"

    @property
    def calls(self) -> tuple[Callable[[Names], Call], ...]:
        return (self.call, *self.others)


def _artifact(method: str, rest: str = "", *, body: object = None, status: int = 200, **params: str) -> Rule:
    """The rule of a route on one artifact, which goes by its id, by that in its session, and by its handle in it."""

    def by_id(names: Names) -> Call:
        return Call(method=method, path=f"{API}/artifacts/{names.artifact}{rest}", params=params, body=body)

    def by_id_in_session(names: Names) -> Call:
        call = by_id(names)
        return replace(call, params={**params, "session": names.session})

    def by_handle(names: Names) -> Call:
        path = f"{API}/artifacts/{names.handle}{rest}"
        return Call(method=method, path=path, params={**params, "session": names.session}, body=body)

    return Rule(call=by_id, status=status, others=(by_id_in_session, by_handle), touches="itself")


def _letter(method: str, rest: str, *, body: object = None, status: int = 200) -> Rule:
    """The rule of a route on the artifact with which something can be done."""

    def by_id(names: Names) -> Call:
        return Call(method=method, path=f"{API}/artifacts/{names.letter}{rest}", body=body)

    def by_id_in_session(names: Names) -> Call:
        return replace(by_id(names), params={"session": names.session})

    return Rule(call=by_id, status=status, others=(by_id_in_session,), touches="itself")


def _decision(decision: str) -> Rule:
    def by_id(names: Names) -> Call:
        return Call(method="POST", path=f"{API}/actions/{names.action}/{decision}")

    def by_id_in_session(names: Names) -> Call:
        return replace(by_id(names), params={"session": names.session})

    return Rule(call=by_id, others=(by_id_in_session,), touches="itself")


def _session(
    method: str, rest: str, *, body: object = None, status: int = 200, **params: str
) -> Callable[[Names], Call]:
    return lambda names: Call(
        method=method,
        path=f"{API}/sessions/{names.session}{rest}",
        params={name: value.format(names=names) for name, value in params.items()},
        body=body,
    )


def _run(*inputs: str) -> Callable[[Names], Call]:
    code = "import pathlib; print(*[p.read_bytes() for p in pathlib.Path('inputs').iterdir()])"
    return lambda names: Call(
        method="POST",
        path=f"{API}/sessions/{names.session}/executions",
        body={"code": code, "check": False, "inputs": [getattr(names, each) for each in inputs]},
    )


EXPAND = f"POST {API}/sessions/{{session}}/expand"
NEW_CONTENT = base64.b64encode(picture("new")).decode()

RULES: Mapping[str, Rule] = {
    "GET /healthz": Rule(call=lambda _: Call(method="GET", path="/healthz")),
    "GET /readyz": Rule(call=lambda _: Call(method="GET", path="/readyz")),
    f"GET {API}/artifact-types": Rule(call=lambda _: Call(method="GET", path=f"{API}/artifact-types")),
    f"POST {API}/sessions/{{session}}/artifacts": Rule(
        call=_session("POST", "/artifacts", body={"type": "file", "name": "new.txt", "content": "new"}), status=201
    ),
    f"GET {API}/sessions/{{session}}/artifacts": Rule(
        call=_session("GET", "/artifacts"),
        others=(
            _session("GET", "/artifacts", q="{names.title}"),
            _session("GET", "/artifacts", q="{names.handle}"),
            _session("GET", "/artifacts", type="file", limit="1"),
        ),
        touches="among others",
    ),
    f"GET {API}/sessions/{{session}}/context": Rule(
        call=_session("GET", "/context"), others=(_session("GET", "/context", budget="100000"),), touches="among others"
    ),
    EXPAND: Rule(
        call=lambda names: _session("POST", "/expand", body={"text": f'<artifact id="{names.artifact}"/>'})(names),
        others=(
            lambda names: _session("POST", "/expand", body={"text": f"<artifact id='{names.handle}'/>"})(names),
            lambda names: _session(
                "POST", "/expand", body={"text": f"<artifact id={names.answer}>", "audience": "agent", "reveal": "full"}
            )(names),
        ),
    ),
    f"GET {API}/sessions/{{session}}/export": Rule(call=_session("GET", "/export"), touches="among others"),
    f"POST {API}/sessions/{{session}}/tool-results": Rule(
        call=_session("POST", "/tool-results", body={"toolCallId": "call", "tool": "new", "result": "new"}), status=201
    ),
    f"POST {API}/sessions/{{session}}/collect": Rule(
        # What is found is kept only once, so that who asks second would be told otherwise than who asks first.
        call=_session("POST", "/collect", body={"text": "nothing to keep", "iteration": 1})
    ),
    f"GET {API}/sessions/{{session}}/tool-results/{{cache_id}}": Rule(
        call=lambda names: _session("GET", f"/tool-results/{names.answer}")(names),
        others=(lambda names: _session("GET", f"/tool-results/{names.answer}", select="head=1")(names),),
        touches="itself",
    ),
    f"POST {API}/sessions/{{session}}/promotions": Rule(
        call=lambda names: _session("POST", "/promotions", body={"toolCallId": names.call, "type": "markdown"})(names),
        status=201,
    ),
    f"GET {API}/artifacts/{{artifact}}": _artifact("GET"),
    f"DELETE {API}/artifacts/{{artifact}}": _artifact("DELETE", status=204),
    f"GET {API}/artifacts/{{artifact}}/content": _artifact("GET", "/content"),
    f"HEAD {API}/artifacts/{{artifact}}/content": _artifact("HEAD", "/content"),
    f"GET {API}/artifacts/{{artifact}}/versions": _artifact("GET", "/versions"),
    f"GET {API}/artifacts/{{artifact}}/diff": _artifact("GET", "/diff", status=422, **{"from": "1"}),
    f"POST {API}/artifacts/{{artifact}}/versions": _artifact(
        "POST", "/versions", body={"content": NEW_CONTENT, "encoding": "base64"}, status=201
    ),
    f"PATCH {API}/artifacts/{{artifact}}/content": _artifact("PATCH", "/content", body={"a": 1}, status=422),
    f"PATCH {API}/artifacts/{{artifact}}/state": _artifact("PATCH", "/state", body={"facts": {"seen": 1}}),
    f"PUT {API}/artifacts/{{artifact}}/labels": _artifact("PUT", "/labels", body={"labels": ["final"]}),
    f"POST {API}/artifacts/{{artifact}}/restore": _artifact("POST", "/restore", body={"version": 1}, status=201),
    f"PUT {API}/artifacts/{{artifact}}/hold": _artifact("PUT", "/hold", body={"held": False}),
    f"POST {API}/artifacts/{{artifact}}/links": _artifact("POST", "/links", body={}, status=201),
    f"GET {API}/artifacts/{{artifact}}/view": _artifact("GET", "/view", status=307),
    f"GET {API}/artifacts/{{artifact}}/thumbnail": _artifact("GET", "/thumbnail"),
    f"GET {API}/artifacts/{{artifact}}/actions": _letter("GET", "/actions"),
    f"POST {API}/artifacts/{{artifact}}/actions/{{action}}": _letter(
        "POST", "/actions/thrown", body={"propose": True}, status=202
    ),
    f"POST {API}/actions/{{action}}/approve": _decision("approve"),
    f"POST {API}/actions/{{action}}/reject": _decision("reject"),
    f"POST {API}/sessions/{{session}}/executions": Rule(
        call=_run("artifact"), others=(_run("handle"),), touches="itself"
    ),
    f"GET {API}/executions/{{execution}}": Rule(
        call=lambda names: Call(method="GET", path=f"{API}/executions/{names.execution}"),
        others=(
            lambda names: Call(
                method="GET", path=f"{API}/executions/{names.execution}", params={"session": names.session}
            ),
            lambda names: Call(method="GET", path=f"{API}/executions/{names.execution}", params={"files": "base64"}),
        ),
        touches="among others",
    ),
    f"POST {API}/executions/{{execution}}/cancel": Rule(
        call=lambda names: Call(method="POST", path=f"{API}/executions/{names.execution}/cancel"),
        touches="among others",
    ),
    f"GET {API}/caller": Rule(call=lambda _: Call(method="GET", path=f"{API}/caller")),
    f"GET {API}/sessions": Rule(call=lambda _: Call(method="GET", path=f"{API}/sessions"), touches="nothing"),
    f"DELETE {API}/sessions/{{session}}": Rule(call=_session("DELETE", "")),
    f"DELETE {API}/users/{{user}}": Rule(
        call=lambda names: Call(method="DELETE", path=f"{API}/users/{names.user}"),
    ),
    f"DELETE {API}/tenant": Rule(
        call=lambda names: Call(method="DELETE", path=f"{API}/tenant", params={"confirm": names.tenant}),
    ),
    f"POST {API}/tokens": Rule(
        call=lambda names: Call(
            method="POST", path=f"{API}/tokens", body={"user": names.user, "session": names.session}
        ),
        status=201,
    ),
    f"GET {API}/sessions/{{session}}/events": Rule(
        call=_session("GET", "/events"),
        others=(
            _session("GET", "/events", after="1"),
            *(_session("GET", "/events", format=format_) for format_ in ("ag-ui", "ai-sdk", "a2a")),
        ),
        touches="among others",
    ),
}
"""One rule for each operation of the OpenAPI document."""

SOCKET = Rule(
    call=lambda names: Call(method="WS", path=f"{API}/sessions/{names.session}/ws"),
    others=(lambda names: Call(method="WS", path=f"{API}/sessions/{names.session}/ws", params={"after": "1"}),),
    status=101,
    touches="among others",
)
"""The one for the WebSocket, which the document has no place for."""


def _protocol(method: str, **asked: str) -> Callable[[Names], Call]:
    """One request of MCP in its newest form, in the session that is named."""

    def call(names: Names) -> Call:
        said: dict[str, Any] = {name: value.format(names=names) for name, value in asked.items()}
        if "artifact" in said:
            said["arguments"] = {"artifactId": said.pop("artifact")}
        headers = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            "mcp-name": said.get("uri", said.get("name", "")),
        }
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**said, "_meta": meta}}
        return Call(method="POST", path="/mcp", params={"session": names.session}, body=body, headers=headers)

    return call


PROTOCOL_LISTS = Rule(
    call=_protocol("resources/list"), others=(_protocol("tools/call", name="list_artifacts"),), touches="among others"
)
PROTOCOL_READS = Rule(
    call=_protocol("resources/read", uri="artifact://{names.session}/{names.artifact}"),
    others=(_protocol("tools/call", name="read_artifact", artifact="{names.handle}"),),
    touches="itself",
)
"""Those for MCP, which describes itself."""


def documented(document: Mapping[str, Any]) -> set[str]:
    """Every operation of an OpenAPI document, as `METHOD /path`."""
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
