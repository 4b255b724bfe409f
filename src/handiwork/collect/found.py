"""What was found worth keeping, before anybody keeps it. Where it was found is known to `extraction` and others."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One deliverable under its name; `kind` is `code`, `markdown`, `answer`, `table`, `file` or another word."""

    kind: str
    name: str
    content: str
    language: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    def mark(self) -> str:
        """Return what is the same for the same kind, language and content, whatever they are called."""
        told = f"{self.kind}\0{self.language}\0{self.content}"
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
