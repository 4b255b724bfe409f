"""The schemas of tools: valid, taken by the providers' own types, and strict where a provider binds models to them."""

import json
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from anthropic.types import ToolParam
from mcp.types import Tool as McpTool
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel, Field, TypeAdapter, create_model

from handiwork.tools.schemas import STRICT, parameters_of, strict_parameters_of
from handiwork.tools.table import ENTRIES, tools_for
from handiwork.tools.tool import Offer, Tool

OFFER = Offer(types=("markdown", "email_draft"), actions=("send",), libraries={"pandas": "3.1.1"})
TOOLS = {tool.name: tool for tool in tools_for(OFFER)}
# Of JSON Schema, what models that are bound to a schema have been taking from the beginning.
STRICT_WORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "description"}

CALLS: dict[str, list[dict[str, Any]]] = {
    "generate_file": [{"code": "1"}, {"code": "1", "inputs": ["a_k3x9"], "title": "A"}],
    "generate_artifact": [
        {"type": "markdown", "title": "A", "content": "# A"},
        {"type": "email_draft", "title": "A", "content": {"to": []}, "language": "en", "mediaType": "text/html"},
    ],
    "revise_artifact": [
        {"artifactId": "a_k3x9", "patch": [{"find": "a", "replace": "b"}], "baseVersion": 1},
        {"artifactId": "a_k3x9", "patch": {"subject": None}},
        {"artifactId": "a_k3x9", "content": "b"},
    ],
    "read_artifact": [{"artifactId": "a_k3x9"}, {"artifactId": "a_k3x9", "version": 2, "select": "head=3"}],
    "list_artifacts": [{}, {"type": "csv", "query": "sales"}],
    "promote_to_artifact": [{"toolCallId": "call_1", "type": "csv", "title": "A"}],
    "get_cached_result": [{"cache_id": "a_k3x9", "select": "rows=0:3"}],
    "propose_action": [{"artifactId": "a_k3x9", "action": "send", "params": {"now": True}}],
}


@pytest.fixture(params=TOOLS.values(), ids=lambda tool: tool.name)
def tool(request: pytest.FixtureRequest) -> Tool:
    return request.param


def test_the_table_is_that_of_the_contract() -> None:
    assert list(TOOLS) == list(CALLS)
    arguments = {name: list(dict(tool.parameters)["properties"]) for name, tool in TOOLS.items()}  # pyright: ignore[reportArgumentType, reportCallIssue]  # JSON
    assert arguments == {
        "generate_file": ["code", "inputs", "title"],
        "generate_artifact": ["type", "title", "content", "language", "mediaType"],
        "revise_artifact": ["artifactId", "patch", "content", "baseVersion"],
        "read_artifact": ["artifactId", "version", "select"],
        "list_artifacts": ["type", "query"],
        "promote_to_artifact": ["toolCallId", "type", "title"],
        "get_cached_result": ["cache_id", "select"],
        "propose_action": ["artifactId", "action", "params"],
    }


def test_an_action_is_proposed_where_a_type_has_one() -> None:
    assert "propose_action" not in [tool.name for tool in tools_for(Offer(types=("markdown",)))]


def test_the_descriptions_say_what_a_model_cannot_know(tool: Tool) -> None:
    said = {
        "generate_file": "pandas 3.1",
        "generate_artifact": "html-sandboxed cannot load anything from elsewhere: inline what you need",
        "promote_to_artifact": "only for the rare result that is itself a deliverable",
    }
    assert said.get(tool.name, "") in tool.description


def test_both_forms_are_valid_schemas_that_take_real_calls(tool: Tool) -> None:
    jsonschema.Draft202012Validator.check_schema(tool.parameters)
    jsonschema.Draft202012Validator.check_schema(tool.strict_parameters or False)
    for call in CALLS[tool.name]:
        jsonschema.validate(call, tool.parameters)


