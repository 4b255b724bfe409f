"""Configuration as one frozen value, and the only place that reads the environment and YAML.

Precedence: `handiwork.yaml`, then environment (`HANDIWORK_ARTIFACTS__MAX_FILE_SIZE`), then what the caller
passes. What the settings lead to is built in `wiring`.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from handiwork.errors import InvalidLimit, InvalidSetting
from handiwork.media.formats import format_named
from handiwork.model import LONGEST_RETENTION, MIB, Limits
from handiwork.quantities import seconds, size

FILE_NAME = "handiwork.yaml"
FORMATION_NAME = "formation.afs"
DATABASE_NAME = "handiwork.db"
PREFIX = "HANDIWORK_"


def _seconds(value: object) -> object:
    return _parsed(seconds, value)


def _size(value: object) -> object:
    return _parsed(size, value)


def _retention(value: object) -> object:
    if not isinstance(value, (str, int, float)):
        return value
    # What no date can hold is over the bound that is checked next, and told with it.
    return timedelta(seconds=min(_parsed(seconds, value), 2 * LONGEST_RETENTION.total_seconds()))


def _parsed(parse: Any, value: object) -> Any:
    try:
        return parse(value)
    except InvalidLimit as wrong:
        raise ValueError(f"expected {wrong.expected}, got {value!r}") from wrong


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(_size), Field(gt=0)]
Retention = Annotated[timedelta, BeforeValidator(_retention), Field(gt=timedelta(0), le=LONGEST_RETENTION)]


def _folder(value: Path) -> Path:
    # Relative to the process that reads the settings; the warm interpreter lives elsewhere.
    resolved = value.expanduser().resolve()
    if not resolved.is_dir():
        raise ValueError(f"`{value}` is not a folder")
    return resolved


Folder = Annotated[Path, AfterValidator(_folder)]


def _origin(value: str) -> str:
    found = re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", value.rstrip("/"))
    if found is None:
        raise ValueError(f"`{value}` is not like `https://app.example.com`")
    return found[0].lower()


def _url(value: str) -> str:
    if re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~\-/]*)?", value) is None:
        raise ValueError(f"`{value}` is not like `https://app.example.com`")
    return value.rstrip("/")


def _embedder(value: str) -> str:
    found = re.fullmatch(r"(https?://)(\*\.)?([A-Za-z0-9.\-\[\]:]+)", value.rstrip("/"))
    if found is None or not found[3].strip("."):
        raise ValueError(f"`{value}` is not like `https://app.example.com` or `https://*.example.com`")
    return found[0].lower()


def _database(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.startswith(("postgresql:", "postgres:")):
        raise ValueError("PostgreSQL is not built in yet; expected `sqlite:///` and the path of a file")
    path = value.removeprefix("sqlite:///")
    if path == value or not path or path.startswith("file:") or "?" in path or "\0" in path:
        raise ValueError(f"`{value}` is not like `sqlite:///./handiwork.db` or `sqlite:////srv/handiwork.db`")
    return Path(path)


def _format(value: str) -> str:
    found = format_named(value)
    if found is None or not found.delivered:
        raise ValueError(f"`{value}` is no format that is delivered, such as `pdf`, `png` or `csv`")
    return found.name


FormatName = Annotated[str, AfterValidator(_format)]
Origin = Annotated[str, AfterValidator(_origin)]
Embedder = Annotated[str, AfterValidator(_embedder)]
DatabaseFile = Annotated[Path, BeforeValidator(_database)]
Url = Annotated[str, AfterValidator(_url)]


class Part(BaseModel):
    """One block of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AllowedImports(Part):
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class Maximum(Part):
    """What a caller may ask for at most."""

    execution_timeout: Seconds = 120.0
    memory_limit: Bytes = 2048 * MIB
    output_size_limit: Bytes = 50 * MIB


class Encryption(Part):
    """Whether what is stored is encrypted, under the key of which file, and under which it was before."""

    enabled: bool = False
    key_file: Path | None = None
    previous: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _with_a_key(self) -> Self:
        if self.key_file is None and (self.enabled or self.previous):
            problem = "it needs `key_file` beside it; `handiwork db new-key FILE` makes one"
            raise PydanticCustomError("no_key_file", problem, {"key": "enabled" if self.enabled else "previous"})
        return self


