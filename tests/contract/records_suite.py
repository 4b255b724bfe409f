"""What every store of records must promise. A back end gives the fixtures `records` and `clock`."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    ExecutionNotFound,
    HandleTaken,
    InvalidName,
    VersionNotFound,
)
from handiwork.ids import ArtifactId, ExecutionId, Handle
from handiwork.model import (
    Artifact,
    Execution,
    Isolation,
    Outcome,
    Principal,
    ProgramError,
    Provenance,
    Refused,
    Scope,
    Status,
    Version,
    Violation,
)
from handiwork.store.keys import blob_key
from handiwork.store.records import Filed, Records

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ADA = Scope(user="ada", session="s-1")
FOREIGN = [
    Scope(user="ada", session="s-2"),
    Scope(user="bo", session="s-1"),
    Scope(tenant="other", user="ada", session="s-1"),
]


@dataclass(slots=True)
class Hands:
    """A clock whose hands the test moves."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


def filed(name: str = "chart", *, scope: Scope = ADA, at: datetime = NOON, execution: str | None = None) -> Filed:
    artifact_id = ArtifactId(f"art_{name}")
    version = Version(
        artifact_id=artifact_id,
        number=1,
        name=f"{name}.png",
        media_type="image/png",
        category="image",
        size=10,
        sha256="0" * 64,
        created_at=at,
        summary="Größe 図",
        language="de",
        metadata={"rows": 3, "nested": {"list": [1, None, "x"]}},
        provenance=Provenance(
            principal=Principal(kind="agent", id="writer"),
            execution_id=ExecutionId(execution) if execution else None,
            tool_call_id="call-1",
            request_id="req-1",
            inputs=("art_in",),
        ),
    )
    artifact = Artifact(
        id=artifact_id,
        handle=Handle(f"{name}_k3x9"),
        scope=scope,
        type="file",
        title=name.title(),
        created_at=at,
        updated_at=at,
        expires_at=at + timedelta(days=7),
        version=version,
        state="draft",
        labels=("q3", "sales"),
    )
    return Filed(artifact=artifact, blob_key=blob_key(scope, artifact_id, 1, version.name))


def execution(id: str = "exc_1", *, status: Status = "failed", scope: Scope = ADA) -> Execution:
    outcome = Outcome(
        status=status,
        exit_code=1,
        signal=None,
        stdout="a\0b\n",
        stderr="",
        stdout_truncated=False,
        stderr_truncated=True,
        error=ProgramError(type="ValueError", message="no", line=3),
        violations=(Violation(line=1, column=0, rule="import", message="no"),),
        duration_ms=1.5,
        cpu_ms=1.25,
        peak_memory_bytes=7,
        isolation=Isolation(level="full", memory_by="cgroup", walls={"network": True}),
        refused=(Refused(name="evil", reason="symlink"),),
    )
    return Execution(id=ExecutionId(id), scope=scope, created_at=NOON, outcome=outcome)


async def names(records: Records, scope: Scope = ADA, *, limit: int = 100) -> list[str]:
    return [artifact.id for artifact in (await records.page(scope, limit=limit, cursor=None)).items]


