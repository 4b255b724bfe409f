"""Part F: what a job may use up. Memory, disk, descriptors and time of the host are looked at from outside."""
# ruff: noqa: E501  # probes are programs, a line each

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from jails import (
    Jail,
    eventually,
    facts_of,
    held,
    job_processes,
    no_process_is_left,
    open_descriptors,
    places_of_ready_children,
    threads_of,
)

from handiwork.model import MIB, Execution, Limits

LIMITS = Limits(wall_seconds=8, memory_bytes=192 * MIB)


async def run_and_watch(jail: Jail, program: str, limits: Limits = LIMITS) -> tuple[Execution, int, int]:
    """Run a program; return also how much of the disk was gone at worst, and how many descriptors were open here."""
    here = Path(tempfile.gettempdir())
    free = lowest = shutil.disk_usage(here).free
    most = 0
    run = asyncio.ensure_future(jail.run(program, limits=limits))
    while not run.done():
        lowest = min(lowest, shutil.disk_usage(here).free)
        most = max(most, len(open_descriptors()))
        await asyncio.sleep(0.01)
    return run.result(), free - lowest, most


def left_behind() -> list[str]:
    """What the sandboxes of this process left of their jobs' folders."""
    mine = [f for f in Path(tempfile.gettempdir()).glob("handiwork-jobs-*") if _is_locked_here(f)]
    assert mine, "control: the folders of this process are found"
    of_nobody = {"lock", "root", *places_of_ready_children()}
    return [path.name for folder in mine for path in folder.iterdir() if path.name not in of_nobody]


def _is_locked_here(folder: Path) -> bool:
    return str(folder / "lock") in open_descriptors().values()


MEMORY_BOMBS = {
    "61 at once": "x = bytearray(2**31)",
    "61 zeros that are touched": "import numpy; x = numpy.zeros(2**30, dtype='u1'); x[::4096] = 1",
    "61 slowly": "x = []\nwhile True: x.append(bytes(1_000_000))",
    "61 a private mapping": "import mmap\nm = mmap.mmap(-1, 2**30, flags=2 | 0x20)\nfor i in range(0, len(m), 4096): m[i] = 1",
    "61 a shared mapping": "import mmap\nm = mmap.mmap(-1, 2**30)\nfor i in range(0, len(m), 4096): m[i] = 1",
    "61 text": "x = 'x' * 10**6\nwhile True: x += x",
    "61 stacks": """
import threading, time
threading.stack_size(64 * 1024**2)
def deep(x=bytes(10**6)): x, y = x + x, time.sleep(60)
while True: threading.Thread(target=deep, daemon=True).start()""",
    "61 by mremap": """
import ctypes
libc = ctypes.CDLL(None); libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
p, n = libc.mmap(None, 4096, 3, 0x22, -1, 0), 4096
while p and p != 2**64 - 1:
    p = libc.mremap(ctypes.c_void_p(p), ctypes.c_size_t(n), ctypes.c_size_t(n * 2), 1); n *= 2
    if p and p != 2**64 - 1: ctypes.memset(p + n // 2, 1, n // 2)
raise MemoryError""",
    "70 a figure of 10^10 pixels": "import matplotlib.pyplot as p; p.figure(figsize=(1000, 1000), dpi=100).savefig('x.png')",
    "70 a product of tables": "import pandas as p; d = p.DataFrame({'a': range(50_000)}); d.merge(d, how='cross')",
    "71 zlib": "import zlib\nd = zlib.compress(zlib.compress(bytes(2 * 10**9 // 8)))\nx = [zlib.decompress(zlib.decompress(d)) for _ in range(9)]",
    "71 an image": """
import io, PIL.Image
PIL.Image.MAX_IMAGE_PIXELS = None
b = io.BytesIO(); PIL.Image.new('1', (30_000, 30_000)).save(b, 'png')
PIL.Image.open(io.BytesIO(b.getvalue())).convert('RGB').load()""",
}  # fmt: skip
HIDDEN_BOMBS = {
    "63 pages of a shared mapping that are not mapped": """
import mmap
m = mmap.mmap(-1, 600 * 1024**2)
for i in range(0, len(m), 4096):
    m[i] = 1
    if i and i % 2**24 == 0: m.madvise(mmap.MADV_DONTNEED, i - 2**24, 2**24)""",
    "63 page tables": """
import ctypes
libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
while True:
    p = libc.mmap(None, ctypes.c_size_t(2**30), 1, 0x4022, -1, 0)
    libc.madvise(ctypes.c_void_p(p), ctypes.c_size_t(2**30), 15)
    for o in range(0, 2**30, 2**21): ctypes.c_char.from_address(p + o).value""",
    "63 socket buffers": """
import socket
keep = []
while True:
    a, b = socket.socketpair(); keep += [a, b]
    for s in (a, b):
        s.setblocking(False)
        try:
            while True: s.send(bytes(65536))
        except BlockingIOError: pass""",
}


