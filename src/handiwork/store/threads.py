"""Blocking work, done in a thread. What the work is does not matter here."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from handiwork.tasks import to_the_end

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_thread(work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
    """Do `work` in a thread, and never leave it running.

    Without that, the clean-up after a cancellation would close a file that the thread is still writing.
    """
    return await to_the_end(asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **kwargs)))
