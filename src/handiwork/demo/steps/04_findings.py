"""Write the findings as a Markdown document with a table."""

from pathlib import Path

import pandas as pd

CITIES = ["Seattle", "New York"]
MONTHS = [f"{first:%B}" for first in pd.date_range("2015-01-01", periods=12, freq="MS")]

summary = pd.read_csv("inputs/season-summary.csv").set_index(["month", "city"]).unstack("city")
days, rain, high = (summary[name][CITIES] for name in ("good_days", "precipitation_mm", "mean_high_c"))


def row(month):
    """One line of the table; the better city of the month is in bold."""
    better = days.loc[month].idxmax()
    counts = [f"**{days.at[month, city]:.1f}**" if city == better else f"{days.at[month, city]:.1f}" for city in CITIES]
    amounts = [f"{rain.at[month, city]:.0f} mm" for city in CITIES]
    return f"| {MONTHS[month - 1]} | {' | '.join(counts + amounts)} |"


table = "\n".join(row(month) for month in days.index)
total = days.sum()
year = " | ".join([f"{total[city]:.0f}" for city in CITIES] + [f"{rain[city].sum():,.0f} mm" for city in CITIES])
best = {city: f"{MONTHS[days[city].idxmax() - 1]} ({days[city].max():.1f} days)" for city in CITIES}
# A month counts as in season from 60 percent of its days on, the share of a good working week.
season = {city: [MONTHS[month - 1] for month in days.index[summary["good_share", city] >= 0.6]] for city in CITIES}

document = f"""# When to work outdoors

*Seattle and New York, daily weather of 2012 to 2015.* Contents: [Findings](#findings), [Months](#months),
[Plan](#plan), [Limits](#limits).

> A **good day** has less than 1 mm of rain or snow and a high of 10 to 30 °C.

## Findings

1. **The year is about equal.** Seattle has {total["Seattle"]:.0f} good days a year, New York {total["New York"]:.0f}.
2. **The seasons differ.** The best month is {best["Seattle"]} in Seattle and {best["New York"]} in New York.
3. **Rain has a season in Seattle only.** July brings {rain.at[7, "Seattle"]:.0f} mm there, November
   {rain.at[11, "Seattle"]:.0f} mm. New York gets at least {rain["New York"].min():.0f} mm in every month.
4. **Heat costs New York its July.** The mean high is {high.at[7, "New York"]:.1f} °C,
   and {days.at[7, "New York"]:.1f} good days are left, against {days.at[7, "Seattle"]:.1f} in Seattle.

## Months

Averages per month; the better city in **bold**.

| Month | Good days, Seattle | Good days, New York | Precipitation, Seattle | Precipitation, New York |
|:--|--:|--:|--:|--:|
{table}
| Year | {year} |

## Plan

Months with at least 60 % good days:

- Seattle: {", ".join(season["Seattle"])}
- New York: {", ".join(season["New York"])}

Next steps:

- [x] Define a good day
- [x] Compare four years
- [ ] Agree the limits with the crews
- [ ] Add wind, once its unit is settled

## Limits

Four years show the seasons well and rare events badly. One day is one record: an hour of rain in the night counts as a
wet day. The definition can be changed with `season_summary.py`, for example:

```sh
python season_summary.py weather.csv --city Seattle --lowest-high 5
```
"""

Path("findings.md").write_text(document, encoding="utf-8")
print(f"findings.md: {len(document.splitlines())} lines, one table of {len(days)} months")
