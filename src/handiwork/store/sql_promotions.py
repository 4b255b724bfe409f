"""What tools have answered, and what that was promoted to, in a SQL database.

Who may promote and when it is refused is known to `sql_terms`, since it is a condition of adding the artifact.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from handiwork.clock import Clock, utc_now
from handiwork.model import TOOL_RESULT, Artifact, Scope
from handiwork.store.clauses import is_live, within
from handiwork.store.database import Database
from handiwork.store.records import Filed, Promotion
from handiwork.store.rows import filed_of
from handiwork.store.sealing import PLAIN, Sealing
from handiwork.store.sql_records import find
from handiwork.store.sql_terms import promoted_to
from handiwork.store.tables import artifacts, versions


class SqlPromotions:
    """Keeps `Promotions`' promises on a database that is up to date; the caller closes it."""

    def __init__(self, database: Database, *, clock: Clock = utc_now, sealing: Sealing = PLAIN) -> None:
        self._database, self._clock, self._sealing = database, clock, sealing

    async def results(self, scope: Scope, tool_call_id: str, *, limit: int) -> Sequence[Filed]:
        both = select(artifacts, versions).join_from(artifacts, versions, versions.c.artifact_id == artifacts.c.id)
        # A version that somebody has made of it since is not what the tool has answered.
        is_recorded = (artifacts.c.type == TOOL_RESULT, versions.c.number == 1)
        query = (
            both.where(within(scope), versions.c.tool_call_id == tool_call_id, *is_recorded, is_live(self._clock()))
            .order_by(artifacts.c.created_at.desc(), artifacts.c.id.desc())
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return tuple(filed_of(row, self._sealing) for row in rows)

    async def promoted(self, scope: Scope, promotion: Promotion) -> Artifact | None:
        now = self._clock()

        def look(connection: Connection) -> Artifact | None:
            id = promoted_to(connection, scope, promotion, now)
            return None if id is None else find(connection, scope, id, None, now, self._sealing).artifact

        return await self._database.read(look)
