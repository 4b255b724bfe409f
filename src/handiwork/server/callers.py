"""How a route gets its desk and its caller, and says which permission it demands.

What a caller may do is decided in `access.policy`.
"""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.requests import HTTPConnection

from handiwork.access.policy import Caller, Permission
from handiwork.server.desk import Desk

USER_HEADER = "x-handiwork-user"
PERMISSION = "x-handiwork-permission"
"""Where the OpenAPI document says which permission a route demands; `none` where it demands none."""


def desk_of(connection: HTTPConnection) -> Desk:
    return connection.app.state.desk


async def _desk(connection: HTTPConnection) -> Desk:
    # What is not asynchronous is called in a thread by the framework.
    return desk_of(connection)


async def caller_of(
    request: Request,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    x_handiwork_user: Annotated[
        str | None, Header(description="The user for whom an admin key acts.", max_length=200)
    ] = None,
) -> Caller:
    """Return who calls, narrowed to the user for whom an admin acts."""
    caller = await desk_of(request).recognised(authorization)
    if x_handiwork_user is None:
        return caller
    return replace(caller, user=caller.within(user=x_handiwork_user).user)


TheDesk = Annotated[Desk, Depends(_desk)]
TheCaller = Annotated[Caller, Depends(caller_of)]


def demands(permission: Permission) -> dict[str, Any]:
    """What a route is declared with, so that it demands a permission and the OpenAPI document tells it."""

    async def check(caller: TheCaller) -> None:
        caller.require(permission)

    return {"dependencies": [Depends(check)], "openapi_extra": {PERMISSION: permission}}


def open_to_all() -> dict[str, Any]:
    """What a route is declared with that everybody may call."""
    return {"openapi_extra": {PERMISSION: "none"}}
