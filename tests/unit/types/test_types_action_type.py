from dataclasses import replace
from typing import Any

import pytest

from handiwork.errors import InvalidContent
from handiwork.types.action_type import ActionType
from handiwork.types.json_document import json_type

LETTER = replace(
    json_type(), states=("draft", "sent", "gone"), transitions={"draft": ("gone", "sent"), "sent": ("gone", "draft")}
)


def test_the_actions_of_a_type_are_the_states_that_can_be_gone_to_in_their_order():
    assert [each.name for each in LETTER.actions] == ["draft", "sent", "gone"]
    assert [each.name for each in LETTER.actions_in("draft")] == ["sent", "gone"]
    assert (LETTER.actions_in("gone"), LETTER.actions_in(None), json_type().actions) == ((), (), ())


@pytest.mark.parametrize("params", [None, {}])
def test_an_action_without_arguments_takes_none(params: Any):
    assert ActionType(name="sent").checked(params) == {}


@pytest.mark.parametrize("params", [{"to": 1}, [], "x", 0, True])
def test_and_refuses_others(params: Any):
    with pytest.raises(InvalidContent, match="`sent` takes no arguments"):
        ActionType(name="sent").checked(params)