class RecordsSuite:
    @pytest.mark.parametrize("reference", ["art_chart", "chart_k3x9"])
    async def test_an_artifact_is_found_by_id_and_by_handle_as_it_was_added(
        self, records: Records, reference: str
    ) -> None:
        await records.add([filed()])

        assert await records.get(ADA, reference) == filed()
        assert await records.get(ADA, reference, version=1) == filed()

    async def test_a_time_of_another_zone_is_the_same_moment(self, records: Records) -> None:
        at = datetime.fromisoformat("2026-11-21T14:00:00+02:00")
        await records.add([filed(at=at)])

        found = (await records.get(ADA, "art_chart")).artifact

        assert found.created_at == at
        assert found.created_at.tzinfo == UTC

    async def test_a_missing_version_names_those_there_are(self, records: Records) -> None:
        await records.add([filed()])

        with pytest.raises(VersionNotFound) as caught:
            await records.get(ADA, "art_chart", version=2)

        assert caught.value.head == 1

    @pytest.mark.parametrize("scope", FOREIGN)
    async def test_a_foreign_artifact_answers_exactly_like_a_missing_one(
        self, records: Records, clock: Hands, scope: Scope
    ) -> None:
        await records.add([filed(execution="exc_1")], execution=execution())
        clock.now += timedelta(days=30)  # Not even that it has expired is told.

        for reference in ("art_chart", "chart_k3x9"):
            with pytest.raises(ArtifactNotFound, match=f"No artifact `{reference}` in this session"):
                await records.get(scope, reference)
            with pytest.raises(ArtifactNotFound):
                await records.remove(scope, reference)
        with pytest.raises(ExecutionNotFound):
            await records.get_execution(scope, ExecutionId("exc_1"))
        assert await names(records, scope) == []

    async def test_a_session_sees_its_own_artifacts_only(self, records: Records) -> None:
        scopes = [ADA, *FOREIGN]
        await records.add([filed(f"a{index}", scope=scope) for index, scope in enumerate(scopes)])

        assert [await names(records, scope) for scope in scopes] == [["art_a0"], ["art_a1"], ["art_a2"], ["art_a3"]]

    async def test_the_same_handle_may_be_used_in_each_session(self, records: Records) -> None:
        twin = filed("twin", scope=FOREIGN[0])
        twin = replace(twin, artifact=replace(twin.artifact, handle=filed().artifact.handle))

        await records.add([filed(), twin])

        assert (await records.get(ADA, "chart_k3x9")).artifact.id == "art_chart"
        assert (await records.get(FOREIGN[0], "chart_k3x9")).artifact.id == "art_twin"

    async def test_a_handle_that_is_taken_is_told_and_nothing_is_added(self, records: Records) -> None:
        await records.add([filed()])
        twin = filed("twin")
        twin = replace(twin, artifact=replace(twin.artifact, handle=filed().artifact.handle))

        with pytest.raises(HandleTaken):
            await records.add([filed("first"), twin], execution=execution())

        assert await names(records) == ["art_chart"]
        with pytest.raises(ExecutionNotFound):
            await records.get_execution(ADA, ExecutionId("exc_1"))

    async def test_two_new_artifacts_cannot_share_a_handle(self, records: Records) -> None:
        twin = filed("twin")
        twin = replace(twin, artifact=replace(twin.artifact, handle=filed().artifact.handle))

        with pytest.raises(HandleTaken):
            await records.add([filed(), twin])

        assert await names(records) == []

    async def test_an_artifact_is_served_until_it_expires_and_not_a_moment_longer(
        self, records: Records, clock: Hands
    ) -> None:
        await records.add([filed(execution="exc_1")], execution=execution())
        expiry = NOON + timedelta(days=7)

        clock.now = expiry - timedelta(microseconds=1)
        assert await names(records) == ["art_chart"]
        assert (await records.get(ADA, "art_chart")).artifact.expires_at == expiry

        clock.now = expiry
        with pytest.raises(ArtifactExpired):
            await records.get(ADA, "art_chart")
        assert await names(records) == []
        assert (await records.get_execution(ADA, ExecutionId("exc_1"))).artifacts == ()

    async def test_an_artifact_without_expiry_stays(self, records: Records, clock: Hands) -> None:
        entry = filed()
        entry = replace(entry, artifact=replace(entry.artifact, expires_at=None))
        await records.add([entry])
        clock.now += timedelta(days=36500)

        assert await records.get(ADA, "art_chart") == entry
        assert await names(records) == ["art_chart"]

    async def test_a_removed_artifact_has_expired_and_its_keys_are_told(self, records: Records) -> None:
        await records.add([filed(), filed("other")])

        assert await records.remove(ADA, "chart_k3x9") == (filed().blob_key,)

        with pytest.raises(ArtifactExpired):
            await records.get(ADA, "art_chart")
        with pytest.raises(ArtifactExpired):
            await records.remove(ADA, "art_chart")
        assert await names(records) == ["art_other"]

    async def test_a_page_is_newest_first_and_the_last_of_a_batch_is_newest(self, records: Records) -> None:
        await records.add([filed("z"), filed("a"), filed("m")])
        await records.add([filed("old", at=NOON - timedelta(hours=1))])
        await records.add([filed("new", at=NOON + timedelta(microseconds=1))])

        assert await names(records) == ["art_new", "art_m", "art_a", "art_z", "art_old"]

    async def test_pages_repeat_and_skip_nothing_while_artifacts_are_added(self, records: Records) -> None:
        await records.add([filed(f"a{index}") for index in range(5)])
        seen: list[str] = []
        cursor = None

        for turn in range(3):
            page = await records.page(ADA, limit=2, cursor=cursor)
            seen += [artifact.id for artifact in page.items]
            cursor = page.next_cursor
            await records.add([filed(f"late{turn}", at=NOON + timedelta(seconds=turn + 1))])

        assert seen == ["art_a4", "art_a3", "art_a2", "art_a1", "art_a0"]
        assert cursor is None

    async def test_a_page_that_is_exactly_full_is_the_last(self, records: Records) -> None:
        await records.add([filed("a"), filed("b")])

        assert (await records.page(ADA, limit=2, cursor=None)).next_cursor is None

    async def test_a_page_can_be_narrowed_by_type_and_state(self, records: Records) -> None:
        plan = filed("plan")
        plan = replace(plan, artifact=replace(plan.artifact, type="plan", state=None))
        await records.add([filed(), plan])

        by_type = await records.page(ADA, type="plan", limit=10, cursor=None)
        by_state = await records.page(ADA, state="draft", limit=10, cursor=None)
        by_both = await records.page(ADA, type="plan", state="draft", limit=10, cursor=None)

        assert [a.id for a in by_type.items] == ["art_plan"]
        assert [a.id for a in by_state.items] == ["art_chart"]
        assert by_both.items == ()

    async def test_a_cursor_of_another_session_opens_nothing(self, records: Records) -> None:
        await records.add([filed("a"), filed("b"), filed("c", scope=FOREIGN[0])])
        cursor = (await records.page(ADA, limit=1, cursor=None)).next_cursor

        assert (await records.page(FOREIGN[1], limit=10, cursor=cursor)).items == ()

    @pytest.mark.parametrize("cursor", ["", "x", "é", "bnVsbA", "WzEsMiwzXQ", "WyJ4IiwxLCJhIl0"])
    async def test_a_cursor_that_was_made_up_is_refused(self, records: Records, cursor: str) -> None:
        with pytest.raises(InvalidName):
            await records.page(ADA, limit=1, cursor=cursor)

    async def test_a_run_is_kept_whole_with_what_it_made_in_order(self, records: Records) -> None:
        made = [filed(name, execution="exc_1") for name in ("z", "a", "m")]
        await records.add([filed("unrelated")])

        await records.add(made, execution=execution())

        expected = replace(execution(), artifacts=tuple(entry.artifact for entry in made))
        assert await records.get_execution(ADA, ExecutionId("exc_1")) == expected

    async def test_a_run_that_was_recorded_before_is_brought_up_to_date(self, records: Records) -> None:
        await records.add_execution(execution(status="running"))
        assert (await records.get_execution(ADA, ExecutionId("exc_1"))).status == "running"

        await records.add([], execution=execution(status="succeeded"))

        assert (await records.get_execution(ADA, ExecutionId("exc_1"))).status == "succeeded"

    async def test_half_a_surrogate_in_what_a_program_prints_is_kept_as_a_question_mark(self, records: Records) -> None:
        run = execution()
        await records.add_execution(replace(run, outcome=replace(run.outcome, stdout="a\ud800b")))

        assert (await records.get_execution(ADA, ExecutionId("exc_1"))).stdout == "a?b"

    async def test_an_unknown_run_is_not_found(self, records: Records) -> None:
        with pytest.raises(ExecutionNotFound):
            await records.get_execution(ADA, ExecutionId("exc_none"))

    async def test_the_sessions_of_a_user_are_listed_the_last_active_first(self, records: Records) -> None:
        await records.add([filed("a"), filed("b", scope=FOREIGN[0], at=NOON + timedelta(hours=1))])
        await records.add([filed("c", scope=FOREIGN[1]), filed("d", scope=FOREIGN[2])])
        await records.add_execution(execution(scope=Scope(user="ada", session="run-only")))

        assert await records.sessions("default", "ada") == ("s-2", "run-only", "s-1")
        assert await records.sessions("default", "ada", limit=1) == ("s-2",)
        assert await records.sessions("default", "nobody") == ()
