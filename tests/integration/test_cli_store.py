"""The commands on what is stored, against a real store."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import handiwork
from handiwork.cli.app import start

LONG = "".join(f"line {number}\n" for number in range(1000))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with three artifacts in the session `default` of `.handiwork`."""
    monkeypatch.chdir(tmp_path)
    with handiwork.open_sync(".handiwork") as engine:
        session = engine.session("default")
        for name, content in (("first.txt", LONG), ("second.csv", "x,y\n1,2\n"), ("third.png", b"\x89PNG\r\n\x1a\n")):
            session.create("file", content=content, name=name)
    return tmp_path


def _json(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> Any:
    assert start([*words, "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def _handle(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    return next(i["handle"] for i in _json(["ls"], capsys)["items"] if i["version"]["name"] == name)


def test_ls_lists_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    items = _json(["ls"], capsys)["items"]
    assert [item["version"]["name"] for item in items] == ["third.png", "second.csv", "first.txt"]
    assert start(["ls"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["handle", "name", "type", "size"]
    assert [row.split()[0] for row in rows] == [item["handle"] for item in items]


def test_ls_goes_through_every_page_or_stops_at_the_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with handiwork.open_sync(folder / "many") as engine:
        session = engine.session("s")
        for number in range(203):
            session.create("file", content="x", name=f"{number}.txt")
    names = [i["version"]["name"] for i in _json(["ls", "--data", "many", "--session", "s"], capsys)["items"]]
    assert names == [f"{number}.txt" for number in reversed(range(203))]
    few = _json(["ls", "--data", "many", "--session", "s", "--limit", "2"], capsys)["items"]
    assert [i["version"]["name"] for i in few] == names[:2]


def test_ls_filters_by_type_and_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(_json(["ls", "--type", "file"], capsys)["items"]) == 3
    assert _json(["ls", "--state", "sent"], capsys)["items"] == []
    assert _json(["ls", "--type", "chart"], capsys, code=1)["error"]["code"] == "unknown_type"


def test_an_empty_session_names_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["ls", "--session", "other"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hint: Other sessions here: `default`." in captured.err


def test_looking_makes_no_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(["ls", "--data", "none"], capsys)["items"] == []
    for words in (["show", "x"], ["get", "x"], ["rm", "x"]):
        assert _json([*words, "--data", "none"], capsys, code=4)["error"]["code"] == "store_not_found"
    assert _json(["db", "check", "--data", "none"], capsys)["standing"] == "empty"
    assert not (folder / "none").exists()


def test_show_tells_the_facts_and_the_beginning_of_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    handle = _handle("first.txt", capsys)
    assert start(["show", handle]) == 0
    out = capsys.readouterr().out
    assert f"handle   {handle}" in out
    assert "line 0\n" in out
    assert "line 19\n" in out
    assert "line 20\n" not in out
    assert "handiwork get" in out
    assert _json(["show", handle], capsys)["version"]["size"] == len(LONG)


def test_show_selects_a_part_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    handle = _handle("first.txt", capsys)
    assert start(["show", handle, "--select", "lines=2:3"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "line 1\nline 2\n"
    assert captured.err == "more: --select 'lines=4:5'\n"
    told = _json(["show", handle, "--select", "lines=2:3"], capsys)
    assert (told["text"], told["continuation"], told["tokens"]) == ("line 1\nline 2\n", "lines=4:5", 4)
    refused = _json(["show", handle, "--select", "pages=1"], capsys, code=1)["error"]
    assert refused["code"] == "selector_refused"
    assert "rows=" in refused["hint"] + refused["message"]


def test_show_prints_no_bytes_of_what_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["show", _handle("third.png", capsys)]) == 0
    out = capsys.readouterr().out
    assert "image/png" in out
    assert "PNG\n" not in out


def test_get_writes_the_bytes_under_a_free_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handle = _handle("second.csv", capsys)
    paths = [_json(["get", handle], capsys)["path"] for _ in range(2)]
    assert paths == ["second.csv", "second-2.csv"]
    assert {(folder / path).read_text() for path in paths} == {"x,y\n1,2\n"}
    assert _json(["get", handle, "--out", "new/"], capsys)["path"] == "new/second.csv"
    assert _json(["get", handle, "--out", "new"], capsys)["path"] == "new/second-2.csv"


def test_get_replaces_the_file_that_was_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.csv").write_text("old")
    assert start(["get", _handle("second.csv", capsys), "--out", "mine.csv"]) == 0
    assert (folder / "mine.csv").read_text() == "x,y\n1,2\n"


def test_get_to_standard_output_writes_the_bytes_alone(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    handle = _handle("third.png", capsys)
    done = subprocess.run(
        [sys.executable, "-m", "handiwork", "get", handle, "--out", "-"], capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\x89PNG\r\n\x1a\n", b"")
    assert _json(["get", handle, "--out", "-"], capsys, code=2)["error"]["code"] == "usage"
    assert not (folder / "third.png").exists()


def test_a_version_that_is_not_there_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    handle = _handle("second.csv", capsys)
    assert _json(["show", handle, "--version", "1"], capsys)["version"]["number"] == 1
    assert _json(["show", handle, "--version", "2"], capsys, code=4)["error"]["code"] == "version_not_found"
    assert _json(["get", handle, "--version", "2"], capsys, code=4)["error"]["code"] == "version_not_found"
    assert _json(["get", handle, "--version", "0"], capsys, code=2)["error"]["code"] == "usage"


def test_what_was_removed_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    handle = _handle("second.csv", capsys)
    assert _json(["rm", handle], capsys)["removed"]["name"] == "second.csv"
    assert [i["version"]["name"] for i in _json(["ls"], capsys)["items"]] == ["third.png", "first.txt"]
    assert _json(["get", handle], capsys, code=4)["error"]["code"] == "expired"
    assert _json(["rm", "nothing_0000"], capsys, code=4)["error"]["code"] == "artifact_not_found"
    assert not (folder / "second.csv").exists()


def test_a_name_with_control_characters_in_content_is_shown_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    with handiwork.open_sync(".handiwork") as engine:
        handle = engine.session("default").create("file", content="a\x1b[2Jb\n", name="x.txt").handle
    assert start(["show", handle]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_store_of_a_newer_release_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _json(["db", "check"], capsys)["ok"] is True
    with sqlite3.connect(folder / ".handiwork" / "handiwork.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for words in (["ls"], ["db", "upgrade"]):
        assert _json(words, capsys, code=1)["error"]["code"] == "store_version_mismatch"
    checked = _json(["db", "check"], capsys, code=1)
    assert (checked["ok"], checked["revision"], checked["standing"]) == (False, "9999", "newer")


def test_db_upgrade_makes_a_database_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["db", "upgrade", "--data", "new"]
    befores = [_json(words, capsys)["before"] for _ in range(2)]
    assert befores == [None, _json(["db", "check", "--data", "new"], capsys)["expected"]]


def test_a_new_key_is_written_once_and_opens_an_encrypted_store(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start(["db", "new-key", "key"]) == 0
    key = (folder / "key").read_text(encoding="utf-8").strip()
    printed = capsys.readouterr()
    assert "`artifacts.storage.encryption.key_file`" in printed.err
    assert key not in printed.out + printed.err
    assert start(["db", "new-key", "key"]) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert (folder / "key").read_text(encoding="utf-8").strip() == key

    (folder / "note.md").write_text("secret", encoding="utf-8")
    monkeypatch.setenv("HANDIWORK_ARTIFACTS__STORAGE__ENCRYPTION", "{enabled: true, key_file: key}")
    made = _json(["create", "markdown", "note.md", "--title", "Plan", "--data", "sealed"], capsys)
    assert _json(["ls", "--data", "sealed"], capsys)["items"][0]["title"] == "Plan"
    monkeypatch.delenv("HANDIWORK_ARTIFACTS__STORAGE__ENCRYPTION")
    refused = _json(["show", made["id"], "--data", "sealed"], capsys, code=1)["error"]
    assert refused["code"] == "encryption_key_missing"
    monkeypatch.setenv("HANDIWORK_ARTIFACTS__STORAGE__ENCRYPTION", "{enabled: true, key_file: missing}")
    refused = _json(["show", made["id"], "--data", "sealed"], capsys, code=2)["error"]
    assert "artifacts.storage.encryption.key_file" in refused["message"]


def test_types_tells_name_and_cap(capsys: pytest.CaptureFixture[str]) -> None:
    items = {item["name"]: item for item in _json(["types"], capsys)["items"]}
    assert items["file"]["cap"] > 0
    assert start(["types"]) == 0
    assert "file" in capsys.readouterr().out
