"""Noting things about an artifact beside its content: labels, free facts, and steps from state to state.

Which steps there are is declared by its type. What an agent proposes, and a user then agrees to, is known to `actions`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from handiwork.errors import ApprovalNeeded, IllegalTransition, MarksMoved
from handiwork.ids import ArtifactId
from handiwork.model import Artifact, PrincipalKind, Reach, Scope
from handiwork.store.records import Records
from handiwork.store.revisions import Marks, Revisions
from handiwork.types.registry import Registry
from handiwork.verbs import demand_whole
from handiwork.versions.notes import demand_object, distinct_labels

ATTEMPTS = 200
"""How often it begins anew because other processes were faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """Marks the artifacts of one store."""

    records: Records
    revisions: Revisions
    types: Registry
    _locks: WeakValueDictionary[ArtifactId, asyncio.Lock] = field(default_factory=WeakValueDictionary, init=False)

    async def label(
        self, reach: Scope | Reach, reference: str, labels: Sequence[str], *, by: PrincipalKind | None = None
    ) -> Artifact:
        """Replace the labels; the order is kept, and what is there twice is taken once.

        Raises:
            InvalidContent: too many labels, or one that is empty, too long or not printable.
            ArtifactNotFound, ArtifactExpired: there is none to be had.
        """
        wanted = distinct_labels(labels)
        return await self._marked(reach, reference, lambda _artifact: Marks(labels=wanted, by=by))

    async def step(
        self,
        reach: Scope | Reach,
        reference: str,
        *,
        state: str | None = None,
        facts: Mapping[str, object] | None = None,
        by: PrincipalKind | None = None,
    ) -> Artifact:
        """Go on to a state, and merge facts into those that are noted; a fact that is None is taken away.

        Raises:
            ApprovalNeeded: an agent moves no state; it proposes to, and notes facts.
            IllegalTransition: the type knows no such step from the state that the artifact is in.
            InvalidContent: the facts are no JSON, or too large, or the state is no text.
            ArtifactNotFound, ArtifactExpired: there is none to be had.
        """
        demand_whole(state=state)
        demand_mover(state, by=by)

        def marks(artifact: Artifact) -> Marks:
            if state is not None and state != artifact.state:
                self._demand_step(artifact, reference, state)
            return Marks(state=state, facts=None if facts is None else _merged(artifact.facts, facts), by=by)

        return await self._marked(reach, reference, marks)

    def _demand_step(self, artifact: Artifact, reference: str, state: str) -> None:
        legal = self.types.named(artifact.type).transitions.get(artifact.state or "", ())
        if state not in legal:
            raise IllegalTransition(reference, state=artifact.state, asked=state, legal=legal)

    async def _marked(self, reach: Scope | Reach, reference: str, marks: Callable[[Artifact], Marks]) -> Artifact:
        artifact = (await self.records.get(reach, reference)).artifact
        # One after the other where that can be had; other processes are met by trying again.
        async with self._locks.setdefault(artifact.id, asyncio.Lock()):
            for _attempt in range(ATTEMPTS - 1):
                artifact = (await self.records.get(reach, artifact.id)).artifact
                with contextlib.suppress(MarksMoved):
                    return await self.revisions.mark(artifact, marks(artifact))
            artifact = (await self.records.get(reach, artifact.id)).artifact
            return await self.revisions.mark(artifact, marks(artifact))


def demand_mover(state: str | None, *, by: PrincipalKind | None) -> None:
    """Raise `ApprovalNeeded` for who may only ask that an artifact goes on to another state."""
    if state is not None and by == "agent":
        raise ApprovalNeeded("state", principal=by)


def _merged(was: Mapping[str, object], said: Mapping[str, object]) -> Mapping[str, object]:
    if not isinstance(said, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        demand_object("facts", said)
    merged = {name: value for name, value in {**was, **said}.items() if value is not None}
    demand_object("facts", merged)
    return merged
