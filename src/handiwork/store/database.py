"""The seam for transactions: a piece of work on a connection, done as a whole or not at all.

Which statements the work makes is known to the `sql_*` modules; how a database is reached, to `sqlite`.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class Database(Protocol):
    """Runs work. It may be tried again from its beginning, so it changes nothing but the database."""

    async def read(self, work: Work[Result]) -> Result:
        """Return what `work` finds; all that it reads is of one moment.

        Raises:
            StorageFailed: the database cannot be read.
        """
        ...

    async def write(self, work: Work[Result], *, first: Callable[[], None] | None = None) -> Result:
        """Return what `work` returns, once its changes survive a crash and the loss of power.

        Whoever is cancelled meanwhile is told so only when it is decided. Every error that `work` raises is passed on,
        and nothing has changed then. `first` is called in the same thread before the transaction begins, and where
        several are done in one, before any of them; it raises nothing.

        Raises:
            StorageFull, StorageFailed: nothing has changed, as far as the system tells.
        """
        ...

    async def tidy(self) -> bool:
        """Let what was deleted leave the disk too; return False when somebody who reads keeps some of it there."""
        ...

    async def changed(self, seen: int) -> int:
        """Return a number that differs from `seen` as soon as any process has written since `seen` was returned.

        It waits a moment at most, and returns `seen` when nothing was written.
        """
        ...
