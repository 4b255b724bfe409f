"""The type `image`: a picture of pixels, or the word that names an artifact which has one.

Content that reads as a reference is a reference, in one of three spellings: `artifact://` before any id or handle, a
bare id such as `art_` with 22 letters and digits, or a bare handle such as `chart_k3x9`. It is stored in the first
spelling. All other content is a picture: its bytes, or a `data:` URL of them, which is stored as the bytes. Whether
the artifact exists is not known here, and a drawing is of the type `svg`.
"""

import base64
import re
from dataclasses import replace

from handiwork.errors import ContentRefused
from handiwork.media.detection import InMemory, detect
from handiwork.media.formats import BY_NAME
from handiwork.model import MIB, Artifact
from handiwork.types.artifact_type import ArtifactType, Checked
from handiwork.types.pixels import fault_of

CAP_BYTES = 10 * MIB
SCHEME = "artifact://"
FORMATS = ("png", "jpeg", "gif", "webp", "avif", "bmp", "ico", "heic", "tiff")

_LONGEST_REFERENCE = 200
_REFERENCE = re.compile(
    rb"artifact://([A-Za-z0-9][A-Za-z0-9_-]{0,127})|(art_[A-Za-z0-9]{22}|[a-z0-9]{1,12}_[a-z0-9]{4})"
)
_DATA_URL = re.compile(rb"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)
_EXPECTED = f"a picture in one of {' '.join(FORMATS)}, or a reference to an artifact"
_HINT = (
    "Send the bytes of the picture, a `data:image/png;base64,…` URL of them, or a reference such as "
    "`artifact://chart_k3x9`; a drawing in XML is of the type `svg`."
)


REFERENCE = replace(BY_NAME["text"], name="reference")
"""What a reference is stored as: no format that a deployment would let in or not."""


def image_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    return ArtifactType(
        name="image",
        label="Image",
        icon="image",
        display="inline",
        cap_bytes=cap_bytes,
        is_streamed=False,
        format=BY_NAME["png"],
        category="image",
        examine=_examine,
    )


def is_reference(artifact: Artifact) -> bool:
    """Tell whether the version that the artifact carries refers to another instead of being a picture."""
    return artifact.type == "image" and artifact.media_type == REFERENCE.media_type


def reference_in(data: bytes) -> str | None:
    """Return the id or handle that content names; None for content that is no reference."""
    found = _REFERENCE.fullmatch(data.strip()) if len(data) <= _LONGEST_REFERENCE else None
    return None if found is None else (found[1] or found[2]).decode("ascii")


def _examine(type_: ArtifactType, data: bytes) -> Checked:
    if (reference := reference_in(data)) is not None:
        return Checked(data=(SCHEME + reference).encode("ascii"), format=REFERENCE)
    if url := _DATA_URL.match(data):
        data = _decoded(data, url.end(), type_.name)
    format_ = detect("", InMemory(data))
    if format_.name not in FORMATS:
        got = "nothing" if not data else f"content in the format `{format_.name}`"
        raise ContentRefused(type_.name, expected=_EXPECTED, got=got, hint=_HINT)
    if fault := fault_of(format_.name, data):
        raise ContentRefused(type_.name, expected=f"a whole picture in {format_.name}", got=fault, hint=_HINT)
    return Checked(data=data, format=format_)


def _decoded(data: bytes, start: int, type_name: str) -> bytes:
    try:
        return base64.b64decode(data[start:].strip(), validate=True)
    except ValueError as wrong:
        got = "other characters, or too few"
        raise ContentRefused(type_name, where="the data URL", expected="base64", got=got, hint=_HINT) from wrong
