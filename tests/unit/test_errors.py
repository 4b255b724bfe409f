import inspect

import pytest

from handiwork import errors
from handiwork.errors import HandiworkError
from handiwork.errors.telling import INSIDE, title_of, told_with_hint

# One of each, with words that its message or hint must have: the thing, the limit, the next step.
EXAMPLES: list[tuple[HandiworkError, tuple[str, ...]]] = [
    (errors.ArtifactNotFound("chart_k3x9"), ("`chart_k3x9`", "`handiwork ls`")),
    (errors.VersionNotFound("chart_k3x9", 4, head=2), ("`chart_k3x9`", "4", "1 to 2")),
    (errors.ArtifactExpired("chart_k3x9", "2026-01-01"), ("`chart_k3x9`", "2026-01-01", "`artifact_retention`")),
    (errors.ProducingDisabled(), ("`artifacts.enabled`", "can be read", "configuration")),
    (errors.HeadMoved("chart_k3x9", 4), ("`chart_k3x9`", "version 4", "Read")),
    (errors.MarksMoved("chart_k3x9"), ("`chart_k3x9`", "Read the artifact")),
    (
        errors.IllegalTransition("mail_k3x9", state="draft", asked="sent", legal=["approved"]),
        ("`mail_k3x9`", "`draft`", "`sent`", "`approved`"),
    ),
    (errors.ActionNotFound("act_1"), ("`act_1`", "listed")),
    (
        errors.ActionImpossible("mail_k3x9", "fly", state="draft", possible=["sent", "thrown"]),
        ("`mail_k3x9`", "`draft`", "`fly`", "`sent`, `thrown`"),
    ),
    (errors.ActionVoid("mail_k3x9", "sent", version=1, head=3), ("`mail_k3x9`", "version 1", "nothing was", "Read")),
    (errors.ActionStale("act_1", expired_at="2026-01-01T00:00:00+00:00"), ("`act_1`", "2026-01-01", "anew")),
    (errors.ActionDecided("act_1", action_status="rejected"), ("`act_1`", "rejected", "anew")),
    (errors.IdempotencyKeyReused("k-1"), ("`k-1`", "another action", "new key")),
    (
        errors.VersionConflict("plan_k3x9", base=1, head=3, conflicts=[{"where": "$.a", "ours": 1, "theirs": 2}]),
        ("`plan_k3x9`", "$.a", "version 3"),
    ),
    (
        errors.ContentRefused("csv", expected="2 cells", got="1 cell", where="line 3"),
        ("`csv`", "line 3", "2 cells", "1 cell", "whole content"),
    ),
    (errors.InvalidTool("Bad Name", problem="expected a name of letters"), ("`Bad Name`", "letters", "`extra`")),
    (errors.InvalidType("Bad Name", problem="expected a name of a to z"), ("`Bad Name`", "a to z", "declaration")),
    (
        errors.PatchRefused("element 0", expected="`find` and `replace`", got="`search`", example="[]"),
        ("element 0", "`find`", "`search`", "`[]`"),
    ),
    (errors.EditMissed(1, found=2, lines=[3, 9]), ("Edit 1", "2 times", "lines 3, 9", "only once")),
    (
        errors.OperationFailed(0, op="remove", path="/a", problem="nothing is there"),
        ("Operation 0", "`remove`", "`/a`", "nothing is there"),
    ),
    (errors.SelectorRefused("row=1", expected="one of them"), ("'row=1'", "`rows=10:20`")),
    (
        errors.SelectorMisfit("rows=1:2", media_type="image/png", problem="it is no text", hint="Download it."),
        ("'rows=1:2'", "image/png", "no text", "Download"),
    ),
    (
        errors.ExportInvalid("artifacts/a_k3x9/v1/a.txt", "is missing", more=2),
        ("`artifacts/a_k3x9/v1/a.txt`", "is missing", "2 more", "anew"),
    ),
    (errors.ExecutionNotFound("exc_1"), ("`exc_1`",)),
    (
        errors.ServerUnreachable("http://127.0.0.1:1", "no connection"),
        ("`http://127.0.0.1:1`", "no connection", "`handiwork serve`"),
    ),
    (errors.ConnectionBroken("POST /x", "it was cut"), ("`POST /x`", "it was cut", "before you send it again")),
    (
        errors.UnexpectedAnswer("http://a/x", expected="JSON", got="a page", answer_status=502),
        ("`http://a/x`", "JSON", "a page", "address"),
    ),
    (errors.RequestRefused("new_code", "Not today.", status=418, hint="Come later."), ("Not today.", "Come later.")),
    (errors.UnknownType("pie", ["file", "json"]), ("`pie`", "`file`, `json`")),
    (errors.ContentTooLarge("a.csv", size=2_000_000, limit=1_000), ("`a.csv`", "2,000,000", "1,000", "compress")),
    (errors.InvalidContent("a.json", expected="JSON", got="text", hint="Fix it."), ("`a.json`", "JSON", "text")),
    (
        errors.UnsupportedFormat("a.mp4", media_type="video/mp4", hint="Make frames."),
        ("`a.mp4`", "video/mp4", "frames"),
    ),
    (errors.InvalidName("session", "a\nb", expected="printable characters"), ("session", r"'a\nb'", "printable")),
    (errors.InputNotFound("a.csv", "it is not a regular file"), ("`a.csv`", "not a regular file", "handle")),
    (
        errors.LimitExceeded("wall_seconds", asked="90", maximum="60"),
        ("`wall_seconds`", "90", "60", "`artifacts.maximum`"),
    ),
    (errors.InvalidLimit("timeout", -1, expected="a duration"), ("`timeout`", "-1", "a duration")),
    (
        errors.InvalidSetting("a.b", problem="not known", where="x.yaml, line 3"),
        ("`a.b`", "not known", "x.yaml, line 3"),
    ),
    (
        errors.IsolationUnavailable("full", wall="landlock", why="ENOSYS", fix="Use Linux 5.13."),
        ("`full`", "`landlock`", "ENOSYS", "Use Linux 5.13.", "doctor"),
    ),
    (errors.SandboxBroken("it died"), ("it died", "doctor")),
    (errors.RuntimeMissing(["numpy", "pandas"]), ("numpy, pandas", "handiwork[runtime]")),
    (errors.ExtraMissing("beeai", why="No module named 'beeai_framework'"), ("`beeai`", "handiwork[beeai]")),
    (errors.StorageFull("/data"), ("`/data`", "Free space")),
    (errors.StorageFailed("/data", "I/O error"), ("`/data`", "I/O error")),
    (errors.BlobNotFound("a/b"), ("`a/b`",)),
    (errors.ContentDamaged("a/b"), ("`a/b`", "backup")),
    (errors.StoreVersionMismatch(found="9", expected="1"), ("`9`", "`1`", "newer release")),
    (
        errors.EncryptionKeyMissing("0123456789abcdef"),
        ("`0123456789abcdef`", "none is configured", "`artifacts.storage.encryption.key_file`"),
    ),
    (
        errors.EncryptionKeyWrong("0123456789abcdef", given=("fedcba9876543210",)),
        ("`0123456789abcdef`", "`fedcba9876543210`", "`artifacts.storage.encryption.key_file`", "`previous`"),
    ),
    (errors.EncryptionChanged("0123456789abcdef"), ("`0123456789abcdef`", "new here", "Restart")),
    (errors.BlobExists("a/b"), ("`a/b`",)),
    (errors.HandleTaken("chart_k3x9"), ("`chart_k3x9`",)),
    (errors.ArtifactHeld("chart_k3x9"), ("`chart_k3x9`", "held", "`held: false`")),
    (
        errors.QuotaExceeded("artifacts per user", used=9, asked=2, limit=1_000),
        ("1,000", "artifacts per user", "2", "9", "Remove"),
    ),
    (errors.ScopeErased("conv-42"), ("`conv-42`", "erased", "again")),
    (errors.TookTooLong(1_800), ("1,800", "again")),
    (errors.CursorTooOld(3, oldest=7, last=9), ("3", "7 to 9", "List", "`seq`")),
    (errors.SessionNotFound("conv-42"), ("session", "`conv-42`")),
    (errors.KeyNotFound("k1"), ("`k1`", "`handiwork keys list`")),
    (errors.NotAuthenticated(), ("key or token", "`Authorization: Bearer hw_…`")),
    (errors.ApprovalNeeded("decision", principal="agent"), ("agent", "users", "`handiwork actions approve ID`")),
    (errors.ApprovalNeeded("state", principal="agent"), ("agent", "state", "Propose it")),
    (errors.NotAllowed("artifacts:read", principal="agent"), ("`artifacts:read`", "agent")),
    (errors.LinkInvalid(), ("link", "new link")),
    (errors.QueueFull("depth", limit=1_000, retry_after_seconds=7), ("1,000", "in all", "7 s")),
    (
        errors.NotCollected("a.py", number=2, of=3, problem="It has a NUL.", reason="content_refused", hint="Mend."),
        ("`a.py`", "number 2 of 3", "It has a NUL.", "Nothing was stored", "Mend. Then send"),
    ),
    (errors.ModelUnusable("openai:x", why="no key"), ("`openai:x`", "no key", "pydantic-ai", "`python:MODULE:NAME`")),
    (
        errors.LoopRunning("Autopilot.run", instead="Autopilot.arun"),
        ("`Autopilot.run`", "event loop", "Use `Autopilot.arun`"),
    ),
    (errors.ToolResultNotFound("call_1", failed=2), ("`call_1`", "2 that failed", "30 minutes", "record")),
    (
        errors.AlreadyPromoted("call_1", artifact_type="csv", artifact_id="art_1"),
        ("`call_1`", "`csv`", "`art_1`", "revise"),
    ),
    (errors.ShuttingDown(), ("shutting down", "again")),
    (errors.EngineClosed(), ("closed", "`with`", "open the store again")),
]
each_error = pytest.mark.parametrize(("error", "words"), EXAMPLES, ids=[e.code for e, _ in EXAMPLES])


