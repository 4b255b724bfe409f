"""What is done to an export is found, whatever it is, and the file that it was done to is named."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shelves import Shelf, exported, ordinary

from handiwork.errors import ExportInvalid, InputNotFound
from handiwork.export import verify as verifying
from handiwork.export.verify import Verified, verify

MANIFEST = "manifest.json"


@pytest.fixture
async def whole() -> bytes:
    return (await exported(ordinary()))[0]


def looked_at(folder: Path, data: bytes) -> Verified:
    path = folder / "some.zip"
    path.write_bytes(data)
    return verify(path)


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def first_of(data: bytes, ending: str) -> str:
    return next(name for name in entries(data) if name.endswith(ending))


async def test_an_export_is_as_it_was_written(tmp_path: Path) -> None:
    data, made = await exported(ordinary())
    found = looked_at(tmp_path, data)
    assert found == Verified(session="s-1", artifacts=5, versions=6, size=made.size, faults=())
    found.demand_whole()


async def test_an_export_of_nothing_and_one_of_large_files_are_whole(tmp_path: Path) -> None:
    shelf = Shelf()
    assert looked_at(tmp_path, (await exported(shelf))[0]).is_whole
    shelf.put("zeros.bin", bytes(3_000_000))
    shelf.put("random.bin", random.Random(5).randbytes(3_000_000), category="archive")
    shelf.put("Größe 図.txt", "é".encode() * 100_000)
    assert looked_at(tmp_path, (await exported(shelf))[0]).is_whole


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_export_that_was_packed_again_is_whole(compression: int, whole: bytes, tmp_path: Path) -> None:
    assert looked_at(tmp_path, packed(entries(whole), compression=compression)).is_whole


def test_every_byte_that_counts_is_looked_at(whole: bytes, tmp_path: Path) -> None:
    """A flipped bit is found, but where it says nothing of a content: times, and what a reader must know to unpack."""
    chance = random.Random(7)
    unfound = set[int]()
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1 << chance.randrange(8)
        found = looked_at(tmp_path, bytes(changed))
        if found.is_whole:
            unfound.add(place)
            assert entries(bytes(changed)) == entries(whole)
    assert len(unfound) < len(whole) / 20


def test_a_tampered_byte_is_found_in_its_file(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ".md")
    changed = packed({n: c.replace(b"second", b"secund") if n == name else c for n, c in entries(whole).items()})
    found = looked_at(tmp_path, changed)
    assert [(fault.file, "SHA-256" in fault.problem) for fault in found.faults] == [(name, True)]
    with pytest.raises(ExportInvalid, match="SHA-256") as invalid:
        found.demand_whole()
    assert invalid.value.file == name


def test_a_renamed_entry_is_found(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ".csv")
    other = name.replace("sales", "selas")
    found = looked_at(tmp_path, packed({other if n == name else n: c for n, c in entries(whole).items()}))
    assert {fault.file for fault in found.faults} == {name, other}


def test_a_swapped_file_is_found(whole: bytes, tmp_path: Path) -> None:
    files = entries(whole)
    one, two = first_of(whole, "v2/notes.md"), first_of(whole, "v1/notes.md")
    files[one], files[two] = files[two], files[one]
    assert {fault.file for fault in looked_at(tmp_path, packed(files)).faults} == {one, two}


@pytest.mark.parametrize("ending", [".png", "index.html", "empty.txt", MANIFEST])
def test_a_missing_file_is_found(ending: str, whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ending)
    found = looked_at(tmp_path, packed({n: c for n, c in entries(whole).items() if n != name}))
    assert [(fault.file, fault.problem) for fault in found.faults] == [(name, "is missing")]


@pytest.mark.parametrize(
    "name",
    [
        "artifacts/a_k3x9/v1/more.txt",
        "more.txt",
        "../out.txt",
        "/etc/passwd",
        "artifacts/a/v1/../../../x",
        "artifacts\\a\\v1\\b",
        "C:/x",
        "artifacts/",
    ],
)
def test_what_the_manifest_does_not_name_is_found(name: str, whole: bytes, tmp_path: Path) -> None:
    found = looked_at(tmp_path, packed({**entries(whole), name: b"hidden"}))
    assert [fault.file for fault in found.faults] == [name]


def test_an_entry_that_is_there_twice_is_found(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ".csv")
    for twin in (name, name.upper().replace("ARTIFACTS", "artifacts").replace("/V1/", "/v1/")):
        sink = io.BytesIO(whole)
        with zipfile.ZipFile(sink, "a") as archive:
            info = zipfile.ZipInfo("x" * len(twin))
            archive.writestr(info, b"other")
        data = sink.getvalue().replace(b"x" * len(twin), twin.encode())
        assert (twin, "is there twice") in {(f.file, f.problem) for f in looked_at(tmp_path, data).faults}


def test_an_encrypted_entry_is_found(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ".csv")
    changed = flagged(whole, name, 0x1)
    assert (name, "is encrypted") in {(f.file, f.problem) for f in looked_at(tmp_path, changed).faults}


def test_a_link_is_found(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ".csv")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for each, content in entries(whole).items():
            info = zipfile.ZipInfo(each)
            info.external_attr = (0o120777 if each == name else 0o100644) << 16
            archive.writestr(info, content)
    assert (name, "is no regular file") in {(f.file, f.problem) for f in looked_at(tmp_path, sink.getvalue()).faults}


def test_another_way_of_packing_is_refused_before_anything_is_unpacked(whole: bytes, tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        found = looked_at(tmp_path, packed(entries(whole), compression=compression))
        assert {fault.problem for fault in found.faults} == {"is packed in a way that no export is", "is missing"}


def test_a_truncated_zip_is_found_wherever_it_ends(whole: bytes, tmp_path: Path) -> None:
    for end in [0, 1, 21, 22, *range(30, len(whole), 97), len(whole) - 1]:
        found = looked_at(tmp_path, whole[:end])
        assert [fault.file for fault in found.faults] == ["some.zip"], end


def test_bytes_around_the_zip_are_found(whole: bytes, tmp_path: Path) -> None:
    for changed in (whole + b"more", b"#!/bin/sh\nexit\n" + whole, whole[:-2] + b"\x04\x00more"):
        assert [fault.file for fault in looked_at(tmp_path, changed).faults] == ["some.zip"]


def test_bytes_between_two_files_are_found(whole: bytes, tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in entries(whole).items():
            archive.writestr(name, content)
            if name.endswith(".csv"):
                # As the library itself goes on writing where it believes to be.
                sink.write(b"hidden bytes")
                archive.start_dir += 12
    found = looked_at(tmp_path, sink.getvalue())
    assert [(f.file.rpartition("/")[2], f.problem) for f in found.faults] == [
        ("sales.csv", "is followed by bytes that belong to no file")
    ]


def test_a_bomb_is_not_unpacked_further_than_the_manifest_says(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, "empty.txt")
    bomb = packed({**entries(whole), name: bytes(50_000_000)})
    found = looked_at(tmp_path, bomb)
    assert [(f.file, f.problem) for f in found.faults] == [(name, "has 50,000,000 bytes, and by the manifest 0")]


def test_a_bomb_that_says_it_is_small_is_found(whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory lies like the manifest does: what is unpacked is counted."""
    name = first_of(whole, ".csv")
    content = entries(whole)[name]
    data = bytearray(packed({**entries(whole), name: bytes(200_000_000)}))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        offset = archive.getinfo(name).header_offset
    crc_and_size = zlib.crc32(content), len(content)
    struct.pack_into("<L", data, offset + 14, crc_and_size[0])
    struct.pack_into("<L", data, offset + 22, crc_and_size[1])
    place = data.rindex(name.encode()) - 46
    struct.pack_into("<L", data, place + 16, crc_and_size[0])
    struct.pack_into("<L", data, place + 24, crc_and_size[1])
    unpacked = 0

    class Counting:
        def __getattr__(self, what: str) -> Any:
            return getattr(zlib, what)

        def crc32(self, piece: bytes, crc: int) -> int:
            nonlocal unpacked
            unpacked += len(piece)
            return zlib.crc32(piece, crc)

    monkeypatch.setattr(verifying, "zlib", Counting())
    found = looked_at(tmp_path, bytes(data))
    assert [(f.file, "unpacks to more than" in f.problem) for f in found.faults] == [(name, True)]
    assert unpacked < 1_000_000


