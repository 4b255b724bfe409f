"""Which limits a run gets: the deployment's defaults, what the caller asks for, never more than the maximum.

They are applied in the sandbox.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from handiwork.errors import InvalidLimit, LimitExceeded
from handiwork.model import KIB, MIB, Limits, Status

_LEAST = Limits(
    wall_seconds=0.1, memory_bytes=16 * KIB * KIB, output_bytes=1, file_bytes=1, processes=1, stdout_bytes=0
)
# As the commands and HTTP call them; in Python the field's own name says the unit.
WORDS = {
    "wall_seconds": "timeout",
    "memory_bytes": "memory",
    "output_bytes": "output",
    "file_bytes": "file size",
    "processes": "processes",
    "stdout_bytes": "stdout",
}
_RUN_OUT: Mapping[Status, str] = {
    "timed_out": "wall_seconds",
    "out_of_memory": "memory_bytes",
    "output_too_large": "output_bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPolicy:
    """`default` holds when the caller asks for nothing, `maximum` always."""

    default: Limits = field(default_factory=Limits)
    maximum: Limits = field(default_factory=Limits)

    def admit(self, asked: Limits | None) -> Limits:
        """Return the limits of a run.

        Raises:
            InvalidLimit: a limit is not a number of its kind, or too small for anything to run.
            LimitExceeded: a limit is over the deployment's maximum.
        """
        if asked is None:
            return self.default
        if not isinstance(asked, Limits):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise TypeError(f"limits is a `Limits`, not {type(asked).__name__}")
        for each in fields(Limits):
            value, most, least = (getattr(limits, each.name) for limits in (asked, self.maximum, _LEAST))
            has_parts = isinstance(least, float)
            kinds = (int, float) if has_parts else int
            is_number = isinstance(value, kinds) and not isinstance(value, bool)
            is_number = is_number and not (isinstance(value, float) and not math.isfinite(value))
            if not is_number or value < least:
                number = "number" if has_parts else "whole number"
                raise InvalidLimit(WORDS[each.name], value, expected=f"a {number}, at least {_shown(each.name, least)}")
            if value > most:
                raise LimitExceeded(WORDS[each.name], asked=_shown(each.name, value), maximum=_shown(each.name, most))
        return asked

    def room(self, limits: Limits, status: Status) -> str | None:
        """Say how much a run may be given of what it has run out of; None where that is not the matter."""
        name = _RUN_OUT.get(status)
        if name is None:
            return None
        most = getattr(self.maximum, name)
        if getattr(limits, name) >= most:
            return "That is the most that this deployment allows."
        return f"Whoever starts it may allow up to {_shown(name, most)} by `{WORDS[name]}`."


def _shown(field_name: str, value: float) -> str:
    if field_name.endswith("_seconds"):
        return f"{value:g} s"
    return f"{value / MIB:g} MB" if field_name.endswith("_bytes") else f"{value:,}"
