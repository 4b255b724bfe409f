"""The type `html-sandboxed`: a page that runs in a frame with no network, no storage and no way out.

It may hold script of any kind. The frame is the wall, and it is built where the page is shown; a filter of tags here
would be none, and would take away what the page is for.
"""

from handiwork.media.formats import BY_NAME
from handiwork.model import KIB
from handiwork.types.artifact_type import ArtifactType, text_alone

CAP_BYTES = 256 * KIB


def html_sandboxed_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    return ArtifactType(
        name="html-sandboxed",
        aliases=("html",),
        label="Page",
        icon="app-window",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=True,
        content="text",
        format=BY_NAME["html"],
        category="document",
        examine=text_alone,
    )
