"""Content that callers give, as bodies of requests: JSON, a form with a file, or text that is written while it is sent.

A file is read while it is sent and never lies in memory as a whole. What content may be is decided by the server.
"""

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import cast

from handiwork.errors import ConnectionBroken, ContentTooLarge, InputNotFound, InvalidContent, RequestRefused
from handiwork.types.strict_json import written
from handiwork.types.tool_result import answer_of
from handiwork.verbs import Retained
from handiwork.versions.content import Bytes, HostFile
from handiwork.versions.notes import demand_object
from handiwork.versions.patches import parse_patch

PLAIN = "text/plain; charset=utf-8"
# What a server takes at most decides; this keeps what is endless from being written down here.
MOST_JSON_BYTES = 256 * 1024 * 1024

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body, and what goes with it: `fields` in the query where the content is sent as it is."""

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str | int | None] = field(default_factory=dict[str, str | int | None])
    value: object = None
    content: Callable[[], AsyncIterator[bytes]] | None = None


class Given:
    """Content that a caller gives; `subject` is what errors call it."""

    def __init__(self, content: object, *, subject: str) -> None:
        self.content, self.subject = content, subject
        self.is_in_pieces = isinstance(content, AsyncIterable)
        self.size = _size_of(content)
        self._cap: int | None = None
        self._type_name = ""

    def demand_within(self, cap: int, *, type_name: str) -> None:
        """Refuse content that its type cannot have, of pieces as soon as there are too many of them.

        Raises:
            ContentTooLarge: it is over the cap.
        """
        self._cap, self._type_name = cap, type_name
        if self.size > cap:
            raise ContentTooLarge(self.subject, size=self.size, limit=cap)

    @contextlib.contextmanager
    def refused_alike(self) -> Generator[None]:
        """Say of content that is over a cap what an engine says, also where the server's word was lost."""
        try:
            yield
        except ConnectionBroken as broken:
            if self._cap is None or self.size <= self._cap:
                raise
            raise ContentTooLarge(f"{self._type_name} content", size=self.size, limit=self._cap) from broken
        except RequestRefused as refused:
            limit = refused.facts.get("limit")
            if refused.code != "body_too_large" or not isinstance(limit, int) or not self.size:
                raise
            raise ContentTooLarge(self.subject, size=self.size, limit=limit) from refused

    async def encoded(self) -> AsyncIterator[bytes]:
        """Yield content that comes in pieces, as far as the cap allows and one byte more, by which it is refused."""
        async for piece in cast("AsyncIterable[str]", self.content):
            data = _piece(piece)
            before, self.size = self.size, self.size + len(data)
            # A chunk of none would end the body.
            if data and self._cap is not None and self.size > self._cap:
                yield data[: self._cap - before] + b"x"
                return
            if data:
                yield data


def body_of(given: Given, fields: Fields, *, type_name: str) -> Body:
    """Return the body of a request that stores content; `fields` are said of it.

    Raises:
        InputNotFound, InvalidContent, ContentRefused: it cannot be sent.
    """
    said = _said(fields)
    match given.content:
        case _ if given.is_in_pieces:
            return Body(headers={"content-type": PLAIN}, query=_spelled(said), content=given.encoded)
        case Path() as path:
            return form_of(HostFile.at(path), {"name": path.name, **said})
        case bytes() | bytearray() as data if said.get("name"):
            return form_of(Bytes(bytes(data)), said)
        case bytes() | bytearray() as data:
            return Body(value={**said, **_base64(bytes(data))})
        case content:
            return Body(value={**said, "content": _json(content, type_name=type_name)})


def revision_of(given: Given, patch: object, fields: Fields) -> Body:
    """Return the body of a request that revises, with content or a patch. Raises as `body_of`, and `PatchRefused`."""
    said = _said(fields)
    match given.content:
        case None:
            parse_patch(patch)
            return Body(value={**said, "patch": patch})
        case _ if given.is_in_pieces:
            return Body(headers={"content-type": PLAIN}, query=_spelled(said), content=given.encoded)
        case bytes() | bytearray() as data:
            return Body(value={**said, **_base64(bytes(data))})
        case content:
            return Body(value={**said, "content": _json(content, type_name="content")})


