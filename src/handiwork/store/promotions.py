"""The seam for what tools have answered, and what that was promoted to. Both are artifacts, and kept by `records`."""

from collections.abc import Sequence
from typing import Protocol

from handiwork.model import Artifact, Scope
from handiwork.store.records import Filed, Promotion


class Promotions(Protocol):
    """Finds artifacts by the tool call that they come from. Each method may raise `StorageFailed`."""

    async def results(self, scope: Scope, tool_call_id: str, *, limit: int) -> Sequence[Filed]:
        """Return what was recorded of a tool call and has not expired, as it was recorded, the last first."""
        ...

    async def promoted(self, scope: Scope, promotion: Promotion) -> Artifact | None:
        """Return the artifact that a promotion has come to at its head; None when there is none any more."""
        ...
