"""The application of the first origin: its routes, and the guards around them. What each route does is in its module.

The second origin, for what users have made, is in `content_origin`.
"""

import re
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from handiwork.executions.runs import LONGEST_CODE_BYTES
from handiwork.model import KIB, MIB
from handiwork.server import (
    actions,
    artifacts,
    collecting,
    context,
    executions,
    exports,
    mcp,
    operations,
    pages,
    problems,
    revisions,
    sessions,
    streams,
    tokens,
    tool_results,
)
from handiwork.server.bodies import JSON_BYTES_FOR_ONE
from handiwork.server.desk import API, MCP, Desk, Origins
from handiwork.server.document import document_of
from handiwork.server.doorkeeper import Doorkeeper
from handiwork.server.guards import Cors, HostAllowList, JsonOnly, OriginCheck, RequestId, SecurityHeaders, names_in
from handiwork.server.intake import BodyLimit
from handiwork.server.path_names import WholeNames
from handiwork.server.short_ways import ShortWays

ROUTERS = (
    operations.router,
    artifacts.router,
    revisions.router,
    actions.router,
    executions.router,
    context.router,
    exports.router,
    tool_results.router,
    collecting.router,
    sessions.router,
    tokens.router,
    streams.router,
    mcp.router,
)
SHORT_WAYS = (*artifacts.SHORT_WAYS, *revisions.SHORT_WAYS, *executions.SHORT_WAYS)
RUN_BODY_BYTES = JSON_BYTES_FOR_ONE * LONGEST_CODE_BYTES + 64 * KIB
PLAIN_BODY_BYTES = MIB

_UPLOADS = re.compile(rf"{API}/sessions/[^/]+/artifacts/?")
_REVISIONS = re.compile(rf"{API}/artifacts/[^/]+/(?:versions|content)/?")
_TOOL_RESULTS = re.compile(rf"{API}/sessions/[^/]+/tool-results/?")
_DICTATIONS = re.compile(rf"{API}/artifacts/[^/]+/versions/?")
_RUNS = re.compile(rf"{API}/sessions/[^/]+/executions/?")


def application(desk: Desk) -> FastAPI:
    """Return the application without its guards, as `guarded` and the tests of the OpenAPI document need it."""
    app = FastAPI(
        title="Handiwork",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        generate_unique_id_function=_name_of,
    )
    app.state.desk = desk
    app.state.streams = streams.Streams()
    app.state.conversations = None
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(pages.router(content=desk.origins.content), include_in_schema=False)
    app.openapi = lambda: document_of(app, desk)
    return app


def guarded(desk: Desk) -> ASGIApp:
    """Return the application as it is served. Raises `InvalidName` for hosts and origins that cannot be used."""
    app: ASGIApp = ShortWays(application(desk), desk=desk, ways=SHORT_WAYS)
    app = BodyLimit(app, limit_of=lambda path: _limit_of(path, desk.body_limit))
    app = JsonOnly(
        app,
        takes_upload=lambda path: _UPLOADS.fullmatch(path) is not None,
        takes_text=lambda path: (_UPLOADS.fullmatch(path) or _DICTATIONS.fullmatch(path)) is not None,
    )
    app = WholeNames(app)
    app = Doorkeeper(app, desk=desk)
    app = OriginCheck(app, origins=_pages_of(desk.origins))
    app = problems.Backstop(app)
    app = Cors(app, origins=desk.origins.cors)
    app = HostAllowList(app, names=(*desk.origins.hosts, *names_in(desk.origins.public)))
    app = SecurityHeaders(app)
    return RequestId(app)


def _limit_of(path: str, most: int) -> int:
    if any(pattern.fullmatch(path) for pattern in (_UPLOADS, _REVISIONS, _TOOL_RESULTS)):
        return most
    # What an agent writes by its tools is code and content of one file at most.
    takes_much = path == MCP or _RUNS.fullmatch(path) is not None
    return min(most, RUN_BODY_BYTES if takes_much else PLAIN_BODY_BYTES)


def _pages_of(origins: Origins) -> tuple[str, ...]:
    public = urlsplit(origins.public)
    return (f"{public.scheme}://{public.netloc}", *origins.cors)


def _name_of(route: APIRoute) -> str:
    return route.name
