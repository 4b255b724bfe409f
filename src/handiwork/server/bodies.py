"""What clients send, as pydantic models: the door at which it is parsed. What is done with it is the routes' affair."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    StrictBool,
    model_validator,
)
from pydantic.alias_generators import to_camel

from handiwork.engine import MOST_ON_A_PAGE
from handiwork.errors import InvalidLimit
from handiwork.model import KIB, Limits
from handiwork.quantities import seconds, size

MOST_KEYS = 64
LARGEST_METADATA_BYTES = 16 * KIB
LONGEST_LANGUAGE = 100
# Where a client escapes all that it can, `\u0000`.
JSON_BYTES_FOR_ONE = 6


class Body(BaseModel):
    """A JSON object: camelCase or snake_case keys, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _has_few_keys(cls, value: object) -> object:
        # Each unknown key is an error of its own, and a million of them would keep the server busy for seconds.
        if not isinstance(value, dict):
            return value
        told = cast("dict[object, object]", value)
        if len(told) > MOST_KEYS:
            raise ValueError(f"at most {MOST_KEYS} fields")
        return told


def _seconds(value: object) -> object:
    return _parsed(seconds, value)


def _size(value: object) -> object:
    return _parsed(size, value)


def _parsed(parse: Callable[[str | float], float], value: object) -> object:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        return value
    try:
        return parse(value)
    except InvalidLimit as wrong:
        raise ValueError(f"expected {wrong.expected}") from wrong


def _storable(value: str) -> str:
    # Half of a surrogate pair can be spelled in JSON and by no database.
    value.encode()
    return value


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # Neither a number that JSON does not know nor half of a surrogate pair can be spelled here.
    spelled = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(spelled.encode()) > LARGEST_METADATA_BYTES:
        raise ValueError(f"at most {LARGEST_METADATA_BYTES:,} bytes of JSON")
    return value


_Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=str | _Positive), Field(gt=0)]
Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=str | Annotated[int, Field(gt=0)]), Field(gt=0)]
Retention = Annotated[
    timedelta,
    BeforeValidator(_seconds, json_schema_input_type=str | _Positive),
    # Beyond that there is no date to write down.
    Field(gt=timedelta(0), le=timedelta(days=36_525)),
]
Text = Annotated[str, AfterValidator(_storable)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small)]
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]


class RunLimits(Body):
    """What one run may use: `"30s"`, `"512MB"` and the like; what is left out is the deployment's default."""

    timeout: Seconds | None = None
    memory: Size | None = None
    output: Size | None = None
    processes: Annotated[int, Field(ge=1)] | None = None

    def over(self, default: Limits) -> Limits:
        return Limits(
            wall_seconds=self.timeout or default.wall_seconds,
            memory_bytes=self.memory or default.memory_bytes,
            output_bytes=self.output or default.output_bytes,
            file_bytes=default.file_bytes,
            processes=self.processes or default.processes,
            stdout_bytes=default.stdout_bytes,
        )


class RunOrder(Body):
    """A program to run. `inputs` are ids or handles of artifacts of the session."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "print('hello')", "wait": True}]})

    code: Text
    # One wrong input is enough to refuse all: there may be a million of them.
    inputs: Annotated[tuple[Text, ...], FailFast()] = ()
    limits: RunLimits | None = None
    check: StrictBool = True
    wait: StrictBool = True
    files: Literal["base64"] | None = None
    name: Annotated[Text, Field(min_length=1, max_length=200)] | None = None


class NewArtifact(Body):
    """An artifact to be: `content` as text, or as base64 where `encoding` says so. Files come by multipart."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "file", "name": "sales.csv", "content": "month,sales\nJanuary,7\n"}]}
    )

    type: Text
    title: Text | None = None
    name: Text | None = None
    content: Text
    encoding: Literal["text", "base64"] = "text"
    media_type: Annotated[
        Text | None,
        Field(max_length=255, description="What you take the content for. It decides nothing: the bytes and name do."),
    ] = None
    language: Annotated[
        Text | None,
        Field(
            min_length=1,
            max_length=LONGEST_LANGUAGE,
            description="The language that it is written in; without it the one that the content is found to be in.",
        ),
    ] = None
    metadata: Annotated[
        Metadata | None,
        Field(
            description=f"What is to be kept with it: an object of at most {LARGEST_METADATA_BYTES:,} bytes of JSON."
        ),
    ] = None
    retention: Retention | None = None


class UploadFields(Body):
    """What a form says beside its files; it holds for each of them."""

    type: Text = "file"
    title: Text | None = None
    retention: Retention | None = None


class ArtifactQuery(BaseModel):
    """Which artifacts of a session are wanted; `q` is a text in title, file name or handle."""

    model_config = ConfigDict(frozen=True)

    type: Annotated[Text, Field(max_length=200)] | None = None
    state: Annotated[Text, Field(max_length=200)] | None = None
    q: Annotated[Text, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ON_A_PAGE)] = 100
    cursor: Annotated[Text, Field(max_length=1000)] | None = None


class Hold(Body):
    held: StrictBool = True


class LinkOrder(Body):
    disposition: Literal["inline", "attachment"] = "attachment"
    version: VersionNumber | None = None
    expires_in: Seconds | None = None


class TokenOrder(Body):
    user: Text | None = None
    session: Text | None = None
    principal: Literal["user", "agent"] = "user"
    expires_in: Seconds | None = None
