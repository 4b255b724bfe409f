import math
from dataclasses import replace
from pathlib import Path

import pytest
from rooms import LEVELS, Room, at_each_level, descendants, hint, named, names, nobody_left, open_room

from handiwork.errors import InvalidLimit, LimitExceeded
from handiwork.executions.limits import WORDS
from handiwork.model import KIB, MIB, Limits

pytestmark = pytest.mark.linux


# Time


@pytest.mark.parametrize("bare_room", LEVELS, indirect=True, scope="session")
@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    pass",
        "import time\ntime.sleep(600)",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "import signal\nfor number in (2, 15):\n    signal.signal(number, signal.SIG_IGN)\nsignal.pause()",
        "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
    ],
)
def test_a_program_that_does_not_end_in_time_is_stopped(bare_room: Room, code: str) -> None:
    before = descendants()
    execution = bare_room.run("print('begun', flush=True)\n" + code, limits=Limits(wall_seconds=0.7))
    assert execution.status == "timed_out"
    assert (execution.outcome.exit_code, execution.outcome.signal) == (None, "SIGKILL")
    assert execution.stdout == "begun\n"
    assert 600 < execution.outcome.duration_ms < 5_000
    assert "0.7 s" in hint(execution)
    assert nobody_left(before)


def test_a_program_within_its_time_is_not_stopped(room: Room) -> None:
    assert room.run("import time\ntime.sleep(0.3)\nprint('slept')", limits=Limits(wall_seconds=5)).stdout == "slept\n"


def test_the_files_of_a_program_that_was_stopped_are_not_kept(room: Room) -> None:
    execution = room.run("open('half.txt', 'w').write('x')\nwhile True:\n    pass", limits=Limits(wall_seconds=0.5))
    assert (execution.status, execution.artifacts) == ("timed_out", ())


# Memory


@at_each_level
@pytest.mark.parametrize(
    "code",
    [
        "held = bytearray(400 * 2**20)",
        "held = []\nwhile True:\n    held.append(bytes(2**20))",
        "import numpy as np\nheld = np.ones(60_000_000)",
        "import pandas as pd\nheld = pd.DataFrame({'a': range(50_000_000)}).astype(str)",
        "held = 'x' * (2**30)",
    ],
)
def test_a_program_that_needs_too_much_memory_is_stopped(room: Room, code: str) -> None:
    execution = room.run(code, limits=Limits(memory_bytes=128 * MIB))
    assert execution.status == "out_of_memory"
    assert "128 MB" in hint(execution)


@at_each_level
def test_memory_without_a_name_counts_or_is_not_to_be_had(room: Room) -> None:
    code = "import mmap\nheld = mmap.mmap(-1, 400 * 2**20)\nfor at in range(0, len(held), 4096):\n    held[at] = 1"
    execution = room.run(code, limits=Limits(memory_bytes=128 * MIB))
    assert execution.outcome.isolation is not None
    if execution.outcome.isolation.memory_by == "cgroup":
        assert execution.status == "out_of_memory"
    else:
        assert (execution.status, "PermissionError" in execution.stderr) == ("failed", True)


def test_a_program_within_its_memory_is_not_stopped(room: Room) -> None:
    execution = room.run("held = bytearray(100 * 2**20)\nprint(len(held))", limits=Limits(memory_bytes=160 * MIB))
    assert execution.stdout == "104857600\n", execution.error
    assert execution.outcome.peak_memory_bytes > 90 * MIB


def test_the_memory_of_all_processes_counts_together(room: Room) -> None:
    code = """
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                held = bytearray(100 * 2**20)
                time.sleep(20)
                os._exit(0)
        while True:
            try:
                pid, status = os.wait()
            except ChildProcessError:
                break
            if status:
                os.abort()
    """
    execution = room.run(code, limits=Limits(memory_bytes=200 * MIB, wall_seconds=15))
    assert execution.status == "out_of_memory", execution.outcome


def test_the_smallest_memory_that_may_be_asked_for_is_enough_to_begin(room: Room) -> None:
    assert room.run("print(1)", limits=Limits(memory_bytes=16 * MIB)).stdout == "1\n"


# Output


@at_each_level
def test_files_that_are_too_large_together_are_all_refused_with_the_number(room: Room) -> None:
    execution = room.run(
        "for n in range(3):\n    open(f'{n}.bin', 'wb').write(bytes(400 * 1024))", limits=Limits(output_bytes=MIB)
    )
    assert (execution.status, execution.artifacts) == ("output_too_large", ())
    assert execution.error is not None
    assert f"{3 * 400 * KIB:,} bytes" in execution.error.message
    assert f"{MIB:,} bytes" in hint(execution)


@at_each_level
def test_files_that_are_just_small_enough_are_kept(room: Room) -> None:
    code = "for n in range(2):\n    open(f'{n}.bin', 'wb').write(bytes(512 * 1024))"
    assert names(room.run(code, limits=Limits(output_bytes=MIB))) == ["0.bin", "1.bin"]
    assert room.run(code, limits=Limits(output_bytes=MIB - 1)).status == "output_too_large"


@at_each_level
def test_a_file_with_a_hole_counts_with_its_apparent_size(room: Room) -> None:
    execution = room.run(
        "with open('hole.bin', 'wb') as file:\n    file.truncate(3 * 2**20)", limits=Limits(output_bytes=MIB)
    )
    assert execution.status == "output_too_large"


@at_each_level
def test_a_disk_filler_ends_as_output_too_large(room: Room) -> None:
    execution = room.run(
        "for n in range(400):\n    with open(f'{n}.bin', 'wb') as file:\n        file.write(bytes(2**20))",
        limits=Limits(output_bytes=MIB),
    )
    assert execution.status == "output_too_large"
    assert execution.artifacts == ()


