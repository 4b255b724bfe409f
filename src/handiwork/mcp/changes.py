"""What has changed among the resources of a session, told to clients that asked for it, of either era of the protocol.

Clients of the handshake eras subscribe to one address after the other, and are told beside what they ask; later ones
open a stream for it with all that they want. Both follow the log of the session, so that what another client or
process does is told as well. What is sent says only that something has changed: the client reads it again. So what
comes while it is not told yet is told once, however often it comes, and a client that takes nothing holds up nobody.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
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
from handiwork.mcp.lines import Line
from handiwork.mcp.shelf import Shelf
from handiwork.mcp.visitors import Visitor

MOST_SUBSCRIPTIONS = 200
PAUSE_SECONDS = 0.25
"""What is new is told at once, and what comes within so long after that all together."""

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


class Tidings:
    """What has changed and was not told yet: the list, and addresses among those followed, each once."""

    def __init__(self, followed: Mapping[str, str]) -> None:
        self.followed = followed
        self._is_of_list = False
        self._addresses: dict[str, None] = {}
        self._came = anyio.Event()

    def add(self, change: Change) -> None:
        self.put(change.is_of_list, change.addresses(self.followed))

    def put(self, is_of_list: bool, addresses: Iterable[str]) -> None:
        self._is_of_list |= is_of_list
        self._addresses |= dict.fromkeys(addresses)
        if self._is_of_list or self._addresses:
            self._came.set()

    async def until_some(self) -> None:
        await self._came.wait()

    def take(self) -> tuple[bool, list[str]]:
        """Return whether the list has changed, and what is at which addresses; from here on that is told."""
        is_of_list, addresses = self._is_of_list, [uri for uri in self._addresses if uri in self.followed]
        self._is_of_list, self._addresses, self._came = False, {}, anyio.Event()
        return is_of_list, addresses


async def gather(visitor: Visitor, tidings: Tidings, *, after: int) -> None:
    """Add what changes from an event on, until the log ends; a gap in the log is a change of everything."""
    while True:
        try:
            async with aclosing(visitor.session.watch(after=after)) as events:
                async for event in events:
                    tidings.add(Change.of(event))
        except CursorTooOld:
            after = await newest(visitor)
            tidings.add(Change(is_of_list=True, is_of_content=True))
        else:
            return


async def tell(
    visitor: Visitor, tidings: Tidings, send: Callable[[bool, list[str]], Awaitable[None]], *, after: int
) -> None:
    """Send what changes from an event on, until the log ends or the visitor may see no more.

    What was sent on a line that the client has opened anew since is sent again: nobody knows what got there.
    """
    line, told = visitor.line, Tidings(tidings.followed)

    async def send_all() -> None:
        while True:
            await tidings.until_some()
            await line.until_taking()
            if visitor.is_over():
                return
            is_of_list, addresses = tidings.take()
            told.put(is_of_list, addresses)
            await send(is_of_list, addresses)
            await anyio.sleep(PAUSE_SECONDS)

    async def repeat() -> None:
        while True:
            await line.until_opened_anew()
            tidings.put(*told.take())

    await _first_of(send_all, repeat, partial(gather, visitor, tidings, after=after))


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
            send = partial(_send_all, client, self._visitor.line)
            await tell(self._visitor, Tidings(self._followed), send, after=after)
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

    async def send_all(is_of_list: bool, addresses: list[str]) -> None:
        if is_of_list and with_list:
            await send(mcp.ResourceListChangedNotification(params=mcp.NotificationParams(_meta=meta)))
        for uri in addresses:
            told = mcp.ResourceUpdatedNotificationParams(uri=uri, _meta=meta)
            await send(mcp.ResourceUpdatedNotification(params=told))

    await _first_of(visitor.until_over, partial(tell, visitor, Tidings(followed), send_all, after=after))
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


async def _send_all(client: ServerSession, line: Line, is_of_list: bool, addresses: Iterable[str]) -> None:
    # The library keeps little for a client that takes nothing, and then lets all its answers wait for that.
    await line.until_taking()
    if is_of_list:
        await client.send_resource_list_changed()
    for uri in addresses:
        await line.until_taking()
        await client.send_resource_updated(uri)


async def _first_of(*ways: Callable[[], Awaitable[None]]) -> None:
    """Return when the first of them does, or raise what it raises; the others are ended with it."""
    failures: list[Exception] = []
    async with anyio.create_task_group() as tasks:

        async def go(way: Callable[[], Awaitable[None]]) -> None:
            try:
                await way()
            except Exception as failure:  # noqa: BLE001  # raised below, for itself and not in a group
                failures.append(failure)
            tasks.cancel_scope.cancel()

        for way in ways:
            tasks.start_soon(go, way)
    if failures:
        raise failures[0]
