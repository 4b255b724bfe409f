"""The type `file`: any deliverable that a program made or a person uploaded.

Which formats there are is known to `media`.
"""

from handiwork.model import MIB
from handiwork.types.artifact_type import ArtifactType

CAP_BYTES = 10 * MIB


def file_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    """Return the type with the deployment's cap."""
    return ArtifactType(
        name="file",
        label="File",
        icon="file",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=False,
    )
