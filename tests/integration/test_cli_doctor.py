"""`handiwork doctor` on the machine that runs the tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from handiwork.cli.app import start
from handiwork.sandbox.walls import REQUIRED


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _report(capsys: pytest.CaptureFixture[str], *, code: int = 0) -> dict[str, Any]:
    assert start(["doctor", "--json", "--data", "store"]) == code
    return json.loads(capsys.readouterr().out)


def test_doctor_reports_on_everything_and_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = _report(capsys)
    isolation = report["isolation"]
    assert report["ok"] is True
    assert isolation["level"] in ("full", "unprivileged")
    assert all(isolation["walls"][wall] for wall in REQUIRED[isolation["level"]])
    assert {each["wall"] for each in isolation["missing"]} >= {
        wall for wall in REQUIRED["full"] if not isolation["walls"][wall]
    }
    assert isolation["memoryBy"] in ("cgroup", "watch")
    assert (isolation["cgroupVersion"] is None) == (isolation["memoryBy"] == "watch")
    assert {"matplotlib", "numpy", "pandas"} <= set(report["libraries"])
    assert report["missingLibraries"] == []
    assert report["fonts"]["covers"] == {"Latin": True, "Greek": True, "Cyrillic": True}
    assert report["fonts"]["default"] in report["fonts"]["families"]
    assert report["store"] | {"freeBytes": 0, "expected": ""} == {
        "path": str(folder / "store"),
        "exists": False,
        "revision": None,
        "expected": "",
        "writable": True,
        "freeBytes": 0,
        "encryption": False,
        "problem": None,
    }
    assert report["platform"]["kernel"]
    assert list(folder.iterdir()) == []


def test_for_a_person_each_part_has_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = ("Isolation", "Libraries for agent code", "Fonts that agent code sees", "Store", "Machine")
    assert [line for line in lines if line in titles] == list(titles)
    assert any("docs/guides/containers.md" in line for line in lines)
    assert lines[-1] == "ok"


def test_a_store_that_cannot_be_used_is_not_ok(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "store").touch()
    report = _report(capsys, code=1)
    assert (report["ok"], report["store"]["writable"]) == (False, False)
    assert report["store"]["problem"]


def test_a_weaker_level_that_is_configured_is_told_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDIWORK_ARTIFACTS__ISOLATION", "none")
    isolation = _report(capsys)["isolation"]
    assert (isolation["level"], isolation["why"]) == ("none", "`artifacts.isolation` asks for `none`")
    assert {each["wall"] for each in isolation["missing"]} >= {"seccomp", "userNamespace"}


def test_a_wrong_setting_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HANDIWORK_ARTIFACTS__ISOLATION", "strong")
    assert _report(capsys, code=2)["error"]["code"] == "invalid_setting"
