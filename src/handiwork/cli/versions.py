"""The commands that make and change: `create`, `revise`, `versions`, `diff`, `restore`, `label`, `step`.

What a change means is the engine's; looking at what is there is in `store`.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, cast

from handiwork import wiring
from handiwork.cli.failures import DONE
from handiwork.cli.printing import notes, print_json, print_table, print_text, results, say, size
from handiwork.cli.store import Place, opened
from handiwork.errors import ContentTooLarge, InputNotFound, InvalidContent
from handiwork.media.formats import format_named
from handiwork.model import MIB, Artifact, Version
from handiwork.quantities import seconds
from handiwork.session import Session
from handiwork.settings import load
from handiwork.shapes import Shape, version_shape
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.strict_json import parsed

STANDARD_INPUT = "-"
LARGEST_BYTES = 256 * MIB
"""More than any type takes; the type says its own cap."""
_PAGE = 100
_LONGEST_TOLD = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """An artifact to be: its type, and where its content is."""

    type: str
    source: str
    title: str | None = None
    name: str | None = None
    language: str | None = None
    metadata: tuple[str, ...] = ()
    retention: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A version to be: a file with the whole content, or one with a patch."""

    content: str | None = None
    patch: str | None = None
    base: int | None = None
    title: str | None = None
    language: str | None = None
    metadata: tuple[str, ...] = ()
    reason: str | None = None


def create(place: Place, making: Making) -> int:
    return asyncio.run(_create(place, making))


def revise(place: Place, reference: str, change: Change) -> int:
    return asyncio.run(_in(place, lambda session: _revised(session, reference, change)))


def restore(place: Place, reference: str, number: int) -> int:
    return asyncio.run(_in(place, lambda session: session.restore(reference, number)))


def label(place: Place, reference: str, labels: tuple[str, ...]) -> int:
    return asyncio.run(_in(place, lambda session: session.label(reference, *labels)))


def step(place: Place, reference: str, state: str | None, facts: tuple[str, ...]) -> int:
    noted = _named(facts, "fact") if facts else None
    return asyncio.run(_in(place, lambda session: session.step(reference, state=state, facts=noted)))


def versions(place: Place, reference: str) -> int:
    return asyncio.run(_versions(place, reference))


def diff(place: Place, reference: str, start: int, end: int | None) -> int:
    return asyncio.run(_diff(place, reference, start, end))


async def _create(place: Place, making: Making) -> int:
    metadata, retention = _named(making.metadata, "metadata"), _retention(making.retention)
    data = await asyncio.to_thread(_content, making.source)
    settings = load()
    folder = Path(place.data) if place.data is not None else settings.artifacts.storage.path
    name = making.name or (None if making.source == STANDARD_INPUT else Path(making.source).name)
    async with wiring.open(folder, settings=settings) as engine:
        made = await engine.session(place.session).create(
            making.type,
            content=data,
            name=name,
            title=making.title,
            language=making.language or _language_of(name, engine.types.named(making.type)),
            metadata=metadata,
            retention=retention,
        )
        shape = await engine.revising.shape(made) if place.as_json else None
    _tell(made, shape)
    return DONE


async def _in(place: Place, work: Callable[[Session], Awaitable[Artifact]]) -> int:
    async with opened(place) as session:
        made = await work(session)
        shape = await session.engine.revising.shape(made) if place.as_json else None
    _tell(made, shape)
    return DONE


async def _revised(session: Session, reference: str, change: Change) -> Artifact:
    content = None if change.content is None else await asyncio.to_thread(_content, change.content)
    patch = None if change.patch is None else _parsed(await asyncio.to_thread(_content, change.patch), change.patch)
    return await session.revise(
        reference,
        content=content,
        patch=patch,
        base_version=change.base,
        title=change.title,
        language=change.language,
        metadata=_named(change.metadata, "metadata") if change.metadata else None,
        reason=change.reason,
    )


async def _versions(place: Place, reference: str) -> int:
    async with opened(place) as session:
        found: list[Version] = []
        before = None
        while True:
            page = await session.versions(reference, limit=_PAGE, before=before)
            found += page.items
            before = page.next_before
            if before is None:
                break
    if place.as_json:
        print_json({"items": [version_shape(each) for each in found]})
        return DONE
    rows = [
        (
            str(each.number),
            size(each.size),
            f"{each.created_at:%Y-%m-%d %H:%M}",
            each.provenance.principal.kind,
            each.provenance.reason or "",
        )
        for each in found
    ]
    print_table(results(), "", ("version", "size", "made (UTC)", "by", "reason"), rows, right=("version", "size"))
    return DONE


async def _diff(place: Place, reference: str, start: int, end: int | None) -> int:
    async with opened(place) as session:
        found = await session.diff(reference, start, end)
    if place.as_json:
        facts = {"start": found.start, "end": found.end, "isSame": found.is_same}
        print_json({**facts, "text": found.text, "changes": found.changes, "leftOut": found.left_out})
    elif found.is_same:
        say(notes(), f"Versions {found.start} and {found.end} are the same.")
    elif found.text is not None:
        print_text(found.text)
    else:
        for change in found.changes or ():
            print_text(json.dumps(change, ensure_ascii=False) + "\n")
    return DONE


def _tell(made: Artifact, shape: Shape | None) -> None:
    if shape is not None:
        print_json(shape)
    else:
        say(results(), f"{made.handle}  version {made.version.number}  {made.name}  {size(made.size)}")


def _language_of(name: str | None, type_: ArtifactType) -> str | None:
    """Return the language that the ending of a file names, for a type to which one belongs."""
    ending = "" if name is None else Path(name).suffix
    found = format_named(ending) if type_.has_language and ending else None
    return None if found is None or not found.is_text else found.language or found.name


def _named(words: Sequence[str], what: str) -> dict[str, object]:
    """Return what `KEY=VALUE` and JSON objects say together; values after `=` are texts."""
    said: dict[str, object] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if mark and not word.lstrip().startswith("{"):
            said[name] = value
            continue
        parsed_word = parsed(word, type_name=what)
        if not isinstance(parsed_word, dict):
            raise InvalidContent(what, expected="`KEY=VALUE` or a JSON object", got=repr(word[:_LONGEST_TOLD]))
        said |= cast("dict[str, object]", parsed_word)
    return said


def _retention(word: str | None) -> timedelta | Literal["default"] | None:
    if word is None:
        return "default"
    if word == "forever":
        return None
    try:
        return timedelta(seconds=seconds(word, name="retention"))
    except OverflowError:
        return timedelta.max


def _content(source: str) -> bytes:
    try:
        # Some devices and pipes never end.
        with sys.stdin.buffer if source == STANDARD_INPUT else Path(source).open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as refused:
        why = refused.strerror if isinstance(refused, OSError) and refused.strerror else "it cannot be read"
        raise InputNotFound(source, why) from refused
    if len(data) > LARGEST_BYTES:
        raise ContentTooLarge(source, size=len(data), limit=LARGEST_BYTES)
    return data


def _parsed(data: bytes, source: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as wrong:
        expected = "a patch as JSON: a list of edits, a JSON Patch, or an object"
        raise InvalidContent(source, expected=expected, got=str(wrong)) from wrong
