"""The route on which a product's back end gets short-lived tokens for its browsers. What they allow is `access`'s."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from handiwork.access.tokens import DEFAULT_SECONDS
from handiwork.server.answers import TokenAnswer, problems
from handiwork.server.bodies import TokenOrder
from handiwork.server.callers import TheCaller, TheDesk, demands
from handiwork.server.desk import API
from handiwork.server.strict_bodies import StrictRoute
from handiwork.shapes import time_shape

router = APIRouter(tags=["identity"], route_class=StrictRoute)


@router.post(
    f"{API}/tokens",
    status_code=201,
    responses={201: {"model": TokenAnswer, "description": "The token"}, **problems(404, 422)},
    **demands("token:create"),
)
async def mint_token(body: TokenOrder, desk: TheDesk, caller: TheCaller) -> Response:
    """Mint a token with at most the caller's own reach, rights and time, and never more than an hour."""
    token = await desk.tokens.mint(
        caller,
        body.principal,
        user=body.user,
        session=body.session,
        expires_in=body.expires_in or DEFAULT_SECONDS,
    )
    return JSONResponse({"token": token.spelled, "expiresAt": time_shape(token.expires_at)}, 201)
