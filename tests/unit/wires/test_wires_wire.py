import pytest
from happenings import PLAN, happened, plan, versioned

from handiwork.wires.wire import Newest, digest, standing, whole_text


def test_an_artifact_stands_as_it_is_seen() -> None:
    assert standing(versioned(1), plan()) == {**plan(), "status": "ready"}


def test_of_one_that_has_gone_since_nothing_is_said_before_its_end() -> None:
    assert standing(versioned(1), None) is None
    assert standing(happened("artifact-expired", reason="removed"), None) == {"id": PLAN, "status": "expired"}


def test_what_failed_stands_as_it_did_before_if_it_was_there() -> None:
    failed = happened("artifact-failed", code="broken_off")

    assert standing(failed, None) == {"id": PLAN, "status": "failed", "code": "broken_off"}
    assert standing(failed, plan()) == {**plan(), "status": "ready"}


def test_only_the_newest_are_remembered() -> None:
    newest: Newest[int] = Newest(2)
    for number, id in enumerate("abab"):
        newest.put(id, number)
    newest.put("c", 4)

    assert [newest.get(id) for id in "abc"] == [None, 3, 4]
    assert newest.pop("c") == 4
    assert newest.pop("c") is None


@pytest.mark.parametrize(("text", "whole"), [("é🎈", "é🎈"), ("a\ud800b", "a?b"), ("\udfff", "?"), ("", "")])
def test_halves_of_characters_are_told_as_what_is_a_text(text: str, whole: str) -> None:
    assert whole_text(text) == whole


def test_what_differs_has_another_digest_and_what_is_ordered_otherwise_the_same() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
