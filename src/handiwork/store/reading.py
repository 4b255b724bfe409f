"""Reading with the hash checked. Which hash is right is known to the records, and where the bytes are to the blobs."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from handiwork.errors import BlobNotFound, ContentDamaged, StorageFailed
from handiwork.model import Artifact
from handiwork.store.blobs import CHUNK_BYTES, Blobs
from handiwork.store.keys import BlobKey
from handiwork.store.records import Records
from handiwork.tasks import in_thread

CHECKED_FIRST_BYTES = CHUNK_BYTES
# Hashing this much takes about as long as asking a thread to.
HASHED_HERE_BYTES = 256 * 1024


async def read_verified(
    blobs: Blobs, key: BlobKey, *, size: int, sha256: str, start: int = 0, stop: int | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield the content whose size and hash are on record, or what of it lies from `start` to before `stop`.

    A part is as trustworthy as the whole, because the whole is read and checked for it too. Content of up to 1 MiB is
    checked before its first byte is handed out. Of longer content the last chunk is held back until the whole is
    checked, so that nobody can read damaged content, or a damaged part, to its end. Close the generator if it is not
    read to the end.

    Raises:
        ContentDamaged: the bytes differ from the record, or are gone.
    """
    digest = hashlib.sha256()
    read = 0
    held: list[bytes] = []
    try:
        async with aclosing(blobs.open(key)) as chunks:
            async for chunk in chunks:
                wanted = chunk[max(0, start - read) : None if stop is None else max(0, stop - read)]
                read += len(chunk)
                if read > size:
                    raise ContentDamaged(key)
                if len(chunk) <= HASHED_HERE_BYTES:
                    digest.update(chunk)
                else:
                    await in_thread(digest.update, chunk)
                if not wanted:
                    continue
                if size > CHECKED_FIRST_BYTES:
                    for earlier in held:
                        yield earlier
                    held.clear()
                held.append(wanted)
    except BlobNotFound as error:
        raise ContentDamaged(key) from error
    if read != size or digest.hexdigest() != sha256:
        raise ContentDamaged(key)
    for chunk in held:
        yield chunk


@asynccontextmanager
async def unless_gone(records: Records, artifact: Artifact) -> AsyncGenerator[None]:
    """Read or put bytes of an artifact within it: what was removed meanwhile is gone, and neither damaged nor broken.

    Raises:
        ArtifactNotFound, ArtifactExpired: it was removed since it was found.
    """
    try:
        yield
    except (BlobNotFound, ContentDamaged, StorageFailed):
        await records.get(artifact.scope, artifact.id)
        raise
