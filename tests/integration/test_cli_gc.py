"""The command `gc`, against a real store."""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import handiwork
from handiwork.cli.app import start


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a store of two artifacts that have expired and one that has not."""
    monkeypatch.chdir(tmp_path)
    with handiwork.open_sync(".handiwork") as engine:
        session = engine.session("default")
        for name, retention in (("a.txt", 0.001), ("bb.txt", 0.001), ("ccc.txt", 3600)):
            session.create("file", content=name, name=name, retention=timedelta(seconds=retention))
        deadline = time.monotonic() + 5
        while len(session.list().items) > 1:
            assert time.monotonic() < deadline
    return tmp_path


def printed(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> Any:
    assert start(["gc", *words, "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / ".handiwork" / "artifacts").rglob("*.txt"))


def test_a_dry_run_counts_and_deletes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(["--dry-run"], capsys)
    assert told["dryRun"] is True
    assert told["expired"] == {"artifacts": 2, "bytes": 11}
    assert names(folder) == ["a.txt", "bb.txt", "ccc.txt"]
    assert printed(["--dry-run"], capsys) == told


def test_what_has_expired_is_deleted_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = printed([], capsys)
    assert (told["dryRun"], told["expired"]) == (False, {"artifacts": 2, "bytes": 11})
    assert names(folder) == ["ccc.txt"]
    assert printed([], capsys)["expired"] == {"artifacts": 0, "bytes": 0}


def test_it_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["gc", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "Would delete" in out
    assert "2 artifacts, 11 bytes" in out
    assert start(["gc"]) == 0
    assert "Deleted" in capsys.readouterr().out
    assert start(["gc"]) == 0
    assert "There was nothing to delete." in capsys.readouterr().out


def test_where_there_is_no_store_nothing_is_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(["--data", "other"], capsys, code=4)["error"]["code"] == "store_not_found"
    assert not (folder / "other").exists()
