"""What a tool may return when it has more to tell than its text. Who takes the rest of it in is not known here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """The text is for the model; `metadata` declares artifacts: a mapping with `artifact` set, or a list of them."""

    text: str
    metadata: object = None
