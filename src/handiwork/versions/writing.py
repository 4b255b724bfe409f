"""Artifacts that are told while they are written: from pieces of text, or from the arguments of a tool call.

What a model may ask for is known to `calls`; here it becomes a first version or a further one.
"""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, replace

from handiwork.errors import InvalidContent
from handiwork.ids import ArtifactId
from handiwork.media.names import named_after
from handiwork.model import Artifact, Provenance, Scope
from handiwork.store.records import Records
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.registry import Registry
from handiwork.versions.arguments import Arguments
from handiwork.versions.calls import GenerateArtifact, ReviseArtifact, parsed_call, suffix_of
from handiwork.versions.creation import Creation
from handiwork.versions.differences import MISSING
from handiwork.versions.drafts import Content, Draft, content_of, received
from handiwork.versions.revising import Revising, Revision
from handiwork.versions.streaming import Stream, Streaming
from handiwork.versions.tool_results import demand_tool_call_id

_TYPE, _ARTIFACT = "type", ("artifactId", "artifact_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Makes artifacts and versions of what arrives piece by piece, in one store."""

    records: Records
    creation: Creation
    revising: Revising
    streaming: Streaming
    types: Registry

    async def create(self, scope: Scope, draft: Draft, pieces: AsyncIterable[str]) -> Artifact:
        """File the draft with the content that the pieces come to, and tell them to those who look on.

        Raises what `Creation.file` and `Streaming.taken` do; what the draft says besides is looked at first.
        """
        self.creation.admission.demand_described(draft)
        type_, id, since = draft.type, self.creation.new_id(), self.creation.clock()

        async def file(text: str) -> Artifact:
            (made,) = await self.creation.file(
                scope, [replace(draft, content=content_of(text, type_), id=id)], since=since
            )
            return made

        stream = Stream(scope=scope, type=type_, artifact_id=id, pieces=pieces, since=since)
        return await self.streaming.taken(stream, file)

    async def revise(self, head: Artifact, revision: Revision, pieces: AsyncIterable[str]) -> Artifact:
        """Make the next version of the content that the pieces come to. Raises as `Revising.revise` and `taken`."""
        type_, revise, since = self.types.named(head.type), self.revising.revise, self.creation.clock()
        stream = Stream(scope=head.scope, type=type_, artifact_id=head.id, pieces=pieces, since=since)
        return await self.streaming.taken(
            stream, lambda text: revise(head.scope, head.id, replace(revision, content=text))
        )

    async def write(self, scope: Scope, arguments: Arguments, provenance: Provenance) -> Artifact:
        """Create what `{type, title, content, …}` says, or revise what `{artifactId, content | patch, …}` names.

        A text is told to those who look on as soon as the type or the artifact is known.

        Raises:
            InvalidName: no tool call is called so.
            InvalidContent, ContentTooLarge: the arguments are not those of either call; nothing was stored.
            What creating and revising raise.
        """
        self.creation.admission.demand_enabled()
        if provenance.tool_call_id is not None:
            demand_tool_call_id(provenance.tool_call_id)
        known = await arguments.begin(_TYPE, *_ARTIFACT)
        named = next((known[name] for name in _ARTIFACT if name in known), None)
        if isinstance(named, str):
            return await self._revise(scope, arguments, named, provenance)
        if isinstance(known.get(_TYPE), str):
            return await self._create(scope, arguments, str(known[_TYPE]), provenance)
        expected = "`type` and `content` of a new artifact, or the `artifactId` of one to revise"
        raise InvalidContent("arguments", expected=expected, got=_listed(known))

    async def _create(self, scope: Scope, arguments: Arguments, type_name: str, provenance: Provenance) -> Artifact:
        type_, id = self.types.named(type_name), self.creation.new_id()
        arguments.bound(type_.cap_bytes)
        since = self.creation.clock()

        async def file(_text: str = "") -> Artifact:
            call = parsed_call(GenerateArtifact, await arguments.whole())
            draft = _draft(call, await received(call.content, type_), type_, id=id, provenance=provenance)
            (made,) = await self.creation.file(scope, [draft], since=since)
            return made

        if not arguments.is_growing:
            return await file()
        stream = Stream(scope=scope, type=type_, artifact_id=id, pieces=arguments.text(), since=since)
        return await self.streaming.taken(stream, file)

    async def _revise(self, scope: Scope, arguments: Arguments, reference: str, provenance: Provenance) -> Artifact:
        since = self.creation.clock()
        head = (await self.records.get(scope, reference)).artifact
        # A patch may take away as much as it puts in its place.
        arguments.bound(2 * self.types.named(head.type).cap_bytes)

        async def revise(_text: str = "") -> Artifact:
            call = parsed_call(ReviseArtifact, await arguments.whole())
            revision = Revision(
                content=call.content if "content" in call.model_fields_set else MISSING,
                patch=call.patch,
                base_version=call.base_version,
                provenance=replace(provenance, reason=call.reason),
            )
            return await self.revising.revise(scope, head.id, revision)

        if not arguments.is_growing:
            return await revise()
        type_ = self.types.named(head.type)
        stream = Stream(scope=scope, type=type_, artifact_id=head.id, pieces=arguments.text(), since=since)
        return await self.streaming.taken(stream, revise)


def _draft(
    call: GenerateArtifact, content: Content, type_: ArtifactType, *, id: ArtifactId, provenance: Provenance
) -> Draft:
    suffix = suffix_of(call)
    return Draft(
        id=id,
        type=type_,
        content=content,
        title=call.title,
        language=call.language,
        name=named_after(call.title or "untitled", suffix) if suffix and not type_.examine else None,
        provenance=provenance,
    )


def _listed(known: Mapping[str, object]) -> str:
    return ", ".join(f"`{name[:40]}`" for name in list(known)[:10]) or "no arguments"
