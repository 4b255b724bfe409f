"""Patches in three dialects: exact-once edits of text, JSON Patch (RFC 6902) and merge patch (RFC 7396).

Pure functions from content and patch to content: which version is patched, and what becomes of the result, is the
caller's. Edits apply to text; those of structured content to its text as it is stored, which the caller parses again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, assert_never, cast

from handiwork.errors import ContentTooLarge, OperationFailed, PatchRefused
from handiwork.versions.differences import DEEPEST, MISSING, Json, demand_json, fault_of
from handiwork.versions.nearest import demand_once
from handiwork.versions.words import told

MOST_OPERATIONS = 1_000
EDITS_EXAMPLE = '[{"find": "Q3", "replace": "Q4"}]'
OPERATIONS_EXAMPLE = '[{"op": "replace", "path": "/rows/0/price", "value": 12}]'
MERGE_EXAMPLE = '{"title": "Q4", "draft": null}'

Op = Literal["add", "remove", "replace", "move", "copy", "test"]
Pointer: TypeAlias = tuple[str, ...]

_LONGEST_POINTER_TOLD = 200
_LONGEST_STEP_TOLD = 100
# Which of `from` and `value` each operation needs beside `op` and `path`.
_NEEDS: Mapping[str, str | None] = {
    "add": "value",
    "remove": None,
    "replace": "value",
    "move": "from",
    "copy": "from",
    "test": "value",
}
_EDIT_NAMES, _OPERATION_NAMES = frozenset({"find", "replace"}), frozenset({"op", "path", "from", "value"})
_INDEX = re.compile(r"0|[1-9][0-9]{0,11}")
_BAD_ESCAPE = re.compile(r"~(?![01])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is there exactly once, and what takes its place."""

    find: str
    replace: str


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits of text, one after the other, all or nothing."""

    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a JSON Patch; `source` is its `from`."""

    op: Op
    path: Pointer
    source: Pointer = ()
    value: Json = None


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """Operations on a JSON value, one after the other, all or nothing."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class MergePatch:
    """The names that change with their new values; `null` removes a name."""

    value: dict[str, Json]


Patch: TypeAlias = Edits | JsonPatch | MergePatch


def parse_patch(value: object) -> Patch:
    """Return the patch that a parsed JSON value spells, or raise `PatchRefused`."""
    if isinstance(value, dict):
        plain = _plain(cast("object", value), "the merge patch", MERGE_EXAMPLE)
        return MergePatch(cast("dict[str, Json]", plain))
    if not isinstance(value, list):
        raise PatchRefused(
            "as a whole",
            expected="a list of edits, a list of JSON Patch operations, or an object as merge patch",
            got="a text: send the list itself, not its text" if isinstance(value, str) else told(value),
            example=f"{EDITS_EXAMPLE}` or `{OPERATIONS_EXAMPLE}` or `{MERGE_EXAMPLE}",
        )
    elements = cast("list[object]", value)
    if not 0 < len(elements) <= MOST_OPERATIONS:
        expected, got = f"1 to {MOST_OPERATIONS:,} elements", f"{len(elements):,}"
        raise PatchRefused("the list", expected=expected, got=got, example=EDITS_EXAMPLE)
    first = elements[0]
    names = set(cast("dict[object, object]", first) if isinstance(first, dict) else ())
    if not names.isdisjoint(_EDIT_NAMES):
        return Edits(tuple(_edit(element, index) for index, element in enumerate(elements)))
    if not names.isdisjoint(_OPERATION_NAMES):
        return JsonPatch(tuple(_operation(element, index) for index, element in enumerate(elements)))
    raise PatchRefused(
        "element 0",
        expected="an edit with `find` and `replace`, or a JSON Patch operation with `op` and `path`",
        got=told(cast("object", first)),
        example=f"{EDITS_EXAMPLE}` or `{OPERATIONS_EXAMPLE}",
        index=0,
    )


def apply_to_text(text: str, patch: Patch) -> str:
    """Return the text with every edit made, each on what those before it left; or raise `EditMissed` with no effect.

    Raises:
        PatchRefused: the patch is of a dialect for structured content.
    """
    if not isinstance(patch, Edits):
        raise PatchRefused(
            "its dialect",
            expected="a list of `find` and `replace` edits, since the content is plain text",
            got="a JSON Patch" if isinstance(patch, JsonPatch) else "a merge patch",
            example=EDITS_EXAMPLE,
        )
    for number, edit in enumerate(patch.edits):
        demand_once(text, edit.find, edit=number)
        text = text.replace(edit.find, edit.replace, 1)
    return text


def apply_to_value(value: Json, patch: Patch, *, most_bytes: int) -> Json:
    """Return the patched value; neither value nor patch is changed, and the result may share parts with both.

    Raises:
        PatchRefused: the patch is edits, which apply to the text of the content.
        OperationFailed: an operation of a JSON Patch does not fit.
        ContentTooLarge: the result, or all that is copied on the way to it, is over `most_bytes` as compact JSON.
        InvalidContent: value or result is deeper than `DEEPEST` levels or cannot be JSON.
    """
    demand_json(value, "the content")
    match patch:
        case Edits():
            raise PatchRefused(
                "its dialect",
                expected="a JSON Patch or a merge patch, since the content is structured",
                got="edits of text",
                example=f"{OPERATIONS_EXAMPLE}` or `{MERGE_EXAMPLE}",
            )
        case MergePatch():
            _demand_no_bare_edit(patch.value, value)
            result = _overlaid(value, patch.value)
        case JsonPatch():
            document = _Document(value, most_bytes)
            for number, operation in enumerate(patch.operations):
                document.apply(operation, number)
            result = document.root
        case _:
            assert_never(patch)
    demand_json(result, "the patched content")
    if (size := _size(result)) > most_bytes:
        raise ContentTooLarge("the patched content", size=size, limit=most_bytes)
    return result


def _edit(element: object, index: int) -> Edit:
    fields = _fields(element, index, _EDIT_NAMES, EDITS_EXAMPLE)
    find = _text(fields, "find", index, EDITS_EXAMPLE)
    if not find:
        raise PatchRefused(
            f"`find` of element {index}",
            expected="a text that is there (to insert, find what stands beside the place and repeat it in `replace`)",
            got="an empty one",
            example=EDITS_EXAMPLE,
            index=index,
        )
    return Edit(find=find, replace=_text(fields, "replace", index, EDITS_EXAMPLE))


def _operation(element: object, index: int) -> Operation:
    fields = _fields(element, index, _OPERATION_NAMES, OPERATIONS_EXAMPLE)

    def refused(name: str, expected: str, got: str) -> PatchRefused:
        where = f"`{name}` of element {index}"
        return PatchRefused(where, expected=expected, got=got, example=OPERATIONS_EXAMPLE, index=index)

    def pointer(name: str) -> Pointer:
        text = _text(fields, name, index, OPERATIONS_EXAMPLE)
        if (text and not text.startswith("/")) or _BAD_ESCAPE.search(text):
            expected = "a JSON Pointer: empty, or `/` before each name, with `~0` for `~` and `~1` for `/`"
            raise refused(name, expected, told(text))
        if text.count("/") > DEEPEST:
            raise refused(name, f"at most {DEEPEST} levels", f"{text.count('/'):,}")
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])

    op = fields.get("op", MISSING)
    if not isinstance(op, str) or op not in _NEEDS:
        raise refused("op", f"one of {', '.join(f'`{name}`' for name in _NEEDS)}", told(op))
    path, source, value = pointer("path"), (), None
    if _NEEDS[op] == "from":
        source = pointer("from")
        if op == "move" and len(source) < len(path) and path[: len(source)] == source:
            raise refused("path", "a place outside of what is moved", f"one in `{_spelled(source)}` itself")
    if _NEEDS[op] == "value":
        if "value" not in fields:
            raise refused("value", f"what to {op}", "none")
        value = fields["value"]
    return Operation(op=cast("Op", op), path=path, source=source, value=value)


def _fields(element: object, index: int, known: frozenset[str], example: str) -> dict[str, Json]:
    """Return the element as an object of known names, or raise `PatchRefused`."""
    where, listed = f"element {index}", ", ".join(f"`{name}`" for name in sorted(known))
    expected = f"an object with {listed} as they are needed and no other names"
    fields = _plain(element, where, example, index)
    if not isinstance(fields, dict):
        raise PatchRefused(where, expected=expected, got=told(fields), example=example, index=index)
    if unknown := next((name for name in fields if name not in known), None):
        is_mixed = unknown in _EDIT_NAMES | _OPERATION_NAMES
        got = f"`{unknown[:_LONGEST_STEP_TOLD]}`" + (
            " of another dialect, and a patch has one dialect only" if is_mixed else ""
        )
        raise PatchRefused(where, expected=expected, got=got, example=example, index=index)
    return fields


def _text(fields: dict[str, Json], name: str, index: int, example: str) -> str:
    text = fields.get(name, MISSING)
    if not isinstance(text, str):
        where = f"`{name}` of element {index}"
        raise PatchRefused(where, expected="a text", got=told(text), example=example, index=index)
    return text


def _plain(value: object, where: str, example: str, index: int | None = None) -> Json:
    if (fault := fault_of(value)) is not None:
        raise PatchRefused(where, expected="plain JSON", got=fault, example=example, index=index)
    return cast("Json", value)


def _overlaid(target: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _overlaid(result.get(name), value)
    return result


def _demand_no_bare_edit(patch: dict[str, Json], value: Json) -> None:
    """Refuse one edit or operation that was sent without its list, unless the content has fields of these names."""
    is_bare = patch.keys() == _EDIT_NAMES or (patch.keys() <= _OPERATION_NAMES and {"op", "path"} <= patch.keys())
    if is_bare and not (isinstance(value, dict) and patch.keys() <= value.keys()):
        raise PatchRefused(
            "as a whole",
            expected="a list around an edit or an operation",
            got="one without its list, which as a merge patch would only add its names to the content",
            example=f"{EDITS_EXAMPLE}` or `{OPERATIONS_EXAMPLE}",
        )


class _Document:
    """A value that operations change. What it was made from is never touched: containers are copied before a change."""

    def __init__(self, root: Json, most_bytes: int) -> None:
        self.root = root
        self._most_bytes, self._copied_bytes = most_bytes, 0
        # Containers that were made here and are in one place only, by `id`, which no other can get meanwhile.
        self._own: dict[int, Json] = {}
        self._current = 0, Operation(op="test", path=())

    def apply(self, operation: Operation, number: int) -> None:
        self._current = number, operation
        path, source = operation.path, operation.source
        match operation.op:
            case "add" | "replace":
                self._set(path, operation.value, is_new=operation.op == "add")
            case "remove":
                self._remove(path)
            case "test":
                if not _equal(there := self._get(path), operation.value):
                    self._fail(f"there is {told(there)}, not {told(operation.value)}")
            case "move":
                moved = self._get(source)
                if source != path:
                    self._remove(source)
                    self._set(path, moved, is_new=True)
            case "copy":
                copied = self._get(source)
                self._demand_room(copied)
                self._own.clear()
                self._set(path, copied, is_new=True)

    def _demand_room(self, copied: Json) -> None:
        if fault := fault_of(copied):
            self._fail(f"what is copied has {fault}")
        # Each copy may double the whole, so what is copied counts wherever it ends up.
        self._copied_bytes += _size(copied)
        if self._copied_bytes > self._most_bytes:
            raise ContentTooLarge("what the patch copies", size=self._copied_bytes, limit=self._most_bytes)

    def _get(self, pointer: Pointer) -> Json:
        current = self.root
        for depth, step in enumerate(pointer):
            current = self._child(current, pointer[:depth], step)
        return current

    def _set(self, pointer: Pointer, value: Json, *, is_new: bool) -> None:
        if not pointer:
            self.root = value
            return
        parent, where, step = self._parent(pointer), pointer[:-1], pointer[-1]
        if not is_new:
            self._child(parent, where, step)
        if isinstance(parent, dict):
            parent[step] = value
        elif isinstance(parent, list):
            at = len(parent) if step == "-" else self._index(parent, where, step, end=len(parent))
            parent[at : at if is_new else at + 1] = [value]
        else:
            self._fail(f"`{_spelled(where)}` is {told(parent)}, which holds nothing")

    def _remove(self, pointer: Pointer) -> None:
        if not pointer:
            self._fail("the whole content cannot be taken away, only replaced")
        parent, step = self._parent(pointer), pointer[-1]
        self._child(parent, pointer[:-1], step)
        if isinstance(parent, dict):
            del parent[step]
        elif isinstance(parent, list):
            del parent[int(step)]

    def _parent(self, pointer: Pointer) -> Json:
        """Return what holds the end of the pointer, free to be changed like all on the way to it."""
        self.root = parent = self._owned(self.root)
        for depth, step in enumerate(pointer[:-1]):
            child = self._owned(self._child(parent, pointer[:depth], step))
            if isinstance(parent, dict):
                parent[step] = child
            elif isinstance(parent, list):
                parent[int(step)] = child
            parent = child
        return parent

    def _owned(self, value: Json) -> Json:
        if not isinstance(value, (dict, list)) or id(value) in self._own:
            return value
        copy = value.copy()
        self._own[id(copy)] = copy
        return copy

    def _child(self, parent: Json, where: Pointer, step: str) -> Json:
        if isinstance(parent, list):
            return parent[self._index(parent, where, step, end=len(parent) - 1)]
        if not isinstance(parent, dict) or step not in parent:
            self._fail(f"`{_spelled(where)}` is {told(parent)}, without `{step[:_LONGEST_STEP_TOLD]}` in it")
        return parent[step]

    def _index(self, elements: list[Json], where: Pointer, step: str, *, end: int) -> int:
        if not _INDEX.fullmatch(step) or int(step) > end:
            indexes = f"whose index is 0 to {end}" if end >= 0 else "which has no index"
            self._fail(f"`{_spelled(where)}` is {told(elements)}, {indexes}, not `{step[:_LONGEST_STEP_TOLD]}`")
        return int(step)

    def _fail(self, problem: str) -> NoReturn:
        number, operation = self._current
        raise OperationFailed(number, op=operation.op, path=_spelled(operation.path), problem=problem)


def _equal(one: Json, other: Json) -> bool:
    """Compare as RFC 6902 does: numbers by value, so that 1 is 1.0, and true is no number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(child, other[name]) for name, child in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _size(value: Json) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _spelled(pointer: Pointer) -> str:
    text = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in pointer)
    return text if len(text) <= _LONGEST_POINTER_TOLD else text[:_LONGEST_POINTER_TOLD] + "…"
