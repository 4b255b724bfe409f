"""Writers that do a little of everything to a store and say what was acknowledged, until they are killed."""

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fork_server import Order, serve, tell

from file_faults import HasNoNamelessFiles
from handiwork import wiring
from handiwork.engine import Engine
from handiwork.ids import ExecutionId, new_execution_id
from handiwork.model import Artifact, Execution, Outcome, Provenance
from handiwork.session import Session
from handiwork.settings import Artifacts, Settings, Storage
from handiwork.store.local_blobs import LocalBlobs
from handiwork.versions.content import Bytes
from handiwork.versions.drafts import Draft
from sealed_store import encrypted

SMALL_BYTES, LARGE_BYTES = 4_000, 200_000
SETTINGS = Settings(artifacts=Artifacts(storage=Storage(cleanup_enabled=False, reserve=1 << 20)))
PASSING = timedelta(milliseconds=30)


@dataclass(kw_only=True)
class Writer:
    """One of those that write; what it removes and holds it has made itself."""

    engine: Engine
    session: Session
    chance: random.Random
    made: list[str] = field(default_factory=list[str])
    held: list[str] = field(default_factory=list[str])
    runs: list[Execution] = field(default_factory=list[Execution])

    async def write(self) -> None:
        while True:
            (step,) = self.chance.choices(list(STEPS), list(STEPS.values()))
            await step(self)

    async def create(self, size: int = SMALL_BYTES) -> None:
        content = self.content(size)
        made = await self.session.create("file", content=content, name="a.txt")
        self.made.append(made.id)
        self.acknowledge([made], [content])

    async def create_large(self) -> None:
        await self.create(LARGE_BYTES)

    async def create_two(self) -> None:
        await self.file(None)

    async def create_passing(self) -> None:
        content = self.content(SMALL_BYTES)
        made = await self.session.create("file", content=content, name="a.txt", retention=PASSING)
        self.acknowledge([made], [content], is_passing=True)

    async def remove(self) -> None:
        if self.made:
            gone = self.made.pop(self.chance.randrange(len(self.made)))
            tell(removing=gone)
            await self.session.remove(gone)
            tell(removed=gone)

    async def hold(self) -> None:
        if self.made:
            held = self.made.pop()
            tell(holding=held)
            await self.session.hold(held)
            tell(held=held)
            self.held.append(held)

    async def let_go(self) -> None:
        if self.held:
            loose = self.held.pop()
            tell(holding=loose)
            await self.session.hold(loose, held=False)
            tell(loose=loose)

    async def clean(self) -> None:
        await self.engine.clean()
        tell(cleaned=True)

    async def begin_run(self) -> None:
        outcome = Outcome(status="running")
        run = Execution(id=new_execution_id(), scope=self.session.scope, created_at=datetime.now(UTC), outcome=outcome)
        await self.engine.runs.executions.begin(run, owner=self.engine.runs.owner)
        tell(begun=run.id)
        self.runs.append(run)

    async def end_run(self) -> None:
        if self.runs:
            run = self.runs.pop()
            await self.file(replace(run, outcome=Outcome(status="succeeded", exit_code=0)))
            tell(finished=run.id)

    async def file(self, run: Execution | None) -> None:
        contents = [self.content(SMALL_BYTES), self.content(SMALL_BYTES)]
        provenance = Provenance(execution_id=ExecutionId(run.id) if run is not None else None)
        drafts = [
            Draft(type=self.engine.types.named("file"), name=f"{n}.txt", content=Bytes(content), provenance=provenance)
            for n, content in enumerate(contents)
        ]
        made = await self.engine.creation.file(self.session.scope, drafts, execution=run)
        self.made += [each.id for each in made]
        self.acknowledge(made, contents)

    def content(self, size: int) -> bytes:
        return self.chance.randbytes(self.chance.randint(1, size // 2)).hex().encode()

    def acknowledge(
        self, made: tuple[Artifact, ...] | list[Artifact], contents: list[bytes], *, is_passing: bool = False
    ) -> None:
        # The hash is of what was given, not of what the store says that it has stored.
        named = [(each.id, hashlib.sha256(content).hexdigest()) for each, content in zip(made, contents, strict=True)]
        tell(created=named, passing=is_passing)


STEPS: dict[Callable[[Writer], Awaitable[None]], float] = {
    Writer.create: 40,
    Writer.create_large: 8,
    Writer.create_two: 12,
    Writer.create_passing: 6,
    Writer.remove: 14,
    Writer.hold: 4,
    Writer.let_go: 2,
    Writer.clean: 2,
    Writer.begin_run: 7,
    Writer.end_run: 5,
}


async def write(order: Order) -> None:
    data, first, writers = Path(order["data"]), order["first"], order["writers"]
    keys = [Path(key) for key in order.get("keys", ())]
    async with wiring.open(data, settings=encrypted(*keys) if keys else SETTINGS) as engine:
        if order["named"]:
            engine = with_named_drafts(engine, data)
        tell(ready=first)
        async with asyncio.TaskGroup() as group:
            for number in range(first, first + writers):
                # Two writers share a session, so they wait for each other's numbers too.
                session = engine.session(f"s-{number // 2}")
                writer = Writer(engine=engine, session=session, chance=random.Random(f"{order['seed']} {number}"))
                group.create_task(writer.write())


def with_named_drafts(engine: Engine, data: Path) -> Engine:
    """The same engine as on a file system without nameless files, where a dead process leaves its drafts."""
    drafts = engine.retention.owners.folder
    blobs = LocalBlobs(data / wiring.BLOB_FOLDER, drafts=drafts, files=HasNoNamelessFiles())
    retention = replace(engine.retention, blobs=blobs)
    return replace(engine, blobs=blobs, creation=replace(engine.creation, blobs=blobs), retention=retention)


def work(order: Order) -> None:
    # That the clean-up meets the others is what is wanted here.
    logging.disable(logging.WARNING)
    asyncio.run(write(order))


if __name__ == "__main__":
    serve(work)
