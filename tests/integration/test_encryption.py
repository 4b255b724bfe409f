"""A store that is encrypted at rest: what can be read of it without the key, and what becomes of it with keys."""

import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from doors import API, open_server
from letters import LETTER

import handiwork
from handiwork import wiring
from handiwork.errors import (
    ContentDamaged,
    EncryptionChanged,
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    InvalidSetting,
)
from handiwork.model import Artifact
from handiwork.session import Session
from handiwork.store.sealed_bytes import MAGIC
from sealed_store import encrypted, new_key

pytestmark = pytest.mark.linux

# A word for each place where something can be said; none is part of another.
NEEDLES = (
    *("quartz-title", "topaz-content", "amber-metadata", "opal-name", "garnet-fact", "jade-label", "onyx-reason"),
    *("beryl-patched", "pearl-retitled", "coral-streamed", "agate-upload", "ruby-uploaded", "zircon-posted"),
    *("sapphire-stdout", "emerald-stderr", "jasper-error", "lapis-output", "flint-written", "basalt-refused"),
    *("granite-metadata", "marble-language", "slate-tool", "chalk-category", "shale-result", "gneiss-promoted"),
    "spinel-key",
)
PROGRAM = """
import os, sys
print("sapphire-stdout")
print("emerald-stderr", file=sys.stderr)
open("lapis-output.txt", "w").write("flint-written")
os.symlink("/etc/passwd", "basalt-refused")
raise ValueError("jasper-error")
"""


async def pieces() -> AsyncIterator[str]:
    for piece in ("# cor", "al-stream", "ed\n"):
        yield piece


async def say_everything(session: Session, folder: Path) -> None:
    """Do everything that stores words, with a needle in each."""
    made = await session.create(
        "markdown",
        title="quartz-title",
        content="# topaz-content\n",
        metadata={"about": "amber-metadata"},
        language="marble-language",
    )
    await session.create("file", name="opal-name.txt", content="text")
    await session.revise(made.id, patch=[{"find": "topaz-content", "replace": "beryl-patched"}], reason="onyx-reason")
    await session.revise(made.id, content="# more\n", title="pearl-retitled", metadata={"now": "granite-metadata"})
    await session.label(made.id, "jade-label")
    await session.step(made.id, facts={"sent": "garnet-fact"})
    letter = await session.create("letter", content={"text": "a"})
    await session.act(letter.id, "sent", idempotency_key="spinel-key")
    await session.restore(made.id, 1)
    await session.create("markdown", title="streamed", content=pieces())
    (folder / "agate-upload.txt").write_text("ruby-uploaded", encoding="utf-8")
    await session.create("file", content=folder / "agate-upload.txt")
    await session.record("call_1", tool="slate-tool", category="chalk-category", result={"is": "shale-result"})
    await session.promote("call_1", "json", title="gneiss-promoted")
    run = await session.run(PROGRAM, check=False)
    assert (run.status, [each.name for each in run.artifacts]) == ("failed", ["lapis-output.txt"])


def found_in(data: Path) -> dict[str, set[str]]:
    """Which needles are in the names and bytes of all files of a folder, and where."""
    found: dict[str, set[str]] = {}
    for path in data.rglob("*"):
        content = str(path.relative_to(data)).encode() + (path.read_bytes() if path.is_file() else b"")
        for needle in NEEDLES:
            if any(needle.encode(code) in content for code in ("utf-8", "utf-16-le", "utf-16-be")):
                found.setdefault(needle, set()).add(path.name)
    return found


async def test_no_word_of_a_user_a_model_or_a_program_can_be_read_on_the_disk(tmp_path: Path) -> None:
    data = tmp_path / "data"
    settings = encrypted(new_key(tmp_path / "key"))
    async with open_server(data, types=[LETTER], artifacts=settings.artifacts.model_dump()) as door:
        session = door.desk.engine.session("s")
        await say_everything(session, tmp_path)
        posted = {"type": "markdown", "title": "posted", "content": "zircon-posted"}
        assert (await door.client.post(f"{API}/sessions/s/artifacts", json=posted)).status_code == 201
        assert found_in(data) == {}
        assert (data / "handiwork.db-wal").exists(), "control: the log of the database was looked through too"
        listed = await session.list(query="PEARL-retitled")
        assert [each.title for each in listed.items] == ["pearl-retitled"]
    assert found_in(data) == {}


