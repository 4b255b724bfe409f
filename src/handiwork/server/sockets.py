"""How WebSockets end under uvicorn when the client takes nothing any more. What goes over them is known to `streams`.

uvicorn holds a close frame back until the client has taken what went before, and then waits for it without end. So a
client that never reads could keep its buffers for ever, and would never be told why it was sent away.

It logs the address of each one as well, and on request all that goes over it: keys, names of sessions, messages. Here
it tells what went wrong and nothing else, however much the rest of the server is asked to tell.
"""

import logging
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class EventSockets(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, but for their end: it is said at once, and ten seconds later the connection is cut."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # One of its own: the level of the library's logger is not ours to set.
        discreet = logging.Logger(self.logger.name, logging.WARNING)  # noqa: LOG001
        discreet.parent = self.logger
        self.logger = self.conn.logger = discreet
        self.conn.debug = False

    async def send(self, message: ASGISendEvent) -> None:
        if self.close_sent:
            # The application may not have heard yet that the connection has ended.
            raise ClientDisconnected
        if message["type"] != "websocket.close":
            await super().send(message)
            return
        # The frame goes behind what waits to be taken, and nothing follows it.
        self.writable.set()
        await super().send(message)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)
