"""How the nouns of the model become rows, and rows become nouns. No query is made here.

What of a row is sealed where a store is encrypted is decided here too: all that a user, a model or a program has said.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, Table

from handiwork.errors import EncryptionChanged, StorageFailed
from handiwork.events import Event
from handiwork.model import Action, Artifact, Execution, Outcome, Scope, Version
from handiwork.store import outlines, tables
from handiwork.store.key_records import KeyRecord
from handiwork.store.keys import BlobKey
from handiwork.store.outlines import Outline
from handiwork.store.records import Filed, Preview
from handiwork.store.sealing import PLAIN, Place, Sealing

Row = dict[str, object]

# What the columns hold whose facts are sealed.
_BLANK_ARTIFACT: Row = {"title": "", "labels": [], "facts": {}}
_BLANK_VERSION: Row = {
    "name": "",
    "summary": "",
    "summary_data": {},
    "language": None,
    "metadata": {},
    "provenance": {},
}
_BLANK_OUTLINE: Row = {"told": ""}
_BLANK_ACTION: Row = {"told": {}}
_BLANK_EXECUTION: Row = {"outcome": {}}
_TOLD_OF_ACTION = ("params", "idempotency_key", "outcome", "principal", "decided_by")
_TIMES_OF_ACTION = ("proposed_at", "expires_at", "started_at", "finished_at")


def artifact_row(artifact: Artifact, *, ordinal: int, sealing: Sealing = PLAIN) -> Row:
    return {
        "id": artifact.id,
        **scope_row(artifact.scope),
        "handle": artifact.handle,
        "type": artifact.type,
        "state": artifact.state,
        **told_row(artifact, sealing=sealing),
        "head": artifact.version.number,
        "created_at": artifact.created_at,
        "ordinal": ordinal,
        "updated_at": artifact.updated_at,
        "expires_at": artifact.expires_at,
        "held": artifact.held,
    }


def told_row(artifact: Artifact, *, sealing: Sealing = PLAIN) -> Row:
    """Return what is told about an artifact beside its versions: these columns are sealed together."""
    told: Row = {"title": artifact.title, "labels": list(artifact.labels), "facts": _plain(artifact.facts)}
    return _sealed(told, _of_artifact(artifact.scope.tenant, artifact.id), _BLANK_ARTIFACT, sealing)


def version_row(filed: Filed, *, sealing: Sealing = PLAIN) -> Row:
    version = filed.artifact.version
    row: Row = {
        "artifact_id": version.artifact_id,
        "number": version.number,
        "name": version.name,
        "media_type": version.media_type,
        "category": version.category,
        "size": version.size,
        "sha256": version.sha256,
        "blob_key": filed.blob_key,
        "summary": version.summary,
        "summary_data": _plain(version.summary_data),
        "language": version.language,
        "metadata": _plain(version.metadata),
        "provenance": _plain(version.provenance),
        "execution_id": version.provenance.execution_id,
        "tool_call_id": version.provenance.tool_call_id,
        "created_at": version.created_at,
    }
    place = _of_version(filed.artifact.scope.tenant, version.artifact_id, version.number)
    return _sealed(row, place, _BLANK_VERSION, sealing)


def outline_row(filed: Filed, outline: Outline, *, sealing: Sealing = PLAIN) -> Row:
    version = filed.artifact.version
    row: Row = {
        "artifact_id": version.artifact_id,
        "blob_key": filed.blob_key,
        "told": outlines.told(outline, version),
    }
    return _sealed(row, _of_outline(filed), _BLANK_OUTLINE, sealing)


def action_row(action: Action, *, sealing: Sealing = PLAIN) -> Row:
    """Return what the ledger keeps of an action beside the hashes by which it is found."""
    told = {name: _plain(getattr(action, name)) for name in _TOLD_OF_ACTION}
    columns = ("id", "artifact_id", "name", "version", "sha256", "status", *_TIMES_OF_ACTION)
    row: Row = {**{name: getattr(action, name) for name in columns}, **scope_row(action.scope), "told": told}
    return _sealed(row, _of_action(action.scope.tenant, action.id), _BLANK_ACTION, sealing)


def execution_row(execution: Execution, *, finished_at: datetime | None, sealing: Sealing = PLAIN) -> Row:
    row: Row = {
        "id": execution.id,
        **scope_row(execution.scope),
        "status": execution.status,
        "created_at": execution.created_at,
        "finished_at": finished_at,
        "outcome": _plain(execution.outcome),
    }
    return _sealed(row, _of_execution(execution.scope.tenant, execution.id), _BLANK_EXECUTION, sealing)


def scope_row(scope: Scope) -> Row:
    return {"tenant": scope.tenant, "user": scope.user, "session": scope.session}


def filed_of(row: RowMapping, sealing: Sealing = PLAIN) -> Filed:
    """Read a row that joins an artifact and one of its versions."""
    return filed_from(_facts(row, tables.artifacts), _facts(row, tables.versions), sealing)


def filed_from(artifact: Mapping[str, Any], version: Mapping[str, Any], sealing: Sealing = PLAIN) -> Filed:
    """Read the columns of an artifact and of one of its versions."""
    tenant, id, blob_key = artifact["tenant"], artifact["id"], version["blob_key"]
    if artifact["sealed"] is not None:
        artifact = {**artifact, **sealing.open(_of_artifact(tenant, id), artifact["sealed"])}
    if version["sealed"] is not None:
        version = {**version, **sealing.open(_of_version(tenant, id, version["number"]), version["sealed"])}
    read = _artifacts().validate_python({**artifact, "scope": artifact, "version": version})
    return Filed(artifact=read, blob_key=BlobKey(blob_key))


def version_of(row: RowMapping, *, tenant: str, sealing: Sealing = PLAIN) -> Version:
    facts = _facts(row, tables.versions)
    c = tables.versions.c
    if facts["sealed"] is not None:
        facts |= sealing.open(_of_version(tenant, row[c.artifact_id], row[c.number]), row[c.sealed])
    return _versions().validate_python(facts)


def outline_of(row: RowMapping, filed: Filed, sealing: Sealing = PLAIN) -> Outline | None:
    c = tables.outlines.c
    told = row[c.told]
    if row[c.sealed] is not None:
        # One that cannot be opened is not needed.
        with suppress(EncryptionChanged, StorageFailed):
            told = sealing.open(_of_outline(filed), row[c.sealed])["told"]
    return outlines.understood(str(told), filed.artifact.version)


def action_of(row: RowMapping, sealing: Sealing = PLAIN) -> Action:
    facts = _facts(row, tables.actions)
    if facts["sealed"] is not None:
        facts |= sealing.open(_of_action(row[tables.actions.c.tenant], row[tables.actions.c.id]), str(facts["sealed"]))
    told: Mapping[str, object] = TypeAdapter(dict[str, object]).validate_python(facts["told"])
    return _actions().validate_python({**facts, **told, "scope": facts})


def execution_of(row: RowMapping, artifacts: tuple[Artifact, ...], sealing: Sealing = PLAIN) -> Execution:
    facts = _facts(row, tables.executions)
    c = tables.executions.c
    if facts["sealed"] is not None:
        facts |= sealing.open(_of_execution(row[c.tenant], row[c.id]), row[c.sealed])
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


def _sealed(row: Row, place: Place, blank: Row, sealing: Sealing) -> Row:
    """Return the row with what `blank` has sealed, or with nothing sealed."""
    if sealing.is_plain or (sealed := sealing.seal(place, {name: row[name] for name in blank})) is None:
        return {**row, "sealed": None}
    return {**row, **blank, "sealed": sealed}


def _of_artifact(tenant: str, id: str) -> Place:
    return Place(table="artifacts", tenant=tenant, id=id)


def _of_version(tenant: str, artifact_id: str, number: int) -> Place:
    return Place(table="versions", tenant=tenant, id=artifact_id, number=number)


def _of_outline(filed: Filed) -> Place:
    return Place(table="outlines", tenant=filed.artifact.scope.tenant, id=filed.blob_key)


def _of_action(tenant: str, id: str) -> Place:
    return Place(table="actions", tenant=tenant, id=id)


def _of_execution(tenant: str, id: str) -> Place:
    return Place(table="executions", tenant=tenant, id=id)


def _facts(row: RowMapping, table: Table) -> Row:
    return {column.name: row[column] for column in table.columns}


def _plain(value: object) -> object:
    """Return `value` as JSON has it."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        # What a program prints may hold half a surrogate pair, which no database takes.
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any mapping is taken
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # any sequence is taken
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _field_names(type(value))}
    return value


@cache
def _field_names(whose: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(whose))


@cache
def _artifacts() -> TypeAdapter[Artifact]:
    return TypeAdapter(Artifact)


@cache
def _versions() -> TypeAdapter[Version]:
    return TypeAdapter(Version)


@cache
def _actions() -> TypeAdapter[Action]:
    return TypeAdapter(Action)


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
