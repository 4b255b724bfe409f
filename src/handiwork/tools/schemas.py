"""JSON Schemas of arguments as language models are given them: short, and in a strict form.

The strict form is the part of JSON Schema to which a provider can bind what a model writes: every property is required
and none else allowed, and what may be left out may be null. What the arguments mean is not known here.
"""

import functools
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

Schema = dict[str, Any]

# Where a schema says its strict form itself. No argument of a function can be called so.
STRICT = "x-strict"
# What says nothing to a model that name and description do not, or is said by `null` already.
_SILENT = frozenset({"title", "default"})
_UNSUPPORTED = _SILENT | {
    "discriminator", "examples", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maximum",
    "minItems", "minLength", "minimum", "multipleOf", "pattern", "uniqueItems",
}  # fmt: skip
_NULL: Schema = {"type": "null"}


class NotStrict(Exception):
    """The schema has values of any kind or names that are not known before; the message says where."""


def parameters_of(model: type[BaseModel]) -> Schema:
    """Return the arguments that the model reads, as a JSON Schema without its repetitions."""
    return _without_strict(_brief(_schema_of(model)))


def strict_parameters_of(model: type[BaseModel]) -> Schema | None:
    """Return the strict form, or None where the arguments have none."""
    try:
        return _strict(_brief(_schema_of(model)))
    except NotStrict:
        return None


@functools.lru_cache(maxsize=256)
def _schema_of(model: type[BaseModel]) -> Schema:
    # It takes longer than all the rest, and servers give the table of tools with each request.
    return model.model_json_schema()


def _brief(schema: Any) -> Any:
    """Leave out what repeats names."""
    if isinstance(schema, list):
        return [_brief(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    brief: Schema = {}
    for name, value in cast("Schema", schema).items():
        if name in ("properties", "$defs"):
            brief[name] = {key: _brief(each) for key, each in value.items()}
        elif name not in _SILENT:
            brief[name] = _brief(value)
    return _without_null(brief)


def _without_null(schema: Schema) -> Schema:
    """Say only once that something may be left out: it is not required."""
    choices = [each for each in schema.get("anyOf", ()) if each != _NULL]
    if len(choices) == len(schema.get("anyOf", ())):
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return choices[0] | rest if len(choices) == 1 else {"anyOf": choices} | rest


def _without_strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_strict(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {name: _without_strict(value) for name, value in cast("Schema", schema).items() if name != STRICT}


def _strict(schema: Any) -> Any:
    """Return the strict form of a brief schema. Raises `NotStrict`."""
    if isinstance(schema, bool) or not schema:
        raise NotStrict("a value of any kind")
    given = cast("Schema", schema)
    if STRICT in given:
        description = {"description": given["description"]} if "description" in given else {}
        return {**given[STRICT], **description}
    strict = {name: value for name, value in given.items() if name not in _UNSUPPORTED}
    for name in ("anyOf", "oneOf"):
        if name in strict:
            strict["anyOf"] = [_strict(each) for each in strict.pop(name)]
    if "$defs" in strict:
        strict["$defs"] = {name: _strict(each) for name, each in strict["$defs"].items()}
    if strict.get("type") == "array":
        strict["items"] = _strict(strict.get("items"))
    if strict.get("type") == "object":
        return _strict_object(strict)
    if not strict.keys() & {"type", "anyOf", "$ref", "enum", "const"} or "prefixItems" in strict:
        raise NotStrict("a value that is not told by its type")
    return strict


def _strict_object(schema: Schema) -> Schema:
    # Names that are not known may be left out, but not be let in.
    is_closed = schema.get("additionalProperties", "properties" not in schema) is False
    if not is_closed:
        raise NotStrict("an object with any names")
    required = set(schema.get("required", ()))
    properties = {
        # What can be one value only is said again and not left out: it tells the members of a union apart.
        name: _strict(each) if name in required or "const" in each else _nullable(_strict(each))
        for name, each in cast("Mapping[str, Any]", schema.get("properties", {})).items()
    }
    return {**schema, "properties": properties, "required": list(properties), "additionalProperties": False}


def _nullable(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], _NULL]}
    if not isinstance(schema.get("type"), str) or "$ref" in schema:
        rest = {"description": schema.pop("description")} if "description" in schema else {}
        return {"anyOf": [schema, _NULL], **rest}
    nullable = {**schema, "type": [schema["type"], "null"]}
    return nullable | {"enum": [*schema["enum"], None]} if "enum" in schema else nullable
