"""Thumbnails of images and of first pages, made in the sandbox, because decoders are what hostile files aim at.

How one is drawn stands in `preview_program`; where thumbnails are kept, and who may see them, is decided elsewhere.
"""

import asyncio
import functools
import logging
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from handiwork.errors import HandiworkError, QueueFull, SandboxBroken
from handiwork.executions.preview_program import INPUT_NAME, OUTPUT_NAME, Picture, program
from handiwork.executions.queue import Turns
from handiwork.media.formats import format_of_media_type
from handiwork.model import KIB, MIB, Limits, Status
from handiwork.sandbox.sandbox import Input, Job, Run, Sandbox

EDGE = 480
LARGEST_EDGE = 1024
MOST_PIXELS = 50_000_000
MOST_ORIGINAL_BYTES = 64 * MIB
MOST_THUMBNAIL_BYTES = 512 * KIB
MOST_WAITING = 64
PATIENCE_SECONDS = 60.0
LIMITS = Limits(
    wall_seconds=10.0, memory_bytes=512 * MIB, output_bytes=1 * MIB, file_bytes=1 * MIB, stdout_bytes=4 * KIB
)

_PICTURES: dict[str, Picture] = {
    "png": "PNG",
    "jpeg": "JPEG",
    "gif": "GIF",
    "webp": "WEBP",
    "bmp": "BMP",
    "tiff": "TIFF",
    "avif": "AVIF",
    "pdf": "PDF",
}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 64
_EIGHT_BITS = 8
_GREY_COLOUR_OR_ALPHA = (0, 2, 6)
_ONE_LANE = ""
# What the file itself has caused; another end may be the fault of a busy machine, and be better the next time.
_FAULTS_OF_THE_FILE: frozenset[Status] = frozenset({"failed", "rejected"})

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What came of one attempt, for all who wait for the same thumbnail."""

    png: bytes | None = None
    failure: HandiworkError | None = None


class Previews:
    """Makes thumbnails in a sandbox, `concurrency` at a time. Requests for the same one share one run."""

    def __init__(self, sandbox: Sandbox, *, concurrency: int = 1, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._sandbox = sandbox
        self._patience_seconds = patience_seconds
        self._turns = Turns(slots=concurrency, depth=MOST_WAITING, per_tenant=MOST_WAITING)
        self._begun: dict[tuple[str, int], asyncio.Future[_Made | None]] = {}

    async def thumbnail(
        self, key: str, media_type: str, size: int, chunks: Callable[[], AsyncIterator[bytes]], *, edge: int = EDGE
    ) -> bytes | None:
        """Return a PNG of at most `edge` x `edge` pixels without metadata, or None where there is none to be had.

        None means that the format has no pictures, that the file is damaged, too large or hostile, or that too many
        wait and it may be tried again. `key` names the content; `chunks` is called once for all who ask together.

        Raises:
            IsolationUnavailable, SandboxBroken, StorageFull: the sandbox did not come to it, or the run was cut off.
            BlobNotFound, ContentDamaged, StorageFailed: `chunks` failed with it.
            ShuttingDown: after `close`.
        """
        if not 0 < edge <= LARGEST_EDGE:
            raise ValueError(f"edge is from 1 to {LARGEST_EDGE} pixels, not {edge}")
        picture = _picture(media_type)
        if picture is None or not 0 < size <= MOST_ORIGINAL_BYTES:
            return None
        job = Job(
            code=program(picture, edge=edge, most_pixels=MOST_PIXELS, most_bytes=MOST_THUMBNAIL_BYTES),
            limits=LIMITS,
            inputs=(Input(name=INPUT_NAME, chunks=chunks),),
            is_checked=False,
        )
        patience = asyncio.timeout(self._patience_seconds)
        try:
            async with patience:
                return await self._shared((key, edge), functools.partial(self._make, job, edge=edge))
        except TimeoutError:
            if not patience.expired():
                raise
            return None

    def close(self) -> None:
        """Begin no more; what is being made goes on to its end."""
        self._turns.close()

    async def _shared(self, key: tuple[str, int], make: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """Do it, or wait for whoever does; if that one is cancelled, one of those who wait takes over."""
        while (begun := self._begun.get(key)) is not None:
            made = await asyncio.shield(begun)
            if made is not None:
                return _result(made)
        begun = self._begun[key] = asyncio.get_running_loop().create_future()
        made: _Made | None = None
        try:
            made = await _outcome(make)
            return _result(made)
        finally:
            del self._begun[key]
            begun.set_result(made)

    async def _make(self, job: Job, *, edge: int) -> bytes | None:
        try:
            async with self._turns.turn(_ONE_LANE), self._sandbox.run(job) as run:
                return await _believed(run, edge=edge)
        except QueueFull:
            return None


def is_plain_png(data: bytes, *, edge: int) -> bool:
    """Whether it is a PNG as the program writes them: small enough, eight bits a channel, pixels and nothing else.

    The program has read a hostile file, so nothing that it says is believed.
    """
    chunks = _chunks(data)
    if not chunks or (chunks[0], chunks[-1], set(chunks[1:-1])) != (b"IHDR", b"IEND", {b"IDAT"}):
        return False
    if data[8:12] != struct.pack(">I", 13):
        return False
    width, height, depth, colour, *methods = struct.unpack_from(">IIBBBBB", data, 16)
    is_small = 0 < width <= edge and 0 < height <= edge
    return is_small and depth == _EIGHT_BITS and colour in _GREY_COLOUR_OR_ALPHA and not any(methods)


def _chunks(data: bytes) -> list[bytes] | None:
    """Return the names of the chunks of a PNG; None if it is not whole, or has bytes that belong to none."""
    names: list[bytes] = []
    if not data.startswith(_SIGNATURE):
        return None
    at = len(_SIGNATURE)
    while at < len(data):
        if len(data) - at < 12 or len(names) == _MOST_CHUNKS:
            return None
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return None
        names.append(name)
        at = end + 4
    return names


def _picture(media_type: str) -> Picture | None:
    found = format_of_media_type(media_type)
    return _PICTURES.get(found.name) if found is not None else None


async def _outcome(make: Callable[[], Awaitable[bytes | None]]) -> _Made:
    try:
        return _Made(png=await make())
    except HandiworkError as failure:
        return _Made(failure=failure)


def _result(made: _Made) -> bytes | None:
    if made.failure is not None:
        raise made.failure
    return made.png


async def _believed(run: Run, *, edge: int) -> bytes | None:
    """Return the thumbnail that a run left if it is one.

    Raises:
        SandboxBroken: the run was cut off, which says nothing of the file.
    """
    outcome = run.outcome
    if outcome.status != "succeeded" and outcome.status not in _FAULTS_OF_THE_FILE:
        raise SandboxBroken(f"the drawing of a thumbnail ended as `{outcome.status}`")
    if outcome.status != "succeeded" or [output.path for output in run.outputs] != [OUTPUT_NAME]:
        # The message of the error may quote the file.
        log.debug("no thumbnail: %s, %s", outcome.status, outcome.error.type if outcome.error is not None else "-")
        return None
    (output,) = run.outputs
    if output.size > MOST_THUMBNAIL_BYTES:
        return None
    data = b"".join([chunk async for chunk in output.chunks()])
    return data if is_plain_png(data, edge=edge) else None