def test_entries_that_share_their_bytes_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    found = looked_at(tmp_path, quoting())
    assert [(f.file, f.problem) for f in found.faults] == [("artifacts/a/v1/b", "shares its bytes with what follows")]


def test_an_entry_whose_heads_differ_is_found(whole: bytes, tmp_path: Path) -> None:
    name = first_of(whole, ".csv")
    changed = whole.replace(name.encode(), name.replace("sales", "SALES").encode(), 1)
    found = looked_at(tmp_path, changed)
    assert [(f.file, f.problem) for f in found.faults] == [
        (name, "has another head than the directory of the ZIP says")
    ]


def test_a_manifest_that_lies_of_a_size_or_a_hash_is_found(whole: bytes, tmp_path: Path) -> None:
    for lie in ({"size": 1}, {"sha256": "0" * 64}):
        files = entries(whole)
        told = json.loads(files[MANIFEST])
        told["artifacts"][-1]["versions"][-1].update(lie)
        files[MANIFEST] = json.dumps(told).encode()
        found = looked_at(tmp_path, packed(files))
        assert [fault.file for fault in found.faults] == [told["artifacts"][-1]["versions"][-1]["path"]]


def test_a_manifest_that_leaves_an_artifact_out_is_found(whole: bytes, tmp_path: Path) -> None:
    files = entries(whole)
    told = json.loads(files[MANIFEST])
    gone = told["artifacts"].pop(0)
    files[MANIFEST] = json.dumps(told).encode()
    assert [f.file for f in looked_at(tmp_path, packed(files)).faults] == [gone["versions"][0]["path"]]


