"""Signals mean to a program what they mean anywhere, although at `full` it is the first process of its namespace."""

import subprocess
import sys

import pytest
from rooms import Room, at_each_level

pytestmark = pytest.mark.linux


@at_each_level
@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("signal.raise_signal(signal.SIGUSR1)", "SIGUSR1"),
        ("signal.setitimer(signal.ITIMER_REAL, 0.01)\nwhile True: pass", "SIGALRM"),
        ("signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)\nwhile True: pass", "SIGVTALRM"),
        ("signal.signal(signal.SIGTERM, signal.SIG_DFL)\nos.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
        ("signal.signal(14, signal.SIG_DFL)\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nwhile True: pass", "SIGALRM"),
        ("signal.signal(signal.SIGINT, signal.SIG_DFL)\nsignal.raise_signal(signal.SIGINT)", "SIGINT"),
        ("os.kill(os.getpid(), 40)", "signal 40"),
        ("import faulthandler; faulthandler.enable()\nimport ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
        ("import ctypes\nctypes.CDLL(None).abort()", "SIGABRT"),
    ],
)
def test_a_signal_that_is_not_handled_ends_the_program(room: Room, code: str, name: str) -> None:
    execution = room.run(f"import os, signal\nprint('before')\n{code}\nprint('behind')", check=False)
    assert (execution.status, execution.outcome.exit_code, execution.outcome.signal) == ("killed", None, name)
    assert execution.stdout == "before\n"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("os.kill(0, signal.SIGTERM)", "SIGTERM"),
        ("os.killpg(0, signal.SIGTERM)", "SIGTERM"),
        ("os.killpg(os.getpgrp(), signal.SIGKILL)", "SIGKILL"),
        ("os.killpg(0, signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_a_signal_to_its_own_group_ends_the_program(room: Room, code: str, name: str) -> None:
    execution = room.run(f"import os, signal\nprint('before')\n{code}\nprint('behind')", check=False)
    assert (execution.status, execution.outcome.exit_code, execution.outcome.signal) == ("killed", None, name)
    assert execution.stdout == "before\n"


@at_each_level
def test_what_the_program_handles_or_ignores_is_its_own(room: Room) -> None:
    execution = room.run("""
        import os, signal
        seen = []
        signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGCONT, 0):
            os.kill(os.getpid(), number)
        signal.raise_signal(signal.SIGTERM)
        print(seen == [15, 15])
    """)
    assert execution.stdout == "True\n", execution.outcome


SHOWN = """
import asyncio, os, signal, threading
print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGSEGV))
print(signal.signal(signal.SIGTERM, lambda *_: None), signal.signal(signal.SIGTERM, signal.SIG_DFL) is not None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2, 40])
signal.signal(signal.SIGUSR2, signal.SIG_DFL)
for number in (signal.SIGUSR1, signal.SIGUSR2, 40):
    os.kill(os.getpid(), number)
    print(int(signal.sigwait([number])))
async def main():
    came = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, came.set)
    os.kill(os.getpid(), signal.SIGTERM)
    await came.wait()
    print(asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM), signal.getsignal(signal.SIGTERM))
asyncio.run(main())
seen = []
signal.signal(signal.SIGHUP, lambda number, frame: seen.append(number))
signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
print(seen)
for arguments in ((1.5, 9), (os.getpid(), "9"), (os.getpid(), 1000), (2**70, 0), (0,)):
    try: print(os.kill(*arguments))
    except Exception as refused: print(type(refused).__name__)
for call in (
    lambda: os.kill(pid=1, signal=0), lambda: os.killpg("1", 9), lambda: signal.raise_signal("9"),
    lambda: signal.signal(1000, 0), lambda: signal.signal(9, 0), lambda: signal.signal(15, "no"),
    lambda: signal.getsignal(1000),
):
    try: print(call())
    except Exception as refused: print(type(refused).__name__)
"""


def test_a_program_sees_of_signals_what_it_would_see_elsewhere(room: Room) -> None:
    elsewhere = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, timeout=20, check=True)

    execution = room.run(SHOWN, check=False)

    assert execution.stdout == elsewhere.stdout, execution.outcome
    assert elsewhere.stdout.startswith("0 0 0\n0 True\n10\n12\n40\nTrue 0\n[1]\nTypeError\n"), (
        "control: it is said what is to be seen"
    )


def test_no_signal_is_lost_that_comes_while_a_process_is_forked(room: Room) -> None:
    execution = room.run("""
        import os, signal
        for _ in range(40):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(99)
            os.kill(pid, signal.SIGTERM)
            if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGTERM: print("lived on")
        print("done", signal.pthread_sigmask(signal.SIG_BLOCK, []))
    """)
    assert execution.stdout == "done set()\n", execution.outcome


def test_a_process_that_was_forked_is_ended_like_any_other(room: Room) -> None:
    execution = room.run("""
        import multiprocessing, os, signal, time
        for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
            pid = os.fork()
            if pid == 0:
                os.kill(os.getpid(), number)
                os._exit(99)
            print(-os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == number)
        sleeper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        sleeper.start()
        sleeper.terminate()
        sleeper.join()
        print(sleeper.exitcode)
    """)
    assert execution.stdout == "True\n" * 5 + "-15\n", execution.outcome


def test_a_process_that_was_forked_can_end_the_program(room: Room) -> None:
    execution = room.run("""
        import os, signal, time
        if os.fork() == 0:
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        time.sleep(20)
    """)
    assert (execution.status, execution.outcome.signal) == ("killed", "SIGTERM")


def test_an_exit_code_alone_is_no_signal(room: Room) -> None:
    execution = room.run("raise SystemExit(143)")
    assert (execution.status, execution.outcome.exit_code, execution.outcome.signal) == ("failed", 143, None)


def test_many_processes_that_were_left_by_their_parents_are_no_hindrance(room: Room) -> None:
    execution = room.run("""
        import os
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                if os.fork() == 0:
                    os._exit(0)
                os._exit(0)
            os.waitpid(pid, 0)
        print("done")
    """)
    assert (execution.status, execution.stdout) == ("succeeded", "done\n"), execution.outcome
