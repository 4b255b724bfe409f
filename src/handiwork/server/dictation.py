"""Content that is written while it is sent: a body of plain text, piece by piece, seen by followers as it comes.

What is said of it stands in the query. How pieces are collected and told is the engine's.
"""

import codecs
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace
from email.message import Message

from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect, Request

from handiwork.errors import InvalidContent
from handiwork.model import Artifact, Provenance, Scope
from handiwork.server.bodies import Revised, UploadFields, kept_for
from handiwork.server.desk import Desk
from handiwork.server.refusals import MalformedRequest
from handiwork.server.uploads import validated
from handiwork.verbs import handle_asked
from handiwork.versions.content import Bytes
from handiwork.versions.drafts import Draft
from handiwork.versions.revising import Revision

MEDIA_TYPE = "text/plain"


def is_dictated(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MEDIA_TYPE


def said_in_query(request: Request) -> dict[str, str]:
    """Return what the query says of the text. Raises `RequestValidationError` for what it says twice."""
    said: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in said:
            fault = {"type": "value_error", "loc": ("query", name), "msg": "it once", "input": value}
            raise RequestValidationError([fault])
        said[name] = value
    return said


async def dictated(request: Request, desk: Desk, scope: Scope, provenance: Provenance) -> Artifact:
    """Store the body as a new artifact when it is whole. Raises what `Session.create` does."""
    said = validated(UploadFields, said_in_query(request), place="query")
    draft = Draft(
        type=desk.engine.types.named(said.type),
        name=said.name,
        content=Bytes(b""),
        title=said.title,
        language=said.language,
        metadata=said.metadata or {},
        retention=kept_for(said.retention),
        provenance=provenance,
        summary=said.summary,
        handle=handle_asked(said.handle),
    )
    return await _whole(desk.engine.writing.create(scope, draft, _pieces(request)))


async def dictated_revision(
    request: Request, desk: Desk, head: Artifact, said: Revised, provenance: Provenance
) -> Artifact:
    """Make the body the next version when it is whole. Raises what `Session.revise` does."""
    revision = Revision(
        base_version=said.base_version,
        title=said.title,
        language=said.language,
        metadata=said.metadata,
        provenance=replace(provenance, reason=said.reason),
    )
    desk.engine.revising.admission.demand_enabled()
    return await _whole(desk.engine.writing.revise(head, revision, _pieces(request)))


async def _whole(taken: Awaitable[Artifact]) -> Artifact:
    try:
        return await taken
    except ClientDisconnect as gone:
        raise MalformedRequest("body", expected="all of it") from gone


async def _pieces(request: Request) -> AsyncGenerator[str]:
    charset = _charset(request.headers["content-type"])
    if charset not in {None, "utf-8", "utf8", "us-ascii"}:
        raise InvalidContent("content", expected="text in UTF-8", got=f"the charset `{charset}`")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        async for chunk in request.stream():
            if piece := decoder.decode(chunk):
                yield piece
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as wrong:
        raise InvalidContent("content", expected="text in UTF-8", got="bytes that are none") from wrong


def _charset(content_type: str) -> str | None:
    message = Message()
    message["content-type"] = content_type
    return message.get_content_charset()
