"""Walls as `doctor` reports them."""

from handiwork.cli.report import Walls, walls_found
from handiwork.model import Isolation
from handiwork.sandbox.walls import ALL, REQUIRED, unavailable

FULL = Isolation(level="full", memory_by="watch", walls=dict.fromkeys(ALL, True))
WEAKER = Isolation(
    level="unprivileged", memory_by="watch", walls={wall: wall in REQUIRED["unprivileged"] for wall in ALL}
)
BARRED = unavailable("full", "userNamespace", "not permitted")


def _missing(found: Walls) -> dict[str, str]:
    return {each.wall: each.why for each in found.missing}


def test_with_every_wall_nothing_is_missing() -> None:
    found = walls_found("auto", FULL, None, None)
    assert (found.isolation, found.missing) == (FULL, ())


def test_a_fall_back_names_the_wall_to_blame_and_what_to_do_for_each() -> None:
    found = walls_found("auto", WEAKER, BARRED, None)
    assert found.why == str(BARRED)
    assert set(_missing(found)) == set(REQUIRED["full"]) - set(REQUIRED["unprivileged"])
    assert _missing(found)["userNamespace"] == "not permitted"
    assert all("containers.md" in each.fix for each in found.missing)


def test_a_wall_that_fails_at_full_only_is_told_too() -> None:
    found = walls_found("auto", WEAKER, unavailable("full", "landlock", "no rule for mounts"), None)
    assert _missing(found)["landlock"] == "no rule for mounts"


def test_a_weaker_level_that_was_asked_for_is_no_fault_of_the_machine() -> None:
    found = walls_found("unprivileged", WEAKER, None, None)
    assert found.why == "`artifacts.isolation` asks for `unprivileged`"
    assert {each.fix for each in found.missing} == {"Set `artifacts.isolation` to `auto` or `full`."}


def test_where_no_level_stands_both_reasons_are_told() -> None:
    last = unavailable("unprivileged", "landlock", "the kernel is too old")
    found = walls_found("auto", None, BARRED, last)
    assert (found.isolation, found.why) == (None, str(last))
    assert _missing(found) == {"landlock": "the kernel is too old", "userNamespace": "not permitted"}
