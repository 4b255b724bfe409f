from collections.abc import Sequence
from dataclasses import replace

import pytest

from handiwork.actions.ledger import ATTEMPTS, DECIDERS, STALE_AFTER, Ledger, demand_decider, names_of_actions
from handiwork.errors import ApprovalNeeded, MarksMoved
from handiwork.model import Acted, Action, Artifact, Principal, PrincipalKind, Reach, Scope
from handiwork.store.revisions import Marks
from handiwork.types.json_document import json_type
from handiwork.types.registry import Registry
from memory_store import NOON, MemoryRecords
from sample_records import ADA, filed

LETTER = replace(
    json_type(),
    name="letter",
    aliases=(),
    states=("draft", "sent", "answered"),
    transitions={"draft": ("sent",), "sent": ("answered", "draft")},
)
NOTE = replace(LETTER, name="note", states=("draft", "read", "sent"), transitions={"draft": ("read", "sent")})
USER = Principal(kind="user", id="ada")


class Moving:
    """A ledger whose artifact is changed by others, so many times."""

    def __init__(self, times: int) -> None:
        self.times, self.tried = times, 0

    async def get(self, reach: Scope | Reach, action_id: str) -> Action:
        raise AssertionError(action_id)

    async def keyed(self, artifact: Artifact, idempotency_key: str, *, by: PrincipalKind) -> Action | None:
        return None

    async def listing(self, artifact: Artifact, *, limit: int) -> Sequence[Action]:
        return ()

    async def propose(self, action: Action) -> Action:
        return action

    async def finish(self, action: Action, found: Artifact, marks: Marks) -> Acted:
        self.tried += 1
        if self.tried <= self.times:
            raise MarksMoved(found.id)
        return Acted(action=replace(action, status="finished"), artifact=replace(found, state=marks.state))

    async def reject(self, action: Action, *, by: Principal) -> Action:
        raise AssertionError(by)


class Faster(Moving):
    """A ledger in which others do what is approved just after it was looked for."""

    def __init__(self, waits: Action) -> None:
        super().__init__(0)
        self.stands = [waits, replace(waits, status="finished")]

    async def get(self, reach: Scope | Reach, action_id: str) -> Action:
        return self.stands.pop(0)


def ledger(actions: Moving, records: MemoryRecords) -> Ledger:
    return Ledger(records=records, actions=actions, types=Registry([LETTER, NOTE]), clock=lambda: NOON)


@pytest.fixture
def records() -> MemoryRecords:
    records, entry = MemoryRecords(), filed()
    records.filed.append(replace(entry, artifact=replace(entry.artifact, type="letter")))
    return records


@pytest.mark.parametrize("kind", ["agent", "system"])
def test_who_is_no_user_decides_on_nothing(kind: str):
    with pytest.raises(ApprovalNeeded, match=kind):
        demand_decider(Principal(kind=kind))  # pyright: ignore[reportArgumentType]  # one of them


def test_users_decide_and_so_do_admins_who_act_for_them():
    assert frozenset({"user", "admin"}) == DECIDERS
    for kind in DECIDERS:
        demand_decider(Principal(kind=kind))


def test_what_several_types_call_alike_is_named_once():
    assert names_of_actions(Registry([LETTER, NOTE, json_type()])) == ("draft", "sent", "answered", "read")


async def test_it_is_tried_again_when_others_note_something_meanwhile(records: MemoryRecords):
    moving = Moving(ATTEMPTS - 1)
    acted = await ledger(moving, records).act(ADA, "art_chart", "sent", by=USER)
    assert (acted.artifact.state, moving.tried) == ("sent", ATTEMPTS)


async def test_and_given_up_when_that_does_not_end(records: MemoryRecords):
    moving = Moving(ATTEMPTS)
    with pytest.raises(MarksMoved):
        await ledger(moving, records).act(ADA, "art_chart", "sent", by=USER)
    assert moving.tried == ATTEMPTS


async def test_a_proposal_names_the_version_its_hash_and_its_end(records: MemoryRecords):
    acted = await ledger(Moving(0), records).propose(ADA, "art_chart", "sent", by=Principal(kind="agent", id="ada"))
    version = acted.artifact.version
    assert (acted.action.version, acted.action.sha256) == (version.number, version.sha256)
    assert (acted.action.status, acted.action.expires_at) == ("proposed", NOON + STALE_AFTER)


async def test_what_others_do_while_it_is_approved_is_done_and_not_impossible(records: MemoryRecords):
    waits = (await ledger(Moving(0), records).propose(ADA, "art_chart", "sent", by=USER)).action
    (entry,) = records.filed
    records.filed[:] = [replace(entry, artifact=replace(entry.artifact, state="sent"))]
    acted = await ledger(Faster(waits), records).approve(ADA, waits.id, by=USER)
    assert (acted.is_done, acted.artifact.state) == (True, "sent")


async def test_an_artifact_whose_type_is_gone_has_no_actions(records: MemoryRecords):
    bare = Ledger(records=records, actions=Moving(0), types=Registry([json_type()]), clock=lambda: NOON)
    assert (await bare.listing(ADA, "art_chart", limit=1)).possible == ()
