"""Part G: one warm interpreter, many jobs. Nothing of one job, of the server or of chance reaches the next."""
# ruff: noqa: E501  # probes are programs, a line each

import asyncio
import os
from pathlib import Path

import pytest
from jails import (
    Host,
    Jail,
    eventually,
    held_for_jobs,
    interpreters,
    job_processes,
    open_descriptors,
    outside,
    settled,
    threads_of,
)

from handiwork.model import Limits

CHANCE = """
import random, secrets, tempfile, uuid
import numpy as np, pandas as pd
print(random.random(), uuid.uuid4(), secrets.token_hex(4), np.random.rand(), np.random.default_rng().random(),
      list(pd.Series(range(10**6)).sample(3)), np.random.randint(2**60), tempfile.mktemp(), sep='|')
"""


async def test_no_two_jobs_draw_the_same_numbers(jail: Jail) -> None:
    drawn = [(await jail.run(CHANCE)).stdout.split("|") for _ in range(4)]

    assert len(drawn[0]) == 8
    for kind in zip(*drawn, strict=True):
        assert len(set(kind)) == len(drawn), kind


async def test_a_seed_that_the_program_sets_still_holds(jail: Jail) -> None:
    program = "import numpy, random; numpy.random.seed(7); random.seed(7); print(numpy.random.rand(), random.random())"

    assert (await jail.run(program)).stdout == (await jail.run(program)).stdout != ""


async def test_the_interpreter_was_started_without_the_secrets_of_the_server(
    jail: Jail, host: Host, tmp_path: Path
) -> None:
    environment = {"API_KEY": host.secret}
    assert host.secret in outside("import os; print(os.environ)", folder=tmp_path, environment=environment).stdout

    for pid in interpreters():
        block = Path(f"/proc/{pid}/environ").read_bytes().decode()
        names = {entry.partition("=")[0] for entry in block.split("\0") if entry}
        assert names <= {"LANG", "TZ", "MPLBACKEND", "MPLCONFIGDIR"} | {
            name for name in names if "_NUM_THREADS" in name
        }
    assert interpreters()


SCAN = """
import ctypes, gc, os, re
libc = ctypes.CDLL(None)
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
libc.sbrk.restype = ctypes.c_void_p
reading, writing = os.pipe()
own = 'canary-' + 'f' * 32
arenas = {id(o) >> 20 for o in gc.get_objects()} | {id(own) >> 20}
top = libc.sbrk(0)
arenas |= set(range((top - (96 << 20)) >> 20, (top >> 20) + 1))
found = set()
for arena in sorted(arenas):
    tail = b''
    for page in range(arena << 20, (arena + 1) << 20, 4096):
        if libc.write(writing, page, 4096) != 4096:   # a page that is not there answers EFAULT
            tail = b''
            continue
        data = tail + os.read(reading, 4096)
        found.update(re.findall(rb'canary-[0-9a-f]{32}', data))
        tail = data[-64:]
print(len(arenas), own.encode() in found, sorted(found - {own.encode()}))
"""


SECRETIVE = {
    "read, said and written": "print(secret, open('given.txt').read())\nopen('out.txt', 'w').write(secret)",
    "named in a failure": "raise ValueError(secret)",
}


@pytest.mark.parametrize("deed", SECRETIVE.values(), ids=SECRETIVE)
async def test_the_memory_of_a_job_holds_nothing_of_the_one_before(jail: Jail, host: Host, deed: str) -> None:
    given = await jail.session.create("file", content=host.secret, name="given.txt")
    first = await jail.run(f"secret = '{host.secret}'\n{deed}", inputs=[given])
    assert host.secret in await jail.said(first), "control: it came out of the job"

    for _ in range(4):  # some children were there before, and others are made after it
        scan = await jail.run(SCAN)

        arenas, finds_its_own, foreign = scan.stdout.split(maxsplit=2)
        assert int(arenas) > 20
        assert finds_its_own == "True", "control: the scan sees what is in memory"
        assert foreign.strip() == "[]"


STATE = """
import gc, locale, os, signal, sys, threading, time, warnings
import matplotlib, numpy, pandas, PIL.Image
state = {
    'cwd': os.getcwd().rpartition('/')[2] if os.getcwd() == '/job' else 'work',
    'files': sorted(os.listdir('.')), 'umask': os.umask(0o22), 'environment': sorted(os.environ),
    'locale': locale.setlocale(locale.LC_ALL), 'mask': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    'handlers': [str(signal.getsignal(n)) for n in (2, 13, 14, 15, 17)], 'filters': len(warnings.filters),
    'rc': dict(matplotlib.rcParams), 'pandas': pandas.get_option('display.max_rows'), 'numpy': numpy.get_printoptions(),
    'fonts': len(matplotlib.font_manager.fontManager.ttflist), 'figures': matplotlib.pyplot.get_fignums(),
    'modules': sorted(sys.modules), 'paths': [p for p in sys.path if 'handiwork' not in p], 'limit': sys.getrecursionlimit(),
    'threads': threading.active_count(), 'image': PIL.Image.MAX_IMAGE_PIXELS, 'print': print.__qualname__,
    'open': open.__module__, 'timers': signal.getitimer(signal.ITIMER_REAL), 'tmp': [],
    'ids': (os.getuid() and 1, os.getgid() and 1), 'switch': sys.getswitchinterval(), 'gc': gc.get_threshold(),
}
for folder in ('/tmp', '/dev/shm'):
    try: state['tmp'] += sorted(os.listdir(folder))
    except OSError: pass
"""
SPOIL = """
import builtins, decimal, gc, json, signal, warnings
open('left.txt', 'w').write('x')
for folder in ('/tmp', '/dev/shm'):
    try: open(folder + '/left', 'w').close()
    except OSError: pass
os.umask(0o777); os.environ['LEFT'] = '1'; signal.signal(15, signal.SIG_IGN); signal.pthread_sigmask(0, [10])
matplotlib.rcParams['figure.dpi'] = 7; pandas.set_option('display.max_rows', 3); numpy.set_printoptions(precision=1)
matplotlib.font_manager.fontManager.ttflist.clear(); matplotlib.pyplot.figure(); sys.modules['left'] = os
sys.path.append('/left'); sys.setrecursionlimit(77_777); PIL.Image.MAX_IMAGE_PIXELS = 1; builtins.print = len
warnings.simplefilter('error'); signal.setitimer(signal.ITIMER_REAL, 1000); gc.disable(); sys.setswitchinterval(1)
os.chdir('/'); json.dumps = None
"""


