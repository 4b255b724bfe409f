"""Content as that which can be patched, merged and compared: a text, a table, or a JSON value.

How each of the three is done is known to `patches`, `merging` and `differences`; here is decided which one content is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from handiwork.errors import InvalidContent
from handiwork.media.formats import format_of_media_type
from handiwork.model import Version
from handiwork.types.artifact_type import ArtifactType, Checked
from handiwork.types.spellings import place_of, spelled_way
from handiwork.versions.differences import Json, text_difference, value_differences
from handiwork.versions.drafts import all_of, content_of
from handiwork.versions.merging import merge_values
from handiwork.versions.merging_tables import merge_tables
from handiwork.versions.merging_text import merge_texts
from handiwork.versions.patches import (
    Edits,
    JsonPatch,
    MergePatch,
    Operation,
    Patch,
    apply_to_text,
    apply_to_value,
    parse_patch,
)

TABLE = "text/csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Content that was decoded; `value` is what JSON says, and None for what is no JSON."""

    kind: Literal["text", "table", "json"]
    data: bytes
    text: str
    value: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What two changes come to together: content, or places at which they contradict each other."""

    checked: Checked | None
    conflicts: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs between two versions: a unified diff of texts, or the changes of structured content by path."""

    start: int
    end: int
    is_same: bool
    text: str | None = None
    changes: Sequence[Mapping[str, object]] | None = None
    left_out: int = 0


def text_of(data: bytes, type_: ArtifactType, version: Version) -> Text:
    """Decode content. Raises `InvalidContent` for bytes that are no text."""
    if type_.content == "json":
        checked = type_.check(data)
        return Text(kind="json", data=checked.data, text=checked.data.decode(), value=checked.value)
    format_ = format_of_media_type(version.media_type)
    if type_.content == "bytes" and (format_ is None or not format_.is_text):
        expected = "text, which can be patched and compared"
        hint = "Send the whole new `content`."
        raise InvalidContent(version.name, expected=expected, got=version.media_type, hint=hint)
    try:
        text = data.decode()
    except UnicodeDecodeError as wrong:
        got = f"a byte that is none at position {wrong.start:,}"
        raise InvalidContent(version.name, expected="text in UTF-8", got=got) from wrong
    return Text(kind="table" if version.media_type == TABLE else "text", data=data, text=text)


def wanted(content: object, type_: ArtifactType, *, language: str | None) -> Checked:
    """Check content that a caller gave by its type."""
    return type_.check(all_of(content_of(content, type_)), language=language)


def patched(before: Text, patch: object, type_: ArtifactType, *, language: str | None) -> Checked:
    """Apply a patch of any dialect.

    Raises:
        PatchRefused, EditMissed, OperationFailed: it is no patch, or does not fit.
        ContentRefused, ContentTooLarge: what it comes to is no content of this type.
    """
    parsed = parse_patch(patch)
    if before.kind == "json" and not isinstance(parsed, Edits):
        parsed = _spelled(parsed, type_)
        value = apply_to_value(cast("Json", before.value), parsed, most_bytes=type_.cap_bytes)
        return type_.check(type_.spelled(value), language=language)
    return type_.check(apply_to_text(before.text, parsed), language=language)


def is_one_edit_of(data: bytes, patch: object) -> bool:
    """Tell whether a patch is one edit of a text in UTF-8, and what it looks for is there once."""
    edits = cast("list[object]", patch) if isinstance(patch, list) else []
    edit = cast("dict[object, object]", edits[0]) if len(edits) == 1 and isinstance(edits[0], dict) else {}
    wanted = edit.get("find")
    return isinstance(wanted, str) and wanted != "" and data.count(wanted.encode("utf-8", "replace")) == 1


def _spelled(patch: MergePatch | JsonPatch, type_: ArtifactType) -> Patch:
    """Return the patch with names as the model of the type writes them, so that both spellings are understood."""
    schema = type_.schema
    if schema is None:
        return patch
    if isinstance(patch, MergePatch):
        return MergePatch(cast("dict[str, Json]", place_of(schema).spelled(patch.value)))
    operations: list[Operation] = []
    for operation in patch.operations:
        path, place = spelled_way(schema, operation.path)
        source, _ = spelled_way(schema, operation.source)
        operations.append(replace(operation, path=path, source=source, value=place.spelled(operation.value)))
    return JsonPatch(tuple(operations))


def merged(base: Text, ours: Text, theirs: Text, type_: ArtifactType, *, language: str | None) -> Merge:
    """Bring two changes of the same base together."""
    match base.kind:
        case "json":
            values = merge_values(cast("Json", base.value), cast("Json", ours.value), cast("Json", theirs.value))
            conflicts = values.conflicts
            result: object = None if conflicts else type_.spelled(values.content)
        case "table":
            tables = merge_tables(base.text, ours.text, theirs.text)
            conflicts, result = tables.conflicts, tables.content
        case "text":
            texts = merge_texts(base.text, ours.text, theirs.text)
            conflicts, result = texts.conflicts, texts.content
    if conflicts:
        return Merge(checked=None, conflicts=tuple(each.as_facts() for each in conflicts))
    return Merge(checked=type_.check(result, language=language))


def difference(old: Text, new: Text, *, start: int, end: int) -> Difference:
    """Tell what differs between the contents of two versions."""
    if old.data == new.data:
        return Difference(start=start, end=end, is_same=True)
    if old.kind == "json":
        found = value_differences(cast("Json", old.value), cast("Json", new.value))
        changes = tuple(each.as_facts() for each in found.differences)
        return Difference(start=start, end=end, is_same=False, changes=changes, left_out=found.left_out)
    return Difference(start=start, end=end, is_same=False, text=text_difference(old.text, new.text))
