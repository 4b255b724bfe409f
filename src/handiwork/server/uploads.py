"""What a request brings to be stored: an artifact or an answer as JSON, or the files of a form. Nothing is stored here.

Files are written to disk while they are read, and the cap of each is counted on the way, so that neither a file of
any length nor a form of many ever lies in memory as a whole.
"""

import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue, TypeAdapter, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from handiwork.errors import ContentTooLarge, InvalidContent
from handiwork.model import KIB, TOOL_RESULT, Provenance
from handiwork.server.bodies import (
    JSON_BYTES_FOR_ONE,
    LARGEST_METADATA_BYTES,
    Body,
    NewArtifact,
    NewToolResult,
    NewVersion,
    UploadFields,
    kept_for,
)
from handiwork.server.json_values import demand_few_values
from handiwork.server.refusals import BodyTooLarge, MalformedRequest
from handiwork.server.strict_bodies import invalid, is_quickly_parsed, strictly
from handiwork.store.failures import system_failure
from handiwork.tasks import in_thread
from handiwork.types.plain_text import text_of
from handiwork.types.registry import Registry
from handiwork.types.strict_json import parsed
from handiwork.verbs import handle_asked
from handiwork.versions.content import CHUNK_BYTES, Bytes
from handiwork.versions.drafts import Content, Draft, content_of
from handiwork.versions.tool_results import ToolResult, demand_tool_call_id

FILE_FIELD = "file"
_ANY = TypeAdapter(JsonValue)
MOST_FILES = 100
MOST_FIELDS = 16
LONGEST_FIELD_BYTES = LARGEST_METADATA_BYTES
IN_MEMORY_BYTES = 64 * KIB

_WHERE = "the folder for temporary files"
_FORM = (
    f"one whole form of at most {MOST_FILES} files, and {MOST_FIELDS} fields of at most {LONGEST_FIELD_BYTES:,} bytes"
)

MERGE_PATCH = TypeAdapter(dict[str, JsonValue])

Parsed = TypeVar("Parsed", bound=Body)
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Spooled:
    """Content of a file that a form brought and that lies on disk."""

    file: BinaryIO
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return self.file.read(length)

    async def chunks(self) -> AsyncIterator[bytes]:
        for offset in range(0, self.size, CHUNK_BYTES):
            yield await in_thread(self.read_at, offset, CHUNK_BYTES)


@contextlib.asynccontextmanager
async def form_drafts(request: Request, types: Registry, *, provenance: Provenance) -> AsyncGenerator[list[Draft]]:
    """Receive a multipart form and give its files as artifacts to be, as long as the context lasts.

    Raises:
        MalformedRequest, BodyTooLarge, BodyStalled: the form did not come as a whole.
        RequestValidationError: it has other fields than it should.
        ContentTooLarge: a file is over every cap; the rest was not read.
        UnknownType: there is no such type.
        StorageFull, StorageFailed: the files could not be kept meanwhile.
    """
    async with _received(request, most_bytes=_largest_cap(types)) as items:
        files, fields = _told_apart(items)
        said = validated(UploadFields, fields)
        type_ = types.named(said.type)
        if said.name is not None and len(files) > 1:
            raise _refused("name", "it for one file only", got=said.name)
        yield [
            Draft(
                type=type_,
                name=said.name or file.filename or "",
                content=await _content(file),
                title=said.title,
                language=said.language,
                metadata=said.metadata or {},
                retention=kept_for(said.retention),
                provenance=provenance,
                summary=said.summary,
                handle=handle_asked(said.handle),
            )
            for file in files
        ]


async def json_draft(request: Request, types: Registry, *, provenance: Provenance) -> Draft:
    """Receive one artifact to be as JSON.

    Raises:
        BodyTooLarge, BodyStalled: it did not come as a whole.
        RequestValidationError: it is not what it should be.
        InvalidContent: the content is not encoded as it says.
        UnknownType: there is no such type.
    """
    raw = await _read(request, limit=_largest_cap(types) * JSON_BYTES_FOR_ONE + 64 * KIB)
    if is_quickly_parsed(raw):
        return _drafted(raw, types, provenance)
    return await in_thread(_drafted, raw, types, provenance)


async def json_tool_result(request: Request, types: Registry, *, provenance: Provenance) -> ToolResult:
    """Receive what a tool has answered as JSON.

    Raises as `json_draft` does, and `ContentRefused` for JSON that RFC 8259 does not know, or a name twice.
    """
    return await _parsed(request, types, lambda raw: _answered(NewToolResult.model_validate(_strict(raw)), provenance))


async def json_revision(request: Request, types: Registry) -> NewVersion:
    """Receive what an artifact is to become as JSON. Raises as `json_draft` does."""
    return await _parsed(request, types, NewVersion.model_validate_json)


async def json_merge_patch(request: Request, types: Registry) -> dict[str, JsonValue]:
    """Receive a merge patch. Raises as `json_draft` does."""
    return await _parsed(request, types, MERGE_PATCH.validate_json)


async def _parsed(request: Request, types: Registry, parse: Callable[[bytes], Told]) -> Told:
    raw = await _read(request, limit=_largest_cap(types) * JSON_BYTES_FOR_ONE + 64 * KIB)
    if is_quickly_parsed(raw):
        return _understood(raw, types, parse)
    return await in_thread(_understood, raw, types, parse)


