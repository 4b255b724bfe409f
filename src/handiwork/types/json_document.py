"""The type `json`: any one value of JSON, kept as it was written.

How strictly it is read is known to `strict_json`.
"""

from handiwork.media.formats import BY_NAME
from handiwork.model import KIB
from handiwork.types.artifact_type import ArtifactType, Checked
from handiwork.types.json_writing import number_of
from handiwork.types.plain_text import text_of
from handiwork.types.strict_json import parsed

CAP_BYTES = 256 * KIB


def json_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    """Return the type. A string given as content is JSON text; to store a string, write it with its quotes."""
    return ArtifactType(
        name="json",
        label="JSON",
        icon="braces",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=True,
        content="json",
        format=BY_NAME["json"],
        category="data",
        examine=_examine,
    )


def _examine(type_: ArtifactType, data: bytes) -> Checked:
    return Checked(data=data, value=parsed(text_of(data, type_.name), type_name=type_.name, number_of=number_of))
