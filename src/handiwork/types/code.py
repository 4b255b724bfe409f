"""The type `code`: source text, shown with its syntax in colour.

The language is a word beside the content. Whether the text is right in it is not checked.
"""

from handiwork.media.formats import BY_NAME
from handiwork.model import KIB
from handiwork.types.artifact_type import ArtifactType, text_alone

CAP_BYTES = 256 * KIB


def code_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    """Return the type. A language that `media` knows, such as `python` or `ts`, tells the format; else it is text."""
    return ArtifactType(
        name="code",
        label="Code",
        icon="code",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=True,
        content="text",
        format=BY_NAME["text"],
        category="text",
        has_language=True,
        examine=text_alone,
    )
