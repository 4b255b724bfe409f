"""Runs on a server: what they are given, how they are ordered, and what they write while they run.

A server takes files as artifacts, so the files of this machine are sent to it first, for the time of the run.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from handiwork.client import answers
from handiwork.client.connection import Call
from handiwork.client.contents import Body, form_of, seconds_of
from handiwork.client.following import Opened, follow
from handiwork.client.place import Place
from handiwork.errors import HandiworkError, InputNotFound
from handiwork.events import Event, Output
from handiwork.executions.inputs import MOST_INPUTS, InputReference
from handiwork.executions.limits import LimitPolicy
from handiwork.ids import ExecutionId
from handiwork.model import Artifact, Execution, Limits
from handiwork.store.records import Page
from handiwork.tasks import to_the_end
from handiwork.versions.content import HostFile

CANCEL_SECONDS = 5.0
INPUT_RETENTION = timedelta(days=1)
"""How long a file is kept at most that was sent as an input."""

# The maximum is the server's to know.
_ANY = LimitPolicy(
    maximum=Limits(
        wall_seconds=1e9,
        memory_bytes=2**60,
        output_bytes=2**60,
        file_bytes=2**60,
        processes=2**30,
        stdout_bytes=2**60,
    )
)
_LIMITS = {
    "wall_seconds": "timeout",
    "memory_bytes": "memory",
    "output_bytes": "output",
    "file_bytes": "file",
    "processes": "processes",
    "stdout_bytes": "stdout",
}

Order = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRuns:
    """The runs of one session."""

    place: Place

    async def waited_for(self, order: Order) -> Execution:
        """Order a run and wait for its end. Who stops waiting does not stop the run."""
        seconds = self.place.connection.patience.run_seconds
        call = replace(self._ordered(order), quiet_seconds=seconds, whole_seconds=seconds)
        return await self.place.ask(call, answers.execution)

    async def started(self, order: Order) -> Execution:
        return await self.place.ask(self._ordered({**order, "wait": False}), answers.execution)

    async def followed(self, order: Order, on_output: Callable[[Output], None]) -> Execution:
        """Start a run as soon as all that it writes will be seen, and wait for its end; who stops waiting ends it."""
        begun: Execution | None = None
        try:
            async with aclosing(self.events(await self._cursor())) as told:
                async for each in told:
                    match each:
                        case Opened() if begun is None:
                            begun = await self.started(order)
                        case Output() if begun is not None and each.execution_id == begun.id:
                            on_output(each)
                        case Event(type="execution-finished") if begun is not None and each.execution_id == begun.id:
                            return await self.place.execution("GET", begun.id)
                        case _:
                            pass
        except BaseException:
            if begun is not None:
                await to_the_end(self._given_up(begun.id))
            raise
        raise AssertionError("events have no end")

    def events(self, after: int) -> AsyncGenerator[Event | Output | Opened]:
        quiet = self.place.connection.patience.quiet_seconds
        call = self.place.call("GET", f"{self.place.path}/events", quiet_seconds=quiet)
        return follow(self.place.connection, call, self.place.scope, after=after)

    @contextlib.asynccontextmanager
    async def given(self, inputs: Sequence[InputReference]) -> AsyncGenerator[tuple[list[str], list[str]]]:
        """Give the inputs as the server takes them, and the ids of those that were sent to it for this.

        Raises:
            InputNotFound: one is no file, or there are too many.
        """
        if isinstance(inputs, str | Path | Artifact):
            raise TypeError("inputs is a list: put the one input into brackets")
        if len(inputs) > MOST_INPUTS:
            raise InputNotFound(f"{len(inputs)} inputs", f"a run takes at most {MOST_INPUTS}")
        for each in inputs:
            if isinstance(each, Path):
                HostFile.at(each)
        named: list[str] = []
        sent: list[str] = []
        try:
            for each in inputs:
                if isinstance(each, Path):
                    sent.append(await self._sent(each))
                    named.append(sent[-1])
                else:
                    named.append(f"{each.id}@{each.version.number}" if isinstance(each, Artifact) else each)
            yield named, sent
        except BaseException:
            await to_the_end(self.take_back(sent))
            raise

    async def take_back(self, sent: Sequence[str]) -> None:
        """Remove what was sent; it expires by itself where that comes to nothing."""
        for each in sent:
            with contextlib.suppress(HandiworkError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self.place.connection.fetch(self.place.call_on(each, "DELETE"))

    async def _sent(self, path: Path) -> str:
        fields = {"type": "file", "name": path.name, "retention": seconds_of(INPUT_RETENTION)}
        call = self.place.call("POST", f"{self.place.path}/artifacts", body=form_of(HostFile.at(path), fields))
        return (await self.place.ask(call, lambda told, scope: answers.artifact(told["items"][0], scope))).id

    async def _cursor(self) -> int:
        call = self.place.call("GET", f"{self.place.path}/artifacts", query={"limit": 1})
        page: Page = await self.place.ask(call, answers.page)
        return page.seq

    async def _given_up(self, execution_id: ExecutionId) -> None:
        with contextlib.suppress(HandiworkError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self.place.execution("POST", execution_id, "/cancel")

    def _ordered(self, order: Order) -> Call:
        return self.place.call("POST", f"{self.place.path}/executions", body=Body(value=order))


def order_of(code: str, limits: Limits | None, *, check: bool) -> Order:
    """Return a program to run as the server takes it. Raises `InvalidLimit`."""
    order: Order = {"code": code, "check": check}
    if limits is None:
        return order
    return {**order, "limits": {_LIMITS[name]: value for name, value in asdict(_ANY.admit(limits)).items()}}
