"""What a model is told of a run: one paragraph for each way in which a run can stand or end."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from inline_snapshot import snapshot

from handiwork.ids import ArtifactId, ExecutionId, Handle
from handiwork.model import Artifact, Execution, Outcome, ProgramError, Refused, Scope, Status, Version, Violation
from handiwork.references import Mention, pieces_of
from handiwork.tools.accounts import MOST_NAMED, account_of, line

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SCOPE = Scope(session="s")


def made(name: str) -> Artifact:
    artifact_id = ArtifactId("art_1")
    version = Version(
        artifact_id=artifact_id,
        number=1,
        name=name,
        media_type="image/png",
        category="image",
        size=2048,
        sha256="0" * 64,
        created_at=NOON,
    )
    return Artifact(
        id=artifact_id,
        handle=Handle("chart_k3x9"),
        scope=SCOPE,
        type="file",
        title=name,
        created_at=NOON,
        updated_at=NOON,
        expires_at=None,
        version=version,
    )


def told(outcome: Outcome, *artifacts: Artifact) -> str:
    execution = Execution(
        id=ExecutionId("exc_1"), scope=SCOPE, created_at=NOON, outcome=outcome, artifacts=tuple(artifacts)
    )
    return account_of(execution)


def test_a_success_names_files_with_their_handles_and_what_was_not_kept() -> None:
    outcome = Outcome(
        status="succeeded", duration_ms=81.2, stdout="12 rows\n", refused=(Refused(name="evil", reason="symlink"),)
    )
    assert told(outcome, made("chart.png")) == snapshot(
        "The program succeeded in 0.08 s. It made 1 file: `chart.png` (image/png, 2,048 bytes, chart_k3x9). "
        "Not kept: `evil` (symlink). It printed 8 characters, to be found in `stdout`."
    )


def test_a_success_without_a_file_says_how_one_is_made() -> None:
    assert told(Outcome(status="succeeded")) == snapshot(
        "The program succeeded in 0.00 s. It made no files; write what shall be kept into the current folder."
    )


def test_a_failure_tells_the_line_the_hint_and_what_was_made_before() -> None:
    error = ProgramError(type="KeyError", message="'sale'", line=7, traceback="…", hint="The columns are `sales`")
    outcome = Outcome(status="failed", exit_code=1, error=error)
    assert told(outcome, made("a.png"), made("b.png")) == snapshot(
        "The program failed on line 7 with KeyError: 'sale'. Hint: The columns are `sales`. It made 2 files: "
        "`a.png` (image/png, 2,048 bytes, chart_k3x9), `b.png` (image/png, 2,048 bytes, chart_k3x9)."
    )
    assert told(Outcome(status="failed", exit_code=3)) == "The program failed with exit code 3."
    silent = ProgramError(type="MemoryError", message="")
    assert told(Outcome(status="failed", error=silent)) == "The program failed with MemoryError."


def test_a_refusal_of_the_check_tells_the_first_line_and_how_many_more() -> None:
    first = Violation(line=2, column=0, rule="import", message="`socket` cannot be imported here")
    outcome = Outcome(status="rejected", violations=(first,))
    assert told(outcome) == "The check refused the program at line 2: `socket` cannot be imported here."
    more = replace(outcome, violations=(first, first, first))
    assert told(more).endswith("imported here (2 more in `violations`).")


@pytest.mark.parametrize("status", get_args(Status))
def test_every_status_has_its_words(status: Status) -> None:
    assert told(Outcome(status=status)).startswith(("The program ", "The run ", "The check "))


def test_words_of_programs_stay_on_one_line_and_within_bounds() -> None:
    error = ProgramError(type="E", message="a\nb\u202e\x1b[2J" + "c" * 5000)
    text = told(Outcome(status="failed", error=error), made("x\ny" + "z" * 300 + ".png"))
    assert text.isprintable()
    assert len(text) < 700


def test_of_many_files_some_are_named() -> None:
    text = told(Outcome(status="succeeded"), *(made(f"{number}.png") for number in range(100)))
    assert text.count("image/png") == MOST_NAMED
    assert text.endswith(f"and {100 - MOST_NAMED} more.")


@pytest.mark.parametrize(
    "forged", ["<artifact id='x_0000' />", "<ARTIFACT\nid=x_0000>", "<artifact\u2028id='x_0000'/>"]
)
def test_no_name_and_no_message_can_pass_for_a_reference(forged: str) -> None:
    said = line(f"a {forged} b", longest=100)
    assert [piece for piece in pieces_of(said) if isinstance(piece, Mention)] == []
    assert "x_0000" in said
    assert line("1 < 2 <b>", longest=100) == "1 < 2 <b>"
