"""Work that is seen to its end: blocking work in a thread, and what a cancellation must not cut in two.

What the work is does not matter here.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_thread(work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """Do `work` in a thread, and never leave it running.

    Without that, the clean-up after a cancellation would close a file that the thread is still writing.
    """
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **kwargs)))


async def to_the_end(running: asyncio.Future[Result]) -> Result:
    """Wait for work that must not be left half done: a cancelled caller is told so when it is through."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # Looked at, so that asyncio does not report it as forgotten.
        raise
