"""Durations, sizes and counts as people write and read them: `30s`, `7d`, `512MB`. An MB is 1024 squared bytes here."""

import math
import re

from handiwork.errors import InvalidLimit

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"b": 1, "kb": 1024, "kib": 1024, "mb": 1024**2, "mib": 1024**2, "gb": 1024**3, "gib": 1024**3}
_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def seconds(value: str | float, *, name: str = "duration") -> float:
    """Parse `30`, `30s`, `5m`, `1h` or `7d`. Raises `InvalidLimit`."""
    return _parsed(value, _SECONDS, "s", name=name, expected="a duration such as `30s`, `5m`, `1h` or `7d`")


def size(value: str | float, *, name: str = "size") -> int:
    """Parse `1048576`, `512MB` or `2GB` into bytes. Raises `InvalidLimit`."""
    return int(_parsed(value, _BYTES, "b", name=name, expected="a size such as `1048576`, `512MB` or `2GB`"))


def counted(count: int, unit: str) -> str:
    """Return a number of something as people read it: `1 byte`, `2,000 bytes`."""
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def size_text(count: int) -> str:
    """Return a number of bytes as people read it."""
    number, unit = float(count), 0
    while round(number, 1) >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return counted(count, "byte") if unit == 0 else f"{number:,.1f} {_UNITS[unit]}"


def _parsed(
    value: str | float, units: dict[str, float] | dict[str, int], plain: str, *, name: str, expected: str
) -> float:
    matched = _QUANTITY.fullmatch(str(value)) if not isinstance(value, bool) else None
    factor = units.get((matched[2] or plain).lower()) if matched else None
    if matched is None or factor is None or not math.isfinite(number := float(matched[1]) * factor):
        raise InvalidLimit(name, value, expected=expected)
    return number
