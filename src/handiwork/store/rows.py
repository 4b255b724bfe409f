"""How the nouns of the model become rows, and rows become nouns. No query is made here."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, Table

from handiwork.events import Event
from handiwork.model import Artifact, Execution, Outcome, Scope, Version
from handiwork.store import tables
from handiwork.store.key_records import KeyRecord
from handiwork.store.keys import BlobKey
from handiwork.store.records import Filed, Preview

Row = dict[str, object]


def artifact_row(artifact: Artifact, *, ordinal: int) -> Row:
    return {
        "id": artifact.id,
        **scope_row(artifact.scope),
        "handle": artifact.handle,
        "type": artifact.type,
        "title": artifact.title,
        "state": artifact.state,
        "labels": list(artifact.labels),
        "facts": _plain(artifact.facts),
        "head": artifact.version.number,
        "created_at": artifact.created_at,
        "ordinal": ordinal,
        "updated_at": artifact.updated_at,
        "expires_at": artifact.expires_at,
        "held": artifact.held,
    }


def version_row(filed: Filed) -> Row:
    version = filed.artifact.version
    return {
        "artifact_id": version.artifact_id,
        "number": version.number,
        "name": version.name,
        "media_type": version.media_type,
        "category": version.category,
        "size": version.size,
        "sha256": version.sha256,
        "blob_key": filed.blob_key,
        "summary": version.summary,
        "language": version.language,
        "metadata": _plain(version.metadata),
        "provenance": _plain(version.provenance),
        "execution_id": version.provenance.execution_id,
        "tool_call_id": version.provenance.tool_call_id,
        "created_at": version.created_at,
    }


def execution_row(execution: Execution, *, finished_at: datetime | None) -> Row:
    return {
        "id": execution.id,
        **scope_row(execution.scope),
        "status": execution.status,
        "created_at": execution.created_at,
        "finished_at": finished_at,
        "outcome": _plain(execution.outcome),
    }


def scope_row(scope: Scope) -> Row:
    return {"tenant": scope.tenant, "user": scope.user, "session": scope.session}


def filed_of(row: RowMapping) -> Filed:
    """Read a row that joins an artifact and one of its versions."""
    facts = _facts(row, tables.artifacts)
    version = _facts(row, tables.versions)
    artifact = _artifacts().validate_python({**facts, "scope": facts, "version": version})
    return Filed(artifact=artifact, blob_key=BlobKey(row[tables.versions.c.blob_key]))


def version_of(row: RowMapping) -> Version:
    return _versions().validate_python(_facts(row, tables.versions))


def execution_of(row: RowMapping, artifacts: tuple[Artifact, ...]) -> Execution:
    facts = _facts(row, tables.executions)
    return Execution(
        id=row[tables.executions.c.id],
        scope=Scope(
            tenant=row[tables.executions.c.tenant],
            user=row[tables.executions.c.user],
            session=row[tables.executions.c.session],
        ),
        created_at=row[tables.executions.c.created_at],
        outcome=_outcomes().validate_python(facts["outcome"]),
        artifacts=artifacts,
    )


def event_of(row: RowMapping) -> Event:
    facts = _facts(row, tables.events)
    return _events().validate_python({**facts, "scope": facts})


def key_row(key: KeyRecord) -> Row:
    return {**{field.name: getattr(key, field.name) for field in fields(key)}, "permissions": sorted(key.permissions)}


def key_of(row: RowMapping) -> KeyRecord:
    return _keys().validate_python(_facts(row, tables.keys))


def preview_row(preview: Preview | None) -> Row:
    return {} if preview is None else {field.name: getattr(preview, field.name) for field in fields(preview)}


def preview_of(noted: object) -> Preview | bool | None:
    if noted is None:
        return None
    return _previews().validate_python(noted) if noted else False


def _facts(row: RowMapping, table: Table) -> Row:
    return {column.name: row[column] for column in table.columns}


def _plain(value: object) -> object:
    """Return `value` as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any mapping is taken
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any sequence is taken
    if isinstance(value, str):
        # What a program prints may hold half a surrogate pair, which no database takes.
        return value.encode("utf-8", "replace").decode("utf-8")
    return value


@cache
def _artifacts() -> TypeAdapter[Artifact]:
    return TypeAdapter(Artifact)


@cache
def _versions() -> TypeAdapter[Version]:
    return TypeAdapter(Version)


@cache
def _outcomes() -> TypeAdapter[Outcome]:
    return TypeAdapter(Outcome)


@cache
def _events() -> TypeAdapter[Event]:
    return TypeAdapter(Event)


@cache
def _keys() -> TypeAdapter[KeyRecord]:
    return TypeAdapter(KeyRecord)


@cache
def _previews() -> TypeAdapter[Preview]:
    return TypeAdapter(Preview)
