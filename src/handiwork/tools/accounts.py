"""A run in one paragraph for a model: what came of it, the references, and for a mistake what to change.

Names and messages come from programs, so they are cut and kept on one line. No address is told: a model could be
made to pass it on.
"""

import re
from collections.abc import Mapping

from handiwork.model import Artifact, Execution, Outcome, ProgramError, Refused, Status
from handiwork.quantities import counted
from handiwork.references import cleaned, escaped

MOST_NAMED = 20
# Whatever a name or a message says, references are those that are told as such.
_TAG = re.compile(r"<(?=artifact(?:[\s/>]|\Z))", re.IGNORECASE)
LONGEST_NAME = 120
LONGEST_MESSAGE = 300

_ENDS: Mapping[Status, str] = {
    "queued": "The program waits for its turn.",
    "running": "The program is running.",
    "timed_out": "The program was stopped: it took longer than its time limit.",
    "out_of_memory": "The program was stopped: it used more memory than its limit.",
    "output_too_large": "The program was stopped: its files are over the limit.",
    "killed": "The program was killed.",
    "cancelled": "The run was cancelled.",
    "lost": "The run is lost: the server could not finish it.",
}


def account_of(execution: Execution) -> str:
    """Return the paragraph."""
    outcome = execution.outcome
    sentences = [*_ways(outcome), _made(execution.artifacts), *_lacks(execution)]
    if outcome.status == "succeeded" and outcome.stdout.strip():
        sentences.append(f"It printed {counted(len(outcome.stdout), 'character')}, to be found in `stdout`.")
    return " ".join(each for each in sentences if each)


def ending_of(execution: Execution) -> str:
    """Return how it ended and what it lacks, without what it made and printed."""
    return " ".join(each for each in (*_ways(execution.outcome), *_lacks(execution)) if each)


def _ways(outcome: Outcome) -> list[str]:
    sentences = [_end(outcome)]
    if outcome.error is not None and outcome.status != "failed":
        sentences.append(sentence(outcome.error.message))
    if outcome.error is not None and outcome.error.hint:
        sentences.append(f"Hint: {sentence(outcome.error.hint)}")
    return sentences


def _lacks(execution: Execution) -> list[str]:
    lacks: list[str] = []
    if execution.ok and not execution.artifacts:
        lacks.append("It made no files; write what shall be kept into the current folder.")
    if execution.outcome.refused:
        lacks.append(_not_kept(execution.outcome.refused))
    return lacks


def _end(outcome: Outcome) -> str:
    match outcome.status:
        case "succeeded":
            return f"The program succeeded in {outcome.duration_ms / 1000:.2f} s."
        case "failed":
            return f"The program failed{_where(outcome.error, outcome.exit_code)}."
        case "rejected" if outcome.violations:
            first = outcome.violations[0]
            more = len(outcome.violations) - 1
            rest = f" ({more} more in `violations`)" if more else ""
            return f"The check refused the program at line {first.line}: {sentence(first.message)[:-1]}{rest}."
        case "rejected":
            return "The check refused the program."
        case _:
            return _ENDS[outcome.status]


def _where(error: ProgramError | None, exit_code: int | None) -> str:
    if error is None:
        return f" with exit code {exit_code}" if exit_code is not None else ""
    place = f" on line {error.line}" if error.line is not None else ""
    said = f"{error.type}: {error.message}" if error.message else error.type
    return f"{place} with {line(said, longest=LONGEST_MESSAGE).rstrip('.')}"


def _made(artifacts: tuple[Artifact, ...]) -> str:
    if not artifacts:
        return ""
    files = [
        f"`{named(each.name)}` ({each.media_type}, {counted(each.size, 'byte')}, {each.handle})"
        for each in artifacts[:MOST_NAMED]
    ]
    return f"It made {counted(len(artifacts), 'file')}: {_listed(files, len(artifacts))}."


def _not_kept(refused: tuple[Refused, ...]) -> str:
    files = [f"`{named(each.name)}` ({each.reason})" for each in refused[:MOST_NAMED]]
    return f"Not kept: {_listed(files, len(refused))}."


def _listed(named: list[str], count: int) -> str:
    return ", ".join(named) + (f" and {count - len(named)} more" if count > len(named) else "")


def sentence(text: str) -> str:
    """Return the text as one sentence on one line."""
    said = line(text, longest=LONGEST_MESSAGE)
    return said if not said or said.endswith((".", "!", "?", "…")) else f"{said}."


def named(name: str, *, longest: int = LONGEST_NAME) -> str:
    """Return the name of a file so that a program finds it by that, and nobody a reference in it."""
    return escaped(name, longest=longest) if "<" in name else cleaned(name, longest=longest)


def line(text: str, *, longest: int) -> str:
    """Return a text on one line, without what hides, reorders or refers."""
    return _TAG.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", cleaned(text, longest=longest))
