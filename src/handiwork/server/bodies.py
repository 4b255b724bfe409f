"""What clients send, as pydantic models: the door at which it is parsed. What is done with it is the routes' affair."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    Json,
    JsonValue,
    StrictBool,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from handiwork.errors import InvalidLimit
from handiwork.model import KIB, LONGEST_RETENTION, Limits
from handiwork.quantities import seconds, size
from handiwork.verbs import LARGEST_SELECTION_BYTES, MOST_ON_A_PAGE
from handiwork.versions.calls import Number

MOST_KEYS = 64
LARGEST_METADATA_BYTES = 16 * KIB
LONGEST_LANGUAGE = 100
LONGEST_REASON = 1000
# Where a client escapes all that it can, `\u0000`.
JSON_BYTES_FOR_ONE = 6
FOR_EVER = timedelta.max
"""What `forever` is read as, for an artifact that never expires."""


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
    if isinstance(value, bool):
        raise ValueError("expected a number, or text such as `30s` or `1MB`")  # noqa: TRY004  # pydantic wants this one
    if not isinstance(value, (str, int, float)):
        return value
    try:
        return parse(value)
    except InvalidLimit as wrong:
        raise ValueError(f"expected {wrong.expected}") from wrong


def _or_for_ever(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    return FOR_EVER if value == "forever" else handler(value)


def _storable(value: str) -> str:
    # Half of a surrogate pair can be spelled in JSON and by no database.
    value.encode()
    return value


def _spellable(value: JsonValue) -> JsonValue:
    return _storable(value) if isinstance(value, str) else value


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    # Neither a number that JSON does not know nor half of a surrogate pair can be spelled here.
    spelled = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(spelled.encode()) > LARGEST_METADATA_BYTES:
        raise ValueError(f"at most {LARGEST_METADATA_BYTES:,} bytes of JSON")
    return value


_Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=str | _Positive), Field(gt=0)]
Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=str | Annotated[int, Field(gt=0)]), Field(gt=0)]
_NotNegative = Annotated[int, Field(ge=0)]
_SizeOrNone = Annotated[int, BeforeValidator(_size, json_schema_input_type=str | _NotNegative), Field(ge=0)]
Retention = Annotated[
    timedelta,
    BeforeValidator(_seconds, json_schema_input_type=str | _Positive),
    # Beyond that there is no date to write down.
    Field(gt=timedelta(0), le=LONGEST_RETENTION),
    WrapValidator(_or_for_ever),
]
Text = Annotated[str, AfterValidator(_storable)]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small)]
Content = Annotated[
    JsonValue,
    AfterValidator(_spellable),
    Field(description="Text; base64 where `encoding` says so; or any JSON, for a type of structured content."),
]
Select = Annotated[
    Text,
    Field(
        max_length=2000,
        description="One of `rows=10:20 lines=1:50 head=20 tail=20 path=$.a[3] grep=text search=words`.",
    ),
]
VersionNumber = Annotated[Number, Field(le=2**31 - 1)]


class RunLimits(Body):
    """What one run may use: `"30s"`, `"512MB"` and the like; what is left out is the deployment's default."""

    timeout: Seconds | None = None
    memory: Size | None = None
    output: Size | None = None
    file: Size | None = None
    stdout: _SizeOrNone | None = None
    processes: Annotated[int, Field(ge=1)] | None = None

    def over(self, default: Limits) -> Limits:
        return Limits(
            wall_seconds=self.timeout or default.wall_seconds,
            memory_bytes=self.memory or default.memory_bytes,
            output_bytes=self.output or default.output_bytes,
            file_bytes=self.file or default.file_bytes,
            processes=self.processes or default.processes,
            stdout_bytes=default.stdout_bytes if self.stdout is None else self.stdout,
        )


ToolCall = Annotated[Text | None, Field(max_length=200, description="The tool call that made it.")]


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
    title: Annotated[Text | None, Field(max_length=300, description="What it makes is called so.")] = None
    tool_call_id: ToolCall = None