def result_of(result: object) -> Mapping[str, object]:
    """Return what a tool has answered as a body says it. Raises `ContentRefused` or `ContentTooLarge`."""
    answer_of(result)
    if isinstance(result, (bytes, bytearray)):
        return {"bytes": base64.b64encode(result).decode("ascii")}
    return {"result": result}


def form_of(file: Bytes | HostFile, said: Fields) -> Body:
    """Return a form of one file with fields beside it."""
    boundary = f"handiwork-{secrets.token_hex(16)}"
    head = b"".join(_part(boundary, name, value) for name, value in _spelled(said).items())
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="content"\r\n\r\n'.encode()
    tail = f"\r\n--{boundary}--\r\n".encode()

    async def content() -> AsyncIterator[bytes]:
        yield head
        sent = 0
        async for chunk in file.chunks():
            sent += len(chunk)
            if sent > file.size:
                break
            yield chunk
        if sent != file.size:
            raise InputNotFound(str(getattr(file, "path", "content")), "it changed while it was read")
        yield tail

    size = len(head) + file.size + len(tail)
    headers = {"content-type": f"multipart/form-data; boundary={boundary}", "content-length": str(size)}
    return Body(headers=headers, content=content)


def _json(content: object, *, type_name: str) -> object:
    """Return content that JSON can hold. Raises `InvalidContent` or `ContentRefused`."""
    if isinstance(content, str):
        try:
            content.encode()
        except UnicodeEncodeError as wrong:
            where = f"half a character at position {wrong.start}"
            raise InvalidContent("content", expected="text that UTF-8 can hold", got=where) from wrong
        return content
    written(content, type_name=type_name, most_bytes=MOST_JSON_BYTES)
    return content


def object_of(value: Mapping[str, object] | None, what: str) -> Mapping[str, object] | None:
    """Return an object as it can be sent. Raises `InvalidContent`."""
    if value is None:
        return None
    demand_object(what, value)
    return dict(value)


def seconds_of(retention: Retained) -> str | None:
    """Return how long an artifact shall be kept, as the server takes it."""
    match retention:
        case None:
            return "forever"
        case timedelta():
            return f"{retention.total_seconds():.6f}s"
        case _:
            return None


def _size_of(content: object) -> int:
    """Return how many bytes content has, 0 where nobody knows yet. Raises `InputNotFound`."""
    match content:
        case Path():
            return HostFile.at(content).size
        case str():
            return len(content.encode("utf-8", "surrogatepass"))
        case bytes() | bytearray():
            return len(content)
        case _:
            return 0


def _base64(content: bytes) -> Mapping[str, str]:
    return {"content": base64.b64encode(content).decode("ascii"), "encoding": "base64"}


def _said(fields: Fields) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _piece(piece: object) -> bytes:
    if not isinstance(piece, str):
        raise InvalidContent("content", expected="pieces of text", got=f"a `{type(piece).__name__}`")
    try:
        return piece.encode()
    except UnicodeEncodeError as wrong:
        raise InvalidContent("content", expected="text that UTF-8 can hold", got="half a character") from wrong


def _spelled(said: Fields) -> dict[str, str | int | None]:
    """Return fields as forms and queries have them, objects as JSON. Raises `InvalidContent`."""
    spelled: dict[str, str | int | None] = {}
    for name, value in said.items():
        if isinstance(value, Mapping):
            spelled[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        else:
            spelled[name] = value if isinstance(value, (str, int)) else str(value)
        if any("\ud800" <= character <= "\udfff" for character in str(spelled[name])):
            raise InvalidContent(name, expected="text that UTF-8 can hold", got="half a character")
    return spelled


def _part(boundary: str, name: str, value: str | int | None) -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
