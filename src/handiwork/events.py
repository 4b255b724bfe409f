"""What happens in a session, as frozen values. Who keeps them and who is told is not known here.

An event carries ids, numbers and states, never content, titles or names, so that a user can be erased. What a program
writes while it runs is content, and so is what a model is writing: both pass by who follows then, and are no events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from handiwork.ids import ArtifactId, EventId, ExecutionId
from handiwork.model import Scope

EventType = Literal[
    "artifact-created",
    "artifact-revised",
    "artifact-failed",
    "artifact-state-changed",
    "artifact-action",
    "artifact-expired",
    "tool-result-cached",
    "execution-started",
    "execution-finished",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event to be: it gets its number, id and time when it is written, in the transaction of the change itself."""

    type: EventType
    artifact_id: ArtifactId | None = None
    execution_id: ExecutionId | None = None
    facts: Mapping[str, str | int] = field(default_factory=dict[str, str | int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that has happened; `seq` rises by one in each session, from 1, without gaps."""

    seq: int
    id: EventId
    scope: Scope
    type: EventType
    at: datetime
    artifact_id: ArtifactId | None = None
    execution_id: ExecutionId | None = None
    facts: Mapping[str, str | int] = field(default_factory=dict[str, str | int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of content that is being written. Nobody keeps it; the version is there when it is committed.

    `offset` is the place of its first character in the text so far, in code points. Who comes later gets the text so
    far first, and at its begin how many characters of it are still to come as `more`.
    """

    scope: Scope
    artifact_id: ArtifactId
    artifact_type: str
    offset: int
    text: str
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a program that runs has just written. Nobody keeps it: it has no `seq`, and who comes later gets the rest.

    `offset` is the place of its first byte in all that the stream has had so far; a gap is what was left out because
    it came faster than it is told.
    """

    scope: Scope
    execution_id: ExecutionId
    stream: Literal["stdout", "stderr"]
    offset: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """That nothing more of some content is written; what has come of it is told by an event, if anything has."""

    scope: Scope
    artifact_id: ArtifactId


Passing = Output | Delta
"""What passes by those who follow, and has no `seq`."""
Told = Event | Passing | Settled
"""All that those who follow live are told."""
