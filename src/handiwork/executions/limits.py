"""Which limits a run gets: the deployment's defaults, what the caller asks for, never more than the maximum.

They are applied in the sandbox.
"""

import math
from dataclasses import dataclass, field, fields

from handiwork.errors import InvalidLimit, LimitExceeded
from handiwork.model import KIB, Limits

_LEAST = Limits(
    wall_seconds=0.1, memory_bytes=16 * KIB * KIB, output_bytes=1, file_bytes=1, processes=1, stdout_bytes=0
)


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
        for each in fields(Limits):
            value, most, least = (getattr(limits, each.name) for limits in (asked, self.maximum, _LEAST))
            has_parts = isinstance(least, float)
            kinds = (int, float) if has_parts else int
            is_number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number or value < least:
                number = "number" if has_parts else "whole number"
                raise InvalidLimit(each.name, value, expected=f"a {number} of at least {least:,}")
            if value > most:
                raise LimitExceeded(each.name, asked=f"{value:,}", maximum=f"{most:,}")
        return asked
