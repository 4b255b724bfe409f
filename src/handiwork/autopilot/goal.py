"""What an Autopilot shall reach, and what it may use for it. Whether it was reached is judged in `judging`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from handiwork.errors import InvalidLimit, InvalidName

Bound = Literal["iterations", "seconds", "tokens", "tool_calls"]
MOST_CRITERIA = 50
LONGEST_SECONDS = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Goal:
    """An objective in words, and what must be true when it is reached; without criteria one iteration is enough."""

    objective: str
    success_criteria: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raises `InvalidName` for an objective or a criterion without words, and for more than 50 criteria."""
        if isinstance(self.success_criteria, str):
            raise InvalidName("success criteria", self.success_criteria[:60], expected="a list of texts")
        for what, text in (("objective", self.objective), *(("criterion", each) for each in self.success_criteria)):
            if not isinstance(text, str) or not text.strip():  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
                raise InvalidName(what, str(text)[:60], expected="text that says what shall be reached")
        if len(self.success_criteria) > MOST_CRITERIA:
            raise InvalidLimit("success_criteria", len(self.success_criteria), expected=f"at most {MOST_CRITERIA}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPolicy:
    """What a run may use at most; None is no bound. What a judge uses counts too."""

    max_iterations: int | None = 10
    max_seconds: float | None = 600.0
    max_tokens: int | None = 500_000
    max_tool_calls: int | None = 100

    def __post_init__(self) -> None:
        """Raises `InvalidLimit` for a bound that is none, and where neither iterations nor time are bounded."""
        for name, least in (("max_iterations", 1), ("max_tokens", 1), ("max_tool_calls", 0)):
            value: object = getattr(self, name)
            is_number = isinstance(value, int) and not isinstance(value, bool) and value >= least
            if value is not None and not is_number:
                raise InvalidLimit(name, str(value)[:60], expected=f"a whole number from {least} on, or None")
        seconds: object = self.max_seconds
        is_time = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds <= LONGEST_SECONDS
        if seconds is not None and not is_time:
            raise InvalidLimit("max_seconds", str(seconds)[:60], expected="a number of seconds over 0, or None")
        if self.max_iterations is None and self.max_seconds is None:
            raise InvalidLimit("max_iterations", "None", expected="a bound of iterations or of seconds")
