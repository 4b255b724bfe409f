"""What every event log must promise. A back end gives the fixture `log` and those of its neighbours."""

from datetime import timedelta

import pytest

from handiwork.errors import CursorTooOld, HandiworkError, HandleTaken, QuotaExceeded
from handiwork.events import Event, EventType
from handiwork.ids import ExecutionId
from handiwork.model import Reach, Scope
from handiwork.store.event_log import EventLog
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.expiry import Expiry
from handiwork.store.records import Quota, Records, Terms
from sample_records import ADA, FOREIGN, NOON, Hands, execution, filed, with_handle_of


async def told(log: EventLog, scope: Scope = ADA, *, after: int = 0) -> list[Event]:
    return list((await log.after(scope, after, limit=1000)).events)


async def types(log: EventLog, scope: Scope = ADA) -> list[EventType]:
    return [event.type for event in await told(log, scope)]


class EventLogSuite:
    async def test_each_change_is_told_in_order_with_its_ids_and_time(self, log: EventLog, records: Records) -> None:
        await records.add([filed("a", execution="exc_1"), filed("b")], execution=execution())
        events = await told(log)
        assert [(e.seq, e.type, e.artifact_id, e.execution_id) for e in events] == [
            (1, "execution-started", None, "exc_1"),
            (2, "artifact-created", "art_a", "exc_1"),
            (3, "artifact-created", "art_b", None),
            (4, "execution-finished", None, "exc_1"),
        ]
        assert [dict(e.facts) for e in events] == [
            {},
            {"artifactType": "file", "version": 1},
            {"artifactType": "file", "version": 1},
            {"status": "failed"},
        ]
        assert {(e.scope, e.at) for e in events} == {(ADA, NOON)}
        assert len({e.id for e in events}) == 4

    async def test_the_latest_of_some_types_come_first(self, log: EventLog, records: Records) -> None:
        await records.add([filed("a"), filed("b"), filed("c", scope=FOREIGN[0])])
        await records.remove(ADA, "art_a", by="user")
        await records.remove(ADA, "art_b")
        kinds: list[EventType] = ["artifact-created", "artifact-expired"]
        assert [e.seq for e in await log.latest(ADA, kinds, limit=3)] == [4, 3, 2]
        removed = await log.latest(ADA, kinds[1:], limit=9)
        assert [dict(e.facts) for e in removed] == [{"reason": "removed"}, {"reason": "removed", "principal": "user"}]
        assert not await log.latest(ADA, [], limit=9)

    async def test_each_session_counts_from_one(self, log: EventLog, records: Records) -> None:
        for name, scope in zip("abcd", [ADA, *FOREIGN], strict=True):
            await records.add([filed(name, scope=scope)])
        assert [[e.seq for e in await told(log, scope)] for scope in (ADA, *FOREIGN)] == [[1]] * 4

    async def test_a_session_is_told_nothing_of_another(self, log: EventLog, records: Records) -> None:
        await records.add([filed("a"), filed("b", scope=FOREIGN[0])])
        assert [e.artifact_id for e in await told(log)] == ["art_a"]

    @pytest.mark.parametrize("why", ["handle", "quota"])
    async def test_an_addition_that_is_refused_leaves_no_event(self, log: EventLog, records: Records, why: str) -> None:
        await records.add([filed()])
        entry, terms, error = filed("b"), Terms(session=Quota(artifacts=1)), QuotaExceeded
        if why == "handle":
            entry, terms, error = with_handle_of(entry, filed()), Terms(), HandleTaken
        with pytest.raises(error):
            await records.add([filed("c"), entry], execution=execution(), terms=terms)
        assert await types(log) == ["artifact-created"]
        await records.add([filed("d")])
        assert [e.seq for e in await told(log)] == [1, 2]

    async def test_what_is_looked_at_or_pinned_is_no_event(
        self, log: EventLog, records: Records, executions: ExecutionRecords
    ) -> None:
        await records.add([filed()])
        await records.get(ADA, "art_chart")
        await records.hold(ADA, "art_chart", held=True)
        await executions.begin(execution(status="queued"), owner="here")
        await executions.request_cancel(ADA, ExecutionId("exc_1"))
        assert await types(log) == ["artifact-created"]

    async def test_a_run_has_started_before_it_has_finished_and_each_is_told_once(
        self, log: EventLog, records: Records, executions: ExecutionRecords
    ) -> None:
        for status in ("queued", "running", "running"):
            await executions.begin(execution(status=status), owner="here")
        for _ in range(2):
            await records.add([], execution=execution(status="succeeded"))
        assert await types(log) == ["execution-started", "execution-finished"]

    @pytest.mark.parametrize("status", ["queued", "running", None])
    async def test_a_run_that_ends_from_any_state_has_started_before(
        self, log: EventLog, records: Records, executions: ExecutionRecords, status: str | None
    ) -> None:
        if status is not None:
            await executions.begin(execution(status="queued" if status == "queued" else "running"), owner="here")
        await records.add([], execution=execution(status="cancelled"))
        assert await types(log) == ["execution-started", "execution-finished"]

    @pytest.mark.parametrize("is_removed", [True, False])
    async def test_an_artifact_that_has_expired_is_told_once_removed_or_purged(
        self, log: EventLog, records: Records, expiry: Expiry, clock: Hands, is_removed: bool
    ) -> None:
        await records.add([filed()])
        if is_removed:
            await records.remove(ADA, "art_chart")
        else:
            clock.now += timedelta(days=7)
        for _ in range(2):
            await expiry.bury(await expiry.due(limit=10))
        await expiry.forget(before=clock.now + timedelta(days=1))
        last = (await told(log))[-1]
        assert await types(log) == ["artifact-created", "artifact-expired"]
        assert (last.artifact_id, dict(last.facts)) == (
            "art_chart",
            {"reason": "removed" if is_removed else "retention"},
        )

    @pytest.mark.parametrize(("after", "is_known"), [(-1, False), (0, True), (2, True), (3, False)])
    async def test_a_cursor_that_was_never_reached_is_refused_and_those_at_the_edge_are_not(
        self, log: EventLog, records: Records, after: int, is_known: bool
    ) -> None:
        await records.add([filed("a"), filed("b")])
        if is_known:
            assert [e.seq for e in await told(log, after=after)] == [1, 2][after:]
            return
        with pytest.raises(CursorTooOld) as refused:
            await told(log, after=after)
        assert (refused.value.after, refused.value.oldest, refused.value.last) == (after, 0, 2)

    async def test_a_session_without_events_is_followed_from_nought_alone(self, log: EventLog) -> None:
        assert await told(log) == []
        with pytest.raises(CursorTooOld):
            await told(log, after=1)

    async def test_old_events_are_forgotten_and_a_cursor_before_them_is_too_old(
        self, log: EventLog, records: Records, clock: Hands
    ) -> None:
        for hour in range(4):
            clock.now = NOON + timedelta(hours=hour)
            await records.add([filed(f"a{hour}")])
        await records.add([filed("foreign", scope=FOREIGN[0])])
        assert await log.trim(before=NOON + timedelta(hours=2)) == 2
        assert await log.trim(before=NOON + timedelta(hours=2)) == 0
        assert [e.seq for e in await told(log, after=2)] == [3, 4]
        with pytest.raises(CursorTooOld) as refused:
            await told(log, after=1)
        assert (refused.value.oldest, refused.value.last) == (2, 4)
        assert len(await told(log, FOREIGN[0])) == 1

    async def test_numbers_go_on_where_all_events_were_forgotten(
        self, log: EventLog, records: Records, clock: Hands
    ) -> None:
        await records.add([filed("a"), filed("b")])
        clock.now += timedelta(days=1)
        assert await log.trim(before=clock.now) == 2
        assert await told(log, after=2) == []
        with pytest.raises(CursorTooOld):
            await told(log, after=0)
        await records.add([filed("c")])
        assert [e.seq for e in await told(log, after=2)] == [3]

    async def test_a_stretch_tells_how_far_the_session_is(self, log: EventLog, records: Records) -> None:
        await records.add([filed(f"a{index}") for index in range(5)])
        stretch = await log.after(ADA, 1, limit=2)
        assert ([e.seq for e in stretch.events], stretch.last) == ([2, 3], 5)

    async def test_the_newest_number_of_each_session_is_told(self, log: EventLog, records: Records) -> None:
        await records.add([filed("a"), filed("b"), filed("c", scope=FOREIGN[0])])
        assert await log.newest([ADA, *FOREIGN]) == {ADA: 2, FOREIGN[0]: 1}
        assert await log.newest([]) == {}

    async def test_a_page_tells_from_where_on_to_follow(
        self, log: EventLog, records: Records, executions: ExecutionRecords
    ) -> None:
        assert (await records.page(ADA, limit=1)).seq == 0
        await records.add([filed("a"), filed("b")])
        await executions.begin(execution(status="running"), owner="here")
        page = await records.page(ADA, limit=1)
        assert (page.seq, await told(log, after=page.seq)) == (3, [])

    async def test_an_erased_session_has_no_events_and_knows_no_cursor(
        self, log: EventLog, records: Records, expiry: Expiry
    ) -> None:
        await records.add([filed(), filed("other", scope=FOREIGN[0])])
        await expiry.erase(Reach(tenant="default", user="ada", session="s-1"))
        assert (await told(log), await log.newest([ADA])) == ([], {})
        with pytest.raises(CursorTooOld):
            await told(log, after=1)
        assert len(await told(log, FOREIGN[0])) == 1

    async def test_that_something_was_written_is_told_and_that_nothing_was_too(
        self, log: EventLog, records: Records
    ) -> None:
        seen = await log.changed(-1)
        assert await log.changed(seen) == seen
        await records.add([filed()])
        later = await log.changed(seen)
        assert later != seen
        assert await log.changed(later) == later

    async def test_no_event_has_a_word_of_title_name_or_content(
        self, log: EventLog, records: Records, executions: ExecutionRecords, expiry: Expiry, clock: Hands
    ) -> None:
        entry = filed("canary", execution="exc_1")  # In title, file name, handle and summary; its id is a name here.
        await executions.begin(execution(status="queued"), owner="here")
        await records.add([entry], execution=execution())
        with pytest.raises(HandiworkError):
            await records.add([with_handle_of(filed("b"), entry)])
        clock.now += timedelta(days=7)
        await expiry.bury(await expiry.due(limit=10))
        events = await told(log)
        assert [e.type for e in events][-1] == "artifact-expired"
        for event in events:
            words = [str(value) for value in event.facts.values()]
            assert not [word for word in words if "canary" in word.lower() or "Größe" in word], event
