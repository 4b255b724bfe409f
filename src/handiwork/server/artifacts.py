"""Routes on artifacts: made, listed, looked at, read, linked to, held and removed. What that means is the engine's.

How files come in is in `uploads`, and how content goes out in `delivery`.
"""

import hashlib
import json
import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from handiwork.access.links import DEFAULT_SECONDS, SignedLink
from handiwork.access.policy import Caller
from handiwork.executions.pictures import may_have_picture
from handiwork.model import Artifact, Provenance
from handiwork.server.answers import (
    ArtifactAnswer,
    ArtifactsAnswer,
    LinkAnswer,
    UploadedAnswer,
    problems,
)
from handiwork.server.bodies import (
    ArtifactQuery,
    ContentQuery,
    Hold,
    LinkOrder,
    NewArtifact,
    VersionNumber,
)
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.content_origin import LINKS, VIEWS
from handiwork.server.delivery import Granted, delivered, excerpt
from handiwork.server.desk import API, Desk
from handiwork.server.dictation import MEDIA_TYPE as PLAIN
from handiwork.server.dictation import dictated, is_dictated
from handiwork.server.downloads import conditional, content_headers, etag_of, not_modified
from handiwork.server.path_names import PathName, name_in_path
from handiwork.server.refusals import NoPreview
from handiwork.server.short_ways import ShortWay
from handiwork.server.strict_bodies import StrictRoute
from handiwork.server.uploads import FILE_FIELD, form_drafts, json_draft
from handiwork.shapes import Shape, artifact_shape, time_shape
from handiwork.store.records import Search
from handiwork.verbs import SELECTION_BYTES
from handiwork.versions.drafts import all_of, is_at_hand

MULTIPART = "multipart/form-data"

OfSession = Annotated[
    str | None, Query(description="The session in which a handle is looked for, and no other.", max_length=200)
]
AtVersion = Annotated[VersionNumber | None, Query(description="Absent is the newest.")]

_MAKING = "/sessions/{session}/artifacts"
_READING = "/artifacts/{artifact}/content"
# Whole content at its head, or at a version that is said in full.
_USUAL = re.compile(rb"(?:version=([1-9][0-9]{0,8}))?")

router = APIRouter(tags=["artifacts"], route_class=StrictRoute)

ARTIFACT = {"model": ArtifactAnswer, "description": "The artifact"}
_BYTES: dict[str, Any] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_DELIVERIES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The content, under its own media type", "content": _BYTES},
    206: {"description": "The range of it that was asked for", "content": _BYTES},
    304: {"description": "It is the content that the client has"},
}
_FORM: Shape = {
    "type": "object",
    "required": [FILE_FIELD],
    "additionalProperties": False,
    "properties": {
        FILE_FIELD: {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}},
        "type": {"type": "string", "default": "file"},
        "title": {"type": "string"},
        "name": {"type": "string", "description": "Instead of the name that the one file comes with"},
        "language": {"type": "string"},
        "metadata": {"type": "string", "description": "An object, as JSON"},
        "summary": {"type": "string"},
        "handle": {"type": "string", "description": "Such as `draft_k3x9`; absent is a new one"},
        "retention": {"type": "string", "description": "Such as `12h` or `7d`, or `forever`"},
    },
}


def _taking(declared: dict[str, Any]) -> dict[str, Any]:
    """Add the body to what a route is declared with, since the route reads it by itself."""
    content = {"application/json": {"schema": NewArtifact.model_json_schema()}, MULTIPART: {"schema": _FORM}}
    content[PLAIN] = {"schema": {"type": "string"}}
    body = {"requestBody": {"required": True, "content": content}}
    return {**declared, "openapi_extra": {**declared["openapi_extra"], **body}}


@router.post(
    f"{API}{_MAKING}",
    name="create",
    status_code=201,
    responses={
        201: {
            "model": ArtifactAnswer | UploadedAnswer,
            "description": "The artifact; for a form, those that its files have become",
            "headers": {"Location": {"schema": {"type": "string"}, "description": "Where it is, if it is one"}},
        },
        **problems(400, 404, 413, 415, 422, 429, 507),
    },
    **_taking(demands("artifact:write")),
)
async def _create(session: PathName, request: Request, desk: TheDesk, caller: TheCaller) -> Response:
    """Store content as an artifact, or the files of a form as one artifact each: all of them or none.

    Content of plain text is seen by those who follow the session while it is sent, and stored when it is whole; what
    the fields of a form say, the query says of it.
    """
    scope = caller.scope(session)
    engine, provenance, since = desk.engine, provenance_of(request, caller), desk.clock()
    if _is_form(request):
        async with form_drafts(request, engine.types, provenance=provenance) as drafts:
            made = await engine.creation.file(scope, drafts, since=since)
        location = {"location": path_of(made[0])} if len(made) == 1 else {}
        return json_answer({"items": [shape_of(artifact) for artifact in made]}, 201, location)
    if is_dictated(request):
        artifact = await dictated(request, desk, scope, provenance)
        return json_answer(await whole_shape(desk, artifact), 201, {"location": path_of(artifact)})
    draft = await json_draft(request, engine.types, provenance=provenance)
    (artifact,) = await engine.creation.file(scope, [draft], since=since)
    given = all_of(draft.content) if draft.content.size == artifact.size and is_at_hand(draft.content) else None
    return json_answer(await whole_shape(desk, artifact, given=given), 201, {"location": path_of(artifact)})


