"""The commands on what is stored: `ls`, `show`, `get`, `rm`. How it is stored is the engine's."""

import asyncio
import codecs
import contextlib
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from handiwork import wiring
from handiwork.cli.failures import DONE, StoreNotFound
from handiwork.cli.files import demand_folder, write_new, write_over
from handiwork.cli.locating import located
from handiwork.cli.printing import (
    format_word,
    notes,
    print_facts,
    print_json,
    print_table,
    print_text,
    results,
    say,
    size,
)
from handiwork.media.formats import format_of_media_type
from handiwork.model import Artifact
from handiwork.session import Session
from handiwork.settings import load
from handiwork.shapes import artifact_shape

PREVIEW_BYTES = 4096
PREVIEW_LINES = 20
_PAGE = 200
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look, and how to answer."""

    session: str = "default"
    data: str | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which artifacts a list holds; None asks for all."""

    type: str | None = None
    state: str | None = None
    limit: int | None = None


def list_artifacts(place: Place, wanted: Wanted) -> int:
    return asyncio.run(_list(place, wanted))


def show(place: Place, reference: str, number: int | None) -> int:
    return asyncio.run(_show(place, reference, number))


def select(place: Place, reference: str, number: int | None, selector: str) -> int:
    """Print a part of the content, and on standard error how to go on."""
    return asyncio.run(_select(place, reference, number, selector))


def get(place: Place, reference: str, number: int | None, *, out: str | None) -> int:
    """Write to standard output for `-`, under a name that is free into a folder, or to the file that `out` names."""
    is_folder = out is None or out.endswith("/") or Path(out).is_dir()
    if is_folder:
        demand_folder(Path(out or "."))
    return asyncio.run(_get(place, reference, number, out=out, is_folder=is_folder))


def remove(place: Place, reference: str) -> int:
    return asyncio.run(_remove(place, reference))


@contextlib.asynccontextmanager
async def opened(place: Place) -> AsyncGenerator[Session]:
    """Open a store that is there; looking into a folder does not make one."""
    settings = load()
    located(place.data, settings)
    async with wiring.open(place.data, settings=settings) as engine:
        yield engine.session(place.session)


async def _list(place: Place, wanted: Wanted) -> int:
    found, others, remark = [], [], f"No such artifacts in the session `{place.session}`."
    try:
        async with opened(place) as session:
            found = await _gathered(session, wanted)
            others = [] if found else [each.session for each in (await session.engine.sessions()).items]
    except StoreNotFound as missing:
        remark = str(missing)
    if place.as_json:
        print_json({"session": place.session, "items": [artifact_shape(each) for each in found]})
    elif found:
        rows = [(a.handle, a.name, format_word(a), size(a.size), f"{a.created_at:%Y-%m-%d %H:%M}") for a in found]
        print_table(results(), "", ("handle", "name", "type", "size", "made (UTC)"), rows, right=("size",))
    else:
        say(notes(), remark)
        if named := [f"`{name}`" for name in others if name != place.session]:
            say(notes(), ("hint: ", "bold"), f"Other sessions here: {', '.join(named[:10])}.")
    return DONE


async def _gathered(session: Session, wanted: Wanted) -> list[Artifact]:
    engine = session.engine
    type_ = None if wanted.type is None else engine.types.named(wanted.type).name
    found: list[Artifact] = []
    cursor = None
    while wanted.limit is None or len(found) < wanted.limit:
        most = _PAGE if wanted.limit is None else min(_PAGE, wanted.limit - len(found))
        page = await session.list(type=type_, state=wanted.state, limit=most, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


async def _show(place: Place, reference: str, number: int | None) -> int:
    async with opened(place) as session:
        artifact = await session.get(reference, version=number)
        preview = None if place.as_json else await _preview(session, artifact)
        shape = await session.engine.revising.shape(artifact) if place.as_json else None
    if shape is not None:
        print_json(shape)
        return DONE
    console = results()
    print_facts(console, _facts(artifact))
    if preview is not None:
        text, is_cut = preview
        console.print()
        print_text(text)
        if is_cut:
            say(console, ("… `handiwork get` writes all of it.", "dim"))
    return DONE


async def _select(place: Place, reference: str, number: int | None, selector: str) -> int:
    async with opened(place) as session:
        found = await session.select(reference, selector, version=number)
    if place.as_json:
        told = {"text": found.text, "continuation": found.continuation, "total": found.total, "tokens": found.tokens}
        print_json(told)
        return DONE
    print_text(found.text)
    if found.continuation is not None:
        say(notes(), ("more: ", "bold"), f"--select '{found.continuation}'")
    return DONE


def _facts(artifact: Artifact) -> dict[str, str]:
    version = artifact.version
    origin = version.provenance
    known = {
        "title": artifact.title,
        "name": version.name,
        "id": artifact.id,
        "handle": artifact.handle,
        "type": f"{artifact.type}, {version.media_type} ({version.category})",
        "state": artifact.state,
        "version": str(version.number),
        "size": f"{size(version.size)} ({version.size:,} bytes)" if version.size >= 1024 else size(version.size),
        "sha256": version.sha256,
        "made": f"{version.created_at:%Y-%m-%d %H:%M:%S} UTC, by {origin.principal.kind}",
        "run": origin.execution_id,
        "inputs": ", ".join(origin.inputs),
        "expires": f"{artifact.expires_at:%Y-%m-%d %H:%M} UTC" if artifact.expires_at else "never",
        "labels": ", ".join(artifact.labels),
        "session": artifact.scope.session,
    }
    return {name: value for name, value in known.items() if value}


async def _preview(session: Session, artifact: Artifact) -> tuple[str, bool] | None:
    """Return the beginning of a text and whether there is more; None for what is no text."""
    format_ = format_of_media_type(artifact.media_type)
    if format_ is None or not format_.is_text:
        return None
    head = b""
    # To its end, where its hash is checked; what is kept is bounded.
    async for chunk in session.stream(artifact.id, version=artifact.version.number):
        head += chunk[: PREVIEW_BYTES - len(head)]
    encoding = "utf-16" if head[:2] in _UTF16 else "utf-8-sig"
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    lines = text.splitlines(keepends=True)
    return "".join(lines[:PREVIEW_LINES]), len(lines) > PREVIEW_LINES or artifact.size > PREVIEW_BYTES


async def _get(place: Place, reference: str, number: int | None, *, out: str | None, is_folder: bool) -> int:
    async with opened(place) as session:
        artifact = await session.get(reference, version=number)
        chunks = session.stream(artifact.id, version=artifact.version.number)
        if out == "-":
            async for chunk in chunks:
                await asyncio.to_thread(sys.stdout.buffer.write, chunk)
            sys.stdout.buffer.flush()
            return DONE
        if is_folder:
            path = await write_new(Path(out or "."), artifact.name, chunks)
        else:
            path = await write_over(Path(out or artifact.name), chunks)
    if place.as_json:
        print_json({"id": artifact.id, "version": artifact.version.number, "size": artifact.size, "path": str(path)})
    else:
        say(results(), f"{path}  {size(artifact.size)}")
    return DONE


async def _remove(place: Place, reference: str) -> int:
    async with opened(place) as session:
        artifact = await session.get(reference)
        await session.remove(artifact.id)
    if place.as_json:
        print_json({"removed": {"id": artifact.id, "handle": artifact.handle, "name": artifact.name}})
    else:
        say(results(), f"Removed `{artifact.name}` ({artifact.id}).")
    return DONE