def test_one_file_over_its_own_limit_is_refused_and_the_rest_is_kept(data: Path) -> None:
    with open_room("full", data, max_file_size="64KB") as room:
        execution = room.run("open('big.bin', 'wb').write(bytes(65537))\nopen('small.bin', 'wb').write(bytes(65536))")
        assert execution.ok
        assert list(named(execution)) == ["small.bin"]
        (refused,) = execution.outcome.refused
        assert (refused.name, refused.reason) == ("big.bin", "too_large")
        assert "65,537" in (refused.hint or "")
        assert "65,536" in (refused.hint or "")


def test_more_files_than_a_run_may_keep_are_refused(room: Room) -> None:
    execution = room.run("for n in range(1010):\n    open(f'{n:04}.txt', 'w').write('x')")
    assert execution.ok
    assert len(execution.artifacts) == 1000
    assert {refused.reason for refused in execution.outcome.refused} == {"too_many_files"}


@at_each_level
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_words_is_kept_up_to_its_limit(room: Room, stream: str) -> None:
    execution = room.run(
        f"import sys\nfor _ in range(3000):\n    sys.{stream}.write('x' * 999 + '\\n')",
        limits=Limits(stdout_bytes=64 * KIB),
    )
    outcome = execution.outcome
    assert execution.ok
    assert len(getattr(outcome, stream)) == 64 * KIB
    assert (outcome.stdout_truncated, outcome.stderr_truncated) == (stream == "stdout", stream == "stderr")


# Processes


def test_too_many_threads_fail_with_the_number(room: Room) -> None:
    execution = room.run(
        "import threading\ngate = threading.Event()\n"
        "for _ in range(40):\n    threading.Thread(target=gate.wait, daemon=True).start()",
        limits=Limits(processes=8),
    )
    assert execution.status == "failed"
    assert "8 processes and threads" in hint(execution)


def test_as_many_threads_as_allowed_are_started(room: Room) -> None:
    execution = room.run(
        "import threading\ngate = threading.Event()\n"
        "for _ in range(20):\n    threading.Thread(target=gate.wait, daemon=True).start()\n"
        "print(threading.active_count())",
        limits=Limits(processes=24),
    )
    assert execution.stdout == "21\n", execution.error


def test_a_fork_bomb_ends_with_its_run(bare_room: Room) -> None:
    before = descendants()
    execution = bare_room.run("import os\nwhile True:\n    os.fork()", limits=Limits(processes=16, wall_seconds=3))
    assert not execution.ok
    assert nobody_left(before)
    assert bare_room.run("print(1)").ok


# What may be asked for


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wall_seconds", -1),
        ("wall_seconds", 0),
        ("wall_seconds", math.nan),
        ("wall_seconds", math.inf),
        ("wall_seconds", True),
        ("wall_seconds", "30"),
        ("memory_bytes", MIB),
        ("output_bytes", 0),
        ("file_bytes", -5),
        ("processes", 0),
        ("stdout_bytes", -1),
    ],
)
def test_a_limit_that_is_no_limit_is_named(room: Room, name: str, value: object) -> None:
    with pytest.raises(InvalidLimit, match=f"`{WORDS[name]}`"):
        room.run("print(1)", limits=replace(Limits(), **{name: value}))  # pyright: ignore[reportArgumentType]  # on purpose


@pytest.mark.parametrize(
    ("limits", "name", "most"),
    [
        (Limits(wall_seconds=61), "wall_seconds", "60 s"),
        (Limits(memory_bytes=1025 * MIB), "memory_bytes", "1024 MB"),
        (Limits(output_bytes=51 * MIB), "output_bytes", "50 MB"),
        (Limits(file_bytes=11 * MIB), "file_bytes", "10 MB"),
        (Limits(processes=65), "processes", "64"),
        (Limits(stdout_bytes=2 * MIB), "stdout_bytes", "1 MB"),
    ],
)
def test_no_caller_passes_the_maximum_of_the_deployment(room: Room, limits: Limits, name: str, most: str) -> None:
    with pytest.raises(LimitExceeded, match=f"`{WORDS[name]}`") as refused:
        room.run("print(1)", limits=limits)
    assert most in str(refused.value)
    assert most in (refused.value.hint or "")


def test_the_maximum_itself_may_be_asked_for(room: Room) -> None:
    most = Limits(wall_seconds=60, memory_bytes=1024 * MIB, output_bytes=50 * MIB, file_bytes=10 * MIB)
    assert room.run("print(1)", limits=most).ok


def test_the_configuration_decides_what_holds_without_a_wish(data: Path) -> None:
    with open_room("full", data, execution_timeout="500ms", memory_limit="64MB", output_size_limit="1KB") as room:
        assert "0.5 s" in hint(room.run("while True:\n    pass"))
        assert "64 MB" in hint(room.run("held = bytearray(200 * 2**20)"))
        assert "1,024 bytes" in hint(room.run("open('a.bin', 'wb').write(bytes(1025))"))


@pytest.mark.parametrize(
    "attempt",
    [
        "resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
        "resource.setrlimit(resource.RLIMIT_NPROC, (10_000, 10_000))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    ],
)
def test_a_program_cannot_raise_its_own_limits(room: Room, attempt: str) -> None:
    execution = room.run(f"import resource\n{attempt}", check=False)
    assert execution.status == "failed"
    lower = "resource.setrlimit(resource.RLIMIT_DATA, (10**8, 10**8))"
    assert room.run(f"import resource\n{lower}\nprint(1)", check=False).ok