async def test_a_job_finds_everything_as_the_one_before_found_it(jail: Jail) -> None:
    show = "\nsys.stdout.write(repr(state))"
    first = await jail.run(STATE + show)
    spoiled = await jail.run(STATE + SPOIL + STATE.replace("matplotlib.font_manager.fontManager.ttflist", "[]") + show)
    second = await jail.run(STATE + show)

    assert first.ok, first.stderr
    assert spoiled.stdout != first.stdout, "control: the state shows what is done to it"
    assert second.stdout == first.stdout


async def test_figures_of_one_job_are_not_drawn_by_the_next(jail: Jail) -> None:
    drawn = await jail.run("import matplotlib.pyplot as plt; plt.plot([1, 2])")
    nothing = await jail.run("import matplotlib.pyplot as plt; print(plt.get_fignums())")

    assert [artifact.name for artifact in drawn.artifacts] == ["figure-1.png"]
    assert (nothing.artifacts, nothing.stdout) == ((), "[]\n")


async def test_the_interpreter_forks_with_one_thread_and_stays_small(jail: Jail) -> None:
    interpreter = interpreters()[-1]
    held = len(open_descriptors(interpreter))

    for _ in range(60):
        assert (await asyncio.wait_for(jail.run("pass"), 5)).ok

    assert threads_of(interpreter) == 1
    assert await eventually(lambda: len(open_descriptors(interpreter)) <= held)
    assert await eventually(lambda: job_processes() == [])


async def test_fifty_jobs_at_once_do_not_mix(jail: Jail) -> None:
    async def one(number: int) -> None:
        given = await jail.session.create("file", content=f"input {number}", name="given.txt")
        execution = await jail.run(
            f"import os\ntext = open('given.txt').read()\nopen('out.txt', 'w').write(text + ' job {number}')\nprint({number})",
            inputs=[given],
        )
        assert execution.stdout == f"{number}\n"
        assert await jail.files(execution) == {"out.txt": f"input {number} job {number}".encode()}

    await settled(jail)
    before = held_for_jobs()
    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(one(number))

    assert await eventually(lambda: job_processes() == [])
    await settled(jail)
    assert await eventually(lambda: held_for_jobs() == before)
    assert not _groups()


def _groups() -> list[Path]:
    jobs = {str(pid) for pid in job_processes()}
    return [
        path
        for path in Path("/sys/fs/cgroup").glob(f"**/handiwork-{os.getpid()}-*/cgroup.procs")
        if jobs.intersection(path.read_text(encoding="ascii").split())
    ]


@pytest.mark.levels("full")  # at `unprivileged` two jobs see the host's names, and none of each other's files
async def test_two_jobs_at_once_share_no_namespace_and_no_folder(jail: Jail) -> None:
    leave = "open('/dev/shm/mine', 'w').close(); open('/tmp/mine', 'w').close(); import time; time.sleep(1.5)"
    look = "import os, time; time.sleep(0.7); print(os.listdir('/tmp'), os.listdir('/dev/shm'), os.getpid())"

    _left, seen = await asyncio.gather(jail.run(leave), jail.run(look, limits=Limits(wall_seconds=5)))

    assert "mine" not in seen.stdout
    assert seen.stdout.endswith(" 1\n"), "control: it looked, as the first process of its own namespace"


async def test_two_jobs_at_once_cannot_reach_each_others_files(jail: Jail) -> None:
    leave = "import os, time; open('secret.txt', 'w').write('canary'); print(os.getcwd(), flush=True); time.sleep(1.5)"
    look = """
import glob, os, time
time.sleep(0.7)
found = []
for pattern in ('/tmp/handiwork-jobs-*/*/work/*', '/job/../*/secret.txt', '../../*/work/*', '/proc/[0-9]*/cwd/secret.txt'):
    found += glob.glob(pattern)
for number in range(1, 40000):
    try: found.append(open(f'/proc/{number}/cwd/secret.txt').read())
    except OSError: pass
print([f for f in found if 'secret' in f or 'canary' in f])
"""
    left, seen = await asyncio.gather(jail.run(leave), jail.run(look))

    assert await jail.files(left) == {"secret.txt": b"canary"}, "control: it was there"
    assert seen.stdout == "[]\n", seen.stderr
