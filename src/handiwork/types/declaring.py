"""How a type of one's own is declared: a mark on a content model of pydantic, or on a function that checks text.

A mark changes nothing by itself; `Registry` takes marked objects, and `handiwork.open(types=…)` hands them to it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict, TypeVar, Unpack, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import ErrorDetails, PydanticSerializationError

from handiwork.errors import ContentRefused, InvalidType
from handiwork.media.formats import BY_NAME, Format, format_named
from handiwork.model import KIB, Category
from handiwork.types.artifact_type import ArtifactType, Checked, describe_by_size
from handiwork.types.plain_text import LONGEST_EXCERPT, excerpt, text_of
from handiwork.types.strict_json import json_path, parsed, written

CAP_BYTES = 256 * KIB
MOST_FAULTS_TOLD = 5

_MARK = "__handiwork_artifact_type__"

CheckText = Callable[[str], object]
Marked = TypeVar("Marked", bound="type[BaseModel] | CheckText")


class Traits(TypedDict, total=False):
    """What may be said of a type beside its name; see `ArtifactType`. `format` is a word such as `markdown`."""

    label: str
    icon: str
    display: Literal["panel", "inline"]
    category: Category
    cap_bytes: int
    is_streamed: bool
    format: str
    aliases: tuple[str, ...]
    states: tuple[str, ...]
    transitions: Mapping[str, tuple[str, ...]]
    summarize: Callable[[str, Format, int], str]


class ContentModel(BaseModel):
    """Structured content as the store keeps it: names in camelCase, snake_case understood, nothing unknown."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid", allow_inf_nan=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Declaration:
    name: str
    traits: Traits


def artifact_type(name: str, **traits: Unpack[Traits]) -> Callable[[Marked], Marked]:
    """Mark a class or a function as an artifact type.

    A model of pydantic describes JSON content, which is stored as the model writes it. A function is given the text
    of the content; it raises `ValueError` with what it expected when the text will not do.
    """

    def mark(marked: Marked) -> Marked:
        setattr(marked, _MARK, _Declaration(name=name, traits=traits))
        return marked

    return mark


def declared(thing: object) -> ArtifactType:
    """Return the type that a marked object declares, or the type that it is. Raises `InvalidType`."""
    if isinstance(thing, ArtifactType):
        return thing
    # Looked up in the object itself: a class that inherits from a marked one is not marked.
    declaration: object = getattr(thing, "__dict__", {}).get(_MARK)
    if not isinstance(declaration, _Declaration):
        name = str(getattr(thing, "__qualname__", repr(thing)))[:100]
        raise InvalidType(name, problem="expected an `ArtifactType`, or an object marked with `@artifact_type(…)`")
    if isinstance(thing, type):
        if issubclass(thing, BaseModel):
            return _type_of_model(declaration, thing)
    elif callable(thing):
        return _type_of_text(declaration, cast("CheckText", thing))
    raise InvalidType(declaration.name, problem="expected the mark on a model of pydantic or on a function")


def _type_of_model(declaration: _Declaration, model: type[BaseModel]) -> ArtifactType:
    try:
        schema = model.model_json_schema(by_alias=True)
    except (PydanticUserError, PydanticUndefinedAnnotation) as wrong:
        raise InvalidType(declaration.name, problem=f"its model has no JSON Schema ({wrong.message})") from wrong

    def examine(type_: ArtifactType, data: bytes) -> Checked:
        value = parsed(text_of(data, type_.name), type_name=type_.name)
        plain = _as_the_model_writes(model, value, type_.name)
        return Checked(data=written(plain, type_name=type_.name, most_bytes=type_.cap_bytes), value=plain)

    return _typed(declaration, "json", schema=schema, examine=examine)


def _type_of_text(declaration: _Declaration, check: CheckText) -> ArtifactType:
    def examine(type_: ArtifactType, data: bytes) -> Checked:
        text = text_of(data, type_.name)
        try:
            check(text)
        except ValueError as wrong:
            raise ContentRefused(type_.name, expected=str(wrong) or "other text", got=excerpt(text)) from wrong
        except RecursionError as deep:
            raise ContentRefused(type_.name, expected="text that is nested less", got=excerpt(text)) from deep
        return Checked(data=data)

    return _typed(declaration, "text", schema=None, examine=examine)


def _typed(
    declaration: _Declaration,
    content: Literal["text", "json"],
    *,
    schema: Mapping[str, object] | None,
    examine: Callable[[ArtifactType, bytes], Checked],
) -> ArtifactType:
    name, traits = declaration.name, declaration.traits
    if unknown := sorted(traits.keys() - Traits.__annotations__.keys()):
        raise InvalidType(
            name, problem=f"it has no trait `{unknown[0]}`; there are {', '.join(Traits.__annotations__)}"
        )
    format_ = format_named(traits.get("format", content)) or BY_NAME["binary"]
    if not (format_.is_text and format_.delivered):
        raise InvalidType(name, problem=f"its format {traits.get('format')!r} is none that text can be delivered in")
    return ArtifactType(
        name=name,
        label=traits.get("label", name.replace("_", " ").replace("-", " ").capitalize()),
        icon=traits.get("icon", "file"),
        display=traits.get("display", "panel"),
        cap_bytes=traits.get("cap_bytes", CAP_BYTES),
        is_streamed=traits.get("is_streamed", content == "text"),
        summarize=traits.get("summarize", describe_by_size),
        aliases=traits.get("aliases", ()),
        content=content,
        format=format_,
        category=traits.get("category", format_.category),
        schema=schema,
        states=traits.get("states", ()),
        transitions=traits.get("transitions", {}),
        examine=examine,
    )


def _as_the_model_writes(model: type[BaseModel], value: object, type_name: str) -> object:
    try:
        # What it writes must be something that it reads, so that checking twice changes nothing.
        return model.model_validate(value).model_dump(mode="json", by_alias=True, round_trip=True)
    except ValidationError as wrong:
        raise _unlike(wrong, type_name) from wrong
    except (PydanticSerializationError, RecursionError) as wrong:
        raise ContentRefused(type_name, expected="content that its model can write", got="other content") from wrong


def _unlike(wrong: ValidationError, type_name: str) -> ContentRefused:
    first, *others = wrong.errors(include_url=False, include_context=False)
    told = [f"`{json_path(each['loc'])}`: expected {_wanted(each)}" for each in others[:MOST_FAULTS_TOLD]]
    left_out = len(others) - len(told)
    more = [f"{left_out:,} more"] if left_out else []
    return ContentRefused(
        type_name,
        where=json_path(first["loc"]),
        expected=_wanted(first),
        got=_kind_of(first["input"]) if first["type"] != "missing" else "nothing",
        hint=f"Mend this as well: {'; '.join(told + more)}." if others else None,
    )


def _wanted(fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return "a value, which is required"
    if fault["type"] == "extra_forbidden":
        return "no value of this name"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")
    return message[:300]


def _kind_of(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return excerpt(value) if value else "an empty text"
        case None | bool() | int() | float():
            return json.dumps(value)[:LONGEST_EXCERPT]
        case _:
            return f"a `{type(value).__name__}`"
