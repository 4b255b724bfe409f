import errno
import os
import threading
from pathlib import Path

import pytest

from handiwork.errors import StorageFailed
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.reserve import LEAST_BYTES, Reserve

MIB = 1024 * 1024


class SmallDisk(OperatingSystem):
    """A disk on which a file can have `room` bytes."""

    def __init__(self, room: int, code: int = errno.ENOSPC) -> None:
        self.room, self._code = room, code

    def allocate(self, descriptor: int, size: int) -> None:
        super().allocate(descriptor, min(size, self.room))
        if size > self.room:
            raise OSError(self._code, os.strerror(self._code))


def held(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_room_is_really_taken_and_really_given_back(tmp_path: Path) -> None:
    path = tmp_path / "data" / "reserve"
    reserve = Reserve(path, MIB)
    assert not reserve.stands()

    assert reserve.establish() == MIB
    assert reserve.stands()
    assert held(path) >= MIB

    assert reserve.release()
    assert not reserve.stands()
    assert held(path) == 0
    assert not reserve.release()


def test_it_is_established_again_after_a_release(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", MIB)
    for _ in range(2):
        assert reserve.establish() == MIB
        assert reserve.establish() == MIB
        assert reserve.release()


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (16 * MIB, 16 * MIB),
        (16 * MIB - 1, 8 * MIB),
        (MIB, MIB),
        (LEAST_BYTES, LEAST_BYTES),
        (LEAST_BYTES - 1, 0),
        (0, 0),
    ],
)
def test_on_a_disk_that_is_nearly_full_it_takes_what_is_to_be_had(tmp_path: Path, room: int, expected: int) -> None:
    files = SmallDisk(max(1, room))
    path = tmp_path / "reserve"

    assert Reserve(path, files=files).establish() == expected
    assert held(path) in range(expected, expected + 64 * 1024), "what was tried is given back"
    assert Reserve(path).stands() is bool(expected)


def test_a_small_one_is_made_larger_when_there_is_room_and_never_smaller(tmp_path: Path) -> None:
    disk = SmallDisk(MIB)
    reserve = Reserve(tmp_path / "reserve", 4 * MIB, files=disk)
    assert reserve.establish() == MIB
    assert reserve.establish() == MIB
    disk.room = LEAST_BYTES
    assert Reserve(tmp_path / "reserve", MIB // 2, files=disk).establish() == MIB
    disk.room = 4 * MIB
    assert reserve.establish() == 4 * MIB


def test_a_failure_that_is_no_lack_of_room_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        Reserve(tmp_path / "reserve", MIB, files=SmallDisk(1, errno.EIO)).establish()

    assert not Reserve(tmp_path / "reserve").stands()


def test_many_that_take_and_release_at_once_agree_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "reserve"

    def work() -> None:
        reserve = Reserve(path, LEAST_BYTES)
        for _ in range(10):
            assert reserve.establish() in (0, LEAST_BYTES)
            reserve.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert held(path) == 0
    assert Reserve(path, LEAST_BYTES).establish() == LEAST_BYTES


def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    path = tmp_path / "reserve"
    Reserve(path, LEAST_BYTES).establish()
    lock = OperatingSystem().lock(path)
    try:
        with pytest.raises(StorageFailed, match="another process"):
            Reserve(path, deadline_seconds=0.05).release()
    finally:
        os.close(lock)
    assert Reserve(path, deadline_seconds=0.05).release(), "control: nobody holds it now"


class CountsNothing(OperatingSystem):
    """A file system that takes room and reports none, as some that compress do, until it `is_full`."""

    is_full = False

    def allocate(self, descriptor: int, size: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(descriptor, size)


def test_a_file_system_that_reports_no_room_is_believed_until_it_is_full(tmp_path: Path) -> None:
    files = CountsNothing()
    reserve = Reserve(tmp_path / "reserve", MIB, files=files)
    assert (reserve.establish(), held(tmp_path / "reserve"), reserve.stands()) == (MIB, 0, True)
    assert reserve.release()
    assert not reserve.stands()
    files.is_full = True
    assert (reserve.establish(), reserve.stands()) == (0, False)
