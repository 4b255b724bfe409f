"""The commands and their flags: one thin function each. What a command does is in the module that it imports.

`--help` must cost next to nothing, so nothing heavy is imported before a command is chosen.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from handiwork.cli.flags import (
    AS_JSON,
    DATA,
    LANGUAGE,
    LEVELS,
    METADATA,
    PORT,
    REFERENCE,
    VERSION,
    in_store,
)
from handiwork.cli.groups import actions, db, keys
from handiwork.cli.help import Commands

_INTERRUPTED = 130


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="handiwork", message="handiwork %(version)s")
def app() -> None:
    """The artifact engine for AI agents: runs code that makes files."""


@app.command()
@click.option("--once", is_flag=True, help="Stop after the work instead of serving the gallery.")
@click.option("--model", metavar="NAME", help="Model that is the agent, as in `openai:gpt-5`.  [default: a script]")
@click.option("--data", metavar="DIR", help="Folder of the store and the files.  [default: ./handiwork-demo]")
@click.option("--port", metavar="N", type=PORT, help="Port of the gallery.  [default: 8765, or a free one]")
@AS_JSON
def demo(once: bool, **flags: Any) -> int:
    """Play an agent conversation on real data and show what it makes."""
    from handiwork.cli import demo as conversation

    return conversation.run(conversation.Request(is_once=once, **flags))


@app.command()
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", metavar="N", type=PORT, default=8765, show_default=True, help="Port; 0 is any free one.")
@click.option("--content-port", metavar="N", type=PORT, default=8766, show_default=True, help="Port of user content.")
@DATA
@click.option("--config", metavar="FILE", help="Configuration.  [default: ./handiwork.yaml, if it is there]")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when requests are answered.")
def serve(**flags: Any) -> int:
    """Serve the API and the gallery until Ctrl-C."""
    from handiwork.cli import serve as serving

    return serving.serve(serving.Request(**flags))


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
@AS_JSON
def run(script: str, no_check: bool, **flags: Any) -> int:
    """Run a Python program in the sandbox and keep the files it makes."""
    from handiwork.cli import run as running

    return running.run(running.Request(script=script, is_checked=not no_check, **flags))


@app.command()
@click.option("--http", "is_http", is_flag=True, help="Over HTTP, as `serve` does, and not on standard input.")
@click.option("--port", metavar="N", type=PORT, default=8765, show_default=True, help="Port, with --http.")
@click.option("--session", metavar="NAME", help="Session to work in.  [default: that of the key, or default]")
@DATA
@click.option("--url", metavar="URL", help="Work on the server at this address instead of a store.")
@click.option("--key", metavar="KEY", help="Key or token for that server.")
@click.option("--user", metavar="NAME", help="User for whom the key of a whole tenant acts.")
def mcp(is_http: bool, port: int, data: str | None, session: str | None, **server: str | None) -> int:
    """Give a session to a client of the Model Context Protocol."""
    if server["url"] is None and (server["key"] or server["user"]):
        raise click.UsageError("`--key` and `--user` are for the server at `--url`.")
    if server["url"] is not None and data is not None:
        raise click.UsageError("Give `--data` or `--url`, not both.")
    if is_http and server["url"] is not None:
        raise click.UsageError("A server speaks the protocol itself, at `/mcp`: point the client there.")
    if is_http:
        from handiwork.cli import serve as serving

        return serving.serve(serving.Request(port=port, content_port=0, data=data, mcp_session=session or "default"))
    from handiwork.cli import mcp as speaking

    return speaking.speak_on_standard_streams(speaking.Request(session=session, data=data, **server))


@app.command()
@click.argument("objective", metavar='"WHAT TO MAKE"')
@click.option("--input", "inputs", metavar="PATH", multiple=True, help="File to work on; repeatable.")
@click.option("--model", metavar="NAME", help="Such as openai:gpt-5.  [default: HANDIWORK_MODEL]")
@click.option("--out", metavar="DIR", help="Folder for the files, which replace nothing.  [default: this folder]")
@AS_JSON
def make(objective: str, **flags: Any) -> int:
    """Let a model make files in the sandbox."""
    from handiwork.cli import make as making

    if not objective.strip():
        raise click.UsageError("Say in `WHAT TO MAKE` what shall be made.")
    return making.run(making.Request(objective=objective, **flags))


@app.command("ls")
@click.option("--type", "type_", metavar="TYPE", help="Only artifacts of this type.")
@click.option("--state", metavar="STATE", help="Only artifacts in this state.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most this many, else all.")
@in_store
def list_artifacts(type_: str | None, state: str | None, limit: int | None, **flags: Any) -> int:
    """List the artifacts of a session, newest first."""
    from handiwork.cli import store

    return store.list_artifacts(store.Place(**flags), store.Wanted(type=type_, state=state, limit=limit))


@app.command()
@REFERENCE
@VERSION
@click.option(
    "--select",
    "selector",
    metavar="SELECTOR",
    help="Only this part: rows=0:10, lines=1:50, head=20, tail=20, path=$.a[3], grep=TEXT or search=WORDS.",
)
@in_store
def show(reference: str, number: int | None, selector: str | None, **flags: Any) -> int:
    """Show what is known of an artifact, and the beginning of a text."""
    from handiwork.cli import store

    if selector is not None:
        return store.select(store.Place(**flags), reference, number, selector)
    return store.show(store.Place(**flags), reference, number)


@app.command()
@REFERENCE
@VERSION
@click.option(
    "--out",
    metavar="PATH",
    help="File to write or replace, a folder, or - for standard output.",
)
@in_store
def get(reference: str, number: int | None, out: str | None, **flags: Any) -> int:
    """Write the content of an artifact to a file."""
    from handiwork.cli import store

    if out == "-" and flags["as_json"]:
        raise click.UsageError("`--out -` and `--json` both want standard output.")
    return store.get(store.Place(**flags), reference, number, out=out)


@app.command("create")
@click.argument("type_", metavar="TYPE")
@click.argument("source", metavar="FILE|-")
@click.option("--title", metavar="TEXT", help="What people see.  [default: the name]")
@click.option("--name", metavar="NAME", help="Name of the file.  [default: that of FILE, or made of the title]")
@LANGUAGE
@METADATA
@click.option("--retention", metavar="7d", help="How long it is kept, or forever.  [default: as configured]")
@in_store
def create_artifact(type_: str, as_json: bool, data: str | None, session: str, **told: Any) -> int:
    """Store a file as an artifact of a type."""
    from handiwork.cli import versions as making

    place = making.Place(session=session, data=data, as_json=as_json)
    return making.create(place, making.Making(type=type_, **told))


@app.command()
@REFERENCE
@click.option("--content", metavar="FILE|-", help="The whole new content.")
@click.option("--patch", metavar="FILE|-", help="JSON: edits [{find, replace}], a JSON Patch, or a merge patch.")
@click.option("--base", metavar="N", type=click.IntRange(min=1), help="Version that it was decided on, else the head.")
@click.option("--title", metavar="TEXT", help="Another title.")
@click.option("--language", metavar="WORD", help="Another language.")
@METADATA
@click.option("--reason", metavar="TEXT", help="Why, for the history.")
@in_store
def revise(reference: str, as_json: bool, data: str | None, session: str, **change: Any) -> int:
    """Make the next version of an artifact."""
    from handiwork.cli import versions as making

    if (change["content"] is None) == (change["patch"] is None):
        raise click.UsageError("Give exactly one of `--content` and `--patch`.")
    place = making.Place(session=session, data=data, as_json=as_json)
    return making.revise(place, reference, making.Change(**change))


@app.command()
@REFERENCE
@in_store
def versions(reference: str, **flags: Any) -> int:
    """List the versions of an artifact, newest first."""
    from handiwork.cli import versions as making

    return making.versions(making.Place(**flags), reference)


@app.command()
@REFERENCE
@click.argument("start", metavar="FROM", type=click.IntRange(min=1))
@click.argument("end", metavar="[TO]", type=click.IntRange(min=1), required=False)
@in_store
def diff(reference: str, start: int, end: int | None, **flags: Any) -> int:
    """Show what differs between two versions, or one and the head."""
    from handiwork.cli import versions as making

    return making.diff(making.Place(**flags), reference, start, end)


@app.command()
@REFERENCE
@click.argument("number", metavar="VERSION", type=click.IntRange(min=1))
@in_store
def restore(reference: str, number: int, **flags: Any) -> int:
    """Make an earlier version the newest again."""
    from handiwork.cli import versions as making

    return making.restore(making.Place(**flags), reference, number)


@app.command()
@REFERENCE
@click.argument("labels", metavar="[LABEL]...", nargs=-1)
@in_store
def label(reference: str, labels: tuple[str, ...], **flags: Any) -> int:
    """Replace the labels of an artifact."""
    from handiwork.cli import versions as making

    return making.label(making.Place(**flags), reference, labels)


@app.command()
@REFERENCE
@click.option("--state", metavar="STATE", help="State to go on to.")
@click.option("--fact", "facts", metavar="KEY=VALUE", multiple=True, help="To note; or a JSON object; repeatable.")
@in_store
def step(reference: str, state: str | None, facts: tuple[str, ...], **flags: Any) -> int:
    """Go on to another state, and note facts."""
    from handiwork.cli import versions as making

    if state is None and not facts:
        raise click.UsageError("Give `--state`, `--fact`, or both.")
    return making.step(making.Place(**flags), reference, state, facts)


@app.command("rm")
@REFERENCE
@in_store
def remove(reference: str, **flags: Any) -> int:
    """Remove an artifact with all its versions."""
    from handiwork.cli import store

    return store.remove(store.Place(**flags), reference)


@app.command("export")
@click.argument("references", metavar="[REF]...", nargs=-1)
@click.option("--out", metavar="FILE.zip", required=True, help="New file to write.")
@in_store
def export_session(out: str, references: tuple[str, ...], **flags: Any) -> int:
    """Write a session as a ZIP with a page that needs no server."""
    from handiwork.cli import export, store

    return export.export(store.Place(**flags), out, references)


@app.command()
@click.argument("file", metavar="FILE.zip")
@AS_JSON
def verify(file: str, as_json: bool) -> int:
    """Tell whether an export is as it was written; no store is needed."""
    from handiwork.cli import export

    return export.verify(file, as_json=as_json)


@app.command()
@AS_JSON
def types(as_json: bool) -> int:
    """List the artifact types."""
    from handiwork.cli import types as listing

    return listing.run(as_json=as_json)


@app.command()
@click.option("--dry-run", is_flag=True, help="Count what would be deleted, and delete nothing.")
@DATA
@AS_JSON
def gc(dry_run: bool, data: str | None, as_json: bool) -> int:
    """Delete what has expired and what nobody names any more."""
    from handiwork.cli import gc as cleaning

    return cleaning.run(data=data, is_dry=dry_run, as_json=as_json)


@app.command()
@DATA
@AS_JSON
def doctor(data: str | None, as_json: bool) -> int:
    """Check walls, libraries, fonts and store, and say what to do."""
    from handiwork.cli import doctor as examination

    return examination.run(data=data, as_json=as_json)


app.add_command(actions)
app.add_command(keys)
app.add_command(db)


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
