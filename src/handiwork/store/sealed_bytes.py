"""The form of an encrypted blob: a header, then chunks of 64 KiB that are sealed one by one. No file is touched here.

Each chunk's nonce is its number and whether it is the last (the STREAM construction), so a chunk that is cut off, put
elsewhere, repeated or added is found out like one that was changed. Empty content is one empty last chunk.
"""

from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from handiwork.store.blobs import SEAL
from handiwork.store.vault import GENERATION_BYTES, TAG_BYTES, WRAPPED_BYTES, Unopened, Vault

MAGIC = SEAL
FORM = b"\x01"
PART_BYTES = 64 * 1024
SEALED_PART_BYTES = PART_BYTES + TAG_BYTES

_SIZE_FIELD = PART_BYTES.to_bytes(4, "big")
_GENERATION_AT = len(MAGIC) + len(FORM) + len(_SIZE_FIELD)
_WRAPPED_AT = _GENERATION_AT + GENERATION_BYTES
HEADER_BYTES = _WRAPPED_AT + WRAPPED_BYTES
_NUMBER_BYTES = 11


def is_sealed(beginning: bytes | bytearray) -> bool:
    """Whether a blob that begins so is an encrypted one; content from before the encryption was turned on is not."""
    return beginning.startswith(MAGIC)


class Sealer:
    """One blob that is being encrypted: `header`, then what `take` returns, then `end`. It is bound to `about`."""

    def __init__(self, vault: Vault, tenant: str, about: bytes) -> None:
        keys = vault.new_blob_keys(tenant, about)
        self.header = MAGIC + FORM + _SIZE_FIELD + keys.generation + keys.wrapped
        self._parts = _Parts(keys.key, about)
        self._held = bytearray()
        self._number = 0

    def take(self, data: bytes) -> bytes:
        self._held += data
        sealed = [self._parts.seal(self._next(), part) for part in _taken_off(self._held, PART_BYTES)]
        return b"".join(sealed)

    def end(self) -> bytes:
        return self._parts.seal(self._next(), bytes(self._held), is_last=True)

    def _next(self) -> int:
        self._number += 1
        return self._number - 1


class Opener:
    """One blob that is being read from chunk number `number` on. Every method raises `Unopened` for what is damaged."""

    def __init__(self, vault: Vault, tenant: str, about: bytes, *, header: bytes, number: int = 0) -> None:
        if header[len(MAGIC) : _GENERATION_AT] != FORM + _SIZE_FIELD or len(header) != HEADER_BYTES:
            raise Unopened
        key = vault.blob_key(tenant, header[_GENERATION_AT:_WRAPPED_AT], header[_WRAPPED_AT:], about)
        self._parts = _Parts(key, about)
        self._held = bytearray()
        self.number = number

    def take(self, data: bytes) -> bytes:
        """Return the content of all chunks that something follows; of the newest nobody knows yet."""
        self._held += data
        opened: list[bytes] = []
        for part in _taken_off(self._held, SEALED_PART_BYTES):
            opened.append(self._parts.open(self.number, part))
            self.number += 1
        return b"".join(opened)

    def end(self) -> bytes:
        """Return the content of the last chunk, which nothing follows."""
        return self._parts.open(self.number, bytes(self._held), is_last=True)

    @property
    def is_empty(self) -> bool:
        return not self._held


class _Parts:
    """The chunks of one blob under its key."""

    def __init__(self, key: bytes, about: bytes) -> None:
        self._aead, self._about = AESGCM(key), about

    def seal(self, number: int, part: bytes, *, is_last: bool = False) -> bytes:
        return self._aead.encrypt(_nonce(number, is_last), part, self._about)

    def open(self, number: int, part: bytes, *, is_last: bool = False) -> bytes:
        if len(part) < TAG_BYTES:
            raise Unopened
        try:
            return self._aead.decrypt(_nonce(number, is_last), part, self._about)
        except InvalidTag as error:
            raise Unopened from error


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big") + (b"\x01" if is_last else b"\x00")


def _taken_off(held: bytearray, size: int) -> Iterator[bytes]:
    """Take whole chunks off, as long as something is left behind them: it may be that they are the last."""
    start = 0
    while len(held) - start > size:
        yield bytes(held[start : start + size])
        start += size
    del held[:start]
