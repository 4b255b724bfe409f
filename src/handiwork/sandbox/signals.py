"""What signals do to a program that is the first process of its namespace.

Linux keeps from such a process whatever it does not handle, even what it sends itself. A program may rely on what a
signal does elsewhere: `os.abort()`, an alarm, `os.kill(os.getpid(), …)`. What was lost is put back here, as far as
Python sees it; the keeper, the supervisor and a real crash need nothing of it. Runs inside the warm interpreter, so it
imports the standard library only.
"""

import contextlib
import functools
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

# Those that come from elsewhere too: a timer, a limit, a process that was forked.
_HANDLED = (
    signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU,
    signal.SIGVTALRM, signal.SIGPROF, signal.SIGPOLL,
)  # fmt: skip
_HARMLESS = (
    signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH,
    signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip
_ENDING = frozenset(map(int, signal.valid_signals())).difference(_HARMLESS)
# A handler for a crash would be called for ever, and one for SIGKILL never.
_TO_HANDLE = _ENDING - {
    signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
    signal.SIGSYS,
}  # fmt: skip

_Leave = Callable[[int], Any]
_leave: "list[_Leave]" = []
_masks: "dict[int, set[int]]" = {}
_signal, _getsignal = signal.signal, signal.getsignal


def install() -> None:
    """Let a process that sends itself a signal which ends it end by it."""
    os.kill = _sending(os.kill)
    os.killpg = _sending_to_a_group(os.killpg)
    os.abort = _aborting(os.abort)
    signal.raise_signal = _raising(signal.raise_signal)
    signal.signal = _setting(signal.signal)
    signal.getsignal = _getting(signal.getsignal)


def mind(leave: _Leave) -> None:
    """Call `leave` with the number of a signal that ends this process, which must be the first of its namespace."""
    _leave[:] = [leave]
    for number in _HANDLED:
        _signal(number, _end)
    # Python forgets what a forked process is sent before it has seen to itself, so that waits in the kernel.
    os.register_at_fork(before=_hold_back, after_in_parent=_let_in, after_in_child=_as_usual)


def _end(number: int, _frame: object) -> None:
    _become_usual()
    if _leave:
        _leave[0](number)
    else:
        os.kill(os.getpid(), number)


def _hold_back() -> None:
    _masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, _TO_HANDLE)


def _let_in() -> None:
    if (mask := _masks.pop(threading.get_ident(), None)) is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _as_usual() -> None:
    _become_usual()
    _let_in()


def _become_usual() -> None:
    """A process that was forked is not the first one, and signals end it."""
    if os.getpid() != 1:
        _leave.clear()
        for number in _TO_HANDLE:
            if _getsignal(number) is _end:
                _signal(number, signal.SIG_DFL)
        if _getsignal(signal.SIGABRT) is signal.SIG_DFL:  # as Python knows it
            _signal(signal.SIGABRT, signal.SIG_DFL)


def _ends_this(number: int) -> bool:
    with contextlib.suppress(ValueError, TypeError):
        return (
            bool(_leave)
            and number in _ENDING
            and _getsignal(number) in (signal.SIG_DFL, _end)
            and number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        )
    return False


def _sending(kill: Any) -> Any:
    @functools.wraps(kill)
    def sent(pid: int, signal: int, /) -> None:
        kill(pid, signal)
        if pid in (0, 1) and _ends_this(signal):
            _end(signal, None)

    return sent


def _sending_to_a_group(killpg: Any) -> Any:
    @functools.wraps(killpg)
    def sent(pgid: int, signal: int, /) -> None:
        if pgid == 0 or pgid == 1 == os.getpgrp():  # its own; the number 1 with a minus means everybody else
            os.kill(0, signal)
        else:
            killpg(pgid, signal)

    return sent


def _raising(raise_signal: Any) -> Any:
    @functools.wraps(raise_signal)
    def raised(signalnum: int, /) -> None:
        raise_signal(signalnum)
        if _ends_this(signalnum):
            _end(signalnum, None)

    return raised


def _setting(set_handler: Any) -> Any:
    @functools.wraps(set_handler)
    def handled(signalnum: int, handler: Any) -> Any:
        is_to_end = bool(_leave) and isinstance(handler, int) and handler == signal.SIG_DFL
        before = set_handler(signalnum, _end if is_to_end and signalnum in _TO_HANDLE else handler)
        return signal.SIG_DFL if before is _end else before

    return handled


def _getting(get_handler: Any) -> Any:
    @functools.wraps(get_handler)
    def handler(signalnum: int) -> Any:
        found = get_handler(signalnum)
        return signal.SIG_DFL if found is _end else found

    return handler


def _aborting(abort: Any) -> Any:
    @functools.wraps(abort)
    def aborted() -> None:
        if _leave:
            _end(signal.SIGABRT, None)
        abort()

    return aborted
