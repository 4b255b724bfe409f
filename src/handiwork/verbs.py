"""What the verbs of a session take, wherever they are carried out: in this process or over HTTP.

How they are carried out is known to `session` and to `client`.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, TypedDict, Unpack

from handiwork.characters import HALF
from handiwork.errors import InvalidContent, InvalidLimit, InvalidName
from handiwork.ids import Handle, is_handle
from handiwork.model import KIB, LONGEST_RETENTION, MIB

MOST_ON_A_PAGE = 1000
SELECTION_BYTES = 32 * KIB
LARGEST_SELECTION_BYTES = MIB
LARGEST_VERSION = 2**31 - 1

_KEY = re.compile(r"[!-~]{1,200}")
HANDLE = "1 to 12 of `a-z 0-9`, `_` and 4 more, such as `draft_k3x9`"


Retained = timedelta | Literal["default"] | None


class Described(TypedDict, total=False):
    """What may be said of content beside itself; a new version carries forward what is not said."""

    title: str | None
    language: str | None
    metadata: Mapping[str, object] | None


class Introduced(Described, total=False):
    """What may be said of a new artifact beside that: what it is in a line, and the handle that it is to have."""

    summary: str | None
    handle: str | None


class Ordered(TypedDict, total=False):
    """What may be said of a run beside its program: what its files are called, and which tool call has asked for it."""

    title: str | None
    tool_call_id: str | None


class Recorded(TypedDict, total=False):
    """What may be said of a tool's answer beside itself: `ttl` is how long it is kept, half an hour unless said."""

    failed: bool
    category: str | None
    media_type: str | None
    ttl: timedelta | None
    summary_data: Mapping[str, object] | None
    """What it holds in short, as JSON."""


class Acting(TypedDict, total=False):
    """What may be said of an action beside its name: `params` are its arguments.

    `version` is the one that it is for, the newest unless said. What is asked again with a key is not done again.
    """

    params: Mapping[str, object] | None
    version: int | None
    idempotency_key: str | None


def demand_whole(**texts: str | None) -> None:
    """Raise `InvalidContent` for a text with half a character in it, which neither JSON nor a database can hold."""
    for name, text in texts.items():
        if isinstance(text, str) and (half := HALF.search(text)) is not None:
            got = f"half a character at position {half.start()}"
            raise InvalidContent(name, expected="text of whole characters", got=got)


def version_number(version: int | None) -> int | None:
    """Return the number by which a version is asked for. Raises `InvalidLimit` for what is no number."""
    if version is not None and not _is_whole(version):
        raise InvalidLimit("version", str(version)[:100], expected="the whole number of a version")
    return version


def demand_acting(action: str, **said: Unpack[Acting]) -> None:
    """Refuse an action, a version or a key that there can never be. Raises `InvalidName` and `InvalidLimit`."""
    demand_whole(action=action)
    if not isinstance(action, str) or not action:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise InvalidName("action", str(action)[:60], expected="the name of an action, as `actions` lists them")
    version, key = version_number(said.get("version")), said.get("idempotency_key")
    if version is not None and not 1 <= version <= LARGEST_VERSION:
        raise InvalidLimit("version", version, expected=f"the number of a version, from 1 to {LARGEST_VERSION:,}")
    if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        expected = "1 to 200 visible characters of ASCII, without spaces"
        raise InvalidName("idempotency key", str(key)[:60], expected=expected)


def page_size(limit: int) -> int:
    """Return how many may be on a page. Raises `InvalidLimit`."""
    if not _is_whole(limit) or not 1 <= limit <= MOST_ON_A_PAGE:
        raise InvalidLimit("limit", limit, expected=f"a whole number from 1 to {MOST_ON_A_PAGE:,}")
    return limit


def selection_budget(budget: int) -> int:
    """Return how many bytes a part of some content may have. Raises `InvalidLimit`."""
    if not _is_whole(budget) or not 1 <= budget <= LARGEST_SELECTION_BYTES:
        raise InvalidLimit("budget", budget, expected=f"a whole number from 1 to {LARGEST_SELECTION_BYTES:,}")
    return budget


def handle_asked(handle: str | None) -> Handle | None:
    """Return the handle that an artifact is to have. Raises `InvalidName`."""
    if handle is not None and not (isinstance(handle, str) and is_handle(handle)):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise InvalidName("handle", str(handle)[:60], expected=HANDLE)
    return None if handle is None else Handle(handle)


def retention_asked(retention: Retained) -> Retained:
    """Return how long an artifact shall be kept. Raises `InvalidLimit`."""
    if retention is None or retention == "default":
        return retention
    if not isinstance(retention, timedelta) or not timedelta(0) < retention <= LONGEST_RETENTION:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        expected = "a `timedelta` to come, of 100 years at most, or None for ever"
        raise InvalidLimit("retention", str(retention)[:100], expected=expected)
    return retention


def _is_whole(value: object) -> bool:
    # For Python a truth value is a number, and no caller who gives one has meant that.
    return isinstance(value, int) and not isinstance(value, bool)
