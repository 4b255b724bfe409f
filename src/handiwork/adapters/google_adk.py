"""Google's Agent Development Kit: its artifact service over the store, so that what its agents save has versions.

How an agent saves and loads is the kit's; where a name of a file leads is in `files`.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from handiwork.adapters.files import Files
from handiwork.client.engine import RemoteEngine
from handiwork.client.session import RemoteSession
from handiwork.engine import Engine
from handiwork.errors import ExtraMissing, HandiworkError
from handiwork.errors.telling import told_with_hint
from handiwork.model import Version
from handiwork.session import Session

try:
    from google.adk.artifacts import artifact_util
    from google.adk.artifacts.base_artifact_service import ArtifactVersion, BaseArtifactService, ensure_part
    from google.adk.errors.input_validation_error import InputValidationError
    from google.genai import types
except ModuleNotFoundError as missing:
    raise ExtraMissing("google-adk", why="the artifact service is one of Google's Agent Development Kit") from missing

MOST_REFERENCES = 5
USER_PREFIX = "user:"
NOTE = "adk"
_EMPTY = types.Part(inline_data=types.Blob(mime_type="application/octet-stream", data=b""))


class ArtifactService(BaseArtifactService):
    """What agents of the kit save, as artifacts: a session for each of theirs, and one for what is the user's.

    Their version 0 is our version 1. What a deployment refuses is refused with the kit's `InputValidationError`.
    """

    def __init__(self, engine: Engine | RemoteEngine) -> None:
        self._engine = engine

    async def save_artifact(
        self,
        *,
        app_name: str,
        user_id: str,
        filename: str,
        artifact: types.Part | dict[str, Any],
        session_id: str | None = None,
        custom_metadata: dict[str, Any] | None = None,
    ) -> int:
        """Save the next version and return its number, from 0."""
        place = self._place(app_name, user_id, filename, session_id)
        part = ensure_part(artifact)
        if artifact_util.is_artifact_ref(part):
            place.reference(part, MOST_REFERENCES)
        content, shell = _content_of(part)
        # A version of the kit is made by every save, also of the same content.
        saved = {"part": shell, "custom": custom_metadata or {}, "save": secrets.token_hex(8)}
        try:
            filed = await place.files.write(place.path, content, notes={NOTE: saved})
        except HandiworkError as refused:
            raise InputValidationError(told_with_hint(refused)) from refused
        return filed.version.number - 1

    async def load_artifact(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None, version: int | None = None
    ) -> types.Part | None:
        """Return what was saved, with references followed, or None."""
        place, number = self._place(app_name, user_id, filename, session_id), version
        for followed in range(MOST_REFERENCES + 1):
            if (filed := await self._version(place, number)) is None:
                return None
            part = _part_of(filed, await place.session.read(filed.artifact_id, version=filed.number))
            if not artifact_util.is_artifact_ref(part):
                return None if part in (_EMPTY, types.Part()) else part
            target = place.reference(part, MOST_REFERENCES - followed)
            place = self._place(target.app_name, target.user_id, target.filename, target.session_id)
            number = target.version
        return None

    async def list_artifact_keys(self, *, app_name: str, user_id: str, session_id: str | None = None) -> list[str]:
        """Return the names of the session and of the user, those with `user:` before them."""
        names = {USER_PREFIX + name for name in await self._names(app_name, user_id, None)}
        if session_id is not None:
            names.update(await self._names(app_name, user_id, session_id))
        return sorted(names)

    async def delete_artifact(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> None:
        """Delete all versions; what is not there is deleted already."""
        place = self._place(app_name, user_id, filename, session_id)
        if (artifact := await place.files.find(place.path)) is not None:
            await place.session.remove(artifact.id)

    async def list_versions(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> list[int]:
        """Return the numbers of all versions, from 0."""
        place = self._place(app_name, user_id, filename, session_id)
        head = await place.files.find(place.path)
        return [] if head is None else list(range(head.version.number))

    async def list_artifact_versions(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None
    ) -> list[ArtifactVersion]:
        """Return what is known of each version, the oldest first."""
        place = self._place(app_name, user_id, filename, session_id)
        if (head := await place.files.find(place.path)) is None:
            return []
        found: list[Version] = []
        before: int | None = None
        while True:
            page = await place.session.versions(head.id, before=before)
            found += page.items
            if (before := page.next_before) is None:
                return [place.described(version) for version in reversed(found)]

    async def get_artifact_version(
        self, *, app_name: str, user_id: str, filename: str, session_id: str | None = None, version: int | None = None
    ) -> ArtifactVersion | None:
        """Return what is known of one version, or None."""
        place = self._place(app_name, user_id, filename, session_id)
        filed = await self._version(place, version)
        return None if filed is None else place.described(filed)

    async def _version(self, place: "_Place", number: int | None) -> Version | None:
        head = await place.files.find(place.path)
        if head is None or number in (None, head.version.number - 1):
            return None if head is None else head.version
        if not 0 <= number < head.version.number:
            return None
        return (await place.session.get(head.id, version=number + 1)).version

    async def _names(self, app_name: str, user_id: str, session_id: str | None) -> list[str]:
        files = self._files_of(app_name, user_id, session_id)
        return [path.removeprefix("/") for path in await files.all()]

    def _place(self, app_name: str, user_id: str, filename: str, session_id: str | None) -> "_Place":
        is_users = filename.startswith(USER_PREFIX)
        if not is_users and session_id is None:
            raise InputValidationError("Session ID must be provided for session-scoped artifacts.")
        whose = None if is_users or session_id is None else session_id.strip()
        files = self._files_of(app_name, user_id, whose)
        name = filename.removeprefix(USER_PREFIX)
        artifact_util.validate_path_segment(name, "filename")
        asker = None if session_id is None else session_id.strip()
        return _Place(app=app_name, user=user_id, session_id=whose, asker=asker, name=name, files=files)

    def _files_of(self, app_name: str, user_id: str, session_id: str | None) -> Files:
        artifact_util.validate_path_segment(app_name, "app_name")
        artifact_util.validate_path_segment(user_id, "user_id")
        if session_id is not None:
            artifact_util.validate_path_segment(session_id, "session_id")
        # No session can be called like the place of what is the user's, which begins with a colon.
        name = f"{_escaped(app_name)}/{':user' if session_id is None else _escaped(session_id.strip())}"
        try:
            if isinstance(self._engine, RemoteEngine):
                session = self._engine.session(name, user=user_id)
            else:
                session = self._engine.session(name, user=user_id, principal="agent")
        except HandiworkError as refused:
            raise InputValidationError(told_with_hint(refused)) from refused
        return Files(session=session)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where one file of the kit is; `asker` is the session that asks, which may ask for what is the user's too."""

    app: str
    user: str
    session_id: str | None
    asker: str | None
    name: str
    files: Files

    @property
    def path(self) -> str:
        return f"/{self.name}"

    @property
    def session(self) -> Session | RemoteSession:
        return self.files.session

    def reference(self, part: types.Part, remaining: int) -> artifact_util.ParsedArtifactUri:
        """Return what a part points to. Raises `InputValidationError` where this caller must not follow it."""
        assert part.file_data is not None
        return artifact_util.resolve_artifact_reference(
            file_uri=part.file_data.file_uri or "",
            app_name=self.app,
            user_id=self.user,
            session_id=self.asker,
            remaining_depth=remaining,
        )

    def described(self, version: Version) -> ArtifactVersion:
        name = self.name if self.session_id is not None else f"{USER_PREFIX}{self.name}"
        number = version.number - 1
        return ArtifactVersion(
            version=number,
            canonical_uri=artifact_util.get_artifact_uri(self.app, self.user, name, number, self.session_id),
            custom_metadata=dict(_object(_note(version).get("custom"))),
            create_time=version.created_at.timestamp(),
            mime_type=_media_type(version),
        )


