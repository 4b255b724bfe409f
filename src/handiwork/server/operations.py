"""Routes for those who run the server and for clients that ask what it knows. Nothing of any user is told here."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from handiwork.errors import HandiworkError
from handiwork.server.answers import ArtifactTypesAnswer
from handiwork.server.callers import TheDesk, demands, open_to_all
from handiwork.server.desk import API
from handiwork.shapes import Shape
from handiwork.types.described import describe

router = APIRouter(tags=["operations"])


@router.get("/healthz", **open_to_all())
async def health() -> Shape:
    """The process answers."""
    return {"ok": True}


@router.get("/readyz", **open_to_all())
async def readiness(desk: TheDesk) -> Response:
    """The store can be read and runs are taken on; 503 when not."""
    turns = desk.engine.runs.turns
    told: Shape = {"ok": not turns.is_closed, "running": turns.running, "waiting": turns.waiting}
    try:
        await desk.engine.records.sessions("default", "local", limit=1)
    except HandiworkError as failure:
        told |= {"ok": False, "code": failure.code}
    return JSONResponse(told, 200 if told["ok"] else 503)


@router.get(
    f"{API}/artifact-types",
    tags=["artifacts"],
    responses={200: {"model": ArtifactTypesAnswer, "description": "What an artifact can be"}},
    **demands("artifact:read"),
)
async def artifact_types(desk: TheDesk) -> Response:
    """Every registered type of artifact."""
    return JSONResponse({"items": [describe(each) for each in desk.engine.types]})
