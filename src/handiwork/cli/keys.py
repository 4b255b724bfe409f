"""The commands `keys create`, `keys list` and `keys revoke`. What a key is and what it allows is `access`'s."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from handiwork import wiring
from handiwork.cli.failures import DONE, StoreNotFound
from handiwork.cli.locating import located
from handiwork.cli.printing import notes, one_line, print_facts, print_json, print_table, results, say
from handiwork.clock import utc_now
from handiwork.model import Reach
from handiwork.quantities import seconds
from handiwork.settings import load
from handiwork.shapes import Shape, time_shape
from handiwork.store.key_records import KeyKind, KeyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which keys are meant, and how to answer."""

    data: str | None = None
    tenant: str = "default"
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key as it was asked for; no permissions are all that its kind may hold."""

    kind: KeyKind
    user: str | None = None
    session: str | None = None
    name: str = ""
    expires_in: str | None = None
    permissions: Sequence[str] = ()


def create(place: Place, wanted: Wanted) -> int:
    """Make a key and print it, which happens this once; what is to be known of it goes to standard error."""
    if wanted.kind == "agent" and wanted.session is None:
        raise click.UsageError("A key for an agent is for one session: name it with `--session`.")
    if wanted.kind == "admin" and (wanted.user is not None or wanted.session is not None):
        raise click.UsageError("A key for an admin is for a whole tenant: leave out `--user` and `--session`.")
    return asyncio.run(_create(place, wanted))


def list_keys(place: Place) -> int:
    return asyncio.run(_list(place))


def revoke(place: Place, key_id: str) -> int:
    return asyncio.run(_revoke(place, key_id))


async def _create(place: Place, wanted: Wanted) -> int:
    expires_in = None if wanted.expires_in is None else seconds(wanted.expires_in, name="--expires-in")
    # A user's or agent's key is for the user that the other commands act as, unless another is named.
    user = wanted.user if wanted.kind == "admin" or wanted.user is not None else "local"
    async with wiring.open_keys(place.data, settings=load()) as keys:
        record, spelled = await keys.create(
            Reach(tenant=place.tenant, user=user, session=wanted.session),
            wanted.kind,
            name=wanted.name,
            permissions=wanted.permissions or None,
            expires_in=expires_in,
        )
    if place.as_json:
        print_json({"key": spelled} | _shape(record, utc_now()))
        return DONE
    console = notes()
    print_facts(console, _facts(record))
    say(console, ("Keep the key now: it is shown this once, and a server needs no restart to know it.", "bold"))
    sys.stdout.write(f"{spelled}\n")
    return DONE


async def _list(place: Place) -> int:
    settings, now = load(), utc_now()
    found: Sequence[KeyRecord] = ()
    remark = f"No keys of the tenant `{place.tenant}` yet; `handiwork keys create` makes one."
    try:
        located(place.data, settings)
        async with wiring.open_keys(place.data, settings=settings) as keys:
            found = await keys.list(place.tenant)
    except StoreNotFound as missing:
        remark = str(missing)
    if place.as_json:
        print_json({"tenant": place.tenant, "items": [_shape(record, now) for record in found]})
    elif found:
        rows = [
            (each.id, each.kind, one_line(each.name), _whose(each), _day(each.created_at), _state(each, now))
            for each in found
        ]
        print_table(results(), "", ("id", "kind", "name", "for", "made", "state"), rows)
    else:
        say(notes(), remark)
    return DONE


async def _revoke(place: Place, key_id: str) -> int:
    settings = load()
    located(place.data, settings)
    async with wiring.open_keys(place.data, settings=settings) as keys:
        record = await keys.revoke(place.tenant, _id_of(key_id))
    if place.as_json:
        print_json({"revoked": _shape(record, utc_now())})
    else:
        named = f" ({one_line(record.name)})" if record.name else ""
        say(results(), f"Revoked the key `{record.id}`{named}. Running servers refuse it within five seconds.")
    return DONE


def _id_of(told: str) -> str:
    """Return the id of a key that was given whole, as people do who have nothing else of it."""
    return told.removeprefix("hw_").partition("_")[0] if told.startswith("hw_") else told


def _facts(record: KeyRecord) -> dict[str, str]:
    return {
        "id": record.id,
        "kind": record.kind,
        "for": _whose(record),
        "name": record.name or "—",
        "may": ", ".join(sorted(record.permissions)),
        "expires": "never" if record.expires_at is None else f"{record.expires_at:%Y-%m-%d %H:%M} UTC",
    }


def _whose(record: KeyRecord) -> str:
    if record.user is None:
        return f"tenant {one_line(record.tenant)}"
    whose = f"user {one_line(record.user)}"
    return whose if record.session is None else f"{whose}, session {one_line(record.session)}"


def _state(record: KeyRecord, now: datetime) -> str:
    if record.revoked_at is not None:
        return f"revoked {_day(record.revoked_at)}"
    if record.expires_at is None:
        return "valid"
    return f"{'valid until' if record.is_valid_at(now) else 'expired'} {_day(record.expires_at)}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _shape(record: KeyRecord, now: datetime) -> Shape:
    return {
        "id": record.id,
        "kind": record.kind,
        "tenant": record.tenant,
        "user": record.user,
        "session": record.session,
        "name": record.name,
        "permissions": sorted(record.permissions),
        "createdAt": time_shape(record.created_at),
        "expiresAt": None if record.expires_at is None else time_shape(record.expires_at),
        "revokedAt": None if record.revoked_at is None else time_shape(record.revoked_at),
        "valid": record.is_valid_at(now),
    }