def _content_of(part: types.Part) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a part, and the part without them as JSON has it."""
    shell = part.model_dump(mode="json", exclude_none=True, by_alias=True)
    if part.inline_data is not None:
        shell["inlineData"].pop("data", None)
        return part.inline_data.data or b"", shell
    if part.text is not None:
        return _encoded(shell.pop("text")), {**shell, "text": True}
    if part.file_data is not None and part.file_data.file_uri:
        # What it points to is elsewhere: the address is the content.
        return _encoded(part.file_data.file_uri), shell
    raise InputValidationError("Not supported artifact type.")


def _part_of(version: Version, content: bytes) -> types.Part:
    """Return a version as the part that was saved; what was not saved by the kit is told by its format."""
    shell = dict(_object(_note(version).get("part")))
    if shell.pop("text", False):
        return types.Part.model_validate({**shell, "text": content.decode(errors="replace")})
    if "fileData" in shell:
        return types.Part.model_validate(shell)
    part = types.Part.model_validate(shell)
    blob = part.inline_data or types.Blob(mime_type=version.media_type)
    return part.model_copy(update={"inline_data": blob.model_copy(update={"data": content})})


def _media_type(version: Version) -> str | None:
    shell = _object(_note(version).get("part"))
    if "fileData" in shell:
        file = _object(shell["fileData"])
        is_reference = str(file.get("fileUri", "")).startswith("artifact://")
        return None if is_reference else cast("str | None", file.get("mimeType"))
    if "text" in shell:
        return "text/plain"
    return cast("str | None", _object(shell.get("inlineData")).get("mimeType", version.media_type))


def _note(version: Version) -> Mapping[str, object]:
    return _object(version.metadata.get(NOTE))


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as wrong:
        raise InputValidationError(f"Half a character stands at position {wrong.start} of the text.") from wrong


def _escaped(name: str) -> str:
    return "".join(c if c.isprintable() and c not in "%/:" else "".join(f"%{b:02X}" for b in _encoded(c)) for c in name)
