"""The application of the second origin: what users and programs have made, behind signed links, and nothing else.

There is no API here, nobody logs in and no cookie is ever set, so that content has nothing to get at. What the
application's own origin answers is in `app`.
"""

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handiwork.errors import ArtifactNotFound, HandiworkError, LinkInvalid, VersionNotFound
from handiwork.server.delivery import delivered
from handiwork.server.desk import Desk
from handiwork.server.downloads import CONTENT_POLICY, SHOWN_TYPES, ResourcePolicy
from handiwork.server.guards import HostAllowList, SecurityHeaders, names_in
from handiwork.server.problems import Backstop, problem_of, refuse

LINKS = "/d/"
METHODS = frozenset({"GET", "HEAD"})

logger = logging.getLogger(__name__)


def content_application(desk: Desk) -> ASGIApp:
    """Return the application as it is served. Raises `InvalidName` for an origin that cannot be used."""
    names = names_in(desk.origins.content)
    return SecurityHeaders(_Harmless(HostAllowList(Backstop(_Content(desk)), names=names)))


class _Content:
    """Answers GET and HEAD of `/d/{token}`; all else is a link that is not valid."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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
        token = path.removeprefix(LINKS)
        if token == path:
            raise LinkInvalid
        desk = self._desk
        link = await desk.links.open(token)
        try:
            filed = await desk.engine.find(link.scope, link.artifact_id, version=link.version)
        except (ArtifactNotFound, VersionNotFound) as gone:
            raise LinkInvalid from gone
        is_shown = link.disposition == "inline" and filed.artifact.media_type in SHOWN_TYPES
        # Pages of every origin show pictures by link; what is no picture none has a reason to load.
        policy: ResourcePolicy = "cross-origin" if is_shown else "same-origin"
        return delivered(
            Request(scope),
            desk,
            filed,
            disposition=link.disposition,
            keeping="never",
            resource_policy=policy,
        )


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
