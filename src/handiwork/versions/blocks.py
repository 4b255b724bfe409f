"""The bytes of a source as text in UTF-8, block by block, without more being read than is asked for.

UTF-16 with a byte order mark becomes UTF-8, and the mark itself is left out. Invalid bytes are passed on; what the
blocks hold is not known here.
"""

import codecs
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from handiwork.model import KIB
from handiwork.tasks import in_thread
from handiwork.versions.selection import Source

Result = TypeVar("Result")

# Enough for the header and some pages of most tables; what is selected is most often near the beginning.
FIRST_BYTES = 64 * KIB
# Below this, a thread costs more than the work.
AT_ONCE_BYTES = 16 * KIB
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


async def blocks(content: Source, *, first: bytes | None = None) -> AsyncGenerator[bytes, None]:
    """Yield the content from its start on. A block never ends between the two bytes of a CRLF.

    The first block is small, whatever the chunks of the source; `first` are its bytes, if they have been read. Close
    the generator when it is not read to its end.
    """
    if first is None:
        first = await beginning(content)
    transcoded = _transcoder(first)
    held = transcoded(first.removeprefix(codecs.BOM_UTF8), content.size <= len(first))
    if content.size > len(first):
        if whole := _without_open_cr(held):
            yield whole
        async with aclosing(_blocks_of(content, len(first), held[len(whole) :], transcoded)) as stream:
            async for block in stream:
                yield block
    elif held:
        yield held


async def blocks_from(content: Source, offset: int) -> AsyncGenerator[bytes, None]:
    """Yield as `blocks` does from a byte on, of text that `text_begins` in; the first block may be large."""
    async with aclosing(_blocks_of(content, offset, b"", _as_it_is)) as stream:
        async for block in stream:
            yield block


def text_begins(first: bytes) -> int | None:
    """Return where the text begins whose first bytes these are; None where its bytes are not those of the blocks."""
    if first[:2] in _UTF16:
        return None
    return len(codecs.BOM_UTF8) if first.startswith(codecs.BOM_UTF8) else 0


async def _blocks_of(
    content: Source, offset: int, held: bytes, transcoded: Callable[[bytes, bool], bytes]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(content.chunks(offset=offset)) as chunks:
        async for chunk in chunks:
            offset += len(chunk)
            held += transcoded(chunk, offset >= content.size)
            if whole := _without_open_cr(held):
                yield whole
            held = held[len(whole) :]
    if held:
        yield held


async def beginning(content: Source) -> bytes:
    """Return the bytes that the first block is made of."""
    return await read(content, offset=0, length=FIRST_BYTES)


async def read(content: Source, *, offset: int, length: int) -> bytes:
    """Return `length` bytes from `offset` on, fewer at the end."""
    parts: list[bytes] = []
    async with aclosing(content.chunks(offset=offset, length=length)) as chunks:
        async for chunk in chunks:
            parts.append(chunk)  # noqa: PERF401  # the generator must be closed, which no comprehension does
    return b"".join(parts)


async def is_utf16(content: Source) -> bool:
    return await read(content, offset=0, length=2) in _UTF16


async def scanned(work: Callable[[bytes], Result], block: bytes) -> Result:
    """Do the work on a block, in a thread where it may take long."""
    if len(block) <= AT_ONCE_BYTES:
        return work(block)
    return await in_thread(work, block)


def _transcoder(first: bytes) -> Callable[[bytes, bool], bytes]:
    encoding = _UTF16.get(first[:2])
    if encoding is None:
        return _as_it_is
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    return lambda data, is_last: decoder.decode(data, is_last).encode()


def _as_it_is(data: bytes, _is_last: bool) -> bytes:  # as `decode` of the codecs has it
    return data


def _without_open_cr(data: bytes) -> bytes:
    return data[:-1] if data.endswith(b"\r") else data
