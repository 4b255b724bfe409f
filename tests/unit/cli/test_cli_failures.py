"""Errors as exit codes and as words."""

import json

import pytest

from handiwork.cli import failures
from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    ExecutionNotFound,
    ExtraMissing,
    HandiworkError,
    InputNotFound,
    InvalidLimit,
    InvalidSetting,
    IsolationUnavailable,
    ModelUnusable,
    StorageFull,
    VersionNotFound,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ArtifactNotFound("x"), 4),
        (VersionNotFound("x", 2, head=1), 4),
        (ArtifactExpired("x", "then"), 4),
        (ExecutionNotFound("x"), 4),
        (failures.StoreNotFound("x"), 4),
        (IsolationUnavailable("full", wall="seccomp", why="because", fix="do"), 3),
        (InvalidSetting("x", problem="p", where="w"), 2),
        (InvalidLimit("x", -1, expected="more"), 2),
        (failures.ScriptUnusable("x", "no"), 2),
        (failures.ModelNeeded(), 2),
        (ModelUnusable("x", why="no"), 2),
        (ExtraMissing("pydantic-ai", why="asked for"), 2),
        (InputNotFound("x", "no"), 4),
        (StorageFull("x"), 1),
        (failures.TargetRefused("x", "no"), 1),
    ],
)
def test_the_exit_code_tells_the_kind_of_failure(error: HandiworkError, code: int) -> None:
    assert failures.exit_code(error) == code


def test_an_error_is_told_in_two_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    code = failures.tell(StorageFull("disk\x1b[2J"), as_json=False)
    captured = capsys.readouterr()
    assert (code, captured.out) == (1, "")
    assert captured.err.splitlines() == [
        "error: No space is left in `disk\\x1b[2J`; nothing was stored.",
        "hint: Free space, or remove artifacts that are no longer needed.",
    ]


def test_with_json_an_error_is_one_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    failures.tell(VersionNotFound("x", 2, head=1), as_json=True)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out) == {
        "error": {
            "code": "version_not_found",
            "message": "Artifact `x` has no version 2; its versions are 1 to 1.",
            "hint": None,
        }
    }
