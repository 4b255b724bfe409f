import errno
from pathlib import Path

import pytest

from handiwork.errors import StorageFailed, StorageFull
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.reserve import Reserve
from handiwork.store.space import Space

BYTES = 300_000


class Disk(OperatingSystem):
    """Has no room for a reserve as long as `is_full`."""

    is_full = False

    def allocate(self, descriptor: int, size: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().allocate(descriptor, size)


class Deletion:
    """Work that fails as long as the reserve stands, as on a disk that is full."""

    def __init__(self, reserve: Reserve) -> None:
        self.reserve, self.tries = reserve, 0

    async def __call__(self) -> str:
        self.tries += 1
        if self.reserve.stands():
            raise StorageFull("the database")
        return "deleted"


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def reserve(tmp_path: Path, disk: Disk) -> Reserve:
    return Reserve(tmp_path / "reserve", BYTES, files=disk)


async def test_deleting_on_a_full_disk_uses_the_reserve_and_begins_again(reserve: Reserve) -> None:
    space, deletion = Space(reserve), Deletion(reserve)
    assert await space.restore()
    assert await space.free(deletion) == "deleted"
    assert (deletion.tries, reserve.stands()) == (2, False)


async def test_deleting_with_room_leaves_the_reserve_alone(reserve: Reserve) -> None:
    space = Space(reserve)
    assert await space.restore()

    async def delete() -> str:
        return "deleted"

    assert await space.free(delete) == "deleted"
    assert reserve.stands()


async def test_a_disk_that_is_full_without_a_reserve_says_so_after_one_more_try(reserve: Reserve) -> None:
    tries: list[int] = []

    async def fail() -> None:
        tries.append(1)
        raise StorageFull("the database")

    with pytest.raises(StorageFull):
        await Space(reserve).free(fail)
    assert len(tries) == 2


async def test_another_failure_is_passed_on_and_costs_no_reserve(reserve: Reserve) -> None:
    space = Space(reserve)
    assert await space.restore()

    async def fail() -> None:
        raise StorageFailed("the database", "I/O error")

    with pytest.raises(StorageFailed):
        await space.free(fail)
    assert reserve.stands()


async def test_nobody_else_goes_on_until_the_reserve_stands_again(reserve: Reserve, disk: Disk) -> None:
    space = Space(reserve)
    await space.demand()
    await space.free(Deletion(reserve))
    disk.is_full = True
    with pytest.raises(StorageFull, match="the data folder"):
        await space.demand()
    assert not await space.restore()
    disk.is_full = False
    await space.demand()
    assert reserve.stands()


async def test_a_reserve_that_was_halved_is_made_whole_when_there_is_room(tmp_path: Path, disk: Disk) -> None:
    half = Reserve(tmp_path / "reserve", BYTES // 2, files=disk)
    assert half.establish() == BYTES // 2
    whole = Reserve(tmp_path / "reserve", BYTES, files=disk)
    await Space(whole).demand()
    assert (tmp_path / "reserve").stat().st_size == BYTES // 2  # Who creates does not wait for that.
    assert await Space(whole).restore()
    assert (tmp_path / "reserve").stat().st_size == BYTES
