"""What the ledger of actions must promise. A back end gives `actions` and its neighbours."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from revisions_suite import revised

from handiwork.errors import (
    ActionDecided,
    ActionNotFound,
    ActionStale,
    ActionVoid,
    ArtifactExpired,
    ArtifactNotFound,
    IdempotencyKeyReused,
    MarksMoved,
)
from handiwork.ids import ActionId
from handiwork.model import Action, Artifact, Principal, Reach
from handiwork.store.actions import Actions
from handiwork.store.event_log import EventLog
from handiwork.store.expiry import Due, Expiry
from handiwork.store.records import Records
from handiwork.store.revisions import Marks, Revisions
from sample_records import ADA, FOREIGN, NOON, Hands, filed

DAY = timedelta(days=1)
USER, AGENT = Principal(kind="user", id="ada"), Principal(kind="agent", id="ada")
SENT = Marks(state="sent")


def proposal(head: Artifact, id: str = "act_1", *, name: str = "sent", key: str | None = None) -> Action:
    return Action(
        id=ActionId(id),
        scope=head.scope,
        artifact_id=head.id,
        name=name,
        version=head.version.number,
        sha256=head.version.sha256,
        status="proposed",
        principal=AGENT,
        proposed_at=NOON,
        expires_at=NOON + DAY,
        params={"to": ["Größe"], "nested": {"n": None}},
        idempotency_key=key,
    )


def agreed(action: Action) -> Action:
    return replace(action, decided_by=USER, outcome={"state": "sent"})


async def told(log: EventLog) -> list[tuple[str, object]]:
    events = (await log.after(ADA, 0, limit=100)).events
    return [(event.type, event.facts.get("status", event.facts.get("state"))) for event in events]


class ActionsSuite:
    @pytest.fixture
    async def head(self, records: Records) -> Artifact:
        await records.add([filed()])
        return (await records.get(ADA, filed().artifact.id)).artifact

    async def test_a_proposal_is_entered_as_it_is_and_told_without_its_arguments(
        self, actions: Actions, log: EventLog, head: Artifact
    ) -> None:
        asked = proposal(head, key="k-1")
        assert await actions.propose(asked) == asked
        assert await actions.get(ADA, asked.id) == asked
        assert await actions.keyed(head, "k-1", by="agent") == asked
        assert await actions.keyed(head, "k-2", by="agent") is None
        *_, event = (await log.after(ADA, 0, limit=100)).events
        assert (event.type, event.artifact_id) == ("artifact-action", head.id)
        assert event.facts == {
            "actionId": "act_1", "action": "sent", "status": "proposed", "version": 1, "principal": "agent",
        }  # fmt: skip

    async def test_nobody_else_sees_it(self, actions: Actions, head: Artifact) -> None:
        await actions.propose(proposal(head, key="k-1"))
        for scope in FOREIGN:
            with pytest.raises(ActionNotFound):
                await actions.get(scope, "act_1")
            elsewhere = replace(head, scope=scope)
            assert await actions.listing(elsewhere, limit=9) == ()
            assert await actions.keyed(elsewhere, "k-1", by="agent") is None
            with pytest.raises(ArtifactNotFound):
                await actions.propose(proposal(elsewhere, "act_2"))
            with pytest.raises(ActionNotFound):
                await actions.reject(replace(proposal(head), scope=scope), by=USER)
        assert (await actions.get(Reach(tenant=ADA.tenant), "act_1")).status == "proposed"

    async def test_the_same_is_open_only_once(self, actions: Actions, log: EventLog, head: Artifact) -> None:
        first = await actions.propose(proposal(head))
        assert await actions.propose(proposal(head, "act_2")) == first
        assert (await actions.propose(replace(proposal(head, "act_3"), params={}))).id == "act_3"
        assert [each.id for each in await actions.listing(head, limit=9)] == ["act_3", "act_1"]
        assert len(await told(log)) == 3

    async def test_a_key_stands_for_one_thing(self, actions: Actions, head: Artifact) -> None:
        first = await actions.propose(proposal(head, key="k-1"))
        assert await actions.propose(proposal(head, "act_2", key="k-1")) == first
        for other in (replace(proposal(head, "act_3", key="k-1"), params={}), proposal(head, "a", name="x", key="k-1")):
            with pytest.raises(IdempotencyKeyReused):
                await actions.propose(other)
            with pytest.raises(IdempotencyKeyReused):
                await actions.finish(agreed(other), head, SENT)

    @pytest.mark.parametrize("known", [None, "k-1"])
    async def test_a_key_that_meets_what_is_open_stands_for_that_from_then_on(
        self, actions: Actions, revisions: Revisions, log: EventLog, head: Artifact, known: str | None
    ) -> None:
        await actions.propose(proposal(head, key=known))
        acts = replace(proposal(head, "act_2", key="k-2"), principal=USER)
        done = await actions.finish(agreed(acts), head, SENT)
        assert (done.action.id, done.action.idempotency_key) == ("act_1", known or "k-2")
        assert await actions.keyed(head, "k-2", by="user") == done.action
        # Where states go in a circle it could be done again.
        back = await revisions.mark(done.artifact, Marks(state="draft"))
        again = await actions.finish(agreed(replace(acts, id=ActionId("act_3"))), back, SENT)
        assert (again.action, again.artifact.state) == (done.action, "draft")
        statuses = [status for type_, status in await told(log) if type_ == "artifact-action"]
        assert statuses == ["proposed", "finished"]
        if known is not None:
            assert await actions.keyed(head, known, by="agent") == done.action

    async def test_who_proposes_with_a_key_what_is_open_is_told_later_what_became_of_it(
        self, actions: Actions, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        for key in ("k-1", "k-2"):
            assert (await actions.propose(proposal(head, "act_2", key=key))).id == "act_1"
        rejected = await actions.reject(proposal(head), by=USER)
        for key in ("k-1", "k-2"):
            assert await actions.propose(proposal(head, "act_3", key=key)) == rejected
            with pytest.raises(IdempotencyKeyReused):
                await actions.propose(proposal(head, "act_3", name="other", key=key))
        assert (await actions.propose(proposal(head, "act_3"))).id == "act_3"

    async def test_what_agents_call_a_key_does_not_stand_in_the_way_of_users(
        self, actions: Actions, head: Artifact
    ) -> None:
        await actions.propose(proposal(head, name="thrown", key="send-1"))
        mine = replace(proposal(head, "act_2", key="send-1"), principal=USER)
        done = await actions.finish(agreed(mine), head, SENT)
        assert (done.action.id, done.artifact.state) == ("act_2", "sent")
        assert await actions.keyed(head, "send-1", by="user") == done.action
        theirs = await actions.keyed(head, "send-1", by="agent")
        assert theirs is not None
        assert theirs.name == "thrown"

    async def test_what_is_agreed_to_is_done_with_its_state_and_its_event(
        self, actions: Actions, records: Records, log: EventLog, clock: Hands, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        clock.now += timedelta(hours=1)
        acted = await actions.finish(agreed(proposal(head)), head, SENT)
        assert acted.artifact == (await records.get(ADA, head.id)).artifact
        assert acted.action == await actions.get(ADA, "act_1")
        assert (acted.artifact.state, acted.action.status, acted.action.decided_by) == ("sent", "finished", USER)
        assert (acted.action.principal, acted.action.finished_at) == (AGENT, clock.now)
        assert acted.action.outcome == {"state": "sent"}
        assert await told(log) == [
            ("artifact-created", None), ("artifact-action", "proposed"),
            ("artifact-state-changed", "sent"), ("artifact-action", "finished"),
        ]  # fmt: skip
        *_, changed, done = (await log.after(ADA, 0, limit=100)).events
        assert (changed.facts["actionId"], changed.facts["principal"]) == ("act_1", "user")
        assert (done.facts["principal"], done.facts["proposedBy"]) == ("user", "agent")

    async def test_what_nobody_proposed_is_done_at_once(self, actions: Actions, log: EventLog, head: Artifact) -> None:
        acted = await actions.finish(agreed(replace(proposal(head), principal=USER, expires_at=None)), head, SENT)
        assert (acted.action.status, acted.artifact.state) == ("finished", "sent")
        assert await actions.get(ADA, "act_1") == acted.action
        assert acted.action.expires_at is None
        assert [status for type_, status in await told(log) if type_ == "artifact-action"] == ["finished"]
        *_, done = (await log.after(ADA, 0, limit=100)).events
        assert "proposedBy" not in done.facts

    async def test_doing_what_is_proposed_alike_is_agreeing_to_that(self, actions: Actions, head: Artifact) -> None:
        await actions.propose(proposal(head))
        acted = await actions.finish(agreed(replace(proposal(head, "act_2"), principal=USER)), head, SENT)
        assert (acted.action.id, acted.action.decided_by) == ("act_1", USER)
        assert [each.id for each in await actions.listing(head, limit=9)] == ["act_1"]

    async def test_it_is_done_once_however_often_it_is_agreed_to_and_from_wherever(
        self, actions: Actions, other_actions: Actions, log: EventLog, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        both = [each.finish(agreed(proposal(head)), head, SENT) for each in (actions, other_actions) * 5]
        acted = await asyncio.gather(*both)
        assert {(each.action.finished_at, each.artifact.state) for each in acted} == {(NOON, "sent")}
        statuses = [status for type_, status in await told(log) if type_ == "artifact-action"]
        assert statuses == ["proposed", "finished"]

    async def test_what_a_key_stands_for_is_done_once(
        self, actions: Actions, other_actions: Actions, log: EventLog, head: Artifact
    ) -> None:
        both = [
            each.finish(agreed(proposal(head, f"act_{number}", key="k-1")), head, SENT)
            for number, each in enumerate((actions, other_actions) * 5)
        ]
        assert len({each.action.id for each in await asyncio.gather(*both)}) == 1
        assert [type_ for type_, _ in await told(log)].count("artifact-state-changed") == 1

    async def test_an_edit_voids_it(
        self, actions: Actions, records: Records, revisions: Revisions, log: EventLog, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        after = await revisions.add(revised(head), expected=1)
        seen = len(await told(log))
        with pytest.raises(ActionVoid) as void:
            await actions.finish(agreed(proposal(head)), after, SENT)
        assert (void.value.version, void.value.head) == (1, 2)
        with pytest.raises(ActionVoid):
            await actions.propose(proposal(head, "act_2", name="other"))
        # Also where the number alone would fit.
        with pytest.raises(ActionVoid):
            await actions.propose(replace(proposal(after, "act_3"), sha256="9" * 64))
        assert (await records.get(ADA, head.id)).artifact.state == "draft"
        assert (await actions.get(ADA, "act_1")).status == "proposed"
        assert len(await told(log)) == seen

    async def test_it_goes_stale_and_can_be_proposed_anew(self, actions: Actions, clock: Hands, head: Artifact) -> None:
        await actions.propose(proposal(head))
        clock.now = NOON + DAY - timedelta(microseconds=1)
        assert (await actions.propose(proposal(head, "act_2"))).id == "act_1"
        clock.now += timedelta(microseconds=1)
        with pytest.raises(ActionStale, match="act_1"):
            await actions.finish(agreed(proposal(head)), head, SENT)
        anew = replace(proposal(head, "act_2"), proposed_at=clock.now, expires_at=clock.now + DAY)
        assert (await actions.propose(anew)).id == "act_2"
        assert (await actions.finish(agreed(anew), head, SENT)).action.id == "act_2"

    async def test_what_is_rejected_is_done_no_more_and_what_is_done_is_not_rejected(
        self, actions: Actions, log: EventLog, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        rejected = await actions.reject(proposal(head), by=USER)
        assert (rejected.status, rejected.decided_by, rejected.outcome) == ("rejected", USER, None)
        assert await actions.reject(proposal(head), by=AGENT) == rejected
        with pytest.raises(ActionDecided, match="rejected"):
            await actions.finish(agreed(proposal(head)), head, SENT)
        anew = await actions.propose(proposal(head, "act_2"))
        await actions.finish(agreed(anew), head, SENT)
        with pytest.raises(ActionDecided, match="finished"):
            await actions.reject(anew, by=USER)
        statuses = [status for type_, status in await told(log) if type_ == "artifact-action"]
        assert statuses == ["proposed", "rejected", "proposed", "finished"]

    async def test_a_state_that_was_changed_meanwhile_is_not_gone_over(
        self, actions: Actions, revisions: Revisions, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        await revisions.mark(head, Marks(state="thrown"))
        with pytest.raises(MarksMoved):
            await actions.finish(agreed(proposal(head)), head, SENT)
        assert (await actions.get(ADA, "act_1")).status == "proposed"

    async def test_with_the_artifact_it_is_gone(
        self, actions: Actions, records: Records, expiry: Expiry, head: Artifact
    ) -> None:
        await actions.propose(proposal(head))
        await records.remove(ADA, head.id)
        with pytest.raises(ArtifactExpired):
            await actions.finish(agreed(proposal(head)), head, SENT)
        await expiry.bury([Due(id=head.id, scope=head.scope, size=head.size)])
        with pytest.raises(ActionNotFound):
            await actions.get(ADA, "act_1")

    async def test_an_erasure_takes_it_too(self, actions: Actions, expiry: Expiry, head: Artifact) -> None:
        await actions.propose(proposal(head))
        await expiry.erase(Reach(tenant=ADA.tenant, user=ADA.user))
        with pytest.raises(ActionNotFound):
            await actions.get(ADA, "act_1")

    async def test_the_newest_are_listed_first(self, actions: Actions, head: Artifact) -> None:
        for number in range(4):
            entry = proposal(head, f"act_{number}", name=f"to-{number}")
            await actions.propose(replace(entry, proposed_at=NOON + timedelta(seconds=number)))
        assert [each.id for each in await actions.listing(head, limit=3)] == ["act_3", "act_2", "act_1"]
