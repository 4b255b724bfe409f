"""What a run of an Autopilot has come to. How it came to that is in the events of the run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from handiwork.autopilot.goal import Bound

Status = Literal["completed", "budget_exhausted", "no_progress", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One criterion, and whether the last output meets it."""

    criterion: str
    is_met: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"criterion": self.criterion, "is_met": self.is_met, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a run has used."""

    seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    requests: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def to_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "tool_calls": self.tool_calls,
            "requests": self.requests,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopilotResult:
    """What came of a run; `output` is the last text that was put out, also of a run that did not reach its goal."""

    run_id: str
    status: Status
    stop_reason: str
    """Why it ended, in words."""
    output: str = ""
    iterations: int = 0
    """How many were done to their end."""
    criteria: Sequence[Judged] = ()
    exhausted: Bound | None = None
    """Which part of the budget is used up, if that is why it ended."""
    error: str | None = None
    """What failed, if something did."""
    usage: Used = field(default_factory=Used)
    artifacts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What was collected, each as `Artifact.to_dict` gives it."""

    @property
    def ok(self) -> bool:
        return self.status == "completed"

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary of JSON, whose keys are always in this order."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            "stop_reason": self.stop_reason,
            "output": self.output,
            "iterations": self.iterations,
            "criteria": [each.to_dict() for each in self.criteria],
            "exhausted": self.exhausted,
            "error": self.error,
            "usage": self.usage.to_dict(),
            "artifacts": self.artifacts,
        }