def test_a_manifest_beyond_the_limit_is_not_read(whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "LARGEST_BYTES", 100)
    assert [(f.file, "the limit" in f.problem) for f in looked_at(tmp_path, whole).faults] == [(MANIFEST, True)]


def test_the_page_counts_like_every_file(whole: bytes, tmp_path: Path) -> None:
    files = entries(whole)
    files["index.html"] = files["index.html"].replace(b"notes", b"nodes")
    assert [f.file for f in looked_at(tmp_path, packed(files)).faults] == ["index.html"]


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.zip", tmp_path, Path("a\0b")):
        with pytest.raises(InputNotFound):
            verify(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_whatever_is_no_zip_is_refused_and_no_crash(data: bytes, tmp_path: Path) -> None:
    assert not looked_at(tmp_path, data).is_whole


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_crashes_the_check(data: st.DataObject, whole: bytes, tmp_path: Path) -> None:
    """The directory at the end is where a reader can be led astray."""
    changed = bytearray(whole)
    directory = whole.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(directory, len(whole) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    found = looked_at(tmp_path, bytes(changed))
    assert not found.is_whole or entries(bytes(changed)) == entries(whole)


def flagged(data: bytes, name: str, flag: int) -> bytes:
    """The ZIP with a flag set on an entry, at both of its heads."""
    changed = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        changed[archive.getinfo(name).header_offset + 6] |= flag
    changed[data.rindex(name.encode()) - 46 + 8] |= flag
    return bytes(changed)


def quoting() -> bytes:
    """A ZIP with an entry that lies, head and all, in the content of another: much of it could be made of little."""
    inner = packed({"artifacts/a/v2/b": bytes(100_000)})
    directed = inner.index(b"PK\x01\x02")
    outer = packed({"artifacts/a/v1/b": inner[:directed]}, compression=zipfile.ZIP_STORED)
    start, end = outer.index(b"PK\x01\x02", directed), outer.rindex(b"PK\x05\x06")
    record = bytearray(inner[directed : inner.rindex(b"PK\x05\x06")])
    struct.pack_into("<L", record, 42, 30 + len("artifacts/a/v1/b"))
    last = bytearray(outer[end:])
    struct.pack_into("<HHL", last, 8, 2, 2, end - start + len(record))
    return outer[:end] + bytes(record) + bytes(last)
