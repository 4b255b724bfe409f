"""Write a small command that counts the good days again, for other limits or newer data."""

import ast
from pathlib import Path

SCRIPT = '''\
#!/usr/bin/env python3
"""Count good outdoor days by city and month in a file of daily weather.

A day is good when less than --wet-from mm fell and the high lies between --lowest-high and --highest-high.
The file is CSV with the columns location, date (YYYY-MM-DD), precipitation (mm) and temp_max (degrees Celsius).
Needs nothing but Python 3.11.
"""

import argparse
import csv
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

COLUMNS = {"location", "date", "precipitation", "temp_max"}


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="daily weather as CSV")
    parser.add_argument("--city", action="append", help="only this city; may be given again")
    parser.add_argument("--wet-from", type=float, default=1.0, metavar="MM", help="a day is wet from here (default 1)")
    parser.add_argument("--lowest-high", type=float, default=10.0, metavar="C", help="too cold below (default 10)")
    parser.add_argument("--highest-high", type=float, default=30.0, metavar="C", help="too hot above (default 30)")
    parser.add_argument("--format", choices=["table", "csv"], default="table")
    return parser.parse_args(arguments)


def read_days(path):
    """Yield (city, date, precipitation, high) for every row; a bad row is a ValueError with its line number."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = COLUMNS - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: no column {', '.join(sorted(missing))}")
        for row in reader:
            try:
                day = date.fromisoformat(row["date"])
                yield row["location"], day, float(row["precipitation"]), float(row["temp_max"])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error


def summarise(days, options):
    """Return rows of (city, month, good days in an average year, share of days that are good)."""
    seen, good, years = defaultdict(int), defaultdict(int), defaultdict(set)
    for city, day, precipitation, high in days:
        if options.city and city not in options.city:
            continue
        key = (city, day.month)
        seen[key] += 1
        years[key].add(day.year)
        good[key] += precipitation < options.wet_from and options.lowest_high <= high <= options.highest_high
    return [(city, month, good[city, month] / len(years[city, month]), good[city, month] / seen[city, month])
            for city, month in sorted(seen)]


def write(rows, style):
    if style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\\n")
        writer.writerow(["city", "month", "good_days", "good_share"])
        writer.writerows((city, month, f"{days:.2f}", f"{share:.3f}") for city, month, days, share in rows)
        return
    print(f"{'City':<12}{'Month':>6}{'Good days':>12}{'Share':>8}")
    for city, month, days, share in rows:
        print(f"{city:<12}{month:>6}{days:>12.1f}{share:>8.0%}")


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        rows = summarise(read_days(options.file), options)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        print(f"season_summary: {error}", file=sys.stderr)
        return 1
    if not rows:
        print("season_summary: no day matches", file=sys.stderr)
        return 1
    write(rows, options.format)
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''

tree = ast.parse(SCRIPT)
functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
Path("season_summary.py").write_text(SCRIPT, encoding="utf-8")
print(f"season_summary.py: {len(SCRIPT.splitlines())} lines, functions {', '.join(functions)}")
