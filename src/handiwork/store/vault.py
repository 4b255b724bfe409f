"""The keys of an encrypted store at work. Where they are kept is known to `sql_vault`, and to `key_file`.

The key of a file wraps random root keys, one a generation; a new generation begins when the key of the file changes.
From a root key each tenant has two keys derived for it, one for records and one for the keys of blobs. All of it is
AES-256-GCM under random nonces: a tenant's key is good for 2**32 records or versions of one generation.

Only `wiring` and `sql_vault` import this, and only where encryption is asked for: the library is large.
"""

import base64
import binascii
import functools
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from handiwork.errors import EncryptionChanged, StorageFailed
from handiwork.store.key_file import KEY_BYTES
from handiwork.store.sealing import Place

NONCE_BYTES, TAG_BYTES, GENERATION_BYTES = 12, 16, 8
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
FINGERPRINT_CHARACTERS = 16
TENANTS_KEPT = 256

RandomBytes = Callable[[int], bytes]
Purpose = Literal["records", "blobs"]


class Unopened(Exception):
    """These bytes were not sealed with this key for this place, or not by a key that is known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A root key and its name, which is no secret."""

    id: str
    root: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobKeys:
    """The key of one blob, and how its header tells it."""

    generation: bytes
    wrapped: bytes
    key: bytes = field(repr=False)


class MasterKey:
    """The key of a file: it wraps root keys and does nothing else."""

    def __init__(self, secret: bytes) -> None:
        self.fingerprint = hashlib.sha256(_derived(secret, "fingerprint")).hexdigest()[:FINGERPRINT_CHARACTERS]
        self._wrapping = _derived(secret, "wrapping")

    def wrapped(self, generation: Generation, *, random_bytes: RandomBytes = secrets.token_bytes) -> str:
        sealed = _sealed(self._wrapping, generation.root, generation.id.encode(), random_bytes)
        return base64.b64encode(sealed).decode("ascii")

    def unwrapped(self, id: str, wrapped: str) -> Generation:
        """Return the generation. Raises `Unopened`."""
        return Generation(id=id, root=_opened(self._wrapping, _decoded(wrapped), id.encode()))


class Vault:
    """Seals and opens what belongs to the tenants of one store. `writing` None opens what is sealed, and seals nothing.

    For the records it keeps the promises of `Sealing`.
    """

    is_plain = False

    def __init__(
        self,
        generations: Mapping[str, bytes],
        *,
        writing: str | None,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._roots = {bytes.fromhex(id): root for id, root in generations.items()}
        self._writing = None if writing is None else bytes.fromhex(writing)
        self._random_bytes = random_bytes
        self._tenant_key = functools.lru_cache(TENANTS_KEPT)(self._derived_for)

    @property
    def seals(self) -> bool:
        """Whether what is new is encrypted."""
        return self._writing is not None

    def seal(self, place: Place, facts: Mapping[str, object]) -> str | None:
        if self._writing is None:
            return None
        key = self._tenant_key(self._writing, place.tenant, "records")
        sealed = _sealed(key, json.dumps(facts).encode(), _spelled(place), self._random_bytes)
        return base64.b64encode(self._writing + sealed).decode("ascii")

    def open(self, place: Place, sealed: str) -> Mapping[str, object]:
        try:
            data = _decoded(sealed)
            generation = data[:GENERATION_BYTES]
            if generation not in self._roots:
                raise EncryptionChanged(generation.hex())
            key = self._tenant_key(generation, place.tenant, "records")
            facts = _opened(key, data[GENERATION_BYTES:], _spelled(place))
        except Unopened as error:
            raise StorageFailed("the database", f"what is sealed of `{place.id}` is damaged") from error
        return cast("Mapping[str, object]", json.loads(facts))  # what `seal` was given

    def new_blob_keys(self, tenant: str, about: bytes) -> BlobKeys:
        """Return a key for one new blob of a tenant; `about` is what it is bound to."""
        assert self._writing is not None, "it seals"
        key = self._random_bytes(KEY_BYTES)
        wrapped = _sealed(self._tenant_key(self._writing, tenant, "blobs"), key, about, self._random_bytes)
        return BlobKeys(generation=self._writing, wrapped=wrapped, key=key)

    def blob_key(self, tenant: str, generation: bytes, wrapped: bytes, about: bytes) -> bytes:
        """Return the key of a blob. Raises `Unopened`."""
        if generation not in self._roots:
            raise Unopened
        return _opened(self._tenant_key(generation, tenant, "blobs"), wrapped, about)

    def _derived_for(self, generation: bytes, tenant: str, purpose: Purpose) -> bytes:
        return _derived(self._roots[generation], f"tenant:{tenant}:{purpose}")


def new_generation(*, random_bytes: RandomBytes = secrets.token_bytes) -> Generation:
    return Generation(id=random_bytes(GENERATION_BYTES).hex(), root=random_bytes(KEY_BYTES))


def _derived(secret: bytes, purpose: str) -> bytes:
    info = f"handiwork {purpose}".encode("utf-8", "surrogatepass")
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


def _sealed(key: bytes, data: bytes, about: bytes, random_bytes: RandomBytes) -> bytes:
    nonce = random_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, about)


def _opened(key: bytes, sealed: bytes, about: bytes) -> bytes:
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise Unopened
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except InvalidTag as error:
        raise Unopened from error


def _decoded(text: str) -> bytes:
    try:
        sealed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unopened from error
    # The last character has bits that say nothing, and a change of them is a change.
    if base64.b64encode(sealed).decode("ascii") != text:
        raise Unopened
    return sealed


def _spelled(place: Place) -> bytes:
    # As JSON: two places have never the same spelling.
    return json.dumps([place.table, place.tenant, place.id, place.number]).encode()
