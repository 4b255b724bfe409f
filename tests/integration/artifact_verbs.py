"""The verbs on artifacts with one face for two doors: the session in Python, and the API over HTTP.

Both answer with the shapes of the wire, and a refusal is the same error with its code. Nothing is asserted here.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import httpx2
from doors import API, Door
from starlette.types import ASGIApp, Message

from handiwork.errors import HandiworkError
from handiwork.session import Session
from handiwork.shapes import Shape, artifact_shape, event_shape, version_shape

Told = TypeVar("Told")
Content = str | bytes | dict[str, Any] | list[Any] | int | float | bool | None


class Refused(Exception):
    """The door says no; `code` is for programs."""

    def __init__(self, code: str, facts: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {facts}")
        self.code, self.facts = code, facts


class Verbs(Protocol):
    """What can be done with the artifacts of one session. Each verb may raise `Refused`."""

    async def create(self, type: str, *, content: Content, name: str, title: str, hours: float | None) -> Shape: ...
    async def revise(
        self, id: str, change: Mapping[str, Content], *, base: int | None = None, reason: str | None = None
    ) -> Shape: ...
    async def restore(self, id: str, version: int) -> Shape: ...
    async def get(self, id: str, version: int | None = None) -> Shape: ...
    async def read(self, id: str, version: int | None = None) -> bytes: ...
    async def versions(self, id: str, *, limit: int) -> Sequence[Shape]: ...
    async def is_same(self, id: str, start: int, end: int | None) -> bool: ...
    async def list(self, *, limit: int, **search: str) -> tuple[Sequence[Shape], int]: ...
    async def label(self, id: str, labels: Sequence[str]) -> Shape: ...
    async def step(self, id: str, *, state: str | None, facts: Mapping[str, Content] | None) -> Shape: ...
    async def hold(self, id: str, *, held: bool) -> Shape: ...
    async def remove(self, id: str) -> None: ...
    async def events(self, *, last: int) -> Sequence[Shape]: ...


class InPython:
    """The verbs of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(self, type: str, *, content: Content, name: str, title: str, hours: float | None) -> Shape:
        retention = None if hours is None else timedelta(hours=hours)
        made = self._session.create(type, content=content, name=name, title=title, retention=retention)
        return artifact_shape(await _told(made))

    async def revise(
        self, id: str, change: Mapping[str, Content], *, base: int | None = None, reason: str | None = None
    ) -> Shape:
        # A call has no other word for `null`, since None says nothing.
        said: dict[str, Any] = {
            name: "null" if name == "content" and value is None else value for name, value in change.items()
        }
        return artifact_shape(await _told(self._session.revise(id, **said, base_version=base, reason=reason)))

    async def restore(self, id: str, version: int) -> Shape:
        return artifact_shape(await _told(self._session.restore(id, version)))

    async def get(self, id: str, version: int | None = None) -> Shape:
        return artifact_shape(await _told(self._session.get(id, version=version)))

    async def read(self, id: str, version: int | None = None) -> bytes:
        return await _told(self._session.read(id, version=version))

    async def versions(self, id: str, *, limit: int) -> Sequence[Shape]:
        found, before = [], None
        while True:
            page = await _told(self._session.versions(id, limit=limit, before=before))
            found += [version_shape(each) for each in page.items]
            if (before := page.next_before) is None:
                return found

    async def is_same(self, id: str, start: int, end: int | None) -> bool:
        found = await _told(self._session.diff(id, start, end))
        return found.is_same

    async def list(self, *, limit: int, **search: str) -> tuple[Sequence[Shape], int]:
        found, cursor = [], None
        while True:
            page = await _told(self._session.list(limit=limit, cursor=cursor, **search))
            found += [artifact_shape(each) for each in page.items]
            if (cursor := page.next_cursor) is None:
                return found, page.seq

    async def label(self, id: str, labels: Sequence[str]) -> Shape:
        return artifact_shape(await _told(self._session.label(id, *labels)))

    async def step(self, id: str, *, state: str | None, facts: Mapping[str, Content] | None) -> Shape:
        return artifact_shape(await _told(self._session.step(id, state=state, facts=facts)))

    async def hold(self, id: str, *, held: bool) -> Shape:
        return artifact_shape(await _told(self._session.hold(id, held=held)))

    async def remove(self, id: str) -> None:
        await _told(self._session.remove(id))

    async def events(self, *, last: int) -> Sequence[Shape]:
        found: list[Shape] = []
        if not last:
            return found
        async with aclosing(self._session.watch()) as told:
            async for event in told:
                found.append(event_shape(event))
                if event.seq >= last:
                    return found
        return found


