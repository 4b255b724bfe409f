import json
import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import SandboxBroken
from handiwork.model import Limits, Violation
from handiwork.sandbox.child import Verdict
from handiwork.sandbox.harvest import Harvest
from handiwork.sandbox.hints import Surroundings
from handiwork.sandbox.outcome import Judgement, Stop, judge, too_large

LIMITS = Limits()


def judged(
    *,
    code: int = 0,
    killed_by: int = 0,
    words: object = None,
    began: bool = True,
    stop: Stop | None = None,
    was_oom_killed: bool = False,
) -> Judgement:
    told = words if isinstance(words, str) else "" if words is None else json.dumps(words)
    verdict = Verdict(wait_status=killed_by or code << 8, began=began, cpu_seconds=0.1, peak_bytes=1, words=told)
    return judge(verdict, stop=stop, was_oom_killed=was_oom_killed, surroundings=Surroundings(limits=LIMITS))


FAILED = {"error": {"type": "KeyError", "message": "'a'", "line": 3, "traceback": "Traceback …"}}


def test_a_program_that_ends_by_itself_has_succeeded() -> None:
    assert judged() == Judgement(status="succeeded", exit_code=0, signal=None, error=None, violations=())


def test_an_exception_is_a_failure_in_its_own_words() -> None:
    found = judged(code=1, words=FAILED)
    assert (found.status, found.exit_code) == ("failed", 1)
    assert found.error is not None
    assert (found.error.type, found.error.message, found.error.line) == ("KeyError", "'a'", 3)


def test_an_exit_code_without_words_is_told() -> None:
    found = judged(code=3)
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.message == "The program ended itself with exit code 3."


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_signal_is_told_by_its_name(number: signal.Signals) -> None:
    found = judged(killed_by=number)
    assert (found.status, found.exit_code, found.signal) == ("killed", None, number.name)
    assert found.error is not None
    assert found.error.type == number.name


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert judged(killed_by=40).signal == "signal 40"


def test_a_job_whose_keeper_was_ended_too_is_no_failure_of_the_program() -> None:
    with pytest.raises(SandboxBroken, match="kept the program"):
        judge(None, stop=None, was_oom_killed=False, surroundings=Surroundings(limits=LIMITS))
    found = judge(None, stop=None, was_oom_killed=True, surroundings=Surroundings(limits=LIMITS))
    assert found.status == "out_of_memory", "control: its own memory ended them"


@pytest.mark.parametrize(("code", "told"), [(0, -128), (65, -63), (254, 126), (137, 15), (128, 0)])
def test_a_number_that_is_no_signal_of_that_exit_code_is_not_believed(code: int, told: int) -> None:
    words = json.dumps({"signal": told})
    verdict = Verdict(wait_status=code << 8, began=True, cpu_seconds=0, peak_bytes=0, words=words)
    found = judge(verdict, stop=None, was_oom_killed=False, surroundings=Surroundings(limits=LIMITS))
    assert (found.exit_code, found.signal) == (code, None)


def test_who_leaves_at_a_signal_is_told_as_ended_by_it() -> None:
    found = judged(code=128 + signal.SIGTERM, words={"signal": signal.SIGTERM})
    assert (found.status, found.exit_code, found.signal) == ("killed", None, "SIGTERM")
    assert judged(code=128 + signal.SIGTERM).exit_code == 143, "control: an exit code alone says nothing of it"
    assert judged(code=1, words={"signal": signal.SIGTERM}).exit_code == 1, "nor do the words"


def test_a_c_library_that_gave_up_leaves_no_last_word() -> None:
    assert judged(code=signal.SIGABRT).signal == "SIGABRT"
    assert judged(code=signal.SIGABRT, words={"error": {}}).exit_code == signal.SIGABRT, "control: Python had one"


@pytest.mark.parametrize("stop", ["timed_out", "out_of_memory", "output_too_large", "cancelled"])
def test_what_the_supervisor_stopped_is_told_by_its_reason(stop: Stop) -> None:
    found = judge(None, stop=stop, was_oom_killed=False, surroundings=Surroundings(limits=LIMITS))
    assert (found.status, found.exit_code, found.signal) == (stop, None, "SIGKILL")
    assert (found.error is None) == (stop == "cancelled")
    assert judged(code=0, stop=stop).status == stop


def test_what_the_kernel_ended_for_its_memory_is_out_of_memory() -> None:
    assert judged(killed_by=signal.SIGKILL, was_oom_killed=True).status == "out_of_memory"
    assert judged(code=1, words=FAILED, was_oom_killed=True).status == "out_of_memory"


