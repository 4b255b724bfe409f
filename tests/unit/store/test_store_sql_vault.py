import asyncio
import base64
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from handiwork.clock import utc_now
from handiwork.errors import EncryptionKeyMissing, EncryptionKeyWrong, StorageFailed, StorageFull
from handiwork.store.database import Result, Work
from handiwork.store.key_file import KEY_BYTES, KeyRing
from handiwork.store.sealing import Place
from handiwork.store.sql_vault import open_vault
from handiwork.store.sqlite import SqliteDatabase
from handiwork.store.upgrade import upgrade
from handiwork.store.vault import MasterKey, Vault

HERE = Place(table="artifacts", tenant="default", id="art_1")
FACTS = {"title": "Q3"}
OLD, NEW, OTHER = (bytes([n]) * KEY_BYTES for n in range(3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "handiwork.db"


@pytest.fixture
async def database(path: Path) -> AsyncGenerator[SqliteDatabase]:
    upgrade(path)
    database = SqliteDatabase(path)
    yield database
    await database.close()


def ring(current: bytes, *previous: bytes, is_enabled: bool = True) -> KeyRing:
    return KeyRing(current=current, previous=previous, is_enabled=is_enabled)


async def opened(database: SqliteDatabase, ring: KeyRing) -> Vault:
    vault = await open_vault(database, ring)
    assert vault is not None
    return vault


def sealed_by(vault: Vault) -> str:
    sealed = vault.seal(HERE, FACTS)
    assert sealed is not None
    return sealed


def rows(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, wrapped_by FROM encryption_keys ORDER BY created_at, id").fetchall()


def fingerprint(secret: bytes) -> str:
    return MasterKey(secret).fingerprint


async def test_the_first_opening_begins_a_generation_and_the_next_finds_it(
    database: SqliteDatabase, path: Path
) -> None:
    sealed = sealed_by(await opened(database, ring(OLD)))

    assert (await opened(database, ring(OLD))).open(HERE, sealed) == FACTS
    assert [by for _id, by in rows(path)] == [fingerprint(OLD)]


async def test_without_a_key_nothing_is_encrypted_and_nothing_begins(database: SqliteDatabase, path: Path) -> None:
    assert await open_vault(database, None) is None
    assert await open_vault(database, ring(OLD, is_enabled=False)) is None
    assert rows(path) == []


async def test_many_that_come_at_once_begin_one_generation(database: SqliteDatabase, path: Path) -> None:
    others = [SqliteDatabase(path) for _ in range(5)]

    vaults = await asyncio.gather(*(opened(each, ring(OLD)) for each in (database, *others)))

    assert len(rows(path)) == 1
    assert {vaults[0].open(HERE, sealed_by(vault))["title"] for vault in vaults} == {"Q3"}
    for each in others:
        await each.close()


async def test_no_key_and_a_wrong_key_are_told_before_anything_changes(database: SqliteDatabase, path: Path) -> None:
    await opened(database, ring(OLD))
    before = rows(path)

    with pytest.raises(EncryptionKeyMissing, match=fingerprint(OLD)) as missing:
        await open_vault(database, None)
    with pytest.raises(EncryptionKeyWrong, match=fingerprint(OLD)) as wrong:
        await open_vault(database, ring(NEW, OTHER))

    assert "`artifacts.storage.encryption.key_file`" in (missing.value.hint or "")
    assert {fingerprint(NEW), fingerprint(OTHER)} == set(wrong.value.given)
    assert rows(path) == before
    assert OLD.hex() not in repr(wrong.value)


async def test_a_changed_key_wraps_all_anew_and_begins_a_generation(database: SqliteDatabase, path: Path) -> None:
    old = sealed_by(await opened(database, ring(OLD)))

    rotated = await opened(database, ring(NEW, OLD))
    new = sealed_by(rotated)

    assert [by for _id, by in rows(path)] == [fingerprint(NEW)] * 2
    assert rotated.open(HERE, old) == FACTS
    # The previous key may go, and it opens nothing any more.
    after = await opened(database, ring(NEW))
    assert (after.open(HERE, old), after.open(HERE, new)) == (FACTS, FACTS)
    assert len(rows(path)) == 2
    with pytest.raises(EncryptionKeyWrong):
        await open_vault(database, ring(OLD))
    assert [id for id, _by in rows(path)].index(_generation_of(new)) == 1, "the newest writes"


async def test_a_second_start_with_the_same_keys_rotates_nothing(database: SqliteDatabase, path: Path) -> None:
    await opened(database, ring(OLD))
    await opened(database, ring(NEW, OLD))
    before = rows(path)

    await opened(database, ring(NEW, OLD))

    assert rows(path) == before


async def test_encryption_that_was_turned_off_reads_and_seals_nothing(database: SqliteDatabase) -> None:
    sealed = sealed_by(await opened(database, ring(OLD)))

    off = await opened(database, ring(OLD, is_enabled=False))

    assert off.open(HERE, sealed) == FACTS
    assert not off.seals
    assert off.seal(HERE, FACTS) is None


async def test_a_key_that_is_changed_while_encryption_is_off_wraps_anew_and_begins_nothing(
    database: SqliteDatabase, path: Path
) -> None:
    sealed = sealed_by(await opened(database, ring(OLD)))

    await opened(database, ring(NEW, OLD, is_enabled=False))

    assert [by for _id, by in rows(path)] == [fingerprint(NEW)]
    assert (await opened(database, ring(NEW))).open(HERE, sealed) == FACTS


class Fails(SqliteDatabase):
    """A database whose disk is full at the end of every transaction."""

    async def write(self, work: Work[Result], *, first: Callable[[], None] | None = None) -> Result:
        def then_fail(connection: Connection) -> Result:
            work(connection)
            raise StorageFull("the database")

        return await super().write(then_fail, first=first)


async def test_half_of_a_rotation_is_none(database: SqliteDatabase, path: Path) -> None:
    old = sealed_by(await opened(database, ring(OLD)))
    before = rows(path)
    failing = Fails(path)

    with pytest.raises(StorageFull):
        await open_vault(failing, ring(NEW, OLD))
    await failing.close()

    assert rows(path) == before
    assert (await opened(database, ring(OLD))).open(HERE, old) == FACTS
    assert (await opened(database, ring(NEW, OLD))).open(HERE, old) == FACTS


async def test_a_wrapped_key_that_is_damaged_is_told_as_such(database: SqliteDatabase, path: Path) -> None:
    await opened(database, ring(OLD))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE encryption_keys SET wrapped = 'AAAA'")
        connection.commit()

    with pytest.raises(StorageFailed, match="is damaged"):
        await open_vault(database, ring(OLD))


async def test_a_clock_that_goes_back_loses_no_generation(database: SqliteDatabase) -> None:
    first = sealed_by(await opened(database, ring(OLD)))
    then = utc_now().replace(year=2000)

    vault = await open_vault(database, ring(NEW, OLD), clock=lambda: then)

    assert vault is not None
    assert vault.open(HERE, first) == FACTS
    assert (await opened(database, ring(NEW))).open(HERE, sealed_by(vault)) == FACTS


def _generation_of(sealed: str) -> str:
    return base64.b64decode(sealed)[:8].hex()