class OverHttp:
    """The verbs of the API in one session; a merge patch with nothing beside it goes to the content itself."""

    def __init__(self, door: Door, session: str, *, app: ASGIApp) -> None:
        self._door, self._session, self._app = door, session, app
        self._of_session = f"{API}/sessions/{session}"

    async def create(self, type: str, *, content: Content, name: str, title: str, hours: float | None) -> Shape:
        # Over HTTP what is to be kept for ever is what a deployment keeps for ever, which is not asked for here.
        kept = {} if hours is None else {"retention": f"{hours}h"}
        if isinstance(content, bytes):
            files, told = {"file": (name, content)}, {"type": type, "title": title, **kept}
            answer = await self._ask("POST", f"{self._of_session}/artifacts", files=files, data=told)
            return answer["items"][0]
        body = {"type": type, "name": name, "title": title, "content": content, **kept}
        return await self._ask("POST", f"{self._of_session}/artifacts", json=body)

    async def revise(
        self, id: str, change: Mapping[str, Content], *, base: int | None = None, reason: str | None = None
    ) -> Shape:
        patch, content = change.get("patch"), change.get("content")
        if isinstance(patch, dict) and [*change] == ["patch"] and base is None and reason is None:
            return await self._ask("PATCH", f"{API}/artifacts/{id}/content", json=patch)
        body: Shape = {**change, "baseVersion": base, "reason": reason}
        if isinstance(content, bytes):
            body |= {"content": base64.b64encode(content).decode(), "encoding": "base64"}
        return await self._ask("POST", f"{API}/artifacts/{id}/versions", json=body)

    async def restore(self, id: str, version: int) -> Shape:
        return await self._ask("POST", f"{API}/artifacts/{id}/restore", json={"version": version})

    async def get(self, id: str, version: int | None = None) -> Shape:
        return await self._ask("GET", f"{API}/artifacts/{id}", params=_at(version))

    async def read(self, id: str, version: int | None = None) -> bytes:
        return (await self._answer("GET", f"{API}/artifacts/{id}/content", params=_at(version))).content

    async def versions(self, id: str, *, limit: int) -> Sequence[Shape]:
        return (await self._pages(f"{API}/artifacts/{id}/versions", {"limit": limit}))[0]

    async def is_same(self, id: str, start: int, end: int | None) -> bool:
        asked = {"from": start} | ({} if end is None else {"to": end})
        return (await self._ask("GET", f"{API}/artifacts/{id}/diff", params=asked))["isSame"]

    async def list(self, *, limit: int, **search: str) -> tuple[Sequence[Shape], int]:
        asked = {"q" if name == "query" else name: value for name, value in search.items()}
        found, last = await self._pages(f"{self._of_session}/artifacts", {"limit": limit, **asked})
        return found, last["seq"]

    async def label(self, id: str, labels: Sequence[str]) -> Shape:
        return await self._ask("PUT", f"{API}/artifacts/{id}/labels", json={"labels": list(labels)})

    async def step(self, id: str, *, state: str | None, facts: Mapping[str, Content] | None) -> Shape:
        return await self._ask("PATCH", f"{API}/artifacts/{id}/state", json={"state": state, "facts": facts})

    async def hold(self, id: str, *, held: bool) -> Shape:
        return await self._ask("PUT", f"{API}/artifacts/{id}/hold", json={"held": held})

    async def remove(self, id: str) -> None:
        await self._answer("DELETE", f"{API}/artifacts/{id}")

    async def events(self, *, last: int) -> Sequence[Shape]:
        return await streamed_events(self._app, self._session, last=last)

    async def _pages(self, path: str, asked: Mapping[str, Any]) -> tuple[Sequence[Shape], Shape]:
        found: list[Shape] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self._ask("GET", path, params={**asked, **cursor})
            found += page["items"]
            if page["nextCursor"] is None:
                return found, page
            cursor = {"cursor": page["nextCursor"]}

    async def _ask(self, method: str, path: str, **asked: Any) -> Shape:
        return (await self._answer(method, path, **asked)).json()

    async def _answer(self, method: str, path: str, **asked: Any) -> httpx2.Response:
        answer = await self._door.client.request(method, path, **asked)
        if answer.is_error:
            problem = answer.json()
            raise Refused(problem["code"], problem)
        return answer


async def streamed_events(app: ASGIApp, session: str, *, last: int) -> Sequence[Shape]:
    """Follow a session over HTTP from its beginning, up to the event with this number, and hang up."""
    found: list[Shape] = []
    if not last:
        return found
    told, rest = asyncio.Event(), b""

    async def receive() -> Message:
        await told.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal rest
        *blocks, rest = (rest + message.get("body", b"")).split(b"\n\n")
        for block in blocks:
            found.extend(json.loads(line[6:]) for line in block.splitlines() if line.startswith(b"data: "))
        if found and found[-1].get("seq", 0) >= last:
            told.set()

    path = f"{API}/sessions/{session}/events"
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8765")],
    }
    async with asyncio.timeout(10):
        await app(scope, receive, send)
    return found


def _at(version: int | None) -> dict[str, int]:
    return {} if version is None else {"version": version}


async def _told(made: Awaitable[Told]) -> Told:
    try:
        return await made
    except HandiworkError as error:
        raise Refused(error.code, vars(error)) from error
