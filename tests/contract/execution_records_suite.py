"""What every record of runs must promise. A back end gives `executions` and its neighbours."""

from dataclasses import replace
from datetime import timedelta

import pytest
from event_log_suite import types

from handiwork.errors import ExecutionNotFound
from handiwork.ids import ExecutionId
from handiwork.model import Reach, Scope, Status
from handiwork.store.event_log import EventLog
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.records import Records
from sample_records import ADA, FOREIGN, NOON, Hands, execution, filed

ONE = ExecutionId("exc_1")


class ExecutionRecordsSuite:
    @pytest.mark.parametrize("status", ["queued", "running"])
    async def test_a_run_is_found_as_it_began(self, executions: ExecutionRecords, status: Status) -> None:
        await executions.begin(execution(status=status), owner="here")
        assert await executions.get(ADA, ONE) == execution(status=status)

    @pytest.mark.parametrize("reach", [ADA, Reach(tenant="default"), Reach(tenant="default", user="ada")])
    async def test_whoever_sees_far_enough_finds_it(self, executions: ExecutionRecords, reach: Scope | Reach) -> None:
        await executions.begin(execution(status="running"), owner="here")
        assert (await executions.get(reach, ONE)).id == ONE
        assert (await executions.request_cancel(reach, ONE)).id == ONE

    @pytest.mark.parametrize("reach", [*FOREIGN, Reach(tenant="other"), Reach(tenant="default", user="bo")])
    async def test_a_foreign_run_answers_exactly_like_a_missing_one(
        self, executions: ExecutionRecords, reach: Scope | Reach
    ) -> None:
        await executions.begin(execution(status="running"), owner="here")
        for id in (ONE, ExecutionId("exc_none")):
            with pytest.raises(ExecutionNotFound, match=f"No execution `{id}` in this session"):
                await executions.get(reach, id)
            with pytest.raises(ExecutionNotFound):
                await executions.request_cancel(reach, id)
        assert await executions.cancel_requests("here") == ()

    async def test_a_run_goes_from_queued_to_running_to_its_end(
        self, executions: ExecutionRecords, records: Records
    ) -> None:
        for status in ("queued", "running"):
            await executions.begin(execution(status=status), owner="here")
            assert (await executions.get(ADA, ONE)).status == status
        await records.add([], execution=execution(status="succeeded"))
        assert (await executions.get(ADA, ONE)).status == "succeeded"

    @pytest.mark.parametrize("late", ["running", "cancelled", "lost"])
    async def test_a_run_that_has_ended_stays_as_it_ended(
        self, executions: ExecutionRecords, records: Records, log: EventLog, late: Status
    ) -> None:
        await records.add([filed(execution="exc_1")], execution=execution(status="succeeded"))
        before = await types(log)
        if late == "running":
            await executions.begin(execution(status=late), owner="here")
        else:
            await records.add([], execution=execution(status=late))
        found = await executions.get(ADA, ONE)
        assert (found.status, len(found.artifacts)) == ("succeeded", 1)
        assert (await types(log), await executions.owners()) == (before, frozenset())

    async def test_what_a_run_made_is_told_in_order_without_what_has_expired_or_was_removed(
        self, executions: ExecutionRecords, records: Records, clock: Hands
    ) -> None:
        made = [filed(name, execution="exc_1") for name in ("z", "a", "m", "k")]
        for_ever = replace(made[3], artifact=replace(made[3].artifact, expires_at=None))
        await records.add([*made[:3], for_ever], execution=execution())
        await records.remove(ADA, "art_a")
        assert [a.id for a in (await executions.get(ADA, ONE)).artifacts] == ["art_z", "art_m", "art_k"]
        await records.hold(ADA, "art_z", held=True)
        clock.now = NOON + timedelta(days=7)
        assert [a.id for a in (await executions.get(ADA, ONE)).artifacts] == ["art_z", "art_k"]

    async def test_a_run_that_shall_end_is_told_to_its_owner_alone_until_it_has_ended(
        self, executions: ExecutionRecords, records: Records
    ) -> None:
        await executions.begin(execution("exc_1", status="queued"), owner="here")
        await executions.begin(execution("exc_2", status="running"), owner="here")
        assert await executions.cancel_requests("here") == ()
        assert (await executions.request_cancel(ADA, ONE)).status == "queued"
        await executions.begin(execution("exc_1", status="running"), owner="here")
        assert await executions.cancel_requests("here") == (ONE,)
        assert await executions.cancel_requests("there") == ()
        await records.add([], execution=execution(status="cancelled"))
        assert await executions.cancel_requests("here") == ()

    async def test_one_that_has_ended_is_not_to_end_again(self, executions: ExecutionRecords, records: Records) -> None:
        await records.add([], execution=execution(status="succeeded"))
        assert (await executions.request_cancel(ADA, ONE)).status == "succeeded"
        assert await executions.cancel_requests("here") == ()

    async def test_owners_are_those_whose_runs_have_not_ended(
        self, executions: ExecutionRecords, records: Records
    ) -> None:
        await executions.begin(execution("exc_1", status="running"), owner="here")
        await executions.begin(execution("exc_2", status="queued"), owner="there")
        assert await executions.owners() == {"here", "there"}
        await records.add([], execution=execution("exc_1", status="succeeded"))
        assert await executions.owners() == {"there"}

    async def test_the_runs_of_one_that_is_gone_are_lost_once_and_told(
        self, executions: ExecutionRecords, log: EventLog
    ) -> None:
        await executions.begin(execution("exc_1", status="queued"), owner="gone")
        await executions.begin(execution("exc_2", status="running", scope=FOREIGN[0]), owner="gone")
        await executions.begin(execution("exc_3", status="running"), owner="here")
        assert [await executions.lose("gone"), await executions.lose("gone")] == [2, 0]
        found = [await executions.get(Reach(tenant="default"), ExecutionId(f"exc_{n}")) for n in (1, 2, 3)]
        assert [each.status for each in found] == ["lost", "lost", "running"]
        assert await executions.owners() == {"here"}
        assert await types(log) == ["execution-started", "execution-started", "execution-finished"]
        assert await types(log, FOREIGN[0]) == ["execution-started", "execution-finished"]
