from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from handiwork.events import Event, Happening
from handiwork.ids import ArtifactId, EventId
from handiwork.model import Scope

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
EVENT = Event(seq=1, id=EventId("evt_1"), scope=Scope(session="s"), type="artifact-created", at=NOON)


def test_an_event_of_nothing_in_particular_names_no_artifact_and_no_run() -> None:
    assert (EVENT.artifact_id, EVENT.execution_id, dict(EVENT.facts)) == (None, None, {})


def test_a_happening_has_no_number_and_no_time_yet() -> None:
    happening = Happening(type="artifact-expired", artifact_id=ArtifactId("art_1"), facts={"reason": "removed"})
    assert not hasattr(happening, "seq")
    assert not hasattr(happening, "at")


def test_what_has_happened_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        EVENT.seq = 2  # pyright: ignore[reportAttributeAccessIssue]  # the point


def test_two_happenings_do_not_share_their_facts() -> None:
    assert Happening(type="execution-started").facts is not Happening(type="execution-started").facts
