"""Problems of a server become the errors that they were: the two sides agree on every error that there is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.client.refusals import error_of
from handiwork.errors import HandiworkError, RequestRefused, VersionConflict
from handiwork.server.problems import INSIDE, problem_of
from unit.test_errors import EXAMPLES

TOLD = [error for error, _words in EXAMPLES if not isinstance(error, RequestRefused)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("error", TOLD, ids=[error.code for error in TOLD])
def test_an_error_comes_out_as_it_went_in(error: HandiworkError) -> None:
    status, problem = problem_of(error)
    back = error_of(status, json.loads(json.dumps(problem)))
    assert type(back) is type(error)
    assert (back.code, back.hint) == (error.code, error.hint)
    if type(error) in INSIDE:
        # The kind alone is told; the names are there all the same.
        assert vars(back).keys() >= vars(error).keys() - {"hint"}
        return
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_a_message_that_was_cut_stays_what_the_server_said() -> None:
    conflict = VersionConflict("a_1", base=1, head=2, conflicts=[{"where": "$.a" * 900}] * 60)
    status, problem = problem_of(conflict)
    back = error_of(status, problem)
    assert isinstance(back, VersionConflict)
    assert (str(back), len(back.conflicts)) == (problem["detail"], 60)


@given(
    st.sampled_from([error.code for error in TOLD]),
    st.dictionaries(st.sampled_from(["reference", "conflicts", "size", "limit", "lines", "args", "x"]), JSON),
)
def test_facts_of_any_kind_make_an_error_of_the_kind_that_the_code_says(code: str, facts: dict[str, Any]) -> None:
    error = error_of(400, {**facts, "code": code, "detail": "So it is.", "hint": 3})
    assert (error.code, str(error), error.hint) == (code, "So it is.", None)


@pytest.mark.parametrize("problem", [{}, {"code": 1, "detail": "x"}, {"code": "x"}])
def test_what_is_no_problem_is_told_from_one(problem: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        error_of(400, problem)
