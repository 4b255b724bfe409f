"""What becomes of files when a call fails, a process is killed, the power goes, or the disk is full."""

import asyncio
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from file_faults import FailsOnce, FailsOnceWithoutNamelessFiles, Watched
from handiwork.errors import BlobNotFound, HandiworkError, StorageFailed, StorageFull
from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.blobs import CHUNK_BYTES
from handiwork.store.keys import BlobKey, artifact_prefix, blob_key, session_prefix
from handiwork.store.local_blobs import DRAFTS, LocalBlobs
from handiwork.store.owners import Owners
from handiwork.store.reading import read_verified
from handiwork.store.reserve import LEAST_BYTES, Reserve

SCOPE = Scope(session="s")
KEPT = blob_key(Scope(session="other"), ArtifactId("art_1"), 1, "kept.bin")
KEYS = [blob_key(SCOPE, ArtifactId(f"art_{n}"), 1, "a.bin") for n in range(3)]
CONTENT = b"0123456789"
LONG = CONTENT * (CHUNK_BYTES // 5)
ERRORS = [(errno.ENOSPC, StorageFull), (errno.EIO, StorageFailed), (errno.EMFILE, StorageFailed)]
KINDS = [FailsOnce, FailsOnceWithoutNamelessFiles]


async def stream(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def found(root: Path, key: BlobKey) -> bytes | None:
    try:
        return b"".join([chunk async for chunk in LocalBlobs(root).open(key)])
    except BlobNotFound:
        return None


def files_below(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if not path.is_dir()}


async def put_small(blobs: LocalBlobs) -> None:
    await blobs.put(KEYS[0], stream(CONTENT))


async def put_long(blobs: LocalBlobs) -> None:
    await blobs.put(KEYS[0], stream(LONG, CONTENT))


async def delete(blobs: LocalBlobs) -> None:
    await blobs.delete(KEYS[0])


async def delete_artifact(blobs: LocalBlobs) -> None:
    await blobs.delete_prefix(artifact_prefix(SCOPE, ArtifactId("art_0")))


async def delete_session(blobs: LocalBlobs) -> None:
    await blobs.delete_prefix(session_prefix(SCOPE))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("code", "expected"), ERRORS)
@pytest.mark.parametrize(("put", "content"), [(put_small, CONTENT), (put_long, LONG + CONTENT)])
async def test_a_put_that_fails_at_any_call_leaves_nothing_and_harms_nothing(
    tmp_path: Path,
    put: Callable[[LocalBlobs], Awaitable[None]],
    content: bytes,
    code: int,
    expected: type[HandiworkError],
    kind: type[FailsOnce],
) -> None:
    n, failed = 0, True
    while failed:
        n += 1
        root = tmp_path / str(n)
        await LocalBlobs(root).put(KEPT, stream(CONTENT))
        files = kind(n, code)
        blobs = LocalBlobs(root, files=files)
        try:
            await put(blobs)
        except expected:
            assert files_below(root) == {root / KEPT}
            await put(blobs)
        failed = files.has_failed
        assert await found(root, KEYS[0]) == content
        assert await found(root, KEPT) == CONTENT
        assert files_below(root) == {root / KEPT, root / KEYS[0]}
        shutil.rmtree(root)
    assert n > 15, "control: there were calls to fail"


@pytest.mark.parametrize(("code", "expected"), ERRORS)
@pytest.mark.parametrize(
    ("deletion", "gone"), [(delete, KEYS[:1]), (delete_artifact, KEYS[:1]), (delete_session, KEYS)]
)
async def test_a_deletion_that_fails_at_any_call_can_be_repeated_and_harms_nothing_else(
    tmp_path: Path,
    deletion: Callable[[LocalBlobs], Awaitable[None]],
    gone: list[BlobKey],
    code: int,
    expected: type[HandiworkError],
) -> None:
    n, failed = 0, True
    while failed:
        n += 1
        root = tmp_path / str(n)
        for key in (KEPT, *KEYS):
            await LocalBlobs(root).put(key, stream(CONTENT))
        files = FailsOnce(n, code)
        blobs = LocalBlobs(root, files=files)
        try:
            await deletion(blobs)
        except expected:
            assert {await found(root, key) for key in gone} <= {None, CONTENT}, "never half of it"
            await deletion(blobs)
        failed = files.has_failed
        for key in (KEPT, *KEYS):
            assert await found(root, key) == (None if key in gone else CONTENT)
    assert n > 3, "control: there were calls to fail"


@pytest.mark.parametrize(("code", "expected"), ERRORS)
def test_an_owner_who_fails_at_any_call_leaves_nothing_that_is_not_swept(
    tmp_path: Path, code: int, expected: type[HandiworkError]
) -> None:
    n, failed = 0, True
    while failed:
        n += 1
        folder = tmp_path / str(n)
        with Owners(folder) as living:
            (living.folder / "draft").touch()
            dead = Owners(folder)
            dead.__enter__()
            (dead.folder / "draft").touch()
            _die(dead)
            files = FailsOnce(n, code)
            try:
                with Owners(folder, files=files) as owners:
                    assert owners.living() == {living.id, owners.id}
                    assert owners.abandoned() == [dead.id]
                    assert (dead.folder / "draft").exists()
                    owners.sweep(dead.id)
            except expected:
                assert files.has_failed
            failed = files.has_failed

            for owner in living.abandoned():
                living.sweep(owner)
            assert files_below(folder) == {folder / ".lock", living.folder / "lock", living.folder / "draft"}
    assert n > 8, "control: there were calls to fail"


def _die(owners: Owners) -> None:
    """Let go of the lock as the kernel does when a process ends."""
    lock = str(owners.folder / "lock")
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208  # of numbers, not of paths
        try:
            if os.readlink(f"/proc/self/fd/{number}") == lock:  # noqa: PTH115
                os.close(int(number))
        except FileNotFoundError:
            continue


@pytest.mark.parametrize(("code", "expected"), ERRORS)
def test_a_reserve_that_fails_at_any_call_says_so_or_takes_less_and_the_next_try_succeeds(
    tmp_path: Path, code: int, expected: type[HandiworkError]
) -> None:
    n, failed = 0, True
    while failed:
        n += 1
        path = tmp_path / str(n) / "reserve"
        files = FailsOnce(n, code)
        reserve = Reserve(path, 4 * LEAST_BYTES, files=files)
        try:
            taken = reserve.establish()
            assert taken in (4 * LEAST_BYTES, 2 * LEAST_BYTES, 0)
            assert reserve.release() is (taken > 0)
        except expected:
            assert files.has_failed
        failed = files.has_failed

        sound = Reserve(path, 4 * LEAST_BYTES)
        assert sound.establish() == 4 * LEAST_BYTES
        assert sound.release()
        assert path.stat().st_blocks == 0
    assert n > 6, "control: there were calls to fail"


class Journal(Watched):
    """What is on the disk for sure: an entry in a folder is, once the folder was synced after the entry was made.

    What is in a file is once that was synced after it was written, which `unsure` says of its number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unsure: set[Path | int] = set()
        self._lock = threading.Lock()

    def write(self, descriptor: int, data: memoryview) -> int:
        self.unsure.add(os.fstat(descriptor).st_ino)
        return super().write(descriptor, data)

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.unsure.add(path)

    def publish_nameless(self, descriptor: int, target: Path) -> None:
        super().publish_nameless(descriptor, target)
        self.unsure.add(target)

    def sync(self, descriptor: int) -> None:
        # What comes while it is synced is not.
        before = self.unsure.copy()
        super().sync(descriptor)
        folder, number = Path(f"/proc/self/fd/{descriptor}").readlink(), os.fstat(descriptor).st_ino
        with self._lock:
            self.unsure -= {each for each in before if each == number or getattr(each, "parent", None) == folder}


@pytest.mark.quick
async def test_whatever_other_processes_do_what_is_acknowledged_survives_the_loss_of_power(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    journal = Journal()
    root = tmp_path / "data" / "artifacts"
    processes = [LocalBlobs(root, files=journal) for _ in range(3)]
    for number in range(400):
        scope = Scope(tenant=chance.choice("ab"), user=chance.choice("cd"), session=chance.choice("ef"))
        key = blob_key(scope, ArtifactId(f"art_{chance.randrange(4)}"), number, "a.bin")
        deed = chance.random()
        if deed < 0.2:  # a process dies before it has synced
            for folder in reversed((root / key).parents):
                if not folder.exists():
                    journal.make_folder(folder)
        elif deed < 0.5:
            parts = key.split("/")
            shutil.rmtree(root.joinpath(*parts[: chance.randrange(5)]), ignore_errors=True)
        else:
            await chance.choice(processes).put(key, stream(CONTENT))
            path = root / key
            assert journal.unsure.isdisjoint([path, *path.parents, path.stat().st_ino]), number
    publications = sum(call == "publish" and path.name == "a.bin" for call, path in journal.calls)
    assert sum(call == "sync" for call, _ in journal.calls) < publications * 10, "control: some syncs are left out"


WRITER = """
import asyncio, sys
from pathlib import Path
from file_faults import HasNoNamelessFiles
from handiwork.ids import new_artifact_id
from handiwork.model import Scope
from handiwork.store.file_operations import OperatingSystem
from handiwork.store.keys import blob_key
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.owners import Owners

async def content():
    for _ in range(8):
        yield bytes(700_000)
        await asyncio.sleep(0)

async def main(root, files):
    with Owners(root / ".tmp") as owners:
        blobs = LocalBlobs(root, drafts=owners.folder, files=files)
        while True:
            key = blob_key(Scope(session="s"), new_artifact_id(), 1, "a.bin")
            await blobs.put(key, content())
            print(key, flush=True)

asyncio.run(main(Path(sys.argv[1]), HasNoNamelessFiles() if sys.argv[2] == "named" else OperatingSystem()))
"""


@pytest.mark.parametrize("drafts", ["nameless", "named"])
async def test_what_a_killed_writer_left_is_swept_and_what_it_acknowledged_is_there(
    tmp_path: Path, drafts: str
) -> None:
    chance = random.Random(20261121)
    size, digest = 8 * 700_000, sha256(bytes(8 * 700_000)).hexdigest()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    left = 0
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), drafts]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:  # noqa: ASYNC220  # it only starts here, and is killed below
            assert writer.stdout is not None
            first = await asyncio.wait_for(asyncio.to_thread(writer.stdout.readline), 20)
            await asyncio.to_thread(_wait_a_little, writer, chance.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
            told = first + writer.stdout.read()

        with Owners(tmp_path / DRAFTS) as owners:
            left += len([path for path in files_below(tmp_path / DRAFTS) if path.name not in ("lock", ".lock")])
            for owner in owners.abandoned():
                owners.sweep(owner)
            assert files_below(tmp_path / DRAFTS) == {tmp_path / DRAFTS / ".lock", owners.folder / "lock"}
        for key in [BlobKey(line.strip()) for line in told.splitlines(keepends=True) if line.endswith("\n")]:
            content = read_verified(LocalBlobs(tmp_path), key, size=size, sha256=digest)
            assert sum([len(chunk) async for chunk in content]) == size
    assert (left > 0) is (drafts == "named"), "control: where a draft has a name, a dead process leaves some"


def _wait_a_little(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


ON_A_FULL_DISK = """
import asyncio, errno, os, sys
from pathlib import Path
from handiwork.errors import StorageFull
from handiwork.ids import new_artifact_id
from handiwork.model import Scope
from handiwork.store.keys import blob_key
from handiwork.store.local_blobs import LocalBlobs
from handiwork.store.reserve import Reserve

async def content(size):
    yield bytes(size)

async def main(disk):
    blobs, reserve = LocalBlobs(disk / "artifacts"), Reserve(disk / "reserve", 16 << 20)
    taken = reserve.establish()
    assert taken == 4 << 20, taken  # of a disk of 6 MiB
    stored = []
    try:
        while True:
            key = blob_key(Scope(session="s"), new_artifact_id(), 1, "a.bin")
            await blobs.put(key, content(100_000))
            stored.append(key)
    except StorageFull:
        pass
    assert stored
    for key in stored:
        assert sum([len(chunk) async for chunk in blobs.open(key)]) == 100_000
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    assert free < 100_000, free
    assert reserve.release()
    (disk / "what deleting needs").write_bytes(bytes(1 << 20))
    for key in stored:
        await blobs.delete(key)
    assert reserve.establish() == 4 << 20
    print("done")

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.quick
@pytest.mark.linux
def test_on_a_disk_that_is_really_full_nothing_is_harmed_and_the_reserve_helps(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ON_A_FULL_DISK, encoding="utf-8")
    disk = tmp_path / "disk"
    disk.mkdir()
    steps = f"mount -t tmpfs -o size=6m none {disk} && exec {sys.executable} {script} {disk}"

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", steps],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout == "done\n", done.stderr