def test_a_program_that_succeeded_although_a_child_of_it_was_ended_has_succeeded() -> None:
    assert judged(was_oom_killed=True).status == "succeeded"


@pytest.mark.parametrize("kind", ["MemoryError", "numpy._core._exceptions._ArrayMemoryError"])
def test_a_memory_error_is_out_of_memory_with_the_number(kind: str) -> None:
    found = judged(code=1, words={"error": {"type": kind, "message": ""}})
    assert found.status == "out_of_memory"
    assert found.error is not None
    assert "512 MB" in (found.error.hint or "")


def test_too_much_processor_time_is_timed_out() -> None:
    assert judged(killed_by=signal.SIGXCPU).status == "timed_out"


def test_violations_are_a_rejection_with_neither_exit_code_nor_error() -> None:
    words = {"violations": [{"line": 2, "column": 4, "rule": "call", "message": "no"}]}
    found = judged(code=65, began=False, words=words)
    assert found == Judgement(
        status="rejected",
        exit_code=None,
        signal=None,
        error=None,
        violations=(Violation(line=2, column=4, rule="call", message="no"),),
    )


def test_a_program_that_began_cannot_pretend_to_be_rejected() -> None:
    words = {"violations": [{"line": 1, "column": 0, "rule": "call", "message": "no"}]}
    found = judged(code=65, words=words)
    assert (found.status, found.violations) == ("failed", ())


def test_a_program_cannot_talk_away_a_failure_or_a_success() -> None:
    assert judged(code=1, words={"status": "succeeded"}).status == "failed"
    assert judged(code=0, words=FAILED).error is None


def test_a_child_that_breaks_before_the_program_begins_is_an_error_of_the_sandbox() -> None:
    with pytest.raises(SandboxBroken, match="before the program began"):
        judged(code=70, began=False)
    assert judged(code=70).status == "failed"
    assert judged(code=70, began=False, stop="timed_out").status == "timed_out"


GATHERED = Harvest(outputs=(), refused=(), total_bytes=123_456_789, is_too_large=True)


def test_pages_among_them_get_a_hint_of_their_own() -> None:
    plain, pages = (too_large(judged(), LIMITS, replace(GATHERED, has_pages=has)).error for has in (False, True))
    assert plain is not None
    assert pages is not None
    assert "Plotly" not in (plain.hint or "")
    assert "Plotly" in (pages.hint or "")


def test_files_that_are_too_large_together_are_an_error_with_the_numbers() -> None:
    found = too_large(judged(), LIMITS, GATHERED)
    assert (found.status, found.exit_code) == ("output_too_large", 0)
    assert found.error is not None
    assert "123,456,789" in found.error.message
    assert f"{LIMITS.output_bytes:,}" in (found.error.hint or "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FORGED = st.fixed_dictionaries(
    {},
    optional={
        "error": JSON
        | st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "message", "line", "traceback"), JSON)),
        "violations": JSON | st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("line", "rule"), JSON))),
    },
)


@given(words=FORGED | JSON, code=st.sampled_from([0, 1, 65]), began=st.booleans())
def test_whatever_a_job_writes_into_its_report_it_is_judged(words: object, code: int, began: bool) -> None:
    found = judged(words=words, code=code, began=began)
    assert found.status in ("succeeded", "failed", "rejected", "out_of_memory")
    assert (found.status == "succeeded") == (code == 0)
    assert (found.status == "rejected") == bool(found.violations)
    assert found.status != "rejected" or (code == 65 and not began)
    assert found.error is None or all(isinstance(t, str) for t in (found.error.type, found.error.message))
    assert all(isinstance(v.line, int) and isinstance(v.message, str) for v in found.violations)


@pytest.mark.parametrize("words", ["", "no json", "[" * 100_000, "null", "\x00", '{"error": {"type": 7}}'])
def test_a_report_that_says_nothing_is_no_obstacle(words: str) -> None:
    assert judged(code=1, words=words).status == "failed"


def test_an_endless_report_is_cut() -> None:
    found = judged(code=1, words={"error": {"type": "X", "message": "m" * 100_000}})
    assert found.error is not None
    assert len(found.error.message) == 20_000
    many = {"violations": [{"line": n, "rule": "call"} for n in range(1, 1_000)]}
    assert len(judged(code=65, began=False, words=many).violations) == 200
