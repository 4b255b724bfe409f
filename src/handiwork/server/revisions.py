"""Routes on what becomes of an artifact: its versions, what differs between them, its state, facts and labels.

How a change is decided and merged is the engine's.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.datastructures import Headers
from starlette.responses import Response

from handiwork.access.policy import Caller
from handiwork.errors import ApprovalNeeded, HeadMoved, InvalidName
from handiwork.model import Artifact, Reach, Scope, Version
from handiwork.server.answers import DifferenceAnswer, VersionsAnswer, problems
from handiwork.server.artifacts import (
    ARTIFACT,
    OfSession,
    json_answer,
    provenance_of,
    whole_shape,
)
from handiwork.server.bodies import Labels, NewVersion, Restoring, Revised, Step, VersionNumber
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API, Desk
from handiwork.server.dictation import MEDIA_TYPE as PLAIN
from handiwork.server.dictation import dictated_revision, is_dictated, said_in_query
from handiwork.server.downloads import conditional, etag_of
from handiwork.server.path_names import PathName, name_in_path
from handiwork.server.refusals import PreconditionFailed
from handiwork.server.short_ways import ShortWay
from handiwork.server.strict_bodies import StrictRoute
from handiwork.server.uploads import MERGE_PATCH, called, decoded, json_merge_patch, json_revision, validated
from handiwork.shapes import Shape, version_shape
from handiwork.versions.differences import MISSING
from handiwork.versions.revising import Revision

MOST_VERSIONS_ON_A_PAGE = 100

_VERSIONS = "/artifacts/{artifact}/versions"

router = APIRouter(tags=["artifacts"], route_class=StrictRoute)

_MADE: dict[str, Any] = {**ARTIFACT, "description": "The artifact at its newest version"}
_CHANGES = problems(400, 404, 409, 410, 412, 413, 422, 429, 507)


def _taking(schema: Shape, *, is_dictated: bool = False) -> dict[str, Any]:
    """What a route that changes an artifact is declared with, its body too, since it reads that by itself."""
    declared = demands("artifact:write")
    content: Shape = {"application/json": {"schema": schema}}
    if is_dictated:
        content[PLAIN] = {"schema": {"type": "string"}}
    body = {"required": True, "content": content}
    return {**declared, "openapi_extra": {**declared["openapi_extra"], "requestBody": body}}


@router.get(
    f"{API}{_VERSIONS}",
    responses={200: {"model": VersionsAnswer, "description": "Some of the versions"}, **problems(404, 410, 422)},
    **demands("artifact:read"),
)
async def list_versions(
    artifact: PathName,
    desk: TheDesk,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=MOST_VERSIONS_ON_A_PAGE)] = MOST_VERSIONS_ON_A_PAGE,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
    session: OfSession = None,
) -> Response:
    """The versions of an artifact, the newest first."""
    before = None if cursor is None else _place(cursor)
    page = await desk.engine.revising.revisions.listing(
        caller.within(session=session), artifact, limit=limit, before=before
    )
    following = None if page.next_before is None else str(page.next_before)
    return json_answer({"items": [_listed(each) for each in page.items], "nextCursor": following})


@router.get(
    f"{API}/artifacts/{{artifact}}/diff",
    responses={200: {"model": DifferenceAnswer, "description": "What differs"}, **problems(404, 410, 422)},
    **demands("artifact:read"),
)
async def differ(
    artifact: PathName,
    desk: TheDesk,
    caller: TheCaller,
    start: Annotated[VersionNumber, Query(alias="from")],
    end: Annotated[VersionNumber | None, Query(alias="to", description="Absent is the newest.")] = None,
    session: OfSession = None,
) -> Response:
    """What differs between two versions."""
    found = await desk.engine.revising.diff(caller.within(session=session), artifact, start, end)
    return json_answer(
        {
            "start": found.start,
            "end": found.end,
            "isSame": found.is_same,
            "text": found.text,
            "changes": found.changes,
            "leftOut": found.left_out,
        }
    )


@router.post(
    f"{API}{_VERSIONS}",
    name="revise",
    status_code=201,
    responses={201: _MADE, **_CHANGES},
    **_taking(NewVersion.model_json_schema(), is_dictated=True),
)
async def _revise(
    artifact: PathName, request: Request, desk: TheDesk, caller: TheCaller, session: OfSession = None
) -> Response:
    """Make the next version of an artifact; content that is the same as before makes none.

    Content of plain text is seen by those who follow the session while it is sent; what else a body says, the query
    says of it, and `If-Match` is not for that.
    """
    reach = caller.within(session=session)
    if is_dictated(request):
        said = validated(Revised, _said(request), place="query")
        head = (await desk.engine.find(reach, artifact)).artifact
        made = await dictated_revision(request, desk, head, said, provenance_of(request, caller))
        return await _answered(desk, made, 201)
    body = await json_revision(request, desk.engine.types)
    revision = Revision(
        content=decoded(body) if _says_content(body) else MISSING,
        patch=body.patch,
        base_version=body.base_version,
        expected=await _matched(desk, reach, artifact, request.headers),
        title=body.title,
        language=body.language,
        metadata=body.metadata,
        provenance=called(provenance_of(request, caller, reason=body.reason), body.tool_call_id),
    )
    return await _answered(desk, await _revised(desk, reach, artifact, revision), 201)


async def _revise_shortly(request: Request, desk: Desk, caller: Caller) -> Response | None:
    if request.scope["query_string"]:
        return None
    return await _revise(name_in_path(request.path_params["artifact"]), request, desk, caller)


SHORT_WAYS = (ShortWay(method="POST", path=f"{API}{_VERSIONS}", permission="artifact:write", answer=_revise_shortly),)


@router.patch(
    f"{API}/artifacts/{{artifact}}/content",
    responses={200: _MADE, **_CHANGES},
    **_taking({**MERGE_PATCH.json_schema(), "description": "A merge patch: a name that is null is taken away."}),
)
async def edit(
    artifact: PathName, request: Request, desk: TheDesk, caller: TheCaller, session: OfSession = None
) -> Response:
    """Change structured content in place, as a new version."""
    reach = caller.within(session=session)
    body = await json_merge_patch(request, desk.engine.types)
    expected = await _matched(desk, reach, artifact, request.headers)
    revision = Revision(patch=body, expected=expected, provenance=provenance_of(request, caller))
    return await _answered(desk, await _revised(desk, reach, artifact, revision))


@router.patch(
    f"{API}/artifacts/{{artifact}}/state",
    responses={200: _MADE, **problems(403, 404, 409, 410, 422)},
    **demands("artifact:write"),
)
async def step(artifact: PathName, body: Step, desk: TheDesk, caller: TheCaller, session: OfSession = None) -> Response:
    """Go on to another state that the type allows from this one, and note facts; to a state goes who may act."""
    reach, by = caller.within(session=session), caller.principal.kind
    if body.state is not None and "action:execute" not in caller.permissions:
        raise ApprovalNeeded("state", principal=by)
    made = await desk.engine.marking.step(reach, artifact, state=body.state, facts=body.facts, by=by)
    return await _answered(desk, made)


@router.put(
    f"{API}/artifacts/{{artifact}}/labels",
    responses={200: _MADE, **problems(404, 409, 410, 422)},
    **demands("artifact:write"),
)
async def label(
    artifact: PathName, body: Labels, desk: TheDesk, caller: TheCaller, session: OfSession = None
) -> Response:
    """Replace the labels of an artifact."""
    reach, by = caller.within(session=session), caller.principal.kind
    return await _answered(desk, await desk.engine.marking.label(reach, artifact, body.labels, by=by))


@router.post(
    f"{API}/artifacts/{{artifact}}/restore",
    status_code=201,
    responses={201: _MADE, **_CHANGES},
    **demands("artifact:write"),
)
async def restore(
    artifact: PathName, body: Restoring, request: Request, desk: TheDesk, caller: TheCaller, session: OfSession = None
) -> Response:
    """Make an earlier version the newest again."""
    reach = caller.within(session=session)
    made = await desk.engine.revising.restore(reach, artifact, body.version, provenance=provenance_of(request, caller))
    return await _answered(desk, made, 201)


def _says_content(body: NewVersion) -> bool:
    """Tell whether content was sent; `null` is none beside a patch, and by itself what JSON means by it."""
    return body.content is not None or ("content" in body.model_fields_set and body.patch is None)


def _said(request: Request) -> dict[str, str]:
    return {name: value for name, value in said_in_query(request).items() if name != "session"}


def _listed(version: Version) -> Shape:
    return {"artifactId": version.artifact_id} | version_shape(version)


async def _answered(desk: Desk, artifact: Artifact, status: int = 200) -> Response:
    return json_answer(await whole_shape(desk, artifact), status, {"etag": etag_of(artifact.sha256)})


async def _revised(desk: Desk, reach: Scope | Reach, artifact: str, revision: Revision) -> Artifact:
    try:
        return await desk.engine.revising.revise(reach, artifact, revision)
    except HeadMoved as moved:
        if revision.expected is None:
            raise
        raise PreconditionFailed("If-Match") from moved


async def _matched(desk: Desk, reach: Scope | Reach, artifact: str, headers: Headers) -> int | None:
    """Return the number of the head, if its content is one that `If-Match` names; None where that names none."""
    if "if-match" not in headers:
        return None
    head = (await desk.engine.find(reach, artifact)).artifact.version
    if conditional(headers, etag=etag_of(head.sha256)) == "failed":
        raise PreconditionFailed("If-Match")
    return None if headers["if-match"].strip() == "*" else head.number


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and 1 <= int(cursor) <= 2**31 - 1):
        raise InvalidName("cursor", cursor, expected="the `nextCursor` of an earlier page")
    return int(cursor)
