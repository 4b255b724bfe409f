from datetime import timedelta

import pytest

from handiwork.errors import InvalidLimit
from handiwork.verbs import LARGEST_SELECTION_BYTES, MOST_ON_A_PAGE, page_size, retention_asked, selection_budget


def test_what_is_within_the_bounds_is_taken() -> None:
    assert [page_size(1), page_size(MOST_ON_A_PAGE)] == [1, MOST_ON_A_PAGE]
    assert [selection_budget(1), selection_budget(LARGEST_SELECTION_BYTES)] == [1, LARGEST_SELECTION_BYTES]
    assert [retention_asked(each) for each in (None, "default", timedelta(days=1))] == [
        None,
        "default",
        timedelta(days=1),
    ]


@pytest.mark.parametrize("limit", [0, -1, MOST_ON_A_PAGE + 1])
def test_a_page_beyond_the_bounds_is_refused(limit: int) -> None:
    with pytest.raises(InvalidLimit, match="1,000"):
        page_size(limit)


@pytest.mark.parametrize("budget", [0, -1, LARGEST_SELECTION_BYTES + 1])
def test_a_budget_beyond_the_bounds_is_refused(budget: int) -> None:
    with pytest.raises(InvalidLimit, match="1,048,576"):
        selection_budget(budget)


@pytest.mark.parametrize("retention", [timedelta(0), timedelta(days=-1), timedelta.max])
def test_a_time_that_is_none_to_come_is_refused(retention: timedelta) -> None:
    with pytest.raises(InvalidLimit, match="100 years"):
        retention_asked(retention)
