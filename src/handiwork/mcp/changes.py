"""What has changed among the resources of a session, told to clients that asked for it, of either era of the protocol.

Clients of the handshake eras subscribe to one address after the other, and are told beside what they ask; later ones
open a stream for it with all that they want. Both follow the log of the session, so that what another client or
process does is told as well. What is sent says only that something has changed: the client reads it again.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as mcp
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY

from handiwork.errors import CursorTooOld, HandiworkError
from handiwork.events import Event
from handiwork.mcp.shelf import Shelf
from handiwork.mcp.visitors import Visitor

MOST_SUBSCRIPTIONS = 200

_LISTED = frozenset({"artifact-created", "tool-result-cached", "artifact-expired"})
_CHANGED = frozenset({"artifact-revised", "artifact-state-changed", "artifact-expired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """That the list is another one now, or what is at some of the addresses; `artifact_id` None is all of them."""

    is_of_list: bool
    is_of_content: bool
    artifact_id: str | None = None

    @classmethod
    def of(cls, event: Event) -> "Change":
        return cls(
            is_of_list=event.type in _LISTED, is_of_content=event.type in _CHANGED, artifact_id=event.artifact_id
        )

    def addresses(self, followed: Mapping[str, str]) -> list[str]:
        """Return those of the followed addresses, each with the id of its artifact, that it concerns."""
        if not self.is_of_content:
            return []
        return [uri for uri, artifact_id in followed.items() if self.artifact_id in {None, artifact_id}]


async def changes(visitor: Visitor, *, after: int) -> AsyncGenerator[Change]:
    """Yield what changes from an event on; a gap in the log is told as a change of everything."""
    while True:
        try:
            async with aclosing(visitor.session.watch(after=after)) as events:
                async for event in events:
                    yield Change.of(event)
        except CursorTooOld:
            after = await newest(visitor)
            yield Change(is_of_list=True, is_of_content=True)
        else:
            return


async def newest(visitor: Visitor) -> int:
    """Return the number of the newest event."""
    return (await visitor.session.list(limit=1)).seq


class Subscriptions:
    """What one client of the handshake eras follows, as long as its connection is open.

    What it listed once is followed too: whoever never looked needs no news of it.
    """

    def __init__(self, visitor: Visitor, tasks: TaskGroup) -> None:
        self._visitor, self._tasks = visitor, tasks
        self._followed: dict[str, str] = {}
        self._is_at_work = False

    async def add(self, uri: str, client: ServerSession) -> None:
        """Raises: what `Shelf.artifact_at` raises, and `MCPError` when there are too many."""
        if len(self._followed) >= MOST_SUBSCRIPTIONS and uri not in self._followed:
            raise MCPError(mcp.INVALID_PARAMS, f"At most {MOST_SUBSCRIPTIONS} resources can be followed at a time.")
        after = await newest(self._visitor)
        _address, artifact = await Shelf(self._visitor.session).artifact_at(uri)
        self._followed[uri] = artifact.id
        self.follow(client, after=after)

    def drop(self, uri: str) -> None:
        self._followed.pop(uri, None)

    def follow(self, client: ServerSession, *, after: int) -> None:
        """See to it that the client is told what changes from an event on."""
        if not self._is_at_work:
            self._is_at_work = True
            self._tasks.start_soon(self._tell, client, after)

    async def _tell(self, client: ServerSession, after: int) -> None:
        try:
            async with aclosing(changes(self._visitor, after=after)) as news:
                async for change in news:
                    if change.is_of_list:
                        await client.send_resource_list_changed()
                    for uri in change.addresses(self._followed):
                        await client.send_resource_updated(uri)
        except (HandiworkError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            # Nobody is there, or the log cannot be read: the next question begins it anew.
            pass
        finally:
            self._is_at_work = False


async def listen(
    visitor: Visitor, context: ServerRequestContext[Any, Any], wanted: mcp.SubscriptionFilter
) -> mcp.SubscriptionsListenResult:
    """Tell what changes on the stream that the client has opened for it, until one of both closes it.

    Addresses behind which there is nothing are left out of what is confirmed.
    """
    uris = wanted.resource_subscriptions or []
    if len(uris) > MOST_SUBSCRIPTIONS:
        raise MCPError(mcp.INVALID_PARAMS, f"At most {MOST_SUBSCRIPTIONS} resources can be followed at a time.")
    after, followed = await newest(visitor), await _resolved(visitor, uris)
    meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: context.request_id}
    with_list = wanted.resources_list_changed is True

    async def send(notification: mcp.ServerNotification) -> None:
        await context.session.send_notification(notification, related_request_id=context.request_id)

    granted = mcp.SubscriptionFilter(
        resources_list_changed=with_list or None, resource_subscriptions=list(followed) or None
    )
    await send(
        mcp.SubscriptionsAcknowledgedNotification(
            params=mcp.SubscriptionsAcknowledgedNotificationParams(notifications=granted, _meta=meta)
        )
    )
    async with anyio.create_task_group() as tasks:

        async def end_when_over() -> None:
            await visitor.until_over()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end_when_over)
        async with aclosing(changes(visitor, after=after)) as news:
            async for change in news:
                if change.is_of_list and with_list:
                    await send(mcp.ResourceListChangedNotification(params=mcp.NotificationParams(_meta=meta)))
                for uri in change.addresses(followed):
                    told = mcp.ResourceUpdatedNotificationParams(uri=uri, _meta=meta)
                    await send(mcp.ResourceUpdatedNotification(params=told))
        tasks.cancel_scope.cancel()
    return mcp.SubscriptionsListenResult(_meta=meta)


async def _resolved(visitor: Visitor, uris: list[str]) -> dict[str, str]:
    followed: dict[str, str] = {}
    for uri in dict.fromkeys(uris):
        try:
            _address, artifact = await Shelf(visitor.session).artifact_at(uri)
        except HandiworkError:
            continue
        followed[uri] = artifact.id
    return followed
