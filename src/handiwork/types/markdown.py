"""The type `markdown`: prose that is shown laid out.

Any text is Markdown, so that nothing but its encoding is checked; what its HTML may do is decided where it is shown.
"""

from handiwork.media.formats import BY_NAME
from handiwork.model import KIB
from handiwork.types.artifact_type import ArtifactType, text_alone

CAP_BYTES = 256 * KIB


def markdown_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    return ArtifactType(
        name="markdown",
        label="Markdown",
        icon="file-text",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=True,
        content="text",
        format=BY_NAME["markdown"],
        category="text",
        examine=text_alone,
    )
