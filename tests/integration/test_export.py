"""Exports of a real store: in Python, over HTTP and on the command line; and none of a store that is ill."""

import asyncio
import io
import json
import random
import zipfile
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from doors import API, bearer, key_for, listening_server, open_server
from starlette.types import Message

import handiwork
from handiwork import wiring
from handiwork.cli.app import start
from handiwork.errors import ArtifactExpired, ContentDamaged
from handiwork.export.bundle import Bundle
from handiwork.export.verify import verify
from handiwork.server.exports import BundleResponse

PNG = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a store, where the session `default` has three artifacts with four versions."""
    monkeypatch.chdir(tmp_path)
    with handiwork.open_sync(".handiwork") as engine:
        session = engine.session("default")
        notes = session.create("markdown", content="# One\n", title="Notes")
        session.revise(notes.id, patch=[{"find": "One", "replace": "Two"}], reason="better")
        session.create("csv", content="a,b\n1,2\n", title="Table", name="table.csv")
        session.create("file", content=PNG, name="dot.png")
    return tmp_path / ".handiwork"


def manifest_in(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return json.loads(archive.read("manifest.json"))


def blob_of(store: Path, name: str) -> Path:
    (path,) = [each for each in store.rglob(name) if each.is_file()]
    return path


def gather(answer: httpx2.Response, received: bytearray) -> None:
    for chunk in answer.iter_bytes():
        received += chunk


def _json(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> Any:
    assert start([*words, "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


# Python


async def test_a_session_is_exported_with_what_it_holds_now(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "data") as engine:
        session = engine.session("conv", user="ada")
        kept = await session.create("json", content={"a": 1}, title="Kept")
        await session.revise(kept.id, patch={"b": 2})
        brief = await session.create("file", content="soon gone", name="brief.txt", retention=timedelta(seconds=3600))
        removed = await session.create("file", content="removed", name="removed.txt")
        await session.remove(removed.id)
        await engine.session("other", user="ada").create("file", content="foreign", name="foreign.txt")
        made = await session.export(tmp_path / "out.zip")
        again = io.BytesIO()
        assert await session.export(again) == made
        told = manifest_in(again.getvalue())
        with pytest.raises(ArtifactExpired):
            await session.export(io.BytesIO(), [removed.id])
    assert (made.artifacts, made.versions) == (2, 3)
    assert [a["id"] for a in told["artifacts"]] == [brief.id, kept.id]
    assert (told["session"], told["user"]) == ("conv", "ada")
    assert (tmp_path / "out.zip").read_bytes() == again.getvalue()
    assert verify(tmp_path / "out.zip").is_whole


async def test_an_image_by_reference_shows_the_picture_that_is_in_the_export_too(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "data") as engine:
        session = engine.session("s")
        drawing = await session.create("svg", content="<svg/>", title="Drawing")
        source = await session.create("code", content="<svg/>", language="svg", title="Source")
        document = await session.create("markdown", content="# Hello")
        images = [
            (await session.create("image", content=content)).id
            for content in (drawing.id, source.handle, document.handle, "nothing_k3x9")
        ]
        whole, some = io.BytesIO(), io.BytesIO()
        await session.export(whole)
        await session.export(some, images)
    page, partial = (zipfile.ZipFile(each).read("index.html").decode() for each in (whole, some))
    assert page.count(f'<img src="artifacts/{drawing.handle}/v1/') == 2
    assert page.count("<img") == 2
    assert page.count("which is no picture") == 2
    assert page.count("which is not in this export") == 1
    assert "&lt;svg/&gt;" in page
    assert (partial.count("<img"), partial.count("which is not in this export")) == (0, 4)


def test_without_an_event_loop_it_is_the_same(store: Path, tmp_path: Path) -> None:
    with handiwork.open_sync(store) as engine:
        made = engine.session("default").export(tmp_path / "out.zip")
    assert (made.artifacts, made.versions) == (3, 4)
    assert verify(tmp_path / "out.zip").versions == 4


async def test_what_has_expired_is_not_in_it(tmp_path: Path) -> None:
    async with open_server(tmp_path / "data") as door:
        session = door.desk.engine.session("s")
        await session.create("file", content="short", name="short.txt", retention=timedelta(hours=1))
        await session.create("file", content="long", name="long.txt", retention=timedelta(hours=2))
        door.clock.move(hours=1)
        answer = await door.client.get(f"{API}/sessions/s/export")
        assert [a["title"] for a in manifest_in(answer.content)["artifacts"]] == ["long.txt"]
        assert b"short" not in answer.content


async def test_a_store_whose_bytes_have_changed_is_not_exported(store: Path, tmp_path: Path) -> None:
    blob_of(store, "table.csv").write_bytes(b"a,b\n1,3\n")
    async with handiwork.open(store) as engine:
        with pytest.raises(ContentDamaged):
            await engine.session("default").export(tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


# HTTP


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[tuple[httpx2.AsyncClient, wiring.Engine]]:
    async with open_server(tmp_path / "data") as door:
        yield door.client, door.desk.engine


async def test_a_session_is_streamed_as_an_attachment(
    client: tuple[httpx2.AsyncClient, wiring.Engine], tmp_path: Path
) -> None:
    http, engine = client
    session = engine.session("Größe 1")
    await session.create("file", content=b"\x01" * 3 * MIB, name="big.bin")
    answer = await http.get(f"{API}/sessions/Gr%C3%B6%C3%9Fe%201/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    disposition = "attachment; filename=\"Gro_e 1.zip\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%201.zip"
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["cache-control"] == "private, no-store"
    assert "content-length" not in answer.headers
    (tmp_path / "out.zip").write_bytes(answer.content)
    assert verify(tmp_path / "out.zip").is_whole


async def test_a_session_of_which_nothing_is_known_is_not_exported(
    client: tuple[httpx2.AsyncClient, wiring.Engine],
) -> None:
    http, _ = client
    answer = await http.get(f"{API}/sessions/nobody/export")
    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")
    assert (await http.get(f"{API}/sessions/a%0Ab/export")).status_code == 422


async def test_only_who_may_read_may_export(tmp_path: Path) -> None:
    async with open_server(tmp_path / "data", is_open=False) as door:
        session = door.desk.engine.session("one", user="ada")
        await session.create("file", content="secret", name="secret.txt")
        writer = bearer(await key_for(door.desk, user="ada", permissions=["artifact:write"]))
        other = bearer(await key_for(door.desk, user="ada", kind="agent", session="two"))
        ada, bob = bearer(await key_for(door.desk, user="ada")), bearer(await key_for(door.desk, user="bob"))
        path = f"{API}/sessions/one/export"
        statuses = [(await door.client.get(path, headers=each)).status_code for each in ({}, writer, other)]
        assert statuses == [401, 403, 404]
        assert (await door.client.get(path, headers=bob)).status_code == 404
        assert len(manifest_in((await door.client.get(path, headers=ada)).content)["artifacts"]) == 1


async def test_damage_in_what_is_short_is_a_problem_of_its_own(tmp_path: Path) -> None:
    async with open_server(tmp_path / "data") as door:
        await door.desk.engine.session("s").create("file", content="content", name="short.txt")
        blob_of(tmp_path / "data", "short.txt").write_bytes(b"c0ntent")
        answer = await door.client.get(f"{API}/sessions/s/export")
        assert (answer.status_code, answer.json()["code"]) == (500, "integrity_error")


def test_damage_in_what_is_long_breaks_the_connection_off(data: Path) -> None:
    noise = random.Random(1).randbytes(5 * MIB)
    with handiwork.open_sync(data / ".") as engine:
        session = engine.session("s")
        session.create("file", content=noise, name="long.zip")
        session.create("file", content=b"\0" * MIB, name="first.bin")
    blob = blob_of(data, "long.zip")
    blob.write_bytes(noise[:-1] + b"\0")
    with listening_server(data) as server, httpx2.Client(trust_env=False) as http:
        received = bytearray()
        with http.stream("GET", f"{server.url}{API}/sessions/s/export") as answer:
            assert answer.status_code == 200
            with pytest.raises(httpx2.RemoteProtocolError):
                gather(answer, received)
        assert received
        assert not zipfile.is_zipfile(io.BytesIO(received))
        blob.write_bytes(noise)
        assert manifest_in(http.get(f"{server.url}{API}/sessions/s/export").content)["session"] == "s"


async def test_who_has_gone_is_sent_nothing_more(tmp_path: Path) -> None:
    async with handiwork.open(tmp_path / "data") as engine:
        session = engine.session("s")
        for number in range(8):
            await session.create("file", content=random.Random(number).randbytes(MIB), name=f"{number}.bin")
        bundle, sent, has_gone = Bundle(session), list[Message](), asyncio.Event()

        async def receive() -> Message:
            await has_gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) == 3:
                has_gone.set()

        async with asyncio.timeout(5):
            await BundleResponse(bundle)({"type": "http"}, receive, send)
    assert [message["type"] for message in sent[:2]] == ["http.response.start", "http.response.body"]
    assert len(sent) < 6
    assert all(message["more_body"] for message in sent[1:])


# The command line


def test_export_writes_a_zip_that_verify_finds_whole(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _json(["export", "--out", "out.zip"], capsys)
    assert told == {"path": "out.zip", "artifacts": 3, "versions": 4, "size": Path("out.zip").stat().st_size}
    found = _json(["verify", "out.zip"], capsys)
    assert found == {"ok": True, **told, "session": "default", "faults": []}
    assert start(["verify", "out.zip"]) == 0
    assert "as it was written: 3 artifacts, 4 versions" in capsys.readouterr().out
    assert [each.name for each in Path().iterdir()] == [".handiwork", "out.zip"]
    assert store.is_dir()


@pytest.mark.usefixtures("store")
def test_export_takes_some_artifacts_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    items = _json(["ls"], capsys)["items"]
    assert _json(["export", "--out", "some.zip", items[0]["handle"], items[1]["id"]], capsys)["artifacts"] == 2
    assert start(["export", "--out", "none.zip", "nobody_0000"]) == 4
    assert not Path("none.zip").exists()


@pytest.mark.usefixtures("store")
def test_export_replaces_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.zip").write_text("mine")
    Path("link.zip").symlink_to("mine.zip")
    Path("dangling.zip").symlink_to("nowhere")
    for name in ("mine.zip", "link.zip", "dangling.zip", ".", "no/folder/out.zip"):
        assert _json(["export", "--out", name], capsys, code=1)["error"]["code"] == "target_refused"
    assert Path("mine.zip").read_text() == "mine"


def test_export_looks_into_a_store_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.zip")
    assert start(["export", "--out", out, "--data", str(tmp_path / "none")]) == 4
    assert "There is no store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_fails_leaves_no_file(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blob_of(store, "dot.png").write_bytes(PNG[:-1] + b"x")
    assert _json(["export", "--out", "out.zip"], capsys, code=1)["error"]["code"] == "integrity_error"
    assert [each.name for each in Path().iterdir()] == [".handiwork"]


@pytest.mark.usefixtures("store")
def test_verify_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["export", "--out", "out.zip"]) == 0
    with zipfile.ZipFile("out.zip") as whole, zipfile.ZipFile("bad.zip", "w") as bad:
        for name in whole.namelist():
            content = whole.read(name)
            bad.writestr(name, content.replace(b"1,2", b"9,9") if name.endswith(".csv") else content)
        bad.writestr("\x1b[31mmore.txt", b"hidden")
    capsys.readouterr()
    told = _json(["verify", "bad.zip"], capsys, code=1)
    assert (told["ok"], told["error"]["code"]) == (False, "export_invalid")
    assert [fault["file"].rpartition("/")[2] for fault in told["faults"]] == ["\x1b[31mmore.txt", "table.csv"]
    assert start(["verify", "bad.zip"]) == 1
    said = capsys.readouterr()
    assert "table.csv differs" in said.out
    assert "\x1b[31m" not in said.out + said.err


def test_verify_of_no_file_and_of_no_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(["verify", str(tmp_path / "none.zip")], capsys, code=4)["error"]["code"] == "input_not_found"
    (tmp_path / "text.zip").write_text("text")
    assert _json(["verify", str(tmp_path / "text.zip")], capsys, code=1)["faults"][0]["file"] == "text.zip"
