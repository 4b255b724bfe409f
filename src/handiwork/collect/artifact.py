"""One deliverable of a run as a plain value. The artifact of the store, with its versions, is in `model`."""

from dataclasses import dataclass, field
from typing import Any

from handiwork.notebook import Bundle, Card, Types
from handiwork.quantities import counted

LONGEST_SHOWN = 1_000


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

    def _repr_mimebundle_(self, include: Types = None, exclude: Types = None) -> Bundle:
        facts = (
            ("kind", self.kind if self.language is None else f"{self.kind}, {self.language}"),
            ("content", counted(len(self.content), "character")),
        )
        return Card(title=self.name, facts=facts, texts=(("begins", self.content[:LONGEST_SHOWN]),)).bundle(
            include, exclude
        )
