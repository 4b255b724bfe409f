import os
import socket
from pathlib import Path

import pytest

from handiwork.errors import InputNotFound
from handiwork.versions.content import CHUNK_BYTES, Bytes, HostFile

DATA = bytes(range(256)) * 4100


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(DATA)
    return tmp_path / "a.bin"


async def test_bytes_in_memory_and_a_file_are_read_alike(file: Path) -> None:
    for content in (Bytes(DATA), HostFile.at(file)):
        assert content.size == len(DATA)
        assert content.read_at(5, 3) == DATA[5:8]
        assert content.read_at(len(DATA), 3) == b""
        chunks = [chunk async for chunk in content.chunks()]
        assert [len(chunk) for chunk in chunks] == [CHUNK_BYTES, len(DATA) - CHUNK_BYTES]
        assert b"".join(chunks) == DATA


async def test_nothing_is_no_chunk() -> None:
    assert [chunk async for chunk in Bytes(b"").chunks()] == []


def test_a_link_to_a_file_is_a_file(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    assert HostFile.at(file.parent / "link").size == len(DATA)


def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("", "fifo", "socket"):
            with pytest.raises(InputNotFound, match="not a regular file"):
                HostFile.at(tmp_path / name)


@pytest.mark.parametrize("name", ["gone", "a.bin/below", "x" * 300])
def test_what_is_not_there_is_named(file: Path, name: str) -> None:
    with pytest.raises(InputNotFound, match=name.split("/", maxsplit=1)[0]):
        HostFile.at(file.parent / name)


def test_a_file_that_may_not_be_read_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Asked of the system, everything would be readable for root.
    def access(_path: Path, _mode: int) -> bool:
        return False

    monkeypatch.setattr("os.access", access)
    with pytest.raises(InputNotFound, match="not readable"):
        HostFile.at(file)


def test_a_path_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFound):
        HostFile.at(tmp_path / "nul\0byte")
