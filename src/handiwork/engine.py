"""The engine and its sessions: the verbs of Handiwork in Python. How each is done lies in the rooms below."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from handiwork.errors import InvalidContent, InvalidName
from handiwork.executions.runs import InputReference, Order, Runs
from handiwork.ids import ExecutionId
from handiwork.model import Artifact, Execution, Isolation, Limits, Principal, PrincipalKind, Provenance, Scope
from handiwork.sandbox.sandbox import PROGRAM_NAME, Sandbox
from handiwork.store.blobs import Blobs
from handiwork.store.keys import artifact_prefix
from handiwork.store.reading import read_verified
from handiwork.store.records import Page, Records
from handiwork.types.registry import Registry
from handiwork.versions.content import Bytes, HostFile
from handiwork.versions.creation import Creation, Draft

LONGEST_SCOPE_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One store and one sandbox. `handiwork.open` makes it and closes it."""

    records: Records
    blobs: Blobs
    creation: Creation
    runs: Runs
    types: Registry
    sandbox: Sandbox

    def session(
        self, name: str, *, user: str = "local", tenant: str = "default", principal: PrincipalKind = "user"
    ) -> "Session":
        """Return the session of this name; it exists as soon as something is in it."""
        for what, value in (("session", name), ("user", user), ("tenant", tenant)):
            if not 0 < len(value) <= LONGEST_SCOPE_NAME or not value.isprintable():
                expected = f"1 to {LONGEST_SCOPE_NAME} printable characters"
                raise InvalidName(what, value, expected=expected)
        scope = Scope(tenant=tenant, user=user, session=name)
        return Session(engine=self, scope=scope, principal=Principal(kind=principal, id=user))

    async def sessions(self, *, user: str = "local", tenant: str = "default") -> tuple[str, ...]:
        """The names of a user's sessions, the one that was active last first."""
        return await self.records.sessions(tenant, user)

    async def isolation(self) -> Isolation:
        """Build the walls once with nothing behind them and say which stand."""
        return await self.sandbox.probe()

    @property
    def libraries(self) -> Mapping[str, str]:
        """What a program can import beside the standard library, name to version."""
        return self.sandbox.libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation of one user. An artifact is named by its id or its handle."""

    engine: Engine
    scope: Scope
    principal: Principal

    async def run(
        self,
        code: str,
        *,
        inputs: Sequence[InputReference] = (),
        limits: Limits | None = None,
        check: bool = True,
        name: str = PROGRAM_NAME,
    ) -> Execution:
        """Run a Python program in the sandbox and keep the files that it makes.

        The program finds its inputs by name in its folder. A program that fails is a result: look at `status`,
        `error` and `outcome.refused`.

        Raises:
            ArtifactNotFound, InputNotFound, InvalidLimit, LimitExceeded, ContentTooLarge: nothing was run.
            IsolationUnavailable: the walls that the configuration demands cannot stand here; nothing was run.
        """
        order = Order(code=code, inputs=inputs, limits=limits, is_checked=check, name=name)
        return await self.engine.runs.carry_out(self.scope, self.principal, order)

    async def create(
        self, type: str, *, content: bytes | str | Path, name: str | None = None, title: str | None = None
    ) -> Artifact:
        """Store content as a new artifact. A path gives its name too; text is stored as UTF-8.

        Raises:
            UnknownType, InvalidName, ContentTooLarge, UnsupportedFormat: nothing was stored.
        """
        held = HostFile.at(content) if isinstance(content, Path) else Bytes(_encoded(content))
        given = name or (content.name if isinstance(content, Path) else title or "untitled.txt")
        draft = Draft(
            type=self.engine.types.named(type),
            name=given,
            content=held,
            title=title,
            provenance=Provenance(principal=self.principal),
        )
        (artifact,) = await self.engine.creation.file(self.scope, [draft])
        return artifact

    async def get(self, reference: str, *, version: int | None = None) -> Artifact:
        """Return an artifact at its head or at one version.

        Raises:
            ArtifactNotFound, VersionNotFound, ArtifactExpired: there is none to be had.
        """
        return (await self.engine.records.get(self.scope, reference, version=version)).artifact

    async def read(self, reference: str, *, version: int | None = None) -> bytes:
        """Return the content, its hash checked. For large content use `stream`."""
        return b"".join([chunk async for chunk in self.stream(reference, version=version)])

    async def stream(self, reference: str, *, version: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the content in chunks; damaged content raises `ContentDamaged` before its end."""
        filed = await self.engine.records.get(self.scope, reference, version=version)
        head = filed.artifact.version
        content = read_verified(self.engine.blobs, filed.blob_key, size=head.size, sha256=head.sha256)
        async with aclosing(content) as chunks:
            async for chunk in chunks:
                yield chunk

    async def list(
        self, *, type: str | None = None, state: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page:
        """Return artifacts of the session, newest first."""
        return await self.engine.records.page(self.scope, type=type, state=state, limit=limit, cursor=cursor)

    async def remove(self, reference: str) -> None:
        """Let an artifact expire now and delete its bytes."""
        artifact = await self.get(reference)
        await self.engine.records.remove(self.scope, artifact.id)
        await self.engine.blobs.delete_prefix(artifact_prefix(self.scope, artifact.id))

    async def execution(self, execution_id: str) -> Execution:
        """Return a run of this session. Raises `ExecutionNotFound`."""
        return await self.engine.records.get_execution(self.scope, ExecutionId(execution_id))


def _encoded(content: bytes | str) -> bytes:
    try:
        return content.encode() if isinstance(content, str) else content
    except UnicodeEncodeError as wrong:
        where = f"half a character at position {wrong.start}"
        raise InvalidContent("content", expected="text that UTF-8 can hold", got=where) from wrong
