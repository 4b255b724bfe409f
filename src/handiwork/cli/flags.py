"""The flags that several commands share. What a flag does is known to the command that has it.

Nothing heavy is imported here, since `--help` needs all of them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

LEVELS = ("auto", "full", "unprivileged", "none")
KINDS = ("user", "agent", "admin")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
DATA = click.option("--data", metavar="DIR", help="Folder of the store.  [default: ./.handiwork]")
SESSION = click.option("--session", metavar="NAME", default="default", show_default=True, help="Session to look in.")
TENANT = click.option("--tenant", metavar="NAME", default="default", show_default=True, help="Tenant of the key.")
PORT = click.IntRange(0, 65535)
VERSION = click.option("--version", "number", metavar="N", type=click.IntRange(min=1), help="Version, else the head.")
REFERENCE = click.argument("reference", metavar="REF")
LANGUAGE = click.option("--language", metavar="WORD", help="Such as python.  [default: as the name ends]")
METADATA = click.option(
    "--metadata", metavar="KEY=VALUE", multiple=True, help="What is noted beside it; or a JSON object; repeatable."
)


def in_store(command: Command) -> Command:
    return SESSION(DATA(AS_JSON(command)))


def of_tenant(command: Command) -> Command:
    return TENANT(DATA(AS_JSON(command)))
