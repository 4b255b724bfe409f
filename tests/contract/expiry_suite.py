"""What everything that ends artifacts must promise. A back end gives `expiry` and its neighbours."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from key_records_suite import key
from records_suite import names

from handiwork.errors import ArtifactExpired, ArtifactNotFound, ExecutionNotFound, ScopeErased
from handiwork.ids import ArtifactId, ExecutionId
from handiwork.model import Reach, Scope
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.expiry import Due, Erased, Expiry, Owed
from handiwork.store.key_records import KeyRecords
from handiwork.store.records import Records, Terms
from sample_records import ADA, FOREIGN, NOON, Hands, execution, filed, outlined

WEEK = timedelta(days=7)
MILLISECOND = timedelta(milliseconds=1)
SESSION = Reach(tenant="default", user="ada", session="s-1")
USER = Reach(tenant="default", user="ada")
TENANT = Reach(tenant="default")


def ids(due: Sequence[Due]) -> list[str]:
    return [each.id for each in due]


class ExpirySuite:
    @pytest.mark.parametrize(
        ("moment", "is_due"), [(-MILLISECOND, False), (MILLISECOND * 0, True), (MILLISECOND, True)]
    )
    async def test_an_artifact_is_due_from_its_expiry_on(
        self, expiry: Expiry, records: Records, clock: Hands, moment: timedelta, is_due: bool
    ) -> None:
        await records.add([filed(size=7)])
        clock.now = NOON + WEEK + moment
        assert await expiry.due(limit=10) == ((Due(id=filed().artifact.id, scope=ADA, size=7),) if is_due else ())
        assert await expiry.owed() == (Owed(artifacts=1, size=7) if is_due else Owed(artifacts=0, size=0))

    async def test_the_first_that_expired_is_due_first_and_no_more_than_asked(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        for hour, name in ((2, "c"), (0, "a"), (1, "b")):
            await records.add([filed(name, at=NOON + timedelta(hours=hour))])
        clock.now = NOON + WEEK * 2
        assert ids(await expiry.due(limit=2)) == ["art_a", "art_b"]
        assert await expiry.owed() == Owed(artifacts=3, size=30)

    async def test_what_was_removed_is_due_and_what_is_pinned_or_kept_for_ever_is_not(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        await records.add([filed("removed"), filed("pinned")])
        await records.remove(ADA, "art_removed")
        await records.hold(ADA, "art_pinned", held=True)
        assert ids(await expiry.due(limit=10)) == ["art_removed"]
        clock.now += WEEK
        assert ids(await expiry.due(limit=10)) == ["art_removed"]
        await records.hold(ADA, "art_pinned", held=False)
        assert ids(await expiry.due(limit=10)) == ["art_removed", "art_pinned"]

    async def test_what_was_buried_is_due_no_more_and_tells_its_owner_alone_that_it_expired(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        await records.add([filed()])
        clock.now += WEEK
        await expiry.bury(await expiry.due(limit=10))
        assert await expiry.due(limit=10) == ()
        for reference in ("art_chart", "chart_k3x9"):
            with pytest.raises(ArtifactExpired):
                await records.get(ADA, reference)
            with pytest.raises(ArtifactNotFound):
                await records.get(FOREIGN[0], reference)
        with pytest.raises(ArtifactExpired):
            await records.get(ADA, "art_chart", version=2)

    async def test_what_is_kept_of_long_bytes_goes_with_their_version(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        buried, erased, kept = (outlined(filed(name)) for name in ("buried", "erased", "kept"))
        erased = replace(erased, artifact=replace(erased.artifact, scope=FOREIGN[0]))
        await records.add([buried, kept])
        await records.add([erased])
        assert [await records.outline(each) for each in (buried, erased)] == [buried.outline, erased.outline]
        await records.remove(ADA, "art_buried")
        await expiry.bury(await expiry.due(limit=10))
        await expiry.erase(Reach(tenant="default", user="ada", session=FOREIGN[0].session))
        assert [await records.outline(each) for each in (buried, erased, kept)] == [None, None, kept.outline]

    async def test_what_is_not_over_cannot_be_buried(self, expiry: Expiry, records: Records, clock: Hands) -> None:
        await records.add([filed(), filed("pinned")])
        clock.now += WEEK
        due = await expiry.due(limit=10)
        clock.now -= MILLISECOND  # The clock was set back.
        await expiry.bury(due)
        assert await names(records) == ["art_pinned", "art_chart"]

    async def test_a_session_counts_what_was_not_buried(self, expiry: Expiry, records: Records, clock: Hands) -> None:
        await records.add([filed("a", size=5), filed("b", at=NOON + WEEK, size=6)])
        clock.now += WEEK
        before = (await records.sessions("default", "ada")).items[0]
        for _ in range(2):
            await expiry.bury([Due(id=ArtifactId("art_a"), scope=ADA, size=5)])
        after = (await records.sessions("default", "ada")).items[0]
        assert [(each.artifacts, each.size) for each in (before, after)] == [(2, 11), (1, 6)]

    async def test_what_was_buried_is_forgotten_after_a_while(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        await records.add([filed()])
        clock.now += WEEK
        await expiry.bury(await expiry.due(limit=10))
        assert await expiry.forget(before=clock.now) == 0
        assert await expiry.forget(before=clock.now + MILLISECOND) == 1
        with pytest.raises(ArtifactNotFound):
            await records.get(ADA, "art_chart")

    async def test_runs_that_ended_are_forgotten_and_those_that_go_on_are_not(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        for n, status in enumerate(("failed", "lost", "running", "queued")):
            await records.add([], execution=execution(f"exc_{n}", status=status))
        assert await expiry.forget(before=clock.now) == 0
        assert await expiry.forget(before=clock.now + MILLISECOND) == 2
        assert await expiry.forget(before=clock.now + WEEK) == 0
        assert (await expiry.erase(Reach(tenant="default"))).executions == 2

    async def test_what_is_alive_is_not_forgotten(self, expiry: Expiry, records: Records) -> None:
        await records.add([filed()])
        assert await expiry.forget(before=NOON + WEEK * 100) == 0
        assert await names(records) == ["art_chart"]

    async def test_the_keys_of_versions_that_are_on_record_are_told(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        known, next_one = (ArtifactId("art_chart"), 1), (ArtifactId("art_chart"), 2)
        await records.add([filed()])
        strange = (ArtifactId("art_strange"), 1)
        assert await expiry.keys_of([known, next_one, strange]) == {known: filed().blob_key}
        clock.now += WEEK
        assert await expiry.keys_of([known]) == {known: filed().blob_key}
        await expiry.bury(await expiry.due(limit=10))
        assert await expiry.keys_of([known]) == {}
        assert await expiry.keys_of([]) == {}

    @pytest.mark.parametrize(("reach", "kept"), [(SESSION, 3), (USER, 2), (TENANT, 1), (Reach(tenant="none"), 4)])
    async def test_an_erasure_takes_all_within_reach_and_nothing_beyond(
        self, expiry: Expiry, records: Records, executions: ExecutionRecords, reach: Reach, kept: int
    ) -> None:
        scopes = [ADA, *FOREIGN]  # The narrower the reach, the fewer of the first of them.
        for n, scope in enumerate(scopes):
            run = execution(f"exc_{n}", scope=scope)
            await records.add([filed(f"a{n}", scope=scope, execution=run.id)], execution=run)
            await records.hold(scope, f"art_a{n}", held=True)
        gone = 4 - kept
        assert await expiry.erase(reach) == Erased(artifacts=gone, executions=gone, size=gone * 10)
        assert await expiry.erase(reach) == Erased(artifacts=0, executions=0, size=0)
        assert [await names(records, scope) for scope in scopes] == [
            [] if n < gone else [f"art_a{n}"] for n in range(4)
        ]
        for n, scope in enumerate(scopes[:gone]):
            with pytest.raises(ArtifactNotFound):
                await records.get(scope, f"art_a{n}")
            with pytest.raises(ExecutionNotFound):
                await executions.get(scope, ExecutionId(f"exc_{n}"))
        assert sum([len((await records.sessions(s.tenant, s.user)).items) for s in scopes]) >= kept

    @pytest.mark.parametrize(("reach", "kept"), [(SESSION, "tub"), (USER, "tb"), (TENANT, "")])
    async def test_an_erasure_takes_the_keys_that_are_for_what_is_erased(
        self, expiry: Expiry, keys: KeyRecords, reach: Reach, kept: str
    ) -> None:
        await keys.add(key("t"))
        await keys.add(key("u", user="ada"))
        await keys.add(key("s", user="ada", session="s-1"))
        await keys.add(key("b", user="bo"))
        await keys.add(key("o", tenant="other"))
        await expiry.erase(reach)
        assert {each.id for each in await keys.list("default") if each.revoked_at is None} == set(kept)
        assert len(await keys.list("other")) == 1
        # A server that had keys must not be open to all again.
        assert await keys.is_any()
        for gone in {"t", "u", "s", "b"} - set(kept):
            found = await keys.find(gone)
            assert found is not None
            assert (found.user, found.session, found.name, found.secret_sha256) == (None, None, "", "")

    @pytest.mark.parametrize("reach", [SESSION, USER, TENANT])
    async def test_what_was_being_stored_meanwhile_is_refused_and_what_comes_later_is_not(
        self, expiry: Expiry, records: Records, clock: Hands, reach: Reach
    ) -> None:
        began = Terms(since=clock.now)
        clock.now += MILLISECOND
        await expiry.erase(reach)
        clock.now += MILLISECOND
        with pytest.raises(ScopeErased):
            await records.add([filed()], terms=began)
        assert await names(records) == []
        await records.add([filed()], terms=Terms(since=clock.now))
        assert await names(records) == ["art_chart"]

    @pytest.mark.parametrize("reach", [SESSION, USER, TENANT])
    async def test_what_begins_before_all_is_gone_is_refused_and_what_comes_later_is_not(
        self, expiry: Expiry, records: Records, clock: Hands, reach: Reach
    ) -> None:
        until = clock.now + timedelta(minutes=1)
        await expiry.erase(reach, closed_until=until)
        clock.now += timedelta(seconds=40)
        began = Terms(since=clock.now)
        with pytest.raises(ScopeErased):
            await records.add([filed()], terms=began)
        await expiry.reopen(reach, closed_until=until - MILLISECOND, at=clock.now)
        with pytest.raises(ScopeErased):
            await records.add([filed()], terms=Terms(since=clock.now + MILLISECOND))
        await expiry.reopen(reach, closed_until=until, at=clock.now)
        with pytest.raises(ScopeErased):
            await records.add([filed()], terms=began)
        clock.now += MILLISECOND
        await records.add([filed()], terms=Terms(since=clock.now))
        assert await names(records) == ["art_chart"]

    async def test_an_erasure_that_broke_off_closes_its_place_for_a_time_and_no_longer(
        self, expiry: Expiry, records: Records, clock: Hands
    ) -> None:
        await expiry.erase(SESSION, closed_until=clock.now + timedelta(minutes=1))
        clock.now += timedelta(minutes=1, milliseconds=1)
        await records.add([filed()], terms=Terms(since=clock.now))

    @pytest.mark.parametrize("scope", [*FOREIGN[-1:], Scope(user="ada", session="s-2")])
    async def test_who_stores_elsewhere_is_not_hindered(self, expiry: Expiry, records: Records, scope: Scope) -> None:
        await expiry.erase(SESSION)
        await records.add([filed(scope=scope)], terms=Terms(since=NOON))
        assert await names(records, scope) == ["art_chart"]
