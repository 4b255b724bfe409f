"""API keys in a SQL database. How a key is made and checked is `access`'s."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from handiwork.errors import KeyNotFound
from handiwork.store.database import Database
from handiwork.store.key_records import KeyRecord
from handiwork.store.rows import key_of, key_row
from handiwork.store.tables import keys


class SqlKeys:
    """Keeps `KeyRecords`' promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: KeyRecord) -> None:
        await self._database.write(lambda connection: connection.execute(insert(keys).values(key_row(record))).rowcount)

    async def find(self, key_id: str) -> KeyRecord | None:
        query = select(keys).where(keys.c.id == key_id)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        return None if row is None else key_of(row)

    async def list(self, tenant: str) -> tuple[KeyRecord, ...]:
        query = select(keys).where(keys.c.tenant == tenant).order_by(keys.c.created_at.desc(), keys.c.id)
        return tuple(
            map(key_of, await self._database.read(lambda connection: connection.execute(query).mappings().all()))
        )

    async def revoke(self, tenant: str, key_id: str, *, at: datetime) -> KeyRecord:
        its = (keys.c.tenant == tenant, keys.c.id == key_id)

        def write(connection: Connection) -> KeyRecord:
            connection.execute(update(keys).where(*its, keys.c.revoked_at.is_(None)).values(revoked_at=at))
            row = connection.execute(select(keys).where(*its)).mappings().one_or_none()
            if row is None:
                raise KeyNotFound(key_id)
            return key_of(row)

        return await self._database.write(write)

    async def is_any(self) -> bool:
        query = select(keys.c.id).limit(1)
        return await self._database.read(lambda connection: connection.scalar(query)) is not None
