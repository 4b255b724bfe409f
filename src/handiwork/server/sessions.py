"""Routes on whole sessions, users and tenants: which there are, and their erasure. What is erased is the engine's."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from handiwork.access.policy import Caller
from handiwork.errors import InvalidName
from handiwork.model import Reach
from handiwork.server.answers import CallerAnswer, ErasedAnswer, SessionsAnswer, problems
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API, Desk
from handiwork.server.path_names import PathName
from handiwork.shapes import Shape, session_shape, time_shape
from handiwork.store.expiry import Erased
from handiwork.verbs import MOST_ON_A_PAGE

router = APIRouter(tags=["sessions"])

_ERASED = {"model": ErasedAnswer, "description": "What was taken"}


@router.get(
    f"{API}/sessions",
    responses={200: {"model": SessionsAnswer, "description": "Some of the sessions"}, **problems(422)},
    **demands("artifact:read"),
)
async def list_sessions(
    desk: TheDesk,
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """The caller's sessions, the one that was active last first."""
    user = _one_user(caller)
    if caller.session is not None:
        found = await desk.engine.records.sessions(caller.tenant, user, session=caller.session)
    else:
        found = await desk.engine.sessions(user=user, tenant=caller.tenant, limit=limit, cursor=cursor)
    return JSONResponse({"items": [session_shape(session) for session in found.items], "nextCursor": found.next_cursor})


@router.get(
    f"{API}/caller",
    responses={200: {"model": CallerAnswer, "description": "Who the key or token is for"}, **problems(404)},
    **demands("artifact:read"),
)
async def who_calls(desk: TheDesk, caller: TheCaller) -> Response:
    """Who calls, what they may do, and what tools can be used for here.

    The first is what the key or token says, or that this server takes them for its user.
    """
    offer = desk.engine.offer
    offered = {"types": offer.types, "actions": offer.actions, "libraries": dict(offer.libraries)}
    expires_at = caller.expires_at and time_shape(caller.expires_at)
    told = {"tenant": caller.tenant, "user": caller.user, "session": caller.session, "expiresAt": expires_at}
    return JSONResponse(
        told | {"principal": caller.principal.kind, "permissions": sorted(caller.permissions), "offer": offered}
    )


@router.delete(
    f"{API}/sessions/{{session}}",
    responses={200: _ERASED, **problems(404, 422, 503)},
    **demands("session:erase"),
)
async def erase_session(session: PathName, desk: TheDesk, caller: TheCaller) -> Response:
    """Take everything of a session out of the store for good, held or not."""
    scope = caller.scope(session)
    reach = Reach(tenant=scope.tenant, user=scope.user, session=scope.session)
    return JSONResponse(_erased(await _erase(desk, reach)))


@router.delete(
    f"{API}/users/{{user}}",
    responses={200: _ERASED, **problems(404, 422, 503)},
    **demands("admin"),
)
async def erase_user(user: PathName, desk: TheDesk, caller: TheCaller) -> Response:
    """Take everything of a user out of the store for good, keys included."""
    reach = caller.within(user=user)
    return JSONResponse(_erased(await _erase(desk, reach)))


@router.delete(
    f"{API}/tenant",
    responses={200: _ERASED, **problems(422, 503)},
    **demands("admin"),
)
async def erase_tenant(
    desk: TheDesk,
    caller: TheCaller,
    confirm: Annotated[str, Query(description="The name of the tenant, so that nobody does this by mistake.")],
) -> Response:
    """Take everything of the caller's tenant out of the store for good, keys included."""
    if caller.user is not None:
        raise InvalidName("user", caller.user, expected="none, since this is for a whole tenant")
    if confirm != caller.tenant:
        raise InvalidName("confirm", confirm, expected="the name of the tenant that is to be erased")
    return JSONResponse(_erased(await _erase(desk, caller.reach)))


def _one_user(caller: Caller) -> str:
    if caller.user is None:
        raise InvalidName("user", "", expected="the name of one in `X-Handiwork-User`, since the key is for all")
    return caller.user


def _erased(erased: Erased) -> Shape:
    return {"artifacts": erased.artifacts, "executions": erased.executions, "bytes": erased.size}


async def _erase(desk: Desk, reach: Reach) -> Erased:
    erased = await desk.engine.erase(reach)
    # Keys went with it, and nothing may be stored with one that is still remembered.
    desk.keys.forget()
    return erased