class NewArtifact(Body):
    """An artifact to be: `content` as text, or as base64 where `encoding` says so. Files come by multipart."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "file", "name": "sales.csv", "content": "month,sales\nJanuary,7\n"}]}
    )

    type: Text
    title: Text | None = None
    name: Text | None = None
    tool_call_id: ToolCall = None
    content: Content
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
    summary: Annotated[Text | None, Field(description="What it is, in a line; absent is what its type says.")] = None
    handle: Annotated[Text | None, Field(description="Absent is a new one, made of the name.")] = None


class NewToolResult(Body):
    """What a tool has answered: `result` as any JSON, a text being a text, or `bytes` in base64."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"toolCallId": "call_1", "tool": "crm.search", "result": [{"name": "Ada"}], "ttl": "1h"}]
        }
    )

    tool_call_id: Annotated[Text, Field(description="The id of the call: 1 to 200 printable characters.")]
    tool: Annotated[Text, Field(description="The name of the tool: 1 to 200 printable characters.")]
    result: JsonValue = None
    data: Annotated[Text, Field(alias="bytes", description="In base64; exactly one of this and `result`.")] = ""
    media_type: Annotated[
        Text | None,
        Field(max_length=255, description="What text or bytes are, where they do not tell themselves."),
    ] = None
    category: Text | None = None
    ttl: Annotated[Retention | None, Field(description="How long it is kept: `30m` by default, `24h` at most.")] = None
    summary_data: Annotated[
        Metadata | None,
        Field(description=f"What it holds in short: an object of at most {LARGEST_METADATA_BYTES:,} bytes of JSON."),
    ] = None
    failed: Annotated[StrictBool, Field(description="Whether the call failed; such a result is never promoted.")] = (
        False
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "NewToolResult":
        if len(self.model_fields_set & {"result", "data"}) != 1:
            raise ValueError("exactly one of `result` and `bytes`")
        return self

    @property
    def is_bytes(self) -> bool:
        return "data" in self.model_fields_set


class PromotionOrder(Body):
    """The result of which tool call is to become an artifact, and of which type."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"toolCallId": "call_1", "type": "csv"}]})

    tool_call_id: Text
    type: Text
    title: Text | None = None


class NewVersion(Body):
    """What an artifact is to become: exactly one of `content` and `patch`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"patch": [{"find": "Q3", "replace": "Q4"}], "baseVersion": 1}]}
    )

    content: Content | None = None
    tool_call_id: ToolCall = None
    encoding: Literal["text", "base64"] = "text"
    patch: Annotated[
        JsonValue,
        Field(description="Edits `[{find, replace}]` that each fit exactly one place, a JSON Patch, or a merge patch."),
    ] = None
    base_version: Annotated[
        VersionNumber | None, Field(description="The version that this was decided on; absent is the newest.")
    ] = None
    title: Text | None = None
    language: Annotated[Text | None, Field(min_length=1, max_length=LONGEST_LANGUAGE)] = None
    metadata: Metadata | None = None
    reason: Annotated[Text | None, Field(max_length=LONGEST_REASON)] = None


class Restoring(Body):
    version: VersionNumber


class Labels(Body):
    labels: Annotated[tuple[Text, ...], Field(max_length=1000)]


class Step(Body):
    """A state to go to, and facts to be noted; a fact that is null is taken away."""

    state: Annotated[Text | None, Field(max_length=64)] = None
    facts: Metadata | None = None


class UploadFields(Body):
    """What a form says beside its files; it holds for each of them."""

    type: Text = "file"
    title: Text | None = None
    name: Annotated[Text | None, Field(description="Instead of the name that the one file comes with.")] = None
    language: Annotated[Text | None, Field(min_length=1, max_length=LONGEST_LANGUAGE)] = None
    metadata: Json[Metadata] | None = None
    retention: Retention | None = None
    summary: Text | None = None
    handle: Text | None = None


class Revised(Body):
    """What is said of a new version whose content is written while it is sent."""

    base_version: VersionNumber | None = None
    title: Text | None = None
    language: Annotated[Text | None, Field(min_length=1, max_length=LONGEST_LANGUAGE)] = None
    metadata: Json[Metadata] | None = None
    reason: Annotated[Text | None, Field(max_length=LONGEST_REASON)] = None


def kept_for(told: timedelta | None) -> timedelta | Literal["default"] | None:
    """Return how long an artifact is kept; None is for ever."""
    return "default" if told is None else None if told == FOR_EVER else told


class ArtifactQuery(BaseModel):
    """Which artifacts of a session are wanted, `without` a type; `q` is a text in title, file name or handle."""

    model_config = ConfigDict(frozen=True)

    type: Annotated[Text, Field(max_length=200)] | None = None
    without: Annotated[Text, Field(max_length=200)] | None = None
    state: Annotated[Text, Field(max_length=200)] | None = None
    q: Annotated[Text, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ON_A_PAGE)] = 100
    cursor: Annotated[Text, Field(max_length=1000)] | None = None


class ResultQuery(BaseModel):
    """Which part of what a tool has answered."""

    model_config = ConfigDict(frozen=True)

    select: Select | None = None


class ContentQuery(BaseModel):
    """Which version of the content, and which part of it."""

    model_config = ConfigDict(frozen=True)

    version: Annotated[VersionNumber | None, Field(description="Absent is the newest.")] = None
    session: Annotated[
        str | None,
        Field(description="The session in which a handle is looked for, and no other.", max_length=200),
    ] = None
    select: Select | None = None
    budget: Annotated[
        int | None,
        Field(ge=1, le=LARGEST_SELECTION_BYTES, description="The most bytes of a part, or of the whole."),
    ] = None


class Hold(Body):
    held: StrictBool = True


class LinkOrder(Body):
    disposition: Literal["inline", "attachment", "view"] = "attachment"
    version: VersionNumber | None = None
    expires_in: Seconds | None = None


class ExpandOrder(Body):
    """A text whose references are to be expanded, and who will read it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Here it is: <artifact id='chart_k3x9'/>", "audience": "user"}]}
    )

    text: str
    audience: Literal["user", "agent", "model"] = "user"
    reveal: Annotated[Literal["none", "summary", "full"], Field(description="How much another agent gets to see.")] = (
        "summary"
    )


class TokenOrder(Body):
    user: Text | None = None
    session: Text | None = None
    principal: Literal["user", "agent"] = "user"
    expires_in: Seconds | None = None
