"""Fixtures of the attack tests: a jail at each level that is a wall, and a host worth attacking."""

import inspect
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
from jails import Gap, Host, Jail, furnish, open_jail

from handiwork.errors import IsolationUnavailable
from handiwork.model import Level

HERE = Path(__file__).parent
LEVELS: tuple[Level, ...] = ("full", "unprivileged")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "levels(*names): the levels of the jail at which the technique applies")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.linux)
            if inspect.iscoroutinefunction(item.function):
                # The interpreter of a sandbox belongs to one event loop.
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "jail" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("levels")
        metafunc.parametrize("jail", marker.args if marker else LEVELS, indirect=True, scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def jail(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Jail]:
    """A jail at the level that is asked for. Where it is not to be had, the gap is printed."""
    level: Level = request.param
    async with open_jail(level, tmp_path_factory.mktemp(level)) as found:
        try:
            await found.session.engine.isolation()
        except IsolationUnavailable as missing:
            pytest.skip(f"gap: {missing} {missing.hint}")
        yield found


@pytest.fixture
def gap(request: pytest.FixtureRequest) -> Gap:
    def mark(applies: bool, reason: str) -> None:
        if applies:
            request.applymarker(pytest.mark.xfail(strict=True, reason=f"gap: {reason}"))

    return mark


@pytest.fixture
def host() -> Generator[Host]:
    """A folder of the host that only the walls protect; not below a folder that file rights would close."""
    with tempfile.TemporaryDirectory(prefix="handiwork-canary-") as folder:
        yield furnish(Path(folder))
