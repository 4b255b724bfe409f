"""Files in a person's folders."""

import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from handiwork.cli.failures import TargetRefused
from handiwork.cli.files import LONGEST_NAME_BYTES, demand_folder, safe_name, write_new, write_over


async def _chunks(*parts: bytes) -> AsyncGenerator[bytes]:
    for part in parts:
        yield part


async def _broken() -> AsyncGenerator[bytes]:
    yield b"half"
    raise ConnectionResetError("the rest is lost")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("chart.png", "chart.png"),
        ("Übersicht 2025.pdf", "Übersicht 2025.pdf"),
        ("a.tar.gz", "a.tar.gz"),
        ("../../etc/passwd", "_._.._etc_passwd"),
        ("..", "_."),
        (".", "_"),
        ("", "file"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("a\x00b\nc\x1b.txt", "a_b_c_.txt"),
        ("a\\b", "a_b"),
    ],
)
def test_a_safe_name_stays_in_its_folder_and_is_what_it_seems(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_long_name_is_cut_between_characters_and_keeps_its_extension() -> None:
    name = safe_name("ü" * 255 + ".png")
    assert len(name.encode()) <= LONGEST_NAME_BYTES
    assert name == "ü" * ((LONGEST_NAME_BYTES - 4) // 2) + ".png"


async def test_a_new_file_is_written_whole_into_a_folder_made_for_it(tmp_path: Path) -> None:
    written = await write_new(tmp_path / "a" / "b", "x.txt", _chunks(b"one ", b"two"))
    assert written == tmp_path / "a" / "b" / "x.txt"
    assert written.read_bytes() == b"one two"


async def test_a_file_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    names = [(await write_new(tmp_path, "x.tar.gz", _chunks(b"%d" % number))).name for number in range(3)]
    assert names == ["x.tar.gz", "x.tar-2.gz", "x.tar-3.gz"]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"0", b"1", b"2"]


async def test_a_link_of_that_name_is_not_followed(tmp_path: Path) -> None:
    canary, dangling = tmp_path / "canary", tmp_path / "not-yet"
    canary.write_bytes(b"old")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "x.txt").symlink_to(canary)
    (folder / "x-2.txt").symlink_to(dangling)
    written = await write_new(folder, "x.txt", _chunks(b"new"))
    assert (written.name, canary.read_bytes(), dangling.exists()) == ("x-3.txt", b"old", False)


async def test_nothing_is_left_of_a_file_that_broke_off(tmp_path: Path) -> None:
    with pytest.raises(TargetRefused):
        await write_new(tmp_path, "x.txt", _broken())
    assert list(tmp_path.iterdir()) == []


async def test_a_named_file_is_replaced_once_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"old")
    with pytest.raises(TargetRefused):
        await write_over(path, _broken())
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.txt", b"old")]
    await write_over(path, _chunks(b"new"))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.txt", b"new")]


async def test_a_link_or_pipe_that_is_named_is_left_alone(tmp_path: Path) -> None:
    canary, link, pipe = tmp_path / "canary", tmp_path / "link", tmp_path / "pipe"
    canary.write_bytes(b"old")
    link.symlink_to(canary)
    os.mkfifo(pipe)
    for target in (link, pipe):
        with pytest.raises(TargetRefused, match="not a regular file"):
            await write_over(target, _chunks(b"new"))
    assert (canary.read_bytes(), link.is_symlink(), pipe.is_fifo()) == (b"old", True, True)


async def test_a_missing_folder_of_a_named_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetRefused, match="No such file or directory"):
        await write_over(tmp_path / "missing" / "x.txt", _chunks(b""))


def test_a_file_in_place_of_the_folder_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TargetRefused, match="is not a folder"):
            demand_folder(folder)
    demand_folder(tmp_path / "to" / "be" / "made")
    assert not (tmp_path / "to").exists()
