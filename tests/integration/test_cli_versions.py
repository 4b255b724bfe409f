"""The commands that make and change artifacts, against a real store, with files as people have them."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from handiwork.cli import versions
from handiwork.cli.app import start


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a text, two patches of it, and files that are neither."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.md").write_text("# Plan\nQ3\n", encoding="utf-8")
    (tmp_path / "patch.json").write_text('[{"find": "Q3", "replace": "Q4"}]', encoding="utf-8")
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x98")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert start([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str]) -> str:
    return told(["create", "markdown", "plan.md", "--title", "Plan"], capsys)["handle"]


def test_an_artifact_is_made_revised_compared_and_taken_back(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    revised = told(["revise", plan, "--patch", "patch.json", "--base", "1", "--reason", "it slipped"], capsys)
    assert (revised["version"]["number"], revised["title"]) == (2, "Plan")
    assert "-Q3\n+Q4\n" in told(["diff", plan, "1"], capsys)["text"]
    assert told(["restore", plan, "1"], capsys)["version"]["number"] == 3
    assert told(["label", plan, "a", "b"], capsys)["labels"] == ["a", "b"]
    listed = told(["versions", plan], capsys)["items"]
    assert [(each["number"], each["provenance"]["reason"]) for each in listed] == [
        (3, None),
        (2, "it slipped"),
        (1, None),
    ]


def test_what_is_said_beside_the_content_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.py").write_text("print(1)\n", encoding="utf-8")
    made = told(["create", "code", "x.py", "--metadata", "by=ada", "--metadata", '{"n": [1]}'], capsys)
    version = made["version"]
    assert (version["mediaType"], version["language"]) == ("text/x-python", "python")
    assert (version["metadata"], version["content"]) == ({"by": "ada", "n": [1]}, "print(1)\n")
    other = told(["create", "code", "x.py", "--language", "rust", "--retention", "forever"], capsys)
    assert (other["version"]["language"], other["expiresAt"]) == ("rust", None)
    revised = told(["revise", made["handle"], "--content", "x.py", "--language", "ruby", "--metadata", "a=1=2"], capsys)
    assert (revised["version"]["language"], revised["version"]["metadata"]) == ("ruby", {"a": "1=2"})


def test_facts_are_noted_and_taken_away(plan: str, capsys: pytest.CaptureFixture[str]) -> None:
    stepped = told(["step", plan, "--fact", "to=bo", "--fact", '{"at": 3}'], capsys)
    assert stepped["facts"] == {"to": "bo", "at": 3}
    assert told(["step", plan, "--fact", '{"to": null}'], capsys)["facts"] == {"at": 3}
    assert told(["show", plan], capsys)["version"]["content"] == "# Plan\nQ3\n"


def test_content_and_patches_come_by_standard_input(
    plan: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flag, given, number in (("--content", b"Q3 again\n", 2), ("--patch", b'[{"find": "Q3", "replace": "Q4"}]', 3)):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(given)))
        assert told(["revise", plan, flag, "-"], capsys)["version"]["number"] == number


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create", "markdown", "missing.md"], 4, "No such file"),
        (["create", "markdown", "folder"], 4, "Is a directory"),
        (["create", "markdown", "binary"], 1, "text in UTF-8"),
        (["create", "json", "deep.json"], 1, "brackets within each other"),
        (["create", "nothing", "plan.md"], 1, "No artifact type"),
        (["revise", "{plan}", "--content", "missing.md"], 4, "No such file"),
        (["revise", "{plan}", "--content", "folder"], 4, "Is a directory"),
        (["revise", "{plan}", "--content", "binary"], 1, "text in UTF-8"),
        (["revise", "{plan}", "--patch", "binary"], 1, "a patch as JSON"),
        (["revise", "{plan}", "--patch", "deep.json"], 1, "a patch as JSON"),
        (["revise", "{plan}", "--patch", "empty"], 1, "a patch as JSON"),
        (["revise", "{plan}", "--content", "plan.md", "--base", "99"], 4, "no version 99"),
        (["revise", "{plan}", "--content", "plan.md", "--patch", "patch.json"], 2, "exactly one"),
        (["revise", "{plan}"], 2, "exactly one"),
        (["revise", "gone_0000", "--content", "plan.md"], 4, "No artifact"),
        (["create", "markdown", "plan.md", "--metadata", "word"], 1, "a value"),
        (["create", "markdown", "plan.md", "--metadata", "[1]"], 1, "a JSON object"),
        (["create", "markdown", "plan.md", "--metadata", '{"a": NaN}'], 1, "NaN"),
        (["create", "markdown", "plan.md", "--retention", "soon"], 2, "a duration"),
        (["create", "markdown", "plan.md", "--retention", "99999999999d"], 2, "100 years"),
        (["step", "{plan}"], 2, "--state"),
        (["step", "{plan}", "--state", "sent"], 1, "cannot go from"),
        (["step", "{plan}", "--fact", '{"a": 1'], 1, "a comma"),
        (["restore", "{plan}", "99999999999999999999"], 4, "its versions are 1 to 1"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    plan: str, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start([word.replace("{plan}", plan) for word in words]) == code
    assert said in capsys.readouterr().err
    assert [each["number"] for each in told(["versions", plan], capsys)["items"]] == [1]
    assert len(told(["ls"], capsys)["items"]) == 1


@pytest.mark.linux
def test_a_source_that_never_ends_is_refused(
    plan: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "LARGEST_BYTES", 1000)
    assert start(["revise", plan, "--content", "/dev/zero"]) == 1
    assert "the limit is 1,000 bytes" in capsys.readouterr().err
