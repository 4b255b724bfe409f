"""What every store of records must promise. A back end gives the fixtures `records`, `executions` and `clock`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handiwork.errors import (
    ArtifactExpired,
    ArtifactHeld,
    ArtifactNotFound,
    ExecutionNotFound,
    HandleTaken,
    InvalidName,
    QuotaExceeded,
    StorageFailed,
    TookTooLong,
    VersionNotFound,
)
from handiwork.ids import ArtifactId, ExecutionId
from handiwork.model import (
    Reach,
    Scope,
)
from handiwork.store.execution_records import ExecutionRecords
from handiwork.store.keys import blob_key
from handiwork.store.records import Filed, Preview, Quota, Records, Search, Terms
from sample_records import ADA, FOREIGN, NOON, Hands, InVain, execution, filed, outlined, with_handle_of


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

    async def test_what_is_kept_of_long_bytes_is_told_of_those_and_of_no_others(self, records: Records) -> None:
        entry = outlined(filed())
        await records.add([entry, filed("short")])

        found = await records.get(ADA, "art_chart")

        assert found == replace(entry, outline=None)
        assert await records.outline(found) == entry.outline
        assert await records.outline(await records.get(ADA, "art_short")) is None
        changed = replace(found.artifact, version=replace(found.artifact.version, sha256="1" * 64))
        assert await records.outline(replace(found, artifact=changed)) is None

    async def test_what_is_kept_of_bytes_comes_to_nothing_with_their_record(self, records: Records) -> None:
        entry = outlined(filed())

        with pytest.raises(StorageFailed):
            await records.add([entry], until=InVain(StorageFailed("the blobs", "no")))

        assert await records.outline(entry) is None
        await records.add([entry])
        assert await records.outline(entry) == entry.outline

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

    @pytest.mark.parametrize("version", [-1, 0, 2, 2**31, 2**70])
    async def test_no_number_is_too_strange_to_be_asked_for(self, records: Records, version: int) -> None:
        await records.add([filed()])

        with pytest.raises(VersionNotFound):
            await records.get(ADA, "art_chart", version=version)

    @pytest.mark.parametrize("text", ["\ud800", "a\0b", "%", "'; --", "x" * 10_000])
    async def test_no_text_is_too_strange_to_be_asked_for(self, records: Records, text: str) -> None:
        await records.add([filed()])

        with pytest.raises(ArtifactNotFound):
            await records.get(ADA, text)
        assert (await records.page(ADA, search=Search(text=text), limit=1)).items == ()

    @pytest.mark.parametrize("scope", FOREIGN)
    async def test_a_foreign_artifact_answers_exactly_like_a_missing_one(
        self, records: Records, executions: ExecutionRecords, clock: Hands, scope: Scope
    ) -> None:
        await records.add([filed(execution="exc_1")], execution=execution())
        clock.now += timedelta(days=30)  # Not even that it has expired is told.

        for reference in ("art_chart", "chart_k3x9"):
            with pytest.raises(ArtifactNotFound, match=f"No artifact `{reference}` in this session"):
                await records.get(scope, reference)
            with pytest.raises(ArtifactNotFound):
                await records.remove(scope, reference)
        with pytest.raises(ExecutionNotFound):
            await executions.get(scope, ExecutionId("exc_1"))
        assert await names(records, scope) == []

    async def test_a_session_sees_its_own_artifacts_only(self, records: Records) -> None:
        scopes = [ADA, *FOREIGN]
        await records.add([filed(f"a{index}", scope=scope) for index, scope in enumerate(scopes)])

        assert [await names(records, scope) for scope in scopes] == [["art_a0"], ["art_a1"], ["art_a2"], ["art_a3"]]

    async def test_the_same_handle_may_be_used_in_each_session(self, records: Records) -> None:
        twin = with_handle_of(filed("twin", scope=FOREIGN[0]), filed())

        await records.add([filed(), twin])

        assert (await records.get(ADA, "chart_k3x9")).artifact.id == "art_chart"
        assert (await records.get(FOREIGN[0], "chart_k3x9")).artifact.id == "art_twin"

    async def test_a_handle_that_is_taken_is_told_and_nothing_is_added(
        self, records: Records, executions: ExecutionRecords
    ) -> None:
        await records.add([filed()])
        twin = with_handle_of(filed("twin"), filed())

        with pytest.raises(HandleTaken):
            await records.add([filed("first"), twin], execution=execution())

        assert await names(records) == ["art_chart"]
        with pytest.raises(ExecutionNotFound):
            await executions.get(ADA, ExecutionId("exc_1"))

    async def test_two_new_artifacts_cannot_share_a_handle(self, records: Records) -> None:
        twin = with_handle_of(filed("twin"), filed())

        with pytest.raises(HandleTaken):
            await records.add([filed(), twin])

        assert await names(records) == []

    async def test_an_artifact_is_served_until_it_expires_and_not_a_moment_longer(
        self, records: Records, executions: ExecutionRecords, clock: Hands
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
        assert (await executions.get(ADA, ExecutionId("exc_1"))).artifacts == ()

    async def test_an_artifact_without_expiry_stays(self, records: Records, clock: Hands) -> None:
        entry = filed()
        entry = replace(entry, artifact=replace(entry.artifact, expires_at=None))
        await records.add([entry])
        clock.now += timedelta(days=36500)

        assert await records.get(ADA, "art_chart") == entry
        assert await names(records) == ["art_chart"]

    async def test_a_removed_artifact_has_expired_and_is_told(self, records: Records) -> None:
        await records.add([filed(), filed("other")])

        assert (await records.remove(ADA, "chart_k3x9")).id == "art_chart"

        with pytest.raises(ArtifactExpired):
            await records.get(ADA, "art_chart")
        with pytest.raises(ArtifactExpired):
            await records.remove(ADA, "art_chart")
        assert await names(records) == ["art_other"]

    async def test_handles_are_told_of_what_was_removed_too_and_of_nothing_beyond_the_session(
        self, records: Records
    ) -> None:
        await records.add([filed(), filed("other")])
        await records.remove(ADA, "art_chart")
        asked = [ArtifactId(id) for id in ("art_chart", "art_other", "art_none")]
        known = {id: filed(id.removeprefix("art_")).artifact.handle for id in asked[:2]}
        assert await records.handles(ADA, asked) == known
        assert [await records.handles(scope, asked) for scope in FOREIGN] == [{}] * len(FOREIGN)
        assert await records.handles(ADA, []) == {}

    async def test_reasons_are_told_of_what_is_to_be_had_and_of_nothing_beyond_the_session(
        self, records: Records
    ) -> None:
        entries = [_with_reason(filed(name), f"because of {name}") for name in ("chart", "other", "gone")]
        await records.add([*entries, filed("silent")])
        await records.remove(ADA, "art_gone")
        asked = [(ArtifactId(f"art_{name}"), 1) for name in ("chart", "other", "gone", "silent", "none")]
        asked.append((ArtifactId("art_chart"), 2))
        assert await records.reasons(ADA, asked) == {asked[0]: "because of chart", asked[1]: "because of other"}
        assert [await records.reasons(scope, asked) for scope in FOREIGN] == [{}] * len(FOREIGN)
        assert await records.reasons(ADA, []) == {}

    async def test_a_pinned_artifact_stays_past_its_expiry_until_it_is_let_go(
        self, records: Records, clock: Hands
    ) -> None:
        await records.add([filed(), filed("other")])
        assert (await records.hold(ADA, "chart_k3x9", held=True)).held
        clock.now += timedelta(days=30)

        assert (await records.get(ADA, "art_chart")).artifact.held
        assert await names(records) == ["art_chart"]
        with pytest.raises(ArtifactHeld):
            await records.remove(ADA, "art_chart")

        assert not (await records.hold(ADA, "art_chart", held=False)).held
        with pytest.raises(ArtifactExpired):
            await records.get(ADA, "art_chart")
        with pytest.raises(ArtifactExpired):
            await records.hold(ADA, "art_chart", held=True)
        assert await names(records) == []

    async def test_an_artifact_that_is_let_go_before_its_expiry_stays_until_then(self, records: Records) -> None:
        await records.add([filed()])
        await records.hold(ADA, "art_chart", held=True)

        assert await records.hold(ADA, "art_chart", held=False) == filed().artifact

        assert await records.get(ADA, "art_chart") == filed()

    @pytest.mark.parametrize("reach", [ADA, Reach(tenant="default"), Reach(tenant="default", user="ada")])
    async def test_an_id_is_found_by_whoever_sees_far_enough(self, records: Records, reach: Scope | Reach) -> None:
        await records.add([filed()])

        assert await records.get(reach, "art_chart") == filed()

    @pytest.mark.parametrize("reach", [Reach(tenant="default"), Reach(tenant="default", user="ada")])
    async def test_a_handle_names_nothing_for_who_sees_more_than_a_session(
        self, records: Records, reach: Reach
    ) -> None:
        await records.add([filed()])

        with pytest.raises(ArtifactNotFound):
            await records.get(reach, "chart_k3x9")
        assert await records.get(Reach(tenant="default", user="ada", session="s-1"), "chart_k3x9") == filed()

    @pytest.mark.parametrize("reach", [Reach(tenant="other"), Reach(tenant="default", user="bo")])
    async def test_whoever_sees_far_does_not_see_what_is_beyond_it(self, records: Records, reach: Reach) -> None:
        await records.add([filed()])

        with pytest.raises(ArtifactNotFound):
            await records.get(reach, "art_chart")
        with pytest.raises(ArtifactNotFound):
            await records.hold(reach, "art_chart", held=True)

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

        by_type = await records.page(ADA, search=Search(type="plan"), limit=10)
        by_state = await records.page(ADA, search=Search(state="draft"), limit=10)
        by_both = await records.page(ADA, search=Search(type="plan", state="draft"), limit=10)

        assert [a.id for a in by_type.items] == ["art_plan"]
        assert [a.id for a in by_state.items] == ["art_chart"]
        assert by_both.items == ()

    async def test_a_page_without_a_type_is_full_of_the_others(self, records: Records) -> None:
        results = [filed(f"r{index}") for index in range(5)]
        await records.add([filed("a"), filed("b"), filed("c")])
        await records.add([replace(each, artifact=replace(each.artifact, type="tool_result")) for each in results])

        search = Search(without="tool_result")
        first = await records.page(ADA, search=search, limit=2)
        second = await records.page(ADA, search=search, limit=2, cursor=first.next_cursor)

        assert [a.id for a in (*first.items, *second.items)] == ["art_c", "art_b", "art_a"]
        assert second.next_cursor is None
        assert (await records.page(ADA, search=Search(text="k3x9", without="file"), limit=9)).items == (
            await records.page(ADA, search=Search(type="tool_result"), limit=9)
        ).items

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("PLAN", ["art_plan"]),
            ("plan.png", ["art_plan"]),
            ("_k3x9", ["art_plan", "art_chart"]),
            ("100%", []),
            ("_lan", []),
            ("", ["art_plan", "art_chart"]),
        ],
    )
    async def test_a_page_can_be_narrowed_by_a_text_that_is_no_pattern(
        self, records: Records, text: str, found: list[str]
    ) -> None:
        await records.add([filed(), filed("plan")])

        page = await records.page(ADA, search=Search(text=text), limit=10)

        assert [a.id for a in page.items] == found

    async def test_a_cursor_of_another_session_opens_nothing(self, records: Records) -> None:
        await records.add([filed("a"), filed("b"), filed("c", scope=FOREIGN[0])])
        cursor = (await records.page(ADA, limit=1, cursor=None)).next_cursor

        assert (await records.page(FOREIGN[1], limit=10, cursor=cursor)).items == ()

    @pytest.mark.parametrize("cursor", ["", "x", "é", "bnVsbA", "WzEsMiwzXQ", "WyJ4IiwxLCJhIl0"])
    async def test_a_cursor_that_was_made_up_is_refused(self, records: Records, cursor: str) -> None:
        with pytest.raises(InvalidName):
            await records.page(ADA, limit=1, cursor=cursor)

    async def test_a_run_is_kept_whole_with_what_it_made_in_order(
        self, records: Records, executions: ExecutionRecords
    ) -> None:
        made = [filed(name, execution="exc_1") for name in ("z", "a", "m")]
        await records.add([filed("unrelated")])

        await records.add(made, execution=execution())

        expected = replace(execution(), artifacts=tuple(entry.artifact for entry in made))
        assert await executions.get(ADA, ExecutionId("exc_1")) == expected

    async def test_a_run_that_was_recorded_before_is_brought_up_to_date(
        self, records: Records, executions: ExecutionRecords
    ) -> None:
        await executions.begin(execution(status="running"), owner="here")
        assert (await executions.get(ADA, ExecutionId("exc_1"))).status == "running"

        await records.add([], execution=execution(status="succeeded"))

        assert (await executions.get(ADA, ExecutionId("exc_1"))).status == "succeeded"

    async def test_half_a_surrogate_in_what_a_program_prints_is_kept_as_a_question_mark(
        self, records: Records, executions: ExecutionRecords
    ) -> None:
        run = execution()
        await executions.begin(replace(run, outcome=replace(run.outcome, stdout="a\ud800b")), owner="here")

        assert (await executions.get(ADA, ExecutionId("exc_1"))).stdout == "a?b"

    async def test_an_unknown_run_is_not_found(self, records: Records, executions: ExecutionRecords) -> None:
        with pytest.raises(ExecutionNotFound):
            await executions.get(ADA, ExecutionId("exc_none"))

    async def test_the_sessions_of_a_user_are_listed_the_last_active_first(
        self, records: Records, executions: ExecutionRecords, clock: Hands
    ) -> None:
        for hour, entry in enumerate([filed("a"), filed("c", scope=FOREIGN[1]), filed("d", scope=FOREIGN[2])]):
            clock.now = NOON + timedelta(hours=hour)
            await records.add([entry])
        await executions.begin(execution(scope=Scope(user="ada", session="run-only")), owner="here")
        clock.now += timedelta(hours=1)
        await records.add([filed("b", scope=FOREIGN[0], size=7), filed("e", scope=FOREIGN[0], size=8)])

        page = await records.sessions("default", "ada")

        assert [(each.session, each.artifacts, each.size) for each in page.items] == [
            ("s-2", 2, 15),
            ("run-only", 0, 0),
            ("s-1", 1, 10),
        ]
        assert [each.created_at for each in page.items] == [NOON + timedelta(hours=h) for h in (3, 2, 0)]
        assert (await records.sessions("default", "nobody")).items == ()
        (one,) = (await records.sessions("default", "ada", session="s-1")).items
        assert one == page.items[2]

    async def test_pages_of_sessions_repeat_and_skip_none(self, records: Records) -> None:
        wanted = [f"s{index}" for index in range(5)]
        for session in wanted:  # All at one moment: the name decides.
            await records.add([filed(session, scope=Scope(user="ada", session=session))])
        seen: list[str] = []
        cursor = None

        for _ in range(3):
            page = await records.sessions("default", "ada", limit=2, cursor=cursor)
            seen += [each.session for each in page.items]
            cursor = page.next_cursor

        assert (seen, cursor) == (wanted, None)

    async def test_a_picture_is_noted_with_its_version(self, records: Records) -> None:
        await records.add([filed(), filed("bare")])
        picture = Preview(blob_key=blob_key(ADA, ArtifactId("art_chart"), 1, "~p"), size=3, sha256="1" * 64)
        assert await records.preview(ArtifactId("art_chart"), 1) is None

        await records.note_preview(ArtifactId("art_chart"), 1, picture)
        await records.note_preview(ArtifactId("art_bare"), 1, None)
        await records.note_preview(ArtifactId("art_gone"), 1, None)

        assert await records.preview(ArtifactId("art_chart"), 1) == picture
        assert await records.preview(ArtifactId("art_bare"), 1) is False
        assert await records.preview(ArtifactId("art_gone"), 1) is None

    # Terms

    @pytest.mark.parametrize(
        ("terms", "fits"),
        [
            (Terms(session=Quota(artifacts=3)), True),
            (Terms(session=Quota(artifacts=2)), False),
            (Terms(session=Quota(size=30)), True),
            (Terms(session=Quota(size=29)), False),
            (Terms(user=Quota(artifacts=4, size=40)), True),
            (Terms(user=Quota(artifacts=3)), False),
            (Terms(user=Quota(size=39)), False),
            (Terms(session=Quota(artifacts=3), user=Quota(artifacts=3)), False),
        ],
        ids=str,
    )
    async def test_a_quota_is_exact_and_what_is_over_it_adds_nothing(
        self, records: Records, executions: ExecutionRecords, terms: Terms, fits: bool
    ) -> None:
        await records.add([filed("a"), filed("b", scope=FOREIGN[0])])
        await records.add([filed("c", scope=FOREIGN[1]), filed("d", scope=FOREIGN[2])])
        more = [filed("e"), filed("f")]

        if fits:
            await records.add(more, terms=terms)
            assert await names(records) == ["art_f", "art_e", "art_a"]
            return
        with pytest.raises(QuotaExceeded):
            await records.add(more, execution=execution(), terms=terms)
        assert await names(records) == ["art_a"]
        with pytest.raises(ExecutionNotFound):
            await executions.get(ADA, ExecutionId("exc_1"))

    async def test_what_is_over_its_time_or_removed_counts_no_more_and_what_is_pinned_does(
        self, records: Records, clock: Hands
    ) -> None:
        one_more = Terms(session=Quota(artifacts=2, size=20))
        await records.add([filed("a"), filed("b")])
        await records.remove(ADA, "art_a")
        await records.add([filed("c")], terms=one_more)
        with pytest.raises(QuotaExceeded) as full:
            await records.add([filed("d")], terms=one_more)
        assert (full.value.used, full.value.asked, full.value.limit) == (2, 1, 2)
        await records.hold(ADA, "art_b", held=True)

        clock.now += timedelta(days=7)  # All but `b` are over.
        await records.add([filed("d", at=clock.now)], terms=one_more)
        with pytest.raises(QuotaExceeded):
            await records.add([filed("e", at=clock.now)], terms=one_more)

    async def test_a_run_without_files_is_recorded_in_a_session_that_is_full(
        self, records: Records, executions: ExecutionRecords
    ) -> None:
        await records.add([filed()])

        await records.add([], execution=execution(), terms=Terms(session=Quota(artifacts=0)))

        assert (await executions.get(ADA, ExecutionId("exc_1"))).is_finished

    @pytest.mark.parametrize(("minutes", "is_in_time"), [(30, True), (31, False)])
    async def test_bytes_that_may_be_taken_for_orphans_get_no_record(
        self, records: Records, clock: Hands, minutes: int, is_in_time: bool
    ) -> None:
        terms = Terms(since=clock.now)
        clock.now += timedelta(minutes=minutes)

        if is_in_time:
            await records.add([filed()], terms=terms)
            assert await names(records) == ["art_chart"]
            return
        with pytest.raises(TookTooLong):
            await records.add([filed()], terms=terms)
        assert await names(records) == []


def _with_reason(entry: Filed, reason: str) -> Filed:
    version = entry.artifact.version
    version = replace(version, provenance=replace(version.provenance, reason=reason))
    return replace(entry, artifact=replace(entry.artifact, version=version))
