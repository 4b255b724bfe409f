"""Marked functions: what a model is told of them, and what a mark refuses. How they are called is not tested here."""

import functools
from datetime import timedelta
from typing import Any

import pytest

import handiwork
from handiwork.errors import InvalidLimit, InvalidTool
from handiwork.tools.docstrings import docstring_of
from handiwork.tools.marks import mark_of
from handiwork.tools.own import OwnTool


def own(function: object) -> OwnTool:
    return OwnTool(function, None)  # pyright: ignore[reportArgumentType]  # nothing is called


@handiwork.tool(cache_ref=True, ttl="10m", threshold="2KB")
def search(query: str, limit: int = 10, *, tags: list[str] | None = None) -> dict[str, Any]:
    """Search the records.

    Words are looked for in every field.

    Args:
        query: What to look for,
            in words.
        limit (int): How many at most.

    Returns:
        The records.
    """
    return {"query": query, "limit": limit, "tags": tags}


def test_a_marked_function_stays_what_it_was() -> None:
    assert search("a", tags=["b"]) == {"query": "a", "limit": 10, "tags": ["b"]}
    assert search.__name__ == "search"


def test_name_docstring_and_types_are_what_a_model_is_told() -> None:
    tool = own(search).tool
    assert tool.name == "search"
    assert tool.description == "Search the records.\n\nWords are looked for in every field."
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for, in words."},
            "limit": {"type": "integer", "description": "How many at most."},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def test_a_mark_may_say_it_otherwise() -> None:
    @handiwork.tool(name="find_people", description="Find people.")
    def find() -> None:
        """Look."""

    tool = own(find).tool
    assert (tool.name, tool.description) == ("find_people", "Find people.")


def test_the_docstrings_of_sphinx_are_read_too() -> None:
    def function() -> None:
        """Look.

        :param str query: What to look for,
            in words.
        :param limit: How many.
        :returns: What was found.
        """

    read = docstring_of(function)
    assert read.prose == "Look."
    assert read.arguments == {"query": "What to look for, in words.", "limit": "How many."}


@pytest.mark.parametrize(
    "docstring", [None, "", "Args:", "Args:\n    a", "Returns: it", ":param", "Args:\n  *a: b\n c"]
)
def test_no_docstring_is_an_error(docstring: str | None) -> None:
    def function() -> None: ...

    function.__doc__ = docstring
    assert docstring_of(function).prose in ("", "Returns: it", ":param")


def test_a_category_says_how_answers_are_summed_up_and_how_long_they_are_kept() -> None:
    mark = mark_of(handiwork.tool(category="emails")(lambda: None))
    assert mark.is_cached
    assert mark.ttl == timedelta(hours=1)
    assert mark.summarize is not None


def test_what_is_said_beside_a_category_wins() -> None:
    mark = mark_of(handiwork.tool(category="emails", ttl=60, cache_ref=False)(lambda: None))
    assert mark.ttl == timedelta(minutes=1)
    assert not mark.is_cached


def test_a_bare_mark_keeps_nothing() -> None:
    assert not mark_of(handiwork.tool(lambda: None)).is_cached


@pytest.mark.parametrize("traits", [{"ttl": "25h"}, {"ttl": 0}, {"ttl": "soon"}, {"threshold": "much"}])
def test_a_limit_that_cannot_be_is_refused_at_once(traits: Any) -> None:
    with pytest.raises(InvalidLimit):
        handiwork.tool(**traits)


@pytest.mark.parametrize("traits", [{"colour": "red"}, {"category": "invoices"}])
def test_a_trait_that_there_is_not_is_refused_at_once(traits: Any) -> None:
    with pytest.raises(InvalidTool):
        handiwork.tool(**traits)


def positional(query: str, /) -> None: ...
def several(*queries: str) -> None: ...
def named(**queries: str) -> None: ...
def unread(query: "Nowhere") -> None: ...  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  # the point


class Opaque:
    """Something that JSON does not know."""


def of_a_class(query: Opaque) -> None: ...


@pytest.mark.parametrize("function", [positional, several, named, unread, of_a_class], ids=lambda each: each.__name__)
def test_a_function_that_no_model_can_call_is_refused(function: Any) -> None:
    with pytest.raises(InvalidTool, match=f"`{function.__name__}`"):
        own(handiwork.tool(function))


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "1st", "ä"])
def test_a_name_that_no_provider_takes_is_refused(name: str) -> None:
    with pytest.raises(InvalidTool):
        own(handiwork.tool(name=name)(lambda: None))


@pytest.mark.parametrize("thing", [len, object(), "search", functools.partial(search, "a")])
def test_what_is_not_marked_is_no_tool(thing: object) -> None:
    with pytest.raises(InvalidTool, match="marked"):
        own(thing)


def test_arguments_may_be_called_like_what_every_model_has() -> None:
    @handiwork.tool
    def odd(schema: str, model_config: int = 1, json: bool = False, copy: str = "") -> None:
        """Do."""

    assert list(dict(own(odd).tool.parameters)["properties"]) == ["schema", "model_config", "json", "copy"]  # pyright: ignore[reportCallIssue, reportArgumentType]  # JSON


def test_a_method_is_a_tool_too() -> None:
    class Desk:
        @handiwork.tool
        def search(self, query: str) -> str:
            """Search the desk."""
            return query

    assert list(dict(own(Desk().search).tool.parameters)["properties"]) == ["query"]  # pyright: ignore[reportCallIssue, reportArgumentType]  # JSON
