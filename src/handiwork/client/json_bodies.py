"""JSON as it goes over a connection: in a thread where it is long, so that meanwhile the event loop does other work.

What it says is not looked at. The writer of the standard library lets no other thread run until it is done, so a long
value is written in parts.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from handiwork.tasks import in_thread
from handiwork.types.strict_json import is_short

WRITTEN_HERE_BYTES = READ_HERE_BYTES = 64 * 1024
"""Writing or reading so much takes about as long as asking a thread to."""
_RUN = 256

Result = TypeVar("Result")


async def json_of(value: object) -> bytes:
    """Return a value as JSON. Raises what `json.dumps` does for a value that is none."""
    return await unhurried(value, lambda: b"".join(_parts(value)))


async def halved_in(value: object) -> str | None:
    """Return the name in an object under which there is half a character; None where none is found."""
    if isinstance(value, dict):
        for name, each in cast("Mapping[str, object]", value).items():
            try:
                await json_of(each)
            except UnicodeEncodeError:
                return name
            except Exception:  # noqa: BLE001, S112  # values of callers without types fail in any way when they are read
                continue
    return None


async def value_of(data: bytes) -> Any:
    """Return what JSON says. Raises what `json.loads` does for what is none."""
    if len(data) <= READ_HERE_BYTES:
        return json.loads(data)
    # The reader lets other threads run where it calls a function, here after each object.
    return await in_thread(partial(json.loads, object_hook=lambda each: each), data)


async def unhurried(value: object, work: Callable[[], Result]) -> Result:
    """Return what comes of work that takes as long as a value has parts."""
    return work() if is_short(value, WRITTEN_HERE_BYTES) else await in_thread(work)


def _parts(value: object) -> Iterator[bytes]:
    if is_short(value, WRITTEN_HERE_BYTES):
        yield _written(value)
    elif isinstance(value, dict):
        named = cast("Mapping[object, object]", value).items()
        yield b"{"
        yield from _separated((_named(name), each) for name, each in named)
        yield b"}"
    elif isinstance(value, list):
        yield from _listed(cast("Sequence[object]", value))
    else:
        yield _written(value)


def _listed(elements: Sequence[object]) -> Iterator[bytes]:
    # Short ones together: to look at each of them takes longer than to write it.
    yield b"["
    for start in range(0, len(elements), _RUN):
        if start:
            yield b", "
        run = elements[start : start + _RUN]
        if is_short(run, WRITTEN_HERE_BYTES):
            yield _written(run)[1:-1]
        else:
            yield from _separated((b"", each) for each in run)
    yield b"]"


def _separated(entries: Iterable[tuple[bytes, object]]) -> Iterator[bytes]:
    for number, (begin, each) in enumerate(entries):
        yield b", " + begin if number else begin
        yield from _parts(each)


def _named(name: object) -> bytes:
    """Return a name and a colon, a number spelled as the writer does."""
    return _written({name: None}).removeprefix(b"{").removesuffix(b"null}")


def _written(value: object) -> bytes:
    # Half a surrogate pair could be escaped, and no server takes it.
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
