"""The verbs of a session, from both sides: an engine in this process, and a server behind a socket.

What only a connection can do to them is in `test_client.py`.
"""

import asyncio
import inspect
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sides import SIDES, Side, Verbs, Where, open_side

from handiwork.client.session import RemoteSession
from handiwork.errors import (
    ArtifactExpired,
    ArtifactHeld,
    ContentRefused,
    ContentTooLarge,
    CursorTooOld,
    EditMissed,
    HandiworkError,
    IllegalTransition,
    InvalidContent,
    InvalidName,
    QuotaExceeded,
    VersionConflict,
)
from handiwork.events import Event, Output
from handiwork.export.verify import verify
from handiwork.model import Artifact, Execution, Limits, Reach
from handiwork.session import Session

SOON = 15.0
NOTES = "# One\n\nThe first line\nand the second\n"


async def pieces(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        await asyncio.sleep(0)
        yield text


async def told(session: Verbs, *, until: str, after: int = 0) -> list[Event]:
    """The events up to the first of a type."""
    found: list[Event] = []
    async with asyncio.timeout(SOON), aclosing(session.watch(after=after)) as events:
        async for event in events:
            found.append(event)
            if event.type == until:
                return found
    raise AssertionError("the events ended")


def signatures(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
    return {
        name: [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
        for name, function in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_sides_have_the_same_verbs_with_the_same_parameters() -> None:
    assert signatures(RemoteSession) == signatures(Session)


# Runs


@pytest.mark.linux
async def test_a_run_gives_how_it_went_and_what_it_made(session: Verbs) -> None:
    ran = await session.run(
        "import os\nopen('a.csv', 'w').write('a,b\\n1,2\\n')\nos.symlink('a.csv', 'l')\nprint('hi')"
    )
    (made,) = ran.artifacts
    assert (ran.status, ran.stdout, made.name, made.media_type) == ("succeeded", "hi\n", "a.csv", "text/csv")
    assert [each.name for each in ran.outcome.refused] == ["l"]
    assert ran.outcome.isolation is not None
    assert made.scope == ran.scope == session.scope
    assert made == await session.get(made.id)
    assert await session.read(made.handle) == b"a,b\n1,2\n"
    assert alike(await session.execution(ran.id)) == alike(ran)


def alike(ran: Execution) -> Execution:
    """The run without what a record rounds."""
    return replace(ran, outcome=replace(ran.outcome, duration_ms=0, cpu_ms=0), created_at=ran.artifacts[0].created_at)


@pytest.mark.linux
async def test_a_program_that_fails_is_a_result(session: Verbs) -> None:
    failed = await session.run("x = 1\n1 / 0", limits=Limits(wall_seconds=20, stdout_bytes=10), name="sum.py")
    assert failed.error is not None
    assert (failed.status, failed.error.type, failed.error.line) == ("failed", "ZeroDivisionError", 2)
    assert "sum.py" in failed.error.traceback
    rejected = await session.run("import subprocess\neval('1')")
    assert [(v.line, v.rule) for v in rejected.outcome.violations] == [(1, "import"), (2, "call")]


@pytest.mark.linux
async def test_the_message_of_a_failure_is_its_own_and_not_the_last_of_its_notes(session: Verbs) -> None:
    failed = await session.run("failure = ValueError('no such column: b')\nfailure.add_note('See: a')\nraise failure")
    assert failed.error is not None
    assert failed.error.message == "no such column: b"
    assert "See: a" in failed.error.traceback


@pytest.mark.linux
async def test_a_run_takes_files_of_this_machine_handles_and_artifacts_at_their_version(
    session: Verbs, tmp_path: Path
) -> None:
    (tmp_path / "in put.txt").write_text("from disk", encoding="utf-8")
    one = await session.create("file", content=b"one", name="one.txt")
    two = await session.create("file", content=b"two", name="two.txt")
    await session.revise(two.id, content="newer")
    program = "print(*[open(name).read() for name in ('in put.txt', 'one.txt', 'two.txt')])"
    ran = await session.run(program, inputs=[tmp_path / "in put.txt", one.handle, two])
    assert (ran.stdout, ran.error) == ("from disk one two\n", None)
    assert {each.name for each in (await session.list()).items} == {"two.txt", "one.txt"}
    with pytest.raises(TypeError, match="list"):
        await session.run("1", inputs="one")


@pytest.mark.linux
async def test_what_a_program_writes_is_told_while_it_runs(session: Verbs) -> None:
    first = asyncio.Event()
    pieces: list[Output] = []

    def on_output(output: Output) -> None:
        pieces.append(output)
        first.set()

    program = "import pathlib, time\nprint('one', flush=True)\ntime.sleep(0.5)\nprint('two')"
    running = asyncio.ensure_future(session.run(program, on_output=on_output))
    async with asyncio.timeout(SOON):
        await first.wait()
        assert not running.done()
        ran = await running
    assert ran.stdout == "one\ntwo\n" == "".join(each.text for each in pieces)
    assert {(each.execution_id, each.stream) for each in pieces} == {(ran.id, "stdout")}


@pytest.mark.linux
async def test_a_run_is_started_looked_up_and_cancelled(session: Verbs) -> None:
    begun = await session.start("import time\ntime.sleep(25)")
    assert begun.status in {"queued", "running"}
    ended = await session.cancel(begun.id)
    assert (ended.id, ended.status) == (begun.id, "cancelled")
    assert (await session.execution(begun.id)).status == "cancelled"


@pytest.mark.linux
async def test_who_stops_following_a_run_ends_it(session: Verbs) -> None:
    first = asyncio.Event()
    program = "import time\nprint('begun', flush=True)\ntime.sleep(25)"
    running = asyncio.ensure_future(session.run(program, on_output=lambda _output: first.set()))
    async with asyncio.timeout(SOON):
        await first.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert (await told(session, until="execution-finished"))[-1].facts == {"status": "cancelled"}


# Artifacts


async def test_each_kind_of_content_is_stored_as_it_was_given(session: Verbs, tmp_path: Path) -> None:
    odd = tmp_path / 'we"ird %22 é.csv'
    odd.write_text("a,b\n1,2\n", encoding="utf-8")
    text = await session.create("markdown", title="Plan é", content=NOTES, metadata={"k": ["ü", 1]}, retention=None)
    by_path = await session.create("csv", content=odd, language="x")
    raw = await session.create("file", content=b"\x89PNG\r\n\x1a\n\0", name="dot.png", metadata={"from": "here"})
    unnamed = await session.create("file", content=b"plain", title="Some title")
    value = await session.create("json", title="J", content={"a": [1, 2.5, None, "x"]}, name="j.json")
    written = await session.create("code", content=pieces("pri", "nt('é", "')\n"), title="P", language="python")
    assert [each.name for each in (text, by_path, raw, value)] == ["Plan é.md", odd.name, "dot.png", "j.json"]
    assert (text.expires_at, text.version.metadata, by_path.version.language) == (None, {"k": ["ü", 1]}, "x")
    assert (raw.version.metadata, unnamed.title) == ({"from": "here"}, "Some title")
    assert raw.expires_at is not None
    assert raw.expires_at - raw.created_at == timedelta(days=7)
    contents = [await session.read(each.id) for each in (text, by_path, raw, unnamed, written)]
    assert contents == [NOTES.encode(), odd.read_bytes(), b"\x89PNG\r\n\x1a\n\0", b"plain", "print('é')\n".encode()]
    assert b'"x"' in await session.read(value.handle)
    for each in (text, by_path, raw, unnamed, value, written):
        assert each.scope == session.scope
        assert each == await session.get(each.handle)


async def test_large_content_comes_in_chunks(session: Verbs, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4 * 4096
    (tmp_path / "big.zip").write_bytes(b"PK\3\4" + content)
    made = await session.create("file", content=tmp_path / "big.zip")
    async with aclosing(session.stream(made.id)) as chunks:
        sizes = [len(chunk) async for chunk in chunks]
    assert (sum(sizes), len(sizes) > 1) == (len(content) + 4, True)
    assert await session.read(made.id) == b"PK\3\4" + content


async def test_pages_and_searches_show_the_same(session: Verbs, side: Side) -> None:
    for number in range(5):
        side.clock.move(seconds=1)
        await session.create("file", content=f"{number}", name=f"{number}.txt", title="odd %" if number % 2 else None)
    first = await session.list(limit=3)
    second = await session.list(limit=3, cursor=first.next_cursor)
    assert [each.name for each in (*first.items, *second.items)] == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]
    assert (second.next_cursor, second.seq) == (None, 5)
    assert [each.name for each in (await session.list(query="odd %", type="file")).items] == ["3.txt", "1.txt"]
    assert [each.session for each in (await side.engine.sessions()).items] == ["s"]


async def test_an_artifact_is_revised_restored_compared_and_its_versions_listed(session: Verbs) -> None:
    made = await session.create("markdown", title="N", content=NOTES)
    edited = await session.revise(made.id, patch=[{"find": "One", "replace": "Two"}], base_version=1, reason="why é")
    rewritten = await session.revise(made.handle, content=pieces("# Three\n", "ends\n"), title="N3")
    assert (edited.version.number, edited.version.provenance.reason) == (2, "why é")
    assert (rewritten.version.number, rewritten.title) == (3, "N3")
    assert (await session.revise(made.id, content=b"# Three\nends\n")).version.number == 3
    assert (await session.restore(made.id, 1)).version.number == 4
    assert await session.read(made.id) == await session.read(made.id, version=1) == NOTES.encode()
    page = await session.versions(made.id, limit=3)
    rest = await session.versions(made.id, before=page.next_before)
    assert [each.number for each in (*page.items, *rest.items)] == [4, 3, 2, 1]
    assert {each.artifact_id for each in page.items} == {made.id}
    difference = await session.diff(made.id, 1, 2)
    assert (difference.start, difference.end, difference.is_same) == (1, 2, False)
    assert "+# Two" in (difference.text or "")
    assert (await session.diff(made.id, 1)).is_same
    table = await session.create("json", title="J", content={"a": 1})
    await session.revise(table.id, patch={"a": 2, "b": [1]})
    changes = (await session.diff(table.id, 1)).changes
    assert changes is not None
    assert {str(each["path"]): each.get("now") for each in changes} == {"$.a": 2, "$.b": [1]}


async def test_more_versions_than_a_server_gives_at_once_are_one_page(session: Verbs) -> None:
    made = await session.create("markdown", title="N", content="0")
    for number in range(1, 105):
        await session.revise(made.id, content=f"{number}")
    page = await session.versions(made.id, limit=103)
    assert ([each.number for each in page.items], page.next_before) == ([*range(105, 2, -1)], 3)


async def test_parts_of_content_go_on_where_they_ended(session: Verbs) -> None:
    rows = "".join(f"{number},é{number}\n" for number in range(50))
    made = await session.create("csv", title="T", content=f"a,b\n{rows}")
    found = await session.select(made.id, "rows=10:12")
    assert (found.text, found.media_type, found.total) == ("a,b\n10,é10\n11,é11\n", "text/csv", found.total)
    part, text = await session.select(made.id, budget=100), ""
    assert (part.is_cut, part.continuation is not None) == (True, True)
    whole = await session.select(made.id)
    assert (whole.text, whole.is_cut, whole.continuation) == (f"a,b\n{rows}", False, None)
    found = await session.select(made.id, "grep=é4", budget=20)
    while True:
        text += found.text
        if found.continuation is None:
            break
        found = await session.select(made.id, found.continuation, budget=20)
    assert len(re.findall("é4", text)) == 11


async def test_labels_facts_holds_and_the_end_of_an_artifact(session: Verbs, side: Side) -> None:
    made = await session.create("markdown", title="N", content=NOTES, retention=timedelta(hours=1))
    assert (await session.label(made.id, "final", "für später")).labels == ("final", "für später")
    stepped = await session.step(made.id, facts={"sent": {"to": ["é"]}, "n": 1})
    assert stepped.facts == {"sent": {"to": ["é"]}, "n": 1}
    assert (await session.step(made.id, facts={"n": None})).facts == {"sent": {"to": ["é"]}}
    with pytest.raises(IllegalTransition) as illegal:
        await session.step(made.id, state="sent")
    assert (illegal.value.asked, illegal.value.legal) == ("sent", ())
    assert (await session.hold(made.id)).held
    with pytest.raises(ArtifactHeld):
        await session.remove(made.id)
    side.clock.move(hours=2)
    assert await session.read(made.id) == NOTES.encode()
    assert not (await session.hold(made.id, held=False)).held
    with pytest.raises(ArtifactExpired) as expired:
        await session.get(made.id)
    assert expired.value.reference == made.id
    other = await session.create("markdown", title="N", content=NOTES)
    await session.remove(other.handle)
    with pytest.raises(ArtifactExpired):
        await session.read(other.id)


# Refusals


async def test_two_changes_of_one_place_are_a_conflict_that_shows_both_sides(session: Verbs) -> None:
    made = await session.create("json", title="J", content={"a": 1})
    await session.revise(made.id, patch={"a": 2})
    with pytest.raises(VersionConflict) as conflict:
        await session.revise(made.id, patch={"a": 3}, base_version=1)
    assert (conflict.value.base, conflict.value.head) == (1, 2)
    (one,) = conflict.value.conflicts
    assert (one["base"], one["ours"], one["theirs"]) == (1, 3, 2) or (one["base"], one["ours"], one["theirs"]) == (
        1,
        2,
        3,
    )


async def test_a_missed_edit_tells_the_nearest_text(session: Verbs) -> None:
    made = await session.create("markdown", title="N", content=NOTES)
    with pytest.raises(EditMissed) as missed:
        await session.revise(made.id, patch=[{"find": "and the secund", "replace": "x"}])
    assert missed.value.nearest is not None
    assert missed.value.nearest["line"] == 4
    assert missed.value.found == 0


async def test_a_quota_stops_what_is_too_much(tmp_path: Path) -> None:
    for where in SIDES:
        async with open_side(where, tmp_path / where, quotas={"session": {"artifacts": 1}}) as side:
            session = side.session()
            await session.create("markdown", title="N", content="one")
            with pytest.raises(QuotaExceeded) as exceeded:
                await session.create("markdown", title="N", content="two")
            assert (exceeded.value.used, exceeded.value.asked, exceeded.value.limit) == (1, 1, 1)


async def test_pieces_that_break_off_or_are_too_many_store_nothing_and_are_told(session: Verbs) -> None:
    async def broken() -> AsyncIterator[str]:
        yield "# Begun\n"
        raise RuntimeError("the model went away")

    with pytest.raises(RuntimeError, match="went away"):
        await session.create("markdown", title="N", content=broken())
    assert (await told(session, until="artifact-failed"))[-1].facts == {"code": "broken_off"}
    with pytest.raises(ContentTooLarge) as large:
        await session.create("markdown", title="N", content=pieces(*["x" * 100_000] * 50))
    assert large.value.limit == 262_144
    events = await told(session, until="artifact-failed", after=1)
    assert events[-1].facts == {"code": "content_too_large"}
    with pytest.raises(InvalidContent):
        await session.create("markdown", title="N", content=pieces("a", "\ud800"))
    with pytest.raises(ContentRefused):
        await session.create("json", title="J", content=pieces('{"a": ', "NaN}"))
    assert (await session.list()).items == ()


async def test_pieces_are_seen_by_those_who_follow(session: Verbs, side: Side) -> None:
    may_end = asyncio.Event()

    async def slow() -> AsyncIterator[str]:
        yield "# Beg"
        yield "un é\n"
        await may_end.wait()
        yield "end\n"

    making = asyncio.ensure_future(session.create("markdown", title="N", content=slow()))
    seen = ""
    async with asyncio.timeout(SOON), aclosing(side.inside.feed.follow_live(session.scope, after=0)) as passing:
        async for each in passing:
            seen += getattr(each, "text", "")
            if seen == "# Begun é\n":
                assert (await session.list()).items == ()
                may_end.set()
            if seen.endswith("end\n"):
                break
        made = await making
    assert await session.read(made.id) == b"# Begun \xc3\xa9\nend\n"


Call = Callable[[Verbs, Artifact], Awaitable[object]]
ELF = b"\x7fELF\2\1\1" + b"\0" * 60


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


DEEP = nested(100_000)
REFUSED: dict[str, Call] = {
    "nothing there": lambda s, _: s.get("gone_0000"),
    "a handle with a slash": lambda s, _: s.get("a/b"),
    "steps upwards": lambda s, _: s.get(".."),
    "no reference": lambda s, _: s.get(""),
    "a reference with NUL": lambda s, _: s.get("a\0b"),
    "half a character": lambda s, _: s.get("\ud800"),
    "a question": lambda s, _: s.remove("a?b#c"),
    "no such version": lambda s, a: s.get(a.id, version=7),
    "version zero": lambda s, a: s.read(a.id, version=0),
    "a negative version": lambda s, a: s.diff(a.id, -1),
    "a version beyond all": lambda s, a: s.restore(a.id, 2**40),
    "no such base": lambda s, a: s.revise(a.id, content="x", base_version=9),
    "no such run": lambda s, _: s.execution("exc_0"),
    "a run with a slash": lambda s, _: s.cancel("../x"),
    "no such type": lambda s, _: s.create("pie", content="x"),
    "no such type, in pieces": lambda s, _: s.create("pie", content=pieces("x")),
    "too large": lambda s, _: s.create("markdown", title="N", content="x" * 300_000),
    "much too large": lambda s, _: s.create("markdown", title="N", content="x" * 70_000_000),
    "not a number": lambda s, _: s.create("json", title="J", content={"a": float("nan")}),
    "too deep": lambda s, _: s.create("json", title="J", content=DEEP),
    "deep text": lambda s, _: s.create("json", title="J", content="[" * 100_000),
    "names twice": lambda s, _: s.create("json", title="J", content='{"a": 1, "a": 2}'),
    "not text": lambda s, _: s.create("markdown", title="N", content={"a": 1}),
    "half a character as content": lambda s, _: s.create("file", name="a.txt", content="\ud800"),
    "a name with a slash": lambda s, _: s.create("file", content=b"x", name="a/b.txt"),
    "a format that is not delivered": lambda s, _: s.create(
        "file", content=b"\x7fELF\2\1\1" + b"\0" * 60, name="a.bin"
    ),
    "no retention": lambda s, _: s.create("file", content=b"x", name="a.txt", retention=timedelta(0)),
    "no file": lambda s, _: s.create("file", content=Path("/nowhere/at/all.txt")),
    "no input": lambda s, _: s.run("1", inputs=[Path("/nowhere/at/all.txt")]),
    "an input of another session": lambda s, _: s.run("1", inputs=["gone_0000"]),
    "an input with a path": lambda s, _: s.start("1", inputs=["../../etc/passwd"]),
    "a limit of nothing": lambda s, _: s.run("1", limits=Limits(wall_seconds=0)),
    "a limit that is no number": lambda s, _: s.run("1", limits=Limits(wall_seconds=float("nan"))),
    "a limit beyond all": lambda s, _: s.run("1", limits=Limits(memory_bytes=2**50)),
    "too much code": lambda s, _: s.run("#" * (5 * 2**20)),
    "both content and patch": lambda s, a: s.revise(a.id, content="x", patch=[]),
    "neither content nor patch": lambda s, a: s.revise(a.id),
    "a patch of nothing": lambda s, a: s.revise(a.id, patch="nonsense"),
    "a patch that is too deep": lambda s, a: s.revise(a.id, patch=DEEP),
    "an edit that fits twice": lambda s, a: s.revise(a.id, patch=[{"find": "e", "replace": "x"}]),
    "a selector that is none": lambda s, a: s.select(a.id, "row=1"),
    "a selector of nothing": lambda s, a: s.select(a.id, ""),
    "a selector that does not fit": lambda s, a: s.select(a.id, "path=$.a"),
    "a budget of nothing": lambda s, a: s.select(a.id, budget=0),
    "a page of nothing": lambda s, _: s.list(limit=0),
    "a page that is too long": lambda s, a: s.versions(a.id, limit=1001),
    "a cursor that is none": lambda s, _: s.list(cursor="nonsense"),
    "a label that is empty": lambda s, a: s.label(a.id, ""),
    "a retention in words": lambda s, _: s.create("markdown", content="x", retention="1d"),  # pyright: ignore[reportArgumentType]  # as callers without types say it
    "the first bytes of an encrypted blob": lambda s, _: s.create(
        "file", content=b"\x89HANDIWORK-SEAL\nx", name="a.bin"
    ),
    "a call that is no iterator": lambda s, _: s.write({"type": "markdown"}),  # pyright: ignore[reportArgumentType]  # as above
    "a call without what it needs": lambda s, _: s.write(pieces('{"type": "markdown"}')),
    "a call for a format of no kind": lambda s, _: s.write(
        pieces('{"type": "file", "content": "x", "mediaType": "x/y"}')
    ),
    "a tool call that none is called": lambda s, _: s.record("a\nb", tool="t", result=1),
    "a promotion of nothing": lambda s, _: s.promote("call_0", "markdown"),
    "facts that are a list": lambda s, a: s.step(a.id, facts=[1]),  # pyright: ignore[reportArgumentType]  # as above
    "a truth for a version": lambda s, a: s.get(a.id, version=True),
    "a truth for a base": lambda s, a: s.revise(a.id, content="x", base_version=True),
    "a truth for a version to restore": lambda s, a: s.restore(a.id, True),  # that is the mistake
    "a truth for a version to compare": lambda s, a: s.diff(a.id, True),  # that is the mistake
    "a truth for a place in the versions": lambda s, a: s.versions(a.id, before=True),
    "a truth for a budget": lambda s, a: s.select(a.id, budget=True),
    "a truth for a page": lambda s, _: s.list(limit=True),
    "a fraction for a page": lambda s, _: s.list(limit=2.0),  # pyright: ignore[reportArgumentType]  # as above
    "half a character in a title": lambda s, _: s.create("markdown", content="x", title="\ud800"),
    "half a character in a language": lambda s, _: s.create("code", content="x", title="x", language="\ud800"),
    "half a character in a new title": lambda s, a: s.revise(a.id, content="x", title="\ud800"),
    "half a character in a new language": lambda s, a: s.revise(a.id, content="x", language="\ud800"),
    "half a character in a reason": lambda s, a: s.revise(a.id, content="x", reason="\ud800"),
    "half a character in an edit": lambda s, a: s.revise(a.id, patch=[{"find": "e", "replace": "\ud800"}]),
    "half a character in metadata": lambda s, a: s.revise(a.id, content="x", metadata={"a": "\ud800"}),
    "half a character in a name": lambda s, _: s.create("file", content="x", name="\ud800.txt"),
    "half a character in JSON": lambda s, _: s.create("json", content=["\ud800"]),
    "half a character in a label": lambda s, a: s.label(a.id, "\ud800"),
    "half a character in a fact": lambda s, a: s.step(a.id, facts={"a": "\ud800"}),
    "half a character in a tool's name": lambda s, _: s.record("call_1", tool="\ud800", result=1),
    "half a character in an answer": lambda s, _: s.record("call_1", tool="t", result="\ud800"),
    "half a character in a tool call": lambda s, _: s.record("\ud800", tool="t", result=1),
    "half a character in a selector": lambda s, a: s.select(a.id, "grep=\ud800"),
    "a call with a truth for a base": lambda s, a: s.write(
        pieces(f'{{"artifactId": "{a.id}", "content": "x", "baseVersion": true}}')
    ),
    "facts that are no JSON": lambda s, a: s.step(a.id, facts={"a": float("inf")}),
}


async def test_what_is_refused_is_refused_alike(tmp_path: Path) -> None:
    said: dict[Where, dict[str, object]] = {}
    for where in SIDES:
        async with open_side(where, tmp_path / where) as side:
            session = side.session()
            made = await session.create("markdown", title="N", content=NOTES)
            said[where] = {case: await refusal(call(session, made), made) for case, call in REFUSED.items()}
            assert len((await session.list()).items) == 1
            assert (await session.get(made.id)).version.number == 1
    assert {case: said["here"][case] for case in REFUSED} == {case: said["afar"][case] for case in REFUSED}


async def test_a_call_is_written_a_result_kept_and_a_file_revised_alike(side: Side, tmp_path: Path) -> None:
    session = side.session()
    page = await session.write(
        pieces('{"type": "file", "title": "page", "media', 'Type": "text/html", "content": "<p>hello"}'),
        tool_call_id="call_1",
    )
    assert (page.name, page.media_type, page.version.provenance.tool_call_id) == ("page.html", "text/html", "call_1")
    revised = await session.write(
        pieces(f'{{"artifactId": "{page.id}", "patch": [{{"find": "hello", "replace": "bye"}}]}}')
    )
    assert (revised.id, await session.read(page.id)) == (page.id, b"<p>bye")
    kept = await session.record("call_2", tool="crm.search", result=[{"name": "Ada"}], ttl=timedelta(hours=1))
    assert (kept.type, kept.version.provenance.tool_call_id) == ("tool_result", "call_2")
    promoted = await session.promote("call_2", "csv", title="People")
    assert (await session.read(promoted.id), promoted.title) == (b'"name"\n"Ada"\n', "People")
    assert (await session.promote("call_2", "csv")).id == promoted.id
    (tmp_path / "more.html").write_text("<p>more")
    assert (await session.revise(page.id, content=tmp_path / "more.html")).version.number == 3
    assert (await session.versions(page.id, before=0)).items == ()
    assert len((await session.versions(page.id, before=2**40)).items) == 3


async def test_whose_session_is_erased_must_be_said(side: Side) -> None:
    session = side.session("mine")
    await session.create("markdown", title="N", content="x")
    with pytest.raises(InvalidName):
        await side.engine.erase(Reach(tenant="default", session="mine"))
    assert len((await session.list()).items) == 1


async def refusal(call: Awaitable[object], made: Artifact) -> object:
    try:
        return f"not refused: {await call!r}"
    except HandiworkError as error:
        facts = {name: fact for name, fact in vars(error).items() if name != "hint"}
        text = f"{type(error).__name__}: {error} {error.hint} {facts}"
        return text.replace(made.id, "ID").replace(made.handle, "HANDLE")


@pytest.mark.parametrize(
    "name",
    ["team/plan", "/", "..", ".", "a?b#c%2F", "日本 é", "a" * 200, "a\\b;c=d&e+f", "%", "'\""],
    ids=range(10),
)
async def test_a_session_with_an_odd_name_is_as_good_as_any(side: Side, name: str) -> None:
    session = side.session(name)
    made = await session.create("markdown", title="N", content=NOTES)
    written = await session.create("markdown", title="N", content=pieces("a", "b"))
    assert made.scope.session == name
    assert await session.read(made.handle) == NOTES.encode()
    assert (await session.revise(made.handle, content="x")).version.number == 2
    assert {each.id for each in (await session.list()).items} == {written.id, made.id}
    assert [each.session for each in (await side.engine.sessions()).items] == [name]
    assert len(await told(session, until="artifact-revised")) == 3
    assert (await side.session("other").list()).items == ()


@pytest.mark.parametrize("name", ["", "a" * 201, "a\nb", "a\0b", "\ud800"])
async def test_a_session_that_none_can_be_called_is_refused(side: Side, name: str) -> None:
    with pytest.raises(HandiworkError) as refused:
        side.session(name)
    assert refused.value.code == "invalid_name"


# Events and exports


async def test_events_are_followed_from_a_cursor(session: Verbs) -> None:
    one = await session.create("markdown", title="N", content=NOTES)
    following = asyncio.ensure_future(told(session, until="artifact-expired"))
    await session.revise(one.id, content="x")
    await session.remove(one.id)
    events = await following
    assert [(each.seq, each.type, each.artifact_id) for each in events] == [
        (1, "artifact-created", one.id),
        (2, "artifact-revised", one.id),
        (3, "artifact-expired", one.id),
    ]
    assert events[0].facts["artifactType"] == "markdown"
    assert {each.scope for each in events} == {session.scope}
    assert await told(session, until="artifact-expired", after=1) == events[1:]


async def test_a_cursor_that_the_session_never_had_is_an_error(session: Verbs) -> None:
    await session.create("markdown", title="N", content=NOTES)
    with pytest.raises(CursorTooOld) as old:
        await told(session, until="artifact-expired", after=77)
    assert (old.value.after, old.value.last) == (77, 1)


async def test_an_export_is_whole_and_the_same(session: Verbs, tmp_path: Path) -> None:
    made = await session.create("markdown", title="N", content=NOTES)
    await session.revise(made.id, content="second\n")
    await session.create("file", content=b"\x89PNG\r\n\x1a\n", name="dot.png")
    exported = await session.export(tmp_path / "all.zip")
    verified = verify(tmp_path / "all.zip")
    assert (exported.artifacts, exported.versions, exported.size) == (2, 3, (tmp_path / "all.zip").stat().st_size)
    assert verified.artifacts == 2
    one = io.BytesIO()
    assert (await session.export(one, [made.handle])).artifacts == 1
    (tmp_path / "one.zip").write_bytes(one.getvalue())
    assert verify(tmp_path / "one.zip").versions == 2
    with pytest.raises(HandiworkError) as taken:
        await session.export(tmp_path / "all.zip")
    assert taken.value.code == "invalid_name"
