"""The seam for what is known of runs. Their artifacts are known to `records`."""

from collections.abc import Sequence
from typing import Protocol

from handiwork.ids import ExecutionId
from handiwork.model import Execution, Reach, Scope


class ExecutionRecords(Protocol):
    """Runs by scope. When a method that writes returns, its change survives a crash.

    Each method may raise `StorageFailed`, and those that write `StorageFull`. How a run ends is recorded together
    with what it made, by `Records.add`.
    """

    async def begin(self, execution: Execution, *, owner: str) -> None:
        """Record a run as queued or running; `owner` is the process that carries it out.

        Raises:
            ScopeErased: session, user or tenant was erased since the run was created.
        """
        ...

    async def get(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        """Return a run with the artifacts that it made and that have not expired, in the order they were added.

        Raises:
            ExecutionNotFound: there is none within reach.
        """
        ...

    async def request_cancel(self, reach: Scope | Reach, execution_id: ExecutionId) -> Execution:
        """Note that a run shall end; its owner looks for that. One that has ended stays as it is.

        Raises:
            ExecutionNotFound: there is none within reach.
        """
        ...

    async def cancel_requests(self, owner: str) -> Sequence[ExecutionId]:
        """Return the runs of an owner that shall end and have not ended."""
        ...

    async def owners(self) -> frozenset[str]:
        """Return the processes that carry out runs, as far as the records tell."""
        ...

    async def lose(self, owner: str) -> int:
        """Declare the runs of a process that is no more `lost`, each with its event, and return how many."""
        ...
