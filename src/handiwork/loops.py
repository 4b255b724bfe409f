"""The event loop that a session lives in, and the way there for callers who are elsewhere.

Frameworks call their tools from threads and from loops of their own; what is asked of the session is not known here.
"""

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from handiwork.client.session import RemoteSession
from handiwork.session import Session
from handiwork.tasks import LoopElsewhere

ANSWER_SECONDS = 10.0
"""How long a loop may take to show that it turns."""
BLOCKED = (
    "the event loop of the session is blocked: in async code call the framework's async face (such as `ainvoke`), "
    "in other code open the engine with `handiwork.open_sync`"
)
HOMELESS = (
    "make this in the async code that has opened the engine; where there is none, open it with `handiwork.open_sync`"
)

Value = TypeVar("Value")


class Portalled(Protocol):
    """A session of an engine without `await`, such as `handiwork.open_sync` gives."""

    @property
    def session(self) -> Session | RemoteSession: ...
    @property
    def portal(self) -> LoopElsewhere: ...


AnySession = Session | RemoteSession | Portalled


@dataclass(frozen=True, slots=True)
class Home:
    """One event loop. A coroutine may be awaited there from another loop, or waited for from a thread."""

    loop: asyncio.AbstractEventLoop

    async def visit(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Await `work` in this loop, whichever loop is running."""
        if asyncio.get_running_loop() is self.loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Wait in this thread until `work` is done in the loop. Raises `RuntimeError` where that would never be."""
        if not self._turns():
            work.close()
            raise RuntimeError(BLOCKED)
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _turns(self) -> bool:
        try:
            if asyncio.get_running_loop() is self.loop:
                return False
        except RuntimeError:
            pass  # no loop is running in this thread
        turned = threading.Event()
        self.loop.call_soon_threadsafe(turned.set)
        return turned.wait(ANSWER_SECONDS)


def at_home(session: AnySession) -> tuple[Session | RemoteSession, Home]:
    """Return a session that acts as the agent, with the loop that it lives in: the running one, or its portal's.

    On a server the key says as whom it acts. Raises `RuntimeError` where nothing tells which loop that is.
    """
    if isinstance(session, Session | RemoteSession):
        try:
            return session.as_agent(), Home(asyncio.get_running_loop())
        except RuntimeError:
            raise RuntimeError(HOMELESS) from None
    return session.session.as_agent(), Home(session.portal.call(asyncio.get_running_loop))
