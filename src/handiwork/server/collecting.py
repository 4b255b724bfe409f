"""The route by which what agents have put out comes in as text. What is found in it, and kept, is the engine's."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response

from handiwork.server.answers import CollectedAnswer, problems
from handiwork.server.artifacts import json_answer, provenance_of, shape_of
from handiwork.server.bodies import Body, Text, ToolCall
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API
from handiwork.server.path_names import PathName
from handiwork.server.strict_bodies import ContentRoute
from handiwork.server.uploads import called
from handiwork.versions.collecting import Output


class OutputOrder(Body):
    """What an agent has put out: its text, and what a tool told beside its answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "```py\nx = 1\n```", "iteration": 3}]})

    text: Text = ""
    metadata: Annotated[
        JsonValue, Field(description="An object with `artifact` true, `kind`, `name` and `content`, or a list of such.")
    ] = None
    iteration: Annotated[int, Field(strict=True, description="A part of the names; from 0 to 1,000,000.")] = 0
    tool_call_id: ToolCall = None


router = APIRouter(tags=["artifacts"], route_class=ContentRoute)


@router.post(
    f"{API}/sessions/{{session}}/collect",
    status_code=201,
    responses={
        201: {"model": CollectedAnswer, "description": "The artifacts, some of them made just now"},
        200: {"model": CollectedAnswer, "description": "The artifacts, none of which is new"},
        **problems(403, 404, 413, 415, 422, 429, 507),
    },
    **demands("artifact:write"),
)
async def collect(session: PathName, body: OutputOrder, request: Request, desk: TheDesk, caller: TheCaller) -> Response:
    """Keep code blocks, documents and what a tool declares as artifacts; all or none, and the same only once."""
    output = Output(
        text=body.text,
        metadata=body.metadata,
        iteration=body.iteration,
        provenance=called(provenance_of(request, caller), body.tool_call_id),
    )
    collected = await desk.engine.collecting.collect(caller.scope(session), output)
    items = [shape_of(artifact) for artifact in collected.artifacts]
    return json_answer({"items": items}, 201 if collected.is_new else 200)
