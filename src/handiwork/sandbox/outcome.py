"""Judging a run: what the keeper and the kernel measured becomes a status; the child's words only describe it.

Pure; the measuring is done in `local`.
"""

import errno
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from handiwork.errors import SandboxBroken
from handiwork.model import Limits, ProgramError, Status, Violation
from handiwork.quantities import counted
from handiwork.sandbox import hints
from handiwork.sandbox.child import Verdict
from handiwork.sandbox.harvest import Harvest

Stop = Literal["timed_out", "out_of_memory", "output_too_large", "killed", "cancelled"]
_MOST_VIOLATIONS = 200
_LONGEST = 20_000
# How a child leaves that found violations, one that broke itself, and one that was signalled; see `program`, `zygote`.
_REFUSED, _NEVER_BEGAN, _SIGNALLED = 65, 70, 128
_MEMORY_ERRORS = ("MemoryError", "_ArrayMemoryError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    status: Status
    exit_code: int | None
    signal: str | None
    error: ProgramError | None
    violations: tuple[Violation, ...]


def judge(
    verdict: Verdict | None, *, stop: Stop | None, was_oom_killed: bool, surroundings: hints.Surroundings
) -> Judgement:
    """Return what came of a run. `stop` says why the supervisor ended it, if it did.

    Raises:
        SandboxBroken: the child failed before the program began, and not because of the program, or its keeper died.
    """
    if verdict is None and stop is None and not was_oom_killed:
        raise SandboxBroken("the process that kept the program was ended from outside, and the program with it")
    exit_code = name = None
    words: Mapping[str, Any] = {}
    if verdict is not None:
        words = _words(verdict.words)
        exit_code, name = _ending(verdict, words)
        if exit_code == _NEVER_BEGAN and not verdict.began and stop is None:
            raise SandboxBroken("a child left before the program began")
    failure = _failure(words) if exit_code != 0 else None
    is_refused = verdict is not None and not verdict.began and exit_code == _REFUSED
    violations = _violations(words) if is_refused else ()
    rejected = bool(violations)
    status = _status(exit_code, name, stop=stop, rejected=rejected, out_of_memory=was_oom_killed or _is_memory(failure))
    if stop is not None and exit_code is None and name is None:
        name = "SIGKILL"
    return Judgement(
        status=status,
        exit_code=None if rejected else exit_code,
        signal=name,
        error=_TOO_MANY if stop == "killed" else _error(status, failure, words, name or exit_code, surroundings),
        violations=violations,
    )


def _ending(verdict: Verdict, words: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return exit code or signal. The first process of a namespace leaves at signals that would end another."""
    code = os.waitstatus_to_exitcode(verdict.wait_status)
    told = _number(words.get("signal"))
    if told is not None and told in signal.valid_signals() and code == _SIGNALLED + told:
        code = -told
    elif code == signal.SIGABRT and verdict.began and not verdict.words:
        code = -code  # a C library gave up, and Python had no last word
    if code >= 0:
        return code, None
    try:
        return None, signal.Signals(-code).name
    except ValueError:
        return None, f"signal {-code}"


def _status(
    exit_code: int | None, name: str | None, *, stop: Stop | None, rejected: bool, out_of_memory: bool
) -> Status:
    if stop is not None:
        return stop
    if rejected:
        return "rejected"
    if exit_code == 0:
        return "succeeded"
    if out_of_memory:
        return "out_of_memory"
    if name == "SIGXCPU":
        return "timed_out"
    return "killed" if exit_code is None else "failed"


def _words(text: str) -> Mapping[str, Any]:
    """Parse what the child wrote; the job may have overwritten it with anything."""
    if not text:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}


def _failure(words: Mapping[str, Any]) -> hints.Failure | None:
    error = words.get("error")
    if not isinstance(error, dict):
        return None
    facts = cast("dict[str, Any]", error)
    return hints.Failure(
        type=_text(facts.get("type")) or "Exception",
        message=_text(facts.get("message")) or "",
        traceback=_text(facts.get("traceback")) or "",
        missing_module=_text(facts.get("missing")),
        path=_text(facts.get("path")),
        errno=_number(facts.get("errno")),
    )


def _is_memory(failure: hints.Failure | None) -> bool:
    if failure is None:
        return False
    # By its last part, because NumPy and others raise a MemoryError of their own.
    return failure.type.rpartition(".")[2] in _MEMORY_ERRORS or failure.errno == errno.ENOMEM


def _error(
    status: Status,
    failure: hints.Failure | None,
    words: Mapping[str, Any],
    ending: str | int | None,
    surroundings: hints.Surroundings,
) -> ProgramError | None:
    if status in ("succeeded", "rejected", "cancelled"):
        return None
    hint = hints.for_status(status, surroundings.limits)
    if failure is not None:
        error = cast("dict[str, Any]", words["error"])
        return ProgramError(
            type=failure.type,
            message=failure.message,
            line=_number(error.get("line")),
            traceback=failure.traceback,
            hint=hint or hints.for_failure(failure, surroundings),
        )
    if status in _NAMES:
        return ProgramError(type=_NAMES[status][0], message=_NAMES[status][1], hint=hint)
    if isinstance(ending, str):
        message = f"The program was ended by {ending}."
        return ProgramError(type=ending, message=message, hint=_SIGNAL_HINTS.get(ending))
    if ending is not None:
        return ProgramError(type="SystemExit", message=f"The program ended itself with exit code {ending}.")
    return ProgramError(type="Killed", message="The program was ended from outside.")


_NAMES = {
    "timed_out": ("TimeoutError", "The program did not end in time and was stopped."),
    "out_of_memory": ("MemoryError", "The program needed more memory than it may have and was stopped."),
    "output_too_large": ("OutputTooLarge", "The files of the run are too large together; none was kept."),
}
_TOO_MANY = ProgramError(
    type="TooManyThreads", message="The program had more threads than it may have and was stopped.", hint="Use fewer."
)
_SIGNAL_HINTS = {
    "SIGSEGV": "The interpreter crashed, often by very deep recursion or by a library given unusual input.",
    "SIGABRT": "A library gave up; its last words are in `stderr`.",
}


def too_large(judged: Judgement, limits: Limits, gathered: Harvest) -> Judgement:
    """Return the judgement of a run whose files are over the limit."""
    kind, message = _NAMES["output_too_large"]
    advice = (hints.for_status("output_too_large", limits), hints.for_pages() if gathered.has_pages else None)
    error = ProgramError(
        type=kind,
        message=f"{message} They have {counted(gathered.total_bytes, 'byte')}.",
        hint=" ".join(filter(None, advice)),
    )
    return Judgement(
        status="output_too_large", exit_code=judged.exit_code, signal=judged.signal, error=error, violations=()
    )


def _violations(words: Mapping[str, Any]) -> tuple[Violation, ...]:
    listed = words.get("violations")
    entries = cast("list[Any]", listed)[:_MOST_VIOLATIONS] if isinstance(listed, list) else []
    return tuple(
        Violation(
            line=_number(entry.get("line")) or 1,
            column=_number(entry.get("column")) or 0,
            rule=_text(entry.get("rule")) or "",
            message=_text(entry.get("message")) or "",
        )
        for entry in (cast("dict[str, Any]", e) for e in entries if isinstance(e, dict))
    )


def _text(value: object) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else None