@pytest.mark.parametrize("bomb", MEMORY_BOMBS.values(), ids=MEMORY_BOMBS)
async def test_a_memory_bomb_is_told_as_such_and_stays_within_the_limit(jail: Jail, bomb: str) -> None:
    execution = await jail.run(bomb, limits=LIMITS)

    refused = ("can't start new thread", "Cannot allocate memory")
    assert execution.status == "out_of_memory" or any(words in execution.stderr for words in refused)
    assert execution.outcome.peak_memory_bytes <= LIMITS.memory_bytes + 64 * MIB
    assert await no_process_is_left()


async def test_running_out_of_the_last_byte_is_told_as_memory_too(jail: Jail) -> None:
    execution = await jail.run("x = []\nwhile True: x.append([])", limits=LIMITS)

    assert execution.status == "out_of_memory"
    assert execution.outcome.peak_memory_bytes <= LIMITS.memory_bytes + 64 * MIB


@pytest.mark.parametrize("bomb", HIDDEN_BOMBS.values(), ids=HIDDEN_BOMBS)
async def test_memory_that_no_process_seems_to_have_counts_too(jail: Jail, bomb: str) -> None:
    execution = await jail.run(bomb, limits=Limits(wall_seconds=8, memory_bytes=64 * MIB))

    assert execution.status in ("out_of_memory", "failed"), execution.status
    assert execution.outcome.peak_memory_bytes <= (64 + 64) * MIB


async def test_memory_within_the_limit_is_given(jail: Jail) -> None:
    execution = await jail.run("x = bytearray(150 * 1024**2)\nfor i in range(0, len(x), 4096): x[i] = 1", limits=LIMITS)

    assert execution.ok, execution.stderr
    assert execution.outcome.peak_memory_bytes > 140 * MIB


@pytest.mark.levels("full")  # `unprivileged` refuses to fork at all
async def test_memory_spread_over_children_counts_together(jail: Jail) -> None:
    program = """
import os, time
for child in range(CHILDREN):
    if os.fork() == 0:
        x = bytearray(60 * 1024**2)
        for i in range(0, len(x), 4096): x[i] = 1
        time.sleep(1)
        os._exit(0)
ends = [os.wait()[1] for child in range(CHILDREN)]
raise SystemExit(max(ends) and 9)
"""
    few = await jail.run(program.replace("CHILDREN", "2"), limits=LIMITS)
    many = await jail.run(program.replace("CHILDREN", "8"), limits=LIMITS)

    assert few.ok, "control: what fits together is given"
    assert many.status == "out_of_memory"
    assert many.outcome.peak_memory_bytes <= LIMITS.memory_bytes + 64 * MIB


@pytest.mark.levels("full")  # at `unprivileged` there is no file system in memory to write to
async def test_files_in_memory_are_bounded_and_counted(jail: Jail) -> None:
    program = """
written = 0
for folder in ('/job', '/tmp', '/dev/shm'):
    with open(folder + '/fill', 'wb') as file:
        try:
            while True: written += file.write(bytes(2**20))
        except OSError as full: print(full.errno)
print(written // 2**20)
"""
    roomy = await jail.run(program, limits=Limits(wall_seconds=8, memory_bytes=512 * MIB, output_bytes=64 * MIB))
    tight = await jail.run(program, limits=Limits(wall_seconds=8, memory_bytes=48 * MIB))

    assert roomy.stdout.count("\n") == 4, "control: each is filled to its end"
    assert int(roomy.stdout.split()[-1]) <= 256 + 64 + 64
    assert tight.status == "out_of_memory"


async def test_a_job_uses_no_swap_and_one_core(jail: Jail) -> None:
    async with held(jail, "pass") as job:
        group = Path(f"/proc/{job}/cgroup").read_text(encoding="ascii")
        names = [line.rpartition("/")[2] for line in group.splitlines() if "handiwork-" in line]
        if not names:
            return  # without control groups the ordinary user's tests look at what takes their place
        found = {p.name: p.read_text(encoding="ascii").strip() for p in _limit_files(names[0])}

    assert found.get("memory.swap.max") == "0" or found.get("memory.swappiness") == "0"
    quota = found.get("cpu.max", found.get("cpu.cfs_quota_us", ""))
    assert quota.split()[0] == "100000"


