"""What the demo's data set and programs promise. The runs of the programs are tested with the demo itself."""

import ast
import csv
import hashlib
from collections import Counter
from datetime import date, timedelta
from importlib.resources import files

import pytest

DEMO = files("handiwork.demo")
STEPS = sorted(entry.name for entry in DEMO.joinpath("steps").iterdir() if entry.name.endswith(".py"))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    text = DEMO.joinpath("data", "weather.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_data_has_2922_rows_of_seven_columns(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 2922
    columns = {"location", "date", "precipitation", "temp_max", "temp_min", "wind", "weather"}
    assert all(row.keys() == columns for row in rows)


def test_no_value_is_empty(rows: list[dict[str, str]]) -> None:
    assert [row for row in rows if not all(row.values())] == []


def test_each_city_has_every_day_of_four_years_once(rows: list[dict[str, str]]) -> None:
    seen = Counter((row["location"], date.fromisoformat(row["date"])) for row in rows)
    days = [date(2012, 1, 1) + timedelta(days=number) for number in range(1461)]
    assert days[-1] == date(2015, 12, 31)
    assert seen == Counter((city, day) for city in ("Seattle", "New York") for day in days)


def test_the_measures_are_plausible_numbers(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert -20 < float(row["temp_min"]) <= float(row["temp_max"]) < 40
        assert 0 <= float(row["precipitation"]) < 120


def test_the_weather_is_one_of_five_words(rows: list[dict[str, str]]) -> None:
    assert {row["weather"] for row in rows} == {"drizzle", "fog", "rain", "snow", "sun"}


def test_the_provenance_names_the_very_bytes() -> None:
    digest = hashlib.sha256(DEMO.joinpath("data", "weather.csv").read_bytes()).hexdigest()
    assert digest in DEMO.joinpath("data", "PROVENANCE.md").read_text(encoding="utf-8")


def test_the_steps_are_numbered_from_one_without_a_gap() -> None:
    assert [name[:3] for name in STEPS] == [f"{number:02}_" for number in range(1, len(STEPS) + 1)]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_says_in_one_sentence_what_it_makes(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(DEMO.joinpath("steps", name).read_text(encoding="utf-8")))
    assert docstring is not None
    assert docstring.endswith(".")
    assert "\n" not in docstring
