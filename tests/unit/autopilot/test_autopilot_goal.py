"""Goals and budgets: which are none."""

from typing import Any

import pytest

from handiwork.autopilot.goal import BudgetPolicy, Goal
from handiwork.errors import HandiworkError, InvalidLimit, InvalidName


@pytest.mark.parametrize(
    ("objective", "criteria", "kind"),
    [
        ("", [], InvalidName),
        (" \n", [], InvalidName),
        (None, [], InvalidName),
        ("a", "all is well", InvalidName),
        ("a", ["b", ""], InvalidName),
        ("a", [1], InvalidName),
        ("a", ["b"] * 51, InvalidLimit),
    ],
)
def test_a_goal_without_words_is_refused(objective: Any, criteria: Any, kind: type[HandiworkError]) -> None:
    with pytest.raises(kind):
        Goal(objective, criteria)


def test_a_goal_is_made_of_words() -> None:
    assert Goal(objective="a", success_criteria=["b"]) == Goal("a", ["b"])


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_iterations": 0},
        {"max_iterations": True},
        {"max_iterations": 1.5},
        {"max_tokens": -1},
        {"max_tool_calls": -1},
        {"max_tool_calls": "3"},
        {"max_seconds": 0},
        {"max_seconds": float("nan")},
        {"max_seconds": float("inf")},
        {"max_seconds": 10**400},
        {"max_iterations": None, "max_seconds": None},
    ],
    ids=str,
)
def test_a_budget_that_bounds_nothing_is_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(InvalidLimit):
        BudgetPolicy(**bounds)


@pytest.mark.parametrize(
    "bounds", [{}, {"max_iterations": None}, {"max_seconds": None}, {"max_tool_calls": 0}], ids=str
)
def test_a_budget_may_leave_bounds_out(bounds: dict[str, Any]) -> None:
    assert BudgetPolicy(**bounds)
