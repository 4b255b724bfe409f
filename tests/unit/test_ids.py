import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.ids import BASE36, BASE62, nanoid, new_artifact_id, new_execution_id, new_handle


def first(_below: int) -> int:
    return 0


def test_ids_say_what_they_name() -> None:
    assert re.fullmatch(r"art_[0-9A-Za-z]{22}", new_artifact_id())
    assert re.fullmatch(r"atf_[0-9A-Za-z]{22}", new_artifact_id(prefix="atf_"))
    assert re.fullmatch(r"exc_[0-9A-Za-z]{22}", new_execution_id())


def test_ids_do_not_repeat() -> None:
    assert len({new_artifact_id() for _ in range(2_000)}) == 2_000


def test_the_last_character_of_an_alphabet_is_drawn_too() -> None:
    assert nanoid(3, alphabet=BASE62, below=lambda count: count - 1) == "ZZZ"
    assert nanoid(3, alphabet=BASE36, below=first) == "000"
    assert (len(set(BASE62)), len(set(BASE36))) == (62, 36)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("chart.png", "chart"),
        ("Q3 Report (final).pdf", "q3reportfina"),
        ("data/north/Sales.tar.gz", "sales"),
        ("отчёт.pdf", "file"),
        (".hidden", "file"),
        ("", "file"),
        ("...", "file"),
        ("a" * 300, "a" * 12),
    ],
)
def test_a_handle_begins_with_the_stem_of_the_name(name: str, stem: str) -> None:
    assert new_handle(name, below=first) == f"{stem}_0000"


@given(st.text())
def test_a_handle_of_any_name_is_short_and_plain(name: str) -> None:
    assert re.fullmatch(r"[0-9a-z]{1,12}_[0-9a-z]{4}", new_handle(name))
