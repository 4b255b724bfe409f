"""The OpenAPI document: what FastAPI finds out about the routes, and what only we know.

That is the problems, which types there are, and what of an answer leads on to which other operation. What each route
takes and answers is declared beside it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from handiwork.server.answers import PROBLEM_NAME, Problem
from handiwork.server.desk import Desk

Document = dict[str, Any]

_ON_AN_ARTIFACT = (
    "look_at",
    "read_content",
    "read_content_headers",
    "list_versions",
    "thumbnail",
    "hold",
    "link_to",
    "remove",
)
_IN_A_SESSION = ("list_artifacts", "create", "order", "events", "erase_session")

# From an operation and its answer: which operations, which of their parameters, and where its value is.
_LINKS: Mapping[tuple[str, str], tuple[tuple[Iterable[str], str, str], ...]] = {
    ("create", "201"): (
        (_ON_AN_ARTIFACT, "artifact", "$response.body#/id"),
        (_IN_A_SESSION, "session", "$request.path.session"),
    ),
    ("list_artifacts", "200"): ((_ON_AN_ARTIFACT, "artifact", "$response.body#/items/0/id"),),
    ("look_at", "200"): ((("read_content", "remove"), "artifact", "$response.body#/id"),),
    ("read_content", "200"): ((("read_content", "remove"), "artifact", "$request.path.artifact"),),
    ("hold", "200"): ((("look_at", "remove"), "artifact", "$response.body#/id"),),
    ("remove", "204"): ((("look_at", "read_content"), "artifact", "$request.path.artifact"),),
    ("order", "200"): (
        (("look_up", "cancel"), "execution", "$response.body#/id"),
        (("read_content", "thumbnail"), "artifact", "$response.body#/artifacts/0/id"),
    ),
    ("order", "202"): ((("look_up", "cancel"), "execution", "$response.body#/id"),),
    ("list_sessions", "200"): ((_IN_A_SESSION, "session", "$response.body#/items/0/session"),),
}
# One of Server-Sent Events, not what they are on the wire.
_EVENT: Document = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The `seq`, to go on from"},
        "event": {"type": "string", "description": "The type"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["data"],
}


def document_of(app: FastAPI, desk: Desk) -> Document:
    """Return the document, which is made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas[PROBLEM_NAME] = Problem.model_json_schema(mode="serialization")
        operations = {each["operationId"]: each for methods in made["paths"].values() for each in methods.values()}
        _name_types(operations["create"], [type_.name for type_ in desk.engine.types])
        operations["events"]["responses"]["200"]["content"] = {"text/event-stream": {"itemSchema": _EVENT}}
        for (source, status), ways in _LINKS.items():
            operations[source]["responses"][status]["links"] = _links(ways)
        app.openapi_schema = made
    return app.openapi_schema


def _name_types(create: Document, names: list[str]) -> None:
    schemas = [taken["schema"] for taken in create["requestBody"]["content"].values()]
    for schema in schemas:
        if "properties" in schema:
            schema["properties"]["type"] |= {"enum": names}


def _links(ways: Iterable[tuple[Iterable[str], str, str]]) -> Document:
    return {
        target: {"operationId": target, "parameters": {parameter: place}}
        for targets, parameter, place in ways
        for target in targets
    }
