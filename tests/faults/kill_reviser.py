"""Revisers that change a few artifacts and write new ones again and again, until they are killed.

They say which versions were acknowledged, and before a stream begins what it is called.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from fork_server import Order, serve, tell

from handiwork import wiring
from handiwork.engine import Engine
from handiwork.errors import VersionConflict
from handiwork.model import Artifact
from handiwork.session import Session
from handiwork.settings import Artifacts, Settings, Storage

LEDGERS, NOTES, TABLES = 2, 2, 1
LARGE_BYTES = 200_000
SETTINGS = Settings(artifacts=Artifacts(storage=Storage(cleanup_enabled=False, reserve=1 << 20)))


STREAMED, BROKEN = "streamed", "broken"
LONGEST_PAUSE_SECONDS = 0.01


def pieces_of(name: str) -> list[str]:
    """What the stream of this name comes to: it can be told from its first line whether a content is whole."""
    chance = random.Random(name)
    return [f"{name}\n", *(chance.randbytes(chance.randint(1, 600)).hex() for _ in range(chance.randint(2, 24)))]


async def flowing(name: str) -> AsyncIterator[str]:
    """Yield the pieces with pauses, so that whoever is killed is often in the middle; one that is broken has no end."""
    chance = random.Random(f"pauses of {name}")
    *pieces, last = pieces_of(name)
    for piece in pieces:
        yield piece
        await asyncio.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
    if name.startswith(BROKEN):
        raise ConnectionResetError(name)
    yield last


async def lay_out(data: Path) -> list[str]:
    """Make the artifacts that are revised: ledgers of JSON that only grow, notes that are text, and a table."""
    async with wiring.open(data, settings=SETTINGS) as engine:
        session = engine.session("s")
        made = [await session.create("json", title=f"Ledger {n}", content={}) for n in range(LEDGERS)]
        made += [await session.create("markdown", title=f"Notes {n}", content="one\n") for n in range(NOTES)]
        made += [await session.create("csv", title="Table", content="id,by\n0,nobody\n") for _ in range(TABLES)]
        return [each.id for each in made]


@dataclass(kw_only=True)
class Reviser:
    """One of those that revise; all of them share all artifacts."""

    engine: Engine
    who: str
    chance: random.Random
    ledgers: list[str]
    notes: list[str]
    tables: list[str]
    count: int = field(default=0)

    async def revise(self) -> None:
        while True:
            (step,) = self.chance.choices(list(STEPS), list(STEPS.values()))
            self.count += 1
            await step(self)

    async def enter(self, *, base: int | None = None) -> None:
        """Add a name to a ledger, which nobody takes away."""
        ledger, name = self.chance.choice(self.ledgers), f"{self.who}-{self.count}"
        made = await self.session.revise(ledger, patch={name: self.count}, base_version=base)
        self.acknowledge(made, entered=name)

    async def enter_at_an_old_version(self) -> None:
        await self.enter(base=1)

    async def write(self, size: int = 2_000) -> None:
        content = f"{self.who} {self.count}\n" + self.chance.randbytes(self.chance.randint(1, size // 2)).hex()
        made = await self.session.revise(self.chance.choice(self.notes), content=content)
        # The hash is of what was given, not of what the store says that it has stored.
        self.acknowledge(made, sha256=_sha256(content))

    async def write_much(self) -> None:
        await self.write(LARGE_BYTES)

    async def add_row(self) -> None:
        table = self.chance.choice(self.tables)
        head = await self.session.get(table)
        rows = (await self.session.read(table, version=head.version.number)).decode()
        try:
            content = f"{rows}{self.who}-{self.count},x\n"
            made = await self.session.revise(table, content=content, base_version=head.version.number)
        except VersionConflict:
            return
        self.acknowledge(made)

    async def restore(self) -> None:
        notes = self.chance.choice(self.notes)
        number = self.chance.randint(1, (await self.session.get(notes)).version.number)
        self.acknowledge(await self.session.restore(notes, number))

    async def stream_anew(self, kind: str = STREAMED) -> Artifact:
        name = self.begin(kind)
        made = await self.session.create("markdown", title=name, content=flowing(name))
        self.acknowledge(made, sha256=_sha256("".join(pieces_of(name))))
        return made

    async def stream_on(self, kind: str = STREAMED) -> Artifact:
        name = self.begin(kind)
        made = await self.session.revise(self.chance.choice(self.notes), content=flowing(name))
        self.acknowledge(made, sha256=_sha256("".join(pieces_of(name))))
        return made

    async def break_off(self) -> None:
        stream = self.chance.choice((self.stream_anew, self.stream_on))
        try:
            made = await stream(BROKEN)
        except ConnectionResetError as broken:
            tell(broken=str(broken))
        else:
            raise AssertionError(f"a stream that broke off was stored: {made}")

    def begin(self, kind: str) -> str:
        name = f"{kind} {self.who} {self.count}"
        tell(begun=name)
        return name

    async def label(self) -> None:
        await self.session.label(self.chance.choice(self.notes), f"{self.who}-{self.count}")

    @property
    def session(self) -> Session:
        return self.engine.session("s")

    def acknowledge(self, made: Artifact, *, entered: str | None = None, sha256: str | None = None) -> None:
        version = made.version
        tell(stored=[made.id, version.number, sha256 or version.sha256], entered=entered)


STEPS: dict[Callable[[Reviser], Awaitable[object]], float] = {
    Reviser.enter: 40,
    Reviser.enter_at_an_old_version: 10,
    Reviser.write: 25,
    Reviser.write_much: 8,
    Reviser.add_row: 6,
    Reviser.restore: 8,
    Reviser.label: 3,
    Reviser.stream_anew: 12,
    Reviser.stream_on: 12,
    Reviser.break_off: 4,
}


def _sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


async def revise(order: Order) -> None:
    ids: list[str] = order["artifacts"]
    ledgers, notes, tables = ids[:LEDGERS], ids[LEDGERS:-TABLES], ids[-TABLES:]
    async with wiring.open(Path(order["data"]), settings=SETTINGS) as engine:
        tell(ready=order["who"])
        async with asyncio.TaskGroup() as group:
            for number in range(order["revisers"]):
                who = f"{order['who']}-{number}"
                reviser = Reviser(
                    engine=engine, who=who, chance=random.Random(who), ledgers=ledgers, notes=notes, tables=tables
                )
                group.create_task(reviser.revise())


async def enter(order: Order) -> None:
    """Make so many entries in one ledger, as fast as it goes."""
    async with wiring.open(Path(order["data"]), settings=SETTINGS) as engine:
        ledger, who = order["artifacts"][0], order["who"]
        reviser = Reviser(engine=engine, who=who, chance=random.Random(who), ledgers=[ledger], notes=[], tables=[])
        for reviser.count in range(order["entries"]):
            await reviser.enter()


def work(order: Order) -> None:
    logging.disable(logging.WARNING)
    asyncio.run(enter(order) if "entries" in order else revise(order))


if __name__ == "__main__":
    serve(work)
