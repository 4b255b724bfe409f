"""Routes that run programs: ordered, looked up and cancelled. How a program is run is the engine's.

What a model is told of a run is in `accounts`.
"""

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from handiwork.access.policy import Caller
from handiwork.engine import Engine
from handiwork.errors import ArtifactExpired, ArtifactNotFound, BlobNotFound, VersionNotFound
from handiwork.executions.runs import Order
from handiwork.ids import ExecutionId
from handiwork.model import MIB, Artifact, Execution
from handiwork.sandbox.sandbox import PROGRAM_NAME
from handiwork.server.answers import RunAnswer, problems
from handiwork.server.artifacts import json_answer, shape_of
from handiwork.server.bodies import RunOrder
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API, Desk
from handiwork.server.downloads import STALL_SECONDS
from handiwork.server.outlets import Outlet
from handiwork.server.path_names import PathName, name_in_path
from handiwork.server.refusals import MalformedRequest, ReadsBusy
from handiwork.server.short_ways import ShortWay, Unusual
from handiwork.server.strict_bodies import StrictRoute, short_and_strictly
from handiwork.shapes import Shape, execution_shape, time_shape
from handiwork.tools.accounts import account_of

MOST_FILE_BYTES = 32 * MIB

Encoding = Literal["base64"]
Files = Annotated[
    Encoding | None,
    Query(description=f"Put the files themselves into the answer, up to {MOST_FILE_BYTES:,} bytes in all."),
]
OfSession = Annotated[str | None, Query(description="Look in this session only.", max_length=200)]

_ORDERING = "/sessions/{session}/executions"

router = APIRouter(tags=["executions"], route_class=StrictRoute)

_ANSWERS = {"model": RunAnswer, "description": "How it went; a program that fails is an answer too"}


@router.post(
    f"{API}{_ORDERING}",
    name="order",
    responses={
        200: _ANSWERS,
        202: {"model": RunAnswer, "description": "It waits for its turn; `Location` tells what becomes of it"},
        **problems(404, 413, 422, 429, 503, 507),
    },
    **demands("execution:run"),
)
async def _order(
    session: PathName, body: RunOrder, request: Request, desk: TheDesk, caller: TheCaller, files: Files = None
) -> Response:
    """Run a program and keep the files that it makes."""
    scope = caller.scope(session)
    runs = desk.engine.runs
    ordered = Order(
        code=body.code,
        inputs=body.inputs,
        limits=None if body.limits is None else body.limits.over(runs.limits.default),
        is_checked=body.check,
        name=body.name or PROGRAM_NAME,
        title=body.title,
        tool_call_id=body.tool_call_id,
        request_id=request.scope.get("state", {}).get("request_id"),
    )
    if body.wait:
        # A client that goes away has not said that the run shall end.
        execution = await runs.see_through(scope, caller.principal, ordered)
        if (files or body.files) is None:
            return _told(desk, execution)
        # The run is over, and whoever has no turn now can ask for the files later.
        return AnswerWithFiles(desk, caller, execution, when_busy="leave_out")
    execution = await runs.start(scope, caller.principal, ordered)
    return _told(desk, execution, status=202, headers={"location": _path(execution.id)})


async def _order_shortly(request: Request, desk: Desk, caller: Caller) -> Response | None:
    if request.scope["query_string"]:
        return None
    try:
        raw = await request.body()
    except ClientDisconnect as gone:
        raise MalformedRequest("body", expected="all of it") from gone
    try:
        body = short_and_strictly(raw, RunOrder.model_validate_json)
    except RequestValidationError:
        raise Unusual(raw) from None
    return await _order(name_in_path(request.path_params["session"]), body, request, desk, caller)


SHORT_WAYS = (ShortWay(method="POST", path=f"{API}{_ORDERING}", permission="execution:run", answer=_order_shortly),)


