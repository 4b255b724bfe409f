"""What pydantic refuses in a request, as `{where, expected, got}` that a model can repair its request from.

How it is answered is in `problems`. Nothing of any length that was sent is sent back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

MOST_FAULTS = 20
LONGEST_VALUE = 60
LONGEST_PLACE = 200
LONGEST_EXPECTATION = 300
_LARGEST_TOLD_BITS = 64

Fault = dict[str, str]


def faults_of(found: Sequence[Any]) -> tuple[list[Fault], int]:
    """Return the first faults, and how many more there are."""
    faults = [_fault(cast("Mapping[str, Any]", one)) for one in found[:MOST_FAULTS]]
    return faults, max(len(found) - MOST_FAULTS, 0)


def _fault(one: Mapping[str, Any]) -> Fault:
    place: Sequence[object] = one.get("loc", ())
    match one["type"]:
        case "missing":
            return _spelled(place, "a value", "nothing")
        case "extra_forbidden":
            return _spelled(place, "no field of this name", _got(one))
        case "json_invalid":
            why = str(one.get("ctx", {}).get("error", "it cannot be parsed"))
            # Some parsers say the place with the reason.
            at = f" at character {place[-1]}" if place and isinstance(place[-1], int) else ""
            return _spelled(("body",), "JSON", f"{why}{at}")
        case _:
            said = str(one.get("msg", "something else")).removeprefix("Value error, ")
            return _spelled(place, said.removeprefix("Input should be "), _got(one))


def _got(one: Mapping[str, Any]) -> str:
    return _told(one["input"]) if "input" in one else "something else"


def _spelled(place: Sequence[object], expected: str, got: str) -> Fault:
    return {
        "where": _short(_joined(place), LONGEST_PLACE),
        "expected": _short(expected, LONGEST_EXPECTATION),
        "got": _short(got, LONGEST_EXPECTATION),
    }


def _joined(place: Sequence[object]) -> str:
    spelled = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return spelled.removeprefix(".") or "request"


def _told(value: object) -> str:
    match value:
        case None | bool():
            told = {None: "null", True: "true", False: "false"}[value]
        case int() if value.bit_length() > _LARGEST_TOLD_BITS:
            told = "a number of many digits"
        case int() | float():
            told = str(value)
        case str():
            told = f'"{_short(value, LONGEST_VALUE)}"'
        case Mapping():
            told = f"an object of {len(cast('Mapping[Any, Any]', value))} fields"
        case list() | tuple():
            told = f"a list of {len(cast('Sequence[Any]', value))}"
        case bytes():
            told = f"{len(value)} bytes that are no JSON"
        case _:
            told = "something else"
    return told


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "…"
