"""The route by which what agents have put out comes in as text. What is found in it, and kept, is the engine's."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from handiwork.server.answers import CollectedAnswer, problems
from handiwork.server.artifacts import json_answer, provenance_of, shape_of
from handiwork.server.bodies import OutputOrder
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API
from handiwork.server.strict_bodies import StrictRoute
from handiwork.server.uploads import called
from handiwork.versions.collecting import Output

router = APIRouter(tags=["artifacts"], route_class=StrictRoute)


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
async def collect(session: str, body: OutputOrder, request: Request, desk: TheDesk, caller: TheCaller) -> Response:
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
