"""What an agent is told at the beginning of a turn: which artifacts there are, and what users have done with them.

What happened is read from the event log, which names nobody and nothing but ids; what the ids stand for is looked up
in the records. Every part is a tag of XML whose values are cleaned, cut and escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from handiwork.context.inventory import LONGEST_STATE, attributes, inventory
from handiwork.errors import InvalidLimit
from handiwork.events import Event, EventType
from handiwork.ids import ArtifactId, Handle
from handiwork.model import TOOL_RESULT, Scope
from handiwork.references import LONGEST_ID, LONGEST_SUMMARY
from handiwork.store.records import Records, Search
from handiwork.verbs import MOST_ON_A_PAGE
from handiwork.versions.selection import estimate_tokens

CONTEXT_TOKENS = 1000
LEAST_TOKENS = 100
MOST_TOKENS = 100_000
MOST_EVENTS = 2000

# An artifact, or an action, has so many tokens at least.
_LEAST_OF_ONE = 12
# The most of a budget that goes to what users did, as long as there are artifacts.
_SHARE_OF_ACTIONS = 3
_TYPES: tuple[EventType, ...] = ("artifact-revised", "artifact-state-changed", "artifact-action", "artifact-expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One tag of XML for the next turn: the inventory, or something that a user has done."""

    kind: Literal["system_context", "artifact_action"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """What an agent is told before it goes on; `str` of it is the parts below each other."""

    parts: tuple[Part, ...]

    @property
    def tokens(self) -> int:
        """About how many tokens a model reads it as."""
        return estimate_tokens(str(self))

    def __str__(self) -> str:
        return "\n".join(part.text for part in self.parts)


class Past(Protocol):
    """What has happened in sessions."""

    async def latest(self, scope: Scope, types: Sequence[EventType], *, limit: int) -> Sequence[Event]: ...


def context_budget(budget: int) -> int:
    """Return how many tokens the context of a turn may have. Raises `InvalidLimit`."""
    is_whole = isinstance(budget, int)  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
    if not is_whole or not LEAST_TOKENS <= budget <= MOST_TOKENS:
        raise InvalidLimit(
            "budget",
            budget if is_whole else str(budget)[:60],
            expected=f"a whole number from {LEAST_TOKENS} to {MOST_TOKENS:,}",
        )
    return budget


async def turn_context(records: Records, past: Past, scope: Scope, *, budget: int = CONTEXT_TOKENS) -> TurnContext:
    """Return the parts for the next turn of a session, `budget` tokens of them at most.

    Users' actions come after the inventory in the order in which they happened, the oldest ones as a count where there
    is no room for them; what lies before the last `MOST_EVENTS` changes is not counted. As long as nothing happens,
    every call returns the same bytes.
    """
    budget = context_budget(budget)
    limit = min(MOST_ON_A_PAGE, budget // _LEAST_OF_ONE + 1)
    # Large answers of tools are told to the agent when they come, by what they can be read with.
    page = await records.page(scope, search=Search(without=TOOL_RESULT), limit=limit)
    room = budget // _SHARE_OF_ACTIONS if page.items else budget
    done = await _actions(records, past, scope, most=room // _LEAST_OF_ONE)
    actions = _folded(done, room=room)
    left = budget - estimate_tokens("\n".join(("", *actions)))
    listed = inventory(page.items, budget=left, is_all=page.next_cursor is None)
    parts = [Part(kind="system_context", text=listed)] if listed else []
    return TurnContext(parts=(*parts, *(Part(kind="artifact_action", text=text) for text in actions)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What users did: the newest actions as text, and how many there were before."""

    newest_first: Sequence[str]
    earlier: int


async def _actions(records: Records, past: Past, scope: Scope, *, most: int) -> _Done:
    latest = await past.latest(scope, _TYPES, limit=MOST_EVENTS)
    by_users = [event for event in latest if _is_of_user(event)]
    told = by_users[:most]
    handles = await records.handles(scope, sorted({event.artifact_id for event in told if event.artifact_id}))
    # In the words of the user, as long as the version is to be had.
    reasons = await records.reasons(scope, [made for event in told if (made := _made(event))])
    texts = [_action(event, handles, (made := _made(event)) and reasons.get(made)) for event in told]
    return _Done(newest_first=texts, earlier=len(by_users) - len(told))


def _is_of_user(event: Event) -> bool:
    by = event.facts.get("principal")
    if event.artifact_id is None:
        return False
    if event.type == "artifact-action":
        # Who decides for a user is told too, or the agent would go on waiting.
        return by in {"user", "admin"} and event.facts.get("status") != "proposed"
    if by != "user":
        return False
    # The change of state that an action makes is told by the action.
    return "actionId" not in event.facts


def _made(event: Event) -> tuple[ArtifactId, int] | None:
    """Return the version that the event tells of."""
    version = event.facts.get("version")
    if event.type != "artifact-revised" or not isinstance(version, int) or event.artifact_id is None:
        return None
    return event.artifact_id, version


def _action(event: Event, handles: Mapping[ArtifactId, Handle], reason: str | None) -> str:
    facts, id = event.facts, event.artifact_id
    match event.type:
        case "artifact-revised":
            action = "edited" if "restores" not in facts else "restored"
        case "artifact-expired":
            action = "removed"
        case "artifact-action":
            done = "approved" if "proposedBy" in facts else "done"
            action = "rejected" if facts.get("status") == "rejected" else done
        case _:
            action = "changed"
    said = attributes(
        (
            ("id", handles.get(id, id) if id is not None else None, LONGEST_ID),
            ("action", action, LONGEST_STATE),
            ("what", facts.get("action"), LONGEST_STATE),
            ("version", facts.get("version"), LONGEST_STATE),
            ("restores", facts.get("restores"), LONGEST_STATE),
            ("changed", facts.get("changed"), LONGEST_STATE),
            ("state", facts.get("state"), LONGEST_STATE),
            ("reason", reason, LONGEST_SUMMARY),
        )
    )
    return f'<artifact_action by="{"admin" if facts.get("principal") == "admin" else "user"}" {said} />'


def _folded(done: _Done, *, room: int) -> list[str]:
    """Return the newest actions that `room` tokens hold, in order, after a count of those before them."""
    count = len(done.newest_first)
    while count >= 0:
        earlier = done.earlier + len(done.newest_first) - count
        texts = [*reversed(done.newest_first[:count])]
        if earlier:
            texts.insert(0, f'<artifact_action by="user" action="earlier" count="{earlier}" />')
        if estimate_tokens("\n".join(("", *texts))) <= room:
            return texts
        count -= 1
    return []
