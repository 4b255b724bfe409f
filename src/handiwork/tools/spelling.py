"""How artifacts are spelled for a model and for a program. What is said about them is known to `answers`."""

from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from handiwork.model import Artifact
from handiwork.tools.accounts import one_line

LONGEST_SUMMARY = 200


def tag_of(artifact: Artifact) -> str:
    """Return the reference that a model copies: the handle, and what the artifact is in a few words."""
    return f"<artifact id={quoteattr(artifact.handle)} summary={quoteattr(summary_of(artifact))} />"


def tags_of(artifacts: Iterable[Artifact]) -> str:
    return "\n".join(tag_of(artifact) for artifact in artifacts)


def summary_of(artifact: Artifact) -> str:
    """Return what the artifact is, on one line."""
    version = artifact.version
    told = version.summary or f"{version.name} ({version.media_type}, {version.size:,} bytes)"
    return one_line(told, LONGEST_SUMMARY)


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
