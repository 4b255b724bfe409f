"""The seam for records of API keys: whose each is and what it may do. How a key is made and checked is `access`'s.

No key can be told from its record: only a hash of its secret is kept.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

KeyKind = Literal["user", "agent", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One API key, without its secret. `user` None is any user of the tenant, `session` None any of the user's."""

    id: str
    tenant: str
    kind: KeyKind
    user: str | None = None
    session: str | None = None
    name: str = ""
    permissions: frozenset[str]
    secret_sha256: str = field(repr=False)
    """In hexadecimal. The secret has 256 random bits, so a plain hash cannot be searched."""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_valid_at(self, moment: datetime) -> bool:
        """Tell whether it is neither revoked nor expired; at `expires_at` it has expired."""
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)


class KeyRecords(Protocol):
    """What is known of every key. When a method that writes returns, its change survives a crash.

    Each method may raise `StorageFailed`, and those that write `StorageFull`.
    """

    async def add(self, record: KeyRecord) -> None:
        """Add a new key; its id is one that no key has."""
        ...

    async def find(self, key_id: str) -> KeyRecord | None:
        """Return the key of this id, expired and revoked ones too, as it stands now: nothing is cached here."""
        ...

    async def list(self, tenant: str) -> tuple[KeyRecord, ...]:
        """Return all keys of a tenant, expired and revoked ones too, the newest first."""
        ...

    async def revoke(self, tenant: str, key_id: str, *, at: datetime) -> KeyRecord:
        """Note that a key was revoked, and return it; one that was revoked before keeps its time.

        Raises:
            KeyNotFound: the tenant has no such key.
        """
        ...

    async def is_any(self) -> bool:
        """Tell whether a key was ever made, for any tenant: expired and revoked ones count.

        What is open without keys must not open again because the last one was revoked.
        """
        ...
