"""The type `file`: any deliverable that a program made or a person uploaded.

Which formats there are is known to `media`.
"""

from handiwork.media.formats import Format
from handiwork.model import MIB
from handiwork.types.artifact_type import ArtifactType

CAP_BYTES = 10 * MIB


def _summarize(name: str, format_: Format, size: int) -> str:
    return f"{name} ({format_.media_type}, {size:,} bytes)"


def file_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    """Return the type with the deployment's cap."""
    return ArtifactType(
        name="file",
        label="File",
        icon="file",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=False,
        summarize=_summarize,
    )
