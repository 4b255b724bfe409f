"""A run as a person reads it: what the program said, how it failed, what it made. What happened is the model's."""

from collections.abc import Mapping

from rich.console import Console

from handiwork.cli.printing import format_word, one_line, print_table, print_text, results, say, size
from handiwork.model import Execution, Outcome, ProgramError, Status

_WORDS: Mapping[Status, str] = {
    "timed_out": "timed out",
    "out_of_memory": "out of memory",
    "output_too_large": "output too large",
}
_MOST_REFUSED = 10


def print_execution(execution: Execution, paths: Mapping[str, str], *, has_handles: bool) -> None:
    """Print the whole of it; `paths` are the places of the files by artifact id."""
    outcome, console = execution.outcome, results()
    print_text(outcome.stdout)
    # The interpreter writes the traceback there too, and once is enough.
    traceback = outcome.error.traceback if outcome.error is not None else ""
    print_text(outcome.stderr.rstrip().removesuffix(traceback.rstrip()), is_error=True)
    _print_cuts(console, outcome)
    if outcome.error is not None:
        _print_error(console, outcome.error)
    if outcome.violations:
        rows = [(f"{v.line}:{v.column + 1}", v.rule, v.message) for v in outcome.violations]
        print_table(console, "The check refuses this program", ("where", "rule", "why"), rows)
    if outcome.refused:
        rows = [(one_line(r.name), r.reason, r.hint or "") for r in outcome.refused[:_MOST_REFUSED]]
        if len(outcome.refused) > _MOST_REFUSED:
            rows.append((f"… and {len(outcome.refused) - _MOST_REFUSED} more", "", "`--json` lists them"))
        print_table(console, "Not kept", ("file", "reason", "hint"), rows)
    if execution.artifacts:
        columns = ("name", "type", "size", "where", *(("handle",) if has_handles else ()))
        rows = [
            (one_line(a.name), format_word(a), size(a.size), paths.get(a.id, ""), *((a.handle,) if has_handles else ()))
            for a in execution.artifacts
        ]
        print_table(console, "Made", columns, rows, right=("size",))
    if outcome.violations or outcome.refused or execution.artifacts:
        console.print()
    _print_status(console, outcome)


def _print_cuts(console: Console, outcome: Outcome) -> None:
    for name, is_cut in (("output", outcome.stdout_truncated), ("error output", outcome.stderr_truncated)):
        if is_cut:
            say(console, (f"(The {name} of the program was longer; the rest was dropped.)", "dim"))


def _print_error(console: Console, error: ProgramError) -> None:
    say(console, ("failed" if error.line is None else f"failed on line {error.line}", "bold red"))
    said = f"{error.type}: {error.message}" if error.message else error.type
    print_text(error.traceback or said)
    if error.hint:
        say(console, ("hint: ", "bold"), error.hint)


def _print_status(console: Console, outcome: Outcome) -> None:
    style = "bold green" if outcome.status == "succeeded" else "bold red"
    told = [f"{outcome.duration_ms / 1000:.2f} s", f"{size(outcome.peak_memory_bytes)} of memory"]
    if outcome.exit_code not in (None, 0):
        told.append(f"exit code {outcome.exit_code}")
    if outcome.signal:
        told.append(one_line(outcome.signal))
    if (walls := outcome.isolation) is not None:
        told.append(f"isolation {walls.level}, memory by {walls.memory_by}")
    say(console, (_WORDS.get(outcome.status, outcome.status), style), " · " + " · ".join(told))
