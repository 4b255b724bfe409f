"""The arguments of each tool, as models that say them to a language model and read what it has written.

What is done with them is known to `calls`.
"""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema

from handiwork.errors import ContentRefused, ContentTooLarge, InvalidContent
from handiwork.references import Mention, pieces_of
from handiwork.tasks import in_thread
from handiwork.tools.schemas import STRICT
from handiwork.types.strict_json import parsed, written
from handiwork.versions import calls
from handiwork.versions.arguments import LARGEST_BYTES, READ_HERE_BYTES
from handiwork.versions.calls import Call, NewVersion, Number, Read

SELECT = "rows=0:20, lines=1:50, head=20, tail=20, path=$.a[3], grep=text or search=words"

_EDIT = {
    "type": "object",
    "properties": {"find": {"type": "string"}, "replace": {"type": "string"}},
    "required": ["find", "replace"],
    "additionalProperties": False,
}


def _bare(value: object) -> object:
    """Take a whole reference for the id in it, since that is what a model has seen."""
    if not isinstance(value, str) or "<" not in value:
        return value
    found = [piece.reference for piece in pieces_of(value) if isinstance(piece, Mention)]
    return found[0].id if len(found) == 1 else value


def _listed(value: object) -> object:
    """Take one name for a list of it, which is how models write it at times."""
    return [value] if isinstance(value, str) else value


Named = Annotated[str, BeforeValidator(_bare)]
# Anything is read, and the common ways are told.
Content = Annotated[
    Read, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}], STRICT: {"type": "string"}})
]
Patch = Annotated[
    Read,
    WithJsonSchema(
        {
            "anyOf": [{"type": "array", "items": {"type": "object"}}, {"type": "object"}],
            STRICT: {"type": "array", "items": _EDIT},
        }
    ),
]
Params = Annotated[Read, WithJsonSchema({"type": "object", STRICT: {"type": "string"}})]


class GenerateFile(Call):
    code: str
    inputs: Annotated[list[Named], BeforeValidator(_listed)] | None = Field(
        default=None, description="Artifact ids; each is a file in the folder"
    )
    title: str | None = None


class GenerateArtifact(calls.GenerateArtifact):
    title: str  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]  # a model always names what it makes
    content: Content = Field(description="Text; an object for structured types")
    language: str | None = Field(default=None, description="Of code")


class ReviseArtifact(NewVersion):
    artifact_id: Named
    patch: Patch = Field(
        default=None, description='[{"find", "replace"}], each found exactly once; or JSON Patch, or merge patch'
    )
    content: Content = None
    base_version: Number | None = Field(default=None, description="The version you read")


class ReadArtifact(Call):
    artifact_id: Named
    version: Number | None = None
    select: str | None = Field(default=None, description=f"A part: {SELECT}")


class ListArtifacts(Call):
    type: str | None = None
    query: str | None = Field(default=None, description="Text in title or name")


class PromoteToArtifact(Call):
    tool_call_id: str
    type: str
    title: str | None = None


class GetCachedResult(Call):
    cache_id: Named = Field(validation_alias=AliasChoices("cache_id", "cacheId"))
    select: str | None = Field(default=None, description="As in read_artifact")


class ProposeAction(Call):
    artifact_id: Named
    action: str
    params: Params = None


async def arguments_of(given: object) -> Mapping[str, object]:
    """Return the arguments of a call, given as JSON text or as a mapping.

    Raises:
        InvalidContent, ContentTooLarge: they are no JSON object, or one that is too large or too deep.
    """
    is_small = isinstance(given, str) and len(given) <= READ_HERE_BYTES
    value = _read(given) if is_small else await in_thread(_read, given)
    if not isinstance(value, dict):
        raise InvalidContent("arguments", expected="one JSON object", got=f"a `{type(value).__name__}`")
    return cast("dict[str, object]", value)


def _read(given: object) -> object:
    try:
        if isinstance(given, (bytes, bytearray)):
            given = given.decode()
        if given is None or (isinstance(given, str) and not given.strip()):
            return {}
        if not isinstance(given, str):
            # Written and read again, it holds nothing that JSON does not know, however it was made.
            given = written(given, type_name="json", most_bytes=LARGEST_BYTES).decode()
        if len(given) > LARGEST_BYTES:
            raise ContentTooLarge("arguments", size=len(given), limit=LARGEST_BYTES)
        return parsed(given, type_name="json")
    except ContentRefused as wrong:
        place = "" if wrong.where is None else f" at {wrong.where}"
        raise InvalidContent("arguments", expected=wrong.expected, got=f"{wrong.got}{place}") from wrong
    except UnicodeDecodeError as wrong:
        raise InvalidContent("arguments", expected="UTF-8", got=f"other bytes at {wrong.start}") from wrong
