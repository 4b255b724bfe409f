"""Problems that a server answers with, made into the errors that an engine in this process raises.

A problem tells code, message and hint, and of most errors the facts that they were built from.
"""

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from handiwork import errors
from handiwork.errors import HandiworkError, RequestRefused

MEDIA_TYPE = "application/problem+json"

_OWN = frozenset({"type", "title", "status", "detail", "code", "hint", "instance"})
_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")


def error_of(status: int, problem: Mapping[str, object]) -> HandiworkError:
    """Return the error that a problem tells of; one that nobody knows here is a `RequestRefused`.

    Raises:
        TypeError: it is no problem of ours.
    """
    code, detail, hint = problem.get("code"), problem.get("detail"), problem.get("hint")
    if not isinstance(code, str) or not isinstance(detail, str):
        raise TypeError("neither code nor detail")
    facts = {_snake(name): fact for name, fact in problem.items() if name not in _OWN}
    told = hint if isinstance(hint, str) else None
    kind = _kinds().get(code)
    if kind is None:
        return RequestRefused(code, detail, status=status, hint=told, facts=facts)
    error = _built(kind, facts, told) or _bare(kind, facts)
    # What the server says wins, since it knew all the facts.
    error.args = (detail,)
    if error.hint != told:
        error.hint = told
    return error


@cache
def _kinds() -> Mapping[str, type[HandiworkError]]:
    kinds = [cast("type[HandiworkError]", getattr(errors, name)) for name in errors.__all__]
    return {kind.code: kind for kind in kinds if kind not in {HandiworkError, RequestRefused}}


def _built(kind: type[HandiworkError], facts: Mapping[str, Any], hint: str | None) -> HandiworkError | None:
    """Return the error built as everywhere, or None where the problem does not tell enough."""
    told = {**facts, "hint": hint}
    parameters = inspect.signature(kind).parameters
    try:
        return kind(**{name: told[name] for name in parameters if name in told})
    except (TypeError, ValueError, LookupError, AttributeError):
        return None


def _bare(kind: type[HandiworkError], facts: Mapping[str, object]) -> HandiworkError:
    """Return the error with the facts that there are; those that the server keeps to itself are None."""
    error = kind.__new__(kind)
    for name in {*inspect.signature(kind).parameters, *facts} - {"args", "code"}:
        setattr(error, name, facts.get(name))
    return error


def _snake(name: str) -> str:
    return _UPPER.sub(lambda found: f"_{found[1].lower()}", name)
