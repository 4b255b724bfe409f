"""What is promised of tool results and what they were promoted to. A back end gives `promotions` and its neighbours."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from records_suite import names

from handiwork.errors import AlreadyPromoted
from handiwork.ids import ArtifactId
from handiwork.model import TOOL_RESULT, Reach, Scope
from handiwork.store.event_log import EventLog
from handiwork.store.expiry import Expiry
from handiwork.store.promotions import Promotions
from handiwork.store.records import Filed, Promotion, Records, Terms
from sample_records import ADA, FOREIGN, NOON, Hands, InVain, filed

WEEK = timedelta(days=7)
CSV = Promotion(tool_call_id="call-1", type="csv")
TERMS = Terms(promotes=(CSV,))


def answer(name: str, *, scope: Scope = ADA, at: datetime = NOON, call: str = "call-1") -> Filed:
    entry = filed(name, scope=scope, at=at)
    version = entry.artifact.version
    version = replace(version, provenance=replace(version.provenance, tool_call_id=call))
    return replace(entry, artifact=replace(entry.artifact, type=TOOL_RESULT, version=version))


async def found(promotions: Promotions, *, scope: Scope = ADA, call: str = "call-1", limit: int = 10) -> list[str]:
    return [each.artifact.id for each in await promotions.results(scope, call, limit=limit)]


async def first(promotions: Promotions, promotion: Promotion = CSV, *, scope: Scope = ADA) -> str | None:
    artifact = await promotions.promoted(scope, promotion)
    return None if artifact is None else artifact.id


class PromotionsSuite:
    async def test_what_a_tool_has_answered_is_found_by_its_call_the_last_first(
        self, promotions: Promotions, records: Records
    ) -> None:
        for hour, name in enumerate(("a", "b", "c")):
            await records.add([answer(name, at=NOON + timedelta(hours=hour))])
        await records.add([answer("other", call="call-2")])
        assert await found(promotions) == ["art_c", "art_b", "art_a"]
        assert await found(promotions, limit=2) == ["art_c", "art_b"]
        assert await found(promotions, call="call-2") == ["art_other"]
        assert await found(promotions, call="call-3") == []
        assert (await promotions.results(ADA, "call-2", limit=1))[0] == answer("other", call="call-2")

    async def test_what_only_comes_from_a_tool_call_is_no_answer_of_it(
        self, promotions: Promotions, records: Records
    ) -> None:
        assert filed().artifact.version.provenance.tool_call_id == "call-1"
        await records.add([filed()])
        assert await found(promotions) == []

    async def test_a_foreign_answer_is_not_found(self, promotions: Promotions, records: Records) -> None:
        await records.add([answer(f"a{n}", scope=scope) for n, scope in enumerate([ADA, *FOREIGN])])
        for n, scope in enumerate([ADA, *FOREIGN]):
            assert await found(promotions, scope=scope) == [f"art_a{n}"]

    async def test_an_answer_is_found_until_it_expires(
        self, promotions: Promotions, records: Records, clock: Hands
    ) -> None:
        await records.add([answer("a"), answer("held")])
        await records.hold(ADA, "art_held", held=True)
        clock.now = NOON + WEEK - timedelta(microseconds=1)
        assert await found(promotions) == ["art_held", "art_a"]
        clock.now = NOON + WEEK
        assert await found(promotions) == ["art_held"]

    async def test_an_answer_is_told_as_one_and_all_else_as_created(self, records: Records, log: EventLog) -> None:
        await records.add([answer("a"), filed()])
        told = (await log.after(ADA, 0, limit=10)).events
        assert [(event.type, event.artifact_id, dict(event.facts)) for event in told] == [
            ("tool-result-cached", "art_a", {"artifactType": "tool_result", "version": 1}),
            ("artifact-created", "art_chart", {"artifactType": "file", "version": 1}),
        ]

    async def test_a_promotion_comes_to_one_artifact(
        self, promotions: Promotions, records: Records, log: EventLog
    ) -> None:
        assert await first(promotions) is None
        await records.add([filed("a")], terms=TERMS)
        with pytest.raises(AlreadyPromoted) as caught:
            await records.add([filed("b")], terms=TERMS)
        assert caught.value.artifact_id == await first(promotions) == "art_a"
        assert await names(records) == ["art_a"]
        assert len((await log.after(ADA, 0, limit=10)).events) == 1

    async def test_another_call_type_or_scope_is_another_promotion(
        self, promotions: Promotions, records: Records
    ) -> None:
        others = [replace(CSV, type="json"), replace(CSV, tool_call_id="call-2")]
        await records.add([filed("a")], terms=TERMS)
        for n, other in enumerate(others):
            await records.add([filed(f"b{n}")], terms=Terms(promotes=(other,)))
        for n, scope in enumerate(FOREIGN):
            await records.add([filed(f"c{n}", scope=scope)], terms=TERMS)
        assert [await first(promotions, each) for each in (CSV, *others)] == ["art_a", "art_b0", "art_b1"]
        assert [await first(promotions, scope=scope) for scope in FOREIGN] == ["art_c0", "art_c1", "art_c2"]

    async def test_what_was_added_otherwise_is_no_promotion(self, promotions: Promotions, records: Records) -> None:
        await records.add([filed("a")])
        assert await first(promotions) is None
        await records.add([filed("b")], terms=TERMS)
        assert await first(promotions) == "art_b"

    async def test_an_artifact_without_its_promotion_is_a_mistake_that_adds_nothing(self, records: Records) -> None:
        for entries in ([filed("a"), filed("b")], [filed("a")]):
            other = replace(CSV, type="json")
            promotes = (CSV,) if len(entries) == 2 else (CSV, other)
            with pytest.raises(ValueError, match="zip"):
                await records.add(entries, terms=Terms(promotes=promotes))
        assert await names(records) == []

    async def test_what_has_expired_or_was_removed_can_be_promoted_anew(
        self, promotions: Promotions, records: Records, clock: Hands
    ) -> None:
        await records.add([filed("a")], terms=TERMS)
        await records.remove(ADA, "art_a")
        assert await first(promotions) is None
        await records.add([filed("b")], terms=TERMS)
        assert await first(promotions) == "art_b"
        clock.now = NOON + WEEK
        assert await first(promotions) is None
        await records.add([filed("c", at=clock.now)], terms=TERMS)
        assert await first(promotions) == "art_c"

    async def test_what_was_purged_forgotten_or_erased_is_promoted_anew(
        self, promotions: Promotions, records: Records, expiry: Expiry, clock: Hands
    ) -> None:
        await records.add([filed("a")], terms=TERMS)
        clock.now = NOON + WEEK
        await expiry.bury(await expiry.due(limit=10))
        assert await expiry.forget(before=clock.now + WEEK) == 1
        assert await first(promotions) is None
        await records.add([filed("b", at=clock.now)], terms=TERMS)
        await expiry.erase(Reach(tenant=ADA.tenant, user=ADA.user, session=ADA.session))
        assert await first(promotions) is None
        await records.add([filed("c", at=clock.now)], terms=TERMS)
        assert await first(promotions) == "art_c"

    async def test_a_promotion_that_is_refused_is_not_noted(self, promotions: Promotions, records: Records) -> None:
        with pytest.raises(ValueError, match="not there"):
            await records.add([filed("a")], terms=TERMS, until=InVain(ValueError("the bytes are not there")))
        assert await first(promotions) is None
        assert await names(records) == []

    async def test_of_many_at_once_one_is_added(
        self, promotions: Promotions, records: Records, other_records: Records
    ) -> None:
        adding = [(records, other_records)[n % 2].add([filed(f"a{n}")], terms=TERMS) for n in range(20)]
        outcomes = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(each) for each in outcomes if each is not None] == [AlreadyPromoted] * 19
        won = outcomes.index(None)
        assert await names(records) == [ArtifactId(f"art_a{won}")] == [await first(promotions)]
