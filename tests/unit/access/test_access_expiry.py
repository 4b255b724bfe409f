from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.access.expiry import milliseconds, moment_after, moment_of
from handiwork.errors import InvalidLimit

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@given(st.timedeltas(min_value=timedelta(days=-50_000), max_value=timedelta(days=50_000)))
def test_a_moment_travels_rounded_towards_the_past(lapse: timedelta) -> None:
    moment = NOON + lapse
    arrived = moment_of(milliseconds(moment))
    assert timedelta(0) <= moment - arrived < timedelta(milliseconds=1)
    assert milliseconds(arrived) == milliseconds(moment)


def test_a_lapse_is_in_seconds() -> None:
    assert moment_after(NOON, 90) == NOON + timedelta(minutes=1, seconds=30)


@pytest.mark.parametrize("lapse", [0, -1, float("nan"), float("inf"), 1e300])
def test_a_lapse_that_leads_nowhere_is_refused(lapse: float) -> None:
    with pytest.raises(InvalidLimit, match="expiresIn"):
        moment_after(NOON, lapse)
