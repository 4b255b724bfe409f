"""When something that was handed out ends. What it is, a key, a token or a link, does not matter here.

What ends at a moment has ended at that moment. Moments travel as whole milliseconds, rounded towards the past.
"""

import math
from datetime import UTC, datetime, timedelta

from handiwork.errors import InvalidLimit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EXPECTED = "a positive number of seconds that ends within the calendar"


def moment_after(now: datetime, lapse_seconds: float) -> datetime:
    """Return the moment that much later. Raises: `InvalidLimit`."""
    if not (math.isfinite(lapse_seconds) and lapse_seconds > 0):
        raise InvalidLimit("expiresIn", lapse_seconds, expected=_EXPECTED)
    try:
        return now + timedelta(seconds=lapse_seconds)
    except OverflowError as error:
        raise InvalidLimit("expiresIn", lapse_seconds, expected=_EXPECTED) from error


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def moment_of(milliseconds: int) -> datetime:
    """Raises: `OverflowError` beyond the calendar."""
    return _EPOCH + milliseconds * _MILLISECOND