def _drafted(raw: bytes, types: Registry, provenance: Provenance) -> Draft:
    told = _understood(raw, types, NewArtifact.model_validate_json)
    type_ = types.named(told.type)
    return Draft(
        type=type_,
        name=told.name,
        content=content_of(decoded(told), type_),
        title=told.title,
        language=told.language,
        metadata=told.metadata or {},
        retention=kept_for(told.retention),
        provenance=called(provenance, told.tool_call_id),
        summary=told.summary,
        handle=handle_asked(told.handle),
    )


def called(provenance: Provenance, tool_call_id: str | None) -> Provenance:
    """Return the provenance with the tool call that a body names. Raises `InvalidName`."""
    if tool_call_id is None:
        return provenance
    demand_tool_call_id(tool_call_id)
    return replace(provenance, tool_call_id=tool_call_id)


def _strict(raw: bytes) -> object:
    # What is kept of an answer is what it says, and not one of two things that it may say.
    return parsed(text_of(raw, TOOL_RESULT), type_name=TOOL_RESULT)


def _answered(told: NewToolResult, provenance: Provenance) -> ToolResult:
    return ToolResult(
        tool_call_id=told.tool_call_id,
        tool=told.tool,
        result=_from_base64(told.data, "bytes", expected="base64") if told.is_bytes else told.result,
        failed=told.failed,
        category=told.category,
        media_type=told.media_type,
        ttl=told.ttl,
        summary_data=told.summary_data,
        provenance=provenance,
    )


class _Parser(MultiPartParser):
    """Starlette's parser, which keeps little in memory, stops at a file that is too large, and knows a cut form."""

    spool_max_size = IN_MEMORY_BYTES

    def __init__(self, request: Request, stream: AsyncGenerator[bytes, None], *, most_bytes: int) -> None:
        super().__init__(
            request.headers,
            stream,
            max_files=MOST_FILES,
            max_fields=MOST_FIELDS,
            max_part_size=LONGEST_FIELD_BYTES,
        )
        self.is_whole = False
        self._most_bytes, self._part_bytes = most_bytes, 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._part_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part_bytes += end - start
        file = self._current_part.file
        if file is not None and self._part_bytes > self._most_bytes:
            raise ContentTooLarge(file.filename or FILE_FIELD, size=self._part_bytes, limit=self._most_bytes)
        super().on_part_data(data, start, end)

    def on_end(self) -> None:
        self.is_whole = True

    def close_all(self) -> None:
        for file in self._files_to_close_on_error:
            file.close()


@contextlib.asynccontextmanager
async def _received(request: Request, *, most_bytes: int) -> AsyncGenerator[Sequence[tuple[str, str | UploadFile]]]:
    async with contextlib.aclosing(request.stream()) as stream:
        parser = _Parser(request, stream, most_bytes=most_bytes)
        try:
            try:
                form = await parser.parse()
            except OSError as refused:
                raise system_failure(refused, where=_WHERE) from refused
            except (MultiPartException, ClientDisconnect, UnicodeError) as wrong:
                raise MalformedRequest("body", expected=_FORM) from wrong
            if not parser.is_whole:
                raise MalformedRequest("body", expected=_FORM)
            yield form.multi_items()
        finally:
            parser.close_all()


def _told_apart(items: Sequence[tuple[str, str | UploadFile]]) -> tuple[list[UploadFile], dict[str, str]]:
    files: list[UploadFile] = []
    fields: dict[str, str] = {}
    for name, value in items:
        if isinstance(value, UploadFile) and name == FILE_FIELD:
            files.append(value)
        elif isinstance(value, UploadFile) or name == FILE_FIELD:
            raise _refused(name, f"files, each with a name, in parts called `{FILE_FIELD}`", got=name)
        elif name in fields:
            raise _refused(name, "it once", got=value)
        else:
            fields[name] = value
    if not files:
        raise _refused(FILE_FIELD, "at least one file", got=None)
    return files, fields


async def _content(file: UploadFile) -> Content:
    size = file.size or 0
    return Spooled(file.file, size) if size > IN_MEMORY_BYTES else Bytes(await file.read())


async def _read(request: Request, *, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(limit)
            pieces.append(piece)
    except ClientDisconnect as gone:
        raise MalformedRequest("body", expected="all of it") from gone
    return b"".join(pieces)


def decoded(told: NewArtifact | NewVersion) -> JsonValue | bytes:
    """Return the content that a body brings. Raises `InvalidContent` when it is not encoded as it says."""
    if told.encoding == "text":
        return told.content
    spelled = told.content if isinstance(told.content, str) else "-"
    return _from_base64(spelled, "content", expected="base64, as `encoding` says")


def _from_base64(spelled: str, field: str, *, expected: str) -> bytes:
    try:
        return base64.b64decode(spelled, validate=True)
    except ValueError as wrong:
        raise InvalidContent(field, expected=expected, got="something else") from wrong


def _understood(raw: bytes, types: Registry, parse: Callable[[bytes], Told]) -> Told:
    # No content has more values than bytes.
    demand_few_values(raw, most=max(type_.cap_bytes for type_ in types if type_.content == "json"))
    return strictly(raw, parse)


def validated(model: type[Parsed], fields: dict[str, str], *, place: str = "body") -> Parsed:
    """Return what a form or a query says. Raises `RequestValidationError`."""
    try:
        told = model.model_validate(fields)
    except ValidationError as wrong:
        raise invalid(wrong, place=place) from wrong
    if "metadata" in fields:
        strictly(fields["metadata"].encode("utf-8", "replace"), _ANY.validate_json)
    return told


def _refused(field: str, expected: str, *, got: str | None) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": expected, "input": got}])


def _largest_cap(types: Registry) -> int:
    return max(type_.cap_bytes for type_ in types)
