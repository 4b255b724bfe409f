"""What every record of API keys must promise. A back end gives the fixture `keys`."""

from datetime import datetime, timedelta

import pytest

from handiwork.errors import KeyNotFound
from handiwork.store.key_records import KeyRecord, KeyRecords
from sample_records import NOON


def key(
    id: str = "k1",
    *,
    tenant: str = "default",
    user: str | None = None,
    session: str | None = None,
    at: datetime = NOON,
    expires_at: datetime | None = None,
) -> KeyRecord:
    return KeyRecord(
        id=id,
        tenant=tenant,
        kind="agent",
        user=user,
        session=session,
        name="Agent für Größe",
        permissions=frozenset({"read", "create"}),
        secret_sha256="ab" * 32,
        created_at=at,
        expires_at=expires_at,
    )


class KeyRecordsSuite:
    async def test_a_key_is_found_as_it_was_added(self, keys: KeyRecords) -> None:
        whole = key(user="ada", session="s", expires_at=NOON + timedelta(days=1))
        await keys.add(whole)
        await keys.add(key("k2"))
        assert [await keys.find("k1"), await keys.find("k2")] == [whole, key("k2")]

    async def test_an_unknown_key_is_none(self, keys: KeyRecords) -> None:
        assert await keys.find("k1") is None

    async def test_the_keys_of_a_tenant_are_listed_the_newest_first(self, keys: KeyRecords) -> None:
        for n in range(3):
            await keys.add(key(f"k{n}", at=NOON + timedelta(minutes=n)))
        await keys.add(key("other", tenant="other"))
        await keys.revoke("default", "k1", at=NOON)
        assert [each.id for each in await keys.list("default")] == ["k2", "k1", "k0"]

    async def test_a_revoked_key_keeps_the_time_of_the_first_revocation(self, keys: KeyRecords) -> None:
        await keys.add(key())
        first = await keys.revoke("default", "k1", at=NOON)
        again = await keys.revoke("default", "k1", at=NOON + timedelta(days=1))
        assert first.revoked_at == again.revoked_at == NOON
        assert await keys.find("k1") == first
        assert not first.is_valid_at(NOON)

    async def test_a_key_of_another_tenant_answers_like_a_missing_one(self, keys: KeyRecords) -> None:
        await keys.add(key())
        for tenant, id in (("other", "k1"), ("default", "k2")):
            with pytest.raises(KeyNotFound, match=f"No key `{id}`"):
                await keys.revoke(tenant, id, at=NOON)
        assert await keys.find("k1") == key()

    async def test_that_there_was_a_key_is_remembered_after_the_last_was_revoked(self, keys: KeyRecords) -> None:
        assert not await keys.is_any()
        await keys.add(key())
        assert await keys.is_any()
        await keys.revoke("default", "k1", at=NOON)
        assert await keys.is_any()
