"""Signed text: bytes that come back from a client exactly as they were given to it, or not at all.

Who signs what, and how long it lasts, is not known here. The text is `v1.{key id}.{payload}.{HMAC-SHA-256}`, the
last two in base64url without padding. The hash covers a purpose that the text does not show, so what was signed
for one can never be used for another.
"""

import asyncio
import base64
import binascii
import hmac
import re
import time
from collections.abc import Callable

from handiwork.access.signing_keys import Ring, SigningKey, SigningKeyFile
from handiwork.errors import ContentTooLarge
from handiwork.tasks import in_thread

MAX_TEXT_BYTES = 4096
LOOK_SECONDS = 1.0
LOOK_FOR_UNKNOWN_SECONDS = 0.05

_TEXT = re.compile(r"v1\.([0-9A-Za-z]{1,16})\.([0-9A-Za-z_-]*)\.([0-9A-Za-z_-]{43})", re.ASCII)
_PURPOSE = re.compile(r"[a-z][a-z-]*", re.ASCII)


class Signing:
    """Signs and verifies with the keys of one file, which is looked at again at most once a second.

    A key id that is not known yet may be new, so for it the file is looked at sooner, 20 times a second at most.
    Both methods raise `StorageFailed` or `StorageFull` when the file cannot be read or made.
    """

    def __init__(self, file: SigningKeyFile, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._file, self._monotonic = file, monotonic
        self._ring: Ring | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def sign(self, purpose: str, payload: bytes) -> str:
        """Return a text that only `verify` with the same purpose accepts.

        Raises:
            ContentTooLarge: the text would be longer than `verify` takes.
        """
        key = (await self._current(LOOK_SECONDS)).keys[0]
        text = f"v1.{key.id}.{_encoded(payload)}.{_encoded(_mac(key, purpose, payload))}"
        if len(text) > MAX_TEXT_BYTES:
            raise ContentTooLarge("signed text", size=len(text), limit=MAX_TEXT_BYTES)
        return text

    async def verify(self, purpose: str, text: str) -> bytes | None:
        """Return what was signed for this purpose with a key that is still live, None for any other text."""
        matched = _TEXT.fullmatch(text) if len(text) <= MAX_TEXT_BYTES else None
        if matched is None:
            return None
        payload, mac = _decoded(matched[2]), _decoded(matched[3])
        key = await self._key(matched[1])
        if payload is None or mac is None or key is None:
            return None
        return payload if hmac.compare_digest(mac, _mac(key, purpose, payload)) else None

    async def rotate(self) -> None:
        """Sign with a new key from now on; what the last one signed stays valid until the next rotation."""
        async with self._looking:
            self._ring = await in_thread(self._file.rotate)
            self._looked_at = self._monotonic()

    async def _key(self, key_id: str) -> SigningKey | None:
        for lapse in (LOOK_SECONDS, LOOK_FOR_UNKNOWN_SECONDS):
            for key in (await self._current(lapse)).keys:
                if key.id == key_id:
                    return key
        return None

    async def _current(self, lapse: float) -> Ring:
        """Return the keys as the file had them at most `lapse` seconds ago."""
        if self._ring is not None and self._monotonic() < self._looked_at + lapse:
            return self._ring
        async with self._looking:
            # Whoever waited for the lock finds the work done.
            if self._ring is None or self._monotonic() >= self._looked_at + lapse:
                looked_at = self._monotonic()
                self._ring = await in_thread(self._file.read, self._ring)
                self._looked_at = looked_at
            return self._ring


def _mac(key: SigningKey, purpose: str, payload: bytes) -> bytes:
    if not _PURPOSE.fullmatch(purpose):
        raise ValueError(f"{purpose!r} is no purpose: lower-case letters and hyphens")
    # Neither purpose nor id can hold a dot, so no two triples give the same message.
    return hmac.digest(key.secret, f"v1.{purpose}.{key.id}.".encode("ascii") + payload, "sha256")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    # The last character has bits that decode to nothing: of all spellings of the bytes, only ours is accepted.
    return data if _encoded(data) == text else None
