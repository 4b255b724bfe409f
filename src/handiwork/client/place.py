"""One session on a server: how requests name it and what is in it, and how their answers are read.

Which requests there are is known to the verbs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from handiwork.client import answers
from handiwork.client.answers import Misread, read_as
from handiwork.client.connection import Call, Connection, Method, Query
from handiwork.client.contents import Body
from handiwork.client.json_bodies import unhurried
from handiwork.errors import ArtifactNotFound, ExecutionNotFound, UnknownType, VersionNotFound
from handiwork.model import Artifact, Execution, Scope
from handiwork.verbs import LARGEST_VERSION, version_number

Value = TypeVar("Value")

_REFERENCE = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A session of one user; `headers` say for whom a key of a whole tenant acts."""

    connection: Connection
    scope: Scope
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return f"/sessions/{segment_of(self.scope.session)}"

    def call(
        self,
        method: Method,
        path: str,
        *,
        query: Query | None = None,
        body: Body | None = None,
        quiet_seconds: float | None = None,
    ) -> Call:
        sent = body or Body()
        return Call(
            method=method,
            path=path,
            query={**(query or {}), **sent.query},
            headers={**self.headers, **sent.headers},
            value=sent.value,
            content=sent.content,
            quiet_seconds=quiet_seconds,
        )

    def call_on(
        self,
        reference: str,
        method: Method,
        rest: str = "",
        *,
        query: Query | None = None,
        body: Body | None = None,
    ) -> Call:
        """Return a request about an artifact. Raises `ArtifactNotFound` for what none can be called."""
        if not _REFERENCE.fullmatch(reference):
            raise ArtifactNotFound(reference)
        asked = {"session": self.scope.session, **(query or {})}
        return self.call(method, f"/artifacts/{reference}{rest}", query=asked, body=body)

    async def ask(self, call: Call, read: Callable[[Any, Scope], Value]) -> Value:
        """Return what the answer to a request tells. Raises what the server refuses, and `UnexpectedAnswer`."""
        told = await self.connection.ask(call)
        return await unhurried(told, lambda: self.read(call, read, told))

    def read(self, call: Call, read: Callable[[Any, Scope], Value], told: object) -> Value:
        try:
            return read_as(lambda found: read(found, self.scope), told)
        except Misread as wrong:
            raise self.connection.unexpected(call, expected="what this request asks for", got=str(wrong)) from wrong

    async def artifact(
        self, method: Method, reference: str, rest: str = "", *, query: Query | None = None, body: Body | None = None
    ) -> Artifact:
        return await self.ask(self.call_on(reference, method, rest, query=query, body=body), answers.artifact)

    async def execution(self, method: Method, execution_id: str, rest: str = "") -> Execution:
        if not _REFERENCE.fullmatch(execution_id):
            raise ExecutionNotFound(execution_id)
        call = self.call(method, f"/executions/{execution_id}{rest}", query={"session": self.scope.session})
        return await self.ask(call, answers.execution)

    async def demand_number(self, reference: str, version: int | None) -> None:
        """Refuse the number of a version that there can never be, as an engine does."""
        version_number(version)
        if version is not None and not 1 <= version <= LARGEST_VERSION:
            head = await self.artifact("GET", reference)
            raise VersionNotFound(reference, version, head=head.version.number)

    async def cap(self, type_name: str) -> int:
        """Return how many bytes content of this type may have. Raises `UnknownType`."""
        call = self.call("GET", "/artifact-types")
        caps = self.read(call, lambda told, _scope: answers.caps(told), await self.connection.known(call))
        if type_name not in caps:
            raise UnknownType(type_name, sorted(caps))
        return caps[type_name]


def segment_of(name: str) -> str:
    """Return the name as one segment of a path. Nothing on the way may take it for a step upwards."""
    return quote(name, safe="").replace(".", "%2E") if set(name) == {"."} else quote(name, safe="")
