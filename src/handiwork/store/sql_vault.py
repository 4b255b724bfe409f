"""The root keys of a store in its database, wrapped, and how the vault is opened with them.

What the keys are used for is known to `vault`. It is imported only when there is a key: the library is large.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from handiwork.clock import Clock, utc_now
from handiwork.errors import EncryptionKeyMissing, EncryptionKeyWrong, StorageFailed
from handiwork.store.database import Database
from handiwork.store.key_file import KeyRing
from handiwork.store.tables import encryption_keys

if TYPE_CHECKING:
    from handiwork.store.vault import Generation, MasterKey, Vault

_ALL = select(encryption_keys).order_by(encryption_keys.c.created_at.desc(), encryption_keys.c.id)


async def open_vault(database: Database, ring: KeyRing | None, *, clock: Clock = utc_now) -> "Vault | None":
    """Return the vault of a store, or None where nothing is encrypted and nothing shall be.

    What a previous key has wrapped is wrapped by the current one, and a new generation begins with that: all of it or
    nothing. Of several processes that come at once one does it.

    Raises:
        EncryptionKeyMissing, EncryptionKeyWrong: what is there cannot be opened; nothing was changed.
        StorageFailed: a wrapped key is damaged, or the database refuses.
    """
    if ring is None:
        wrapped_by = await database.read(lambda connection: [row.wrapped_by for row in connection.execute(_ALL)])
        if wrapped_by:
            raise EncryptionKeyMissing(wrapped_by[0])
        return None
    from handiwork.store.vault import MasterKey

    keys = [MasterKey(secret) for secret in (ring.current, *ring.previous)]
    found = await database.read(lambda connection: _Found(connection, keys))
    if found.is_stale or (ring.is_enabled and not found.generations):
        found = await database.write(lambda connection: _settled(connection, keys, ring, clock))
    return _vault(found.generations, is_enabled=ring.is_enabled)


class _Found:
    """The generations on record, the newest first; it is stale when not all are wrapped by the first of the keys."""

    def __init__(self, connection: Connection, keys: "Sequence[MasterKey]") -> None:
        by_fingerprint = {key.fingerprint: key for key in reversed(keys)}
        rows = connection.execute(_ALL).all()
        self.generations = [_unwrapped(by_fingerprint, row.id, row.wrapped, row.wrapped_by) for row in rows]
        self.is_stale = any(row.wrapped_by != keys[0].fingerprint for row in rows)


def _settled(connection: Connection, keys: "Sequence[MasterKey]", ring: KeyRing, clock: Clock) -> _Found:
    # Another process may have been faster.
    found, current = _Found(connection, keys), keys[0]
    if found.is_stale:
        for each in found.generations:
            anew = {"wrapped": current.wrapped(each), "wrapped_by": current.fingerprint}
            connection.execute(update(encryption_keys).where(encryption_keys.c.id == each.id).values(**anew))
    if ring.is_enabled and (found.is_stale or not found.generations):
        from handiwork.store.vault import new_generation

        new = new_generation()
        row = {"id": new.id, "wrapped": current.wrapped(new), "wrapped_by": current.fingerprint, "created_at": clock()}
        connection.execute(insert(encryption_keys).values(**row))
    return _Found(connection, keys)


def _unwrapped(keys: "Mapping[str, MasterKey]", id: str, wrapped: str, wrapped_by: str) -> "Generation":
    from handiwork.store.vault import Unopened

    if wrapped_by not in keys:
        raise EncryptionKeyWrong(wrapped_by, given=tuple(keys))
    try:
        return keys[wrapped_by].unwrapped(id, wrapped)
    except Unopened as error:
        raise StorageFailed("the database", f"the wrapped key of the generation `{id}` is damaged") from error


def _vault(generations: "Sequence[Generation]", *, is_enabled: bool) -> "Vault | None":
    from handiwork.store.vault import Vault

    if not generations:
        return None
    writing = generations[0].id if is_enabled else None
    return Vault({each.id: each.root for each in generations}, writing=writing)
