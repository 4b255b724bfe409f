"""Half a character in what a caller says: one refusal that names the argument, in this process and over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sides import Verbs

from handiwork.errors import ExecutionNotFound, InvalidContent

HALF = "a\ud800"
CALLS: dict[str, tuple[str, Callable[[Verbs], Awaitable[Any]]]] = {
    "create": ("type", lambda session: session.create(HALF, content="a")),
    "promote": ("type", lambda session: session.promote("call_1", HALF)),
    "promote a title": ("title", lambda session: session.promote("call_1", "csv", title=HALF)),
    "list a type": ("type", lambda session: session.list(type=HALF)),
    "list without": ("without", lambda session: session.list(without=HALF)),
    "list a state": ("state", lambda session: session.list(state=HALF)),
    "list a text": ("query", lambda session: session.list(query=HALF)),
    "step": ("state", lambda session: session.step("note_0001", state=HALF)),
    "summary": ("summary", lambda session: session.create("markdown", content="a", summary=HALF)),
}


@pytest.mark.parametrize("call", CALLS)
async def test_half_a_character_is_refused_by_the_name_of_its_argument(session: Verbs, call: str) -> None:
    name, verb = CALLS[call]
    with pytest.raises(InvalidContent, match=f"`{name}` .* whole characters"):
        await verb(session)
    assert not (await session.list()).items


async def test_whole_characters_of_two_halves_in_utf_16_are_taken(session: Verbs) -> None:
    made = await session.create("markdown", content="a", title="\U0001f600", summary="\U0001f600")
    assert [each.id for each in (await session.list(query="\U0001f600")).items] == [made.id]


async def test_a_run_whose_id_is_half_a_character_is_not_found(session: Verbs) -> None:
    for verb in (session.cancel, session.execution):
        with pytest.raises(ExecutionNotFound):
            await verb(HALF)
