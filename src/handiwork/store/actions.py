"""The seam for the ledger of actions: what was proposed, rejected and done, each with one version of an artifact.

Who may decide and what an action does is decided by the callers. What they have decided on is looked at again here, in
the transaction that does it, so that nothing is done with another version, or twice.
"""

from collections.abc import Sequence
from typing import Protocol

from handiwork.model import Acted, Action, Artifact, Principal, PrincipalKind, Reach, Scope
from handiwork.store.revisions import Marks


class Actions(Protocol):
    """The ledger. Each change writes its event in its own transaction, as `Records` does."""

    async def get(self, reach: Scope | Reach, action_id: str) -> Action:
        """Return an action. Raises `ActionNotFound` where there is none within reach."""
        ...

    async def keyed(self, artifact: Artifact, idempotency_key: str, *, by: PrincipalKind) -> Action | None:
        """Return what was asked for an artifact with this key; those of agents and of users are not the same."""
        ...

    async def listing(self, artifact: Artifact, *, limit: int) -> Sequence[Action]:
        """Return what was proposed and done with an artifact, the newest first."""
        ...

    async def propose(self, action: Action) -> Action:
        """Enter a proposal and return it, or the same one that is open already, or that was made with its key.

        What is open already is found by the key of the new one too, from then on.

        Raises:
            ActionVoid: the version that it is for is not the head.
            IdempotencyKeyReused: something else was asked for with its key.
            ArtifactNotFound, ArtifactExpired: there is no such artifact to be had.
        """
        ...

    async def finish(self, action: Action, found: Artifact, marks: Marks) -> Acted:
        """Do a proposal, or what nobody had to propose, by marking the artifact as it was `found` just now.

        `action` says who decides and what it comes to. What was done before is returned as it was done, and not done
        again; what was proposed alike and is open is that proposal, and the key stands for it.

        Raises:
            ActionVoid: the version that it is for is not the head.
            ActionStale: it was proposed too long ago.
            ActionDecided: it was rejected.
            MarksMoved: state or facts are not what they were when it was found.
            IdempotencyKeyReused, ArtifactNotFound, ArtifactExpired: as in `propose`.
        """
        ...

    async def reject(self, action: Action, *, by: Principal) -> Action:
        """Reject a proposal. Raises `ActionDecided` for what is done, and `ActionNotFound` for what is gone."""
        ...
