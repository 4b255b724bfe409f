"""What a call answers, in words that a model can act on: what happened, references, and of a mistake what to change.

How runs end is told in `accounts`. Bytes never come into an answer, and no address does.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from handiwork.errors import (
    ArtifactExpired,
    ArtifactNotFound,
    EditMissed,
    HandiworkError,
    InputNotFound,
    VersionConflict,
)
from handiwork.errors.telling import told_outside
from handiwork.model import KIB, Acted, Artifact, Execution
from handiwork.quantities import counted
from handiwork.references import escaped, legible
from handiwork.store.records import Page
from handiwork.tools.accounts import LONGEST_NAME, ending_of, line, named, sentence
from handiwork.tools.spelling import reference_of, tag_of, tags_of
from handiwork.tools.tool import Answer
from handiwork.versions.selection import Selection, beginning_of, utf8_size

PRINTED_BYTES = 4 * KIB
TRACEBACK_BYTES = 2 * KIB
MOST_VIOLATIONS = 10
LONGEST_MISTAKE = 2000
LONGEST_TITLE = 80
MOST_FACT_BYTES = 4 * KIB

_HINTS: Mapping[type[HandiworkError], str] = {
    ArtifactNotFound: "list_artifacts shows what there is.",
    ArtifactExpired: "Make it again if it is still needed.",
    InputNotFound: "Name artifacts of this conversation by id; list_artifacts shows them.",
}


def made(execution: Execution) -> Answer:
    """Tell of a program: what it made, what it printed, and where it went wrong."""
    outcome = execution.outcome
    parts = [ending_of(execution), tags_of(execution.artifacts)]
    if len(outcome.violations) > 1:
        refusals = [f"line {each.line}: {sentence(each.message)}" for each in outcome.violations[:MOST_VIOLATIONS]]
        parts.append("\n".join(refusals))
    error, errors = outcome.error, outcome.stderr.strip()
    if error is not None and error.traceback:
        parts.append(legible(_end_of(error.traceback.strip("\n"), TRACEBACK_BYTES)))
    if outcome.stdout.strip():
        parts.append(f"It printed:\n{legible(_beginning(outcome.stdout, PRINTED_BYTES))}")
    # A traceback stands among them, and so does the message with which a program ends itself.
    is_told = error is not None and (error.traceback or error.message.strip() == errors)
    if errors and outcome.status != "succeeded" and not is_told:
        parts.append(f"Its errors:\n{legible(_end_of(outcome.stderr, TRACEBACK_BYTES))}")
    return Answer(
        text="\n".join(part for part in parts if part),
        artifacts=execution.artifacts,
        is_error=not execution.ok,
        structured=_structured(execution.artifacts, execution={"id": execution.id, "status": outcome.status}),
    )


def told(text: str, *artifacts: Artifact) -> Answer:
    """Say a sentence and name artifacts below it."""
    parts = [text, tags_of(artifacts)]
    return Answer(text="\n".join(parts), artifacts=artifacts, structured=_structured(artifacts))


def acted(stands: Acted) -> Answer:
    """Tell how an action stands: done, waiting for the user, or turned down."""
    action = stands.action
    what = f"`{line(action.name, longest=LONGEST_TITLE)}` with version {action.version}"
    match action.status:
        case "finished":
            said = f"Done, as the user has decided: {what}."
        case "rejected":
            said = f"The user has turned down {what}, and nothing was done. Ask what should be different."
        case "proposed":
            said = f"Proposed as {action.id}: {what}. It waits for the user's approval, and nothing is done until then."
    reference = {"id": action.id, "action": action.name, "status": action.status, "version": action.version}
    answer = told(said, stands.artifact)
    return replace(answer, structured={**answer.structured, "action": reference})


def cached_part(artifact: Artifact, selection: Selection) -> Answer:
    """Show a part of a stored result; nobody finds and replaces in it, so that JSON need not be laid out."""
    try:
        text = json.dumps(json.loads(selection.text), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        text = selection.text
    return part(artifact, replace(selection, text=text))


def no_result(error: ArtifactNotFound | ArtifactExpired) -> Answer:
    """Say that a result is not kept, or not any more."""
    name = escaped(error.reference, longest=LONGEST_NAME)
    message = f"The stored result `{name}` is kept no longer."
    if isinstance(error, ArtifactNotFound):
        message = f"There is no stored result `{name}` in this conversation."
    return mistake(error, message=message, hint="Call the tool again that gave it.")


def part(artifact: Artifact, selection: Selection) -> Answer:
    """Show a part of some content under a line that says what it is, and how to go on."""
    version = artifact.version
    line = f"{tag_of(artifact)} version {version.number}"
    if selection.total is not None:
        line += f", {selection.total:,} in all"
    if selection.is_cut or selection.continuation:
        line += ", only a part"
    if selection.continuation is not None:
        line += f"; go on with select {json.dumps(selection.continuation, ensure_ascii=False)}"
    structured = _structured([artifact], continuation=selection.continuation, total=selection.total)
    return Answer(text=f"{line}:\n{selection.text}", artifacts=(artifact,), structured=structured)


def no_text(artifact: Artifact) -> Answer:
    """Say what content is that a model cannot read, and how its inside is to be had."""
    text = (
        f"This is {artifact.media_type} and no text; the user can see it. To look inside, give generate_file the "
        f"inputs [{json.dumps(artifact.handle)}]: its file is `{named(artifact.name, longest=LONGEST_MISTAKE)}` there."
    )
    return told(text, artifact)


def listed(page: Page, *, types: Sequence[str] = ()) -> Answer:
    """Tell of artifacts, a line for each; where there is none, which `types` there are, if that may be the reason."""
    lines = [f"{tag_of(each)} {_said(each)}" for each in page.items]
    if page.next_cursor is not None:
        lines.append("There are more: narrow it by type or query.")
    known = f" The types are {', '.join(types)}." if types else ""
    text = "\n".join(lines) or f"There is none.{known}"
    return Answer(text=text, artifacts=page.items, structured=_structured(page.items))


def mistake(error: HandiworkError, *, message: str | None = None, hint: str | None = None) -> Answer:
    """Tell what was wrong with a call, and what to do; `message` and `hint` are better words than the error has."""
    hint = hint or hint_of(error)
    parts = [
        line(message or told_outside(error), longest=LONGEST_MISTAKE),
        line(hint or "", longest=LONGEST_MISTAKE),
        _facts(error),
    ]
    structured = _structured([], error={"code": error.code, "message": parts[0], "hint": hint})
    return Answer(text="\n".join(part for part in parts if part), is_error=True, structured=structured)


def hint_of(error: HandiworkError) -> str | None:
    """Return the next step for whoever has these tools, and neither Python nor the command line."""
    return next((said for kind, said in _HINTS.items() if isinstance(error, kind)), error.hint)


def _facts(error: HandiworkError) -> str:
    """Return what the next try is made of, as far as there is room."""
    match error:
        case EditMissed() if error.nearest is not None:
            fact = {"nearest": dict(error.nearest)}
        case VersionConflict():
            fact = {"conflicts": [dict(each) for each in error.conflicts]}
        case _:
            return ""
    return _beginning(json.dumps(fact, ensure_ascii=False), MOST_FACT_BYTES)


def _structured(artifacts: Sequence[Artifact], **more: object) -> dict[str, object]:
    known = {name: value for name, value in more.items() if value is not None}
    return {"artifacts": [reference_of(each) for each in artifacts], **known}


def _said(artifact: Artifact) -> str:
    title = escaped(artifact.title, longest=LONGEST_TITLE)
    title = f' "{title}"' if title else ""
    state = f", {artifact.state}" if artifact.state else ""
    return f"{artifact.type}{title}, version {artifact.version.number}{state}"


def _beginning(text: str, most_bytes: int) -> str:
    text = text.rstrip()
    if utf8_size(text) <= most_bytes:
        return text
    return f"{beginning_of(text, most_bytes)}… ({counted(utf8_size(text), 'byte')} in all)"


def _end_of(text: str, most_bytes: int) -> str:
    data = text.rstrip().encode("utf-8", "replace")
    return data.decode() if len(data) <= most_bytes else f"…{data[-most_bytes:].decode('utf-8', 'ignore')}"