def all_errors() -> set[type[HandiworkError]]:
    return {kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, HandiworkError)}


def test_every_error_has_a_row_here() -> None:
    assert all_errors() - {HandiworkError} == {type(error) for error, _ in EXAMPLES}


@each_error
def test_an_error_names_the_thing_the_limit_and_the_next_step(error: HandiworkError, words: tuple[str, ...]) -> None:
    told = f"{error} {error.hint or ''}"
    assert [word for word in words if word not in told] == []


@each_error
def test_an_error_reads_as_sentences(error: HandiworkError, words: tuple[str, ...]) -> None:
    for sentence in filter(None, (str(error), error.hint)):
        assert sentence[0].isupper() or sentence[0] == "`"
        assert sentence[-1] == "."
        assert ".." not in sentence
    assert words


@each_error
def test_an_error_keeps_its_facts(error: HandiworkError, words: tuple[str, ...]) -> None:
    facts = {name for name in vars(error) if name != "hint"}
    asked = set(inspect.signature(type(error)).parameters) - {"hint", "fix"}
    assert facts == asked
    assert words


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in all_errors()]
    assert len(codes) == len(set(codes))
    assert all(code.replace("_", "").islower() for code in codes)


def test_one_root_catches_all() -> None:
    assert all(issubclass(kind, HandiworkError) for kind in all_errors())
    assert not issubclass(HandiworkError, OSError)


@each_error
def test_outside_a_machine_its_inside_is_told_by_its_kind_alone(error: HandiworkError, words: tuple[str, ...]) -> None:
    told = told_with_hint(error)
    assert told.startswith(f"{title_of(type(error))}." if type(error) in INSIDE else str(error))
    assert told.endswith(error.hint or ".")
    assert words
