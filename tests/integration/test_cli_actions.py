"""The commands `actions`, against a real store and with a type that an installed package offers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import handiwork
from handiwork.cli.app import start


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "packages" / "letters-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1\n", encoding="utf-8")
    (package / "entry_points.txt").write_text("[handiwork.types]\nletter = letters:LETTER\n", encoding="utf-8")
    monkeypatch.syspath_prepend(package.parent)  # pyright: ignore[reportUnknownMemberType]  # pytest leaves it untyped
    return tmp_path


async def proposed(*names: str) -> tuple[str, list[str]]:
    """An artifact, and the ids of what an agent has proposed to do with it."""
    async with handiwork.open(".handiwork") as engine:
        session = engine.session("default")
        made = await session.create("letter", title="To Bo", content={"text": "a"})
        return made.handle, [(await session.as_agent().propose(made.id, name)).action.id for name in names]


def told(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> Any:
    assert start([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_was_proposed_is_listed_approved_and_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    reference, (sent, thrown) = asyncio.run(proposed("sent", "thrown"))
    listed = told(["actions", "list", reference], capsys)
    assert {each["id"]: each["status"] for each in listed["items"]} == {sent: "proposed", thrown: "proposed"}
    assert listed["possible"] == ["sent", "thrown"]
    assert told(["actions", "reject", thrown], capsys)["status"] == "rejected"
    done = told(["actions", "approve", sent], capsys)
    assert (done["status"], done["decidedBy"], done["outcome"]) == ("finished", "user", {"state": "sent"})
    assert told(["show", reference], capsys)["state"] == "sent"
    assert told(["actions", "approve", thrown], capsys, code=1)["error"]["code"] == "action_decided"
    assert told(["actions", "approve", "act_gone"], capsys, code=4)["error"]["code"] == "action_not_found"


def test_they_say_it_to_people_too(capsys: pytest.CaptureFixture[str]) -> None:
    reference, (sent, thrown) = asyncio.run(proposed("sent", "thrown"))
    assert start(["actions", "reject", thrown]) == 0
    assert "Rejected: `thrown` with version 1" in capsys.readouterr().out
    assert start(["actions", "approve", sent]) == 0
    assert f"Done: `sent` with version 1 of `{reference}`." in capsys.readouterr().out
    assert start(["actions", "list", reference]) == 0
    said = capsys.readouterr()
    assert all(word in said.out for word in (sent, thrown, "finished", "rejected"))
    assert "Possible now: answered." in said.err