def test_arguments_that_a_tool_does_not_have_are_none_of_its_schema(tool: Tool) -> None:
    for call in CALLS[tool.name]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**call, "other": 1}, tool.parameters)


def test_the_strict_form_requires_everything_and_uses_few_words(tool: Tool) -> None:
    assert tool.strict_parameters is not None
    for schema in objects_in(tool.strict_parameters):
        assert schema.keys() <= STRICT_WORDS
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])


def test_in_the_strict_form_what_may_be_left_out_is_null(tool: Tool) -> None:
    strict: Any = tool.strict_parameters
    for call in CALLS[tool.name]:
        whole = {name: as_bound(name, call.get(name)) for name in strict["properties"]}
        jsonschema.validate(whole, strict)


def as_bound(name: str, value: Any) -> Any:
    """A model that is bound writes objects of any names as text, and patches as edits."""
    if name == "patch" and isinstance(value, dict):
        return [{"find": "a", "replace": "b"}]
    return json.dumps(value) if isinstance(value, dict) else value


def objects_in(schema: Any) -> list[dict[str, Any]]:
    """Every schema in a schema."""
    if not isinstance(schema, dict):
        return []
    below = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), schema.get("items")]
    return [schema, *(found for each in below for found in objects_in(each))]


class Line(BaseModel):
    item: str
    amount: Annotated[float, Field(ge=0)] = 1
    note: str | None = None


# Each with whether it has a strict form.
OWN: list[tuple[Any, bool]] = [
    (str, True),
    (list[int], True),
    (Literal["a", "b"], True),
    (Literal["a", "b"] | None, True),
    (int | str, True),
    (Line, True),
    (list[Line], True),
    (Line | None, True),
    (dict[str, int], False),
    (dict[str, Any], False),
    (list[Any], False),
    (Any, False),
    (tuple[int, str], False),
]


@pytest.mark.parametrize(("kind", "is_strict"), OWN, ids=lambda each: str(each))
@pytest.mark.parametrize("default", [False, True])
def test_arguments_of_any_type_have_a_schema_and_a_strict_form_where_there_is_one(
    kind: Any, is_strict: bool, default: bool
) -> None:
    field = Field(default_factory=lambda: None) if default else Field()
    model = create_model("Own", argument=(kind, field))
    jsonschema.Draft202012Validator.check_schema(parameters_of(model))
    strict = strict_parameters_of(model)
    assert (strict is not None) == is_strict
    if strict is not None:
        jsonschema.Draft202012Validator.check_schema(strict)
        assert strict["required"] == ["argument"]
        assert STRICT not in json.dumps(strict)
        if default:
            jsonschema.validate({"argument": None}, strict)


def test_an_argument_may_be_called_like_a_word_of_schemas() -> None:
    model = create_model("Own", title=(str, ...), default=(int, ...), properties=(list[str], ...))
    for schema in (parameters_of(model), strict_parameters_of(model)):
        assert schema is not None
        jsonschema.validate({"title": "a", "default": 1, "properties": ["a"]}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"title": 1, "default": 1, "properties": ["a"]}, schema)


def test_the_shapes_are_those_of_the_providers() -> None:
    from handiwork.tools.toolbox import Toolbox

    toolbox = Toolbox(None, OFFER)  # pyright: ignore[reportArgumentType]  # nothing is called
    for shape, kind in (
        (toolbox.openai(), FunctionToolParam),
        (toolbox.openai_chat(), ChatCompletionFunctionToolParam),
        (toolbox.anthropic(), ToolParam),
        (toolbox.mcp(), McpTool),
    ):
        assert len(shape) == len(ENTRIES)
        for entry in shape:
            TypeAdapter(kind).validate_python(entry)
            if kind is not McpTool:
                assert set(entry) <= set(kind.__annotations__)
    assert [entry["strict"] for entry in toolbox.openai()] == [True] * len(ENTRIES)
