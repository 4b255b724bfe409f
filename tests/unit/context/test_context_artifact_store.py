import asyncio
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from handiwork.context.artifact_store import ArtifactStore, Record
from handiwork.errors import HandleTaken, InvalidName

WRITTEN = 'ARTIFACT\nARTIFACT_SUMMARY: Add "dark" <mode>\n\n~~~markdown\n# Dark mode\n~~~'


async def test_what_is_marked_is_kept_and_named_by_a_reference() -> None:
    store = ArtifactStore()
    told = await store.handoff(WRITTEN, created_by="writer")
    found = re.fullmatch(r'<artifact id="(draft_[a-z0-9]{4})" summary="Add &quot;dark&quot; &lt;mode&gt;" />', told)
    assert found is not None
    record = Record(content="# Dark mode", summary='Add "dark" <mode>', created_by="writer", info="markdown")
    assert (store.has(found[1]), store.get(found[1])) == (True, record)
    store.clear()
    assert (store.has(found[1]), store.get(found[1])) == (False, None)


async def test_a_text_without_mark_comes_back_as_it_is() -> None:
    assert await ArtifactStore().handoff("ARTIFACTS are nice.") == "ARTIFACTS are nice."


async def test_others_see_as_much_as_is_revealed() -> None:
    store = ArtifactStore()
    assert "summary" not in await store.handoff(WRITTEN, reveal="none")
    assert await store.handoff(WRITTEN, reveal="full") == "```markdown\n# Dark mode\n```"
    told = await store.handoff(WRITTEN)
    assert store.expander().feed(f"Here: {told}!") == "Here: # Dark mode!"
    assert store.expander("model").feed(told) == told
    assert store.expander("agent", reveal="full").feed(told) == "```markdown\n# Dark mode\n```\n"
    assert store.expander("agent", reveal="none").feed(told) == re.sub(" summary=.* />", " />", told)
    assert store.expander().feed("<artifact id='draft_0000'/>") == "<artifact id='draft_0000'/>"


def test_what_has_been_set_stays() -> None:
    store = ArtifactStore()
    store.set("draft_k3x9", {"content": "one", "summary": "s", "created_by": "w"})
    store.set("draft_k3x9", Record(content="one", summary="s", created_by="w"))
    with pytest.raises(HandleTaken):
        store.set("draft_k3x9", "two")
    assert store.get("draft_k3x9") == Record(content="one", summary="s", created_by="w")


def test_what_is_not_told_of_a_record_is_empty() -> None:
    store = ArtifactStore()
    store.set("draft_k3x9", {"content": "one", "summary": None, "created_by": None, "info": None})
    assert store.get("draft_k3x9") == Record(content="one")


@pytest.mark.parametrize("info", ["py\n```\nforged", "`", "x" * 65, "\x00"])
def test_the_info_of_a_record_cannot_end_its_fence(info: str) -> None:
    store = ArtifactStore()
    store.set("draft_k3x9", Record(content="one", info=info))
    told = store.expander().feed("<artifact id='draft_k3x9'/>")
    assert told in {"one", "```py\none\n```\n"}


def test_threads_that_hand_over_at_once_share_no_id() -> None:
    # All of them look before any of them has put its record there.
    meet = threading.Barrier(4)
    ids = iter(["draft_0001"] * 4 + [f"draft_100{number}" for number in range(4)])
    first: set[int] = set()

    def new_id() -> str:
        id, me = next(ids), threading.get_ident()
        if me not in first:
            first.add(me)
            meet.wait(5)
        return id

    store = ArtifactStore(new_id=new_id)

    def add(content: str) -> str:
        return asyncio.run(store.add(Record(content=content)))

    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(add, "0123"))
    assert len(set(given)) == 4
    assert sorted(record.content for id in given if (record := store.get(id))) == ["0", "1", "2", "3"]


async def test_an_id_is_never_given_twice() -> None:
    ids = iter(["draft_0001", "draft_0001", "draft_0002"])
    store = ArtifactStore(new_id=lambda: next(ids))
    assert [await store.add(Record(content=each)) for each in ("a", "b")] == ["draft_0001", "draft_0002"]
    stuck = ArtifactStore(new_id=lambda: "draft_0001")
    given = {await stuck.add(Record(content=str(number))) for number, _ in enumerate(repeat(None, 5))}
    assert len(given) == 5


@pytest.mark.parametrize("id", ["", "a b", "a\n", 'a"b', "<a>", "x" * 201])
def test_an_id_that_no_reference_could_name_is_refused(id: str) -> None:
    with pytest.raises(InvalidName):
        ArtifactStore().set(id, "content")


@pytest.mark.parametrize("record", [1, None, {}, {"content": 1}, {"content": "a", "more": "b"}])
def test_what_is_no_record_is_refused(record: object) -> None:
    with pytest.raises(InvalidName, match="created_by"):
        ArtifactStore().set("draft_0001", record)  # pyright: ignore[reportArgumentType]  # that is the point


async def test_what_is_large_is_cut_and_says_so() -> None:
    store = ArtifactStore()
    store.set("draft_0001", "é" * 1_000_000)
    told = await store.expander().take("<artifact id='draft_0001'/>")
    assert len(told.encode()) < 300_000
    assert "[cut: 2,000,000 bytes in all]" in told
