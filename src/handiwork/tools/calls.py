"""What each tool does: one or two verbs of a session, and an answer about what came of it.

Where the verbs are carried out, in this process or on a server, is not known here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar, Unpack

from handiwork.errors import ArtifactExpired, ArtifactNotFound, InvalidName
from handiwork.executions.inputs import InputReference
from handiwork.model import KIB, TOOL_RESULT, Acted, Artifact, Execution
from handiwork.store.records import Page
from handiwork.tools import answers
from handiwork.tools.arguments import (
    GenerateArtifact,
    GenerateFile,
    GetCachedResult,
    ListArtifacts,
    PromoteToArtifact,
    ProposeAction,
    ReadArtifact,
    ReviseArtifact,
)
from handiwork.tools.tool import Answer
from handiwork.verbs import Acting, Recorded
from handiwork.versions.arguments import Arguments as Given
from handiwork.versions.calls import Call, parsed_call, said_in
from handiwork.versions.excerpts import is_text
from handiwork.versions.selection import Selection

READ_BYTES = 16 * KIB
"""How much of a content one answer shows, which is about four thousand tokens."""
MOST_LISTED = 50

Arguments = Mapping[str, object]


class Verbs(Protocol):
    """What tools ask of a session. An artifact that they name is looked for in that session only."""

    async def run(
        self,
        code: str,
        *,
        inputs: Sequence[InputReference] = (),
        title: str | None = None,
        tool_call_id: str | None = None,
    ) -> Execution: ...
    async def write(self, arguments: Given, *, tool_call_id: str | None = None) -> Artifact: ...
    async def record(self, tool_call_id: str, *, tool: str, result: object, **told: Unpack[Recorded]) -> Artifact: ...
    async def collect(
        self, text: str = "", *, metadata: object = None, tool_call_id: str | None = None
    ) -> tuple[Artifact, ...]: ...
    async def promote(self, tool_call_id: str, type: str, *, title: str | None = None) -> Artifact: ...
    async def propose(self, reference: str, action: str, **said: Unpack[Acting]) -> Acted: ...
    async def get(self, reference: str, *, version: int | None = None) -> Artifact: ...
    async def list(
        self, *, type: str | None = None, query: str | None = None, limit: int = 100, without: str | None = None
    ) -> Page: ...
    async def select(
        self, reference: str, selector: str | None = None, *, version: int | None = None, budget: int = READ_BYTES
    ) -> Selection: ...


class Calls:
    """The tools of one session, by name. What a call cannot do it raises."""

    def __init__(self, verbs: Verbs, *, types: Sequence[str]) -> None:
        self._verbs, self._types = verbs, types
        self.by_name: Mapping[str, Callable[[Arguments, str | None], Awaitable[Answer]]] = {
            "generate_file": self._generate_file,
            "generate_artifact": self._generate_artifact,
            "revise_artifact": self._revise_artifact,
            "read_artifact": self._read_artifact,
            "list_artifacts": self._list_artifacts,
            "promote_to_artifact": self._promote_to_artifact,
            "get_cached_result": self._get_cached_result,
            "propose_action": self._propose_action,
        }

    async def _generate_file(self, arguments: Arguments, tool_call_id: str | None) -> Answer:
        call = _asked(GenerateFile, arguments)
        run = self._verbs.run
        return answers.made(await run(call.code, inputs=call.inputs or (), title=call.title, tool_call_id=tool_call_id))

    async def _generate_artifact(self, arguments: Arguments, tool_call_id: str | None) -> Answer:
        call = _asked(GenerateArtifact, arguments)
        if call.type == TOOL_RESULT:
            raise InvalidName("type", call.type, expected="the type of something that you write, such as `markdown`")
        made = await self._verbs.write(Given.read(said_in(call)), tool_call_id=tool_call_id)
        return answers.told("Created, and shown to the user. To speak of it, copy this tag:", made)

    async def _revise_artifact(self, arguments: Arguments, tool_call_id: str | None) -> Answer:
        call = _asked(ReviseArtifact, arguments)
        revised = await self._verbs.write(Given.read(said_in(call)), tool_call_id=tool_call_id)
        return answers.told(f"It is at version {revised.version.number} now.", revised)

    async def _read_artifact(self, arguments: Arguments, _tool_call_id: str | None) -> Answer:
        call = _asked(ReadArtifact, arguments)
        found = await self._verbs.get(call.artifact_id, version=call.version)
        return await self._part(found, call.select)

    async def _list_artifacts(self, arguments: Arguments, _tool_call_id: str | None) -> Answer:
        call = _asked(ListArtifacts, arguments)
        # What tools have answered is told with its `cache_id` when they do, and listed for who asks for it.
        without = TOOL_RESULT if call.type is None else None
        found = await self._verbs.list(type=call.type, query=call.query, limit=MOST_LISTED, without=without)
        is_known = call.type in (None, TOOL_RESULT, *self._types)
        return answers.listed(found, types=() if is_known else (*self._types, TOOL_RESULT))

    async def _promote_to_artifact(self, arguments: Arguments, _tool_call_id: str | None) -> Answer:
        call = _asked(PromoteToArtifact, arguments)
        promoted = await self._verbs.promote(call.tool_call_id, call.type, title=call.title)
        return answers.told("It is an artifact now, and shown to the user.", promoted)

    async def _get_cached_result(self, arguments: Arguments, _tool_call_id: str | None) -> Answer:
        call = _asked(GetCachedResult, arguments)
        try:
            found = await self._verbs.get(call.cache_id)
            if found.type != TOOL_RESULT:
                raise ArtifactNotFound(call.cache_id)  # noqa: TRY301  # it is answered alike
            return await self._part(found, call.select)
        except (ArtifactNotFound, ArtifactExpired) as gone:
            return answers.no_result(gone)

    async def _propose_action(self, arguments: Arguments, _tool_call_id: str | None) -> Answer:
        call = _asked(ProposeAction, arguments)
        return answers.acted(await self._verbs.propose(call.artifact_id, call.action, params=call.said))

    async def _part(self, found: Artifact, selector: str | None) -> Answer:
        if selector is None and not is_text(found.media_type.partition(";")[0].strip().lower()):
            return answers.no_text(found)
        number = found.version.number
        selection = await self._verbs.select(found.id, selector, version=number, budget=READ_BYTES)
        return answers.cached_part(found, selection) if found.type == TOOL_RESULT else answers.part(found, selection)


Asked = TypeVar("Asked", bound=Call)


def _asked(call: type[Asked], arguments: Arguments) -> Asked:
    """Return the call; what is null was left out."""
    return parsed_call(call, {name: value for name, value in arguments.items() if value is not None})
