"""The type `tool_result`: what a tool has answered, kept for a while so that it can be read in parts and promoted.

It holds any JSON value, text or bytes, each in the format that it is found to be in. Which tool call it belongs to is
part of where it comes from, and no content.
"""

from dataclasses import dataclass
from datetime import timedelta

from handiwork.media.detection import InMemory, detect
from handiwork.media.formats import BY_NAME, Format, format_of_media_type
from handiwork.model import MIB, TOOL_RESULT
from handiwork.types.artifact_type import ArtifactType
from handiwork.types.plain_text import bytes_of
from handiwork.types.strict_json import written

CAP_BYTES = 10 * MIB
RETENTION = timedelta(minutes=30)
LONGEST_RETENTION = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool has answered, as bytes."""

    data: bytes
    format: Format


def tool_result_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    """Return the type with the deployment's cap on files."""
    return ArtifactType(
        name=TOOL_RESULT,
        label="Tool result",
        icon="wrench",
        display="panel",
        cap_bytes=cap_bytes,
        is_streamed=False,
        retention=RETENTION,
    )


def answer_of(result: object, *, media_type: str | None = None, cap_bytes: int = CAP_BYTES) -> Answer:
    """Return text and bytes as they are, in the format that they are found to be in, and any other value as JSON.

    `media_type` is what somebody takes text or bytes for, which counts where the content does not tell.

    Raises:
        ContentTooLarge: it has more bytes than `cap_bytes`.
        ContentRefused: it is a value that JSON does not have, or text that UTF-8 cannot hold.
    """
    match result:
        case str():
            data = bytes_of(result, TOOL_RESULT)
        case bytes() | bytearray():
            data = bytes(result)
        case _:
            data = written(result, type_name=TOOL_RESULT, most_bytes=cap_bytes)
            return Answer(data=data, format=BY_NAME["json"])
    claimed = format_of_media_type(media_type or "")
    return Answer(
        data=data, format=detect("" if claimed is None else f"result.{claimed.extensions[0]}", InMemory(data))
    )
