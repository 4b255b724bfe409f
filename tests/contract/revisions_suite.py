"""What everything that changes artifacts must promise. A back end gives `revisions` and its neighbours."""

from dataclasses import replace
from datetime import timedelta

import pytest

from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    HeadMoved,
    MarksMoved,
    QuotaExceeded,
    ScopeErased,
    StorageFailed,
    TookTooLong,
)
from handiwork.events import Happening
from handiwork.ids import ArtifactId
from handiwork.model import Artifact, Reach
from handiwork.store.event_log import EventLog
from handiwork.store.expiry import Expiry
from handiwork.store.keys import blob_key
from handiwork.store.records import Filed, Quota, Records, Terms
from handiwork.store.revisions import Marks, Revisions
from sample_records import ADA, FOREIGN, NOON, Hands, InVain, filed, outlined

WEEK = timedelta(days=7)


def revised(head: Artifact, *, size: int = 20, title: str | None = None) -> Filed:
    version = replace(head.version, number=head.version.number + 1, size=size, sha256="1" * 64)
    artifact = replace(head, version=version, title=title or head.title)
    return Filed(artifact=artifact, blob_key=blob_key(head.scope, head.id, version.number, version.name))


async def told(log: EventLog) -> list[tuple[int, str]]:
    return [(event.seq, event.type) for event in (await log.after(ADA, 0, limit=100)).events]


