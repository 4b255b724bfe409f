"""What a run that draws a thumbnail is taken for; how thumbnails look is tested with a real sandbox."""

import contextlib
from collections.abc import AsyncGenerator, Mapping

import pytest

from handiwork.errors import SandboxBroken
from handiwork.executions.previews import Previews
from handiwork.model import Isolation, Outcome, Status
from handiwork.sandbox.sandbox import Job, Run
from handiwork.versions.content import Bytes


class Ending:
    """A sandbox in which every run ends in one way and leaves nothing."""

    def __init__(self, status: Status) -> None:
        self.status: Status = status

    @contextlib.asynccontextmanager
    async def run(self, job: Job) -> AsyncGenerator[Run]:
        yield Run(outcome=Outcome(status=self.status), outputs=())

    async def probe(self) -> Isolation:
        return Isolation(level="full", memory_by="cgroup", walls={})

    @property
    def libraries(self) -> Mapping[str, str]:
        return {}


async def drawn(status: Status) -> bytes | None:
    return await Previews(Ending(status)).thumbnail("key", "image/png", 3, Bytes(b"png").chunks)


@pytest.mark.parametrize("status", ["failed", "rejected", "succeeded"])
async def test_a_program_that_ended_by_itself_without_a_picture_says_that_there_is_none(status: Status) -> None:
    assert await drawn(status) is None


@pytest.mark.parametrize("status", ["timed_out", "killed", "out_of_memory", "cancelled", "lost", "output_too_large"])
async def test_a_run_that_was_cut_off_says_nothing_of_the_file_and_may_be_tried_again(status: Status) -> None:
    with pytest.raises(SandboxBroken, match=status):
        await drawn(status)
