"""What opening a store leaves behind when it is broken off; what an open store does is tested elsewhere."""

import asyncio
import threading
from pathlib import Path

import pytest

from handiwork import wiring
from handiwork.settings import DATABASE_NAME, Settings
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.local_blobs import DRAFTS
from handiwork.store.owners import Owners


async def test_who_stops_waiting_for_a_store_to_open_leaves_no_owner_that_looks_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_go_on, is_registered = threading.Event(), threading.Event(), threading.Event()
    lock = OperatingSystem.lock

    def slow(self: OperatingSystem, path: Path) -> int:
        began.set()
        assert may_go_on.wait(5)
        descriptor = lock(self, path)
        if path.name == "lock":
            is_registered.set()
        return descriptor

    monkeypatch.setattr(OperatingSystem, "lock", slow)
    settings = Settings.model_validate({"artifacts": {"storage": {"cleanup_enabled": False}}})

    async def open_and_close() -> None:
        async with wiring.open(tmp_path, settings=settings):
            pass

    opening = asyncio.create_task(open_and_close())
    assert await asyncio.to_thread(began.wait, 5)
    opening.cancel()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(opening, 10)
    assert await asyncio.to_thread(is_registered.wait, 5)
    with Owners(tmp_path / wiring.BLOB_FOLDER / DRAFTS) as owners:
        assert owners.living() == {owners.id}


async def test_a_database_may_lie_elsewhere_and_another_folder_has_its_own(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "store", tmp_path / "records" / "own.db"
    asked = {"database": f"sqlite:///{elsewhere}", "artifacts": {"storage": {"path": str(folder)}}}
    settings = Settings.model_validate(asked)
    async with wiring.open(settings=settings) as engine:
        made = await engine.session("one").create("markdown", title="Notes", content="# Notes\n")
    assert elsewhere.is_file()
    assert not (folder / DATABASE_NAME).exists()
    async with wiring.open(settings=settings) as engine:
        assert await engine.session("one").read(made.id) == b"# Notes\n"
        # The bytes of this folder are no orphans of that database.
        assert (await engine.clean()).orphans == 0
    async with wiring.open(tmp_path / "other", settings=settings) as engine:
        assert (await engine.sessions()).items == ()
    assert (tmp_path / "other" / DATABASE_NAME).is_file()