class RevisionsSuite:
    @pytest.fixture
    async def head(self, records: Records) -> Artifact:
        await records.add([filed()])
        return (await records.get(ADA, filed().artifact.id)).artifact

    async def test_what_is_kept_of_long_bytes_belongs_to_every_version_that_names_them(
        self, revisions: Revisions, records: Records, head: Artifact
    ) -> None:
        second = outlined(revised(head))
        made = await revisions.add(second, expected=1)
        third = Filed(artifact=replace(made, version=replace(made.version, number=3)), blob_key=second.blob_key)
        await revisions.add(third, expected=2, restores=2)

        for version, outline in ((1, None), (2, second.outline), (3, second.outline)):
            assert await records.outline(await records.get(ADA, head.id, version=version)) == outline

    async def test_a_version_becomes_the_head_and_those_before_stay(
        self, revisions: Revisions, records: Records, log: EventLog, clock: Hands, head: Artifact
    ) -> None:
        clock.now += timedelta(hours=1)
        made = await revisions.add(revised(head, title="Another"), expected=1)
        found = await records.get(ADA, head.id)
        assert found.artifact == made
        assert (made.version.number, made.title, made.updated_at) == (2, "Another", clock.now)
        assert found.blob_key == revised(head).blob_key
        assert (await records.get(ADA, head.id, version=1)).artifact.version == head.version
        assert await told(log) == [(1, "artifact-created"), (2, "artifact-revised")]

    async def test_nothing_is_added_to_a_head_that_has_moved(
        self, revisions: Revisions, records: Records, log: EventLog, head: Artifact
    ) -> None:
        await revisions.add(revised(head), expected=1)
        with pytest.raises(HeadMoved) as moved:
            await revisions.add(revised(head), expected=1)
        assert moved.value.head == 2
        assert (await records.get(ADA, head.id)).artifact.version.number == 2
        assert len(await told(log)) == 2

    async def test_what_was_waited_for_in_vain_takes_the_version_back(
        self, revisions: Revisions, records: Records, log: EventLog, head: Artifact
    ) -> None:
        with pytest.raises(StorageFailed):
            await revisions.add(revised(head), expected=1, until=InVain(StorageFailed("the blobs", "gone")))
        assert (await records.get(ADA, head.id)).artifact == head
        assert len(await told(log)) == 1

    async def test_what_has_ended_is_not_revised(
        self, revisions: Revisions, expiry: Expiry, clock: Hands, head: Artifact
    ) -> None:
        clock.now += WEEK
        with pytest.raises(ArtifactExpired):
            await revisions.add(revised(head), expected=1)
        with pytest.raises(ArtifactExpired):
            await revisions.mark(head, Marks(labels=["a"]))
        with pytest.raises(ArtifactExpired):
            await revisions.listing(ADA, head.id, limit=10)
        await expiry.erase(Reach(tenant=ADA.tenant, user=ADA.user, session=ADA.session))
        with pytest.raises(ArtifactNotFound):
            await revisions.add(revised(head), expected=1)

    async def test_quotas_and_erasures_count_for_versions_too(
        self, revisions: Revisions, records: Records, expiry: Expiry, head: Artifact
    ) -> None:
        with pytest.raises(QuotaExceeded):
            await revisions.add(revised(head, size=91), expected=1, terms=Terms(session=Quota(size=100)))
        await revisions.add(revised(head, size=90), expected=1, terms=Terms(session=Quota(size=100, artifacts=1)))
        page = await records.sessions(ADA.tenant, ADA.user)
        assert [(each.artifacts, each.size) for each in page.items] == [(1, 100)]
        await expiry.erase(Reach(tenant=ADA.tenant, user=ADA.user, session=ADA.session))
        with pytest.raises((ScopeErased, ArtifactNotFound)):
            await revisions.add(revised(head), expected=2, terms=Terms(since=NOON))

    async def test_the_terms_hold_for_empty_content_too(
        self, revisions: Revisions, clock: Hands, head: Artifact
    ) -> None:
        late = Terms(since=clock.now - timedelta(hours=1))
        with pytest.raises(TookTooLong):
            await revisions.add(revised(head, size=0), expected=1, terms=late)
        # Of what nothing more is asked there may be too much.
        full = Terms(session=Quota(size=1, artifacts=0), since=clock.now)
        assert (await revisions.add(revised(head, size=0), expected=1, terms=full)).version.number == 2

    async def test_pages_of_versions_hold_all_of_them_once(self, revisions: Revisions, head: Artifact) -> None:
        for _ in range(6):
            head = await revisions.add(revised(head), expected=head.version.number)
        seen: list[int] = []
        before: int | None = None
        while True:
            page = await revisions.listing(ADA, head.id, limit=3, before=before)
            seen += [version.number for version in page.items]
            before = page.next_before
            if before is None:
                break
        assert seen == [7, 6, 5, 4, 3, 2, 1]

    @pytest.mark.parametrize("scope", FOREIGN)
    async def test_foreign_artifacts_are_not_there(self, revisions: Revisions, head: Artifact, scope: object) -> None:
        assert isinstance(scope, type(ADA))
        with pytest.raises(ArtifactNotFound):
            await revisions.listing(scope, head.id, limit=10)
        with pytest.raises(ArtifactNotFound):
            await revisions.mark(replace(head, scope=scope), Marks(labels=["theirs"]))
        with pytest.raises(ArtifactNotFound):
            await revisions.add(revised(replace(head, scope=scope)), expected=1)

    async def test_marks_are_noted_and_told_once(
        self, revisions: Revisions, records: Records, log: EventLog, head: Artifact
    ) -> None:
        marked = await revisions.mark(head, Marks(state="sent", facts={"at": "noon"}, labels=["a", "b"]))
        assert (marked.state, marked.facts, marked.labels) == ("sent", {"at": "noon"}, ("a", "b"))
        assert (await records.get(ADA, head.id)).artifact == marked
        assert await revisions.mark(marked, Marks(labels=["a", "b"])) == marked
        assert await told(log) == [(1, "artifact-created"), (2, "artifact-state-changed")]

    async def test_marks_decided_on_what_has_changed_are_refused(self, revisions: Revisions, head: Artifact) -> None:
        await revisions.mark(head, Marks(state="sent"))
        with pytest.raises(MarksMoved):
            await revisions.mark(head, Marks(state="approved"))

    async def test_marks_for_one_version_are_refused_at_another(
        self, revisions: Revisions, records: Records, head: Artifact
    ) -> None:
        after = await revisions.add(revised(head), expected=1)
        for marks in (Marks(state="sent", version=1), Marks(version=1)):
            with pytest.raises(MarksMoved):
                await revisions.mark(head, marks)
        assert (await records.get(ADA, head.id)).artifact == after
        assert (await revisions.mark(head, Marks(state="sent", version=2))).state == "sent"

    async def test_what_has_happened_is_told_and_changes_nothing(
        self, revisions: Revisions, records: Records, log: EventLog
    ) -> None:
        failed = Happening(type="artifact-failed", artifact_id=ArtifactId("art_x"), facts={"code": "broken_off"})
        await revisions.tell(ADA, failed, since=NOON)
        assert await told(log) == [(1, "artifact-failed")]
        assert (await records.page(ADA, limit=10)).items == ()
