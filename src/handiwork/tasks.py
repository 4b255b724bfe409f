"""Work that must not be left half done, seen to its end whoever stops waiting; and what is told of work that broke.

What the work is does not matter here.
"""

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, overload

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class LoopElsewhere(Protocol):
    """An event loop in another thread."""

    @overload
    def call(self, work: Callable[[], Awaitable[Result]], /) -> Result: ...
    @overload
    def call(self, work: Callable[[], Result], /) -> Result: ...
    def call(self, work: Callable[[], object], /) -> object:
        """Do work in the loop, and block until it is done."""
        ...


async def to_the_end(work: "Coroutine[Any, Any, Result] | asyncio.Future[Result]") -> Result:
    """Wait for `work`; a caller that is cancelled meanwhile, however often, is told so when the work is through."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # Looked at, so that asyncio does not report it as forgotten.
        raise
    finally:
        # What has failed knows this frame, and with it would stay, and all that the work has held, until it is searched
        # for.
        del work, running


async def in_thread(work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """Do blocking `work` in a thread, and never leave it running.

    Without that, the clean-up after a cancellation would close a file that the thread is still writing.
    """
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **kwargs)))


def is_given_up() -> bool:
    """Tell whether the task that runs now is being cancelled, and not merely something that it has waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def words_of(failure: BaseException) -> str:
    """Return the kind and the message of a failure; one of others may fail even where its message is made."""
    try:
        return f"{type(failure).__name__}: {failure}"
    except BaseException:  # noqa: BLE001  # the boundary to code of others, which may call `sys.exit`
        return type(failure).__name__


def trace_of(failure: BaseException) -> str:
    """Return the kind of a failure and where it came up, for a log: its message may quote what users have stored."""
    return "".join([type(failure).__name__, "\n", *traceback.format_tb(failure.__traceback__)]).rstrip()
