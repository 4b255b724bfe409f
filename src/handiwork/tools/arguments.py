"""The arguments of each tool, as models that say them to a language model and read what it has written.

What is done with them is known to `calls`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema, model_validator

from handiwork.errors import ContentRefused, ContentTooLarge, InvalidContent
from handiwork.references import Mention, Reference, pieces_of
from handiwork.tasks import in_thread
from handiwork.tools.schemas import STRICT
from handiwork.types.strict_json import parsed, written
from handiwork.versions import calls
from handiwork.versions.arguments import LARGEST_BYTES, READ_HERE_BYTES
from handiwork.versions.calls import Call, NewVersion, Number, Read

SELECT = "rows=0:20, lines=1:50, head=20, tail=20, path=$.a[3], grep=text or search=words"
"""The forms of a selector, as models are told them."""

_EDIT = {
    "type": "object",
    "properties": {"find": {"type": "string"}, "replace": {"type": "string"}},
    "required": ["find", "replace"],
    "additionalProperties": False,
}


def _meant(value: object) -> Reference | None:
    """Return what a whole reference in the place of an id says, since that is what a model has seen."""
    if not isinstance(value, str) or "<" not in value:
        return None
    found = [piece.reference for piece in pieces_of(value) if isinstance(piece, Mention)]
    return found[0] if len(found) == 1 else None


def _bare(value: object) -> object:
    """Take a whole reference for the id in it."""
    meant = _meant(value)
    return value if meant is None else meant.id


def _input(value: object) -> object:
    """Take a whole reference for the id in it, with its version as a run names one."""
    meant = _meant(value)
    if meant is None:
        return value
    return meant.id if meant.version is None else f"{meant.id}@{meant.version}"


def _with_what_is_meant(arguments: object, names: Mapping[str, Sequence[str]]) -> object:
    """Say apart what a reference says beside the id, unless it is given; `names` are the spellings of each."""
    if not isinstance(arguments, Mapping):
        return arguments
    given = cast("Mapping[str, object]", arguments)
    meant = next((found for name in names["id"] if (found := _meant(given.get(name))) is not None), None)
    if meant is None:
        return given
    said = {"version": meant.version, "select": meant.select}
    more = {
        spellings[0]: said[name]
        for name, spellings in names.items()
        if said.get(name) is not None and not given.keys() & set(spellings)
    }
    return {**given, **more}


def _listed(value: object) -> object:
    """Take one name for a list of it, which is how models write it at times."""
    return [value] if isinstance(value, str) else value


Named = Annotated[str, BeforeValidator(_bare)]
Input = Annotated[str, BeforeValidator(_input)]
_ID = ("artifactId", "artifact_id")
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
    inputs: Annotated[list[Input], BeforeValidator(_listed)] | None = Field(
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

    @model_validator(mode="before")
    @classmethod
    def _meant(cls, arguments: object) -> object:
        return _with_what_is_meant(arguments, {"id": _ID, "version": ("baseVersion", "base_version")})


class ReadArtifact(Call):
    artifact_id: Named
    version: Number | None = None
    select: str | None = Field(default=None, description=f"A part: {SELECT}")

    @model_validator(mode="before")
    @classmethod
    def _meant(cls, arguments: object) -> object:
        return _with_what_is_meant(arguments, {"id": _ID, "version": ("version",), "select": ("select",)})


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

    @model_validator(mode="before")
    @classmethod
    def _meant(cls, arguments: object) -> object:
        return _with_what_is_meant(arguments, {"id": ("cache_id", "cacheId"), "select": ("select",)})


class ProposeAction(Call):
    artifact_id: Named
    action: str
    params: Params = None

    @property
    def said(self) -> Mapping[str, object] | None:
        """The arguments of the action; in the strict form they come as JSON text. Raises `InvalidContent`."""
        value: object = self.params
        if isinstance(value, str):
            value = _read(value, "params")
        if value is not None and not isinstance(value, dict):
            raise InvalidContent("params", expected="one JSON object", got=f"a `{type(value).__name__}`")
        return cast("dict[str, object] | None", value)


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


def _read(given: object, subject: str = "arguments") -> object:
    try:
        if isinstance(given, (bytes, bytearray)):
            given = given.decode()
        if given is None or (isinstance(given, str) and not given.strip()):
            return {}
        if not isinstance(given, str):
            # Written and read again, it holds nothing that JSON does not know, however it was made.
            given = written(given, type_name="json", most_bytes=LARGEST_BYTES).decode()
        if len(given) > LARGEST_BYTES:
            raise ContentTooLarge(subject, size=len(given), limit=LARGEST_BYTES)
        return parsed(given, type_name="json")
    except ContentRefused as wrong:
        place = "" if wrong.where is None else f" at {wrong.where}"
        raise InvalidContent(subject, expected=wrong.expected, got=f"{wrong.got}{place}") from wrong
    except UnicodeDecodeError as wrong:
        raise InvalidContent(subject, expected="UTF-8", got=f"other bytes at {wrong.start}") from wrong
