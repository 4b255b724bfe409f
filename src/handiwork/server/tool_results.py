"""Routes on what tools have answered: recorded, read in parts, and promoted. What that means is the engine's.

An answer is an artifact too, so that all other routes know it by its id.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from handiwork.errors import ArtifactNotFound
from handiwork.model import TOOL_RESULT
from handiwork.server.answers import ArtifactAnswer, ToolResultAnswer, problems
from handiwork.server.artifacts import json_answer, path_of, provenance_of, shape_of, whole_shape
from handiwork.server.bodies import NewToolResult, PromotionOrder, ResultQuery
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.delivery import excerpt
from handiwork.server.desk import API
from handiwork.server.path_names import PathName
from handiwork.server.strict_bodies import StrictRoute
from handiwork.server.uploads import json_tool_result
from handiwork.store.records import Promotion

router = APIRouter(tags=["tool results"], route_class=StrictRoute)

_WRITING = demands("artifact:write")
_BODY = {"required": True, "content": {"application/json": {"schema": NewToolResult.model_json_schema()}}}
# The route reads the body by itself, and says what it takes.
_RECORDING: dict[str, Any] = {**_WRITING, "openapi_extra": {**_WRITING["openapi_extra"], "requestBody": _BODY}}
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "Where the artifact is"}}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.post(
    f"{API}/sessions/{{session}}/tool-results",
    status_code=201,
    responses={
        201: {"model": ToolResultAnswer, "description": "What is kept", "headers": _LOCATION},
        **problems(400, 403, 404, 413, 415, 422, 429, 507),
    },
    **_RECORDING,
)
async def record(session: PathName, request: Request, desk: TheDesk, caller: TheCaller) -> Response:
    """Keep what a tool has answered, for half an hour or as long as `ttl` says."""
    scope, since = caller.scope(session), desk.clock()
    result = await json_tool_result(request, desk.engine.types, provenance=provenance_of(request, caller))
    recorded = await desk.engine.tool_results.record(scope, result, since=since)
    return json_answer({**shape_of(recorded), "cacheId": recorded.id}, 201, {"location": path_of(recorded)})


@router.get(
    f"{API}/sessions/{{session}}/tool-results/{{cache_id}}",
    response_class=Response,
    responses={200: {"description": "The result, or a part of it", "content": _TEXT}, **problems(404, 410, 422)},
    **demands("artifact:read"),
)
async def read(
    session: PathName, cache_id: str, desk: TheDesk, caller: TheCaller, wanted: Annotated[ResultQuery, Query()]
) -> Response:
    """What a tool has answered as text, or with `select` a part of it; at most 32 KiB at once.

    `X-Continuation` is the selector of what follows, `X-Total` how many there are where that is known, and `X-Tokens`
    about what it costs a model. Bytes that are no text are read like the content of any artifact.
    """
    filed = await desk.engine.find(caller.scope(session), cache_id)
    if filed.artifact.type != TOOL_RESULT:
        raise ArtifactNotFound(cache_id)
    return excerpt(await desk.engine.select(filed, wanted.select), filed)


@router.post(
    f"{API}/sessions/{{session}}/promotions",
    status_code=201,
    responses={
        201: {"model": ArtifactAnswer, "description": "The artifact, made just now", "headers": _LOCATION},
        200: {"model": ArtifactAnswer, "description": "The artifact that was made before", "headers": _LOCATION},
        **problems(403, 404, 410, 413, 415, 422, 429, 507),
    },
    **_WRITING,
)
async def promote(
    session: PathName, body: PromotionOrder, request: Request, desk: TheDesk, caller: TheCaller
) -> Response:
    """Make an artifact that stays of what a tool has answered last without failing; once, however often it is asked."""
    promoted = await desk.engine.tool_results.promote(
        caller.scope(session),
        Promotion(tool_call_id=body.tool_call_id, type=body.type),
        title=body.title,
        provenance=provenance_of(request, caller),
    )
    shape = await whole_shape(desk, promoted.artifact)
    return json_answer(shape, 201 if promoted.is_new else 200, {"location": path_of(promoted.artifact)})
