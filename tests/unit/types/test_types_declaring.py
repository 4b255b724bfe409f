"""Types of one's own: a mark changes nothing, a registry makes a type of it, and its content is checked."""

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from handiwork.errors import ContentRefused, ContentTooLarge, InvalidType
from handiwork.model import KIB
from handiwork.types.declaring import ContentModel, artifact_type, declared
from handiwork.types.described import describe
from handiwork.types.registry import Registry, built_in


class Line(ContentModel):
    product: str
    unit_price: float = Field(ge=0)


@artifact_type(
    "invoice",
    icon="receipt",
    states=("draft", "sent"),
    transitions={"draft": ("sent",)},
    aliases=("bill",),
)
class Invoice(ContentModel):
    due_date: str
    lines: list[Line] = Field(default_factory=list[Line])
    currency: Literal["EUR", "USD"] = "EUR"


class Tree(ContentModel):
    child: "Tree | None" = None


@artifact_type("haiku", display="inline", format="markdown", cap_bytes=100)
def check_haiku(text: str) -> None:
    if len(text.splitlines()) != 3:
        raise ValueError("three lines")


INVOICE = declared(Invoice)
HAIKU = declared(check_haiku)


def refusal(content: object) -> ContentRefused:
    with pytest.raises(ContentRefused) as refused:
        INVOICE.check(content)
    return refused.value


def test_a_mark_leaves_what_it_marks_as_it_was():
    assert Invoice(due_date="2026-12-01").lines == []
    check_haiku("a\nb\nc")
    assert "invoice" not in [each.name for each in Registry(built_in())]


def test_marked_objects_and_types_are_registered_side_by_side():
    registry = Registry([*built_in(), Invoice, check_haiku])
    assert registry.named("bill") is registry.named("invoice")
    assert registry.named("haiku").media_type == "text/markdown"


def test_what_a_mark_does_not_say_is_filled_in():
    assert (INVOICE.label, INVOICE.display, INVOICE.cap_bytes) == ("Invoice", "panel", 256 * KIB)
    assert (INVOICE.content, INVOICE.suffix, INVOICE.is_streamed, INVOICE.initial_state) == (
        "json",
        "json",
        False,
        "draft",
    )
    assert (HAIKU.content, HAIKU.suffix, HAIKU.is_streamed, HAIKU.schema) == ("text", "md", True, None)


def test_the_schema_of_a_model_is_told_in_camel_case():
    told = describe(INVOICE)
    assert told["schema"]["required"] == ["dueDate"]
    assert json.loads(json.dumps(told)) == told


def test_content_is_stored_as_the_model_writes_it():
    short = INVOICE.check({"lines": [{"unit_price": 1, "product": "tea"}], "due_date": "2026-12-01"})
    spelled = INVOICE.check('{"dueDate":"2026-12-01","currency":"EUR","lines":[{"product":"tea","unitPrice":1.0}]}')
    assert short == spelled
    assert short.value == {"dueDate": "2026-12-01", "lines": [{"product": "tea", "unitPrice": 1.0}], "currency": "EUR"}
    assert json.loads(short.data) == short.value
    assert INVOICE.check(short.data) == short


@pytest.mark.parametrize(
    ("content", "where", "expected"),
    [
        ({}, "$.dueDate", "required"),
        ({"dueDate": 5}, "$.dueDate", "a valid string"),
        ({"dueDate": "x", "currency": "GBP"}, "$.currency", "'EUR' or 'USD'"),
        ({"dueDate": "x", "paid": True}, "$.paid", "no value of this name"),
        (
            {"dueDate": "x", "lines": [{"product": "tea", "unitPrice": -1}]},
            "$.lines[0].unitPrice",
            "greater than or equal",
        ),
        ({"dueDate": "x", "lines": [{"product": "tea", "unitPrice": "nan"}]}, "$.lines[0].unitPrice", "finite"),
        ([], "$", "valid dictionary"),
        ("null", "$", "valid dictionary"),
        ('{"dueDate": "x", "dueDate": "y"}', "$.dueDate", "once"),
        ("{", "line 1, column 2", "name in double quotes"),
    ],
)
def test_content_that_the_model_refuses_is_refused_with_its_path(content: object, where: str, expected: str):
    refused = refusal(content)
    assert refused.where == where
    assert expected in refused.expected


def test_further_faults_are_told_up_to_a_bound():
    refused = refusal({"dueDate": "x", "lines": [{}] * 1000})
    assert refused.where == "$.lines[0].product"
    assert "`$.lines[0].unitPrice`" in (refused.hint or "")
    assert "1,994 more" in (refused.hint or "")
    assert len(refused.hint or "") < 1000


@pytest.mark.parametrize("depth", [90, 150, 199, 5_000])
def test_a_model_that_holds_itself_takes_or_refuses_hostile_depth(depth: int):
    kind = declared(artifact_type("tree")(type("Root", (Tree,), {})))
    text = '{"child":' * depth + "{}" + "}" * depth
    told = ""
    try:
        assert kind.check(text).data
    except (ContentRefused, ContentTooLarge) as refused:
        told = str(refused)
    assert len(told) < 1000


def test_a_rule_of_the_model_is_told_in_its_own_words():
    @artifact_type("range")
    class Range(BaseModel):
        low: int
        high: int

        @model_validator(mode="after")
        def in_order(self) -> "Range":
            if self.low > self.high:
                raise ValueError("low must not be over high")
            return self

    with pytest.raises(ContentRefused, match="low must not be over high"):
        declared(Range).check({"low": 2, "high": 1})


def test_text_that_the_function_refuses_is_refused_in_its_words():
    assert HAIKU.check("a\nb\nc").data == b"a\nb\nc"
    with pytest.raises(ContentRefused, match="expected three lines; got 'a'") as refused:
        HAIKU.check("a")
    assert refused.value.artifact_type == "haiku"
    with pytest.raises(ContentTooLarge, match="100 bytes"):
        HAIKU.check("x" * 101)
    with pytest.raises(ContentRefused, match="NUL"):
        HAIKU.check("a\nb\n\0")


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_comes_is_taken_or_refused(value: Any):
    try:
        INVOICE.check(value)
    except ContentRefused as refused:
        str(refused).encode()


def test_a_class_that_inherits_from_a_marked_one_is_not_marked():
    class Credit(Invoice):
        pass

    with pytest.raises(InvalidType, match="marked with"):
        declared(Credit)


def test_a_mark_on_something_else_is_refused():
    class Plain:
        pass

    with pytest.raises(InvalidType, match="model of pydantic"):
        declared(artifact_type("plain")(Plain))  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]  # the point


def test_a_model_without_a_schema_is_refused():
    class Odd(BaseModel):
        model_config = {"arbitrary_types_allowed": True}

        it: object = Field(default=None)
        call: "type[Any]"
        other: Any = None
        frame: memoryview

    with pytest.raises(InvalidType, match="no JSON Schema"):
        declared(artifact_type("odd")(Odd))


@pytest.mark.parametrize("traits", [{"colour": "red"}, {"format": "png"}, {"format": "mp4"}, {"format": "nonsense"}])
def test_traits_that_are_not_known_are_refused(traits: dict[str, Any]):
    def check(_text: str) -> None:
        pass

    with pytest.raises(InvalidType):
        declared(artifact_type("mine", **traits)(check))


def test_a_bad_name_is_refused_when_it_is_registered():
    def check(_text: str) -> None:
        pass

    with pytest.raises(InvalidType, match="`My Type`"):
        Registry([artifact_type("My Type")(check)])
