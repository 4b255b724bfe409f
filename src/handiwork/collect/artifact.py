"""One deliverable of a run as a plain value. The artifact of the store, with its versions, is in `model`."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One deliverable of a run; `created_at` is in seconds of Unix time."""

    kind: str
    name: str
    content: str
    language: str | None = None
    iteration: int = 0
    created_at: float
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary, whose keys are always in this order."""
        return {
            "kind": self.kind,
            "name": self.name,
            "content": self.content,
            "language": self.language,
            "iteration": self.iteration,
            "created_at": self.created_at,
            "metadata": dict(self.metadata),
        }