def _limit_files(group: str) -> list[Path]:
    wanted = ("memory.swap.max", "memory.swappiness", "cpu.max", "cpu.cfs_quota_us")
    return [path for name in wanted for path in Path("/sys/fs/cgroup").glob(f"**/{group}/{name}")]


async def test_many_threads_burn_one_core_and_a_neighbour_is_served(jail: Jail) -> None:
    burn = """
import hashlib, threading
def burn():
    while True: hashlib.sha256(bytes(2**20)).digest()
for _ in range(30): threading.Thread(target=burn).start()
"""
    burning = asyncio.ensure_future(jail.run(burn, limits=Limits(wall_seconds=20)))
    try:
        assert await eventually(lambda: any(threads_of(pid) > 20 for pid in job_processes()))
        neighbour = await jail.run("print('served')")
        assert neighbour.stdout == "served\n"
        assert not burning.done(), "the neighbour was served while the others burned"
    finally:
        burning.cancel()
        await asyncio.wait([burning], timeout=5)


async def test_sleepers_queue_and_everybody_is_served_in_the_end(jail: Jail) -> None:
    sleepers = [jail.run("import time; time.sleep(60)", limits=Limits(wall_seconds=0.3)) for _ in range(8)]

    ended = await asyncio.wait_for(asyncio.gather(*sleepers, jail.run("print('served')")), 20)

    assert [execution.status for execution in ended] == ["timed_out"] * 8 + ["succeeded"]


DISK_FILLS = {
    "67 one file": "with open('x', 'wb') as f:\n    while True: f.write(bytes(2**20))",
    "67 many files": "n = 0\nwhile True:\n    open(f'x{n}', 'wb').write(bytes(2**20)); n += 1",
    "67 appending": "while True:\n    with open('log', 'ab') as f: f.write(bytes(2**20))",
    "67 a mapping": "import mmap, os\nos.truncate(os.open('x', 66), 2**25)\nn = 0\nwhile True:\n"
    "    f = os.open(f'x{n}', 66); os.ftruncate(f, 2**25); m = mmap.mmap(f, 0); n += 1\n"
    "    for i in range(0, 2**25, 4096): m[i] = 1",
}  # fmt: skip
HIDDEN_FILLS = {
    "67 fallocate": "import os\nfor n in range(20): os.posix_fallocate(os.open(f'x{n}', 66), 0, 60 * 2**20)\n"
    "import time; time.sleep(1)",
    "67 files without a name": "import os\nkeep = []\nfor n in range(12):\n    f = os.open(f'x{n}', 66); os.unlink(f'x{n}')\n"
    "    keep.append(f)\n    for _ in range(50): os.write(f, bytes(2**20))\nimport time; time.sleep(1)",
}  # fmt: skip
ROOM = (64 + 300) * MIB  # the limit of the folder, and what a fast disk takes between two looks at it


@pytest.mark.parametrize("fill", DISK_FILLS.values(), ids=DISK_FILLS)
async def test_the_disk_of_the_host_is_not_filled(jail: Jail, fill: str) -> None:
    before = shutil.disk_usage(tempfile.gettempdir()).free
    execution, used, _descriptors = await run_and_watch(jail, fill, Limits(wall_seconds=8))

    assert execution.status in ("output_too_large", "failed", "out_of_memory", "killed"), execution.status
    assert execution.artifacts == () or execution.status == "failed"
    assert used < (ROOM if jail.level == "unprivileged" else 64 * MIB)
    assert await eventually(lambda: left_behind() == [])
    assert await eventually(lambda: shutil.disk_usage(tempfile.gettempdir()).free > before - 64 * MIB)


@pytest.mark.parametrize("fill", HIDDEN_FILLS.values(), ids=HIDDEN_FILLS)
async def test_the_disk_is_not_filled_by_what_no_name_shows(jail: Jail, fill: str) -> None:
    execution, used, _descriptors = await run_and_watch(jail, fill, Limits(wall_seconds=8))

    assert not execution.ok
    assert used < (ROOM if jail.level == "unprivileged" else 64 * MIB)


@pytest.fixture
def swept() -> Generator[Callable[[], list[str]]]:
    """Tell what was left behind, and remove it, so that one failure is not every later test's."""
    yield left_behind
    for name in left_behind():
        for folder in Path(tempfile.gettempdir()).glob(f"handiwork-jobs-*/{name}"):
            subprocess.run(["rm", "-rf", str(folder)], check=True, timeout=20)


