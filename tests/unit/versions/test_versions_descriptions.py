from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from handiwork.model import Artifact, Provenance, Version
from handiwork.versions.descriptions import Description, brought_together
from sample_records import filed

WORDS = st.none() | st.sampled_from(["a", "b", "c"])
NAMES = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([1, True, 1.0, None, "v"]))


def versions(title: str | None, language: str | None, metadata: dict[str, object]) -> tuple[Version, Artifact]:
    """A first version that says nothing, and a head that says this."""
    artifact = replace(filed().artifact, title="t")
    first = replace(artifact.version, language=None, metadata={}, provenance=Provenance(title="t"))
    head = replace(first, number=2, language=language, metadata=metadata)
    return first, replace(artifact, title=title or "t", version=head)


def places(base: Version, head: Artifact, said: Description) -> list[str]:
    return [each.where for each in brought_together(base, head, said)[1]]


@given(WORDS, WORDS, NAMES)
def test_what_only_the_head_changed_stays(title: str | None, language: str | None, metadata: dict[str, object]) -> None:
    base, head = versions(title, language, metadata)
    for said in (Description(), Description(title="t", metadata={})):
        merged, conflicts = brought_together(base, head, said)
        assert conflicts == ()
        assert merged.title in (None, head.title)
        assert merged.metadata in (None, metadata)


@given(WORDS, WORDS, NAMES)
def test_what_only_the_reviser_changed_is_taken(
    title: str | None, language: str | None, names: dict[str, object]
) -> None:
    base, head = versions(None, None, {})
    said = Description(title=title, language=language, metadata=names)
    assert brought_together(base, head, said) == (said, ())


def test_what_both_changed_to_different_ends_is_a_conflict() -> None:
    base, head = versions("a", "python", {"x": 1, "y": 1})
    said = Description(title="b", language="rust", metadata={"x": True, "y": 1})
    assert places(base, head, said) == ["title", "language", "metadata.x"]
    assert places(base, head, Description(title="a", language="python", metadata={"x": 1, "y": 1})) == []


def test_a_name_that_one_side_took_away_and_the_other_changed_is_a_conflict() -> None:
    base, head = versions(None, None, {"x": 2})
    base = replace(base, metadata={"x": 1})
    assert places(base, head, Description(metadata={})) == ["metadata.x"]


def test_on_the_head_itself_all_is_as_it_was_said() -> None:
    _, head = versions("a", "python", {"x": 1})
    said = Description(title="b", metadata={})
    assert brought_together(head.version, head, said) == (said, ())
