from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.store import sql_pages
from handiwork.store.records import Records, Search
from sample_records import ADA, filed
from sealed_store import new_vault
from sqlite_store import open_store

WORDS = ("chart", "report", "CHARTS")


async def found(records: Records, text: str, *, limit: int) -> tuple[list[str], list[int]]:
    """Follow the cursors to the end; return what was found and how much was on each page."""
    ids: list[str] = []
    sizes: list[int] = []
    cursor: str | None = None
    while True:
        page = await records.page(ADA, search=Search(text=text), limit=limit, cursor=cursor)
        ids += [artifact.id for artifact in page.items]
        sizes.append(len(page.items))
        cursor = page.next_cursor
        if cursor is None:
            return ids, sizes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.lists(st.sampled_from(WORDS), max_size=25),
    limit=st.integers(1, 9),
    together=st.integers(1, 5),
    bound=st.integers(1, 12),
)
async def test_pages_of_sealed_rows_find_what_a_query_finds_in_the_same_order(
    which: list[str], limit: int, together: int, bound: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    entries = [filed(f"{word}{number}") for number, word in enumerate(which)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sql_pages, "OPENED_TOGETHER", together)
        patched.setattr(sql_pages, "OPENED_FOR_A_PAGE", bound)
        async with open_store(tmp_path_factory.mktemp("sealed"), sealing=new_vault()) as store:
            await store.records.add(entries)
            sealed, sizes = await found(store.records, "chart", limit=limit)
        async with open_store(tmp_path_factory.mktemp("plain")) as store:
            await store.records.add(entries)
            plain, _sizes = await found(store.records, "chart", limit=limit)

    assert sealed == plain == [each.artifact.id for each in reversed(entries) if "chart" in each.artifact.name.lower()]
    assert max(sizes) <= limit


async def test_a_page_opens_no_more_rows_than_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_pages, "OPENED_FOR_A_PAGE", 4)
    async with open_store(tmp_path, sealing=new_vault()) as store:
        await store.records.add([filed("needle"), *(filed(f"a{number}") for number in range(9))])

        ids, sizes = await found(store.records, "needle", limit=10)

    assert ids == ["art_needle"]
    assert sizes == [0, 0, 1], "control: its page alone was not enough"