class Storage(Part):
    type: Literal["local"] = "local"
    path: Path = Path(".handiwork")
    retention_days: Annotated[int, Field(gt=0, le=LONGEST_RETENTION.days)] | None = None
    cleanup_enabled: bool = True
    reserve: Bytes = 16 * MIB
    encryption: Encryption = Encryption()


class Bounds(Part):
    """What may be kept at most; nothing said is no bound."""

    artifacts: Annotated[int, Field(ge=0)] | None = None
    size: Annotated[int, BeforeValidator(_size), Field(ge=0)] | None = None


class Quotas(Part):
    session: Bounds = Bounds()
    user: Bounds = Bounds()


class Queue(Part):
    """How many runs may wait for their turn, in all and of one tenant."""

    depth: Annotated[int, Field(ge=1)] = 256
    per_tenant: Annotated[int, Field(ge=1)] = 64


class Server(Part):
    """What `serve` needs to know of the world outside; see the guide to deployment."""

    public_url: Url | None = None
    content_url: Url | None = None
    embedders: tuple[Embedder, ...] = ()
    cors: tuple[Origin, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    body_limit: Bytes = 64 * MIB


class Artifacts(Part):
    enabled: bool = True
    allowed_formats: tuple[FormatName, ...] | None = None
    max_file_size: Bytes = 10 * MIB
    execution_timeout: Seconds = 30.0
    memory_limit: Bytes = 512 * MIB
    output_size_limit: Bytes = 10 * MIB
    process_limit: Annotated[int, Field(ge=1)] = 64
    stdout_limit: Bytes = 1 * MIB
    maximum: Maximum = Maximum()
    allowed_imports: AllowedImports = AllowedImports()
    artifact_retention: Retention = timedelta(days=7)
    event_retention: Retention = timedelta(days=7)
    cleanup_interval: Retention = timedelta(hours=1)
    quotas: Quotas = Quotas()
    queue: Queue = Queue()
    concurrency: Annotated[int, Field(ge=1)] | None = None
    ready_children: Annotated[int, Field(ge=0)] | None = None
    id_prefix: Annotated[str, Field(pattern=r"^[a-z]{1,8}_$")] = "art_"
    # A union of `Level` and `auto` would put the type into the key of an error.
    isolation: Literal["auto", "full", "unprivileged", "none"] = "auto"
    fonts: tuple[Folder, ...] = ()
    storage: Storage = Storage()

    @model_validator(mode="after")
    def _within_maximum(self) -> Self:
        for key in ("execution_timeout", "memory_limit", "output_size_limit"):
            if getattr(self, key) > getattr(self.maximum, key):
                raise PydanticCustomError("over_maximum", "it is over `maximum.{key}`", {"key": key})
        return self

    @model_validator(mode="after")
    def _one_retention(self) -> Self:
        days = self.storage.retention_days
        is_said_twice = days is not None and "artifact_retention" in self.model_fields_set
        if is_said_twice and timedelta(days=days or 0) != self.artifact_retention:
            problem = "it differs from `storage.retention_days`, which says the same thing"
            raise PydanticCustomError("two_retentions", problem, {"key": "artifact_retention"})
        return self

    @property
    def retention(self) -> timedelta:
        """How long an artifact is kept when nothing else is said."""
        days = self.storage.retention_days
        return self.artifact_retention if days is None else timedelta(days=days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a store is: the folder of its bytes, and the file of its database, usually in that folder."""

    folder: Path
    database: Path


class Settings(Part):
    """Everything that a deployment can decide."""

    artifacts: Artifacts = Artifacts()
    database: DatabaseFile | None = None
    server: Server = Server()
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    cache: Path = Field(default_factory=lambda: _cache_folder(os.environ))

    def location(self, data: str | os.PathLike[str] | None = None) -> Location:
        """Return where the store is: as said here, or the folder `data`, which has a database of its own."""
        if data is not None:
            return Location(folder=Path(data), database=Path(data) / DATABASE_NAME)
        folder = self.artifacts.storage.path
        return Location(folder=folder, database=self.database or folder / DATABASE_NAME)

    def limits(self) -> Limits:
        """The limits of a run for which the caller asks nothing."""
        own = self.artifacts
        return Limits(
            wall_seconds=own.execution_timeout,
            memory_bytes=own.memory_limit,
            output_bytes=own.output_size_limit,
            file_bytes=own.max_file_size,
            processes=own.process_limit,
            stdout_bytes=own.stdout_limit,
        )

    def most(self) -> Limits:
        """The limits that no caller can pass."""
        own = self.artifacts
        return Limits(
            wall_seconds=own.maximum.execution_timeout,
            memory_bytes=own.maximum.memory_limit,
            output_bytes=own.maximum.output_size_limit,
            file_bytes=own.max_file_size,
            processes=own.process_limit,
            stdout_bytes=own.stdout_limit,
        )


def load(file: Path | None = None, *, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration: a file and the environment.

    The file is `file`, else `handiwork.yaml` or `formation.afs` in the current folder, the first that is there. Of a
    formation the block `artifacts` is read; the rest of it is for others.

    Raises:
        InvalidSetting: a key is unknown or its value cannot be used; it names the dotted key and the line.
    """
    path = file or next((each for each in map(Path, (FILE_NAME, FORMATION_NAME)) if each.is_file()), None)
    values, lines = _from_yaml(path) if path is not None else ({}, {})
    if path is not None and path.suffix == Path(FORMATION_NAME).suffix:
        values = {"artifacts": block} if (block := values.get("artifacts")) is not None else {}
    told = _from_environment(os.environ if environment is None else environment)
    try:
        return Settings.model_validate(_merged(values, told))
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        loc = (*first["loc"], first.get("ctx", {}).get("key", 0))
        key = ".".join(str(part) for part in loc if not isinstance(part, int))
        where = str(path) + (f", line {lines[key]}" if key in lines else "")
        in_environment = _at(told, key.split(".")) is not None
        raise InvalidSetting(
            key or "configuration",
            problem=_problem(first["type"], first["msg"]),
            where=f"{PREFIX}{key.replace('.', '__').upper()}" if in_environment else where,
        ) from wrong


def _problem(kind: str, message: str) -> str:
    return "this key is not known" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


def _cache_folder(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CACHE_HOME") or (Path(home) / ".cache" if (home := environment.get("HOME")) else "")
    return Path(base or "/tmp") / "handiwork"  # noqa: S108  # a machine without HOME has no better place


def _from_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        values: object = yaml.load(text, Loader=yaml.CSafeLoader)  # the safe loader, in C
    except OSError as refused:
        raise InvalidSetting("configuration", problem=refused.strerror or "unreadable", where=str(path)) from refused
    except (yaml.YAMLError, UnicodeDecodeError) as wrong:
        raise InvalidSetting("configuration", problem=f"not valid YAML: {wrong}", where=str(path)) from wrong
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise InvalidSetting("configuration", problem="expected keys and values", where=str(path))
    lines: dict[str, int] = {}
    _note_lines(node, "", lines)
    return cast("dict[str, Any]", values), lines


def _note_lines(node: yaml.Node | None, prefix: str, lines: dict[str, int]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value):
        dotted = f"{prefix}{key.value}"
        lines[dotted] = key.start_mark.line + 1
        _note_lines(value, f"{dotted}.", lines)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Turn `HANDIWORK_ARTIFACTS__ISOLATION=full` into nested keys; lists and maps are written as YAML."""
    told: dict[str, Any] = {}
    for name, value in sorted(environment.items()):
        parts = name.removeprefix(PREFIX).lower().split("__")
        if not name.startswith(PREFIX) or parts[0] not in Settings.model_fields:
            continue
        block = told
        for part in parts[:-1]:
            below: object = block.setdefault(part, {})
            if not isinstance(below, dict):
                problem = "another variable sets the whole block"
                raise InvalidSetting(".".join(parts), problem=problem, where=name)
            block = cast("dict[str, Any]", below)
        block[parts[-1]] = _structured(name, value) if value[:1] in ("[", "{") else value
    return told


def _structured(name: str, value: str) -> object:
    try:
        return yaml.load(value, Loader=yaml.CSafeLoader)  # the safe loader, in C
    except yaml.YAMLError as wrong:
        raise InvalidSetting("environment", problem="not a list or map as YAML writes it", where=name) from wrong


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[key] = _merged(cast("dict[str, Any]", below), cast("dict[str, Any]", value))
        else:
            merged[key] = value
    return merged


def _at(values: object, path: list[str]) -> object:
    if not path or not isinstance(values, dict):
        return None if path else values
    return _at(cast("dict[str, Any]", values).get(path[0]), path[1:])