async def test_without_encryption_every_one_of_those_words_is_there(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_server(data, types=[LETTER], artifacts=encrypted(None).artifacts.model_dump()) as door:
        await say_everything(door.desk.engine.session("s"), tmp_path)
        posted = {"type": "markdown", "title": "posted", "content": "zircon-posted"}
        assert (await door.client.post(f"{API}/sessions/s/artifacts", json=posted)).status_code == 201
        assert sorted(found_in(data)) == sorted(NEEDLES)


# What is read with the key is what was stored


async def everything(session: Session) -> list[object]:
    """All that a session shows: artifacts with all versions and contents, and runs."""
    shown: list[object] = []
    for artifact in (await session.list(limit=1000)).items:
        shown.append(artifact)
        for version in (await session.versions(artifact.id)).items:
            shown += [version, await session.read(artifact.id, version=version.number)]
    return shown


async def test_all_that_was_said_is_read_back_by_the_next_process(tmp_path: Path) -> None:
    settings = encrypted(new_key(tmp_path / "key"))
    async with handiwork.open(tmp_path / "data", settings=settings, types=[LETTER]) as engine:
        session = engine.session("s")
        await say_everything(session, tmp_path)
        before = await everything(session)
        run = await session.run("print('done')\nopen('a.txt', 'w').write('x')")

    async with handiwork.open(tmp_path / "data", settings=settings, types=[LETTER]) as engine:
        session = engine.session("s")
        (made,) = [each for each in (await session.list()).items if each.title == "pearl-retitled"]
        assert [each for each in await everything(session) if each in before] == before
        assert (made.labels, made.facts) == (("jade-label",), {"sent": "garnet-fact"})
        versions = (await session.versions(made.id)).items
        assert [each.provenance.reason for each in versions] == [None, None, "onyx-reason", None]
        assert [each.metadata for each in versions] == [
            {"about": "amber-metadata"},
            {"now": "granite-metadata"},
            {"about": "amber-metadata"},
            {"about": "amber-metadata"},
        ]
        again = await session.execution(run.id)
        assert (again.stdout, [each.name for each in again.artifacts]) == ("done\n", ["a.txt"])


async def test_a_handle_tells_the_type_and_a_key_no_name(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "data", settings=encrypted(new_key(tmp_path / "key"))) as engine:
        made = await engine.session("s").create("file", name="salaries.txt", content="x", title="Salaries")
        filed = await engine.find(engine.session("s").scope, made.id)

    assert made.handle.startswith("file_")
    assert filed.blob_key.endswith(f"/{made.id}/1/content")
    assert list((tmp_path / "data").rglob("metadata.json")) == []


async def test_a_page_of_a_search_is_the_one_that_a_plain_store_gives(tmp_path: Path) -> None:
    pages: list[list[list[str]]] = []
    for settings in (encrypted(new_key(tmp_path / "key")), encrypted(None)):
        async with handiwork.open(tmp_path / f"data-{len(pages)}", settings=settings) as engine:
            session = engine.session("s")
            for number in range(12):
                await session.create("file", name=f"{number}.txt", content="x", title="Report" if number % 3 else "50%")
            found: list[list[str]] = []
            for text in ("rEPort", "50%", "1.tx", "nowhere", "%"):
                for limit in (1, 3, 4, 8, 100):
                    cursor = None
                    while True:
                        page = await session.list(query=text, limit=limit, cursor=cursor)
                        found.append([each.name for each in page.items])
                        if (cursor := page.next_cursor) is None:
                            break
            pages.append(found)

    # The last page may be empty where nobody could know that nothing follows.
    assert [page for page in pages[0] if page] == [page for page in pages[1] if page]


async def test_an_export_holds_what_was_stored(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "data", settings=encrypted(new_key(tmp_path / "key"))) as engine:
        session = engine.session("s")
        await session.create("file", name="a.txt", content="jade in the ZIP")
        await session.export(tmp_path / "all.zip")

    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert any(archive.read(name) == b"jade in the ZIP" for name in archive.namelist())


# Keys that are missing, wrong, changed


async def store_one(data: Path, settings: handiwork.Settings, content: str = "before") -> Artifact:
    async with handiwork.open(data, settings=settings) as engine:
        return await engine.session("s").create("file", name="a.txt", content=content, title=content)


async def contents(data: Path, settings: handiwork.Settings) -> dict[str, bytes]:
    async with handiwork.open(data, settings=settings) as engine:
        session = engine.session("s")
        return {each.title: await session.read(each.id) for each in (await session.list()).items}


def blobs(data: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (data / wiring.BLOB_FOLDER).rglob("*/*/*") if path.is_file()}


async def test_a_store_does_not_open_without_its_key_and_is_not_touched(tmp_path: Path) -> None:
    data, key = tmp_path / "data", new_key(tmp_path / "key")
    await store_one(data, encrypted(key))
    before = blobs(data)

    for settings, refusal in (
        (encrypted(None), EncryptionKeyMissing),
        (encrypted(new_key(tmp_path / "wrong")), EncryptionKeyWrong),
        (encrypted(tmp_path / "wrong", is_enabled=False), EncryptionKeyWrong),
        (encrypted(tmp_path / "missing"), InvalidSetting),
    ):
        with pytest.raises(refusal):
            async with handiwork.open(data, settings=settings):
                pass

    assert blobs(data) == before
    assert await contents(data, encrypted(key)) == {"before": b"before"}, "control: the right key opens it"


async def test_a_key_file_that_is_no_key_makes_no_store(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short", encoding="utf-8")

    with pytest.raises(InvalidSetting, match=r"encryption\.key_file"):
        async with handiwork.open(tmp_path / "data", settings=encrypted(tmp_path / "key")):
            pass

    assert not (tmp_path / "data").exists()


async def test_a_changed_key_opens_the_old_and_the_new_and_touches_no_blob(tmp_path: Path) -> None:
    data, old, new = tmp_path / "data", new_key(tmp_path / "old"), new_key(tmp_path / "new")
    await store_one(data, encrypted(old))
    before = blobs(data)

    await store_one(data, encrypted(new, old), "after")

    assert {path: content for path, content in blobs(data).items() if path in before} == before
    assert await contents(data, encrypted(new)) == {"before": b"before", "after": b"after"}
    with pytest.raises(EncryptionKeyWrong):
        await contents(data, encrypted(old))


async def test_encryption_that_is_turned_on_later_keeps_what_is_there(tmp_path: Path) -> None:
    data, settings = tmp_path / "data", encrypted(new_key(tmp_path / "key"))
    made = await store_one(data, encrypted(None))

    async with handiwork.open(data, settings=settings) as engine:
        session = engine.session("s")
        revised = await session.revise(made.id, content="zircon-posted", title="topaz-content")
        await session.label(made.id, "jade-label")
        await session.create("file", name="opal-name.txt", content="agate-upload")
        assert await session.read(made.id, version=1) == b"before"
        assert revised.handle == made.handle
        (found,) = (await session.list(query="before")).items or (await session.list(query="topaz")).items
        assert (found.title, found.labels) == ("topaz-content", ("jade-label",))

    assert found_in(data) == {}, "what is new is encrypted, also of what was there before"
    assert await contents(data, settings) == {"topaz-content": b"zircon-posted", "opal-name.txt": b"agate-upload"}


async def test_encryption_that_is_turned_off_later_is_read_and_writes_plainly(tmp_path: Path) -> None:
    data, key = tmp_path / "data", new_key(tmp_path / "key")
    made = await store_one(data, encrypted(key), "secret")
    off = encrypted(key, is_enabled=False)

    async with handiwork.open(data, settings=off) as engine:
        session = engine.session("s")
        await session.label(made.id, "jade-label")
        await session.create("file", name="opal-name.txt", content="agate-upload")
        assert (await session.get(made.id)).title == "secret"
        assert await session.read(made.id) == b"secret"
        await session.revise(made.id, content="zircon-posted")

    assert set(found_in(data)) == {"jade-label", "opal-name", "agate-upload", "zircon-posted"}
    assert await contents(data, off) == {"secret": b"zircon-posted", "opal-name.txt": b"agate-upload"}
    with pytest.raises(EncryptionKeyMissing):
        await contents(data, encrypted(None))


async def test_a_process_that_was_open_before_the_key_changed_is_told_to_restart(tmp_path: Path) -> None:
    data, old, new = tmp_path / "data", new_key(tmp_path / "old"), new_key(tmp_path / "new")
    first = await store_one(data, encrypted(old))
    async with handiwork.open(data, settings=encrypted(old)) as engine:
        session = engine.session("s")
        later = await store_one(data, encrypted(new, old), "later")

        assert await session.read(first.id) == b"before"
        with pytest.raises(EncryptionChanged, match="new here"):
            await session.read(later.id)
        own = await session.create("file", name="own.txt", content="own", title="own")

    assert await contents(data, encrypted(new)) == {"before": b"before", "later": b"later", "own": b"own"}
    assert own.title == "own"


async def test_two_engines_with_the_key_share_a_store(tmp_path: Path) -> None:
    data, settings = tmp_path / "data", encrypted(new_key(tmp_path / "key"))
    async with (
        handiwork.open(data, settings=settings) as one,
        handiwork.open(data, settings=settings) as other,
    ):
        made = await one.session("s").create("file", name="a.txt", content="x" * 100_000)
        assert await other.session("s").read(made.id) == b"x" * 100_000
        await other.session("s").label(made.id, "seen")
        assert (await one.session("s").revise(made.id, content="y")).labels == ("seen",)
        assert (await one.session("s").get(made.id)).labels == ("seen",)


async def test_blobs_that_were_exchanged_are_told_and_not_handed_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with handiwork.open(data, settings=encrypted(new_key(tmp_path / "key"))) as engine:
        session = engine.session("s")
        one, other = [await session.create("file", name=f"{n}.txt", content=n * 9) for n in ("a", "b")]
        paths = [
            data / wiring.BLOB_FOLDER / (await engine.find(session.scope, each.id)).blob_key for each in (one, other)
        ]
        first, second = (path.read_bytes() for path in paths)
        assert first.startswith(MAGIC), "control: they are encrypted"
        paths[0].write_bytes(second)
        paths[1].write_bytes(first)

        for each in (one, other):
            with pytest.raises(ContentDamaged):
                await session.read(each.id)


async def test_a_removed_artifact_and_an_erased_user_leave_nothing_sealed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with handiwork.open(data, settings=encrypted(new_key(tmp_path / "key"))) as engine:
        session = engine.session("s")
        made = await session.create("file", name="a.txt", content="x", title="gone")
        await session.remove(made.id)
        await engine.clean()
        left = await engine.retention.database.read(
            lambda connection: connection.exec_driver_sql(
                "SELECT count(*) FROM artifacts WHERE sealed IS NOT NULL"
            ).scalar()
        )
    assert left == 0


def test_without_encryption_its_library_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, handiwork\n"
        "async def main():\n"
        "    async with handiwork.open(sys.argv[1]) as engine:\n"
        "        await engine.session('s').create('markdown', content='x')\n"
        "asyncio.run(main())\n"
        "print('cryptography' in sys.modules, 'handiwork.store.sql_vault' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=tmp_path,
    )
    assert done.stdout == "False True\n", done.stderr
