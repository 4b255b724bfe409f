"""Reading with the hash checked. Which hash is right is known to the records, and where the bytes are to the blobs."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

from handiwork.errors import BlobNotFound, ContentDamaged
from handiwork.store.blobs import CHUNK_BYTES, Blobs
from handiwork.store.keys import BlobKey

CHECKED_FIRST_BYTES = CHUNK_BYTES


async def read_verified(blobs: Blobs, key: BlobKey, *, size: int, sha256: str) -> AsyncGenerator[bytes, None]:
    """Yield the content whose size and hash are on record.

    Content of up to 1 MiB is checked before its first byte is handed out. Of longer content the last chunk is held
    back until the whole is checked, so that nobody can read damaged content to its end. Close the generator if it is
    not read to the end.

    Raises:
        ContentDamaged: the bytes differ from the record, or are gone.
    """
    digest = hashlib.sha256()
    read = 0
    held: list[bytes] = []
    try:
        async with aclosing(blobs.open(key)) as chunks:
            async for chunk in chunks:
                read += len(chunk)
                if read > size:
                    raise ContentDamaged(key)
                digest.update(chunk)
                if size > CHECKED_FIRST_BYTES:
                    for earlier in held:
                        yield earlier
                    held.clear()
                held.append(chunk)
    except BlobNotFound as error:
        raise ContentDamaged(key) from error
    if read != size or digest.hexdigest() != sha256:
        raise ContentDamaged(key)
    for chunk in held:
        yield chunk
