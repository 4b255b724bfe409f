"""The mark that makes a function a tool: how large answers of it are kept, and what a model is told about it.

A mark changes nothing by itself, and the function stays what it was; `own` takes marked functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, Unpack, overload

from handiwork import quantities
from handiwork.errors import InvalidLimit, InvalidTool
from handiwork.model import KIB
from handiwork.tools.summaries import KINDS, Category, Summarizer
from handiwork.types.tool_result import LONGEST_RETENTION

THRESHOLD_BYTES = 8 * KIB

_MARK = "__handiwork_tool__"

Function = TypeVar("Function", bound=Callable[..., Any])


class Traits(TypedDict, total=False):
    """What may be said of a tool.

    `cache_ref` keeps an answer over the `threshold` out of the model's context: it is stored, and the model gets what
    `summarizer` says of it and a reference. It is kept for `ttl`, such as `30m`, at most 24 hours. A `category` says
    how such answers are summed up and how long they are kept.
    """

    name: str
    description: str
    cache_ref: bool
    summarizer: Summarizer
    ttl: timedelta | str | float
    threshold: str | int
    category: Category


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a mark says."""

    name: str | None = None
    description: str | None = None
    is_cached: bool = False
    summarize: Summarizer | None = None
    ttl: timedelta | None = None
    threshold_bytes: int = THRESHOLD_BYTES
    category: Category | None = None


@overload
def tool(function: Function, /) -> Function: ...
@overload
def tool(function: None = None, /, **traits: Unpack[Traits]) -> Callable[[Function], Function]: ...
def tool(function: Function | None = None, /, **traits: Unpack[Traits]) -> Function | Callable[[Function], Function]:
    """Mark a function, sync or async, as a tool that `session.tools(extra=[…])` gives to a model.

    Its name, its docstring and the types of its arguments are what the model is told.

    Raises:
        InvalidLimit, InvalidTool: a trait cannot be.
    """
    mark = _mark(traits)

    def marked(function: Function) -> Function:
        setattr(function, _MARK, mark)
        return function

    return marked if function is None else marked(function)


def is_marked(thing: object) -> bool:
    """Tell whether this is a function with the mark."""
    return isinstance(getattr(thing, _MARK, None), Mark) and callable(thing)


def mark_of(thing: object) -> Mark:
    """Return what the mark of a function says. Raises `InvalidTool` for what has none."""
    mark: object = getattr(thing, _MARK, None)
    if not isinstance(mark, Mark) or not callable(thing):
        name = str(getattr(thing, "__qualname__", repr(thing)))[:100]
        raise InvalidTool(name, problem="expected a function that is marked with `@handiwork.tool`")
    return mark


def _mark(traits: Traits) -> Mark:
    if unknown := sorted(traits.keys() - Traits.__annotations__.keys()):
        known = ", ".join(Traits.__annotations__)
        raise InvalidTool(traits.get("name", "tool"), problem=f"there is no trait `{unknown[0]}`; there are {known}")
    category = traits.get("category")
    if category is not None and category not in KINDS:
        raise InvalidTool(traits.get("name", "tool"), problem=f"its category is none of {', '.join(KINDS)}")
    kind = None if category is None else KINDS[category]
    return Mark(
        name=traits.get("name"),
        description=traits.get("description"),
        # Whoever says how it is kept wants it kept.
        is_cached=traits.get("cache_ref", bool(traits.keys() & {"summarizer", "ttl", "threshold", "category"})),
        summarize=traits.get("summarizer", kind and kind.summarize),
        ttl=_ttl(traits["ttl"]) if "ttl" in traits else kind and kind.ttl,
        threshold_bytes=quantities.size(traits.get("threshold", THRESHOLD_BYTES), name="threshold"),
        category=category,
    )


def _ttl(value: timedelta | str | float) -> timedelta:
    ttl = value if isinstance(value, timedelta) else timedelta(seconds=quantities.seconds(value, name="ttl"))
    if not timedelta(0) < ttl <= LONGEST_RETENTION:
        raise InvalidLimit("ttl", str(value), expected="a time to come, such as `30m`, of 24 hours at most")
    return ttl
