"""Content that is measured while it passes: its size, its hash, and the hash of each piece where it is long.

By the hash of its piece, a part can be trusted without the whole being read. Who reads parts is not known here.
"""

import hashlib

from handiwork.model import KIB, MIB
from handiwork.store.blobs import Stored

PIECE_BYTES = 128 * KIB
OUTLINED_BYTES = MIB
"""From here on it is worth while to know the pieces; less is proved as a whole in less than a millisecond."""
DIGEST_BYTES = hashlib.sha256().digest_size


class Measure:
    """What is known of the content that was taken so far."""

    def __init__(self) -> None:
        self.size = 0
        self._whole = self._piece = hashlib.sha256()
        self._digests = bytearray()

    def take(self, data: bytes | bytearray | memoryview) -> None:
        """Measure what comes next. It blocks for a millisecond or two for each MiB."""
        view = memoryview(data)
        while view:
            part = view[: PIECE_BYTES - self.size % PIECE_BYTES]
            self._whole.update(part)
            # Up to the end of the first piece the two are the same: what is short is hashed once.
            if self._piece is not self._whole:
                self._piece.update(part)
            self.size += len(part)
            if not self.size % PIECE_BYTES:
                self._digests += self._piece.digest()
                self._piece = hashlib.sha256()
            view = view[len(part) :]

    @property
    def stored(self) -> Stored:
        pieces = b"" if self.size <= OUTLINED_BYTES else bytes(self._digests)
        if pieces and self.size % PIECE_BYTES:
            pieces += self._piece.digest()
        return Stored(size=self.size, sha256=self._whole.hexdigest(), pieces=pieces)
