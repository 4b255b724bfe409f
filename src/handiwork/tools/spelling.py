"""How artifacts are spelled for a model and for a program. What is said about them is known to `answers`."""

from collections.abc import Iterable

from handiwork.context.revealing import short
from handiwork.model import Artifact


def tag_of(artifact: Artifact) -> str:
    """Return the reference that a model copies: the handle, and what the artifact is in a few words."""
    return str(short(artifact))


def tags_of(artifacts: Iterable[Artifact]) -> str:
    return "\n".join(tag_of(artifact) for artifact in artifacts)


def reference_of(artifact: Artifact) -> dict[str, object]:
    """Return the reference as JSON; it holds no content."""
    version = artifact.version
    return {
        "id": artifact.id,
        "handle": artifact.handle,
        "version": version.number,
        "type": artifact.type,
        "title": artifact.title,
        "state": artifact.state,
        "name": version.name,
        "mediaType": version.media_type,
        "size": version.size,
        "sha256": version.sha256,
        "summary": version.summary,
    }
