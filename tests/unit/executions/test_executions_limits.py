import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import InvalidLimit, LimitExceeded
from handiwork.executions.limits import WORDS, LimitPolicy
from handiwork.model import MIB, Limits, Status

MOST = Limits(
    wall_seconds=60, memory_bytes=1024 * MIB, output_bytes=50 * MIB, file_bytes=50 * MIB, processes=64, stdout_bytes=MIB
)
POLICY = LimitPolicy(default=Limits(wall_seconds=7), maximum=MOST)
NAMES = [field.name for field in fields(Limits)]
each_limit = pytest.mark.parametrize("name", NAMES)


def but(name: str, value: object) -> Limits:
    return replace(MOST, **{name: value})  # pyright: ignore[reportArgumentType]  # wrong ones too


def test_who_asks_for_nothing_gets_the_default() -> None:
    assert POLICY.admit(None) == Limits(wall_seconds=7)


def test_what_is_asked_for_is_given_up_to_the_maximum() -> None:
    assert POLICY.admit(MOST) == MOST
    assert POLICY.admit(Limits(wall_seconds=0.1)) == Limits(wall_seconds=0.1)


@each_limit
def test_each_limit_has_its_maximum(name: str) -> None:
    most = getattr(MOST, name)
    with pytest.raises(LimitExceeded, match=f"`{WORDS[name]}`") as refused:
        POLICY.admit(but(name, most + 1))
    unit, factor = {"bytes": (" MB", MIB), "seconds": (" s", 1)}.get(name.rpartition("_")[2], ("", 1))
    assert refused.value.maximum == f"{most / factor:g}{unit}"
    assert refused.value.maximum in str(refused.value.hint)


@each_limit
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, -math.inf, True, "10", None])
def test_what_is_no_limit_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(InvalidLimit, match=f"`{WORDS[name]}`"):
        POLICY.admit(but(name, value))


@each_limit
def test_only_the_words_of_a_program_may_be_none(name: str) -> None:
    if name == "stdout_bytes":
        assert POLICY.admit(but(name, 0)).stdout_bytes == 0
    else:
        with pytest.raises(InvalidLimit):
            POLICY.admit(but(name, 0))


@each_limit
def test_only_time_comes_in_parts(name: str) -> None:
    if name == "wall_seconds":
        assert POLICY.admit(but(name, 1.5)).wall_seconds == 1.5
    else:
        with pytest.raises(InvalidLimit, match="whole number"):
            POLICY.admit(but(name, getattr(MOST, name) - 0.5))


@given(name=st.sampled_from(NAMES), value=st.floats() | st.integers())
def test_nothing_over_the_maximum_is_ever_admitted(name: str, value: float) -> None:
    try:
        admitted = POLICY.admit(but(name, value))
    except (InvalidLimit, LimitExceeded):
        return
    assert 0 <= getattr(admitted, name) <= getattr(MOST, name)


@pytest.mark.parametrize(
    ("status", "words"),
    [("timed_out", "120 s by `timeout`"), ("out_of_memory", "2048 MB by `memory`"), ("output_too_large", "`output`")],
)
def test_a_run_that_has_run_out_is_told_how_much_it_may_be_given(status: Status, words: str) -> None:
    maximum = Limits(wall_seconds=120, memory_bytes=2048 * MIB, output_bytes=50 * MIB)
    policy = LimitPolicy(maximum=maximum)
    assert words in str(policy.room(Limits(), status))
    assert policy.room(maximum, status) == "That is the most that this deployment allows."
    assert policy.room(Limits(), "failed") is None
