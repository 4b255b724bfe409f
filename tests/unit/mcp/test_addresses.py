"""Addresses of artifacts are read as they were written, and nothing else is read as one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import InvalidName
from handiwork.mcp.addresses import Address, templates_of

SESSIONS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50)
REFERENCES = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=64)


@given(
    session=SESSIONS,
    reference=REFERENCES,
    version=st.none() | st.integers(1, 999_999_999),
    select=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
def test_an_address_is_read_as_it_was_written(
    session: str, reference: str, version: int | None, select: str | None
) -> None:
    address = Address(session=session, reference=reference, version=version, select=select)
    assert str(address).isascii()
    assert Address.parse(str(address), session="s") == address


@given(st.text(max_size=200) | st.text("artifact:/%?#=1a\n", max_size=60))
def test_whatever_comes_is_an_address_or_is_refused(text: str) -> None:
    try:
        address = Address.parse(text, session="s")
    except InvalidName:
        return
    assert Address.parse(str(address), session="s") == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "artifact://",
        "artifact://s-1",
        "artifact://s/",
        "artifact://s/a/0",
        "artifact://s/a/-1",
        "artifact://s/a/1/2",
        "artifact://s/../a",
        "artifact://s/a#b",
        "artifact://s/a?other=1",
        "artifact://%ff/a",
        "artifact:///a",
        "file:///etc/passwd",
        "ARTIFACT://s/a",
        "artifact://s/a\n",
        "artifact://s/" + "a" * 65,
        "artifact://s/a?select=" + "x" * 3000,
    ],
)
def test_what_is_no_address_is_refused_with_how_one_looks(text: str) -> None:
    with pytest.raises(InvalidName, match="artifact://SESSION/ID") as refused:
        Address.parse(text, session="s")
    assert len(str(refused.value)) < 500


def test_a_template_is_filled_in_to_an_address() -> None:
    head, fixed = templates_of("my notes/ü")
    assert head == "artifact://my%20notes%2F%C3%BC/{id}{?select}"
    filled = fixed.replace("{id}", "chart_k3x9").replace("{version}", "2").replace("{?select}", "?select=head=20")
    expected = Address(session="my notes/ü", reference="chart_k3x9", version=2, select="head=20")
    assert Address.parse(filled, session="s") == expected


def test_the_short_form_of_links_in_texts_is_meant_in_ones_own_session() -> None:
    assert Address.parse("artifact://plan_k3x9", session="s") == Address(session="s", reference="plan_k3x9")
