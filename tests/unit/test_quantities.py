import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import InvalidLimit
from handiwork.quantities import seconds, size, size_text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("30", 30), (30, 30), (0.5, 0.5), ("30s", 30), ("500ms", 0.5), ("5m", 300), ("5min", 300), ("1.5h", 5400),
        ("7d", 604_800), ("2w", 1_209_600), (" 30 S ", 30), ("0", 0),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_people_write_it(written: str | float, read: float) -> None:
    assert seconds(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1048576", 1_048_576), (10, 10), ("1b", 1), ("1KB", 1024), ("1kib", 1024), ("512MB", 512 * 1024**2),
        ("2 GB", 2 * 1024**3), ("1.5MB", 1_572_864), ("2GiB", 2 * 1024**3),
    ],
)  # fmt: skip
def test_a_size_is_read_as_people_write_it(written: str | float, read: int) -> None:
    assert size(written) == read
    assert isinstance(size(written), int)


@pytest.mark.parametrize(
    "written", ["", "s", "-1", "1e9", "nan", "inf", "1 000", "٣s", "30x", "1h30m", True, False, "9" * 400, None]
)
def test_what_is_no_quantity_is_refused_by_its_name(written: object) -> None:
    with pytest.raises(InvalidLimit, match="timeout") as refused:
        seconds(written, name="timeout")  # pyright: ignore[reportArgumentType]  # on purpose
    assert refused.value.expected.startswith("a duration")
    with pytest.raises(InvalidLimit, match="memory"):
        size(written, name="memory")  # pyright: ignore[reportArgumentType]  # on purpose


def test_a_unit_of_the_other_kind_is_refused() -> None:
    with pytest.raises(InvalidLimit):
        seconds("1MB")
    with pytest.raises(InvalidLimit):
        size("1h")


@given(st.integers(0, 10**12))
def test_a_plain_number_is_read_as_it_is(number: int) -> None:
    assert seconds(number) == seconds(str(number)) == seconds(f"{number}s") == number
    assert size(number) == size(f"{number}b") == number


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 bytes"), (1, "1 byte"), (2, "2 bytes"), (1000, "1,000 bytes"), (1536, "1.5 KB")]
)
def test_a_size_is_told_as_people_say_it(count: int, told: str) -> None:
    assert size_text(count) == told
