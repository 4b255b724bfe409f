"""Identifiers: how they are made and how they look.

Nothing here knows what an identifier stands for, and none of them is a secret: scope is always checked.
"""

import re
import secrets
import string
from collections.abc import Callable, Sequence
from functools import cache
from typing import NewType

ArtifactId = NewType("ArtifactId", str)
ExecutionId = NewType("ExecutionId", str)
EventId = NewType("EventId", str)
ActionId = NewType("ActionId", str)
Handle = NewType("Handle", str)

RandomBelow = Callable[[int], int]

BASE62 = string.digits + string.ascii_letters
BASE36 = string.digits + string.ascii_lowercase
ARTIFACT_PREFIX = "art_"
EXECUTION_PREFIX = "exc_"
EVENT_PREFIX = "evt_"
ACTION_PREFIX = "act_"
STEM_LENGTH = 12

_HANDLE = re.compile(rf"[a-z0-9]{{1,{STEM_LENGTH}}}_[a-z0-9]{{4}}")


def nanoid(length: int = 22, *, alphabet: str = BASE62, below: RandomBelow = secrets.randbelow) -> str:
    """Return `length` random characters of `alphabet`; 22 of base62 carry 131 bits. `below` is asked once."""
    number = below(len(alphabet) ** length)
    pairs = _pairs(alphabet)
    parts: list[str] = []
    for _ in range(length // 2):
        number, place = divmod(number, len(pairs))
        parts.append(pairs[place])
    return "".join(parts) + (alphabet[number] if length % 2 else "")


@cache
def _pairs(alphabet: str) -> Sequence[str]:
    """All two characters of an alphabet: numbers of many digits are divided half as often."""
    return [first + second for second in alphabet for first in alphabet]


def new_artifact_id(*, prefix: str = ARTIFACT_PREFIX, below: RandomBelow = secrets.randbelow) -> ArtifactId:
    return ArtifactId(prefix + nanoid(below=below))


def new_execution_id(*, below: RandomBelow = secrets.randbelow) -> ExecutionId:
    return ExecutionId(EXECUTION_PREFIX + nanoid(below=below))


def new_event_id(*, below: RandomBelow = secrets.randbelow) -> EventId:
    return EventId(EVENT_PREFIX + nanoid(below=below))


def new_action_id(*, below: RandomBelow = secrets.randbelow) -> ActionId:
    return ActionId(ACTION_PREFIX + nanoid(below=below))


def is_handle(text: str) -> bool:
    """Tell whether an artifact can have this handle."""
    return _HANDLE.fullmatch(text) is not None


def new_handle(name: str, *, below: RandomBelow = secrets.randbelow) -> Handle:
    """Return a short name that models copy without error, such as `chart_k3x9` for `chart.png`."""
    stem = name.rsplit("/", 1)[-1].partition(".")[0].lower()
    kept = "".join(c for c in stem if c in BASE36)[:STEM_LENGTH] or "file"
    return Handle(f"{kept}_{nanoid(4, alphabet=BASE36, below=below)}")
