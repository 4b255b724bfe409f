"""A tool of the sample agent's own: it looks up the daily weather, and answers at more length than a context has room.

What becomes of a long answer is the session's concern.
"""

import csv
from pathlib import Path
from typing import Literal

from handiwork.tools.marks import tool

_DATA = Path(__file__).parent / "data" / "weather.csv"


@tool(cache_ref=True, category="crm_records")
def daily_weather(city: Literal["Seattle", "New York"]) -> list[dict[str, str]]:
    """Look up the daily records of a city: date, precipitation in mm, highest and lowest temperature in °C, weather."""
    with _DATA.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["location"] == city]
