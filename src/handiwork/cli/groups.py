"""The commands that come in groups, `actions`, `keys` and `db`: one thin function each, as in `app`.

What they do is in the modules that they import when one is chosen.
"""

from typing import Any

import click

from handiwork.cli.flags import AS_JSON, DATA, KINDS, in_store, of_tenant
from handiwork.cli.help import Commands


@click.group(cls=Commands)
def actions() -> None:
    """List, approve and reject what agents have proposed."""


@actions.command("list")
@click.argument("reference", metavar="REF")
@in_store
def list_actions(reference: str, **flags: Any) -> int:
    """List what was proposed and done with an artifact."""
    from handiwork.cli import actions as deciding

    return deciding.list_actions(deciding.Place(**flags), reference)


@actions.command()
@click.argument("action_id", metavar="ID")
@in_store
def approve(action_id: str, **flags: Any) -> int:
    """Agree to what was proposed, and do it."""
    from handiwork.cli import actions as deciding

    return deciding.approve(deciding.Place(**flags), action_id)


@actions.command()
@click.argument("action_id", metavar="ID")
@in_store
def reject(action_id: str, **flags: Any) -> int:
    """Turn down what was proposed."""
    from handiwork.cli import actions as deciding

    return deciding.reject(deciding.Place(**flags), action_id)


@click.group(cls=Commands)
def keys() -> None:
    """Make, list and revoke the API keys of a store."""


@keys.command()
@click.option("--kind", type=click.Choice(KINDS), required=True, help="Who is to hold it.")
@click.option("--user", metavar="NAME", help="User whom it is for; not for an admin.  [default: local]")
@click.option("--session", metavar="NAME", help="Only session that it opens; an agent's key needs one.")
@click.option("--name", metavar="TEXT", default="", help="What to call it in lists.")
@click.option("--expires-in", metavar="30d", help="When it ends by itself, else never.")
@click.option(
    "--permission", "permissions", metavar="NAME", multiple=True, help="Only this right of its kind; repeatable."
)
@of_tenant
def create(data: str | None, tenant: str, as_json: bool, **wanted: Any) -> int:
    """Make a key and print it, this once."""
    from handiwork.cli import keys as keeping

    return keeping.create(keeping.Place(data=data, tenant=tenant, as_json=as_json), keeping.Wanted(**wanted))


@keys.command("list")
@of_tenant
def list_keys(**place: Any) -> int:
    """List the keys of a tenant, the newest first."""
    from handiwork.cli import keys as keeping

    return keeping.list_keys(keeping.Place(**place))


@keys.command()
@click.argument("key_id", metavar="ID")
@of_tenant
def revoke(key_id: str, **place: Any) -> int:
    """End a key for good."""
    from handiwork.cli import keys as keeping

    return keeping.revoke(keeping.Place(**place), key_id)


@click.group(cls=Commands)
def db() -> None:
    """Look after the database of a store."""


@db.command()
@DATA
@AS_JSON
def upgrade(data: str | None, as_json: bool) -> int:
    """Bring the database to this release, after a copy."""
    from handiwork.cli import database

    return database.bring_up_to_date(data, as_json=as_json)


@db.command()
@DATA
@AS_JSON
def check(data: str | None, as_json: bool) -> int:
    """Tell whether the database fits this release, and change nothing."""
    from handiwork.cli import database

    return database.check_revision(data, as_json=as_json)


@db.command("new-key")
@click.argument("file")
def new_key(file: str) -> int:
    """Write a new key for encryption into a new file."""
    from handiwork.cli import database

    return database.write_key(file)