async def _create_shortly(request: Request, desk: Desk, caller: Caller) -> Response:
    return await _create(name_in_path(request.path_params["session"]), request, desk, caller)


@router.get(
    f"{API}{_MAKING}",
    responses={200: {"model": ArtifactsAnswer, "description": "Some of the artifacts"}, **problems(404, 422)},
    **demands("artifact:read"),
)
async def list_artifacts(
    session: PathName, desk: TheDesk, caller: TheCaller, wanted: Annotated[ArtifactQuery, Query()]
) -> Response:
    """Artifacts of a session, newest first."""
    page = await desk.engine.records.page(
        caller.scope(session),
        search=Search(
            type=desk.engine.types.searched(wanted.type), without=wanted.without, state=wanted.state, text=wanted.q
        ),
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    items = [shape_of(artifact) for artifact in page.items]
    return json_answer({"items": items, "nextCursor": page.next_cursor, "seq": page.seq})


@router.get(
    f"{API}/artifacts/{{artifact}}",
    responses={200: ARTIFACT, **problems(404, 410, 422)},
    **demands("artifact:read"),
)
async def look_at(
    artifact: PathName, desk: TheDesk, caller: TheCaller, version: AtVersion = None, session: OfSession = None
) -> Response:
    """An artifact at its head or at one version."""
    filed = await desk.engine.find(caller.within(session=session), artifact, version=version)
    return json_answer(await whole_shape(desk, filed.artifact))


@router.get(
    f"{API}{_READING}",
    name="read_content",
    response_class=Response,
    responses={**_DELIVERIES, **problems(404, 410, 412, 416, 422)},
    **demands("artifact:read"),
)
@router.head(
    f"{API}{_READING}",
    name="read_content_headers",
    response_class=Response,
    responses={200: {"description": "The headers"}, 304: _DELIVERIES[304], **problems(404, 410, 412, 422)},
    **demands("artifact:read"),
)
async def _content(
    artifact: PathName,
    request: Request,
    desk: TheDesk,
    caller: TheCaller,
    wanted: Annotated[ContentQuery, Query()],
) -> Response:
    """The content, whole or a range of it, always to be saved; a signed link shows it.

    With `select` a part of it as text, at most 32 KiB at once unless `budget` says so: `X-Continuation` is the selector
    of what follows, `X-Total` how many there are where that is known, `X-Cut` says that some was left out, `X-Tokens`
    about what it costs a model, and `X-Media-Type` what it is.

    Damaged content is never answered with: what is found out after the first byte ends the connection.
    """
    filed = await desk.engine.find(caller.within(session=wanted.session), artifact, version=wanted.version)
    if wanted.select is not None or wanted.budget is not None:
        budget = SELECTION_BYTES if wanted.budget is None else wanted.budget
        return excerpt(await desk.engine.select(filed, wanted.select, budget=budget), filed)
    granted = Granted(filed=filed, confirm=lambda: desk.authenticator.confirm(caller))
    answer = delivered(request, desk, granted, disposition="attachment", keeping="revalidated")
    answer.headers["x-version"] = str(filed.artifact.version.number)
    return answer


async def _content_shortly(request: Request, desk: Desk, caller: Caller) -> Response | None:
    usual = _USUAL.fullmatch(request.scope["query_string"])
    if usual is None:
        return None
    version = None if usual[1] is None else int(usual[1])
    return await _content(
        name_in_path(request.path_params["artifact"]), request, desk, caller, ContentQuery(version=version)
    )


SHORT_WAYS = (
    ShortWay(method="POST", path=f"{API}{_MAKING}", permission="artifact:write", answer=_create_shortly),
    *(
        ShortWay(method=method, path=f"{API}{_READING}", permission="artifact:read", answer=_content_shortly)
        for method in ("GET", "HEAD")
    ),
)


@router.delete(
    f"{API}/artifacts/{{artifact}}",
    status_code=204,
    responses=problems(404, 409, 410, 422),
    **demands("artifact:write"),
)
async def remove(artifact: PathName, desk: TheDesk, caller: TheCaller, session: OfSession = None) -> Response:
    """Let an artifact expire now, and delete its content."""
    await desk.engine.remove(caller.within(session=session), artifact, by=caller.principal.kind)
    return Response(status_code=204)


@router.put(
    f"{API}/artifacts/{{artifact}}/hold",
    responses={200: ARTIFACT, **problems(404, 410, 422)},
    **demands("artifact:write"),
)
async def hold(artifact: PathName, body: Hold, desk: TheDesk, caller: TheCaller, session: OfSession = None) -> Response:
    """Pin an artifact so that it stays past its expiry, or let it go."""
    held = await desk.engine.hold(caller.within(session=session), artifact, held=body.held)
    return json_answer(shape_of(held))


@router.post(
    f"{API}/artifacts/{{artifact}}/links",
    status_code=201,
    responses={201: {"model": LinkAnswer, "description": "The link"}, **problems(404, 410, 422)},
    **demands("link:create"),
)
async def link_to(
    artifact: PathName, desk: TheDesk, caller: TheCaller, body: LinkOrder | None = None, session: OfSession = None
) -> Response:
    """Make an address of one version that works without a key, for a time and at most for a day.

    `inline` and `attachment` lead to its bytes, and `view` to the page that shows it safely.
    """
    order = body or LinkOrder()
    filed = await desk.engine.find(caller.within(session=session), artifact, version=order.version)
    url, link = await linked(desk, caller, filed.artifact, order)
    return json_answer({"url": url, "expiresAt": time_shape(link.expires_at)}, 201)


@router.get(
    f"{API}/artifacts/{{artifact}}/view",
    status_code=307,
    response_class=Response,
    responses={
        307: {
            "description": "The page, on the origin for content",
            "headers": {"Location": {"schema": {"type": "string"}, "description": "Where it is, for five minutes"}},
        },
        **problems(404, 410, 422),
    },
    **demands("link:create"),
)
async def view(
    artifact: PathName, desk: TheDesk, caller: TheCaller, version: AtVersion = None, session: OfSession = None
) -> Response:
    """Lead to a page that shows a version safely, whatever is in it. It works without a key for five minutes."""
    filed = await desk.engine.find(caller.within(session=session), artifact, version=version)
    url, _link = await linked(desk, caller, filed.artifact, LinkOrder(disposition="view"))
    return Response(status_code=307, headers={"location": url})


@router.get(
    f"{API}/artifacts/{{artifact}}/thumbnail",
    response_class=Response,
    responses={
        200: {"description": "A small picture", "content": {"image/png": _BYTES["*/*"]}},
        304: {"description": "It is the picture that the client has"},
        **problems(404, 410, 422, 429, 503),
    },
    **demands("artifact:read"),
)
async def thumbnail(
    artifact: PathName,
    request: Request,
    desk: TheDesk,
    caller: TheCaller,
    version: AtVersion = None,
    session: OfSession = None,
) -> Response:
    """A picture of a version: of an image, or of the first page of a document. It is made when first asked for."""
    filed = await desk.engine.find(caller.within(session=session), artifact, version=version)
    png = await desk.engine.picture(filed)
    if png is None:
        raise NoPreview(artifact)
    digest = hashlib.sha256(png).hexdigest()
    headers = content_headers("image/png", f"{filed.artifact.name}.png", sha256=digest)
    del headers["accept-ranges"]
    if conditional(request.headers, etag=etag_of(digest)) == "not_modified":
        return not_modified(headers)
    return Response(png, headers=headers)


async def linked(desk: Desk, caller: Caller, artifact: Artifact, order: LinkOrder) -> tuple[str, SignedLink]:
    """Return an address of the version that the artifact carries, which the caller is known to be allowed."""
    shows_page = order.disposition == "view"
    link = await desk.links.make(
        artifact,
        disposition="inline" if order.disposition == "view" else order.disposition,
        purpose="view" if shows_page else "content",
        expires_in=_at_most(caller, order.expires_in or DEFAULT_SECONDS, desk.clock()),
        key_id=caller.key_id,
    )
    return f"{desk.origins.content}{VIEWS if shows_page else LINKS}{link.spelled}", link


def shape_of(artifact: Artifact) -> Shape:
    """An artifact on this server's wire: as everywhere, and where to get what belongs to it."""
    return _linked_up(artifact, artifact_shape(artifact))


async def whole_shape(desk: Desk, artifact: Artifact, *, given: bytes | None = None) -> Shape:
    """An artifact with its content where that is short and no file."""
    return _linked_up(artifact, await desk.engine.revising.shape(artifact, given=given))


def path_of(artifact: Artifact) -> str:
    return f"{API}/artifacts/{artifact.id}"


def json_answer(shape: Shape, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(shape).encode("ascii"), status, headers, "application/json")


def provenance_of(request: Request, caller: Caller, *, reason: str | None = None) -> Provenance:
    """Where what this request makes comes from."""
    request_id: str | None = request.scope.get("state", {}).get("request_id")
    return Provenance(principal=caller.principal, request_id=request_id, reason=reason)


def _linked_up(artifact: Artifact, shape: Shape) -> Shape:
    path, version = path_of(artifact), artifact.version
    at_version = f"?version={version.number}"
    shape["links"] = {
        "self": path,
        "content": f"{path}/content{at_version}",
        "view": f"{path}/view{at_version}",
        "thumbnail": f"{path}/thumbnail{at_version}" if may_have_picture(version) else None,
    }
    return shape


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MULTIPART


def _at_most(caller: Caller, seconds: float, now: datetime) -> float:
    """A link ends with the token or key that it was made with."""
    if caller.expires_at is None:
        return seconds
    return min(seconds, max((caller.expires_at - now).total_seconds(), 0.001))
