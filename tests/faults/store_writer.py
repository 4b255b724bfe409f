"""A process that stores artifacts and says so line by line, until it has stored enough or is killed."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

from handiwork.ids import new_artifact_id, new_execution_id, new_handle
from handiwork.model import Artifact, Execution, Isolation, Outcome, Provenance, Scope, Version
from handiwork.store.keys import blob_key
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.records import Filed
from handiwork.store.sql_records import SqlRecords
from handiwork.store.sqlite import SqliteDatabase
from handiwork.store.upgrade import upgrade

OUTPUTS = 2


async def content(seed: str) -> AsyncGenerator[bytes, None]:
    for part in range(4):
        yield hashlib.sha256(f"{seed}{part}".encode()).digest() * 2000


async def file(blobs: LocalBlobs, scope: Scope, run: Execution) -> Filed:
    artifact_id = new_artifact_id()
    key = blob_key(scope, artifact_id, 1, "out.bin")
    stored = await blobs.put(key, content(artifact_id))
    version = Version(
        artifact_id=artifact_id,
        number=1,
        name="out.bin",
        media_type="application/octet-stream",
        category="data",
        size=stored.size,
        sha256=stored.sha256,
        created_at=run.created_at,
        provenance=Provenance(execution_id=run.id),
    )
    artifact = Artifact(
        id=artifact_id,
        handle=new_handle("out"),
        scope=scope,
        type="file",
        title="out",
        created_at=run.created_at,
        updated_at=run.created_at,
        expires_at=None,
        version=version,
    )
    return Filed(artifact=artifact, blob_key=key)


def execution(scope: Scope) -> Execution:
    outcome = Outcome(status="succeeded", exit_code=0, isolation=Isolation(level="none", memory_by="watch", walls={}))
    return Execution(id=new_execution_id(), scope=scope, created_at=datetime.now(UTC), outcome=outcome)


async def write(data: Path, session: str, runs: int, *, writers: int = 1) -> None:
    """Store `runs` runs with each of `writers` writers, which share one database and are committed together."""
    upgrade(data / "handiwork.db")
    database = SqliteDatabase(data / "handiwork.db")
    records, blobs, scope = SqlRecords(database), LocalBlobs(data / "blobs"), Scope(session=session)

    async def one() -> None:
        for _ in range(runs):
            run = execution(scope)
            entries = [await file(blobs, scope, run) for _ in range(OUTPUTS)]
            await records.add(entries, execution=run)
            print(run.id, *(entry.artifact.id for entry in entries), flush=True)

    await asyncio.gather(*(one() for _ in range(writers)))
    await database.close()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), writers=int(sys.argv[4])))