@router.get(
    f"{API}/executions/{{execution}}",
    responses={200: _ANSWERS, **problems(404, 422, 503)},
    **demands("artifact:read"),
)
async def look_up(
    execution: PathName, desk: TheDesk, caller: TheCaller, session: OfSession = None, files: Files = None
) -> Response:
    """How a run stands: `queued` and `running` before its end."""
    found = await desk.engine.execution(caller.within(session=session), execution)
    return _told(desk, found) if files is None else AnswerWithFiles(desk, caller, found, when_busy="refuse")


@router.post(
    f"{API}/executions/{{execution}}/cancel",
    responses={200: _ANSWERS, **problems(404, 422)},
    **demands("execution:run"),
)
async def cancel(execution: PathName, desk: TheDesk, caller: TheCaller, session: OfSession = None) -> Response:
    """End a run; one that has ended stays as it is."""
    ended = await desk.engine.cancel(caller.within(session=session), execution)
    return _told(desk, ended)


class AnswerWithFiles(Response):
    """How a run went, and its files, which are read when it is the client's turn and held until they are taken."""

    def __init__(
        self,
        desk: Desk,
        caller: Caller,
        execution: Execution,
        *,
        when_busy: Literal["refuse", "leave_out"],
    ) -> None:
        super().__init__()
        self._desk, self._execution, self._when_busy = desk, execution, when_busy
        self._client = (execution.scope.tenant, execution.scope.user, caller.key_id)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        shape, made = _shape(self._desk, self._execution), self._execution.artifacts
        outlet = Outlet(scope, send, stall_seconds=STALL_SECONDS)
        try:
            async with self._desk.reads.turn(self._client):
                shape["files"], shape["filesLeftOut"] = await _files(self._desk.engine, made)
                # Ten megabytes of base64 would keep the others waiting.
                answer = await asyncio.to_thread(json_answer, shape)
                shape.clear()
                await outlet.answer(lambda taken: answer(scope, receive, taken))
        except ReadsBusy:
            if self._when_busy == "refuse":
                raise
            shape |= {"files": [], "filesLeftOut": [each.name for each in made]}
            await json_answer(shape)(scope, receive, send)


def _told(desk: Desk, execution: Execution, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_answer(_shape(desk, execution), status, headers)


def _shape(desk: Desk, execution: Execution) -> Shape:
    shape = execution_shape(execution)
    made: Sequence[Artifact] = execution.artifacts
    session = execution.scope.session
    return shape | {
        "session": session,
        "user": execution.scope.user,
        "createdAt": time_shape(execution.created_at),
        "text": account_of(execution),
        "artifacts": [told | shape_of(artifact) for told, artifact in zip(shape["artifacts"], made, strict=True)],
        "links": {
            "self": _path(execution.id),
            "gallery": f"{desk.origins.public}/#session={quote(session, safe='')}",
        },
    }


async def _files(engine: Engine, made: Sequence[Artifact]) -> tuple[list[Shape], list[str]]:
    """Return the files as far as they are there and may be held at once, and the names of the others."""
    files: list[Shape] = []
    left_out: list[str] = []
    room = MOST_FILE_BYTES
    for artifact in made:
        size = artifact.version.size
        try:
            if size > room:
                left_out.append(artifact.name)
                continue
            files.append(await _file(engine, artifact))
            room -= size
        except (ArtifactExpired, ArtifactNotFound, BlobNotFound, VersionNotFound):
            # Gone since the run was read; that it went is no failure of the run.
            left_out.append(artifact.name)
    return files, left_out


async def _file(engine: Engine, artifact: Artifact) -> Shape:
    filed = await engine.find(artifact.scope, artifact.id, version=artifact.version.number)
    content = b"".join([chunk async for chunk in engine.content(filed)])
    data = await asyncio.to_thread(base64.b64encode, content)
    return {"name": artifact.name, "mediaType": artifact.media_type, "data": data.decode("ascii")}


def _path(execution_id: ExecutionId) -> str:
    return f"{API}/executions/{execution_id}"
