"""The manifest of an export: where each version's bytes lie, and what a manifest that comes from outside must say.

Bytes are neither written nor looked at here.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from handiwork.errors import ContentRefused, ExportInvalid
from handiwork.media.names import NAMELESS, clean_name, is_kept
from handiwork.model import MIB, Artifact, Version
from handiwork.shapes import Shape, artifact_shape, version_shape
from handiwork.types.strict_json import MOST_BITS, parsed

FORMAT = "handiwork-export"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PAGE = "index.html"
FOLDER = "artifacts"
LARGEST_BYTES = 64 * MIB
"""As much as is read of a manifest, so that no more is written."""
DEEPEST = 100
LONGEST_PART_BYTES = 180
"""Short enough that a path fits into what Windows allows, in a folder of an ordinary depth."""
LONGEST_SUFFIX_BYTES = 20

# What no name may have on Windows, beside what no name has after cleaning.
_ELSEWHERE_SPECIAL = frozenset("<>:|?*")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [port + digit for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_NUMBER = re.compile(r"v[1-9][0-9]{0,9}", re.ASCII)
_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an export, as its manifest has it."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an export says of itself; `files` are all but the manifest, by path."""

    session: str
    artifacts: int
    versions: int
    files: Mapping[str, File]


def path_of(handle: str, number: int, name: str) -> str:
    """Return where a version's bytes lie in an export: a path that leads out of no folder, on no system."""
    return f"{FOLDER}/{_part(handle)}/v{number}/{_part(name)}"


def is_safe_path(path: str) -> bool:
    """Tell whether this could be a path of `path_of`: four parts, of which none is special anywhere."""
    parts = path.split("/")
    if len(parts) != _PARTS or parts[0] != FOLDER or not _NUMBER.fullmatch(parts[2]):
        return False
    return _is_safe(parts[1]) and _is_safe(parts[3])


def alike(path: str) -> str:
    """Return what two paths have in common that some system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def artifact_entry(artifact: Artifact, versions: Sequence[tuple[Version, str]]) -> Shape:
    """An artifact as the manifest has it: as on the wire, with its versions, each with the path of its bytes."""
    entries = [{**version_shape(version), "path": path} for version, path in versions]
    return {name: _told(value, 1) for name, value in {**artifact_shape(artifact), "versions": entries}.items()}


def read_manifest(data: bytes) -> Manifest:
    """Return what a manifest says.

    Raises:
        ExportInvalid: it is none, it names paths that must not be, or it contradicts itself.
    """
    try:
        value = parsed(data.decode("utf-8"), type_name="manifest")
        told = _Manifest.model_validate(value)
    except UnicodeDecodeError as wrong:
        raise ExportInvalid(MANIFEST, f"is no text in UTF-8, from byte {wrong.start:,} on") from wrong
    except ContentRefused as wrong:
        raise ExportInvalid(MANIFEST, _misspelled(wrong)) from wrong
    except ValidationError as wrong:
        raise ExportInvalid(MANIFEST, _misfit(wrong)) from wrong
    files = {PAGE: File(path=PAGE, size=told.page.size, sha256=told.page.sha256)}
    taken = {alike(PAGE), alike(MANIFEST)}
    for file in _files(told):
        if alike(file.path) in taken:
            raise ExportInvalid(MANIFEST, f"names the path {file.path!r} twice")
        taken.add(alike(file.path))
        files[file.path] = file
    return Manifest(session=told.session, artifacts=len(told.artifacts), versions=len(files) - 1, files=files)


_Size = Annotated[int, Field(ge=0, le=2**62)]
_Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class _Head(_Part):
    number: _Number
    size: _Size
    sha256: _Sha256


class _Version(_Head):
    name: str
    media_type: str
    path: str


class _Artifact(_Part):
    id: str
    handle: str
    type: str
    title: str
    version: _Head
    versions: Annotated[list[_Version], Field(min_length=1)]


class _Page(_Part):
    path: Literal["index.html"]
    size: _Size
    sha256: _Sha256


class _Manifest(_Part):
    format: Literal["handiwork-export"]
    format_version: Literal[1]
    session: str
    artifacts: list[_Artifact]
    page: _Page


def _files(told: _Manifest) -> Iterator[File]:
    seen: set[str] = set()
    for index, artifact in enumerate(told.artifacts):
        where = f"artifacts[{index}]"
        if seen & {artifact.id, artifact.handle}:
            raise ExportInvalid(MANIFEST, f"names an artifact twice, the second time at {where}")
        seen |= {artifact.id, artifact.handle}
        if _facts(artifact.versions[0]) != _facts(artifact.version):
            raise ExportInvalid(MANIFEST, f"says at {where} that the version is one, and lists another as the newest")
        numbers = [version.number for version in artifact.versions]
        if numbers != sorted(set(numbers), reverse=True):
            raise ExportInvalid(MANIFEST, f"lists the versions at {where} twice or out of order")
        for version in artifact.versions:
            if not is_safe_path(version.path):
                raise ExportInvalid(MANIFEST, f"names a path that no file of an export has, {version.path[:200]!r}")
            if not version.path.startswith(f"{FOLDER}/{artifact.handle}/v{version.number}/"):
                raise ExportInvalid(MANIFEST, f"names the path of another version at {where}, {version.path!r}")
            yield File(path=version.path, size=version.size, sha256=version.sha256)


def _facts(version: _Head) -> tuple[int, int, str]:
    return version.number, version.size, version.sha256


def _told(value: object, depth: int) -> object:
    """Return a value as `read_manifest` takes it: null for what JSON has no word for, or what lies too deep."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float():
            return value if math.isfinite(value) else None
        case int():
            return value if value.bit_length() <= MOST_BITS else None
        case dict() if depth < DEEPEST:
            entries = cast("dict[str, object]", value)
            return {str(_told(name, depth)): _told(item, depth + 1) for name, item in entries.items()}
        case list() | tuple() if depth < DEEPEST:
            return [_told(item, depth + 1) for item in cast("Sequence[object]", value)]
        case _:
            return None


def _part(name: str) -> str:
    cleaned = "".join("_" if character in _ELSEWHERE_SPECIAL else character for character in clean_name(name))
    kept = _shortened(unicodedata.normalize("NFC", cleaned)).strip(". ") or NAMELESS
    return f"_{kept}" if kept[0] == "-" or _is_device(kept) else kept


def _shortened(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > LONGEST_SUFFIX_BYTES:
        return _cut(name, LONGEST_PART_BYTES)
    return f"{_cut(stem, LONGEST_PART_BYTES - len(suffix.encode()) - 1)}.{suffix}"


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def _is_safe(part: str) -> bool:
    return (
        all(is_kept(character) and character not in _ELSEWHERE_SPECIAL for character in part)
        and 0 < len(part.encode()) <= LONGEST_PART_BYTES + 1
        and part[0] not in ".- "
        and part[-1] not in ". "
        and not _is_device(part)
    )


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").lower() in _DEVICES


def _misspelled(wrong: ContentRefused) -> str:
    place = "" if wrong.where is None else f" at {wrong.where}"
    return f"is not JSON that can be read{place}: expected {wrong.expected}, got {wrong.got}"


def _misfit(wrong: ValidationError) -> str:
    first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    keys = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"]]
    place = "".join(keys).removeprefix(".") or "the whole"
    return f"is no manifest of version {FORMAT_VERSION}, at {place[:200]}: {first['msg'].rstrip('.').lower()}"
