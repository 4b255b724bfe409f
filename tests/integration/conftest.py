"""Fixtures of the integration tests: both sides of the verbs, and one room for each level.

Rooms are shared, because a warm interpreter takes its time.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path

import pytest
from rooms import Room, open_room
from sides import SIDES, Side, Verbs, Where, open_side

from handiwork.model import Level
from handiwork.types.artifact_type import ArtifactType


@pytest.fixture(scope="session")
def room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Room]:
    """A room at the level that is asked for, `full` by default."""
    level: Level = getattr(request, "param", "full")
    with open_room(level, tmp_path_factory.mktemp(level)) as opened:
        yield opened


@pytest.fixture(scope="session")
def bare_room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Room]:
    """A room that keeps no child ready, so that every process in it is of a run."""
    level: Level = getattr(request, "param", "full")
    with open_room(level, tmp_path_factory.mktemp(f"bare-{level}"), ready_children=0) as opened:
        yield opened


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def types() -> Sequence[ArtifactType]:
    """The types of one's own that both sides know; a module that needs some has a fixture of this name."""
    return ()


@pytest.fixture(params=SIDES)
async def side(request: pytest.FixtureRequest, tmp_path: Path, types: Sequence[ArtifactType]) -> AsyncGenerator[Side]:
    """An engine in this process, and then a server."""
    where: Where = request.param
    async with open_side(where, tmp_path / "store", types=types) as opened:
        yield opened


@pytest.fixture
def session(side: Side) -> Verbs:
    return side.session()
