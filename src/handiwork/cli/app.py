"""The commands and their flags: one thin function each. What a command does is in the module that it imports.

`--help` must cost next to nothing, so nothing heavy is imported before a command is chosen.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

LEVELS = ("auto", "full", "unprivileged", "none")
_INTERRUPTED = 130
_Command = TypeVar("_Command", bound=Callable[..., Any])


class Formatter(click.HelpFormatter):
    """Help with bold headings; click drops the style where the output is no terminal."""

    def write_heading(self, heading: str) -> None:
        super().write_heading(click.style(heading, bold=True))


class HelpContext(click.Context):
    formatter_class = Formatter


class Command(click.Command):
    context_class = HelpContext


class Commands(click.Group):
    """A group that lists its commands in the order in which they were declared."""

    context_class = HelpContext
    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_DATA = click.option("--data", metavar="DIR", help="Folder of the store.  [default: ./.handiwork]")
_SESSION = click.option("--session", metavar="NAME", default="default", show_default=True, help="Session to look in.")
_VERSION = click.option("--version", "number", metavar="N", type=click.IntRange(min=1), help="Version, else the head.")
_REFERENCE = click.argument("reference", metavar="REF")


def _in_store(command: _Command) -> _Command:
    return _SESSION(_DATA(_AS_JSON(command)))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="handiwork", message="handiwork %(version)s")
def app() -> None:
    """The artifact engine for AI agents: runs code that makes files."""


@app.command()
@click.option("--once", is_flag=True, help="Stop after the work; there is no gallery to serve yet, so it always does.")
@click.option("--data", metavar="DIR", help="Folder of the store and the files.  [default: ./handiwork-demo]")
@_AS_JSON
def demo(once: bool, data: str | None, as_json: bool) -> int:
    """Play an agent conversation on real data and keep what it makes."""
    from handiwork.cli import demo as conversation

    return conversation.run(as_json=as_json, data=data)


@app.command()
@click.argument("script", metavar="SCRIPT|-")
@click.option("--input", "inputs", metavar="PATH|REF", multiple=True, help="File or artifact to work on; repeatable.")
@click.option("--out", metavar="DIR", help="Folder for the files, which replace nothing.  [default: this folder]")
@click.option("--data", metavar="DIR", help="Folder of the store. Without it and --session none is kept.")
@click.option("--session", metavar="NAME", help="Session that keeps the files.")
@click.option("--timeout", metavar="30s", help="Wall time of the program.")
@click.option("--memory", metavar="512MB", help="Memory of the program and all its processes.")
@click.option("--output-limit", metavar="10MB", help="Size of all its files together.")
@click.option("--no-check", is_flag=True, help="Skip the check of the code, not the sandbox.")
@click.option("--isolation", type=click.Choice(LEVELS), help="Walls around the program.  [default: auto]")
@_AS_JSON
def run(script: str, no_check: bool, **flags: Any) -> int:
    """Run a Python program in the sandbox and keep the files it makes."""
    from handiwork.cli import run as running

    return running.run(running.Request(script=script, is_checked=not no_check, **flags))


@app.command("ls")
@click.option("--type", "type_", metavar="TYPE", help="Only artifacts of this type.")
@click.option("--state", metavar="STATE", help="Only artifacts in this state.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most this many, else all.")
@_in_store
def list_artifacts(type_: str | None, state: str | None, limit: int | None, **flags: Any) -> int:
    """List the artifacts of a session, newest first."""
    from handiwork.cli import store

    return store.list_artifacts(store.Place(**flags), store.Wanted(type=type_, state=state, limit=limit))


@app.command()
@_REFERENCE
@_VERSION
@_in_store
def show(reference: str, number: int | None, **flags: Any) -> int:
    """Show what is known of an artifact, and the beginning of a text."""
    from handiwork.cli import store

    return store.show(store.Place(**flags), reference, number)


@app.command()
@_REFERENCE
@_VERSION
@click.option(
    "--out",
    metavar="PATH",
    help="File to write or replace, a folder, or - for standard output.",
)
@_in_store
def get(reference: str, number: int | None, out: str | None, **flags: Any) -> int:
    """Write the content of an artifact to a file."""
    from handiwork.cli import store

    if out == "-" and flags["as_json"]:
        raise click.UsageError("`--out -` and `--json` both want standard output.")
    return store.get(store.Place(**flags), reference, number, out=out)


@app.command("rm")
@_REFERENCE
@_in_store
def remove(reference: str, **flags: Any) -> int:
    """Remove an artifact with all its versions."""
    from handiwork.cli import store

    return store.remove(store.Place(**flags), reference)


@app.command()
@_AS_JSON
def types(as_json: bool) -> int:
    """List the artifact types."""
    from handiwork.cli import types as listing

    return listing.run(as_json=as_json)


@app.group(cls=Commands)
def db() -> None:
    """Look after the database of a store."""


@db.command()
@_DATA
@_AS_JSON
def upgrade(data: str | None, as_json: bool) -> int:
    """Bring the database to this release, after a copy."""
    from handiwork.cli import database

    return database.bring_up_to_date(data, as_json=as_json)


@db.command()
@_DATA
@_AS_JSON
def check(data: str | None, as_json: bool) -> int:
    """Tell whether the database fits this release, and change nothing."""
    from handiwork.cli import database

    return database.check_revision(data, as_json=as_json)


@app.command()
@_DATA
@_AS_JSON
def doctor(data: str | None, as_json: bool) -> int:
    """Check walls, libraries, fonts and store, and say what to do."""
    from handiwork.cli import doctor as examination

    return examination.run(data=data, as_json=as_json)


def start(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors of Handiwork are told in one line and a hint."""
    from handiwork.errors import HandiworkError

    as_json = "--json" in arguments
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a stream that is not a text file of ours
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # TextIO does not declare it
    try:
        code = _carried_out(arguments)
        sys.stdout.flush()
    except click.ClickException as wrong:
        return _wrong_usage(wrong, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(as_json=as_json)
    except BrokenPipeError:
        # Nobody reads any more; what is still buffered must not fail again while Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except HandiworkError as error:
        from handiwork.cli.failures import tell

        return tell(error, as_json=as_json)
    return code


def _carried_out(arguments: Sequence[str]) -> int:
    code: object = app.main(list(arguments), prog_name="handiwork", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _wrong_usage(wrong: click.ClickException, *, as_json: bool) -> int:
    from handiwork.cli.printing import print_json

    if as_json:
        print_json({"error": {"code": "usage", "message": wrong.format_message(), "hint": None}})
    else:
        wrong.show()
    return wrong.exit_code


def _interrupted(*, as_json: bool) -> int:
    from handiwork.cli.printing import print_json

    if as_json:
        print_json({"error": {"code": "interrupted", "message": "Interrupted.", "hint": None}})
    else:
        click.echo("interrupted", err=True)
    return _INTERRUPTED
