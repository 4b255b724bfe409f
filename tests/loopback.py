"""A listener on a free port of this machine, for tests that speak and hear bytes themselves."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

ROUNDS_OF_ACCEPTING = 3
"""Rounds of the loop after which a connection that was accepted is served."""


@contextlib.asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[str]:
    """Answer at an address; connections that are open end with the context."""
    served = dict[asyncio.Task[None], asyncio.StreamWriter]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError):
                await serve(reader, writer)
        finally:
            writer.close()

    def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.create_task(answer(reader, writer))] = writer

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    except BaseException as failure:
        for fault in filter(None, (task.exception() for task in served if task.done() and not task.cancelled())):
            failure.add_note(f"While it lasted, a connection was not served: {fault!r}")
        raise
    finally:
        # A server that closes between the accepting of a connection and its serving loses its socket: no new ones
        # first, then those that are on their way arrive.
        for each in server.sockets:
            asyncio.get_running_loop().remove_reader(each)
        for _ in range(ROUNDS_OF_ACCEPTING):
            await asyncio.sleep(0)
        server.close()
        for task in served:
            task.cancel()
        told = await asyncio.gather(*served, return_exceptions=True)
        for writer in served.values():
            writer.transport.abort()
        await asyncio.sleep(0)
    faults = [fault for fault in told if isinstance(fault, Exception)]
    if faults:
        raise ExceptionGroup("serving a connection failed", faults)
