"""A plain model of artifacts: what each says, apart from how its type spells it, and what two changes come to.

Nothing of Handiwork's own reading, patching or merging is used here. Nothing is asserted here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hypothesis import strategies as st

import handiwork

Kind = Literal["lines", "json", "rows", "bytes"]
Form = Any
"""Lines are a tuple of texts, rows a dict of two cells by key; JSON and bytes are what they are."""

KINDS: Mapping[str, Kind] = {
    "markdown": "lines",
    "code": "lines",
    "html-sandboxed": "lines",
    "svg": "lines",
    "note": "lines",
    "file": "lines",
    "json": "json",
    "csv": "rows",
    "binary": "bytes",
}
"""What the artifacts of each type are made of; `binary` are files that are no text."""
SUFFIXES = {"markdown": "md", "code": "py", "html-sandboxed": "html", "note": "txt", "file": "txt", "binary": "bin"}
STATES: Mapping[str, tuple[str, ...]] = {"draft": ("final", "shelved"), "final": ("draft",), "shelved": ()}
LINES, VALUES, KEYS = 6, "abc", "pqrs"


@handiwork.artifact_type("note", states=tuple(STATES), transitions=STATES)
def note(text: str) -> None:
    """A type of one's own, which has states."""
    if not text:
        raise ValueError("expected a text")


@dataclass(kw_only=True)
class Kept:
    """One artifact as it should be."""

    id: str
    handle: str
    type: str
    title: str
    versions: list[tuple[Form, bytes]]
    expires_at: datetime | None
    state: str | None
    labels: list[str] = field(default_factory=list[str])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    held: bool = False
    purged_at: datetime | None = None
    is_forgotten: bool = False

    @property
    def kind(self) -> Kind:
        return KINDS[self.type]

    @property
    def form(self) -> Form:
        return self.versions[-1][0]

    @property
    def head(self) -> int:
        return len(self.versions)

    def is_over(self, now: datetime) -> bool:
        is_late = self.expires_at is not None and self.expires_at <= now
        return self.purged_at is not None or (is_late and not self.held)


@dataclass(frozen=True, slots=True)
class Merge:
    """What two changes come to: it may be a conflict where that `is_contested`, and must be one without a `form`."""

    form: Form
    is_contested: bool = False
    is_known: bool = True


CONFLICT = Merge(None, is_contested=True)
UNKNOWN = Merge(None, is_contested=True, is_known=False)

_words = st.sampled_from(VALUES)
_scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "é", "\u2028", "𝄞"])
_any_json = st.recursive(
    _scalars | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_flat_json = st.dictionaries(st.sampled_from(KEYS), _scalars, max_size=len(KEYS))
_rows = st.dictionaries(st.sampled_from(KEYS), st.tuples(_words, _words), min_size=1).map(
    lambda rows: dict(sorted(rows.items()))
)
FORMS: Mapping[Kind, st.SearchStrategy[Form]] = {
    "lines": st.tuples(*[_words] * LINES),
    "json": _flat_json | _flat_json | _any_json,
    "rows": _rows,
    "bytes": st.binary(max_size=20).map(lambda data: b"\x00\xff" + data),
}
merge_patches = st.dictionaries(st.sampled_from(KEYS), _scalars, max_size=2)


def spelled(type_: str, form: Form) -> bytes:
    """The content as it is stored."""
    match KINDS[type_]:
        case "lines":
            text = "".join(line_of(type_, number, word) for number, word in enumerate(form))
            return (f'<svg xmlns="http://www.w3.org/2000/svg">\n{text}</svg>\n' if type_ == "svg" else text).encode()
        case "json":
            return json.dumps(form, ensure_ascii=False, indent=2).encode()
        case "rows":
            return ("id,a,b\n" + "".join(f"{key},{a},{b}\n" for key, (a, b) in form.items())).encode()
        case "bytes":
            return form


def line_of(type_: str, number: int, word: str) -> str:
    """A line, which is there once."""
    return f'<g id="g{number}">{word}</g>\n' if type_ == "svg" else f"line {number} {word}\n"


def said(type_: str, form: Form) -> Any:
    """The content as a caller gives it; a text is taken for JSON that was written down already."""
    is_plain = KINDS[type_] == "bytes" or (KINDS[type_] == "json" and not isinstance(form, str))
    return form if is_plain else spelled(type_, form).decode()


def understood(type_: str, data: bytes) -> Form:
    """What content that was merged says."""
    if KINDS[type_] == "json":
        return json.loads(data)
    header, *rows = data.decode().splitlines()
    return {"id,a,b": None} if header != "id,a,b" else {key: (a, b) for key, a, b in (r.split(",") for r in rows)}


def overlaid(form: Form, patch: Mapping[str, Any]) -> Form:
    """What a merge patch of one level comes to."""
    overlaid = {**(form if isinstance(form, dict) else {}), **patch}
    return {name: value for name, value in overlaid.items() if value is not None or name not in patch}


def merge(kind: Kind, base: Form, ours: Form, theirs: Form) -> Merge:
    """What two changes of one base come to."""
    match kind:
        case "lines":
            return _merge_lines(base, ours, theirs)
        case "rows":
            return _merge_rows(base, ours, theirs)
        case "json":
            return _merge_values(base, ours, theirs)
        case "bytes":
            return UNKNOWN


def _merge_lines(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Merge:
    changed = [{n for n in range(LINES) if side[n] != base[n]} for side in (ours, theirs)]
    both = changed[0] & changed[1]
    if any(ours[n] != theirs[n] for n in both):
        return CONFLICT
    # The same change of a line is one of several lines on either side, and need not be seen to be the same.
    return Merge(tuple(ours[n] if n in changed[0] else theirs[n] for n in range(LINES)), is_contested=bool(both))


def _merge_rows(
    base: Mapping[str, Sequence[str]], ours: Mapping[str, Sequence[str]], theirs: Mapping[str, Sequence[str]]
) -> Merge:
    merged: dict[str, tuple[str, ...]] = {}
    for key in sorted({*base, *ours, *theirs}):
        was, our, their = base.get(key), ours.get(key), theirs.get(key)
        row = _one_of(was, our, their)
        if row is _BOTH:
            if was is None or our is None or their is None:
                return CONFLICT
            cells = [_one_of(*three) for three in zip(was, our, their, strict=True)]
            if any(cell is _BOTH for cell in cells):
                return CONFLICT
            row = tuple(cells)
        if row is not None:
            merged[key] = row
    return Merge(merged)


def _merge_values(base: Form, ours: Form, theirs: Form) -> Merge:
    if not all(isinstance(side, dict) for side in (base, ours, theirs)):
        return UNKNOWN
    merged: dict[str, Any] = {}
    for name in {**ours, **theirs}:
        value = _one_of(*(_token(side, name) for side in (base, ours, theirs)))
        if value is _BOTH:
            # What is in both may still be merged within.
            is_nested = any(isinstance(side.get(name), (dict, list)) for side in (base, ours, theirs))
            return UNKNOWN if is_nested else CONFLICT
        if value is not None:
            merged[name] = json.loads(value)
    if any(_one_of(*(_token(s, n) for s in (base, ours, theirs))) is _BOTH for n in base):
        return CONFLICT
    return Merge(merged)


_BOTH: Any = object()


def _one_of(was: Any, our: Any, their: Any) -> Any:
    if our in (their, was):
        return their
    return our if their == was else _BOTH


def _token(side: Mapping[str, Any], name: str) -> str | None:
    """A value such that 1 and true are two; None for what is not there."""
    return json.dumps(side[name], sort_keys=True) if name in side else None
