"""A backup that is taken while the store is written to, with the commands of the guide, and what is in it."""

import asyncio
import re
import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import store_state as state
from fork_server import ForkServer
from kill_writer import SETTINGS
from test_store_kills import Told

from handiwork import wiring
from handiwork.errors import ContentDamaged
from handiwork.store.local_blobs import DRAFTS

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "backup.md"
BACKUP, RESTORE = re.findall(r"^```bash\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
SEED = 20261121
BACKUPS_OF_A_STORE = 3
READ = 20
pytestmark = pytest.mark.linux


class Load:
    """Eight writers who do not stop, and what they have said so far."""

    def __init__(self, server: ForkServer) -> None:
        self._server, self.told = server, Told()

    def pause(self) -> None:
        """Stop them, and hear what they have said until then."""
        self._server.signal(signal.SIGSTOP)
        while (line := self._server.told(within=0.05)) is not None:
            self.told.hear(line)

    def go_on(self) -> None:
        self._server.signal(signal.SIGCONT)

    def listen_until(self, least: int) -> None:
        while self.told.acknowledged < least:
            line = self._server.told()
            assert line is not None
            self.told.hear(line)


@contextmanager
def load(place: Path) -> Generator[Load]:
    with ForkServer("kill_writer.py") as server:
        data = place / ".handiwork"
        server.order([{"data": str(data), "first": 0, "writers": 8, "seed": SEED, "named": False}])
        server.told_of("group")
        yield Load(server)


def shell(script: str, place: Path) -> None:
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=place, check=True, timeout=30, capture_output=True)


def back_up_and_restore(place: Path, number: int, script: str = BACKUP) -> Path:
    shell(script, place)
    shell(RESTORE, place)
    restored = (place / "restored").rename(place / f"restored-{number}")
    shutil.rmtree(place / "backup")
    return restored


def missing(data: Path) -> set[str]:
    """What is listed in a restored store and has no bytes."""
    rows = state.live_rows(data)
    return {id for id, row in rows.items() if not (data / wiring.BLOB_FOLDER / row.key).exists()}


async def assert_usable(data: Path, gone: set[str]) -> None:
    """What is there can be read, what is missing is told to be damaged and can be removed, and storing goes on."""
    async with wiring.open(data, settings=SETTINGS) as engine:
        for summary in (await engine.sessions()).items:
            session = engine.session(summary.session)
            for artifact in (await session.list(limit=1000)).items:
                if artifact.id in gone:
                    with pytest.raises(ContentDamaged):
                        await session.read(artifact.id)
                    await session.hold(artifact.id, held=False)
                    await session.remove(artifact.id)
            for artifact in (await session.list(limit=READ)).items:
                assert len(await session.read(artifact.id)) == artifact.size
        made = await engine.session("after").create("file", content="after", name="after.txt")
        assert await engine.session("after").read(made.id) == b"after"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stores", [pytest.param(1, marks=pytest.mark.quick), 7])
def test_a_backup_under_load_has_all_that_was_acknowledged_before(tmp_path: Path, stores: int) -> None:
    created = removed_meanwhile = 0
    for store in range(stores):
        place = tmp_path / str(store)
        place.mkdir()
        with load(place) as writing:
            for number in range(BACKUPS_OF_A_STORE):
                writing.listen_until(writing.told.acknowledged + 20)
                before = dict(writing.told.created)
                restored = back_up_and_restore(place, number)
                # The load waits while what it has said is held against the copy.
                writing.pause()
                removed_meanwhile += assert_restored(restored, before, writing.told)
                writing.go_on()
            created += len(writing.told.created)
    backups = stores * BACKUPS_OF_A_STORE
    print(f"{backups} backups under load: {created} created, {removed_meanwhile} removed meanwhile")
    assert created >= 20 * backups


def assert_restored(data: Path, before: dict[str, str], told: Told) -> int:
    """Hold a restored store against what was told; return how much of it was removed while the copy ran."""
    rows, gone = state.live_rows(data), missing(data)
    assert gone <= told.removing | told.passing, "only what was removed or purged meanwhile is without bytes"
    for id, sha256 in before.items():
        assert id in told.removing | told.passing or rows[id].sha256 == sha256
    state.assert_bytes(data, {id: row for id, row in rows.items() if id not in gone})
    state.assert_events(data)
    state.assert_intact(data)
    assert not (data / wiring.BLOB_FOLDER / DRAFTS).exists()
    asyncio.run(assert_usable(data, gone))
    assert state.asked(data, "PRAGMA journal_mode") == [("wal",)]
    assert state.asked(data, "SELECT count(*) FROM executions WHERE finished_at IS NULL") == [(0,)]
    return len(gone)


@pytest.mark.timeout(120)
def test_a_backup_in_the_wrong_order_lacks_what_was_acknowledged(tmp_path: Path) -> None:
    umask, mkdir, database, *files = BACKUP.strip().splitlines()
    wrong = "\n".join([umask, mkdir, *files, "sleep 0.2", database])
    with load(tmp_path) as writing:
        for number in range(10):
            writing.listen_until(writing.told.acknowledged + 20)
            restored = back_up_and_restore(tmp_path, number, wrong)
            writing.pause()
            lost = missing(restored) & writing.told.created.keys() - writing.told.removing - writing.told.passing
            if lost:
                return
            writing.go_on()
    pytest.fail("control: files first should have lost something")
