"""Parts of long content in a store: what is read for them, by which process, and what of it is trusted."""

import contextlib
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import handiwork
from handiwork.engine import Engine
from handiwork.errors import ContentDamaged
from handiwork.model import Artifact, Scope
from handiwork.settings import Settings
from handiwork.store.keys import BlobKey
from handiwork.store.pieces import PIECE_BYTES
from handiwork.wiring import BLOB_FOLDER
from memory_store import MemoryBlobs
from sealed_store import encrypted, new_key

pytestmark = pytest.mark.linux

ROWS = 60_000
HEADER = "id,name,note\n"
TABLE = HEADER + "".join(f'{number},"name, {number}","said ""{number % 7}""\non two lines"\n' for number in range(ROWS))
PARTS = ("rows=5:7", f"rows={ROWS // 2}:{ROWS // 2 + 2}", f"rows={ROWS - 2}:", "tail=2")
SCOPE = Scope(user="local", session="s")
FEW = 8 * PIECE_BYTES


class Counted(MemoryBlobs):
    """The blobs of a store, and how much was read of them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.inner, self.given = engine.blobs, 0

    async def open(self, key: BlobKey, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        async for chunk in self.inner.open(key, offset=offset, length=length):
            self.given += len(chunk)
            yield chunk


@dataclass(frozen=True)
class Store:
    """A folder of data, opened anew for each look, as another process would."""

    folder: Path
    settings: Settings

    async def made(self, type_: str = "csv", content: str = TABLE) -> Artifact:
        async with handiwork.open(self.folder, settings=self.settings) as engine:
            return await engine.session("s").create(type_, title="t", content=content, name="t.csv")

    async def look(self, artifact: Artifact, selector: str, *, version: int | None = None) -> tuple[str, int]:
        """Return what is selected, and how many bytes were read for it."""
        async with handiwork.open(self.folder, settings=self.settings) as engine:
            engine = replace(engine, blobs=(blobs := Counted(engine)))
            found = await engine.select(await engine.find(SCOPE, artifact.id, version=version), selector)
            return found.text, blobs.given

    async def span(self, artifact: Artifact, start: int, stop: int) -> bytes:
        async with handiwork.open(self.folder, settings=self.settings) as engine:
            filed = await engine.find(SCOPE, artifact.id)
            return b"".join([chunk async for chunk in engine.content(filed, start=start, stop=stop)])

    async def damage(self, artifact: Artifact, offset: int) -> None:
        """Flip a bit of the stored bytes, counted from their end where `offset` is below 0."""
        async with handiwork.open(self.folder, settings=self.settings) as engine:
            path = self.folder / BLOB_FOLDER / (await engine.find(SCOPE, artifact.id)).blob_key
        data = bytearray(path.read_bytes())
        data[offset] ^= 1
        path.write_bytes(data)

    def change(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "handiwork.db")) as database:
            for each in statements:
                database.execute(each)
            database.commit()

    def count(self) -> int:
        with contextlib.closing(sqlite3.connect(self.folder / "handiwork.db")) as database:
            return database.execute("SELECT count(*) FROM outlines").fetchone()[0]


@pytest.fixture(params=["plain", "encrypted"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    key = new_key(tmp_path / "key") if request.param == "encrypted" else None
    return Store(tmp_path / "data", encrypted(key))


def rows(first: int, stop: int) -> str:
    return HEADER + "".join(
        f'{number},"name, {number}","said ""{number % 7}""\non two lines"\n' for number in range(first, stop)
    )


async def test_the_first_look_of_a_process_reads_little_wherever_the_part_is(store: Store) -> None:
    made = await store.made()
    assert len(TABLE) > 2 * FEW
    for part, first, stop in zip(
        PARTS, (5, ROWS // 2, ROWS - 2, ROWS - 2), (7, ROWS // 2 + 2, ROWS, ROWS), strict=True
    ):
        text, given = await store.look(made, part)
        assert text == rows(first, stop)
        assert given < FEW


async def test_so_does_the_first_look_at_lines_of_a_table(store: Store) -> None:
    made = await store.made()
    lines = TABLE.splitlines(keepends=True)
    for first in (5, ROWS, len(lines) - 2):
        text, given = await store.look(made, f"lines={first + 1}:{first + 2}")
        assert text == "".join(lines[first : first + 2])
        assert given < FEW


async def test_the_first_look_at_other_text_reads_no_further_than_its_part_is(store: Store) -> None:
    made = await store.made("file")
    assert (await store.look(made, "lines=6:7"))[1] < FEW
    text, given = await store.look(made, f"lines={ROWS // 2 + 1}:{ROWS // 2 + 2}")
    assert text == "".join(TABLE.splitlines(keepends=True)[ROWS // 2 : ROWS // 2 + 2])
    assert FEW < given < len(TABLE) * 3 / 4


async def test_the_same_look_reads_all_of_it_where_nothing_was_kept(store: Store) -> None:
    made = await store.made()
    store.change("DELETE FROM outlines")
    for part in PARTS:
        _text, given = await store.look(made, part)
        assert given >= len(TABLE)


async def test_damage_is_found_by_the_first_look_that_meets_it_and_by_ranges(store: Store) -> None:
    made = await store.made()
    end = len(TABLE.encode())
    assert (await store.look(made, PARTS[2]))[0] == rows(ROWS - 2, ROWS)
    assert await store.span(made, end - 9, end) == TABLE.encode()[-9:]
    await store.damage(made, -20)
    for part in PARTS[2:]:
        with pytest.raises(ContentDamaged):
            await store.look(made, part)
    with pytest.raises(ContentDamaged):
        await store.span(made, end - 9, end)
    assert (await store.look(made, PARTS[0]))[0] == rows(5, 7)
    assert await store.span(made, 0, 9) == TABLE.encode()[:9]


@pytest.mark.parametrize(
    "change",
    [
        "told = substr(told, 1, length(told) - 40), sealed = substr(sealed, 1, length(sealed) - 40)",
        "told = replace(told, '1', '2'), sealed = replace(sealed, 'a', 'b')",
        "told = '', sealed = sealed || 'AAAA'",
        "told = '{}', sealed = ''",
    ],
)
async def test_an_outline_that_was_changed_is_as_good_as_none(store: Store, change: str) -> None:
    made = await store.made()
    store.change(f"UPDATE outlines SET {change}")
    for part in PARTS[:2]:
        text, given = await store.look(made, part)
        assert given >= len(TABLE)
        assert text == (rows(5, 7) if part == PARTS[0] else rows(ROWS // 2, ROWS // 2 + 2))
    await store.damage(made, -20)
    with pytest.raises(ContentDamaged):
        await store.look(made, PARTS[0])


async def test_an_outline_of_other_content_is_as_good_as_none(store: Store) -> None:
    made = await store.made()
    other = await store.made(content=TABLE.replace("name", "eman"))
    store.change(
        "CREATE TEMP TABLE kept AS SELECT artifact_id, told, sealed FROM outlines",
        f"UPDATE outlines SET (told, sealed) = (SELECT told, sealed FROM kept WHERE artifact_id = '{other.id}') "
        f"WHERE artifact_id = '{made.id}'",
    )
    text, given = await store.look(made, PARTS[1])
    assert text == rows(ROWS // 2, ROWS // 2 + 2)
    assert given >= len(TABLE)


async def test_a_folder_from_before_is_upgraded_and_read_as_it_was(store: Store) -> None:
    made = await store.made()
    store.change(
        "DROP TABLE action_keys",
        "DROP TABLE actions",
        "DROP TABLE outlines",
        "ALTER TABLE versions DROP COLUMN summary_data",
        "UPDATE alembic_version SET version_num = '0001'",
    )
    for part in PARTS[:2]:
        _text, given = await store.look(made, part)
        assert given >= len(TABLE)
    newer = await store.made()
    assert (await store.look(newer, PARTS[1]))[1] < FEW


async def test_revised_and_restored_versions_have_theirs_and_all_go_with_the_artifact(store: Store) -> None:
    made = await store.made()
    async with handiwork.open(store.folder, settings=store.settings) as engine:
        session = engine.session("s")
        await session.revise(made.id, patch=[{"find": "\n7,", "replace": "\nseven,"}])
        await session.restore(made.id, 1)
    assert store.count() == 2
    for version in (1, 2, 3):
        text, given = await store.look(made, PARTS[1], version=version)
        assert text == rows(ROWS // 2, ROWS // 2 + 2)
        assert given < FEW
    async with handiwork.open(store.folder, settings=store.settings) as engine:
        await engine.session("s").remove(made.id)
    assert store.count() == 0
