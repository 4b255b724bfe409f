"""JSON bodies read as strictly as RFC 8259 has it, whoever reads them: a route by itself, or the framework for it.

What is sent twice under one name is refused and not decided on. What a body means is for the routes.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import JsonValue, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from handiwork.model import KIB
from handiwork.server.json_values import demand_few_values, has_few_values
from handiwork.server.refusals import MalformedRequest
from handiwork.tasks import in_thread

# Parsing and decoding less than this takes about as long as asking a thread to.
PARSED_HERE_BYTES = 256 * KIB
PARSED_HERE_VALUES = 4 * KIB
MOST_VALUES = 16 * KIB
"""What a body may hold that is neither content nor a patch, more than facts or metadata can have."""
MOST_VALUES_OF_CONTENT = 256 * KIB
"""What one may hold in which content or a patch may be."""
LONGEST_NAME_TOLD = 60

_ANY = TypeAdapter[JsonValue](JsonValue)

Told = TypeVar("Told")


class StrictRoute(APIRoute):
    """A route whose body the framework parses, and that is looked at before that."""

    most_values = MOST_VALUES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        declared = super().get_route_handler()
        if self.body_field is None:
            return declared

        async def handle(request: Request) -> Response:
            try:
                raw = await request.body()
            except ClientDisconnect as gone:
                raise MalformedRequest("body", expected="all of it") from gone
            if raw:
                await looked_at(raw, most_values=self.most_values)
            return await declared(request)

        return handle


class ContentRoute(StrictRoute):
    """The same for a body that may hold content."""

    most_values = MOST_VALUES_OF_CONTENT


async def looked_at(raw: bytes, *, most_values: int) -> JsonValue:
    """Return what a body says that has no shape of its own.

    Raises:
        MalformedRequest: it holds too many values.
        RequestValidationError: it is no JSON, or has a name twice in an object.
    """
    if is_quickly_parsed(raw):
        return short_and_strictly(raw, _ANY.validate_json, most_values=most_values)
    return await in_thread(short_and_strictly, raw, _ANY.validate_json, most_values=most_values)


def is_quickly_parsed(raw: bytes) -> bool:
    """Tell whether reading a body, and saying what is wrong with it, takes no time."""
    return len(raw) <= PARSED_HERE_BYTES and has_few_values(raw, most=PARSED_HERE_VALUES)


def short_and_strictly(raw: bytes, parse: Callable[[bytes], Told], *, most_values: int = MOST_VALUES) -> Told:
    """Do as `strictly`, for a body that holds little. Raises `MalformedRequest` for one of too many values."""
    demand_few_values(raw, most=most_values)
    return strictly(raw, parse)


def strictly(raw: bytes, parse: Callable[[bytes], Told]) -> Told:
    """Return what `parse` makes of a body.

    Raises:
        RequestValidationError: it is no JSON, has a name twice in an object, or is not what it should be.
    """
    try:
        told = parse(raw)
    except ValidationError as wrong:
        # To show what was there instead, all of it would be built once more.
        raise invalid(wrong, shows_inputs=is_quickly_parsed(raw)) from wrong
    # It is known to be JSON of few levels by now; numbers are not built, some of them would be very long.
    try:
        json.loads(raw, object_pairs_hook=_demand_once, parse_int=_nothing, parse_float=_nothing)
    except _Twice as twice:
        name = str(twice)
        shown = name if len(name) <= LONGEST_NAME_TOLD else name[:LONGEST_NAME_TOLD] + "…"
        fault = {"type": "json_invalid", "loc": ("body",), "ctx": {"error": f'the name "{shown}" twice in one object'}}
        raise RequestValidationError([fault]) from None
    return told


def invalid(wrong: ValidationError, *, place: str = "body", shows_inputs: bool = True) -> RequestValidationError:
    """Return what FastAPI would raise for a body or a query that it had parsed itself."""
    faults: list[dict[str, Any]] = []
    for fault in wrong.errors(include_url=False, include_input=shows_inputs):
        if fault["type"] == "json_invalid" and fault["loc"]:
            # JSON in a field, and not the body itself.
            told = {"type": "value_error", "loc": (place, *fault["loc"]), "msg": "JSON", "input": fault.get("input")}
            faults.append(told)
        elif fault["type"] == "json_invalid":
            faults.append({"type": "json_invalid", "loc": (place,), "ctx": fault.get("ctx", {})})
        else:
            faults.append({**fault, "loc": (place, *fault["loc"])})
    return RequestValidationError(faults)


class _Twice(Exception):
    """A name that is twice in one object."""


def _demand_once(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _value in pairs}
    if len(names) == len(pairs):
        return
    seen: set[str] = set()
    raise _Twice(next(name for name, _value in pairs if name in seen or seen.add(name)))


def _nothing(_digits: str) -> None:
    return None
