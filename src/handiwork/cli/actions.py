"""The commands `actions`: what agents have proposed, and what the user at this machine decides on it.

What a decision does is the ledger's.
"""

import asyncio
from collections.abc import Awaitable, Callable

from handiwork.cli.failures import DONE
from handiwork.cli.printing import notes, one_line, print_json, print_table, results, say
from handiwork.cli.store import Place, opened
from handiwork.model import Acted
from handiwork.session import Session
from handiwork.shapes import action_shape


def list_actions(place: Place, reference: str) -> int:
    return asyncio.run(_list(place, reference))


def approve(place: Place, action_id: str) -> int:
    return asyncio.run(_decided(place, lambda session: session.approve(action_id)))


def reject(place: Place, action_id: str) -> int:
    return asyncio.run(_decided(place, lambda session: session.reject(action_id)))


async def _list(place: Place, reference: str) -> int:
    async with opened(place) as session:
        found = await session.actions(reference)
    possible = [kind.name for kind in found.possible]
    if place.as_json:
        print_json({"items": [action_shape(each) for each in found.items], "possible": possible})
        return DONE
    rows = [
        (each.id, one_line(each.name), str(each.version), each.status, f"{each.proposed_at:%Y-%m-%d %H:%M}")
        for each in found.items
    ]
    if rows:
        print_table(results(), "", ("id", "action", "version", "status", "proposed"), rows)
    names = ", ".join(one_line(name) for name in possible) or "nothing"
    say(notes(), f"Possible now: {names}.")
    return DONE


async def _decided(place: Place, decide: Callable[[Session], Awaitable[Acted]]) -> int:
    async with opened(place) as session:
        acted = await decide(session)
    action = acted.action
    if place.as_json:
        print_json(action_shape(action))
    else:
        what = f"`{one_line(action.name)}` with version {action.version} of `{acted.artifact.handle}`"
        say(results(), f"Done: {what}." if acted.is_done else f"Rejected: {what}; nothing was done.")
    return DONE
