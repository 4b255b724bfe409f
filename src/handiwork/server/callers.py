"""How a route gets its desk and its caller, and says which permission it demands.

What a caller may do is decided in `access.policy`.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.responses import Response

from handiwork.access.policy import Caller, Permission
from handiwork.server.desk import Desk
from handiwork.server.strict_bodies import StrictRoute

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


def short_way(
    permission: Permission, answer: Callable[[Request, Desk, Caller], Awaitable[Response | None]]
) -> type[APIRoute]:
    """Return routes that are declared like all others, and past whose declarations the usual request is answered.

    Storing and reading are what clients do most, and what the framework does before it calls a route takes longer than
    either. What `answer` returns None for, and who acts for somebody else, goes the usual way; both come to the same.
    """

    class ShortWay(StrictRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            declared = super().get_route_handler()

            async def handle(request: Request) -> Response:
                if USER_HEADER in request.headers:
                    return await declared(request)
                desk = desk_of(request)
                caller = await desk.recognised(request.headers.get("authorization"))
                caller.require(permission)
                return await answer(request, desk, caller) or await declared(request)

            return handle

    return ShortWay


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
