"""What time it is. Whoever needs to know takes a `Clock` as argument; how times are stored is the store's affair."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)
