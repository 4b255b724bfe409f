"""What an artifact type is: one declaration with everything that the rest of Handiwork asks of it.

The types themselves are declared in modules of their own and gathered in `registry`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from handiwork.media.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactType:
    """One kind of artifact. `cap_bytes` bounds the content; `summarize` takes name, format and size."""

    name: str
    label: str
    icon: str
    display: Literal["panel", "inline"]
    cap_bytes: int
    is_streamed: bool
    summarize: Callable[[str, Format, int], str]
