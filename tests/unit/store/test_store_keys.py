import itertools
import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.ids import ArtifactId
from handiwork.model import Scope
from handiwork.store.keys import (
    PART_BYTES,
    artifact_prefix,
    blob_key,
    is_safe_part,
    session_prefix,
    tenant_prefix,
    user_prefix,
)

# Any text, half surrogates too, with names that file systems find hard thrown in.
HARD = st.sampled_from(
    ["", ".", "..", "../..", "/", "a/b", "\0", "CON", "con.png", "nul", "LPT9.txt", "a.", "a ", ".hidden", "~", "a~b"]
)
NAMES = st.one_of(HARD, st.text(st.characters(exclude_categories=()), max_size=300), st.text("aA.%~/", max_size=12))
SCOPES = st.builds(Scope, tenant=NAMES, user=NAMES, session=NAMES)
ID = ArtifactId("art_1")


def file_part(name: str) -> str:
    return blob_key(Scope(session="s"), ID, 1, name).split("/")[-1]


def scope_part(name: str) -> str:
    return tenant_prefix(name)[:-1]


def test_an_ordinary_key_can_be_read_by_a_person() -> None:
    key = blob_key(Scope(tenant="acme", user="ada@example.com", session="conv-42"), ArtifactId("art_Ab1"), 3, "Q3.png")

    assert key == "acme/ada%40example.com/conv-42/art_Ab1/3/Q3.png"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("..", "%2E%2E"),
        (".bashrc", "%2Ebashrc"),
        ("end.", "end%2E"),
        ("end ", "end%20"),
        ("a\0b", "a%00b"),
        ("Größe.csv", "Gr%C3%B6%C3%9Fe.csv"),
        ("nul.txt", "%6Eul.txt"),
        ("COM1", "%43OM1"),
        ("100%.txt", "100%25.txt"),
        ("a~b", "a%7Eb"),
        ("C:\\x", "C%3A%5Cx"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_what_a_file_system_may_mistake_is_encoded(name: str, part: str) -> None:
    assert file_part(name) == part


@given(SCOPES, NAMES)
def test_every_part_of_every_key_is_safe_and_within_the_cap(scope: Scope, name: str) -> None:
    parts = blob_key(scope, ID, 1, name).split("/")

    assert len(parts) == 6
    for part in parts:
        assert is_safe_part(part)
        assert re.fullmatch(r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+", part)
        assert len(part) <= PART_BYTES
        assert not part.startswith(".")
        assert not part.endswith((".", " "))
        assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part)


@given(NAMES, NAMES)
def test_two_file_names_have_two_keys(first: str, second: str) -> None:
    assert (file_part(first) == file_part(second)) == (first == second)


@given(SCOPES, SCOPES)
def test_two_scopes_have_two_folders_even_where_case_is_ignored(first: Scope, second: Scope) -> None:
    assert (session_prefix(first).lower() == session_prefix(second).lower()) == (first == second)


def test_names_that_differ_in_case_alone_have_two_folders_where_case_is_ignored() -> None:
    folders = {scope_part(name).lower() for name in ("ada", "Ada", "ADA", "aDa")}

    assert len(folders) == 4
    assert scope_part("ada") == "ada"
    assert scope_part("Ada").startswith("Ada~")


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=60))
def test_a_short_name_can_be_decoded_again(name: str) -> None:
    part = file_part(name)

    assert "~" in part or unquote_to_bytes(part).decode("utf-8", "surrogatepass") == name


def test_long_names_that_differ_at_the_end_stay_apart_and_keep_their_extension() -> None:
    first, second = file_part("x" * 300 + "1.png"), file_part("x" * 300 + "2.png")

    assert first != second
    assert len(first) == len(second) == PART_BYTES
    assert first.endswith(".png")


def test_a_cut_never_splits_an_escape() -> None:
    for length in range(60, 75):
        for lead in ("", "a", "ab"):
            part = scope_part(lead + "é" * length)
            assert re.fullmatch(r"(?:[a-z]|%[0-9A-F]{2})+(~[0-9a-f]{20})?", part)


@given(SCOPES)
def test_each_prefix_is_the_beginning_of_the_next(scope: Scope) -> None:
    chain = [
        tenant_prefix(scope.tenant),
        user_prefix(scope.tenant, scope.user),
        session_prefix(scope),
        artifact_prefix(scope, ID),
        blob_key(scope, ID, 1, "a.txt"),
    ]

    for shorter, longer in itertools.pairwise(chain):
        assert longer.startswith(shorter)
        assert shorter.endswith("/")


@pytest.mark.parametrize("part", ["", ".", "..", ".tmp", "a/b", "a\\b", "a\0", "ä", "x" * 201])
def test_what_no_key_holds_is_not_safe(part: str) -> None:
    assert not is_safe_part(part)