INODE_FILLS = {
    "68 empty files": "n = 0\nwhile True: open(f'f{n}', 'w').close(); n += 1",
    "68 folders": "import os\nfor n in range(3000): os.mkdir(f'd{n}')\nimport time; time.sleep(0.5)",
    "68 a deep tree": "import os\nfor n in range(3000): os.mkdir('d'); os.chdir('d')",
    "68 long names": "import os\nfor n in range(100): os.mkdir('d' * 250); os.chdir('d' * 250)",
    "86 rights taken away": "import os\nfor n in range(50):\n    os.mkdir(f'd{n}'); open(f'd{n}/f', 'w').write('x')\n"
    "    os.chmod(f'd{n}/f', 0); os.chmod(f'd{n}', 0)\nos.umask(0o777); os.mkdir('e')\nos.chmod('.', 0)",
    "86 readable but closed": "import os\nos.mkdir('d'); open('d/f', 'w').write('x'); os.chmod('d', 0o400)",
}  # fmt: skip


@pytest.mark.parametrize("fill", INODE_FILLS.values(), ids=INODE_FILLS)
async def test_any_tree_is_bounded_harvested_and_removed(jail: Jail, fill: str, swept: Callable[[], list[str]]) -> None:
    execution, _used, descriptors = await run_and_watch(jail, fill, Limits(wall_seconds=15))

    assert execution.status in ("succeeded", "failed", "output_too_large"), execution.status
    assert len(execution.artifacts) <= 1000
    assert len(execution.outcome.refused) <= 101
    assert descriptors < 500, "the tree is not held open here"
    assert await eventually(lambda: swept() == [], within=20)
    assert (await jail.run("print('served')")).stdout == "served\n"


DESCRIPTORS = {
    "69 files": "keep = []\nwhile True: keep.append(open('/dev/null'))",
    "69 pipes": "import os\nkeep = []\nwhile True: keep.append(os.pipe())",
    "69 nested epolls": "import select\nkeep = [select.epoll()]\nwhile True:\n    e = select.epoll(); e.register(keep[-1]); keep.append(e)",
    "69 events": "import os\nwhile True: os.eventfd(0)",
    "69 passed to oneself": "import os, socket\nkeep = []\nwhile True:\n    a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [0] * 100); keep += [a, b]",
}  # fmt: skip


@pytest.mark.parametrize("greed", DESCRIPTORS.values(), ids=DESCRIPTORS)
async def test_descriptors_are_limited_and_all_given_back(jail: Jail, greed: str) -> None:
    def open_files() -> int:
        return int(Path("/proc/sys/fs/file-nr").read_text(encoding="ascii").split()[0])

    before = open_files()
    execution = await jail.run(greed, limits=Limits(wall_seconds=3))

    assert execution.status in ("failed", "timed_out"), execution.status
    assert await eventually(lambda: open_files() < before + 700)


ENDLESS = {
    "70 a power": "9 ** 9 ** 9",
    "70 digits": "import sys; sys.set_int_max_str_digits(0); str(7 ** 10**7)",
    "72 nested brackets": "(" * 100_000 + ")" * 100_000,
    "72 nested blocks": "\n".join(" " * n + "if 1:" for n in range(150)),
    "72 a long sum": "x = " + "+".join(["1"] * 100_000),
    "72 three megabytes": "x = [" + "1, " * 1_000_000 + "]",
    "72 null": "x = 1\0",
}


@pytest.mark.parametrize("is_checked", [True, False])
@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
async def test_source_that_is_hard_to_read_costs_its_own_job_alone(jail: Jail, source: str, is_checked: bool) -> None:
    execution = await jail.session.run(source, check=is_checked, limits=Limits(wall_seconds=2, memory_bytes=256 * MIB))

    assert execution.status != "cancelled"
    assert execution.outcome.duration_ms < 3_000
    assert (await jail.run("print('served')")).stdout == "served\n"


async def test_the_limits_hold_from_the_first_instruction_on(jail: Jail) -> None:
    execution = await jail.run("""
import resource
names = ('DATA', 'FSIZE', 'CPU', 'NOFILE', 'CORE')
print([resource.getrlimit(getattr(resource, f'RLIMIT_{name}'))[1] for name in names])
""")
    data, size, seconds, files, core = (int(n) for n in execution.stdout.strip("[]\n").split(","))

    assert 512 * MIB < data < 2048 * MIB
    assert (size, seconds, files, core) == (64 * MIB, 33, 512, 0)
    async with held(jail, "pass") as job:
        assert facts_of(job)["Seccomp"] == "2"
