"""Artifacts as resources of MCP: listed, linked to, and read within a bound. How they are kept is not known here."""

import base64
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import mcp_types as mcp

from handiwork.errors import ArtifactNotFound, ContentTooLarge
from handiwork.mcp.addresses import Address, templates_of
from handiwork.media.formats import format_of_media_type
from handiwork.model import MIB, Artifact
from handiwork.shapes import time_shape
from handiwork.tools.arguments import SELECT

if TYPE_CHECKING:
    from handiwork.client.session import RemoteSession
    from handiwork.session import Session

ON_A_PAGE = 100
# What is read comes in one message, and text may end up whole in the context of a model.
LARGEST_TEXT_BYTES = MIB
LARGEST_BLOB_BYTES = 10 * MIB


class Shelf:
    """The artifacts of one session, as a client of MCP sees them."""

    def __init__(self, session: "Session | RemoteSession") -> None:
        self._session = session

    async def page(self, cursor: str | None) -> tuple[mcp.ListResourcesResult, int]:
        """Return some artifacts, newest first, and the number of the event from which to follow what changes."""
        page = await self._session.list(limit=ON_A_PAGE, cursor=cursor)
        listed = [_resource(each, priority=0.5) for each in page.items]
        return mcp.ListResourcesResult(resources=listed, next_cursor=page.next_cursor), page.seq

    def templates(self) -> mcp.ListResourceTemplatesResult:
        head, fixed = templates_of(self._session.scope.session)
        part = f"`select` is one of {SELECT}"
        return mcp.ListResourceTemplatesResult(
            resource_templates=[
                mcp.ResourceTemplate(
                    name="artifact",
                    title="Newest version",
                    uri_template=head,
                    description=f"An artifact by id or handle, as it is now; {part}.",
                ),
                mcp.ResourceTemplate(
                    name="artifact-version",
                    title="One version",
                    uri_template=fixed,
                    description=f"An artifact as it was at one version, from 1; {part}.",
                ),
            ]
        )

    async def artifact_at(self, uri: str) -> tuple[Address, Artifact]:
        """Return what is at an address. What is in another session answers like what is not there.

        Raises:
            InvalidName, ArtifactNotFound, VersionNotFound, ArtifactExpired: nothing is.
        """
        address = Address.parse(uri, session=self._session.scope.session)
        if address.session != self._session.scope.session:
            raise ArtifactNotFound(address.reference)
        return address, await self._session.get(address.reference, version=address.version)

    async def read(self, uri: str) -> mcp.ReadResourceResult:
        """Return the content as text if it is one, and else as Base64.

        Raises:
            ContentTooLarge: it is over the bound; the error says how to read a part.
            SelectorRefused, SelectorMisfit: the part cannot be had.
        """
        address, artifact = await self.artifact_at(uri)
        version = artifact.version
        if address.select is not None:
            part = await self._session.select(artifact.id, address.select, version=version.number)
            following = None
            if part.continuation is not None:
                following = {"continuation": str(self.address_of(artifact, version.number, select=part.continuation))}
            text = mcp.TextResourceContents(uri=uri, mime_type=part.media_type, text=part.text, _meta=following)
            return mcp.ReadResourceResult(contents=[text])
        format_ = format_of_media_type(version.media_type)
        is_text = format_ is not None and format_.is_text
        limit = LARGEST_TEXT_BYTES if is_text else LARGEST_BLOB_BYTES
        if version.size > limit:
            raise _too_large(address, size=version.size, limit=limit, is_text=is_text)
        async with aclosing(self._session.stream(artifact.id, version=version.number)) as chunks:
            content = b"".join([chunk async for chunk in chunks])
        if is_text and (decoded := _decoded(content)) is not None:
            text = mcp.TextResourceContents(uri=uri, mime_type=version.media_type, text=decoded)
            return mcp.ReadResourceResult(contents=[text])
        blob = base64.b64encode(content).decode("ascii")
        return mcp.ReadResourceResult(
            contents=[mcp.BlobResourceContents(uri=uri, mime_type=version.media_type, blob=blob)]
        )

    def link(self, artifact: Artifact) -> mcp.ResourceLink:
        """Return what a tool hands out instead of content."""
        return mcp.ResourceLink.model_validate(_resource(artifact, priority=1.0).model_dump())

    def address_of(self, artifact: Artifact, version: int | None = None, *, select: str | None = None) -> Address:
        return Address(session=artifact.scope.session, reference=artifact.id, version=version, select=select)


def _too_large(address: Address, *, size: int, limit: int, is_text: bool) -> ContentTooLarge:
    error = ContentTooLarge(f"content of {address}", size=size, limit=limit)
    if is_text:
        part = replace(address, select="lines=1:200")
        error.hint = f"Read a part of it, such as `{part}`, or call `read_artifact` with `select`."
    else:
        error.hint = "It is no text of which a part could be read: download it over HTTP, or work on it in a program."
    return error


def _resource(artifact: Artifact, *, priority: float) -> mcp.Resource:
    return mcp.Resource(
        uri=str(Address(session=artifact.scope.session, reference=artifact.id)),
        name=artifact.name,
        title=artifact.title,
        description=artifact.version.summary or None,
        mime_type=artifact.media_type,
        size=artifact.size,
        annotations=mcp.Annotations(
            audience=["user", "assistant"], priority=priority, last_modified=time_shape(artifact.updated_at)
        ),
    )


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
