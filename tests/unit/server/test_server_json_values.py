"""How many values a JSON text may hold: what is in strings does not count, and everything else does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.server import json_values
from handiwork.server.json_values import demand_few_values
from handiwork.server.refusals import MalformedRequest

TEXTS = st.text(st.sampled_from('[{,}]"\\\n aé')) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def counted(value: object) -> int:
    """How many values there are, an empty list or object twice."""
    if isinstance(value, (list, dict)):
        children = value.values() if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]  # JSON
        return 1 + (sum(counted(child) for child in children) or 1)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # JSON
    return 1


@given(value=VALUES, piece=st.integers(2, 40), is_ascii=st.booleans())
def test_as_many_values_as_there_are_pass_and_not_one_more(value: object, piece: int, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii).encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_values, "_PIECE_BYTES", piece)
        demand_few_values(text, most=counted(value))
        if counted(value) > 1:
            with pytest.raises(MalformedRequest, match="values"):
                demand_few_values(text, most=counted(value) - 1)


@given(text=st.binary(max_size=60), piece=st.integers(2, 20))
def test_what_is_no_json_is_left_to_the_parser_or_refused(text: bytes, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_values, "_PIECE_BYTES", piece)
        try:
            demand_few_values(text, most=5)
        except MalformedRequest:
            assert len(text) >= 5
