"""The application of the second origin: what users and programs have made, behind signed links, and nothing else.

There is no API here, nobody logs in and no cookie is ever set, so that content has nothing to get at. What the
application's own origin answers is in `app`.
"""

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handiwork.access.links import Link
from handiwork.errors import ArtifactNotFound, HandiworkError, LinkInvalid, VersionNotFound
from handiwork.server.delivery import Granted, delivered
from handiwork.server.desk import Desk
from handiwork.server.downloads import CONTENT_POLICY, SHOWN_TYPES, ResourcePolicy
from handiwork.server.guards import HostAllowList, SecurityHeaders, names_in
from handiwork.server.problems import Backstop, problem_of, refuse
from handiwork.server.views import Views
from handiwork.store.records import Filed

LINKS = "/d/"
VIEWS = "/v/"
METHODS = frozenset({"GET", "HEAD"})

logger = logging.getLogger(__name__)


def content_application(desk: Desk) -> ASGIApp:
    """Return the application as it is served. Raises `InvalidName` for an origin that cannot be used."""
    names = names_in(desk.origins.content)
    return SecurityHeaders(_Harmless(HostAllowList(Backstop(_Content(desk)), names=names)))


class _Content:
    """Answers GET and HEAD of `/d/{token}` and `/v/{token}`; all else is a link that is not valid."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._views = Views(desk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            response = await self._answer(scope)
            await response(scope, receive, noted)
        except HandiworkError as refused:
            status, _ = problem_of(refused)
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                logger.error("%s: %r", refused.code, str(refused))  # noqa: TRY400  # the lines say nothing more
            if has_begun:
                raise
            await refuse(refused, scope=scope, receive=receive, send=send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["type"] != "http" or scope["method"] not in METHODS:
            raise LinkInvalid
        path: str = scope["path"]
        if path.startswith(LINKS):
            return await self._bytes(Request(scope), path.removeprefix(LINKS))
        if path.startswith(VIEWS):
            return await self._page(path.removeprefix(VIEWS), is_head=scope["method"] == "HEAD")
        raise LinkInvalid

    async def _bytes(self, request: Request, token: str) -> Response:
        desk = self._desk
        link = await desk.links.open(token)
        filed = await self._found(link)
        is_shown = link.disposition == "inline" and filed.artifact.media_type in SHOWN_TYPES
        # Pages of every origin show pictures by link; what is no picture none has a reason to load.
        policy: ResourcePolicy = "cross-origin" if is_shown else "same-origin"
        return delivered(
            request,
            desk,
            Granted(filed=filed, confirm=lambda: desk.links.open(token)),
            disposition=link.disposition,
            keeping="never",
            resource_policy=policy,
        )

    async def _page(self, token: str, *, is_head: bool) -> Response:
        desk = self._desk
        link = await desk.links.open(token, purpose="view")
        filed = await self._found(link)
        # Who may look at it may have it, for as long.
        left = max((link.expires_at - desk.clock()).total_seconds(), 0.001)
        own = await desk.links.make(filed.artifact, expires_in=left, key_id=link.key_id)
        download = f"{desk.origins.content}{LINKS}{own.spelled}"
        return await self._views.page(filed, download=download, is_head=is_head)

    async def _found(self, link: Link) -> Filed:
        try:
            return await self._desk.engine.find(link.scope, link.artifact_id, version=link.version)
        except (ArtifactNotFound, VersionNotFound) as gone:
            raise LinkInvalid from gone


class _Harmless:
    """Gives problems the policy that content has of its own: whatever comes from here, nothing of it runs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def covered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name != b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", CONTENT_POLICY.encode("ascii")))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, covered)
