"""Exports as they are written: all that is there, the same bytes for the same state, and never a whole-looking half."""

import hashlib
import io
import json
import random
import tracemalloc
import zipfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from shelves import Shelf, exported, ordinary, pieces, unpacked

from handiwork.errors import ArtifactNotFound, ContentDamaged, InvalidName, StorageFailed
from handiwork.export.target import export

MIB = 1024 * 1024


def manifest_in(data: bytes) -> Any:
    return json.loads(unpacked(data)["manifest.json"])


async def test_every_version_is_there_with_its_path_size_and_hash() -> None:
    shelf = ordinary()
    data, made = await exported(shelf)
    files, told = unpacked(data), manifest_in(data)
    assert (made.artifacts, made.versions, made.size) == (5, 6, len(data))
    assert (told["format"], told["formatVersion"], told["session"], told["user"]) == (
        "handiwork-export",
        1,
        "s-1",
        "ada",
    )
    versions = [(a, v) for a in told["artifacts"] for v in a["versions"]]
    assert {v["path"]: files[v["path"]] for _, v in versions} == {
        path: content for path, content in files.items() if path not in {"index.html", "manifest.json"}
    }
    for artifact, version in versions:
        content = files[version["path"]]
        assert content == shelf.contents[artifact["handle"], version["number"]]
        assert (version["size"], version["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    page = files["index.html"]
    assert told["page"] == {"path": "index.html", "size": len(page), "sha256": hashlib.sha256(page).hexdigest()}
    assert told["artifacts"][0]["versions"][0].items() >= told["artifacts"][0]["version"].items()


async def test_artifacts_come_newest_first_and_the_manifest_last() -> None:
    data, _ = await exported(ordinary())
    names = [artifact["title"] for artifact in manifest_in(data)["artifacts"]]
    assert names == ["empty.txt", "page.html", "dot.png", "sales.csv", "notes.md"]
    assert list(unpacked(data))[-2:] == ["index.html", "manifest.json"]
    assert [v["number"] for v in manifest_in(data)["artifacts"][-1]["versions"]] == [2, 1]


async def test_the_same_state_gives_the_same_bytes() -> None:
    shelf = ordinary()
    first, _ = await exported(shelf)
    assert (await exported(shelf))[0] == first
    shelf.retitle("a" + hashlib.sha256(b"empty.txt").hexdigest()[:6] + "_k3x9", "another")
    assert (await exported(shelf))[0] != first


async def test_times_are_those_of_the_records() -> None:
    shelf = Shelf()
    shelf.put("old.txt", b"a", at=datetime(1970, 1, 1, tzinfo=UTC))
    shelf.put("now.txt", b"b", at=datetime(2026, 11, 21, 12, 30, 41, tzinfo=UTC))
    shelf.put("late.txt", b"c", at=datetime(2200, 1, 1, tzinfo=UTC))
    data, _ = await exported(shelf)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        times = {info.filename.rpartition("/")[2]: info.date_time for info in archive.infolist()}
    assert times["now.txt"] == (2026, 11, 21, 12, 30, 40)
    assert times["old.txt"] == times["late.txt"] == (1980, 1, 1, 0, 0, 0)
    assert manifest_in(data)["asOf"] == "2200-01-01T00:00:00.000Z"


async def test_an_empty_session_is_a_whole_export() -> None:
    data, made = await exported(Shelf())
    assert (made.artifacts, made.versions) == (0, 0)
    assert set(unpacked(data)) == {"index.html", "manifest.json"}
    assert manifest_in(data)["artifacts"] == []


async def test_only_what_is_named_is_exported_and_once() -> None:
    shelf = ordinary()
    notes, dot = [a for a in shelf.artifacts.values() if a.title in {"notes.md", "dot.png"}]
    data, made = await exported(shelf, dot.handle, notes.id, dot.id)
    assert [artifact["id"] for artifact in manifest_in(data)["artifacts"]] == [dot.id, notes.id]
    assert (made.artifacts, made.versions) == (2, 3)


async def test_a_name_that_is_nobodys_is_told_before_the_first_byte() -> None:
    shelf, sink = ordinary(), io.BytesIO()
    known = next(iter(shelf.artifacts))
    with pytest.raises(ArtifactNotFound):
        await export(shelf, sink, [known, "nobody_0000"])
    assert sink.getvalue() == b""


async def test_what_has_ended_meanwhile_is_left_out() -> None:
    shelf = ordinary()
    shelf.gone.add(next(iter(shelf.artifacts)))
    data, made = await exported(shelf)
    assert made.artifacts == 4
    assert "notes.md" not in data.decode("latin-1")


async def test_what_ends_while_its_versions_are_written_breaks_the_export_off() -> None:
    shelf = ordinary()
    notes = next(iter(shelf.artifacts))
    seen = bytearray()

    class Watching:
        def write(self, data: bytes, /) -> None:
            seen.extend(data)
            if f"{notes}/v2".encode() in seen:
                shelf.gone.add(notes)

    with pytest.raises(ArtifactNotFound):
        await export(shelf, Watching())
    assert not zipfile.is_zipfile(io.BytesIO(seen))


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_damaged_content_never_makes_a_whole_zip(size: int) -> None:
    shelf = ordinary()
    bad = shelf.put("bad.bin", bytes(size))
    shelf.put("behind.txt", b"later")
    shelf.damaged.add(bad.handle)
    sink = io.BytesIO()
    with pytest.raises(ContentDamaged):
        await export(shelf, sink)
    assert not zipfile.is_zipfile(io.BytesIO(sink.getvalue()))


async def test_a_hundred_large_artifacts_never_lie_in_memory() -> None:
    shelf = Shelf()
    content = random.Random(3).randbytes(2 * MIB)
    for number in range(100):
        shelf.put(f"{number}.bin", content)
    tracemalloc.start()
    try:
        size = 0
        async with aclosing(pieces(shelf)) as coming:
            async for piece in coming:
                size += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 190 * MIB
    assert peak < 20 * MIB


async def test_what_can_be_made_smaller_is(tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.put("text.txt", b"the same line again\n" * 50_000)
    shelf.put("packed.bin", random.Random(4).randbytes(100_000))
    await export(shelf, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        packed = {info.filename.rpartition("/")[2]: info.compress_size for info in archive.infolist()}
    assert packed["text.txt"] < 10_000
    assert 100_000 < packed["packed.bin"] < 100_100


async def test_chunks_of_any_size_come_together() -> None:
    shelf = ordinary()
    whole, _ = await exported(shelf)
    shelf.chunk = 3
    assert unpacked((await exported(shelf))[0]) == unpacked(whole)


async def test_a_path_gets_the_file_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    made = await export(ordinary(), target)
    assert target.stat().st_size == made.size
    assert [each.name for each in tmp_path.iterdir()] == ["out.zip"]
    assert "manifest.json" in unpacked(target.read_bytes())


async def test_what_is_at_the_path_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    target.write_bytes(b"mine")
    (tmp_path / "link.zip").symlink_to("nowhere")
    for path in (target, tmp_path / "link.zip", tmp_path):
        with pytest.raises(InvalidName):
            await export(ordinary(), str(path))
    assert target.read_bytes() == b"mine"


async def test_what_comes_to_the_path_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    target = tmp_path / "out.zip"

    class Slow(Shelf):
        async def stream(self, reference: str, *, version: int | None) -> AsyncGenerator[bytes]:
            target.write_bytes(b"mine")
            async with aclosing(super().stream(reference, version=version)) as chunks:
                async for chunk in chunks:
                    yield chunk

    shelf = Slow()
    shelf.put("a.txt", b"a")
    with pytest.raises(InvalidName):
        await export(shelf, target)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"out.zip": b"mine"}


async def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    shelf = ordinary()
    shelf.damaged.add(next(iter(shelf.artifacts)))
    with pytest.raises(ContentDamaged):
        await export(shelf, tmp_path / "out.zip")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageFailed):
        await export(ordinary(), tmp_path / "no" / "folder" / "out.zip")
