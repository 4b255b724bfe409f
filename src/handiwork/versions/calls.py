"""What a model may ask for when it writes an artifact: the arguments of the two calls that do so.

How they are read while they arrive is known to `arguments`, and what is made of them to `writing`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SkipValidation,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from handiwork.errors import InvalidContent, UnsupportedFormat
from handiwork.media.formats import format_of_media_type

LONGEST_TOLD = 300
# It was read from JSON, and looking through all of it again would hold up everybody else.
Read = Annotated[JsonValue, SkipValidation]

MOST_NAMES = 64


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number")  # noqa: TRY004  # pydantic wants this one
    return value


Number = Annotated[int, Field(ge=1), BeforeValidator(_no_truth)]
"""The number of a version."""


class Call(BaseModel):
    """Arguments with camelCase names, or snake_case ones; another name is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class GenerateArtifact(Call):
    """A new artifact: text, or a JSON value for a type of structured content."""

    type: str
    title: str | None = None
    content: Read
    language: str | None = None
    media_type: str | None = Field(
        default=None, validation_alias=AliasChoices("mediaType", "media_type", "mimeType", "mime_type")
    )


class NewVersion(Call):
    """A new version of an artifact: exactly one of `content` and `patch`."""

    artifact_id: str
    patch: Read = None
    content: Read = None
    base_version: Number | None = None


class ReviseArtifact(NewVersion):
    """The same with a reason, which no tool asks for."""

    reason: str | None = None


def suffix_of(call: GenerateArtifact) -> str | None:
    """Return how the name of a file of the media type ends that a call asks for. Raises `UnsupportedFormat`."""
    if call.media_type is None:
        return None
    if (found := format_of_media_type(call.media_type)) is None:
        hint = "Leave `mediaType` out, or name that of a common format, such as `text/html`."
        raise UnsupportedFormat(call.title or call.type, media_type=call.media_type, hint=hint)
    return found.extensions[0]


Parsed = TypeVar("Parsed", bound=Call)


def parsed_call(call: type[Parsed], arguments: Mapping[str, Any]) -> Parsed:
    """Return the call. Raises `InvalidContent`, which names the argument that is wrong."""
    if len(arguments) > MOST_NAMES:
        # Each that is unknown would be an error of its own.
        raise InvalidContent("arguments", expected=f"at most {MOST_NAMES} of them", got=f"{len(arguments):,}")
    try:
        return call.model_validate(arguments)
    except ValidationError as wrong:
        raise refusal_of(wrong, [to_camel(field) for field in call.model_fields]) from wrong


def said_in(call: Call) -> dict[str, object]:
    """Return the arguments that the call was given, by their names in JSON; nothing is copied."""
    return {to_camel(name): getattr(call, name) for name in type(call).model_fields if name in call.model_fields_set}


def refusal_of(wrong: ValidationError, known: Sequence[str]) -> InvalidContent:
    """Return the error that names the first argument that is wrong; `known` are the names of all."""
    first = wrong.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])[:LONGEST_TOLD] or "arguments"
    listed = ", ".join(f"`{each}`" for each in known)
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")[:LONGEST_TOLD]
    expected = {"extra_forbidden": f"one of {listed or 'no arguments'}", "missing": "a value"}
    got = "nothing" if first["type"] == "missing" else f"a `{type(first['input']).__name__}`"
    return InvalidContent(name, expected=expected.get(first["type"], message), got=got)
