"""Selectors: how a part of some content is asked for, in words. What the content has there is found out in `excerpts`.

A selector is exactly one of

- `rows=10:20`: rows of a table, elements of a JSON array, or lines of JSON lines, counted from 0, up to and without the
  second number; the header of a table always comes along and is not counted;
- `lines=1:50`: lines of any text, counted from 1, up to and with the second number;
- `head=20`, `tail=20`: the first and the last ones, of rows where the content has rows and of lines else; `tail=20:5`,
  the last 20 without the last 5, is how a `tail` goes on towards the start;
- `path=$.a[3]`: what is at a path in a JSON document;
- `grep=text`: lines with exactly this text; `search=words`: lines with all of these words, in any order and case. Each
  line comes with its number; `grep:120=text`, from line 120 on, is how they go on.

Either bound of a range may be left out. Negative numbers have no place but in a path: `tail` counts from the end.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from handiwork.characters import HALF
from handiwork.errors import SelectorRefused
from handiwork.errors.selectors import FORMS
from handiwork.versions.json_paths import GRAMMAR, JsonPath, PathMalformed
from handiwork.versions.matches import LONGEST_PATTERN

Kind: TypeAlias = Literal["rows", "lines", "head", "tail", "path", "grep", "search"]

_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
_FORM = re.compile(r"(?P<kind>[a-z]+)(?::(?P<line>[0-9]{1,15}))?=(?P<value>.*)", re.DOTALL)
_RANGE = re.compile(r"\s*(?P<first>[0-9]{1,15})?\s*:\s*(?P<last>[0-9]{1,15})?\s*")
_COUNT = re.compile(r"\s*(?P<count>[0-9]{1,15})\s*(?::\s*(?P<without>[0-9]{1,15})\s*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """One way to select a part of content. `str` gives back a text that `parse` reads."""

    kind: Kind
    start: int = 0
    """The first unit, counted from 0; of a `tail`, how many at the end are left out."""
    stop: int | None = None
    """The unit before which it ends, None for the end; of a `tail`, how many from the end it begins."""
    text: str = ""
    """What `grep` and `search` look for."""
    path: JsonPath | None = None

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Read a selector as a caller has written it; raise `SelectorRefused` for anything else."""
        form = _FORM.fullmatch(text)
        kind = None if form is None else _KINDS.get(form["kind"])
        if form is None or kind is None:
            raise SelectorRefused(text, expected=f"one of {FORMS}")
        if form["line"] is not None and kind not in ("grep", "search"):
            raise SelectorRefused(text, expected=f"`=` right after `{kind}`")
        match kind:
            case "rows" | "lines":
                return _range(text, kind, form["value"])
            case "head" | "tail":
                return _end(text, kind, form["value"])
            case "path":
                return _path(text, form["value"])
            case "grep" | "search":
                return _pattern(text, kind, form)

    def __str__(self) -> str:
        stop = "" if self.stop is None else self.stop
        match self.kind:
            case "rows":
                return f"rows={self.start}:{stop}"
            case "lines":
                return f"lines={self.start + 1}:{stop}"
            case "head":
                return f"head={stop}"
            case "tail":
                return f"tail={stop}:{self.start}" if self.start else f"tail={stop}"
            case "path":
                return f"path={self.path}"
            case "grep" | "search":
                return f"{self.kind}:{self.start + 1}={self.text}" if self.start else f"{self.kind}={self.text}"


WHOLE = Selector(kind="head")
"""All of it, page by page: it cannot be written, and is what stands for no selector."""


def _range(text: str, kind: Literal["rows", "lines"], value: str) -> Selector:
    found = _RANGE.fullmatch(value)
    if found is None:
        example = (
            "`rows=10:20`, `rows=10:` or `rows=:20`" if kind == "rows" else "`lines=1:50`, `lines=51:` or `lines=:50`"
        )
        raise SelectorRefused(text, expected=f"two whole numbers as in {example}; `tail=20` counts from the end")
    base = 0 if kind == "rows" else 1
    start = int(found["first"] or base) - base
    stop = None if found["last"] is None else int(found["last"])
    if start < 0:
        raise SelectorRefused(text, expected="lines that are counted from 1, as in `lines=1:50`")
    if stop is not None and stop <= start:
        least = "more than the first, which is not reached" if kind == "rows" else "at least the first"
        raise SelectorRefused(
            text, expected=f"a second number that is {least}, such as `{kind}={start + base}:{start + 20}`"
        )
    return Selector(kind=kind, start=start, stop=stop)


def _end(text: str, kind: Literal["head", "tail"], value: str) -> Selector:
    found = _COUNT.fullmatch(value)
    if found is None or not int(found["count"]) or (kind == "head" and found["without"] is not None):
        raise SelectorRefused(text, expected=f"a whole number from 1 on, as in `{kind}=20`")
    count, without = int(found["count"]), int(found["without"] or 0)
    if without >= count:
        raise SelectorRefused(text, expected="fewer left out than are selected, as in `tail=20:5`")
    return Selector(kind=kind, start=without, stop=count)


def _path(text: str, value: str) -> Selector:
    try:
        return Selector(kind="path", path=JsonPath.parse(value))
    except PathMalformed:
        raise SelectorRefused(text, expected=GRAMMAR) from None


def _pattern(text: str, kind: Literal["grep", "search"], form: re.Match[str]) -> Selector:
    value = form["value"]
    if not value or (kind == "search" and not value.strip()):
        raise SelectorRefused(text, expected=f"something to look for, as in `{kind}=total`")
    if len(value) > LONGEST_PATTERN or "\n" in value or HALF.search(value):
        raise SelectorRefused(
            text, expected=f"at most {LONGEST_PATTERN} whole characters of one line, where this has {len(value):,}"
        )
    line = int(form["line"] or 1)
    if not line:
        raise SelectorRefused(text, expected="lines that are counted from 1")
    return Selector(kind=kind, start=line - 1, text=value)
