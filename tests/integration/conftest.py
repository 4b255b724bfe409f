"""Fixtures of the integration tests: one room for each level, shared, because a warm interpreter takes its time."""

from collections.abc import Generator
from pathlib import Path

import pytest
from rooms import Room, open_room

from handiwork.model import Level


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
