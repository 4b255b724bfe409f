"""Records of keys in memory, which note each look-up, and a clock that is set by hand.

What is promised of the records is proved of the real ones in `tests/contract`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from handiwork.access.authentication import Authenticator
from handiwork.access.keys import Keys
from handiwork.access.links import Links
from handiwork.access.signing import Signing
from handiwork.access.signing_keys import SigningKeyFile
from handiwork.access.tokens import Tokens
from handiwork.errors import KeyNotFound
from handiwork.store.key_records import KeyRecord

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class MemoryKeys:
    """`sought` has the id of every look-up, in order."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.sought: list[str] = []

    async def add(self, record: KeyRecord) -> None:
        assert record.id not in self.records
        self.records[record.id] = record

    async def find(self, key_id: str) -> KeyRecord | None:
        self.sought.append(key_id)
        return self.records.get(key_id)

    async def list(self, tenant: str) -> tuple[KeyRecord, ...]:
        return tuple(reversed([record for record in self.records.values() if record.tenant == tenant]))

    async def revoke(self, tenant: str, key_id: str, *, at: datetime) -> KeyRecord:
        record = self.records.get(key_id)
        if record is None or record.tenant != tenant:
            raise KeyNotFound(key_id)
        if record.revoked_at is None:
            record = self.records[key_id] = replace(record, revoked_at=at)
        return record

    async def is_any(self) -> bool:
        return bool(self.records)


class HandClock:
    """Time stands still until it is moved; the wall clock and the monotonic one move together."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return (self.moment - NOON).total_seconds() + 1000.0

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All of the room `access` over records in memory and a key file in a folder."""

    clock: HandClock
    records: MemoryKeys
    keys: Keys
    file: SigningKeyFile
    signing: Signing
    tokens: Tokens
    links: Links
    authenticator: Authenticator


def access(folder: Path, *, records: MemoryKeys | None = None, clock: HandClock | None = None) -> Access:
    """Make the room; another one with the same folder, records and clock is another process."""
    clock, records = clock or HandClock(), records or MemoryKeys()
    keys = Keys(records, clock=clock.now, monotonic=clock.monotonic)
    file = SigningKeyFile(folder)
    signing = Signing(file, monotonic=clock.monotonic)
    tokens = Tokens(signing, keys, clock=clock.now)
    return Access(
        clock=clock,
        records=records,
        keys=keys,
        file=file,
        signing=signing,
        tokens=tokens,
        links=Links(signing, keys, clock=clock.now),
        authenticator=Authenticator(keys, tokens, clock=clock.now),
    )
